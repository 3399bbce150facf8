//! What operators can order, and what they are told: also the language of the admin socket.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::nearest;
pub use super::records::{GroupDetails, GroupRecord, PermissionRecord, UserDetails, UserRecord};
use super::transfer::{Exported, Import, Imported};
use super::user_page::{UserPage, UserQuery};
use crate::domain::UserId;

/// One command of an operator. Names of permissions are `app.codename`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Creates a user; the groups and permissions must be there.
    UserCreate(NewUser),
    /// Lists all users by name.
    UserList {},
    /// Looks for users and shows a page of them.
    UserSearch(UserQuery),
    /// Shows one user.
    UserShow {
        /// Whom.
        username: String,
    },
    /// Changes fields of a user, all or none of them.
    UserSet {
        /// Whose.
        username: String,
        /// To what.
        changes: Vec<Change>,
    },
    /// Gives a user another password, which ends the sessions that began with the old one.
    UserSetPassword {
        /// Whose.
        username: String,
        /// The new one.
        password: Secret,
    },
    /// Leaves a user without a password that could match, which ends the sessions.
    UserSetUnusablePassword {
        /// Whom.
        username: String,
    },
    /// Deletes a user; the number is never given to another.
    UserDelete {
        /// Whom.
        username: String,
    },
    /// Creates a group that gives its members permissions.
    GroupCreate {
        /// Its name.
        name: String,
        /// What its members may do.
        permissions: Vec<String>,
    },
    /// Lists all groups by name.
    GroupList {},
    /// Shows one group with its members.
    GroupShow {
        /// Which.
        name: String,
    },
    /// Deletes a group; its members lose what it gave them.
    GroupDelete {
        /// Which.
        name: String,
    },
    /// Gives a group another name.
    GroupRename {
        /// Which.
        name: String,
        /// The other one.
        new_name: String,
    },
    /// Makes users members of a group, all or none of them.
    GroupAdd {
        /// Of which.
        name: String,
        /// Whom.
        users: Vec<String>,
    },
    /// Ends memberships in a group.
    GroupRemove {
        /// In which.
        name: String,
        /// Whose.
        users: Vec<String>,
    },
    /// Creates a permission.
    PermissionCreate {
        /// Its name.
        permission: String,
        /// What it allows, for people.
        description: String,
    },
    /// Lists all permissions by name.
    PermissionList {},
    /// Shows one permission with its holders.
    PermissionShow {
        /// Which.
        permission: String,
    },
    /// Gives a permission another description.
    PermissionSet {
        /// Which.
        permission: String,
        /// What it allows, for people.
        description: String,
    },
    /// Deletes a permission, and so takes it from whoever has it.
    PermissionDelete {
        /// Which.
        permission: String,
    },
    /// Gives a permission to a user or a group.
    PermissionGrant {
        /// Which.
        permission: String,
        /// To whom.
        to: Holder,
    },
    /// Takes a permission from a user or a group.
    PermissionRevoke {
        /// Which.
        permission: String,
        /// From whom.
        from: Holder,
    },
    /// Imports a part of users, groups and permissions, all of it or nothing.
    Import(Import),
    /// Gives a part of what can be imported again.
    Export {
        /// The number of the last user of the part before; `None` for the first part.
        after: Option<i64>,
        /// Whether with the hashes of passwords.
        passwords: bool,
    },
}

/// A user to be created.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NewUser {
    /// The name to log in with.
    pub username: String,
    /// Given name.
    pub first_name: String,
    /// Family name.
    pub last_name: String,
    /// E-mail address.
    pub email: String,
    /// The password.
    pub password: Secret,
    /// Whether there is none that could match, whatever `password` says; for users who come by
    /// other ways, or set one later.
    pub unusable_password: bool,
    /// Whether the user may enter the gateway's own administration.
    pub is_staff: bool,
    /// Whether the user has every permission.
    pub is_superuser: bool,
    /// Names of groups.
    pub groups: Vec<String>,
    /// Names of permissions.
    pub permissions: Vec<String>,
}

/// A password on its way to be hashed: never in `Debug`, logs or errors.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The password, for the hasher alone.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(password: String) -> Self {
        Self(password)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Who has a permission.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holder {
    /// A user, by name.
    User(String),
    /// A group and so its members, by name.
    Group(String),
}

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

/// What came of a command.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// It was done; a sentence for people says what.
    Done(String),
    /// All users by name.
    Users(Vec<UserRecord>),
    /// A page of the users who were looked for.
    UserPage(UserPage),
    /// One user.
    User(UserDetails),
    /// All groups by name.
    Groups(Vec<GroupRecord>),
    /// One group.
    Group(GroupDetails),
    /// All permissions by name.
    Permissions(Vec<PermissionRecord>),
    /// One permission.
    Permission(PermissionRecord),
    /// What came of a part of an import.
    Imported(Imported),
    /// A part of an export.
    Exported(Exported),
}

/// What carrying out a command led to, for the gateway that has sessions.
#[derive(Debug)]
pub struct Outcome {
    /// What the operator is told.
    pub reply: Reply,
    /// The users whose sessions are worth nothing any more.
    pub shut_out: Vec<ShutOut>,
}

/// A user who cannot come by the sessions there are: they are refused already, and may be ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShutOut {
    /// Whose sessions.
    pub user: UserId,
    /// The name that the command called the user by.
    pub username: String,
    /// What happened to the account, for the log.
    pub because: &'static str,
}

impl From<Reply> for Outcome {
    fn from(reply: Reply) -> Self {
        Self { reply, shut_out: Vec::new() }
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

    #[test]
    fn a_password_survives_the_socket_and_never_shows() {
        let new = NewUser { password: Secret::from("letmein".to_owned()), ..NewUser::default() };
        let command = Command::UserCreate(new);
        assert!(!format!("{command:?}").contains("letmein"));
        let json = serde_json::to_string(&command).unwrap();
        let Command::UserCreate(back) = serde_json::from_str(&json).unwrap() else {
            panic!("{json}");
        };
        assert_eq!(back.password.reveal(), "letmein");
    }
}
