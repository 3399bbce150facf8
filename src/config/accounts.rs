//! What is configured of accounts; and `[permissions]` and `[groups]`.

use std::collections::HashMap;
use std::path::Path;

use super::passwords;
use super::problem::{Problem, Span};
use super::reader::{Entry, Table};
use super::report::{Report, nearest};
use super::users;
use crate::accounts::KEEP_LOG;
use crate::accounts::check_group_name;
use crate::accounts::settings::Settings;
use crate::domain::Permission;

pub(super) fn read(root: &Table<'_>, state_directory: &Path) -> Settings {
    let users = users::read(root, state_directory);
    let passwords = passwords::read(root);
    let permissions = permissions(root);
    Settings {
        database: users.database,
        schema: users.schema,
        refresh: users.refresh,
        hashing: passwords.hashing,
        upgrade_hashes: passwords.upgrade,
        validators: passwords.validators,
        username_rule: users.username_rule,
        groups: groups(root, &permissions),
        permissions,
        // `[accounts.profile]` is the pages' as well, and is read with them.
        profile: None,
        keep_log: KEEP_LOG,
    }
}

/// `"polls.can_vote" = "Can vote"`, the same without quotes as `polls.can_vote`, and `models`.
fn permissions(root: &Table<'_>) -> Vec<(Permission, String)> {
    let table = root.table("permissions");
    let mut declared = Declared::new(table.report());
    let models = table.entry("models");
    for entry in table.entries() {
        if entry.name == "models" {
            continue;
        }
        if !entry.is_table() {
            declared.add(&entry.name, &entry);
            continue;
        }
        for inner in entry.table("permissions.*", "the permissions".to_owned()).entries() {
            declared.add(&format!("{}.{}", entry.name, inner.name), &inner);
        }
    }
    if let Some(models) = models {
        let table = models.table("permissions.models", "`models`".to_owned());
        for app in table.entries() {
            for model in app.texts().into_iter().flat_map(|texts| texts.value) {
                for verb in ["add", "change", "delete", "view"] {
                    let name = format!("{}.{verb}_{}", app.name, model.value);
                    let description = format!("Can {verb} {}", model.value.replace('_', " "));
                    // What is wrong with one of the four is wrong with all of them.
                    if !declared.insert(&name, description, &model.span) {
                        break;
                    }
                }
            }
        }
    }
    declared.list
}

/// `"Site editors" = ["polls.can_vote"]`: groups, and permissions of the file that they are given.
fn groups(
    root: &Table<'_>,
    permissions: &[(Permission, String)],
) -> Vec<(String, Vec<Permission>)> {
    let table = root.table("groups");
    let report = table.report();
    let mut groups = Vec::new();
    for entry in table.entries() {
        let named = report.keep("bad-value", &entry.key, check_group_name(&entry.name));
        let Some(texts) = entry.texts_or_none() else { continue };
        let mut given = Vec::new();
        for at in texts.value {
            let parsed = at.value.parse::<Permission>();
            let Some(permission) = report.keep("bad-value", &at.span, parsed) else { continue };
            if permissions.iter().any(|(declared, _)| *declared == permission) {
                given.push(permission);
                continue;
            }
            let message =
                format!("the permission `{permission}` is not declared in `[permissions]`");
            let problem = Problem::error("undeclared-permission", at.span, message);
            let names = permissions.iter().map(|(declared, _)| declared.as_str());
            report.add(match nearest(permission.as_str(), names) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem.hint(format!(
                    "write `\"{permission}\" = \"…\"` there, so that it is created with the group"
                )),
            });
        }
        if named.is_some() {
            groups.push((entry.name, given));
        }
    }
    groups
}

struct Declared<'r> {
    report: &'r Report,
    list: Vec<(Permission, String)>,
    places: HashMap<Permission, Span>,
}

impl<'r> Declared<'r> {
    fn new(report: &'r Report) -> Self {
        Self { report, list: Vec::new(), places: HashMap::new() }
    }

    fn add(&mut self, name: &str, entry: &Entry<'_>) {
        if let Some(description) = entry.text() {
            self.insert(name, description.value, &entry.key);
        }
    }

    /// Declares a permission; false, with a problem noted, when it cannot be.
    fn insert(&mut self, name: &str, description: String, span: &Span) -> bool {
        let parsed = name.parse::<Permission>();
        let Some(permission) = self.report.keep("bad-value", span, parsed) else { return false };
        if let Some(first) = self.places.get(&permission) {
            let message = format!("the permission `{permission}` is declared twice");
            let problem = Problem::error("duplicate", span.clone(), message);
            self.report.add(problem.other(first.clone(), "first here"));
            return false;
        }
        self.places.insert(permission.clone(), span.clone());
        self.list.push((permission, description));
        true
    }
}
