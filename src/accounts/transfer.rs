//! What `import` takes and `export` gives: users, groups and permissions as records, a part at a
//! time, so that nothing is locked for long and nobody needs room for all of them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::command::Secret;
use super::encoded;
use super::password::Attributes;

/// One record: in a file of lines of JSON, a line.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "nearly all records are users")]
pub enum Record {
    /// A permission.
    Permission(PermissionEntry),
    /// A group.
    Group(GroupEntry),
    /// A user.
    User(UserEntry),
}

/// A permission on its way from one place to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PermissionEntry {
    /// Its name, `app.codename`.
    pub name: String,
    /// What it allows, for people.
    #[serde(default)]
    pub description: String,
}

/// A group on its way from one place to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupEntry {
    /// Its name.
    pub name: String,
    /// What its members may do.
    #[serde(default)]
    pub permissions: Vec<String>,
}

/// A user on the way from one place to another. What is `None` is not spoken of: a new user gets
/// its default, and one who is there already keeps it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UserEntry {
    /// The name to log in with.
    pub username: String,
    /// Given name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    /// Family name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    /// E-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The password, to be hashed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// The hash of the password, as Django writes it; one that begins with `!` matches none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<Secret>,
    /// Whether the user may log in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_active: Option<bool>,
    /// Whether the user may enter the gateway's own administration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_staff: Option<bool>,
    /// Whether the user has every permission.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_superuser: Option<bool>,
    /// When the user last logged in; the later of two moments counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_login: Option<jiff::Timestamp>,
    /// When the account was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date_joined: Option<jiff::Timestamp>,
    /// The names of all groups that the user is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<String>>,
    /// The names of all permissions that were granted to the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Vec<String>>,
    /// Fields of the profile; an empty value removes one.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub profile: BTreeMap<String, String>,
}

impl UserEntry {
    /// What the password must not be like.
    pub(super) fn attributes(&self) -> Attributes {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        Attributes {
            username: self.username.clone(),
            first_name: text(&self.first_name),
            last_name: text(&self.last_name),
            email: text(&self.email),
        }
    }
}

/// A part of what is imported: all of it takes effect, or nothing.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Import {
    /// Permissions, which come first.
    pub permissions: Vec<PermissionEntry>,
    /// Groups, with permissions of this part or that are there.
    pub groups: Vec<GroupEntry>,
    /// Users, with groups and permissions of this part or that are there.
    pub users: Vec<UserEntry>,
    /// What becomes of whom and what is there already.
    pub existing: Existing,
    /// Whether users who are updated get the passwords of their records too. A login hashes anew what
    /// was imported: without this a list could not be imported again without undoing that.
    pub passwords: bool,
    /// Whether nothing is to be written, and only said what would be.
    pub dry_run: bool,
    /// What other parts would have made before this one, had they been written.
    pub promised: Promised,
}

/// Names that are as good as there, while nothing is written.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Promised {
    /// Of groups.
    pub groups: BTreeSet<String>,
    /// Of permissions.
    pub permissions: BTreeSet<String>,
}

/// What becomes of users who are there already. Groups and permissions that are there stay as they
/// are, unless they are to be updated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Existing {
    /// They are problems, so that nothing is written.
    #[default]
    Refuse,
    /// They stay as they are.
    Skip,
    /// They become what the record says, as far as it speaks of it.
    Update,
}

/// What became of a part, or would become of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// Of its users.
    pub users: Tally,
    /// Of its groups.
    pub groups: Tally,
    /// Of its permissions.
    pub permissions: Tally,
    /// How many of the new users have no password that could match.
    pub without_password: u64,
    /// Everything that is wrong with it; if anything is, nothing was written.
    pub problems: Vec<ImportProblem>,
}

/// How many records came to what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Were not there.
    pub created: u64,
    /// Are another now.
    pub updated: u64,
    /// Were there just so.
    pub unchanged: u64,
    /// Were there, and are as they were.
    pub skipped: u64,
}

/// What is wrong with a record of a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportProblem {
    /// Of which kind the record is.
    pub kind: RecordKind,
    /// Which of them it is, counted from 0.
    pub index: usize,
    /// What is wrong; hints are on lines of their own. It names no password and no hash.
    pub message: String,
}

/// Of which kind a record is. The order is that of their writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordKind {
    /// A permission.
    Permission,
    /// A group.
    Group,
    /// A user.
    User,
}

/// A part of what is exported.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Exported {
    /// All permissions, in the first part alone.
    pub permissions: Vec<PermissionEntry>,
    /// All groups, in the first part alone.
    pub groups: Vec<GroupEntry>,
    /// Users in the order of their numbers.
    pub users: Vec<UserEntry>,
    /// How many users there are, in this part and all others.
    pub users_in_all: u64,
    /// Where the next part begins, if there is one.
    pub next: Option<i64>,
}

impl UserEntry {
    /// Whether the hash, if there is one, is of a form that a login can be checked against.
    pub fn has_sound_hash(&self) -> bool {
        self.password_hash.as_ref().is_none_or(|hash| encoded::check(hash.reveal()).is_ok())
    }
}

impl Imported {
    /// Adds what became of another part; its problems are another's to place.
    pub fn add(&mut self, other: &Self) {
        self.users.add(other.users);
        self.groups.add(other.groups);
        self.permissions.add(other.permissions);
        self.without_password += other.without_password;
    }
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.created += other.created;
        self.updated += other.updated;
        self.unchanged += other.unchanged;
        self.skipped += other.skipped;
    }
}

impl Record {
    /// Of which kind it is.
    pub fn kind(&self) -> RecordKind {
        match self {
            Self::Permission(_) => RecordKind::Permission,
            Self::Group(_) => RecordKind::Group,
            Self::User(_) => RecordKind::User,
        }
    }

    /// By what it is known among its kind.
    pub fn name(&self) -> &str {
        match self {
            Self::Permission(permission) => &permission.name,
            Self::Group(group) => &group.name,
            Self::User(user) => &user.username,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_a_line_that_says_only_what_is_known() {
        let text = r#"{"user":{"username":"ada","email":"ada@example.org","groups":[]}}"#;
        let record: Record = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&record).unwrap(), text);
        assert_eq!((record.kind(), record.name()), (RecordKind::User, "ada"));
        let misspelt = r#"{"user":{"username":"ada","is_stuff":true}}"#;
        assert!(serde_json::from_str::<Record>(misspelt).is_err());
    }

    #[test]
    fn a_hash_never_shows() {
        let text = r#"{"user":{"username":"ada","password_hash":"sha1$a$b","password":"letmein"}}"#;
        let shown = format!("{:?}", serde_json::from_str::<Record>(text).unwrap());
        assert!(!shown.contains("sha1") && !shown.contains("letmein"), "{shown}");
    }
}
