//! Sessions: the secret in the cookie, the key it is stored under, and how long it lives.

use std::fmt;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::password::PasswordMark;
use super::{Timestamp, User, UserId, Verified};

/// The secret that a browser's cookie carries: 32 characters of `a-z0-9`, about 165 random bits.
///
/// It is shown to its browser and kept nowhere; everything else knows the [`SessionKey`].
#[derive(Clone, PartialEq, Eq)]
pub struct SessionId([u8; Self::LENGTH]);

impl SessionId {
    /// How many characters an id has, as in Django's `SessionBase._get_new_session_key`.
    pub const LENGTH: usize = 32;

    const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

    /// Reads an id from the value of a cookie; `None` when it cannot be one of ours.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let id: [u8; Self::LENGTH] = text.try_into().ok()?;
        id.iter().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase()).then_some(Self(id))
    }

    /// Makes an id from random bytes: every character is taken by rejection, so all are equally
    /// likely. `None` when so many bytes were rejected that too few are left; ask again then.
    pub fn from_random(bytes: &[u8; 64]) -> Option<Self> {
        let mut accepted =
            bytes.iter().filter(|&&byte| byte < 252).map(|byte| usize::from(byte % 36));
        let mut id = [0; Self::LENGTH];
        for character in &mut id {
            *character = Self::ALPHABET[accepted.next()?];
        }
        Some(Self(id))
    }

    /// The text for the `Set-Cookie` header, the only place where it may go.
    pub fn reveal(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(…)")
    }
}

/// The name of a session in the store, on disk, in logs and in commands: a digest of its id.
///
/// It does not lead back to the id, so whoever reads one can end the session but not use it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey([u8; 16]);

impl SessionKey {
    /// The key of the session with this id: the first 128 bits of its SHA-256.
    pub fn of(id: &SessionId) -> Self {
        let digest = Sha256::digest(id.0);
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        Self(key)
    }

    /// The key with these bytes, as a store kept them.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Reads a key as it is displayed: 32 hexadecimal digits. `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let is_hexadecimal = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let number = is_hexadecimal.then(|| u128::from_str_radix(text, 16).ok()).flatten()?;
        Some(Self(number.to_be_bytes()))
    }

    /// The key's bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionKey({self})")
    }
}

/// How long sessions live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// From login, or from the last renewal when every request renews: Django's `SESSION_COOKIE_AGE`.
    pub age: Duration,
    /// The longest pause between two requests; no bound when unset.
    pub idle: Option<Duration>,
    /// The longest life from login, however busy; no bound when unset.
    pub absolute: Option<Duration>,
}

/// When a session began, when it was last used, and when it ends if nothing renews it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// When it began.
    pub started: Timestamp,
    /// When the last request came by it.
    pub last_seen: Timestamp,
    /// From when on it is over.
    pub expires: Timestamp,
}

impl Span {
    /// Begins at `now`, with the full age before it.
    pub fn begin(now: Timestamp, lifetime: &Lifetime) -> Self {
        Self { started: now, last_seen: now, expires: now.after(lifetime.age) }
    }

    /// Whether the session is good at `now`: not expired, not idle for too long, not too old.
    pub fn is_live(&self, now: Timestamp, lifetime: &Lifetime) -> bool {
        let within = |bound: Option<Duration>, since: Timestamp| {
            bound.is_none_or(|bound| now.since(since) < bound)
        };
        now < self.expires
            && within(lifetime.idle, self.last_seen)
            && within(lifetime.absolute, self.started)
    }

    /// From when on the session is over if it is neither used nor renewed until then.
    pub fn ends(&self, lifetime: &Lifetime) -> Timestamp {
        let bound = |bound: Option<Duration>, since: Timestamp| {
            bound.map_or(self.expires, |bound| since.after(bound))
        };
        let idle = bound(lifetime.idle, self.last_seen);
        self.expires.min(idle).min(bound(lifetime.absolute, self.started))
    }

    /// After a request at `now`: seen, and not renewed.
    #[must_use]
    pub fn seen(self, now: Timestamp) -> Self {
        Self { last_seen: self.last_seen.max(now), ..self }
    }

    /// With the full age before it again, as `save_every_request` and a change of data give.
    #[must_use]
    pub fn renewed(self, now: Timestamp, lifetime: &Lifetime) -> Self {
        Self { expires: self.expires.max(now.after(lifetime.age)), ..self.seen(now) }
    }
}

/// A login happened: whose, when, and until when it is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    user: UserId,
    password: PasswordMark,
    span: Span,
}

impl Session {
    /// Begins a session for the user whose credentials were just verified.
    pub fn begin(verified: &Verified, now: Timestamp, lifetime: &Lifetime) -> Self {
        let user = verified.user();
        Self { user: user.id, password: user.password.mark(), span: Span::begin(now, lifetime) }
    }

    /// The session that was begun once and kept since, as the store has it; only the layer
    /// `sessions` may call this.
    pub fn restore(user: UserId, password: PasswordMark, span: Span) -> Self {
        Self { user, password, span }
    }

    /// The session that [`Identity::assumed`](super::Identity::assumed) needs; it is in no store.
    pub(super) fn assumed(user: &User, now: Timestamp) -> Self {
        let span = Span { started: now, last_seen: now, expires: now };
        Self { user: user.id, password: user.password.mark(), span }
    }

    /// Whether the session is good at `now`.
    pub fn is_live(&self, now: Timestamp, lifetime: &Lifetime) -> bool {
        self.span.is_live(now, lifetime)
    }

    /// Whose session this is.
    pub fn user(&self) -> UserId {
        self.user
    }

    /// The password that the session began with.
    pub fn password(&self) -> PasswordMark {
        self.password
    }

    /// When the session began, was last used, and ends.
    pub fn span(&self) -> Span {
        self.span
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_when_it_is_no_longer_live() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        for (idle, absolute) in [(None, None), (seconds(5), None), (seconds(9), seconds(7))] {
            let lifetime = Lifetime { age: Duration::from_secs(10), idle, absolute };
            let span = Span::begin(Timestamp::from_seconds(100), &lifetime);
            let span = span.seen(Timestamp::from_seconds(102));
            let end = span.ends(&lifetime);
            assert!(!span.is_live(end, &lifetime), "{lifetime:?}");
            assert!(span.is_live(Timestamp::from_seconds(end.seconds() - 1), &lifetime));
        }
    }

    #[test]
    fn ids_are_read_exactly() {
        let id = SessionId::parse(b"abcdefghijklmnopqrstuvwxyz012345").unwrap();
        assert_eq!(id.reveal(), "abcdefghijklmnopqrstuvwxyz012345");
        for bad in
            ["", "abc", "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345", "abcdefghijklmnopqrstuvwxyz01234\0"]
        {
            assert!(SessionId::parse(bad.as_bytes()).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn a_key_is_read_as_it_is_displayed() {
        let key = SessionKey::of(&SessionId::from_random(&[7; 64]).unwrap());
        assert_eq!(SessionKey::parse(&key.to_string()), Some(key));
        for bad in ["", "0", "+0000000000000000000000000000000", &"g".repeat(32), &"0".repeat(33)] {
            assert_eq!(SessionKey::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn too_few_random_bytes_make_no_id() {
        assert!(SessionId::from_random(&[255; 64]).is_none());
        assert_eq!(SessionId::from_random(&[0; 64]).unwrap().reveal(), "a".repeat(32));
    }

    #[test]
    fn debug_shows_no_secret() {
        let id = SessionId::parse(b"abcdefghijklmnopqrstuvwxyz012345").unwrap();
        assert_eq!(format!("{id:?}"), "SessionId(…)");
    }
}
