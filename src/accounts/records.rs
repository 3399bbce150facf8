//! What operators are told of users, groups and permissions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A user in a list. Moments are written as in RFC 3339, in UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRecord {
    /// The number that logs and sessions refer to.
    pub id: i64,
    /// The name to log in with.
    pub username: String,
    /// Given name.
    pub first_name: String,
    /// Family name.
    pub last_name: String,
    /// E-mail address.
    pub email: String,
    /// Whether the user may enter the gateway's own administration.
    pub is_staff: bool,
    /// Whether the user may log in.
    pub is_active: bool,
    /// Whether the user has every permission.
    pub is_superuser: bool,
    /// When the user last logged in.
    pub last_login: Option<String>,
    /// When the account was made.
    pub date_joined: String,
    /// The names of the user's groups, sorted.
    pub groups: Vec<String>,
}

/// Everything about one user but the password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserDetails {
    /// What lists show too.
    #[serde(flatten)]
    pub user: UserRecord,
    /// What was granted to the user.
    pub permissions: Vec<String>,
    /// What the user's groups give, with the groups that give it.
    pub group_permissions: BTreeMap<String, Vec<String>>,
    /// The profile.
    pub profile: BTreeMap<String, String>,
}

/// A group in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRecord {
    /// Its name.
    pub name: String,
    /// How many members it has.
    pub members: u64,
    /// What its members may do.
    pub permissions: Vec<String>,
}

/// One group with its members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupDetails {
    /// Its name.
    pub name: String,
    /// What its members may do.
    pub permissions: Vec<String>,
    /// Their user names, sorted.
    pub members: Vec<String>,
}

/// A permission in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PermissionRecord {
    /// Its name, `app.codename`.
    pub permission: String,
    /// What it allows, for people.
    pub description: String,
    /// The users to whom it was granted, sorted.
    pub users: Vec<String>,
    /// The groups to which it was granted, sorted.
    pub groups: Vec<String>,
}
