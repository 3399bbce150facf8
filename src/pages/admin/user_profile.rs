//! A user's profile in the form of staff: every field that is declared, those too that are not the
//! user's own to fill in.

use std::collections::BTreeMap;

use minijinja::Value;

use super::super::profile_form::{ProfileForm, input_name};
use crate::accounts::Change;
use crate::domain::profile::FieldKind;
use crate::domain::{ProfileField, ProfileFields, User};
use crate::web::form::Form;

/// What the form asks to change of the profile. What cannot stand in a field is passed on as it was
/// typed, for the command to refuse.
pub(super) fn changes(declared: &ProfileFields, user: &User, form: &Form) -> Vec<Change> {
    let change = |field: &ProfileField| {
        let old = user.profile.get(&field.name).map(String::as_str).unwrap_or_default();
        let typed = sent(field, form).filter(|typed| *typed != old)?;
        let value = field.clean(typed).unwrap_or_else(|_| typed.to_owned());
        (value != old).then(|| Change::Profile { field: field.name.clone(), value })
    };
    declared.iter().filter_map(change).collect()
}

/// The fields for `profile_fields.html`, with what was typed or else what is. None must be filled
/// in: that is asked of the user.
pub(super) fn shown(declared: &ProfileFields, user: &User, typed: Option<&Form>) -> Vec<Value> {
    let optional = |field: &ProfileField| ProfileField { is_required: false, ..field.clone() };
    let fields: Vec<_> = declared.iter().map(optional).collect();
    let mut profile: BTreeMap<String, String> = user.profile.clone();
    for (field, form) in fields.iter().filter_map(|field| Some((field, typed?))) {
        if let Some(value) = sent(field, form) {
            profile.insert(field.name.clone(), value.to_owned());
        }
    }
    ProfileForm::of(fields.iter(), &profile).scope()
}

/// What was sent for a field; of a box that is not ticked nothing is.
fn sent<'f>(field: &ProfileField, form: &'f Form) -> Option<&'f str> {
    let is_box = matches!(field.kind, FieldKind::Boolean);
    form.value(&input_name(field)).or(is_box.then_some(""))
}
