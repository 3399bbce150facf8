//! What may stand in the fields of users and groups.

use super::command::Secret;
use super::error::CommandError;
use super::password::{Attributes, Validators, Weakness};
use crate::domain::Permission;
use crate::domain::email_address::{EmailAddress, NotAnAddress};
use crate::domain::password::MAX_PASSWORD_LENGTH;
use crate::domain::user::{self, UsernameRule};

/// The stored form of a name that is given to a user.
pub(super) fn username(name: &str, rule: UsernameRule) -> Result<String, CommandError> {
    let name = user::normalize_username(name).map_err(|error| invalid(&error))?;
    rule.allows(&name).map_err(|error| invalid(&error))?;
    Ok(name)
}

/// A permission by its name.
pub(super) fn permission(name: &str) -> Result<Permission, CommandError> {
    name.parse().map_err(|error| invalid(&error))
}

/// Refuses a new password for all that is wrong with it; the message never repeats it.
pub(super) fn check_password(
    password: &Secret,
    about: &Attributes,
    validators: &Validators,
) -> Result<(), CommandError> {
    let Err(found) = validators.check(password.reveal(), about) else { return Ok(()) };
    let lines = found.iter().map(|weakness| match weakness {
        Weakness::TooLong => {
            format!("the password is too long\nhint: at most {MAX_PASSWORD_LENGTH} bytes")
        }
        Weakness::TooShort(least) => {
            format!("the password is too short\nhint: at least {least} characters")
        }
        Weakness::TooSimilar(attribute) => format!(
            "the password is too similar to the {attribute}\n\
             hint: whoever knows the user tries that"
        ),
        Weakness::TooCommon => {
            "the password is a common one\nhint: it is among those that everybody tries first"
                .to_owned()
        }
        Weakness::EntirelyNumeric => {
            "the password is entirely numeric\nhint: mix in something that is no digit".to_owned()
        }
    });
    Err(invalid(&lines.collect::<Vec<_>>().join("\n")))
}

/// A first or last name: up to 150 characters, as in Django.
pub(super) fn check_name(what: &str, name: &str) -> Result<(), CommandError> {
    check_text(what, name, 150)
}

/// The stored form of an e-mail address: the part after the `@` in lower case, as in Django's
/// `normalize_email`. Whether mail arrives there is not for its form to say.
pub(super) fn email(address: &str) -> Result<String, CommandError> {
    check_text("e-mail address", address, 254)?;
    if address.is_empty() {
        return Ok(String::new());
    }
    match EmailAddress::parse(address) {
        Ok(address) => Ok(address.to_string()),
        Err(NotAnAddress) => Err(invalid(&format_args!(
            "`{}` is not an e-mail address\nhint: write `name@example.org`",
            address.escape_debug()
        ))),
    }
}

/// The name of a group: something to read, up to 150 characters.
pub fn check_group_name(name: &str) -> Result<(), CommandError> {
    if name.trim().is_empty() || name.trim() != name {
        return Err(invalid(&format_args!(
            "`{}` cannot name a group\nhint: no space at either end, and something between",
            name.escape_debug()
        )));
    }
    check_text("group's name", name, 150)
}

/// The description of a permission.
pub(super) fn check_description(description: &str) -> Result<(), CommandError> {
    check_text("description", description, 255)
}

/// A field of a profile: a name that templates can write after a dot, and its text.
pub(super) fn check_profile(field: &str, value: &str) -> Result<(), CommandError> {
    let is_name = field.len() <= 100
        && field.starts_with(|c: char| c.is_ascii_alphabetic())
        && field.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !is_name {
        return Err(invalid(&format_args!(
            "`{}` cannot name a profile's field\nhint: letters, digits and `_`, a letter first",
            field.escape_debug()
        )));
    }
    check_text("profile's field", value, 4096)
}

/// Control characters are refused because values go into headers, logs and terminals.
fn check_text(what: &str, text: &str, limit: usize) -> Result<(), CommandError> {
    let length = text.chars().count();
    if length > limit {
        return Err(invalid(&format_args!(
            "the {what} has {length} characters\nhint: {limit} or fewer"
        )));
    }
    match text.chars().find(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        Some(c) => Err(invalid(&format_args!("the {what} has the control character {c:?} in it"))),
        None => Ok(()),
    }
}

fn invalid(message: &dyn std::fmt::Display) -> CommandError {
    CommandError::Invalid(message.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_what_is_none() {
        assert_eq!(email("Ada@Example.ORG").unwrap(), "Ada@example.org");
        assert_eq!(email("").unwrap(), "");
        for bad in ["ada", "@", "a@", "@b", "a@b@c", "a b@c", "a@b\r\nX: 1", "a@b,c", "<a@b>"] {
            assert!(email(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn passwords_are_measured_in_characters_below_and_in_bytes_above() {
        let check = |password: String| {
            let about = Attributes { username: "lovelace".to_owned(), ..Attributes::default() };
            check_password(&Secret::from(password), &about, &Validators::default())
        };
        assert!(check("ünïcödè".to_owned()).is_err());
        assert!(check("ünïcödè!".to_owned()).is_ok());
        assert!(check("x".repeat(4096)).is_ok());
        assert!(check("x".repeat(4097)).is_err());
        assert!(check(String::new()).is_err());
        let error = check("love".to_owned()).unwrap_err().to_string();
        assert!(error.contains("too short") && error.contains("a common one"), "{error}");
        let error = check("lovelacy".to_owned()).unwrap_err().to_string();
        assert!(error.contains("the username") && !error.contains("lovelacy"), "{error}");
    }

    #[test]
    fn values_cannot_carry_control_characters() {
        assert!(check_name("first name", "Ada\r\nX-Admin: 1").is_err());
        assert!(check_group_name("Site\u{0}editors").is_err());
        assert!(check_group_name(" editors").is_err());
        assert!(check_group_name("Site editors").is_ok());
        assert!(check_profile("favorite_band", "Ütz\u{1b}[2J").is_err());
        assert!(check_profile("favorite_band", "The Beatles").is_ok());
        assert!(check_profile("favorite band", "x").is_err());
    }
}
