//! Profiles as the file declares them: what commands and pages may put into one.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::command::Change;
use super::directory::Directory;
use super::error::CommandError;
use super::fields;
use crate::domain::ProfileFields;

impl Directory {
    /// The fields that profiles have, if the file declares any; without, there is no telling.
    pub fn profile_fields(&self) -> Option<Arc<ProfileFields>> {
        self.shared.profile.load_full()
    }

    /// Declares other fields: the file was read again. What is kept in a field that is not declared
    /// any more stays, and cannot be changed.
    pub fn declare_profile(&self, declared: Option<Arc<ProfileFields>>) {
        self.shared.profile.store(declared);
    }
}

/// The changes with what is kept of each of a profile's fields, or what is wrong with one.
pub(super) fn checked(
    declared: Option<&ProfileFields>,
    changes: Vec<Change>,
) -> Result<Vec<Change>, CommandError> {
    let check = |change| {
        let Change::Profile { field, value } = change else { return Ok(change) };
        let value = value_of(declared, &field, value)?;
        Ok(Change::Profile { field, value })
    };
    changes.into_iter().map(check).collect()
}

/// The same for the profile of a new user.
pub(super) fn cleaned(
    declared: Option<&ProfileFields>,
    profile: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, CommandError> {
    let check = |(name, value): (String, String)| {
        let value = value_of(declared, &name, value)?;
        Ok((name, value))
    };
    profile.into_iter().map(check).collect()
}

/// What is kept in a field; nothing removes it. That somebody's required field is emptied is an
/// operator's to decide: the user is asked for it at the next login.
fn value_of(
    declared: Option<&ProfileFields>,
    name: &str,
    value: String,
) -> Result<String, CommandError> {
    let Some(declared) = declared else {
        fields::check_profile(name, &value)?;
        return Ok(value);
    };
    let Some(field) = declared.get(name) else {
        let names = declared.iter().map(|field| field.name.clone());
        let hint = "`[accounts.profile]` declares the fields";
        return Err(CommandError::missing("profile field", name, names, hint));
    };
    field.clean(&value).map_err(|error| {
        let (kind, value) = (field.kind.name(), value.escape_debug());
        let error = error.to_string();
        let why = error.trim_end_matches('.');
        CommandError::Invalid(format!(
            "`profile.{name}` cannot be `{value}`\nhint: it is of type `{kind}`: {why}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ProfileField;
    use crate::domain::profile::FieldKind;

    fn set(field: &str, value: &str) -> Change {
        Change::Profile { field: field.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn a_profile_has_the_declared_fields_and_no_others() {
        let field = |name: &str, kind| ProfileField {
            name: name.to_owned(),
            label: name.to_owned(),
            kind,
            is_required: true,
            help: String::new(),
            on_registration: false,
            is_editable: false,
        };
        let declared = ProfileFields::new(vec![
            field("born", FieldKind::Date),
            field("letters", FieldKind::Boolean),
        ]);
        let clean = |change| checked(Some(&declared), vec![change]);
        assert_eq!(clean(set("born", " 1912-06-23 ")).unwrap(), [set("born", "1912-06-23")]);
        assert_eq!(clean(set("letters", "no")).unwrap(), [set("letters", "")]);
        assert_eq!(clean(set("born", "")).unwrap(), [set("born", "")]);
        assert_eq!(clean(Change::IsStaff(true)).unwrap(), [Change::IsStaff(true)]);
        let error = clean(set("borne", "x")).unwrap_err().to_string();
        assert_eq!(error, "there is no profile field `borne`\nhint: did you mean `born`?");
        let error = clean(set("born", "yesterday")).unwrap_err().to_string();
        assert!(error.contains("`profile.born` cannot be `yesterday`"), "{error}");
        assert!(error.contains("Enter a valid date"), "{error}");
    }

    #[test]
    fn without_a_declaration_any_name_will_do() {
        let clean = |change| checked(None, vec![change]);
        assert_eq!(clean(set("any_thing", "x")).unwrap(), [set("any_thing", "x")]);
        assert!(clean(set("any thing", "x")).is_err());
        assert!(clean(set("any_thing", "x\ny")).is_err());
    }
}
