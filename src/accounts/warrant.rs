//! Who may order what: asked where commands are carried out, in the transaction that changes
//! something, so that no page can forget it.
//!
//! Operators may order everything. A user may change a few fields of his or her own. Staff need
//! the permission for what they do, and hold what they give: that is asked of the very state which
//! the change has led to, whatever command has led there.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::by::By;
use super::command::{Command, Holder};
use super::database::Connection;
use super::error::CommandError;
use super::load::{self, Who};
use super::log::{State, Subject, differences, find};
use crate::domain::User;
use crate::domain::staff::{
    AddGroup, AddMessage, AddUser, ChangeGroup, ChangeUser, DeleteGroup, DeleteUser, NotAllowed,
    StaffMember, ViewGroup, ViewPermission, ViewUser,
};
use crate::domain::user::normalize_username;

/// Whoever ordered a command may do so, as far as that can be told beforehand. What the change
/// leads to is judged by [`Warrant::judge`] before it lasts.
#[derive(Debug)]
pub(super) enum Warrant {
    /// Somebody who may open the admin socket or the database.
    Operator,
    /// Somebody who registers, as far as registration lets one.
    Registration,
    /// A user, about the own account.
    Own,
    /// Staff.
    Staff(StaffMember),
}

/// What of the own account anybody may change.
const OWN_FIELDS: [&str; 4] = ["first_name", "last_name", "email", "password"];

/// What nobody gets by registration.
const NEVER_BY_REGISTRATION: [&str; 3] = ["is_staff", "is_superuser", "permissions"];

impl Warrant {
    /// The warrant of `by` for `command`, whose subject is as `before`. The rights of a user are
    /// read here, not taken from what was known when the page was asked for.
    pub(super) async fn of(
        connection: &mut Connection,
        by: &By,
        command: &Command,
        before: Option<&State>,
    ) -> Result<Self, CommandError> {
        let is_registration =
            matches!(command, Command::Register(_) | Command::RegistrationConfirm { .. });
        let user = match by {
            By::Operator(_) => return Ok(Self::Operator),
            // Who registers is nobody yet, or somebody who is not active yet.
            By::User(_) | By::Visitor(_) if is_registration => return Ok(Self::Registration),
            By::Visitor(_) => return Err(forbidden("this is not for visitors")),
            By::User(user) => user,
        };
        let fresh = load::user(connection, Who::Id(user.id)).await?;
        let Some(fresh) = fresh.filter(|user| user.is_active).map(Arc::new) else {
            return Err(forbidden("your account is not active any more"));
        };
        let is_own = before.and_then(|it| it.user.as_ref()).is_some_and(|it| it.id == fresh.id);
        let refusal = match StaffMember::confirm(Arc::clone(&fresh)) {
            None => forbidden("this is for staff alone"),
            Some(staff) => match permitted(&staff, command) {
                Err(refusal) => refusal,
                Ok(()) => {
                    check_power(connection, &staff, command, before).await?;
                    return Ok(Self::Staff(staff));
                }
            },
        };
        let is_of_the_own =
            matches!(command, Command::UserSet { .. } | Command::UserSetPassword { .. });
        if is_own && is_of_the_own { Ok(Self::Own) } else { Err(refusal) }
    }

    /// Judges what a change has led to, before it lasts.
    pub(super) async fn judge(
        &self,
        connection: &mut Connection,
        before: Option<&State>,
        after: Option<&State>,
    ) -> Result<(), CommandError> {
        let Some((_, changes)) = differences(before, after) else { return Ok(()) };
        match self {
            Self::Operator => Ok(()),
            Self::Registration => {
                match changes.keys().find(|it| NEVER_BY_REGISTRATION.contains(&&***it)) {
                    Some(name) => Err(forbidden(&format!("nobody registers with `{name}`"))),
                    None => Ok(()),
                }
            }
            Self::Own => {
                let is_own =
                    |name: &String| name.starts_with("profile.") || OWN_FIELDS.contains(&&**name);
                match changes.keys().find(|name| !is_own(name)) {
                    Some(name) => Err(forbidden(&format!("nobody changes the own `{name}`"))),
                    None if after.is_none() => Err(forbidden("nobody deletes the own account")),
                    None => Ok(()),
                }
            }
            Self::Staff(staff) if staff.user().is_superuser => Ok(()),
            Self::Staff(_) if after.is_none() => Ok(()),
            Self::Staff(staff) => {
                for (name, [old, new]) in &changes {
                    judge_field(connection, staff, name, old, new, after).await?;
                }
                judge_user(staff, before, after)
            }
        }
    }
}

/// Whether staff has the permission that the command takes.
fn permitted(staff: &StaffMember, command: &Command) -> Result<(), CommandError> {
    let lacking = |error: NotAllowed| forbidden(&error.to_string());
    match command {
        Command::UserCreate(_) => staff.may::<AddUser>().map(drop),
        Command::UserList {}
        | Command::UserSearch(_)
        | Command::UserShow { .. }
        | Command::RegistrationList {} => staff.may::<ViewUser>().map(drop),
        Command::MessageSend { .. } | Command::MessageList { .. } => {
            staff.may::<AddMessage>().map(drop)
        }
        Command::UserSet { .. }
        | Command::UserEdit(_)
        | Command::RegistrationApprove { .. }
        | Command::UserSetPassword { .. }
        | Command::UserSetUnusablePassword { .. }
        | Command::GroupAdd { .. }
        | Command::GroupRemove { .. } => staff.may::<ChangeUser>().map(drop),
        Command::UserDelete { .. } | Command::RegistrationReject { .. } => {
            staff.may::<DeleteUser>().map(drop)
        }
        Command::GroupCreate { .. } => staff.may::<AddGroup>().map(drop),
        Command::GroupList {} | Command::GroupShow { .. } => staff.may::<ViewGroup>().map(drop),
        Command::GroupEdit(_) | Command::GroupRename { .. } => staff.may::<ChangeGroup>().map(drop),
        Command::GroupDelete { .. } => staff.may::<DeleteGroup>().map(drop),
        Command::PermissionCreate { .. }
        | Command::PermissionSet { .. }
        | Command::PermissionDelete { .. } => match staff.user().is_superuser {
            true => Ok(()),
            false => return Err(forbidden("which permissions there are is for superusers to say")),
        },
        // They give any right to anybody, and show every password's hash.
        Command::Import(_) | Command::Export { .. } => {
            return Err(forbidden("this is for operators alone"));
        }
        Command::InvitationCreate(_)
        | Command::InvitationList {}
        | Command::InvitationRevoke { .. } => match staff.user().is_superuser {
            true => Ok(()),
            false => return Err(forbidden("who is invited is for superusers to say")),
        },
        // Nobody who is staff registers.
        Command::Register(_) | Command::RegistrationConfirm { .. } => {
            return Err(forbidden("this is for those who register"));
        }
        Command::PermissionList {} | Command::PermissionShow { .. } => {
            staff.may::<ViewPermission>().map(drop)
        }
        Command::PermissionGrant { to: holder, .. }
        | Command::PermissionRevoke { from: holder, .. } => match holder {
            Holder::User(_) => staff.may::<ChangeUser>().map(drop),
            Holder::Group(_) => staff.may::<ChangeGroup>().map(drop),
        },
    }
    .map_err(lacking)
}

/// Refuses to touch whoever, or what, holds more than staff does.
async fn check_power(
    connection: &mut Connection,
    staff: &StaffMember,
    command: &Command,
    before: Option<&State>,
) -> Result<(), CommandError> {
    if staff.user().is_superuser {
        return Ok(());
    }
    let Some(before) = before else { return Ok(()) };
    if let Some(user) = &before.user {
        check_power_over(staff, user)?;
    }
    if !staff.user().has_perms(&before.gives) {
        return Err(forbidden(&format!("the group `{}` gives more than you hold", before.name)));
    }
    if let Subject::Group { members, .. } = Subject::of(command) {
        for member in members {
            let name = normalize_username(&member).unwrap_or_default();
            if let Some(member) = load::user(connection, Who::Username(&name)).await? {
                check_power_over(staff, &member)?;
            }
        }
    }
    Ok(())
}

fn check_power_over(staff: &StaffMember, user: &User) -> Result<(), CommandError> {
    match staff.has_power_over(user) {
        true => Ok(()),
        false => Err(forbidden(&format!("`{}` holds more than you do", user.username))),
    }
}

/// Whether staff may have changed this field so.
async fn judge_field(
    connection: &mut Connection,
    staff: &StaffMember,
    name: &str,
    old: &Value,
    new: &Value,
    after: Option<&State>,
) -> Result<(), CommandError> {
    match name {
        "is_staff" | "is_superuser" => {
            Err(forbidden("staff and superusers are made and unmade by superusers"))
        }
        "permissions" => match different(old, new).into_iter().find(|it| !staff.may_give(it)) {
            Some(lacking) => Err(forbidden(&format!("you do not hold `{lacking}` yourself"))),
            None => Ok(()),
        },
        "groups" => {
            for group in different(old, new) {
                let subject = Subject::Group { name: group.to_owned(), members: Vec::new() };
                let group = find(connection, &subject, None).await?;
                check_group(staff, group.as_ref())?;
            }
            Ok(())
        }
        "members" => check_group(staff, after),
        _ => Ok(()),
    }
}

fn check_group(staff: &StaffMember, group: Option<&State>) -> Result<(), CommandError> {
    let Some(group) = group else { return Ok(()) };
    match staff.may_give_group(&group.name, &group.gives) {
        true => Ok(()),
        false => Err(forbidden(&format!(
            "the group `{}` is not yours to give and take\n\
             hint: it takes to be a member, or `auth.change_group` and what the group gives",
            group.name
        ))),
    }
}

/// What no user may have become by the hands of staff.
fn judge_user(
    staff: &StaffMember,
    before: Option<&State>,
    after: Option<&State>,
) -> Result<(), CommandError> {
    let Some(user) = after.and_then(|state| state.user.as_ref()) else { return Ok(()) };
    let old = before.and_then(|state| state.user.as_ref());
    let has_new_password = old.is_none_or(|old| old.password != user.password);
    if has_new_password && user.password.is_usable() && user.id != staff.user().id {
        return Err(forbidden("only superusers choose passwords for others"));
    }
    if user.id == staff.user().id { Ok(()) } else { check_power_over(staff, user) }
}

/// What is in one list and not in the other.
fn different<'v>(old: &'v Value, new: &'v Value) -> BTreeSet<&'v str> {
    let names = |value: &'v Value| -> BTreeSet<&'v str> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    };
    names(old).symmetric_difference(&names(new)).copied().collect()
}

fn forbidden(why: &str) -> CommandError {
    CommandError::Forbidden(why.to_owned())
}

#[cfg(test)]
mod tests;
