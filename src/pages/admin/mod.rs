//! The administration: what staff see and do of users, groups, permissions, sessions and rules.
//!
//! One file for each section. Whoever opens a page is a [`StaffMember`]; whatever a page shows or
//! does takes the evidence that this is allowed, [`Allowed`](crate::domain::staff::Allowed). What
//! is changed is changed by commands, which ask once more, of the rights as they are then.

mod choices;
mod deletion;
mod desk;
mod group;
mod groups;
mod home;
mod lockouts;
mod log;
mod messages;
mod new_user;
mod password;
mod permissions;
mod registrations;
mod reset;
mod rules;
mod sessions;
mod user;
mod user_form;
mod user_profile;
mod users;

use std::sync::Arc;

use super::refusal::Notice;
use super::{Answer, PageRequest, Pages};
use crate::domain::UserId;
use crate::domain::staff::StaffMember;
use crate::web::refusal::Refusal;
use desk::Desk;

/// The templates of the administration.
pub(super) const TEMPLATES: [(&str, &str); 19] = [
    ("admin/base.html", include_str!("../templates/admin/base.html")),
    ("admin/fields.html", include_str!("../templates/admin/fields.html")),
    ("admin/index.html", include_str!("../templates/admin/index.html")),
    ("admin/users.html", include_str!("../templates/admin/users.html")),
    ("admin/user.html", include_str!("../templates/admin/user.html")),
    ("admin/add_user.html", include_str!("../templates/admin/add_user.html")),
    ("admin/password.html", include_str!("../templates/admin/password.html")),
    ("admin/delete_confirmation.html", include_str!("../templates/admin/delete_confirmation.html")),
    ("admin/registrations.html", include_str!("../templates/admin/registrations.html")),
    ("admin/groups.html", include_str!("../templates/admin/groups.html")),
    ("admin/group.html", include_str!("../templates/admin/group.html")),
    ("admin/add_group.html", include_str!("../templates/admin/add_group.html")),
    ("admin/permissions.html", include_str!("../templates/admin/permissions.html")),
    ("admin/permission.html", include_str!("../templates/admin/permission.html")),
    ("admin/sessions.html", include_str!("../templates/admin/sessions.html")),
    ("admin/messages.html", include_str!("../templates/admin/messages.html")),
    ("admin/lockouts.html", include_str!("../templates/admin/lockouts.html")),
    ("admin/rules.html", include_str!("../templates/admin/rules.html")),
    ("admin/log.html", include_str!("../templates/admin/log.html")),
];

/// A page of the administration.
#[derive(Debug, Clone, PartialEq, Eq)]
enum AdminPage {
    Home,
    Users,
    AddUser,
    User(UserId),
    UserPassword(UserId),
    UserDeletion(UserId),
    Registrations,
    Groups,
    AddGroup,
    Group(i64),
    GroupDeletion(i64),
    Permissions,
    Permission(String),
    Sessions,
    Messages,
    Lockouts,
    Rules,
    Log,
}

impl AdminPage {
    /// The page with this address below `admin/`.
    fn find(name: &str) -> Option<Self> {
        let parts: Vec<&str> = name.strip_suffix('/').unwrap_or(name).split('/').collect();
        Some(match parts.as_slice() {
            [""] => Self::Home,
            ["users"] => Self::Users,
            ["users", "add"] => Self::AddUser,
            ["users", id] => Self::User(user(id)?),
            ["users", id, "password"] => Self::UserPassword(user(id)?),
            ["users", id, "delete"] => Self::UserDeletion(user(id)?),
            ["registrations"] => Self::Registrations,
            ["groups"] => Self::Groups,
            ["groups", "add"] => Self::AddGroup,
            ["groups", id] => Self::Group(number(id)?),
            ["groups", id, "delete"] => Self::GroupDeletion(number(id)?),
            ["permissions"] => Self::Permissions,
            ["permissions", name] => Self::Permission((*name).to_owned()),
            ["sessions"] => Self::Sessions,
            ["messages"] => Self::Messages,
            ["lockouts"] => Self::Lockouts,
            ["rules"] => Self::Rules,
            ["log"] => Self::Log,
            _ => return None,
        })
    }
}

fn user(id: &str) -> Option<UserId> {
    number(id).map(UserId)
}

/// A number as an address has it: digits alone, so that one page has one address.
fn number(text: &str) -> Option<i64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| is_plain)
}

impl Pages {
    /// A page below `admin/`: for staff. Others are told no more than that they may not, whether
    /// there is such a page or not.
    pub(super) async fn administer(
        &self,
        request: &PageRequest,
        name: &str,
        is_post: bool,
    ) -> Answer {
        let Some(identity) = request.identity() else {
            return Ok(self.refuse(&Refusal::LogIn, &self.asked(request)));
        };
        let Some(staff) = StaffMember::confirm(Arc::clone(identity.user())) else {
            return Err(Notice::from(&Refusal::Denied));
        };
        let desk = Desk::new(self, request, identity, staff);
        let page = AdminPage::find(name).ok_or(Notice::from(&Refusal::NoSuchPage))?;
        if !name.is_empty() && !name.ends_with('/') {
            return Ok(desk.go_to(&format!("{name}/"), None).await);
        }
        match (page, is_post) {
            (AdminPage::Home, false) => desk.home().await,
            (AdminPage::Users, false) => desk.users().await,
            (AdminPage::AddUser, false) => desk.new_user_page().await,
            (AdminPage::AddUser, true) => desk.add_user().await,
            (AdminPage::User(id), false) => desk.user_page(id).await,
            (AdminPage::User(id), true) => desk.change_user(id).await,
            (AdminPage::UserPassword(id), false) => desk.password_page(id).await,
            (AdminPage::UserPassword(id), true) => desk.choose_password(id).await,
            (AdminPage::UserDeletion(id), false) => desk.user_deletion_page(id).await,
            (AdminPage::UserDeletion(id), true) => desk.delete_user(id).await,
            (AdminPage::Registrations, false) => desk.registrations_page().await,
            (AdminPage::Registrations, true) => desk.decide_registration().await,
            (AdminPage::Groups, false) => desk.groups().await,
            (AdminPage::AddGroup, false) => desk.new_group_page().await,
            (AdminPage::AddGroup, true) => desk.add_group().await,
            (AdminPage::Group(id), false) => desk.group_page(id).await,
            (AdminPage::Group(id), true) => desk.change_group(id).await,
            (AdminPage::GroupDeletion(id), false) => desk.group_deletion_page(id).await,
            (AdminPage::GroupDeletion(id), true) => desk.delete_group(id).await,
            (AdminPage::Permissions, false) => desk.permissions().await,
            (AdminPage::Permission(name), false) => desk.permission_page(name).await,
            (AdminPage::Sessions, false) => desk.sessions_page().await,
            (AdminPage::Sessions, true) => desk.end_sessions().await,
            (AdminPage::Messages, false) => desk.messages_page().await,
            (AdminPage::Messages, true) => desk.send_message().await,
            (AdminPage::Lockouts, false) => desk.lockouts_page(),
            (AdminPage::Lockouts, true) => desk.lift_lockout().await,
            (AdminPage::Rules, false) => desk.rules().await,
            (AdminPage::Log, false) => desk.log().await,
            (
                AdminPage::Home
                | AdminPage::Users
                | AdminPage::Groups
                | AdminPage::Permissions
                | AdminPage::Permission(_)
                | AdminPage::Rules
                | AdminPage::Log,
                true,
            ) => Err(Notice { allow: "GET, HEAD", ..Notice::from(&Refusal::Method) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_one_address() {
        assert_eq!(AdminPage::find(""), Some(AdminPage::Home));
        assert_eq!(AdminPage::find("users/7/"), Some(AdminPage::User(UserId(7))));
        assert_eq!(AdminPage::find("users/7/delete/"), Some(AdminPage::UserDeletion(UserId(7))));
        for none in
            ["users/07/", "users/-7/", "users/+7/", "users/x/", "users//", "x/", "users/7/x/"]
        {
            assert_eq!(AdminPage::find(none), None, "{none}");
        }
    }
}
