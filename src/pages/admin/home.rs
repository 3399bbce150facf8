//! The first page of the administration: its sections, and what is in them.

use http::StatusCode;
use minijinja::{Value, context};

use super::super::Answer;
use super::desk::Desk;
use crate::domain::staff::{AddGroup, AddUser, ViewSession, ViewUser};

impl Desk<'_> {
    /// GET: the sections that this member of staff may enter.
    pub(super) async fn home(&self) -> Answer {
        let sessions = self.may::<ViewSession>().then(|| self.pages.state.sessions.len());
        let registrations = match self.may::<ViewUser>() {
            true => Some(self.registrations().await?.len()),
            false => None,
        };
        let rules = self.pages.rules.sites.iter().map(|site| site.rules.iter().count());
        let names = context! {
            can_add_user => self.may::<AddUser>(),
            can_add_group => self.may::<AddGroup>(),
            add_user_url => self.url("users/add/"),
            add_group_url => self.url("groups/add/"),
            session_count => sessions.map_or(Value::from(()), Value::from),
            registration_count => registrations,
            lockout_count => self.staff.may().ok().map(|allowed| self.locked_out(&allowed).len()),
            rule_count => rules.sum::<usize>(),
        };
        self.show(StatusCode::OK, "admin/index.html", names)
    }
}
