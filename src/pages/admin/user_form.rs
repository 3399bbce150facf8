//! The form of a user: what it shows, and which changes it asks for.

use std::collections::BTreeSet;

use minijinja::{Value, context};

use super::choices::{Choice, Chosen, shown};
use super::user_profile;
use crate::accounts::{Change, SeenUser, UserEdit};
use crate::domain::staff::StaffMember;
use crate::domain::{ProfileFields, User};
use crate::web::form::Form;

/// The fields of text that every user has, with their labels.
const TEXTS: [(&str, &str); 4] = [
    ("username", "Username"),
    ("first_name", "First name"),
    ("last_name", "Last name"),
    ("email", "E-mail address"),
];

/// What stands before the name of a profile's field.
const PROFILE: &str = "profile.";

/// What the form asks to change of a user who is as it showed.
pub(super) fn edit(
    form: &Form,
    seen: &SeenUser,
    declared: Option<&ProfileFields>,
    staff: &StaffMember,
    groups: &[Choice],
    permissions: &[Choice],
) -> UserEdit {
    let user = &seen.user;
    let mut changes = Vec::new();
    let mut text = |name: &str, old: &str, change: fn(String) -> Change| {
        if let Some(new) = form.value(name).map(str::trim).filter(|new| *new != old) {
            changes.push(change(new.to_owned()));
        }
    };
    text("username", &user.username, Change::Username);
    text("first_name", &user.first_name, Change::FirstName);
    text("last_name", &user.last_name, Change::LastName);
    text("email", &user.email, Change::Email);
    match declared {
        Some(declared) => changes.extend(user_profile::changes(declared, user, form)),
        None => {
            for (field, old) in &user.profile {
                let new = form.value(&format!("{PROFILE}{field}")).filter(|new| new != old);
                if let Some(new) = new {
                    changes.push(Change::Profile { field: field.clone(), value: new.to_owned() });
                }
            }
        }
    }
    // Staff who are no superusers cannot tick the last two boxes, and a browser sends nothing of
    // them. What is sent all the same is forged, and refused where the command is carried out.
    let is_superuser = staff.user().is_superuser;
    for (name, old, is_open, change) in [
        ("is_active", user.is_active, true, Change::IsActive as fn(bool) -> Change),
        ("is_staff", user.is_staff, is_superuser, Change::IsStaff),
        ("is_superuser", user.is_superuser, is_superuser, Change::IsSuperuser),
    ] {
        let new = form.value(name).is_some();
        if new != old && (new || is_open) {
            changes.push(change(new));
        }
    }
    let groups = Chosen::of(form, "groups", groups, &user.groups);
    let permissions = Chosen::of(form, "permissions", permissions, &seen.details.permissions);
    UserEdit {
        id: user.id.0,
        username: user.username.clone(),
        seen: form.value("seen").unwrap_or_default().to_owned(),
        changes,
        join: groups.added,
        leave: groups.removed,
        grant: permissions.added,
        revoke: permissions.removed,
    }
}

/// Whether nothing is to be changed.
pub(super) fn is_empty(edit: &UserEdit) -> bool {
    let UserEdit { id: _, username: _, seen: _, changes, join, leave, grant, revoke } = edit;
    changes.is_empty() && [join, leave, grant, revoke].iter().all(|list| list.is_empty())
}

/// Whether the change matters so much that staff has to give the own password: another address of
/// somebody else, by which a password is reset, and a new superuser.
pub(super) fn is_sensitive(edit: &UserEdit, user: &User, staff: &StaffMember) -> bool {
    edit.changes.iter().any(|change| match change {
        Change::Email(_) => user.id != staff.user().id,
        Change::IsSuperuser(becomes_one) => *becomes_one,
        Change::Username(_)
        | Change::FirstName(_)
        | Change::LastName(_)
        | Change::IsActive(_)
        | Change::IsStaff(_)
        | Change::Profile { .. } => false,
    })
}

/// The form's fields of text; with `typed` what was sent, or else what is. Where no fields of a
/// profile are declared, those are shown that there are.
pub(super) fn fields(
    user: &User,
    declared: Option<&ProfileFields>,
    typed: Option<&Form>,
) -> Vec<Value> {
    let typed_or =
        |name: &str, old: &str| typed.and_then(|form| form.value(name)).unwrap_or(old).to_owned();
    let value_of = |name: &str| match name {
        "username" => &user.username,
        "first_name" => &user.first_name,
        "last_name" => &user.last_name,
        _ => &user.email,
    };
    let texts = TEXTS.into_iter().map(|(name, label)| {
        let kind = if name == "email" { "email" } else { "text" };
        let value = typed_or(name, value_of(name));
        let limit = if name == "email" { 254 } else { 150 };
        let is_required = name == "username";
        context! { name, label, kind, value, limit, is_required }
    });
    let undeclared = user.profile.iter().filter(|_| declared.is_none());
    let profile = undeclared.map(|(field, value)| {
        let name = format!("{PROFILE}{field}");
        let value = typed_or(&name, value);
        let label = field.replace('_', " ");
        context! { name, label, kind => "text", value, limit => 4096, is_profile => true }
    });
    texts.chain(profile).collect()
}

/// The boxes above those of groups and permissions.
pub(super) fn flags(user: &User, staff: &StaffMember, typed: Option<&Form>) -> Vec<Value> {
    let is_superuser = staff.user().is_superuser;
    [
        (
            "is_active",
            "Active",
            "May log in. Take the tick away instead of deleting an account.",
            user.is_active,
            true,
        ),
        ("is_staff", "Staff", "May enter this administration.", user.is_staff, is_superuser),
        (
            "is_superuser",
            "Superuser",
            "Has every permission without being given any.",
            user.is_superuser,
            is_superuser,
        ),
    ]
    .into_iter()
    .map(|(name, label, about, is_set, is_open)| {
        let is_ticked = match typed {
            Some(form) if is_open => form.value(name).is_some(),
            Some(_) | None => is_set,
        };
        context! { name, label, about, is_ticked, is_locked => !is_open }
    })
    .collect()
}

/// Boxes of groups or permissions, ticked as they were sent or else as they are.
pub(super) fn boxes(
    choices: &[Choice],
    field: &str,
    current: &[String],
    typed: Option<&Form>,
    is_locked: bool,
) -> Vec<Value> {
    let mut ticked: BTreeSet<&str> = current.iter().map(String::as_str).collect();
    if let Some(form) = typed {
        let chosen = Chosen::of(form, field, choices, current);
        ticked.retain(|name| !chosen.removed.iter().any(|removed| removed == name));
        ticked.extend(form.values(field));
        return shown(choices, &ticked, is_locked);
    }
    shown(choices, &ticked, is_locked)
}
