//! The changes of single fields of a user.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::nearest;

/// One field of a user with its new value; on the command line `KEY=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The name to log in with.
    Username(String),
    /// Given name.
    FirstName(String),
    /// Family name.
    LastName(String),
    /// E-mail address.
    Email(String),
    /// Whether the user may log in and has any permission.
    IsActive(bool),
    /// Whether the user may enter the gateway's own administration.
    IsStaff(bool),
    /// Whether the user has every permission.
    IsSuperuser(bool),
    /// One field of the profile; an empty value removes it.
    Profile {
        /// Its name.
        field: String,
        /// Its text.
        value: String,
    },
}

impl Change {
    /// What can stand before the `=`.
    const KEYS: [&str; 8] = [
        "username",
        "first_name",
        "last_name",
        "email",
        "is_active",
        "is_staff",
        "is_superuser",
        "profile.FIELD",
    ];
}

impl FromStr for Change {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((key, value)) = text.split_once('=') else {
            return Err("write `KEY=VALUE`, for example `is_active=false`".to_owned());
        };
        let text = || value.to_owned();
        let flag = || match value {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(format!("`{key}` is `true` or `false`")),
        };
        Ok(match key {
            "username" => Self::Username(text()),
            "first_name" => Self::FirstName(text()),
            "last_name" => Self::LastName(text()),
            "email" => Self::Email(text()),
            "is_active" => Self::IsActive(flag()?),
            "is_staff" => Self::IsStaff(flag()?),
            "is_superuser" => Self::IsSuperuser(flag()?),
            "password" => return Err("use `vestibule user set-password`".to_owned()),
            key => match key.strip_prefix("profile.") {
                Some(field) => Self::Profile { field: field.to_owned(), value: text() },
                None => return Err(unknown_key(key)),
            },
        })
    }
}

fn unknown_key(key: &str) -> String {
    match nearest(key, Change::KEYS.map(str::to_owned)) {
        Some(near) => format!("there is no key `{key}`; did you mean `{near}`?"),
        None => format!("there is no key `{key}`; there are {}", Change::KEYS.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_read_from_key_and_value() {
        assert_eq!("email=a=b@c".parse(), Ok(Change::Email("a=b@c".to_owned())));
        assert_eq!("is_active=false".parse(), Ok(Change::IsActive(false)));
        let band = Change::Profile { field: "band".to_owned(), value: "x".to_owned() };
        assert_eq!("profile.band=x".parse(), Ok(band));
        let error = |text: &str| text.parse::<Change>().unwrap_err();
        assert!(error("is_activ=false").contains("did you mean `is_active`?"));
        assert!(error("is_active=maybe").contains("`true` or `false`"));
        assert!(error("password=x").contains("set-password"));
        assert!(error("email").contains("KEY=VALUE"));
    }
}
