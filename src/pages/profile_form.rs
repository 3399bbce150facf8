//! The fields of a profile in a form: on the profile page, when somebody registers, for staff.

use std::collections::BTreeMap;

use minijinja::{Value, context};

use crate::accounts::Change;
use crate::domain::profile::{FieldError, FieldKind};
use crate::domain::{ProfileField, User};
use crate::web::form::Form;

/// Some fields of a profile, with what stands in each and what is wrong with it.
pub(super) struct ProfileForm<'f>(Vec<Filled<'f>>);

struct Filled<'f> {
    field: &'f ProfileField,
    /// As it is shown.
    value: String,
    /// As it is kept.
    outcome: Result<String, FieldError>,
}

impl<'f> ProfileForm<'f> {
    /// The fields with what the profile has in them.
    pub(super) fn of(
        fields: impl Iterator<Item = &'f ProfileField>,
        profile: &BTreeMap<String, String>,
    ) -> Self {
        let filled = |field: &'f ProfileField| {
            let value = profile.get(&field.name).cloned().unwrap_or_default();
            Filled { field, outcome: Ok(value.clone()), value }
        };
        Self(fields.map(filled).collect())
    }

    /// The fields as somebody filled them in. A box that is not ticked is not sent.
    pub(super) fn read(fields: impl Iterator<Item = &'f ProfileField>, form: &Form) -> Self {
        let filled = |field: &'f ProfileField| {
            let value = form.value(&input_name(field)).unwrap_or_default().to_owned();
            Filled { field, outcome: field.clean_required(&value), value }
        };
        Self(fields.map(filled).collect())
    }

    /// Whether nothing is wrong with any of them.
    pub(super) fn is_valid(&self) -> bool {
        self.0.iter().all(|filled| filled.outcome.is_ok())
    }

    /// What is to be changed in this profile; nothing where the same is typed again.
    pub(super) fn changes(&self, profile: &BTreeMap<String, String>) -> Vec<Change> {
        let change = |Filled { field, outcome, .. }: &Filled<'_>| {
            let value = outcome.as_ref().ok()?;
            let before = profile.get(&field.name).map(String::as_str).unwrap_or_default();
            let change = Change::Profile { field: field.name.clone(), value: value.clone() };
            (before != value).then_some(change)
        };
        self.0.iter().filter_map(change).collect()
    }

    /// The fields for `profile_fields.html`.
    pub(super) fn scope(&self) -> Vec<Value> {
        self.0.iter().map(Filled::scope).collect()
    }
}

impl Filled<'_> {
    fn scope(&self) -> Value {
        let ProfileField { label, kind, is_required, help, .. } = self.field;
        let name = input_name(self.field);
        let id = format!("id_{}", name.replace('.', "_"));
        let choices = match kind {
            FieldKind::Choice(choices) => choices.as_slice(),
            FieldKind::Text
            | FieldKind::TextArea
            | FieldKind::Email
            | FieldKind::Url
            | FieldKind::Number
            | FieldKind::Boolean
            | FieldKind::Date => &[],
        };
        let errors: Vec<String> =
            self.outcome.as_ref().err().map(ToString::to_string).into_iter().collect();
        context! {
            id_for_label => id.clone(),
            id,
            name,
            label => label.as_str(),
            value => self.value.as_str(),
            kind => kind.name(),
            required => *is_required,
            help_text => help.as_str(),
            choices => choices.to_vec(),
            errors,
        }
    }
}

/// What the field is called in a form.
pub(super) fn input_name(field: &ProfileField) -> String {
    format!("profile.{}", field.name)
}

/// First and last name in a form, as Django's `UserChangeForm` has them.
pub(super) struct NameForm([(&'static str, &'static str, String, Option<String>); 2]);

impl NameForm {
    /// The most characters of a name, as in Django's `AbstractUser`.
    const MAX: usize = 150;

    pub(super) fn of(user: &User) -> Self {
        Self::with(user.first_name.clone(), user.last_name.clone())
    }

    pub(super) fn read(form: &Form) -> Self {
        let text = |name| form.value(name).unwrap_or_default().trim().to_owned();
        let mut read = Self::with(text("first_name"), text("last_name"));
        for (_, _, value, error) in &mut read.0 {
            let length = value.chars().count();
            let is_hidden = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
            *error = if length > Self::MAX {
                Some(FieldError::TooLong(Self::MAX, length).to_string())
            } else {
                value.contains(is_hidden).then(|| FieldError::Control.to_string())
            };
        }
        read
    }

    fn with(first: String, last: String) -> Self {
        let field = |name, label, value| (name, label, value, None);
        Self([field("first_name", "First name", first), field("last_name", "Last name", last)])
    }

    pub(super) fn is_valid(&self) -> bool {
        self.0.iter().all(|(_, _, _, error)| error.is_none())
    }

    pub(super) fn changes(&self, user: &User) -> Vec<Change> {
        let [(_, _, first, _), (_, _, last, _)] = &self.0;
        let first = (*first != user.first_name).then(|| Change::FirstName(first.clone()));
        let last = (*last != user.last_name).then(|| Change::LastName(last.clone()));
        first.into_iter().chain(last).collect()
    }

    /// `first_name` and `last_name` of a form.
    pub(super) fn scope(&self) -> Value {
        let field = |(name, label, value, error): &(&str, &str, String, Option<String>)| {
            let id = format!("id_{name}");
            let errors: Vec<String> = error.iter().cloned().collect();
            let value = value.as_str();
            context! { id_for_label => id.clone(), id, name => *name, label => *label, value, errors }
        };
        let [first, last] = &self.0;
        context! { first_name => field(first), last_name => field(last) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, kind: FieldKind) -> ProfileField {
        ProfileField {
            name: name.to_owned(),
            label: name.to_owned(),
            kind,
            is_required: false,
            help: String::new(),
            on_registration: false,
            is_editable: true,
        }
    }

    #[test]
    fn a_form_says_what_is_wrong_and_what_is_to_be_changed() {
        let fields = [field("born", FieldKind::Date), field("letters", FieldKind::Boolean)];
        let profile = [("born", "1912-06-23"), ("letters", "true")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let read = |query: &str| {
            let form = Form::of_query(query).unwrap();
            let form = ProfileForm::read(fields.iter(), &form);
            (form.is_valid(), form.changes(&profile))
        };
        let change = |field: &str, value: &str| Change::Profile {
            field: field.to_owned(),
            value: value.to_owned(),
        };
        assert_eq!(read("profile.born=1912-06-23&profile.letters=on"), (true, Vec::new()));
        assert_eq!(read("profile.born=1912-06-23"), (true, vec![change("letters", "")]));
        assert_eq!(read("profile.born=x&profile.letters=on&profile.staff=on"), (false, Vec::new()));
    }

    #[test]
    fn names_are_bounded_as_djangos() {
        let form = Form::of_query(&format!("first_name={}&last_name=a%0ab", "x".repeat(151)));
        let form = NameForm::read(&form.unwrap());
        assert!(!form.is_valid());
        let errors: Vec<_> = form.0.iter().map(|it| it.3.clone().unwrap()).collect();
        assert_eq!(errors[0], "Ensure this value has at most 150 characters (it has 151).");
        assert_eq!(errors[1], "Control characters are not allowed.");
    }
}
