//! What an application says to the gateway in the headers of its answer: `Vestibule-…`.
//!
//! Every spelling of such a header is removed from every answer, in
//! [`forwarding`](super::forwarding). Only the exact names of an application that is trusted are
//! read here; carrying out what they say is the gateway's business.

use http::HeaderValue;
use http::header::{GetAll, HeaderName};
use percent_encoding::percent_decode;

use crate::domain::message::{Level, MalformedMessage, MessageText};
use crate::domain::session_data::{DataChange, DataError};

const SET: &str = "vestibule-session-set";
const DELETE: &str = "vestibule-session-delete";
const LOG_OUT: &str = "vestibule-logout";

/// Messages to the visitor: the header without a level is `info`, and each level has one of its own,
/// after the shortcuts of Django's `contrib.messages`.
const MESSAGES: [(&str, Level); 6] = [
    ("vestibule-message", Level::Info),
    ("vestibule-message-debug", Level::Debug),
    ("vestibule-message-info", Level::Info),
    ("vestibule-message-success", Level::Success),
    ("vestibule-message-warning", Level::Warning),
    ("vestibule-message-error", Level::Error),
];

/// What the head of one answer says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Instructions {
    deletions: Vec<DataChange>,
    sets: Vec<DataChange>,
    messages: Vec<(Level, MessageText)>,
    is_logout: bool,
    fault: Option<Fault>,
}

/// What is to be done for the visitor, whose session or user it concerns.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Changes of what is kept in the session.
    pub changes: Vec<DataChange>,
    /// Messages to be shown, each once.
    pub messages: Vec<(Level, MessageText)>,
}

/// Why what an application says about a session or to its visitor is not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// `Vestibule-Session-Set` has no `=` in it.
    #[error("`Vestibule-Session-Set` is not `key=value`")]
    NoValue,
    /// A key or a value is not encoded as it has to be.
    #[error("something in it has a `%` without two hexadecimal digits, or is not UTF-8")]
    Encoding,
    /// `Vestibule-Logout` says something else than `1`.
    #[error("`Vestibule-Logout` is not `1`")]
    Logout,
    /// `Vestibule-Message` cannot be shown.
    #[error("`Vestibule-Message`: {0}")]
    Message(#[from] MalformedMessage),
    /// The data of a session cannot be so.
    #[error(transparent)]
    Data(#[from] DataError),
}

/// Whether a header of this name, in lower case, is for the gateway. Whatever stands between the
/// words is taken for `-`, as some servers do.
pub fn is_for_us(name: &str) -> bool {
    let rest = name.as_bytes().strip_prefix(b"vestibule");
    rest.and_then(|rest| rest.first()).is_some_and(|byte| !byte.is_ascii_alphanumeric())
}

impl Instructions {
    /// Notes the header `name`, which is for us, with all its values.
    pub(super) fn note(&mut self, name: &HeaderName, values: GetAll<'_, HeaderValue>) {
        for value in values {
            let noted = match name.as_str() {
                SET => self.note_set(value.as_bytes()),
                DELETE => decoded(value.as_bytes())
                    .map(|key| self.deletions.push(DataChange::Delete(key.into()))),
                LOG_OUT if value == "1" => {
                    self.is_logout = true;
                    Ok(())
                }
                LOG_OUT => Err(Fault::Logout),
                other => match MESSAGES.iter().find(|(name, _)| *name == other) {
                    Some((_, level)) => self.note_message(*level, value.as_bytes()),
                    None => Ok(()),
                },
            };
            if let Err(fault) = noted {
                self.fault.get_or_insert(fault);
            }
        }
    }

    fn note_set(&mut self, line: &[u8]) -> Result<(), Fault> {
        let equals = memchr::memchr(b'=', line).ok_or(Fault::NoValue)?;
        let (key, value) = (decoded(&line[..equals])?, decoded(&line[equals + 1..])?);
        let json = serde_json::Value::from(value).to_string();
        self.sets.push(DataChange::Set(key.into(), json.into()));
        Ok(())
    }

    fn note_message(&mut self, level: Level, line: &[u8]) -> Result<(), Fault> {
        self.messages.push((level, MessageText::parse(&decoded(line)?)?));
        Ok(())
    }

    /// Whether the visitor is to be logged out, which comes before any change.
    pub fn is_logout(&self) -> bool {
        self.is_logout
    }

    /// The changes: deletions before everything that is set, since the order of headers with
    /// different names means nothing; and the messages. One that is malformed spoils all.
    pub fn into_wishes(self) -> Result<Wishes, Fault> {
        let changes = self.deletions.into_iter().chain(self.sets).collect();
        self.fault.map_or(Ok(Wishes { changes, messages: self.messages }), Err)
    }
}

/// The text that is percent-encoded in a header: UTF-8, since a header carries ASCII for certain.
fn decoded(bytes: &[u8]) -> Result<String, Fault> {
    let is_whole = |at: usize| {
        bytes.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if !memchr::memchr_iter(b'%', bytes).all(is_whole) {
        return Err(Fault::Encoding);
    }
    let text = percent_decode(bytes).decode_utf8().map_err(|_| Fault::Encoding)?;
    Ok(text.into_owned())
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn read(lines: &[(&'static str, &[u8])]) -> Instructions {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap());
        }
        let mut instructions = Instructions::default();
        for name in headers.keys() {
            instructions.note(name, headers.get_all(name));
        }
        instructions
    }

    fn set(key: &str, json: &str) -> DataChange {
        DataChange::Set(key.into(), json.into())
    }

    #[test]
    fn a_value_is_text_and_becomes_the_text_of_a_json_string() {
        for (line, key, json) in [
            (&b"fav_color=blue"[..], "fav_color", r#""blue""#),
            (b"a=", "a", r#""""#),
            (b"a=b=c; d", "a", r#""b=c; d""#),
            (b"a=%5b1%2C+2%5D", "a", r#""[1,+2]""#),
            (b"n%C3%A4me=Zo%c3%ab \"x\"%0A", "n\u{e4}me", "\"Zo\u{eb} \\\"x\\\"\\n\""),
            ("a=blå".as_bytes(), "a", "\"blå\""),
        ] {
            let wishes = read(&[(SET, line)]).into_wishes().unwrap();
            assert_eq!(wishes.changes, [set(key, json)], "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn deletions_come_first_and_the_last_value_of_a_key_stays() {
        let lines = [(SET, &b"a=1"[..]), (DELETE, b"a"), (SET, b"a=2"), (DELETE, b"b%2Dc")];
        let delete = |key: &str| DataChange::Delete(key.into());
        let expected = [delete("a"), delete("b-c"), set("a", "\"1\""), set("a", "\"2\"")];
        assert_eq!(read(&lines).into_wishes().unwrap().changes, expected);
    }

    #[test]
    fn messages_have_the_level_of_their_header_and_the_order_of_its_lines() {
        let lines = [
            ("vestibule-message", &b"Hello%2C Zo%C3%AB"[..]),
            ("vestibule-message-error", b"100%25 wrong"),
            ("vestibule-message", "wörld".as_bytes()),
            ("vestibule-message-verbose", b"nobody reads this"),
        ];
        let mut said = read(&lines).into_wishes().unwrap().messages;
        said.sort_by_key(|(level, _)| *level);
        let said: Vec<_> = said.iter().map(|(level, text)| (*level, text.as_str())).collect();
        let expected = [
            (Level::Info, "Hello, Zo\u{eb}"),
            (Level::Info, "w\u{f6}rld"),
            (Level::Error, "100% wrong"),
        ];
        assert_eq!(said, expected);
    }

    #[test]
    fn what_is_malformed_spoils_all_changes_but_no_logout() {
        for (line, fault) in [
            ((SET, &b"nothing"[..]), Fault::NoValue),
            ((SET, b"a=50%"), Fault::Encoding),
            ((SET, b"a=%zz"), Fault::Encoding),
            ((SET, b"a=%ff"), Fault::Encoding),
            ((DELETE, b"\xff"), Fault::Encoding),
            ((LOG_OUT, b"yes"), Fault::Logout),
            (("vestibule-message", b"a%0d%0aX: 1"), MalformedMessage::Control('\r').into()),
            (("vestibule-message", b" "), MalformedMessage::Empty.into()),
        ] {
            let instructions = read(&[(SET, b"fine=1"), line, (LOG_OUT, b"1")]);
            assert!(instructions.is_logout());
            assert_eq!(instructions.into_wishes(), Err(fault));
        }
    }

    #[test]
    fn a_header_is_for_us_under_every_spelling_and_no_other_is() {
        for name in ["vestibule-logout", "vestibule_session_set", "vestibule.x", "vestibule~"] {
            assert!(is_for_us(name), "{name}");
        }
        for name in ["vestibule", "vestibules-x", "x-vestibule-logout", "vestibul-e", ""] {
            assert!(!is_for_us(name), "{name}");
        }
    }
}
