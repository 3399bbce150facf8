//! How a session is written in Redis: a hash of a few fields that a person can read.
//!
//! | field | holds |
//! |---|---|
//! | `v` | the version of this layout, `1` |
//! | `login` | the user's number and the mark of the password, if there was a login |
//! | `client` | the address and the device that it was begun from |
//! | `started`, `seen`, `expires` | seconds since 1970 |
//! | `d:KEY` | the JSON text that an application keeps under KEY |
//!
//! Each value has a field of its own, so that changes of different keys by different gateways both
//! survive. The key of the hash is the session's, a digest: no cookie is ever in Redis.

use std::collections::HashMap;

use crate::domain::password::PasswordMark;
use crate::domain::session::Span;
use crate::domain::{Client, Device, Session, SessionData, SessionKey, Timestamp, UserId};
use crate::sessions::Record;

/// The names of everything that this store keeps, which all begin alike.
#[derive(Debug)]
pub(super) struct Names {
    prefix: String,
    /// What the names of sessions begin with.
    pub(super) sessions: String,
    /// What the names of the indexes of users' sessions begin with.
    pub(super) users: String,
}

impl Names {
    pub(super) fn new(prefix: &str) -> Self {
        let below = |name: &str| format!("{prefix}{name}:");
        Self { sessions: below("session"), users: below("user"), prefix: prefix.to_owned() }
    }

    /// The name of a session.
    pub(super) fn session(&self, key: &SessionKey) -> String {
        format!("{}{key}", self.sessions)
    }

    /// The session with this name, if it is one.
    pub(super) fn key(&self, name: &str) -> Option<SessionKey> {
        SessionKey::parse(name.strip_prefix(&self.sessions)?)
    }

    /// The name of the index of a user's sessions.
    pub(super) fn user(&self, user: UserId) -> String {
        format!("{}{}", self.users, user.0)
    }

    /// The name of something that there is one of.
    pub(super) fn single(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

/// What stands in Redis is no session that this version can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable;

/// The fields and values of a session, one after the other.
pub(super) fn fields(record: &Record) -> Vec<String> {
    let Record { login, span, client, data } = record;
    let mut fields = Vec::with_capacity(12);
    let mut put = |name: &str, value: String| fields.extend([name.to_owned(), value]);
    put("v", "1".to_owned());
    if let Some(login) = login {
        let mark = hexadecimal(login.password().as_bytes());
        put("login", format!("{} {mark}", login.user().0));
    }
    let device = hexadecimal(&client.device.to_bytes());
    put("client", format!("{} {device}", client.address));
    put("started", span.started.seconds().to_string());
    put("seen", span.last_seen.seconds().to_string());
    put("expires", span.expires.seconds().to_string());
    for (key, value) in data.iter().flat_map(|data| data.iter()) {
        put(&format!("d:{key}"), value.to_owned());
    }
    fields
}

/// The session that these fields are; `None` when there are none.
pub(super) fn record(fields: HashMap<String, String>) -> Result<Option<Record>, Unreadable> {
    if fields.is_empty() {
        return Ok(None);
    }
    let field = |name: &str| fields.get(name).map(String::as_str);
    if field("v") != Some("1") {
        return Err(Unreadable);
    }
    let moment = |name: &str| -> Result<Timestamp, Unreadable> {
        let seconds = field(name).and_then(|text| text.parse().ok()).ok_or(Unreadable)?;
        Ok(Timestamp::from_seconds(seconds))
    };
    let span = Span {
        started: moment("started")?,
        last_seen: moment("seen")?,
        expires: moment("expires")?,
    };
    let login = match field("login") {
        Some(text) => {
            let (user, mark) = text.split_once(' ').ok_or(Unreadable)?;
            let user = UserId(user.parse().map_err(|_| Unreadable)?);
            let mark = PasswordMark::from_bytes(bytes(mark).ok_or(Unreadable)?);
            Some(Session::restore(user, mark, span))
        }
        None => None,
    };
    let (address, device) = field("client").and_then(|t| t.split_once(' ')).ok_or(Unreadable)?;
    let client = Client {
        address: address.parse().map_err(|_| Unreadable)?,
        device: Device::from_bytes(bytes(device).ok_or(Unreadable)?),
    };
    let data: SessionData = fields
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix("d:")?.into(), value.as_str().into())))
        .collect();
    let data = (!data.is_empty()).then(|| data.into());
    Ok(Some(Record { login, span, client, data }))
}

/// The session in an answer to `HGETALL`.
pub(super) fn record_of(answer: redis::Value) -> Result<Option<Record>, Unreadable> {
    redis::from_redis_value(answer).map_err(|_| Unreadable).and_then(record)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; N];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(record: &Record) -> HashMap<String, String> {
        let fields = fields(record);
        fields.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
    }

    fn sample(login: bool) -> Record {
        let moment = Timestamp::from_seconds;
        let span =
            Span { started: moment(1), last_seen: moment(2_000_000_000), expires: moment(3) };
        let mark = PasswordMark::from_bytes([0, 1, 2, 3, 0xfc, 0xfd, 0xfe, 0xff]);
        let data: SessionData = [("cart".into(), "[1, \"ü\"]".into())].into_iter().collect();
        Record {
            login: login.then(|| Session::restore(UserId(-7), mark, span)),
            span,
            client: Client {
                address: "2001:db8::1".parse().unwrap(),
                device: Device::of("Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"),
            },
            data: login.then(|| data.into()),
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for record in [sample(true), sample(false)] {
            assert_eq!(super::record(written(&record)), Ok(Some(record)));
        }
        assert_eq!(super::record(HashMap::new()), Ok(None));
    }

    #[test]
    fn what_is_damaged_or_newer_is_no_session_and_no_absence_of_one() {
        for (name, value) in [
            ("v", "2"),
            ("login", "7"),
            ("login", "7 00"),
            ("login", "x 0001020304050607"),
            ("login", "7 +001020304050607"),
            ("client", "nowhere 0000"),
            ("client", "::1"),
            ("seen", "-1"),
            ("expires", ""),
        ] {
            let mut fields = written(&sample(true));
            fields.insert(name.to_owned(), value.to_owned());
            assert_eq!(super::record(fields), Err(Unreadable), "{name} = {value}");
        }
        for name in ["v", "client", "started", "seen", "expires"] {
            let mut fields = written(&sample(true));
            fields.remove(name);
            assert_eq!(super::record(fields), Err(Unreadable), "without {name}");
        }
    }

    #[test]
    fn names_lead_to_keys_and_back() {
        let names = Names::new("vestibule:");
        let key = SessionKey::from_bytes([0xab; 16]);
        assert_eq!(names.session(&key), format!("vestibule:session:{}", "ab".repeat(16)));
        assert_eq!(names.key(&names.session(&key)), Some(key));
        assert_eq!(names.user(UserId(7)), "vestibule:user:7");
        assert_eq!(names.single("form-key"), "vestibule:form-key");
        for other in ["vestibule:user:7", "session:00", "vestibule:session:7", ""] {
            assert_eq!(names.key(other), None, "{other}");
        }
    }
}
