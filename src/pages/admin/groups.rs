//! The list of groups, and adding one.

use http::StatusCode;
use minijinja::context;

use super::super::Answer;
use super::choices::shown;
use super::desk::{Desk, Stopped, done, unavailable};
use crate::accounts::Command;
use crate::domain::staff::{AddGroup, ViewGroup};
use crate::web::form::Form;

impl Desk<'_> {
    /// GET: all groups by name.
    pub(super) async fn groups(&self) -> Answer {
        let allowed = self.allowed::<ViewGroup>()?;
        let groups = self.pages.state.directory.browse_groups(&allowed).await;
        let groups = groups.map_err(|error| unavailable(&error))?;
        let row = |group: &crate::accounts::GroupSummary| {
            context! {
                name => &*group.name,
                url => self.url(&format!("groups/{}/", group.id)),
                members => group.members,
                permissions => group.gives.iter().map(ToString::to_string).collect::<Vec<_>>(),
            }
        };
        let names = context! {
            groups => groups.iter().map(row).collect::<Vec<_>>(),
            can_add => self.may::<AddGroup>(),
            add_url => self.url("groups/add/"),
        };
        self.show(StatusCode::OK, "admin/groups.html", names)
    }

    /// GET: the empty form.
    pub(super) async fn new_group_page(&self) -> Answer {
        self.allowed::<AddGroup>()?;
        self.new_group_form(StatusCode::OK, None, None).await
    }

    /// POST: creates the group.
    pub(super) async fn add_group(&self) -> Answer {
        self.allowed::<AddGroup>()?;
        let form = self.submitted()?;
        let name = form.value("name").unwrap_or_default().trim().to_owned();
        let permissions = form.values("permissions").map(str::to_owned).collect();
        match self.order(Command::GroupCreate { name: name.clone(), permissions }).await {
            Ok(()) => {
                let page = if self.may::<ViewGroup>() { "groups/" } else { "" };
                Ok(self.go_to(page, Some(done("group", &name, "added"))).await)
            }
            Err(Stopped::Notice(notice)) => Err(notice),
            Err(Stopped::Told(status, wrong)) => {
                self.new_group_form(status, Some(&form), Some(wrong)).await
            }
        }
    }

    async fn new_group_form(
        &self,
        status: StatusCode,
        typed: Option<&Form>,
        wrong: Option<String>,
    ) -> Answer {
        let permissions = self.permission_choices().await?;
        let ticked = typed.into_iter().flat_map(|form| form.values("permissions")).collect();
        let names = context! {
            wrong,
            name => typed.and_then(|form| form.value("name")).unwrap_or_default(),
            permissions => shown(&permissions, &ticked, false),
            groups_url => self.url("groups/"),
        };
        self.show(status, "admin/add_group.html", names)
    }
}
