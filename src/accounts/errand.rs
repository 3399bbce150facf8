//! A command on its way: whoever carries it out changes something in a transaction that also asks
//! whether that may be, and writes down what it was.

use std::ops::{Deref, DerefMut};

use serde_json::Value;

use super::by::By;
use super::command::Command;
use super::error::CommandError;
use super::log::{State, Subject, Written, differences, find, write};
use super::shared::{Changing, Shared};
use super::warrant::Warrant;
use crate::domain::Timestamp;

/// A command, who ordered it, and when.
pub(super) struct Errand<'a> {
    shared: &'a Shared,
    command: &'a Command,
    by: &'a By,
    now: Timestamp,
}

impl<'a> Errand<'a> {
    /// The errand to carry out `command`.
    pub(super) fn new(
        shared: &'a Shared,
        command: &'a Command,
        by: &'a By,
        now: Timestamp,
    ) -> Self {
        Self { shared, command, by, now }
    }

    /// Refuses an order that cannot be given, before any work is done for it.
    pub(super) async fn check(&self) -> Result<(), CommandError> {
        if matches!(self.by, By::Operator(_)) {
            return Ok(());
        }
        let mut reading = self.shared.database.read().await?;
        let before = find(&mut reading, &Subject::of(self.command), None).await?;
        Warrant::of(&mut reading, self.by, self.command, before.as_ref()).await?;
        Ok(reading.commit().await?)
    }

    /// Begins to change something, alone, if that may be ordered.
    pub(super) async fn begin_change(&self) -> Result<Ordered<'_>, CommandError> {
        let mut change = self.shared.begin_change_of_ours().await?;
        let subject = Subject::of(self.command);
        let before = find(change.sql(), &subject, None).await?;
        let warrant = Warrant::of(change.sql(), self.by, self.command, before.as_ref()).await?;
        Ok(Ordered { change, errand: self, subject, before, warrant })
    }
}

impl Deref for Errand<'_> {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        self.shared
    }
}

/// A change that was ordered, under way.
pub(super) struct Ordered<'a> {
    change: Changing<'a>,
    errand: &'a Errand<'a>,
    subject: Subject,
    before: Option<State>,
    warrant: Warrant,
}

impl<'a> Deref for Ordered<'a> {
    type Target = Changing<'a>;

    fn deref(&self) -> &Changing<'a> {
        &self.change
    }
}

impl<'a> DerefMut for Ordered<'a> {
    fn deref_mut(&mut self) -> &mut Changing<'a> {
        &mut self.change
    }
}

impl Ordered<'_> {
    /// What the change is about, as it was before.
    pub(super) fn before(&self) -> Option<&State> {
        self.before.as_ref()
    }

    /// Makes the change last, if it has led to nothing that could not be ordered, and writes it
    /// down with it.
    pub(super) async fn commit(self) -> Result<(), CommandError> {
        let Self { mut change, errand, subject, before, warrant } = self;
        let id = before.as_ref().map(|state| state.id);
        let after = find(change.sql(), &subject, id).await?;
        warrant.judge(change.sql(), before.as_ref(), after.as_ref()).await?;
        let known = after.as_ref().or(before.as_ref());
        if let (Some((action, changes)), Some(state)) =
            (differences(before.as_ref(), after.as_ref()), known)
        {
            let written = Written {
                by: errand.by,
                action,
                kind: state.kind,
                object_id: Some(state.id),
                object: &state.name,
                changes,
            };
            write(change.sql(), written, errand.now, errand.shared.keep_log).await?;
        }
        if let Subject::Import { users, groups, permissions } = subject {
            let counted = [("users", users), ("groups", groups), ("permissions", permissions)]
                .map(|(name, number)| (name.to_owned(), [Value::Null, Value::from(number)]));
            let written = Written {
                by: errand.by,
                action: "import",
                kind: "import",
                object_id: None,
                object: "users, groups and permissions",
                changes: counted.into(),
            };
            write(change.sql(), written, errand.now, errand.shared.keep_log).await?;
        }
        Ok(change.commit().await?)
    }
}
