//! Browsers in which an account has logged in before, known by a cookie: OWASP's "device cookies".
//!
//! The cookie outlives logouts. It lets nobody in: whoever has it may go on trying when strangers
//! have failed so often that others have to wait, with a counter of its own. It is good for the
//! accounts that it names, as long as each has the password with which it logged in.

use std::time::Duration;

use ::cookie::Cookie;
use base64ct::{Base64UrlUnpadded, Encoding as _};
use hmac::digest::KeyInit as _;
use hmac::{Hmac, Mac as _};
use http::{HeaderMap, HeaderValue};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::domain::{Timestamp, User, UserId};
use crate::sessions::{CookieSettings, SameSite};
use crate::web::cookie;

/// The name of the cookie.
pub(super) const COOKIE: &str = "knownbrowser";

/// How long a browser is known after a login: as long as browsers keep a cookie at most (RFC 6265bis).
const AGE: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// How many accounts a browser is known for; past it the one that logged in longest ago goes.
const MOST_ACCOUNTS: usize = 8;

/// Between two accounts in the cookie.
const SEPARATOR: u8 = b'.';

/// A browser in which a user has logged in: what its failures are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct KnownBrowser {
    user: UserId,
    nonce: [u8; 16],
}

impl KnownBrowser {
    /// The browser whose failures were counted before a restart. It lets nobody pass: that a
    /// request comes from it is for the cookie to show.
    pub(super) fn counted(user: UserId, nonce: [u8; 16]) -> Self {
        Self { user, nonce }
    }

    /// Whose it is.
    pub(super) fn user(&self) -> UserId {
        self.user
    }

    /// What tells it from the user's others.
    pub(super) fn nonce(&self) -> &[u8; 16] {
        &self.nonce
    }
}

/// What signs and reads the cookie. It keeps its key over restarts.
pub(super) struct KnownBrowsers(Hmac<Sha256>);

/// What the cookie says of one account. There is none that we have not signed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry([u8; Entry::LENGTH]);

impl Entry {
    /// Number, moment, nonce, digest of the password's mark, signature.
    const LENGTH: usize = 8 + 4 + 16 + 8 + 16;
    const SIGNED: usize = Self::LENGTH - 16;

    /// Whose it is.
    pub(super) fn user(&self) -> UserId {
        UserId(i64::from_be_bytes(self.part::<0, 8>()))
    }

    fn issued(&self) -> Timestamp {
        Timestamp::from_seconds(u32::from_be_bytes(self.part::<8, 4>()).into())
    }

    fn nonce(&self) -> [u8; 16] {
        self.part::<12, 16>()
    }

    fn password(&self) -> [u8; 8] {
        self.part::<28, 8>()
    }

    fn part<const AT: usize, const LENGTH: usize>(&self) -> [u8; LENGTH] {
        let mut part = [0; LENGTH];
        part.copy_from_slice(&self.0[AT..AT + LENGTH]);
        part
    }
}

impl KnownBrowsers {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        // HMAC fills a short key up with zeros.
        let mut block = [0; 64];
        block[..32].copy_from_slice(key);
        Self(Hmac::new(&block.into()).chain_update(b"vestibule: known browsers\0"))
    }

    /// What the request's cookie says, as far as it is signed by us and not too old. Nobody is asked
    /// for a user before that is known.
    pub(super) fn entries(&self, headers: &HeaderMap, now: Timestamp) -> Vec<Entry> {
        cookie::pairs(headers)
            .filter(|(name, _)| *name == COOKIE.as_bytes())
            .flat_map(|(_, value)| value.split(|&byte| byte == SEPARATOR))
            .take(2 * MOST_ACCOUNTS)
            .filter_map(|text| self.read(text))
            .filter(|entry| now.since(entry.issued()) < AGE)
            .take(MOST_ACCOUNTS)
            .collect()
    }

    /// The browser, if `entry` says that `user` has logged in there with the password of now.
    pub(super) fn confirm(&self, entry: &Entry, user: &User) -> Option<KnownBrowser> {
        let is_same = entry.user() == user.id && entry.password() == self.password(user);
        is_same.then(|| KnownBrowser { user: user.id, nonce: entry.nonce() })
    }

    /// The `Set-Cookie` after `user` has logged in: known for this account from now on, and still
    /// for the others in `before`.
    pub(super) fn cookie(
        &self,
        user: &User,
        before: &[Entry],
        nonce: [u8; 16],
        now: Timestamp,
        (prefix, session, is_secure): (&str, &CookieSettings, bool),
    ) -> HeaderValue {
        let others = before.iter().filter(|entry| entry.user() != user.id).copied();
        let entries =
            std::iter::once(self.sign(user, nonce, now)).chain(others).take(MOST_ACCOUNTS);
        let texts = entries.map(|entry| Base64UrlUnpadded::encode_string(&entry.0));
        let value = texts.collect::<Vec<_>>().join(".");
        let mut cookie = Cookie::new(COOKIE, value);
        cookie.set_http_only(true);
        let age = i64::try_from(AGE.as_secs()).unwrap_or(i64::MAX);
        cookie.set_max_age(::cookie::time::Duration::seconds(age));
        let settings = CookieSettings {
            name: COOKIE.to_owned(),
            domain: session.domain.clone(),
            // Our own pages alone ask for it: it reaches no application.
            path: prefix.to_owned(),
            secure: session.secure,
            same_site: SameSite::Lax,
        };
        cookie::written(cookie, &settings, is_secure)
    }

    fn sign(&self, user: &User, nonce: [u8; 16], now: Timestamp) -> Entry {
        let mut bytes = Vec::with_capacity(Entry::LENGTH);
        bytes.extend(user.id.0.to_be_bytes());
        bytes.extend(u32::try_from(now.seconds()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend(nonce);
        bytes.extend(self.password(user));
        bytes.extend(self.signature(&bytes));
        let mut entry = [0; Entry::LENGTH];
        entry.copy_from_slice(&bytes);
        Entry(entry)
    }

    fn read(&self, text: &[u8]) -> Option<Entry> {
        let text = std::str::from_utf8(text).ok()?;
        let mut bytes = [0; Entry::LENGTH];
        let length = Base64UrlUnpadded::decode(text, &mut bytes).ok()?.len();
        let signature = self.signature(&bytes[..Entry::SIGNED]);
        let is_ours: bool = bytes[Entry::SIGNED..].ct_eq(&signature).into();
        (is_ours && length == Entry::LENGTH).then_some(Entry(bytes))
    }

    fn signature(&self, bytes: &[u8]) -> [u8; 16] {
        self.digest(b"entry\0", bytes)
    }

    /// What the cookie remembers of the password: a digest of its mark, which stays with us.
    fn password(&self, user: &User) -> [u8; 8] {
        let mut bytes = user.id.0.to_be_bytes().to_vec();
        bytes.extend(user.password.mark().as_bytes());
        self.digest(b"password\0", &bytes)
    }

    fn digest<const LENGTH: usize>(&self, what: &[u8], bytes: &[u8]) -> [u8; LENGTH] {
        let mac = self.0.clone().chain_update(what).chain_update(bytes);
        let mut digest = [0; LENGTH];
        digest.copy_from_slice(&mac.finalize().into_bytes()[..LENGTH]);
        digest
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::domain::PasswordHash;

    const NOON: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn user(id: i64, hash: &str) -> User {
        User {
            id: UserId(id),
            username: format!("user{id}"),
            first_name: String::new(),
            last_name: String::new(),
            email: String::new(),
            password: PasswordHash::from_encoded(hash),
            is_staff: false,
            is_active: true,
            is_superuser: false,
            last_login: None,
            date_joined: NOON,
            groups: Vec::new(),
            permissions: BTreeSet::new(),
            group_permissions: BTreeSet::new(),
            profile: BTreeMap::new(),
            has_messages: false,
        }
    }

    fn written(browsers: &KnownBrowsers, user: &User, before: &[Entry], nonce: u8) -> String {
        let session = crate::sessions::Settings::default().cookie;
        let place = ("/accounts/", &session, true);
        let cookie = browsers.cookie(user, before, [nonce; 16], NOON, place);
        cookie.to_str().unwrap().to_owned()
    }

    fn sent(pair: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(http::header::COOKIE, HeaderValue::from_str(pair).unwrap());
        headers
    }

    fn pair(cookie: &str) -> &str {
        cookie.split(';').next().unwrap()
    }

    #[test]
    fn a_browser_is_known_for_its_account_and_password_only() {
        let browsers = KnownBrowsers::new(&[1; 32]);
        let ada = user(1, "argon2$a");
        let cookie = written(&browsers, &ada, &[], 9);
        for attribute in
            ["HttpOnly", "Secure", "SameSite=Lax", "Path=/accounts/", "Max-Age=34560000"]
        {
            assert!(cookie.contains(attribute), "{attribute} in {cookie}");
        }
        let entries = browsers.entries(&sent(pair(&cookie)), NOON);
        assert_eq!(entries.len(), 1);
        let known = browsers.confirm(&entries[0], &ada).unwrap();
        assert_eq!((known.user(), known.nonce), (UserId(1), [9; 16]));
        assert!(browsers.confirm(&entries[0], &user(1, "argon2$b")).is_none(), "another password");
        assert!(browsers.confirm(&entries[0], &user(2, "argon2$a")).is_none(), "another user");
        let late = NOON.after(AGE);
        assert!(browsers.entries(&sent(pair(&cookie)), late).is_empty());
        let others = KnownBrowsers::new(&[2; 32]);
        assert!(others.entries(&sent(pair(&cookie)), NOON).is_empty(), "another gateway's");
    }

    #[test]
    fn not_a_byte_of_it_can_be_changed() {
        let browsers = KnownBrowsers::new(&[1; 32]);
        let cookie = written(&browsers, &user(1, "argon2$a"), &[], 9);
        let text = pair(&cookie).split_once('=').unwrap().1;
        let bytes = Base64UrlUnpadded::decode_vec(text).unwrap();
        for at in 0..bytes.len() {
            let mut forged = bytes.clone();
            forged[at] ^= 1;
            let forged = Base64UrlUnpadded::encode_string(&forged);
            assert!(browsers.read(forged.as_bytes()).is_none(), "byte {at}");
        }
        for bad in ["", "x", &text[1..], &text[..text.len() - 1], &format!("{text}AAAA"), "é"] {
            assert!(browsers.read(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_browser_is_known_for_several_accounts_and_forgets_the_oldest() {
        let browsers = KnownBrowsers::new(&[1; 32]);
        let mut cookie = String::new();
        for id in 1..=10 {
            let before = browsers.entries(&sent(pair(&format!("{cookie};"))), NOON);
            cookie = written(&browsers, &user(id, "argon2$a"), &before, 1);
        }
        let ids = |cookie: &str| {
            let entries = browsers.entries(&sent(pair(cookie)), NOON);
            entries.iter().map(|entry| entry.user().0).collect::<Vec<_>>()
        };
        assert_eq!(ids(&cookie), [10, 9, 8, 7, 6, 5, 4, 3]);
        let before = browsers.entries(&sent(pair(&cookie)), NOON);
        let again = written(&browsers, &user(5, "argon2$a"), &before, 2);
        assert_eq!(ids(&again), [5, 10, 9, 8, 7, 6, 4, 3]);
        assert!(again.len() < 1000, "{}", again.len());
    }

    #[test]
    fn a_flood_of_entries_is_not_read() {
        let browsers = KnownBrowsers::new(&[1; 32]);
        let cookie = written(&browsers, &user(1, "argon2$a"), &[], 9);
        let text = pair(&cookie).split_once('=').unwrap().1;
        let flood = format!("knownbrowser={}{text}", "x.".repeat(1000));
        assert!(browsers.entries(&sent(&flood), NOON).is_empty());
        let twice = format!("knownbrowser=planted; a=b; {}", pair(&cookie));
        assert_eq!(
            browsers.entries(&sent(&twice), NOON).len(),
            1,
            "an application's is passed over"
        );
    }
}
