//! Profiles: which fields the operator declares, and what may stand in them.

mod check;

use std::collections::BTreeMap;
use std::fmt;

/// The fields of all profiles, in the order of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProfileFields(Vec<ProfileField>);

/// One field of every profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileField {
    /// The name that templates write after a dot.
    pub name: String,
    /// What people read beside it.
    pub label: String,
    /// What may stand in it.
    pub kind: FieldKind,
    /// Whether it must be filled in wherever the user is asked for it.
    pub is_required: bool,
    /// A sentence below it, possibly empty.
    pub help: String,
    /// Whether it is asked for when somebody registers.
    pub on_registration: bool,
    /// Whether users may change it themselves.
    pub is_editable: bool,
}

/// What may stand in a field; the text that is kept is said for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldKind {
    /// One line.
    Text,
    /// Several lines, with `\n` between two.
    TextArea,
    /// An e-mail address, whose part after the `@` is in lower case.
    Email,
    /// The address of a page, `http` or `https`.
    Url,
    /// A decimal number, with digits and one point.
    Number,
    /// Yes or no: `true`, or nothing, so that it is false wherever it is asked for.
    Boolean,
    /// A day, `YYYY-MM-DD`.
    Date,
    /// One of these.
    Choice(Vec<String>),
}

/// Why a text cannot stand in a field, in the words of Django's forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldError {
    /// Nothing stands in a field that must be filled in.
    Required,
    /// It is longer than this many characters, and has the second number.
    TooLong(usize, usize),
    /// It has a character in it that cannot be shown.
    Control,
    /// It is no e-mail address.
    Email,
    /// It is no address of a page.
    Url,
    /// It is no number.
    Number,
    /// It is neither true nor false.
    Boolean,
    /// It is no day.
    Date,
    /// It is none of the choices.
    Choice(String),
}

impl ProfileFields {
    /// The declared fields.
    pub fn new(fields: Vec<ProfileField>) -> Self {
        Self(fields)
    }

    /// The field with this name.
    pub fn get(&self, name: &str) -> Option<&ProfileField> {
        self.0.iter().find(|field| field.name == name)
    }

    /// All fields, in order.
    pub fn iter(&self) -> impl Iterator<Item = &ProfileField> {
        self.0.iter()
    }

    /// Those that users fill in when they register.
    pub fn on_registration(&self) -> impl Iterator<Item = &ProfileField> {
        self.iter().filter(|field| field.on_registration)
    }

    /// Whether users themselves have to fill in one that is empty in this profile.
    pub fn lacks(&self, profile: &BTreeMap<String, String>) -> bool {
        let is_empty = |field: &&ProfileField| !profile.contains_key(&field.name);
        self.iter().filter(is_empty).any(|field| field.is_required && field.is_editable)
    }
}

impl ProfileField {
    /// The most characters that a field may have.
    pub const MAX: usize = 4096;

    /// What is kept of `text`, which is empty where nothing is: without blanks around it, checked by
    /// the field's kind. That a required field is empty is for [`Self::clean_required`] to say.
    pub fn clean(&self, text: &str) -> Result<String, FieldError> {
        check::clean(&self.kind, text)
    }

    /// The same, where an empty field that must be filled in is an error: in a form.
    pub fn clean_required(&self, text: &str) -> Result<String, FieldError> {
        let clean = self.clean(text)?;
        if clean.is_empty() && self.is_required { Err(FieldError::Required) } else { Ok(clean) }
    }
}

impl FieldKind {
    /// The word that the file has for it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::TextArea => "textarea",
            Self::Email => "email",
            Self::Url => "url",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::Choice(_) => "choice",
        }
    }
}

impl fmt::Display for FieldError {
    /// Django's `forms/fields.py` and `core/validators.py`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Required => f.write_str("This field is required."),
            Self::TooLong(most, length) => {
                write!(f, "Ensure this value has at most {most} characters (it has {length}).")
            }
            Self::Control => f.write_str("Control characters are not allowed."),
            Self::Email => f.write_str("Enter a valid email address."),
            Self::Url => f.write_str("Enter a valid URL."),
            Self::Number => f.write_str("Enter a number."),
            Self::Boolean => f.write_str("Enter true or false."),
            Self::Date => f.write_str("Enter a valid date."),
            Self::Choice(text) => {
                write!(f, "Select a valid choice. {text} is not one of the available choices.")
            }
        }
    }
}

impl std::error::Error for FieldError {}

/// Whether a profile's field can have this name: a name that templates can write after a dot.
pub fn is_field_name(name: &str) -> bool {
    name.len() <= 100
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests;
