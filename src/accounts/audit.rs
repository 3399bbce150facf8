//! What the audit log is told of changes of accounts: who ordered what, of whom, and what came of it.
//!
//! Every order passes by here, wherever it comes from. Names and rights are written down with it,
//! passwords have no place in an entry, and of a field that says nothing about rights only the name.

use std::sync::Arc;

use super::by::By;
use super::command::{Change, Command, Holder, NewUser, Outcome, Reply};
use super::directory::Directory;
use super::error::CommandError;
use super::load::{self, Who};
use super::registration::Registered;
use super::shared::Shared;
use crate::domain::audit::{self, Detail, Entry, Event, Person, Trail};
use crate::domain::user::normalize_username;
use crate::domain::{Timestamp, UserId};

impl Directory {
    /// Has everything that is noted from now on written down by `trail`; the first one stays.
    pub fn keep_trail(&self, trail: Arc<dyn Trail>) {
        // An error means that there is one, which goes on.
        let _stays = self.shared().trail.set(trail);
    }

    /// Writes down what happened. Without a [trail](Self::keep_trail) nothing is.
    pub fn note(&self, entry: &Entry) {
        self.shared().note(entry);
    }
}

impl Shared {
    pub(super) fn note(&self, entry: &Entry) {
        if let Some(trail) = self.trail.get() {
            trail.note(entry);
        }
    }
}

impl From<&By> for Person {
    fn from(by: &By) -> Self {
        match by {
            By::Operator(name) => Self { name: name.clone(), id: None },
            By::User(user) => Self::from(&**user),
            By::Visitor(_) => Self { name: "a visitor".to_owned(), id: None },
        }
    }
}

/// An order that changes something, as far as it is written down.
pub(super) struct Order {
    event: Event,
    /// The user whom it is about, and the name by which he or she is found afterwards.
    user: Option<(Person, String)>,
    details: Vec<(&'static str, Detail)>,
}

impl Order {
    /// The order that `command` is, if it is to change anything. To be asked before it is carried
    /// out: of a user who is deleted the number is not known later.
    pub(super) async fn of(shared: &Shared, command: &Command) -> Option<Self> {
        let mut order = Self::written(command)?;
        if let Some((person, _)) = &mut order.user {
            person.id = id_of(shared, &person.name).await;
        }
        Some(order)
    }

    fn written(command: &Command) -> Option<Self> {
        let order = |event, details| Some(Self { event, user: None, details });
        let about = |event, user: &str, details| {
            let person = Person { name: user.to_owned(), id: None };
            Some(Self { event, user: Some((person, user.to_owned())), details })
        };
        match command {
            Command::UserCreate(new) => about(Event::UserCreated, &new.username, created(new)),
            Command::UserSet { username, changes } => {
                let mut order = about(Event::UserChanged, username, changed(changes))?;
                for change in changes {
                    if let (Change::Username(new), Some((_, later))) = (change, &mut order.user) {
                        new.clone_into(later);
                    }
                }
                Some(order)
            }
            Command::UserEdit(edit) => {
                let mut details = changed(&edit.changes);
                for (name, list) in [
                    ("joins", &edit.join),
                    ("leaves", &edit.leave),
                    ("granted", &edit.grant),
                    ("revoked", &edit.revoke),
                ] {
                    if !list.is_empty() {
                        details.push((name, list.clone().into()));
                    }
                }
                let mut order = about(Event::UserChanged, &edit.username, details)?;
                for change in &edit.changes {
                    if let (Change::Username(new), Some((_, later))) = (change, &mut order.user) {
                        new.clone_into(later);
                    }
                }
                Some(order)
            }
            Command::GroupEdit(edit) => order(
                Event::GroupChanged,
                vec![
                    ("group", text(&edit.name)),
                    ("new_name", text(&edit.new_name)),
                    ("granted", edit.grant.clone().into()),
                    ("revoked", edit.revoke.clone().into()),
                ],
            ),
            Command::UserSetPassword { username, .. } => {
                about(Event::PasswordChanged, username, Vec::new())
            }
            Command::UserSetUnusablePassword { username } => {
                about(Event::PasswordChanged, username, vec![("is_usable", false.into())])
            }
            Command::UserDelete { username } => about(Event::UserDeleted, username, Vec::new()),
            Command::GroupCreate { name, permissions } => order(
                Event::GroupCreated,
                vec![("group", text(name)), ("permissions", permissions.clone().into())],
            ),
            Command::GroupRename { name, new_name } => order(
                Event::GroupChanged,
                vec![("group", text(name)), ("new_name", text(new_name))],
            ),
            Command::GroupDelete { name } => {
                order(Event::GroupDeleted, vec![("group", text(name))])
            }
            Command::GroupAdd { name, users } => order(
                Event::GroupJoined,
                vec![("group", text(name)), ("users", users.clone().into())],
            ),
            Command::GroupRemove { name, users } => order(
                Event::GroupLeft,
                vec![("group", text(name)), ("users", users.clone().into())],
            ),
            Command::PermissionCreate { permission, .. } => {
                order(Event::PermissionCreated, vec![("permission", text(permission))])
            }
            Command::PermissionSet { permission, .. } => {
                order(Event::PermissionChanged, vec![("permission", text(permission))])
            }
            Command::PermissionDelete { permission } => {
                order(Event::PermissionDeleted, vec![("permission", text(permission))])
            }
            Command::PermissionGrant { permission, to } => {
                Some(Self::about_right(Event::PermissionGranted, permission, to))
            }
            Command::PermissionRevoke { permission, from } => {
                Some(Self::about_right(Event::PermissionRevoked, permission, from))
            }
            Command::Import(import) if !import.dry_run => order(
                Event::Imported,
                vec![
                    ("users", import.users.len().into()),
                    ("groups", import.groups.len().into()),
                    ("permissions", import.permissions.len().into()),
                ],
            ),
            // One entry for all its parts.
            Command::Export { after: None, passwords } => {
                order(Event::Exported, vec![("with_passwords", (*passwords).into())])
            }
            Command::Register(new) => {
                let details =
                    vec![("email", text(&new.email)), ("groups", new.groups.clone().into())];
                about(Event::Registered, &new.username, details)
            }
            Command::RegistrationConfirm { username } => {
                about(Event::RegistrationConfirmed, username, Vec::new())
            }
            Command::RegistrationApprove { username } => {
                about(Event::RegistrationApproved, username, Vec::new())
            }
            Command::RegistrationReject { username } => {
                about(Event::RegistrationRejected, username, Vec::new())
            }
            Command::InvitationCreate(new) => order(
                Event::InvitationCreated,
                vec![("email", text(&new.email)), ("groups", new.groups.clone().into())],
            ),
            Command::InvitationRevoke { id } => {
                order(Event::InvitationRevoked, vec![("invitation", text(&id.to_string()))])
            }
            Command::MessageSend { to, level, .. } => Some(Self::about_message(level, to)),
            Command::RegistrationList {}
            | Command::MessageList { .. }
            | Command::InvitationList {}
            | Command::UserSearch(_)
            | Command::Import(_)
            | Command::Export { .. }
            | Command::UserList {}
            | Command::UserShow { .. }
            | Command::GroupList {}
            | Command::GroupShow { .. }
            | Command::PermissionList {}
            | Command::PermissionShow { .. } => None,
        }
    }

    fn about_right(event: Event, permission: &str, holder: &Holder) -> Self {
        Self::about_holder(event, ("permission", text(permission)), holder)
    }

    /// To whom, and not what it says.
    fn about_message(level: &str, to: &Holder) -> Self {
        Self::about_holder(Event::MessageSent, ("level", text(level)), to)
    }

    fn about_holder(event: Event, detail: (&'static str, Detail), holder: &Holder) -> Self {
        let mut details = vec![detail];
        let user = match holder {
            Holder::User(name) => Some((Person { name: name.clone(), id: None }, name.clone())),
            Holder::Group(name) => {
                details.push(("group", text(name)));
                None
            }
        };
        Self { event, user, details }
    }

    /// The entry about it, with what came of it.
    pub(super) async fn entry(
        self,
        shared: &Shared,
        outcome: &Result<Outcome, CommandError>,
        by: &By,
        now: Timestamp,
    ) -> Entry {
        let result = match outcome {
            // Nothing of it was written.
            Ok(Outcome { reply: Reply::Imported(imported), .. })
                if !imported.problems.is_empty() =>
            {
                audit::Outcome::Refused
            }
            Ok(Outcome { reply: Reply::Registered(registered), .. })
                if *registered != Registered::Created =>
            {
                audit::Outcome::Refused
            }
            Ok(_) => audit::Outcome::Ok,
            Err(CommandError::Accounts(_)) => audit::Outcome::Unavailable,
            Err(
                CommandError::NotFound(_)
                | CommandError::Invalid(_)
                | CommandError::Conflict(_)
                | CommandError::Forbidden(_),
            ) => audit::Outcome::Refused,
        };
        let mut entry = Entry::new(self.event, now).outcome(result);
        match by {
            By::Visitor(address) => entry.address = Some(*address),
            By::Operator(_) | By::User(_) => entry = entry.by(by),
        }
        // What strangers ask for in vain is theirs to choose.
        if result == audit::Outcome::Ok || entry.by.is_some() {
            entry.details = self.details;
        }
        if let Some((mut person, later)) = self.user {
            let is_done = result == audit::Outcome::Ok;
            if is_done && person.id.is_none() {
                person.id = id_of(shared, &later).await;
            }
            // What was typed and is nobody's name is not written down.
            if is_done || person.id.is_some() {
                entry.user = Some(person);
            }
        }
        entry
    }
}

/// The number of the user with this name; none too when the database cannot be asked, for the order
/// itself says so then.
async fn id_of(shared: &Shared, username: &str) -> Option<UserId> {
    let username = normalize_username(username).ok()?;
    let mut reading = shared.database.read().await.ok()?;
    let row = load::row(&mut reading, Who::Username(&username)).await.ok()?;
    let _read = reading.commit().await;
    row.map(|row| UserId(row.id))
}

fn created(new: &NewUser) -> Vec<(&'static str, Detail)> {
    let mut details = Vec::new();
    let flags = [("is_staff", new.is_staff), ("is_superuser", new.is_superuser)];
    details.extend(
        flags.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| (name, true.into())),
    );
    let lists = [("groups", &new.groups), ("permissions", &new.permissions)];
    let lists = lists.into_iter().filter(|(_, list)| !list.is_empty());
    details.extend(lists.map(|(name, list)| (name, list.clone().into())));
    details
}

/// What decides over a login or a right with its new value, and the names of other fields.
fn changed(changes: &[Change]) -> Vec<(&'static str, Detail)> {
    let (mut details, mut others) = (Vec::new(), Vec::new());
    for change in changes {
        match change {
            Change::Username(name) => details.push(("username", text(name))),
            // It decides who can have the password reset.
            Change::Email(address) => details.push(("email", text(address))),
            Change::IsActive(flag) => details.push(("is_active", (*flag).into())),
            Change::IsStaff(flag) => details.push(("is_staff", (*flag).into())),
            Change::IsSuperuser(flag) => details.push(("is_superuser", (*flag).into())),
            Change::FirstName(_) => others.push("first_name".to_owned()),
            Change::LastName(_) => others.push("last_name".to_owned()),
            Change::Profile { field, .. } => others.push(format!("profile.{field}")),
        }
    }
    if !others.is_empty() {
        details.push(("fields", others.into()));
    }
    details
}

fn text(text: &str) -> Detail {
    Detail::Text(text.to_owned())
}

#[cfg(test)]
mod tests;
