//! What would come of a part that is imported, and everything that is wrong with it.

use std::collections::{BTreeSet, HashMap};

use super::super::super::command::NewUser;
use super::super::super::database::Connection;
use super::super::super::encoded;
use super::super::super::error::CommandError;
use super::super::super::fields;
use super::super::super::load::{self, Who};
use super::super::super::shared::Shared;
use super::super::super::transfer::{
    Existing, GroupEntry, Import, ImportProblem, Imported, PermissionEntry, RecordKind, Tally,
    UserEntry,
};
use super::super::{find_group, find_permission, groups, permissions};
use super::update::Update;
use crate::domain::user::UsernameRule;

/// What is to be done for each record of a part, in its order.
pub(super) struct Plan {
    pub(super) permissions: Vec<Step>,
    pub(super) groups: Vec<Step>,
    pub(super) users: Vec<UserStep>,
    pub(super) imported: Imported,
}

/// What is to be done for a permission or a group.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    Create,
    Update,
    Leave,
}

/// What is to be done for a user.
pub(super) enum UserStep {
    Create(Box<NewUser>),
    Update(Box<Update>),
    Leave,
}

/// Names of groups and permissions, each looked for once: what is not there, with the complaint.
struct Known<'i> {
    import: &'i Import,
    groups: HashMap<String, Result<(), String>>,
    permissions: HashMap<String, Result<(), String>>,
}

/// What became of a record: a step, or what is wrong with it.
type Examined<S> = Result<Result<S, String>, CommandError>;

/// Looks at every record of the part. Only a failing database is an error.
pub(super) async fn make(
    connection: &mut Connection,
    import: &Import,
    shared: &Shared,
) -> Result<Plan, CommandError> {
    let mut plan = Plan {
        permissions: Vec::new(),
        groups: Vec::new(),
        users: Vec::new(),
        imported: Imported::default(),
    };
    let mut known = Known { import, groups: HashMap::new(), permissions: HashMap::new() };
    let existing = import.existing;
    for (index, entry) in import.permissions.iter().enumerate() {
        let tally = &mut plan.imported.permissions;
        let examined = permission(connection, entry, existing, tally).await?;
        let step = plan.imported.keep(RecordKind::Permission, index, examined);
        plan.permissions.push(step.unwrap_or(Step::Leave));
    }
    for (index, entry) in import.groups.iter().enumerate() {
        let tally = &mut plan.imported.groups;
        let examined = group(connection, entry, existing, &mut known, tally).await?;
        let step = plan.imported.keep(RecordKind::Group, index, examined);
        plan.groups.push(step.unwrap_or(Step::Leave));
    }
    for (index, entry) in import.users.iter().enumerate() {
        let examined = match checked(entry, shared) {
            Ok(entry) => {
                let rule = shared.username_rule;
                user(connection, entry, (existing, rule), &mut known, &mut plan.imported).await?
            }
            Err(error) => Err(error.to_string()),
        };
        let step = plan.imported.keep(RecordKind::User, index, examined);
        plan.users.push(step.unwrap_or(UserStep::Leave));
    }
    Ok(plan)
}

impl Imported {
    fn keep<S>(&mut self, kind: RecordKind, index: usize, step: Result<S, String>) -> Option<S> {
        step.map_err(|message| self.problems.push(ImportProblem { kind, index, message })).ok()
    }
}

async fn permission(
    connection: &mut Connection,
    entry: &PermissionEntry,
    existing: Existing,
    tally: &mut Tally,
) -> Examined<Step> {
    let checked =
        fields::permission(&entry.name).and(fields::check_description(&entry.description));
    if let Err(error) = checked {
        return Ok(Err(error.to_string()));
    }
    let there = permissions::description_of(connection, &entry.name).await?;
    let is_same = there.as_ref() == Some(&entry.description);
    Ok(Ok(tally.step(there.is_some(), is_same, existing)))
}

async fn group(
    connection: &mut Connection,
    entry: &GroupEntry,
    existing: Existing,
    known: &mut Known<'_>,
    tally: &mut Tally,
) -> Examined<Step> {
    if let Err(error) = fields::check_group_name(&entry.name) {
        return Ok(Err(error.to_string()));
    }
    for name in &entry.permissions {
        if let Err(complaint) = known.permission(connection, name).await? {
            return Ok(Err(complaint));
        }
    }
    let there = groups::find(connection, &entry.name).await?;
    let is_same = match there {
        Some(id) => {
            let held: BTreeSet<String> =
                groups::permissions_of(connection, id).await?.into_iter().collect();
            held == entry.permissions.iter().cloned().collect()
        }
        None => false,
    };
    Ok(Ok(tally.step(there.is_some(), is_same, existing)))
}

impl Tally {
    fn step(&mut self, is_there: bool, is_same: bool, existing: Existing) -> Step {
        let (count, step) = match (is_there, is_same) {
            (false, _) => (&mut self.created, Step::Create),
            (true, true) => (&mut self.unchanged, Step::Leave),
            (true, false) if existing.may_change() => (&mut self.updated, Step::Update),
            (true, false) => (&mut self.skipped, Step::Leave),
        };
        *count += 1;
        step
    }
}

/// The record with its fields as they would be stored.
fn checked(entry: &UserEntry, shared: &Shared) -> Result<UserEntry, CommandError> {
    let mut entry = entry.clone();
    // Who is there already keeps a name that the rule would not give any more.
    entry.username = fields::username(&entry.username, UsernameRule::default())?;
    entry.email = entry.email.as_deref().map(fields::email).transpose()?;
    let names = [("first name", &entry.first_name), ("last name", &entry.last_name)];
    for (what, name) in names {
        fields::check_name(what, name.as_deref().unwrap_or_default())?;
    }
    for (field, value) in &entry.profile {
        fields::check_profile(field, value)?;
    }
    match (&entry.password, &entry.password_hash) {
        (Some(_), Some(_)) => {
            let message = "both a password and the hash of one";
            return Err(CommandError::Invalid(message.to_owned()));
        }
        (Some(password), None) => {
            fields::check_password(password, &entry.attributes(), &shared.validators)?;
        }
        (None, Some(hash)) => encoded::check(hash.reveal()).map_err(CommandError::Invalid)?,
        (None, None) => {}
    }
    Ok(entry)
}

async fn user(
    connection: &mut Connection,
    entry: UserEntry,
    (existing, rule): (Existing, UsernameRule),
    known: &mut Known<'_>,
    imported: &mut Imported,
) -> Examined<UserStep> {
    for name in entry.groups.iter().flatten() {
        if let Err(complaint) = known.group(connection, name).await? {
            return Ok(Err(complaint));
        }
    }
    for name in entry.permissions.iter().flatten() {
        if let Err(complaint) = known.permission(connection, name).await? {
            return Ok(Err(complaint));
        }
    }
    let there = load::row(connection, Who::Username(&entry.username)).await?;
    let tally = &mut imported.users;
    Ok(Ok(match (there, existing) {
        (None, _) => {
            if let Err(error) = fields::username(&entry.username, rule) {
                return Ok(Err(error.to_string()));
            }
            tally.created += 1;
            let hash = entry.password_hash.as_ref().map(|hash| hash.reveal().starts_with('!'));
            if hash.unwrap_or(entry.password.is_none()) {
                imported.without_password += 1;
            }
            UserStep::Create(Box::new(new_user(entry)))
        }
        (Some(_), Existing::Refuse) => {
            return Ok(Err(format!("there is a user `{}` already", entry.username)));
        }
        (Some(_), Existing::Skip) => {
            tally.skipped += 1;
            UserStep::Leave
        }
        (Some(row), Existing::Update) => {
            match Update::of(connection, row, entry, known.import.passwords).await? {
                Some(update) => {
                    tally.updated += 1;
                    UserStep::Update(Box::new(update))
                }
                None => {
                    tally.unchanged += 1;
                    UserStep::Leave
                }
            }
        }
    }))
}

/// The user as one is created; the password is stored from elsewhere.
fn new_user(entry: UserEntry) -> NewUser {
    NewUser {
        username: entry.username,
        first_name: entry.first_name.unwrap_or_default(),
        last_name: entry.last_name.unwrap_or_default(),
        email: entry.email.unwrap_or_default(),
        is_staff: entry.is_staff.unwrap_or_default(),
        is_superuser: entry.is_superuser.unwrap_or_default(),
        groups: entry.groups.unwrap_or_default(),
        permissions: entry.permissions.unwrap_or_default(),
        ..NewUser::default()
    }
}

impl Known<'_> {
    async fn group(&mut self, connection: &mut Connection, name: &str) -> Examined<()> {
        if let Some(known) = self.groups.get(name) {
            return Ok(known.clone());
        }
        let is_promised = self.import.promised.groups.contains(name)
            || self.import.groups.iter().any(|group| group.name == name);
        let found = match is_promised {
            true => Ok(()),
            false => complaint(find_group(connection, name).await)?,
        };
        self.groups.insert(name.to_owned(), found.clone());
        Ok(found)
    }

    async fn permission(&mut self, connection: &mut Connection, name: &str) -> Examined<()> {
        if let Some(known) = self.permissions.get(name) {
            return Ok(known.clone());
        }
        let is_promised = self.import.promised.permissions.contains(name)
            || self.import.permissions.iter().any(|permission| permission.name == name);
        let found = match is_promised {
            true => Ok(()),
            false => complaint(find_permission(connection, name).await)?,
        };
        self.permissions.insert(name.to_owned(), found.clone());
        Ok(found)
    }
}

/// What is not there is the record's fault; a failing database is nobody's who wrote it.
fn complaint<T>(found: Result<T, CommandError>) -> Examined<()> {
    match found {
        Ok(_) => Ok(Ok(())),
        Err(CommandError::Accounts(error)) => Err(error.into()),
        Err(
            error @ (CommandError::NotFound(_)
            | CommandError::Invalid(_)
            | CommandError::Conflict(_)
            | CommandError::Forbidden(_)),
        ) => Ok(Err(error.to_string())),
    }
}
