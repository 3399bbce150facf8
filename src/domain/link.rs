//! The tokens of links in letters: each for one purpose, one person and some time.
//!
//! A token is an HMAC over what it is for and how the account is at the moment, as in Django's
//! `PasswordResetTokenGenerator`. Nothing is stored: what the link is for changes the account, and
//! with it every token that was made before, so that a link is good once.

use std::fmt;
use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use hmac::digest::KeyInit as _;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use super::{Timestamp, User, UserId};

/// Makes and checks the tokens of links.
pub struct Links {
    key: [u8; 32],
}

/// What a link is for. A token for one purpose, or one account, is worth nothing for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose<'a> {
    /// To set a new password. Another password, a login or another address spends it.
    PasswordReset(&'a User),
    /// To confirm the address that an account was registered with. The account's activation,
    /// another password or another address spends it.
    EmailConfirmation(&'a User),
    /// To make this address the account's. Another password or another address spends it.
    EmailChange(&'a User, &'a str),
    /// To register although not everybody may. The text says which invitation it is, and whoever
    /// made it knows whether it was used.
    Invitation(&'a str),
}

/// The token is not good: made for something else, used, too old, or made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the link is not good, or not any more")]
pub struct BadLink;

/// How many bytes of the HMAC a token has, written as two digits each.
const MAC_LENGTH: usize = 16;

impl Links {
    /// Tokens under a secret that the gateways of a site have in common.
    pub fn new(secret: &[u8; 32]) -> Self {
        // The secret also signs forms; no token of one kind can pass for one of the other.
        let key = hmac(secret).chain_update(b"vestibule links").finalize().into_bytes().into();
        Self { key }
    }

    /// A token that is made at `now`: letters, digits and a `-`.
    pub fn token(&self, purpose: Purpose<'_>, now: Timestamp) -> String {
        let mac = self.mac(purpose, now);
        let digits: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}-{digits}", Base36(now.seconds()))
    }

    /// Whether `token` was made for this purpose, less than `timeout` before `now`, and the
    /// account is still as it was then.
    ///
    /// # Errors
    ///
    /// [`BadLink`], whatever is wrong with it. The time it takes tells nothing about the secret.
    pub fn check(
        &self,
        purpose: Purpose<'_>,
        token: &str,
        timeout: Duration,
        now: Timestamp,
    ) -> Result<(), BadLink> {
        let (made, digits) = token.split_once('-').ok_or(BadLink)?;
        let seconds = u64::from_str_radix(made, 36).map_err(|_| BadLink)?;
        // One spelling for each moment, and none that is cut off at the end of time.
        let made_at = Timestamp::from_seconds(seconds);
        if Base36(made_at.seconds()).to_string() != made {
            return Err(BadLink);
        }
        let mac = self.mac(purpose, made_at);
        let expected: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
        let is_same: bool = expected.as_bytes().ct_eq(digits.as_bytes()).into();
        if is_same && now.since(made_at) < timeout { Ok(()) } else { Err(BadLink) }
    }

    fn mac(&self, purpose: Purpose<'_>, made: Timestamp) -> [u8; MAC_LENGTH] {
        let mut mac = hmac(&self.key);
        // Each part with its length, so that no two lists of parts read the same.
        let mut add = |part: &[u8]| {
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(part);
        };
        add(&made.seconds().to_be_bytes());
        match purpose {
            Purpose::PasswordReset(user) => {
                add(b"password reset");
                add_account(&mut add, user);
                add(&user.last_login.map_or([0; 8], |at| at.seconds().to_be_bytes()));
            }
            Purpose::EmailConfirmation(user) => {
                add(b"e-mail confirmation");
                add_account(&mut add, user);
                add(&[u8::from(user.is_active)]);
            }
            Purpose::EmailChange(user, address) => {
                add(b"e-mail change");
                add_account(&mut add, user);
                add(address.as_bytes());
            }
            Purpose::Invitation(which) => {
                add(b"invitation");
                add(which.as_bytes());
            }
        }
        let mut short = [0; MAC_LENGTH];
        short.copy_from_slice(&mac.finalize().into_bytes()[..MAC_LENGTH]);
        short
    }
}

fn add_account(add: &mut impl FnMut(&[u8]), user: &User) {
    add(&user.id.0.to_be_bytes());
    add(user.password.encoded().as_bytes());
    add(user.email.as_bytes());
}

fn hmac(key: &[u8; 32]) -> Hmac<Sha256> {
    // HMAC fills a short key up with zeros.
    let mut block = [0; 64];
    block[..32].copy_from_slice(key);
    Hmac::<Sha256>::new(&block.into())
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Links(…)")
    }
}

/// A number in the digits `0-9a-z`, as Django's `int_to_base36`.
struct Base36(u64);

impl fmt::Display for Base36 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 >= 36 {
            Base36(self.0 / 36).fmt(f)?;
        }
        let digit = b"0123456789abcdefghijklmnopqrstuvwxyz"[(self.0 % 36) as usize];
        fmt::Write::write_char(f, char::from(digit))
    }
}

/// A user's number in the address of a link: its decimal digits in base64url, as Django's `uidb64`.
pub fn uid(user: UserId) -> String {
    segment(&user.0.to_string())
}

/// The user whom a link names; `None` if it names nobody.
pub fn user_of(uid: &str) -> Option<UserId> {
    let digits = text_of(uid)?;
    let number = digits.parse().ok()?;
    (uid == self::uid(UserId(number))).then_some(UserId(number))
}

/// Any text as one segment of an address: base64url.
pub fn segment(text: &str) -> String {
    Base64UrlUnpadded::encode_string(text.as_bytes())
}

/// The text in a segment; `None` if there is none.
pub fn text_of(segment: &str) -> Option<String> {
    String::from_utf8(Base64UrlUnpadded::decode_vec(segment).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::PasswordHash;

    const NOON: Timestamp = Timestamp::from_seconds(1_800_000_000);
    const DAY: Duration = Duration::from_secs(86_400);

    fn ada() -> User {
        User {
            id: UserId(7),
            username: "ada".to_owned(),
            first_name: String::new(),
            last_name: String::new(),
            email: "ada@example.org".to_owned(),
            password: PasswordHash::from_encoded("argon2$x"),
            is_staff: false,
            is_active: true,
            is_superuser: false,
            last_login: Some(NOON),
            date_joined: NOON,
            groups: Vec::new(),
            permissions: std::collections::BTreeSet::new(),
            group_permissions: std::collections::BTreeSet::new(),
            profile: std::collections::BTreeMap::new(),
            has_messages: false,
        }
    }

    #[test]
    fn a_token_is_good_for_its_purpose_account_and_time_only() {
        let (links, ada) = (Links::new(&[1; 32]), ada());
        let token = links.token(Purpose::PasswordReset(&ada), NOON);
        let reset = Purpose::PasswordReset(&ada);
        assert_eq!(links.check(reset, &token, DAY, NOON), Ok(()));
        assert_eq!(
            links.check(reset, &token, DAY, NOON.after(DAY - Duration::from_secs(1))),
            Ok(())
        );
        assert_eq!(links.check(reset, &token, DAY, NOON.after(DAY)), Err(BadLink));
        for other in [
            Purpose::EmailConfirmation(&ada),
            Purpose::EmailChange(&ada, "x@example.org"),
            Purpose::Invitation("7"),
        ] {
            assert_eq!(links.check(other, &token, DAY, NOON), Err(BadLink), "{other:?}");
        }
        assert!(Links::new(&[2; 32]).check(reset, &token, DAY, NOON).is_err());
        let mut others = vec![ada.clone(); 4];
        others[0].id = UserId(8);
        others[1].password = PasswordHash::from_encoded("argon2$y");
        others[2].email = "ada@example.com".to_owned();
        others[3].last_login = None;
        for other in &others {
            assert!(
                links.check(Purpose::PasswordReset(other), &token, DAY, NOON).is_err(),
                "{other:?}"
            );
        }
    }

    #[test]
    fn tokens_are_spent_by_what_they_are_for() {
        let links = Links::new(&[1; 32]);
        let inactive = User { is_active: false, ..ada() };
        let token = links.token(Purpose::EmailConfirmation(&inactive), NOON);
        fn check(links: &Links, purpose: Purpose<'_>, token: &str) -> Result<(), BadLink> {
            links.check(purpose, token, DAY, NOON)
        }
        assert_eq!(check(&links, Purpose::EmailConfirmation(&inactive), &token), Ok(()));
        assert_eq!(check(&links, Purpose::EmailConfirmation(&ada()), &token), Err(BadLink));
        let (new, ada) = ("new@example.org", ada());
        let token = links.token(Purpose::EmailChange(&ada, new), NOON);
        assert_eq!(check(&links, Purpose::EmailChange(&ada, new), &token), Ok(()));
        assert_eq!(
            check(&links, Purpose::EmailChange(&ada, "eve@example.org"), &token),
            Err(BadLink)
        );
        let logged_in = User { last_login: None, ..ada.clone() };
        assert_eq!(check(&links, Purpose::EmailChange(&logged_in, new), &token), Ok(()));
        let changed = User { email: new.to_owned(), ..ada };
        assert_eq!(check(&links, Purpose::EmailChange(&changed, new), &token), Err(BadLink));
    }

    #[test]
    fn a_token_that_was_tampered_with_is_bad() {
        let (links, ada) = (Links::new(&[1; 32]), ada());
        let reset = Purpose::PasswordReset(&ada);
        let token = links.token(reset, NOON);
        let (made, digits) = token.split_once('-').unwrap();
        for bad in [
            String::new(),
            "-".to_owned(),
            made.to_owned(),
            digits.to_owned(),
            format!("{made}-"),
            format!("0{made}-{digits}"),
            format!("+{made}-{digits}"),
            format!("{}-{digits}", made.to_uppercase()),
            format!("{made}-{}", digits.to_uppercase()),
            format!("{made}-{digits}0"),
            format!("{made}-{}", &digits[..31]),
            format!("zzzzzzzzzzz-{digits}"),
            format!("{}-{digits}", Base36(NOON.seconds() + 1)),
            format!(" {token}"),
        ] {
            if bad != token {
                assert_eq!(links.check(reset, &bad, DAY, NOON), Err(BadLink), "{bad}");
            }
        }
    }

    #[test]
    fn numbers_are_written_as_django_writes_them() {
        assert_eq!(uid(UserId(1)), "MQ");
        assert_eq!(uid(UserId(12)), "MTI");
        assert_eq!(user_of("MTI"), Some(UserId(12)));
        for bad in ["", "MQ==", "mq", "x", "KzE", "MDE", "../", "LTE=", "////"] {
            assert_eq!(user_of(bad), None, "{bad}");
        }
        assert_eq!(Base36(1_800_000_000).to_string(), "tro8w0");
        assert_eq!(Base36(0).to_string(), "0");
    }
}
