//! Permissions, and who has them.

use http::StatusCode;
use minijinja::context;

use super::super::Answer;
use super::super::refusal::Notice;
use super::desk::{Desk, unavailable};
use crate::accounts::Named;
use crate::domain::staff::{ViewGroup, ViewPermission, ViewUser};
use crate::web::refusal::Refusal;

impl Desk<'_> {
    /// GET: all permissions by name.
    pub(super) async fn permissions(&self) -> Answer {
        self.allowed::<ViewPermission>()?;
        let permissions = self.pages.state.directory.permission_names().await;
        let permissions = permissions.map_err(|error| unavailable(&error))?;
        let row = |(name, about): &(String, String)| {
            let url = self.url(&format!("permissions/{name}/"));
            context! { name, about, url, is_mine => self.staff.may_give(name) }
        };
        let names = context! { permissions => permissions.iter().map(row).collect::<Vec<_>>() };
        self.show(StatusCode::OK, "admin/permissions.html", names)
    }

    /// GET: who has one. Addresses come in lower case, so that it is found without regard to that.
    pub(super) async fn permission_page(&self, name: String) -> Answer {
        let allowed = self.allowed::<ViewPermission>()?;
        let directory = &self.pages.state.directory;
        let known = directory.permission_names().await.map_err(|error| unavailable(&error))?;
        let name = known
            .into_iter()
            .map(|(known, _)| known)
            .find(|known| known.eq_ignore_ascii_case(&name));
        let name = name.ok_or(Notice::from(&Refusal::NoSuchPage))?;
        let holders = directory.holders(&allowed, name).await;
        let holders = holders.map_err(|error| unavailable(&error))?;
        let holders = holders.ok_or(Notice::from(&Refusal::NoSuchPage))?;
        let linked = |named: &[Named], kind: &str, is_seen: bool| {
            named
                .iter()
                .map(|one| {
                    let url = is_seen.then(|| self.url(&format!("{kind}/{}/", one.id)));
                    context! { name => &*one.name, url }
                })
                .collect::<Vec<_>>()
        };
        let names = context! {
            name => holders.permission,
            about => holders.description,
            users => linked(&holders.users, "users", self.may::<ViewUser>()),
            groups => linked(&holders.groups, "groups", self.may::<ViewGroup>()),
            permissions_url => self.url("permissions/"),
        };
        self.show(StatusCode::OK, "admin/permission.html", names)
    }
}
