//! What operators can order, and what they are told: also the language of the admin socket.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::messages::MessageRecord;
pub use super::records::{GroupDetails, GroupRecord, PermissionRecord, UserDetails, UserRecord};
use super::registration::{
    Decided, InvitationRecord, Invited, NewInvitation, NewRegistration, Registered,
    RegistrationRecord,
};
use super::transfer::{Exported, Import, Imported};
pub use super::user_change::Change;
use super::user_page::{UserPage, UserQuery};
use crate::domain::UserId;

/// One command of an operator. Names of permissions are `app.codename`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Creates a user; the groups and permissions must be there.
    UserCreate(NewUser),
    /// Lists all users by name.
    UserList {},
    /// Looks for users and shows a page of them.
    UserSearch(UserQuery),
    /// Shows one user.
    UserShow {
        /// Whom.
        username: String,
    },
    /// Changes fields of a user, all or none of them.
    UserSet {
        /// Whose.
        username: String,
        /// To what.
        changes: Vec<Change>,
    },
    /// Gives a user another password, which ends the sessions that began with the old one.
    UserSetPassword {
        /// Whose.
        username: String,
        /// The new one.
        password: Secret,
    },
    /// Changes a user as a form says, unless he or she is not as the form showed any more.
    UserEdit(UserEdit),
    /// Leaves a user without a password that could match, which ends the sessions.
    UserSetUnusablePassword {
        /// Whom.
        username: String,
    },
    /// Deletes a user; the number is never given to another.
    UserDelete {
        /// Whom.
        username: String,
    },
    /// Creates a group that gives its members permissions.
    GroupCreate {
        /// Its name.
        name: String,
        /// What its members may do.
        permissions: Vec<String>,
    },
    /// Lists all groups by name.
    GroupList {},
    /// Shows one group with its members.
    GroupShow {
        /// Which.
        name: String,
    },
    /// Changes a group as a form says, unless it is not as the form showed any more.
    GroupEdit(GroupEdit),
    /// Deletes a group; its members lose what it gave them.
    GroupDelete {
        /// Which.
        name: String,
    },
    /// Gives a group another name.
    GroupRename {
        /// Which.
        name: String,
        /// The other one.
        new_name: String,
    },
    /// Makes users members of a group, all or none of them.
    GroupAdd {
        /// Of which.
        name: String,
        /// Whom.
        users: Vec<String>,
    },
    /// Ends memberships in a group.
    GroupRemove {
        /// In which.
        name: String,
        /// Whose.
        users: Vec<String>,
    },
    /// Creates a permission.
    PermissionCreate {
        /// Its name.
        permission: String,
        /// What it allows, for people.
        description: String,
    },
    /// Lists all permissions by name.
    PermissionList {},
    /// Shows one permission with its holders.
    PermissionShow {
        /// Which.
        permission: String,
    },
    /// Gives a permission another description.
    PermissionSet {
        /// Which.
        permission: String,
        /// What it allows, for people.
        description: String,
    },
    /// Deletes a permission, and so takes it from whoever has it.
    PermissionDelete {
        /// Which.
        permission: String,
    },
    /// Gives a permission to a user or a group.
    PermissionGrant {
        /// Which.
        permission: String,
        /// To whom.
        to: Holder,
    },
    /// Takes a permission from a user or a group.
    PermissionRevoke {
        /// Which.
        permission: String,
        /// From whom.
        from: Holder,
    },
    /// Imports a part of users, groups and permissions, all of it or nothing.
    Import(Import),
    /// Gives a part of what can be imported again.
    Export {
        /// The number of the last user of the part before; `None` for the first part.
        after: Option<i64>,
        /// Whether with the hashes of passwords.
        passwords: bool,
    },
    /// Creates the account that a visitor asks for.
    Register(NewRegistration),
    /// Notes that the owner of a new account followed the link to its address.
    RegistrationConfirm {
        /// Whose.
        username: String,
    },
    /// Lists the new accounts that wait for something.
    RegistrationList {},
    /// Lets a user in who waits for that.
    RegistrationApprove {
        /// Whom.
        username: String,
    },
    /// Turns a user down who waits to be let in, and deletes the account.
    RegistrationReject {
        /// Whom.
        username: String,
    },
    /// Makes a link that somebody can register with once.
    InvitationCreate(NewInvitation),
    /// Lists the invitations that were not revoked.
    InvitationList {},
    /// Takes back an invitation that nobody has used.
    InvitationRevoke {
        /// Its number.
        id: i64,
    },
    /// Sends a message to a user, or to every member of a group.
    MessageSend {
        /// To whom.
        to: Holder,
        /// One line of plain text.
        text: String,
        /// `debug`, `info`, `success`, `warning` or `error`.
        #[serde(default = "super::messages::info")]
        level: String,
    },
    /// Lists the messages that wait for a user, the oldest first; they wait on.
    MessageList {
        /// For whom.
        username: String,
    },
}

/// A user to be created.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NewUser {
    /// The name to log in with.
    pub username: String,
    /// Given name.
    pub first_name: String,
    /// Family name.
    pub last_name: String,
    /// E-mail address.
    pub email: String,
    /// The password.
    pub password: Secret,
    /// Whether there is none that could match, whatever `password` says; for users who come by
    /// other ways, or set one later.
    pub unusable_password: bool,
    /// Whether the user may enter the gateway's own administration.
    pub is_staff: bool,
    /// Whether the user has every permission.
    pub is_superuser: bool,
    /// Names of groups.
    pub groups: Vec<String>,
    /// Names of permissions.
    pub permissions: Vec<String>,
    /// What stands in the fields of the profile.
    pub profile: BTreeMap<String, String>,
}

/// What a form changes of a user.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct UserEdit {
    /// Whose number.
    pub id: i64,
    /// The name that the form showed, for the log of audits.
    pub username: String,
    /// The state that the form showed.
    pub seen: String,
    /// Fields with new values.
    pub changes: Vec<Change>,
    /// Groups to become a member of.
    pub join: Vec<String>,
    /// Groups to leave.
    pub leave: Vec<String>,
    /// Permissions to get.
    pub grant: Vec<String>,
    /// Permissions to lose.
    pub revoke: Vec<String>,
}

/// What a form changes of a group.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupEdit {
    /// The name that it has.
    pub name: String,
    /// The state that the form showed.
    pub seen: String,
    /// The name that it gets.
    pub new_name: String,
    /// Permissions that it is to give.
    pub grant: Vec<String>,
    /// Permissions that it is to give no more.
    pub revoke: Vec<String>,
}

/// A password on its way to be hashed: never in `Debug`, logs or errors.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The password, for the hasher alone.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(password: String) -> Self {
        Self(password)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Who has a permission.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holder {
    /// A user, by name.
    User(String),
    /// A group and so its members, by name.
    Group(String),
}

/// What came of a command.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// It was done; a sentence for people says what.
    Done(String),
    /// All users by name.
    Users(Vec<UserRecord>),
    /// A page of the users who were looked for.
    UserPage(UserPage),
    /// One user.
    User(UserDetails),
    /// All groups by name.
    Groups(Vec<GroupRecord>),
    /// One group.
    Group(GroupDetails),
    /// All permissions by name.
    Permissions(Vec<PermissionRecord>),
    /// One permission.
    Permission(PermissionRecord),
    /// What came of a part of an import.
    Imported(Imported),
    /// A part of an export.
    Exported(Exported),
    /// What came of a registration.
    Registered(Registered),
    /// The new accounts that wait for something, the oldest first.
    Registrations(Vec<RegistrationRecord>),
    /// What the staff decided.
    Decided(Decided),
    /// The invitation that was made.
    Invited(Invited),
    /// The invitations, the newest first.
    Invitations(Vec<InvitationRecord>),
    /// The messages that wait for a user, the oldest first.
    Messages(Vec<MessageRecord>),
}

/// What carrying out a command led to, for the gateway that has sessions.
#[derive(Debug)]
pub struct Outcome {
    /// What the operator is told.
    pub reply: Reply,
    /// The users whose sessions are worth nothing any more.
    pub shut_out: Vec<ShutOut>,
}

/// A user who cannot come by the sessions there are: they are refused already, and may be ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShutOut {
    /// Whose sessions.
    pub user: UserId,
    /// The name that the command called the user by.
    pub username: String,
    /// What happened to the account, for the log.
    pub because: &'static str,
}

impl From<Reply> for Outcome {
    fn from(reply: Reply) -> Self {
        Self { reply, shut_out: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_survives_the_socket_and_never_shows() {
        let new = NewUser { password: Secret::from("letmein".to_owned()), ..NewUser::default() };
        let command = Command::UserCreate(new);
        assert!(!format!("{command:?}").contains("letmein"));
        let json = serde_json::to_string(&command).unwrap();
        let Command::UserCreate(back) = serde_json::from_str(&json).unwrap() else {
            panic!("{json}");
        };
        assert_eq!(back.password.reveal(), "letmein");
    }
}
