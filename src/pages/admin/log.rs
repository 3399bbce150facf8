//! What was changed by whom.

use http::StatusCode;
use minijinja::{Value, context};

use super::super::Answer;
use super::desk::{Desk, unavailable};
use super::number;
use crate::accounts::{LogEntry, LogQuery};
use crate::domain::staff::{ViewGroup, ViewLog, ViewUser};

/// The kinds of things that entries are about: in the database, and for people.
const KINDS: [(&str, &str); 6] = [
    ("user", "Users"),
    ("group", "Groups"),
    ("permission", "Permissions"),
    ("session", "Sessions"),
    ("lockout", "Lockouts"),
    ("import", "Imports"),
];

impl Desk<'_> {
    /// GET: the newest entries, or those before one.
    pub(super) async fn log(&self) -> Answer {
        let allowed = self.allowed::<ViewLog>()?;
        let kind = self.asked_for("kind");
        let kind = KINDS.iter().find(|(name, _)| Some(*name) == kind.as_deref());
        let ask = |name: &str| self.asked_for(name).as_deref().and_then(number);
        let who = self.asked_for("by");
        let by = match &who {
            Some(name) => match self.pages.state.directory.find(name).await {
                Ok((id, _)) => Some(id.0),
                // Nobody has the number 0, so nothing is found of whom there is not.
                Err(_) => Some(0),
            },
            None => None,
        };
        let query = LogQuery {
            by,
            kind: kind.map(|(name, _)| (*name).to_owned()),
            object_id: ask("id"),
            before: ask("before"),
        };
        let page = self.pages.state.directory.browse_log(&allowed, query.clone()).await;
        let page = page.map_err(|error| unavailable(&error))?;
        let mut address = form_urlencoded::Serializer::new(String::new());
        for (name, value) in [
            ("kind", query.kind.clone()),
            ("id", query.object_id.map(|id| id.to_string())),
            ("by", who.clone()),
            ("before", page.older.map(|id| id.to_string())),
        ] {
            if let Some(value) = value {
                address.append_pair(name, &value);
            }
        }
        let names = context! {
            entries => page.entries.iter().map(|entry| shown(self, entry)).collect::<Vec<_>>(),
            older_url => page.older.map(|_| self.url(&format!("log/?{}", address.finish()))),
            kind => query.kind,
            kinds => KINDS.map(|(name, title)| context! { name, title }),
            id => query.object_id,
            by => who,
            log_url => self.url("log/"),
        };
        self.show(StatusCode::OK, "admin/log.html", names)
    }
}

/// An entry as the template sees it.
pub(super) fn shown(desk: &Desk<'_>, entry: &LogEntry) -> Value {
    let url = entry.object_id.and_then(|id| match &*entry.kind {
        "user" | "session" | "lockout" if desk.may::<ViewUser>() => {
            Some(desk.url(&format!("users/{id}/")))
        }
        "group" if desk.may::<ViewGroup>() => Some(desk.url(&format!("groups/{id}/"))),
        _ => None,
    });
    let changes = entry.changes.iter().map(|(field, [old, new])| {
        context! { field => field.replace('_', " "), old => plain(old), new => plain(new) }
    });
    context! {
        id => entry.id,
        moment => entry.moment.seconds(),
        by => &*entry.by,
        is_operator => entry.by_id.is_none(),
        way => &*entry.way,
        what => match &*entry.action {
            "add" => "added",
            "change" => "changed",
            "delete" => "deleted",
            "end" => "ended",
            "lift" => "lifted",
            "reset" => "started a password reset of",
            "import" => "imported",
            other => other,
        },
        kind => &*entry.kind,
        object => &*entry.object,
        url => if entry.action == "delete" { None } else { url },
        changes => changes.collect::<Vec<_>>(),
    }
}

/// A value for people.
fn plain(value: &serde_json::Value) -> String {
    use serde_json::Value;
    match value {
        Value::Null => String::new(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}
