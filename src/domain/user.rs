//! Users, with the fields and the questions of Django's `User`.

use std::collections::{BTreeMap, BTreeSet};

use super::{PasswordHash, Permission, Timestamp};

/// The number of a user in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(pub i64);

/// A user as stored: the fields of the Django Book's Table 12-3, with groups and permissions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The number that sessions refer to; never used again after the user is deleted.
    pub id: UserId,
    /// The name one logs in with; 1 to 150 characters: letters, digits and `@.+-_`.
    pub username: String,
    /// Given name, possibly empty.
    pub first_name: String,
    /// Family name, possibly empty.
    pub last_name: String,
    /// E-mail address, possibly empty.
    pub email: String,
    /// The self-describing password hash.
    pub password: PasswordHash,
    /// Whether the user may enter the gateway's own administration.
    pub is_staff: bool,
    /// Whether the user may log in and has any permission at all.
    pub is_active: bool,
    /// Whether the user has every permission without being given one.
    pub is_superuser: bool,
    /// When the user last logged in.
    pub last_login: Option<Timestamp>,
    /// When the account was made.
    pub date_joined: Timestamp,
    /// The names of the user's groups, sorted.
    pub groups: Vec<String>,
    /// The user's own permissions together with those of the groups.
    pub permissions: BTreeSet<Permission>,
    /// Those of them that the groups give, whether they are the user's own as well or not. Of a
    /// superuser these are all that there are, as in Django's `ModelBackend`.
    pub group_permissions: BTreeSet<Permission>,
    /// The user's profile: declared fields and their values.
    pub profile: BTreeMap<String, String>,
    /// Whether messages waited for the user when this was loaded.
    pub has_messages: bool,
}

/// The methods of the Django Book's Table 12-4 that need nobody else. Of the others,
/// `get_and_delete_messages` is the gateway's, which shows each message once.
impl User {
    /// Always: who is not logged in is no `User`.
    pub const fn is_authenticated(&self) -> bool {
        true
    }

    /// Never: who is not logged in is no `User`.
    pub const fn is_anonymous(&self) -> bool {
        false
    }

    /// First and last name with one space between them, trimmed; empty when both are.
    pub fn get_full_name(&self) -> String {
        format!("{} {}", self.first_name, self.last_name).trim().to_owned()
    }

    /// The first name alone.
    pub fn get_short_name(&self) -> &str {
        &self.first_name
    }

    /// What the user's groups give; all there is for superusers, nothing for inactive users.
    pub fn get_group_permissions(&self) -> impl Iterator<Item = &Permission> {
        self.group_permissions.iter().filter(|_| self.is_active)
    }

    /// The user's own permissions and those of the groups; all there are for superusers, none for
    /// inactive users.
    pub fn get_all_permissions(&self) -> impl Iterator<Item = &Permission> {
        self.permissions.iter().filter(|_| self.is_active)
    }

    /// The profile: fields and their values, of which empty ones are left out.
    pub fn get_profile(&self) -> &BTreeMap<String, String> {
        &self.profile
    }

    /// Whether the user has this permission: superusers have all, inactive users none.
    pub fn has_perm(&self, permission: &str) -> bool {
        self.is_active && (self.is_superuser || self.permissions.contains(permission))
    }

    /// Whether the user has every one of these permissions.
    pub fn has_perms<'a>(&self, permissions: impl IntoIterator<Item = &'a Permission>) -> bool {
        permissions.into_iter().all(|permission| self.has_perm(permission.as_str()))
    }

    /// Whether the user has any permission in the application `app`.
    pub fn has_module_perms(&self, app: &str) -> bool {
        self.is_active
            && (self.is_superuser || self.permissions.iter().any(|held| held.app() == app))
    }

    /// Whether there is a password that the user could log in with: false after
    /// `set_unusable_password`.
    pub fn has_usable_password(&self) -> bool {
        self.password.is_usable()
    }

    /// Whether the user is a member of the group called `name`.
    pub fn is_in_group(&self, name: &str) -> bool {
        self.groups.iter().any(|group| group == name)
    }
}

/// Why a user name cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsernameError {
    /// There is nothing in it.
    #[error("the username is empty")]
    Empty,
    /// It is longer than 150 characters.
    #[error("the username has {0} characters\nhint: 150 or fewer")]
    TooLong(usize),
    /// It holds something other than letters, digits and `@.+-_`.
    #[error("the username has the character {0:?} in it\nhint: letters, digits and `@.+-_` only")]
    Character(char),
}

/// The form in which a user name is stored and looked up: NFKC, as in Django's
/// `AbstractBaseUser.normalize_username`, with Django's `UnicodeUsernameValidator` applied.
pub fn normalize_username(name: &str) -> Result<String, UsernameError> {
    use unicode_normalization::UnicodeNormalization as _;

    let name: String = name.nfkc().collect();
    let length = name.chars().count();
    if length == 0 {
        return Err(UsernameError::Empty);
    }
    if length > 150 {
        return Err(UsernameError::TooLong(length));
    }
    match name.chars().find(|&c| !c.is_alphanumeric() && !"@.+-_".contains(c)) {
        Some(character) => Err(UsernameError::Character(character)),
        None => Ok(name),
    }
}

/// What a new user may be called, within what [`normalize_username`] allows anybody to be called.
///
/// It is asked where a name is given, never where one is looked up: who has a name keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UsernameRule {
    /// Today's Django: 150 characters, letters, digits and `@.+-_`.
    #[default]
    Django,
    /// The Django Book, Table 12-3: 30 characters, letters and digits of ASCII and `_`.
    Book,
}

/// Why a name cannot be given to a user under [`UsernameRule::Book`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotByTheBook {
    /// It is longer than 30 characters.
    #[error("the username has {0} characters\nhint: 30 or fewer")]
    TooLong(usize),
    /// It holds something other than letters and digits of ASCII and `_`.
    #[error(
        "the username has the character {0:?} in it\nhint: the letters a to z, digits and `_` only"
    )]
    Character(char),
}

impl UsernameRule {
    /// Whether a user may be given this name, which is in its normal form.
    pub fn allows(self, name: &str) -> Result<(), NotByTheBook> {
        let length = name.chars().count();
        match self {
            Self::Django => Ok(()),
            Self::Book if length > 30 => Err(NotByTheBook::TooLong(length)),
            Self::Book => match name.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '_') {
                Some(character) => Err(NotByTheBook::Character(character)),
                None => Ok(()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ada(change: impl FnOnce(&mut User)) -> User {
        let permission = |name: &str| name.parse::<Permission>().unwrap();
        let mut ada = User {
            id: UserId(1),
            username: "ada".to_owned(),
            first_name: " Ada".to_owned(),
            last_name: String::new(),
            email: String::new(),
            password: PasswordHash::from_encoded("!"),
            is_staff: false,
            is_active: true,
            is_superuser: false,
            last_login: None,
            date_joined: Timestamp::from_seconds(0),
            groups: vec!["Editors".to_owned()],
            permissions: ["polls.can_vote", "wiki.edit"].map(permission).into(),
            group_permissions: [permission("wiki.edit")].into(),
            profile: [("band".to_owned(), "x".to_owned())].into(),
            has_messages: false,
        };
        change(&mut ada);
        ada
    }

    fn names<'a>(permissions: impl Iterator<Item = &'a Permission>) -> Vec<&'a str> {
        permissions.map(Permission::as_str).collect()
    }

    #[test]
    fn the_methods_answer_as_djangos() {
        let ada = ada(|_| {});
        assert!(ada.is_authenticated() && !ada.is_anonymous());
        assert_eq!((&*ada.get_full_name(), ada.get_short_name()), ("Ada", " Ada"));
        assert_eq!(names(ada.get_group_permissions()), ["wiki.edit"]);
        assert_eq!(names(ada.get_all_permissions()), ["polls.can_vote", "wiki.edit"]);
        assert!(ada.has_perm("wiki.edit") && !ada.has_perm("wiki.delete"));
        assert!(ada.has_module_perms("polls") && !ada.has_module_perms("poll"));
        let both = ["polls.can_vote", "wiki.edit"].map(|name| name.parse().unwrap());
        let more = ["polls.can_vote", "wiki.delete"].map(|name| name.parse().unwrap());
        assert!(ada.has_perms(&both) && !ada.has_perms(&more) && ada.has_perms([]));
        assert_eq!(ada.get_profile().get("band").map(String::as_str), Some("x"));
    }

    #[test]
    fn an_inactive_user_has_no_permission_and_a_superuser_every_one() {
        for is_superuser in [false, true] {
            let gone = ada(|ada| (ada.is_active, ada.is_superuser) = (false, is_superuser));
            assert!(!gone.has_perm("polls.can_vote") && !gone.has_module_perms("polls"));
            assert!(!gone.has_perms(&["polls.can_vote".parse().unwrap()]));
            assert_eq!(gone.get_all_permissions().count(), 0);
            assert_eq!(gone.get_group_permissions().count(), 0);
        }
        let root = ada(|ada| ada.is_superuser = true);
        assert!(root.has_perm("any.thing") && root.has_module_perms("anything"));
        assert!(root.has_perms(&["any.thing".parse().unwrap()]));
    }

    #[test]
    fn the_book_allows_less_than_django() {
        let (book, django) = (UsernameRule::Book, UsernameRule::Django);
        for name in ["ada", "Ada_1815", &"x".repeat(30)] {
            assert_eq!((book.allows(name), django.allows(name)), (Ok(()), Ok(())), "{name}");
        }
        for (name, character) in [("ada.l", '.'), ("ada@b", '@'), ("a+b", '+'), ("jürgen", 'ü')] {
            assert_eq!(book.allows(name), Err(NotByTheBook::Character(character)));
            assert_eq!(django.allows(name), Ok(()));
        }
        assert_eq!(book.allows(&"x".repeat(31)), Err(NotByTheBook::TooLong(31)));
    }

    #[test]
    fn user_names_are_normalized_and_bounded() {
        assert_eq!(normalize_username("ﬁona").unwrap(), "fiona");
        assert_eq!(normalize_username(""), Err(UsernameError::Empty));
        assert_eq!(normalize_username(&"x".repeat(151)), Err(UsernameError::TooLong(151)));
        assert_eq!(normalize_username("bob\r\nX-Admin: 1"), Err(UsernameError::Character('\r')));
    }
}
