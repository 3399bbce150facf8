//! Groups and permissions to choose from: boxes to tick, of which those can be ticked that staff
//! may give; and what a form changes of what was ticked.

use std::collections::BTreeSet;

use minijinja::{Value, context};

use super::super::refusal::Notice;
use super::desk::{Desk, unavailable};
use crate::accounts::GroupSummary;
use crate::domain::staff::StaffMember;
use crate::web::form::Form;

/// One box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) name: String,
    pub(super) about: String,
    /// Whether staff may tick it, or take the tick away.
    pub(super) is_open: bool,
}

/// What a form changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) added: Vec<String>,
    pub(super) removed: Vec<String>,
}

impl Chosen {
    /// What the boxes called `field` change of `current`.
    ///
    /// A browser sends nothing of a box that cannot be ticked, so that one which is missing stays
    /// as it is. One that is sent all the same is taken at its word: whoever forged it is refused
    /// where the command is carried out.
    pub(super) fn of(form: &Form, field: &str, choices: &[Choice], current: &[String]) -> Self {
        let sent: BTreeSet<&str> = form.values(field).collect();
        let current: BTreeSet<&str> = current.iter().map(String::as_str).collect();
        let is_open =
            |name: &str| choices.iter().any(|choice| choice.name == name && choice.is_open);
        let owned = |name: &&str| (*name).to_owned();
        Self {
            added: sent.difference(&current).map(owned).collect(),
            removed: current.difference(&sent).filter(|name| is_open(name)).map(owned).collect(),
        }
    }
}

/// The boxes as a template sees them.
pub(super) fn shown(choices: &[Choice], ticked: &BTreeSet<&str>, is_locked: bool) -> Vec<Value> {
    let one = |choice: &Choice| {
        context! {
            name => &*choice.name,
            about => &*choice.about,
            is_ticked => ticked.contains(&*choice.name),
            is_locked => is_locked || !choice.is_open,
        }
    };
    choices.iter().map(one).collect()
}

/// Groups as choices.
pub(super) fn of_groups(staff: &StaffMember, groups: &[GroupSummary]) -> Vec<Choice> {
    let one = |group: &GroupSummary| Choice {
        name: group.name.clone(),
        about: match group.gives.len() {
            0 => "gives no permission".to_owned(),
            1 => "gives 1 permission".to_owned(),
            number => format!("gives {number} permissions"),
        },
        is_open: staff.may_give_group(&group.name, &group.gives),
    };
    groups.iter().map(one).collect()
}

impl Desk<'_> {
    /// All permissions as choices.
    pub(super) async fn permission_choices(&self) -> Result<Vec<Choice>, Notice> {
        let permissions = self.pages.state.directory.permission_names().await;
        let one = |(name, about): (String, String)| {
            let is_open = self.staff.may_give(&name);
            Choice { name, about, is_open }
        };
        Ok(permissions.map_err(|error| unavailable(&error))?.into_iter().map(one).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_ticked_stays_and_what_is_forged_is_passed_on() {
        let choice =
            |name: &str, is_open| Choice { name: name.to_owned(), about: String::new(), is_open };
        let choices =
            [choice("a", true), choice("b", true), choice("c", false), choice("d", false)];
        let current = ["a".to_owned(), "c".to_owned()];
        let form = Form::of_query("groups=b&groups=d&other=x").unwrap();
        let chosen = Chosen::of(&form, "groups", &choices, &current);
        assert_eq!(chosen.added, ["b", "d"]);
        assert_eq!(chosen.removed, ["a"]);
    }
}
