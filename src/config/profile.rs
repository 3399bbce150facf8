//! `[accounts.profile]`: the fields that profiles have, and where else in the file they are named.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::problem::{Problem, Span};
use super::reader::{At, Entry, Table};
use super::report::{Report, nearest};
use crate::domain::profile::{FieldKind, is_field_name};
use crate::domain::{ProfileField, ProfileFields};

/// Reads the fields from `[accounts]`; `None` when the file declares none.
pub(super) fn read(accounts: &Table<'_>) -> Option<Arc<ProfileFields>> {
    let entry = accounts.entry("profile")?;
    let table = entry.table("accounts.profile", "`[accounts.profile]`".to_owned());
    let fields = table.entries().iter().filter_map(read_field).collect();
    Some(Arc::new(ProfileFields::new(fields)))
}

/// The words for `type`; the choices come from another key.
const KINDS: [(&str, FieldKind); 8] = [
    ("text", FieldKind::Text),
    ("textarea", FieldKind::TextArea),
    ("email", FieldKind::Email),
    ("url", FieldKind::Url),
    ("number", FieldKind::Number),
    ("boolean", FieldKind::Boolean),
    ("date", FieldKind::Date),
    ("choice", FieldKind::Choice(Vec::new())),
];

fn read_field(entry: &Entry<'_>) -> Option<ProfileField> {
    let report = entry.report();
    let name = entry.name.clone();
    let is_name = is_field_name(&name);
    if !is_name {
        let message = format!("`{}` cannot name a profile's field", name.escape_debug());
        let problem = Problem::error("bad-value", entry.key.clone(), message);
        report.add(problem.hint("letters, digits and `_`, a letter first"));
    }
    if !entry.is_table() {
        let message = format!("the profile's field `{name}` must be a table");
        let problem = Problem::error("wrong-type", entry.span(), message);
        report.add(problem.hint("write `{ label = \"Favorite band\", type = \"text\" }`"));
        return None;
    }
    let table = entry.table("accounts.profile.*", format!("the profile's field `{name}`"));
    let label = table.parsed("label", |text| match text.trim() {
        "" => Err("`label` is empty\nhint: leave it out for the field's own name"),
        text => Ok(text.to_owned()),
    });
    let words: Vec<(&str, usize)> =
        KINDS.iter().enumerate().map(|(index, (word, _))| (*word, index)).collect();
    let kind = table.choice("type", &words);
    let choices = table.texts("choices");
    let kind = kind_with(report, &entry.key, kind, choices)?;
    let flag = |key, default| table.flag(key).map_or(default, |at| at.value);
    let field = ProfileField {
        label: label.map_or_else(|| label_of(&name), |at| at.value),
        kind,
        is_required: flag("required", false),
        help: table.text("help").map(|at| at.value).unwrap_or_default(),
        on_registration: flag("registration", false),
        is_editable: flag("editable", true),
        name,
    };
    table.finish(&[]);
    is_name.then_some(field)
}

/// The kind with its choices, which belong to one kind alone.
fn kind_with(
    report: &Report,
    place: &Span,
    kind: Option<At<usize>>,
    choices: Option<At<Vec<At<String>>>>,
) -> Option<FieldKind> {
    let span = kind.as_ref().map_or_else(|| place.clone(), |at| at.span.clone());
    let kind = kind.map_or(FieldKind::Text, |at| KINDS[at.value].1.clone());
    match (kind, choices) {
        (FieldKind::Choice(_), None) => {
            let message = "a field of type `choice` needs `choices`";
            let problem = Problem::error("missing-key", span, message);
            report.add(problem.hint("write `choices = [\"Beatles\", \"Stones\"]`"));
            None
        }
        (FieldKind::Choice(_), Some(choices)) => {
            let mut seen = BTreeSet::new();
            for choice in &choices.value {
                let is_fit = choice.value.trim() == choice.value
                    && !choice.value.is_empty()
                    && !choice.value.contains(char::is_control);
                if !is_fit {
                    let message = "a choice is text without blanks around it";
                    report.add(Problem::error("bad-value", choice.span.clone(), message));
                } else if !seen.insert(choice.value.as_str()) {
                    let message = format!("the choice `{}` is there already", choice.value);
                    report.add(Problem::error("duplicate", choice.span.clone(), message));
                }
            }
            Some(FieldKind::Choice(choices.value.into_iter().map(|at| at.value).collect()))
        }
        (kind, None) => Some(kind),
        (kind, Some(choices)) => {
            let message = format!("a field of type `{}` has no `choices`", kind.name());
            let problem = Problem::error("contradiction", choices.key, message);
            report.add(problem.hint("write `type = \"choice\"`, or leave `choices` out"));
            None
        }
    }
}

/// `favorite_band` is `Favorite band` to people.
fn label_of(name: &str) -> String {
    let words = name.replace('_', " ");
    let mut letters = words.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

/// Warns of every field that a header or a test names and the file does not declare: it is nothing to
/// everybody.
pub(super) fn check_mentions(report: &Report, declared: Option<&ProfileFields>) {
    let mentions = report.take_profile_mentions();
    let Some(declared) = declared else { return };
    for (name, span) in mentions {
        if declared.get(&name).is_some() {
            continue;
        }
        let message = format!("the profile field `{name}` is not declared in `[accounts.profile]`");
        let problem = Problem::warning("undeclared-profile-field", span, message);
        report.add(match nearest(&name, declared.iter().map(|field| field.name.as_str())) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem.hint("nobody has anything in a field that does not exist"),
        });
    }
}
