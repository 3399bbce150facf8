//! Who may enter the administration, what may be done there, and to whom.
//!
//! Staff are governed by permissions with Django's names. One more thing holds that Django leaves
//! out: nobody gives away what he or she does not hold, and nobody has power over a user who holds
//! more.

use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::sync::Arc;

use super::{Permission, User};

/// An active member of staff: evidence that whoever asks may enter the administration.
///
/// ```compile_fail
/// // There is no other maker than `confirm`: the field is private.
/// use std::sync::Arc;
/// use vestibule::domain::{User, staff::StaffMember};
/// fn promote(user: Arc<User>) -> StaffMember {
///     StaffMember { user }
/// }
/// ```
#[derive(Debug, Clone)]
pub struct StaffMember {
    user: Arc<User>,
}

/// A member of staff may do `A`: evidence that whatever shows or does it takes.
///
/// ```compile_fail
/// // Only `StaffMember::may` makes one.
/// use vestibule::domain::staff::{Allowed, ViewUser};
/// let _ = Allowed::<ViewUser> { act: std::marker::PhantomData };
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Allowed<A: Act> {
    act: PhantomData<A>,
}

/// Something that is done in the administration.
pub trait Act: sealed::Sealed + 'static {
    /// The permissions any one of which lets staff do it; the first is the one to ask for.
    const PERMISSIONS: &'static [&'static str];
}

mod sealed {
    /// Acts are listed in one place.
    pub trait Sealed {}
}

/// Declares acts: the type, what it is, and the permissions of which any one is enough.
macro_rules! acts {
    ($($(#[$doc:meta])* $act:ident: $($permission:literal)|+;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub enum $act {}
        impl sealed::Sealed for $act {}
        impl Act for $act {
            const PERMISSIONS: &'static [&'static str] = &[$($permission),+];
        }
    )+};
}

acts! {
    /// To see users; whoever may change them may see them, as in Django.
    ViewUser: "auth.view_user" | "auth.change_user";
    /// To create users.
    AddUser: "auth.add_user";
    /// To change users: fields, groups, permissions, passwords.
    ChangeUser: "auth.change_user";
    /// To delete users.
    DeleteUser: "auth.delete_user";
    /// To see groups and their members.
    ViewGroup: "auth.view_group" | "auth.change_group";
    /// To create groups.
    AddGroup: "auth.add_group";
    /// To change groups.
    ChangeGroup: "auth.change_group";
    /// To delete groups.
    DeleteGroup: "auth.delete_group";
    /// To see permissions and who has them.
    ViewPermission: "auth.view_permission";
    /// To see who is on.
    ViewSession: "vestibule.view_session" | "vestibule.delete_session";
    /// To end sessions of others.
    DeleteSession: "vestibule.delete_session";
    /// To send messages to users and groups.
    AddMessage: "vestibule.add_message";
    /// To see the rules, and ask what they say.
    ViewRule: "vestibule.view_rule";
    /// To see what was changed by whom.
    ViewLog: "vestibule.view_log";
    /// To see and lift lockouts.
    ChangeLockout: "vestibule.change_lockout";
}

/// The permissions that govern staff, with what they allow. They exist in every gateway.
pub const PERMISSIONS: [(&str, &str); 15] = [
    ("auth.add_group", "Can add group"),
    ("auth.add_user", "Can add user"),
    ("auth.change_group", "Can change group"),
    ("auth.change_user", "Can change user"),
    ("auth.delete_group", "Can delete group"),
    ("auth.delete_user", "Can delete user"),
    ("auth.view_group", "Can view group"),
    ("auth.view_permission", "Can view permission"),
    ("auth.view_user", "Can view user"),
    ("vestibule.add_message", "Can send messages"),
    ("vestibule.change_lockout", "Can lift lockouts"),
    ("vestibule.delete_session", "Can end sessions"),
    ("vestibule.view_log", "Can view the log of changes"),
    ("vestibule.view_rule", "Can view rules"),
    ("vestibule.view_session", "Can view sessions"),
];

/// A member of staff lacks the permission to do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this takes the permission `{needed}`")]
pub struct NotAllowed {
    /// The permission to ask for.
    pub needed: &'static str,
}

impl StaffMember {
    /// The member of staff that `user` is, as of now; `None` for anybody else.
    pub fn confirm(user: Arc<User>) -> Option<Self> {
        (user.is_active && user.is_staff).then_some(Self { user })
    }

    /// The user.
    pub fn user(&self) -> &Arc<User> {
        &self.user
    }

    /// Whether `A` may be done.
    pub fn may<A: Act>(&self) -> Result<Allowed<A>, NotAllowed> {
        let has_any = A::PERMISSIONS.iter().any(|permission| self.user.has_perm(permission));
        let needed = A::PERMISSIONS.first().copied().unwrap_or_default();
        if has_any { Ok(Allowed { act: PhantomData }) } else { Err(NotAllowed { needed }) }
    }

    /// Whether this permission may be given and taken: it takes to hold it.
    pub fn may_give(&self, permission: &str) -> bool {
        self.user.has_perm(permission)
    }

    /// Whether membership in this group may be given and taken.
    ///
    /// A rule may ask for the group itself, so that to hold its permissions is not enough: it takes
    /// to be a member, or to run groups (`auth.change_group`) and hold what this one gives.
    pub fn may_give_group(&self, name: &str, gives: &BTreeSet<Permission>) -> bool {
        self.user.is_superuser
            || self.user.has_perms(gives)
                && (self.user.is_in_group(name) || self.may::<ChangeGroup>().is_ok())
    }

    /// Whether `other` holds nothing that this member of staff does not hold. Whoever changes a
    /// user could become that user: by another address, for example, and a password reset.
    pub fn has_power_over(&self, other: &User) -> bool {
        let runs_groups = self.may::<ChangeGroup>().is_ok();
        self.user.is_superuser
            || !other.is_superuser
                && other.permissions.iter().all(|held| self.user.has_perm(held.as_str()))
                && other.groups.iter().all(|name| runs_groups || self.user.is_in_group(name))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::{PasswordHash, Timestamp, UserId};
    use super::*;

    fn user(permissions: &[&str], groups: &[&str]) -> User {
        User {
            id: UserId(1),
            username: "stella".to_owned(),
            first_name: String::new(),
            last_name: String::new(),
            email: String::new(),
            password: PasswordHash::from_encoded("!"),
            is_staff: true,
            is_active: true,
            is_superuser: false,
            last_login: None,
            date_joined: Timestamp::from_seconds(0),
            groups: groups.iter().map(|&name| name.to_owned()).collect(),
            permissions: permissions.iter().map(|name| name.parse().unwrap()).collect(),
            group_permissions: BTreeSet::new(),
            profile: BTreeMap::new(),
            has_messages: false,
        }
    }

    fn staff(permissions: &[&str], groups: &[&str]) -> StaffMember {
        StaffMember::confirm(Arc::new(user(permissions, groups))).unwrap()
    }

    #[test]
    fn only_active_staff_enter() {
        let confirm = |user| StaffMember::confirm(Arc::new(user)).is_some();
        assert!(confirm(user(&[], &[])));
        assert!(!confirm(User { is_staff: false, is_superuser: true, ..user(&[], &[]) }));
        assert!(!confirm(User { is_active: false, ..user(&[], &[]) }));
    }

    #[test]
    fn who_may_change_may_see_and_not_the_reverse() {
        assert!(staff(&["auth.change_user"], &[]).may::<ViewUser>().is_ok());
        let refused = staff(&["auth.view_user"], &[]).may::<ChangeUser>().unwrap_err();
        assert_eq!(refused.needed, "auth.change_user");
    }

    #[test]
    fn every_act_asks_for_a_permission_that_exists() {
        let exists = |asked: &[&str]| {
            asked.iter().all(|name| PERMISSIONS.iter().any(|(known, _)| known == name))
        };
        for asked in [
            ViewUser::PERMISSIONS,
            AddUser::PERMISSIONS,
            ChangeUser::PERMISSIONS,
            DeleteUser::PERMISSIONS,
            ViewGroup::PERMISSIONS,
            AddGroup::PERMISSIONS,
            ChangeGroup::PERMISSIONS,
            DeleteGroup::PERMISSIONS,
            ViewPermission::PERMISSIONS,
            ViewSession::PERMISSIONS,
            DeleteSession::PERMISSIONS,
            AddMessage::PERMISSIONS,
            ViewRule::PERMISSIONS,
            ViewLog::PERMISSIONS,
            ChangeLockout::PERMISSIONS,
        ] {
            assert!(exists(asked), "{asked:?}");
        }
    }

    #[test]
    fn nobody_has_power_over_who_holds_more() {
        let stella = staff(&["auth.change_user", "polls.can_vote"], &["Editors"]);
        assert!(stella.has_power_over(&user(&["polls.can_vote"], &["Editors"])));
        assert!(!stella.has_power_over(&user(&["polls.add_choice"], &[])));
        assert!(!stella.has_power_over(&user(&[], &["Others"])));
        assert!(!stella.has_power_over(&User { is_superuser: true, ..user(&[], &[]) }));
        assert!(!stella.has_power_over(&User { is_active: false, ..user(&["x.y"], &[]) }));
        let runs_groups = staff(&["auth.change_group"], &[]);
        assert!(runs_groups.has_power_over(&user(&[], &["Others"])));
        let root = User { is_superuser: true, ..user(&[], &[]) };
        let root = StaffMember::confirm(Arc::new(root)).unwrap();
        assert!(root.has_power_over(&User { is_superuser: true, ..user(&["x.y"], &["Z"]) }));
    }

    #[test]
    fn a_group_is_given_by_its_members_and_by_who_runs_groups() {
        let gives: BTreeSet<Permission> = ["polls.can_vote".parse().unwrap()].into();
        assert!(staff(&["polls.can_vote"], &["Editors"]).may_give_group("Editors", &gives));
        assert!(!staff(&["polls.can_vote"], &[]).may_give_group("Editors", &gives));
        let runs = staff(&["polls.can_vote", "auth.change_group"], &[]);
        assert!(runs.may_give_group("Editors", &gives));
        assert!(!staff(&["auth.change_group"], &[]).may_give_group("Editors", &gives));
    }
}
