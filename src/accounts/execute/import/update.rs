//! What a record changes of a user who is there already.

use std::collections::{BTreeMap, BTreeSet};

use super::super::super::command::Change;
use super::super::super::database::Connection;
use super::super::super::load::{self, UserRow};
use super::super::super::transfer::UserEntry;
use super::super::permissions;
use crate::domain::UserId;

/// What is another afterwards; what the record does not speak of stays.
pub(super) struct Update {
    pub(super) id: UserId,
    pub(super) username: String,
    pub(super) changes: Vec<Change>,
    /// Whether the password is another. One in plain text always is: it is hashed with new salt.
    pub(super) has_password: bool,
    pub(super) is_deactivated: bool,
    /// Last login and joining, when one of them is another.
    pub(super) moments: Option<(Option<i64>, i64)>,
    pub(super) groups: Difference,
    pub(super) permissions: Difference,
}

/// Names that came and names that went.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) added: Vec<String>,
    pub(super) removed: Vec<String>,
}

impl Update {
    /// What `entry` makes another of the user in `row`, with or without the password; `None` when
    /// that is nothing.
    pub(super) async fn of(
        connection: &mut Connection,
        row: UserRow,
        entry: UserEntry,
        passwords: bool,
    ) -> Result<Option<Self>, sqlx::Error> {
        let mut changes = Vec::new();
        let mut text = |new: Option<String>, old: &str, change: fn(String) -> Change| {
            changes.extend(new.filter(|new| new != old).map(change));
        };
        text(entry.first_name, &row.first_name, Change::FirstName);
        text(entry.last_name, &row.last_name, Change::LastName);
        text(entry.email, &row.email, Change::Email);
        let mut flag = |new: Option<bool>, old: bool, change: fn(bool) -> Change| {
            changes.extend(new.filter(|new| *new != old).map(change));
        };
        flag(entry.is_active, row.is_active, Change::IsActive);
        flag(entry.is_staff, row.is_staff, Change::IsStaff);
        flag(entry.is_superuser, row.is_superuser, Change::IsSuperuser);
        if !entry.profile.is_empty() {
            let held: BTreeMap<String, String> =
                load::profile_of(connection, row.id).await?.into_iter().collect();
            let is_another = |(field, value): &(String, String)| {
                held.get(field).map_or("", String::as_str) != value
            };
            let profile = entry.profile.into_iter().filter(is_another);
            changes.extend(profile.map(|(field, value)| Change::Profile { field, value }));
        }
        let groups = match entry.groups {
            Some(names) => Difference::of(load::groups_of(connection, row.id).await?, names),
            None => Difference::default(),
        };
        let permissions = match entry.permissions {
            Some(names) => {
                Difference::of(permissions::held_by_user(connection, row.id).await?, names)
            }
            None => Difference::default(),
        };
        // Whoever has logged in here since must not look as if that had not been.
        let last_login = entry.last_login.map(jiff::Timestamp::as_second).max(row.last_login);
        let date_joined = entry.date_joined.map_or(row.date_joined, jiff::Timestamp::as_second);
        let moments = (last_login, date_joined);
        let update = Self {
            id: UserId(row.id),
            username: row.username,
            has_password: passwords
                && (entry.password.is_some()
                    || entry.password_hash.is_some_and(|hash| hash.reveal() != row.password)),
            is_deactivated: changes.contains(&Change::IsActive(false)),
            changes,
            moments: (moments != (row.last_login, row.date_joined)).then_some(moments),
            groups,
            permissions,
        };
        Ok((!update.is_nothing()).then_some(update))
    }

    fn is_nothing(&self) -> bool {
        self.changes.is_empty()
            && !self.has_password
            && self.moments.is_none()
            && self.groups == Difference::default()
            && self.permissions == Difference::default()
    }
}

impl Difference {
    fn of(held: Vec<String>, wanted: Vec<String>) -> Self {
        let held: BTreeSet<String> = held.into_iter().collect();
        let wanted: BTreeSet<String> = wanted.into_iter().collect();
        Self {
            added: wanted.difference(&held).cloned().collect(),
            removed: held.difference(&wanted).cloned().collect(),
        }
    }
}
