//! What staff look at: users a page at a time, groups, permissions, the log of changes. Each
//! question takes the evidence that it may be asked.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::by::By;
use super::command::UserDetails;
use super::directory::Directory;
use super::error::{AccountsError, CommandError};
use super::execute;
use super::load::{self, Who};
use super::log::{self, Deed, LogPage, LogQuery, Subject, Written};
use crate::domain::staff::{Act, Allowed, ViewGroup, ViewLog, ViewPermission, ViewUser};
use crate::domain::{Permission, Timestamp, User, UserId};

/// Which users are wanted; all of them by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserSearch {
    /// Words, each of which is somewhere in a name or the address.
    pub search: String,
    /// Active ones, or those who are not.
    pub is_active: Option<bool>,
    /// Staff, or others.
    pub is_staff: Option<bool>,
    /// Superusers, or others.
    pub is_superuser: Option<bool>,
    /// Members of the group with this name.
    pub group: Option<String>,
    /// By what they are sorted.
    pub sort: UserSort,
    /// Whether the last come first.
    pub is_descending: bool,
    /// Those behind the user with this number.
    pub after: Option<i64>,
    /// Those in front of the user with this number; counts for more than `after`.
    pub before: Option<i64>,
}

/// By what users are sorted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UserSort {
    /// The name to log in with.
    #[default]
    Username,
    /// The address.
    Email,
    /// When the account was made.
    Joined,
    /// When the user last logged in; never is first.
    LastLogin,
}

/// Some users, and where others are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsersFound {
    /// The users, without their groups.
    pub users: Vec<super::UserRecord>,
    /// How many fit the question.
    pub count: Count,
    /// The user to ask for those before, if there are any.
    pub previous: Option<i64>,
    /// The user to ask for those behind, if there are any.
    pub next: Option<i64>,
}

/// How many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// So many.
    Exactly(u64),
    /// More than is counted.
    MoreThan(u64),
}

/// One user as a form shows him or her.
#[derive(Debug, Clone)]
pub struct SeenUser {
    /// The user, for what staff may do to him or her.
    pub user: Arc<User>,
    /// Where permissions come from.
    pub details: UserDetails,
    /// What a form says to change just this state.
    pub version: String,
}

/// A group in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSummary {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// How many members it has.
    pub members: u64,
    /// The permissions that it gives.
    pub gives: BTreeSet<Permission>,
}

/// One group as a form shows it.
#[derive(Debug, Clone)]
pub struct SeenGroup {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// What it gives.
    pub permissions: Vec<String>,
    /// Its first members by name.
    pub members: Vec<Named>,
    /// Whether there are more.
    pub has_more_members: bool,
    /// What a form says to change just this state.
    pub version: String,
}

/// A number and the name that goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The number.
    pub id: i64,
    /// The name.
    pub name: String,
}

/// How many members of a group are shown.
const MEMBERS: usize = 100;

impl Directory {
    /// One page of users.
    pub async fn browse_users(
        &self,
        _allowed: &Allowed<ViewUser>,
        query: UserSearch,
    ) -> Result<UsersFound, AccountsError> {
        let shared = Arc::clone(&self.shared);
        self.ask(async move {
            let mut reading = shared.database.read().await?;
            let page = execute::browse::users(&mut reading, &query).await?;
            reading.commit().await?;
            Ok(page)
        })
        .await
    }

    /// One user; `None` when there is none with this number.
    pub async fn look_at_user(
        &self,
        _allowed: &Allowed<ViewUser>,
        id: UserId,
    ) -> Result<Option<SeenUser>, CommandError> {
        let shared = Arc::clone(&self.shared);
        self.ask(async move {
            let mut reading = shared.database.read().await?;
            let state = log::find(&mut reading, &Subject::UserNumber(id.0), None).await?;
            let Some(state) = state else { return Ok(None) };
            let version = state.version();
            let details = execute::details(&mut reading, id, &state.name).await?;
            let user = load::user(&mut reading, Who::Id(id)).await?.map(Arc::new);
            reading.commit().await?;
            Ok(user.map(|user| SeenUser { user, details, version }))
        })
        .await
    }

    /// Groups by name.
    pub async fn browse_groups(
        &self,
        _allowed: &Allowed<ViewGroup>,
    ) -> Result<Vec<GroupSummary>, AccountsError> {
        self.groups_there_are().await
    }

    /// Groups by name, for whoever is to be made a member of one.
    pub async fn groups_to_choose(
        &self,
        _allowed: &Allowed<ViewUser>,
    ) -> Result<Vec<GroupSummary>, AccountsError> {
        self.groups_there_are().await
    }

    async fn groups_there_are(&self) -> Result<Vec<GroupSummary>, AccountsError> {
        let shared = Arc::clone(&self.shared);
        self.ask(async move {
            let mut reading = shared.database.read().await?;
            let groups = execute::browse::groups(&mut reading).await?;
            reading.commit().await?;
            Ok(groups)
        })
        .await
    }

    /// One group; `None` when there is none with this number.
    pub async fn look_at_group(
        &self,
        _allowed: &Allowed<ViewGroup>,
        id: i64,
    ) -> Result<Option<SeenGroup>, AccountsError> {
        let shared = Arc::clone(&self.shared);
        self.ask(async move {
            let mut reading = shared.database.read().await?;
            let subject = Subject::Group { name: String::new(), members: Vec::new() };
            let Some(state) = log::find(&mut reading, &subject, Some(id)).await? else {
                return Ok(None);
            };
            let most = i64::try_from(MEMBERS + 1).unwrap_or(i64::MAX);
            let mut members = execute::browse::members(&mut reading, id, most).await?;
            reading.commit().await?;
            let has_more_members = members.len() > MEMBERS;
            members.truncate(MEMBERS);
            let version = state.version();
            let permissions = state.gives.iter().map(ToString::to_string).collect();
            let name = state.name;
            Ok(Some(SeenGroup { id, name, permissions, members, has_more_members, version }))
        })
        .await
    }

    /// Every permission there is, with what it allows: names that anybody may know who gives some.
    pub async fn permission_names(&self) -> Result<Vec<(String, String)>, AccountsError> {
        let shared = Arc::clone(&self.shared);
        self.ask(async move {
            let mut reading = shared.database.read().await?;
            let permissions = execute::browse::permissions(&mut reading).await?;
            reading.commit().await?;
            Ok(permissions)
        })
        .await
    }

    /// Who has a permission: the first holders by name, and the groups that give it.
    pub async fn holders(
        &self,
        _allowed: &Allowed<ViewPermission>,
        permission: String,
    ) -> Result<Option<execute::browse_holders::Holders>, AccountsError> {
        let shared = Arc::clone(&self.shared);
        self.ask(async move {
            let mut reading = shared.database.read().await?;
            let holders = execute::browse_holders::holders(&mut reading, &permission).await?;
            reading.commit().await?;
            Ok(holders)
        })
        .await
    }

    /// What was changed by whom.
    pub async fn browse_log(
        &self,
        _allowed: &Allowed<ViewLog>,
        query: LogQuery,
    ) -> Result<LogPage, AccountsError> {
        let shared = Arc::clone(&self.shared);
        self.ask(async move {
            let mut reading = shared.database.read().await?;
            let page = log::page(&mut reading, &query).await?;
            reading.commit().await?;
            Ok(page)
        })
        .await
    }

    /// Writes down what staff did that is no change of an account, and so no command: that they
    /// ended sessions, lifted a lockout, or sent a link.
    pub async fn write_down<A: Act>(
        &self,
        _allowed: &Allowed<A>,
        by: &By,
        deed: Deed,
        now: Timestamp,
    ) -> Result<(), AccountsError> {
        let (shared, by) = (Arc::clone(&self.shared), by.clone());
        self.order(async move {
            let mut change = shared.begin_change_of_ours().await?;
            let written = Written {
                by: &by,
                action: deed.action,
                kind: deed.kind,
                object_id: deed.object_id,
                object: &deed.object,
                changes: deed.changes,
            };
            log::write(change.sql(), written, now, shared.keep_log).await?;
            Ok(change.commit().await?)
        })
        .await
    }
}
