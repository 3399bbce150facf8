//! Permissions, named as Django names them: `app.codename`.

use std::fmt;
use std::str::FromStr;

/// The name of a permission, `app.codename`: letters, digits and `_` on both sides of one dot.
///
/// Source: `Permission` in Django's `contrib/auth/models.py`; the codename is at most 100
/// characters and the application's label at most 100.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permission(Box<str>);

/// The text is not of the form `app.codename`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a permission\nhint: write `app.codename`, for example `polls.can_vote`")]
pub struct MalformedPermission(pub String);

impl Permission {
    /// The whole name, `app.codename`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the dot: the application that the permission belongs to.
    pub fn app(&self) -> &str {
        self.0.split_once('.').map_or("", |(app, _)| app)
    }

    /// The part after the dot: what may be done.
    pub fn codename(&self) -> &str {
        self.0.split_once('.').map_or("", |(_, codename)| codename)
    }
}

impl FromStr for Permission {
    type Err = MalformedPermission;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let well_formed = |part: &str| {
            (1..=100).contains(&part.len())
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        };
        match text.split_once('.') {
            Some((app, codename)) if well_formed(app) && well_formed(codename) => {
                Ok(Self(text.into()))
            }
            Some(_) | None => Err(MalformedPermission(text.to_owned())),
        }
    }
}

impl std::borrow::Borrow<str> for Permission {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permission_is_an_app_and_a_codename() {
        let permission: Permission = "polls.can_vote".parse().unwrap();
        assert_eq!((permission.app(), permission.codename()), ("polls", "can_vote"));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "polls", ".can_vote", "polls.", "a.b.c", "polls.can vote", "polls.ünder"]
        {
            assert!(text.parse::<Permission>().is_err(), "{text:?}");
        }
    }
}
