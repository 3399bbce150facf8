//! The directory of users: the public face of this layer.

mod credentials;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

use super::by::By;
use super::by_email;
use super::cache::{Cache, Known};
use super::changes::Changed;
use super::command::{Command, NewUser, Outcome, Reply};
use super::database::Database;
use super::error::{AccountsError, CommandError};
use super::execute::{self, Names};
use super::hashing::HashingThreads;
use super::health::{DatabaseHealth, Health};
use super::load::{self, Who};
use super::password::{Hasher, StandIns};
use super::registration::{Invitation, InvitationDigest};
use super::settings::Settings;
use super::shared::Shared;
use super::watch::watch;
use crate::domain::user::UsernameRule;
use crate::domain::{Permission, Timestamp, User, UserId, staff};

/// Users, groups and permissions: asked by every request, changed by commands.
///
/// Its methods may be called from any runtime; the work is done on the one that opened it.
pub struct Directory {
    pub(super) shared: Arc<Shared>,
    control: Handle,
}

impl Directory {
    /// Opens the database, makes it when it is not there, and creates the declared permissions
    /// and groups.
    ///
    /// The runtime that it is called on does all later work, and must outlive the directory's use.
    pub async fn open(settings: &Settings) -> Result<Self, AccountsError> {
        let hasher = Hasher::new(&settings.hashing)?;
        let database = Database::open(&settings.database, &settings.schema).await?;
        let shared = Arc::new(Shared {
            stand_ins: StandIns::open(&database).await?,
            database,
            cache: Cache::new(settings.refresh),
            health: Health::default(),
            hashing: HashingThreads::start(&hasher)?,
            upgrade_hashes: settings.upgrade_hashes,
            validators: settings.validators,
            username_rule: settings.username_rule,
            trail: OnceLock::new(),
            profile: arc_swap::ArcSwapOption::new(settings.profile.clone()),
            keep_log: settings.keep_log,
        });
        execute::declare(&shared, &settings.permissions).await?;
        execute::declare(&shared, &of_staff(&settings.permissions)).await?;
        execute::declare_groups(&shared, &settings.groups).await?;
        let from = shared.database.watch().await?;
        let control = Handle::current();
        control.spawn(watch(Arc::downgrade(&shared), from));
        Ok(Self { shared, control })
    }

    /// Creates what a file declares that is read while the directory is in use.
    pub async fn declare(&self, settings: &Settings) -> Result<(), AccountsError> {
        let shared = Arc::clone(&self.shared);
        let (permissions, groups) = (settings.permissions.clone(), settings.groups.clone());
        self.order(async move {
            execute::declare(&shared, &permissions).await?;
            execute::declare_groups(&shared, &groups).await
        })
        .await
    }

    /// The names of all permissions and groups.
    pub async fn names(&self) -> Result<Names, AccountsError> {
        let shared = Arc::clone(&self.shared);
        self.ask(async move { Ok(execute::names(&shared).await?) }).await
    }

    /// What is known of a user now, without waiting; `None` means that [`Self::user`] must be asked.
    ///
    /// An entry older than `users.refresh` counts as unknown for one caller, who is to ask.
    pub fn cached(&self, id: UserId, now: Timestamp) -> Option<Known> {
        self.shared.cache.find(id, now)
    }

    /// Loads a user, to be found by [`Self::cached`] from now on; `None` when there is none.
    pub async fn user(
        &self,
        id: UserId,
        now: Timestamp,
    ) -> Result<Option<Arc<User>>, AccountsError> {
        let shared = Arc::clone(&self.shared);
        self.ask(async move { shared.load(Who::Id(id), now).await }).await
    }

    /// Loads several users at once, each to be found by [`Self::cached`] from now on; all who were
    /// asked for are in the answer.
    pub async fn users(
        &self,
        ids: Vec<UserId>,
        now: Timestamp,
    ) -> Result<Vec<(UserId, Known)>, AccountsError> {
        let shared = Arc::clone(&self.shared);
        self.ask(async move { shared.load_several(ids, now).await }).await
    }

    /// Who is another from now on: told after [`Self::cached`] has forgotten the old state.
    pub fn changes(&self) -> broadcast::Receiver<Changed> {
        self.shared.cache.changes().listen()
    }

    /// How it is with the database; a file can always be reached.
    pub fn health(&self) -> DatabaseHealth {
        self.shared.health.now()
    }

    /// How soon a change is noticed that nobody told us of; `users.refresh`.
    pub fn refresh(&self) -> Duration {
        self.shared.cache.refresh()
    }

    /// Loads the user who logs in with this name, as it is after NFKC.
    pub async fn user_by_name(
        &self,
        username: &str,
        now: Timestamp,
    ) -> Result<Option<Arc<User>>, AccountsError> {
        let (shared, username) = (Arc::clone(&self.shared), username.to_owned());
        self.ask(async move { shared.load_by_name(&username, now).await }).await
    }

    /// Loads the active users with this e-mail address, whatever its case, for letters to them: 20
    /// at most, those who joined first.
    ///
    /// Write to the address that a user has, and not to the one that was asked for.
    pub async fn users_by_email(
        &self,
        address: &str,
        now: Timestamp,
    ) -> Result<Vec<Arc<User>>, AccountsError> {
        let (shared, address) = (Arc::clone(&self.shared), address.to_owned());
        self.ask(async move {
            let mut reading = shared.database.read().await?;
            let candidates = by_email::candidates(&mut reading, &address).await?;
            reading.commit().await?;
            let mut users = Vec::with_capacity(candidates.len());
            for id in candidates {
                let user = shared.load(Who::Id(id), now).await?;
                users.extend(user.filter(|user| by_email::is_same(&user.email, &address)));
            }
            Ok(users)
        })
        .await
    }

    /// Notes that the user logged in at `now`.
    pub async fn record_login(&self, user: UserId, now: Timestamp) -> Result<(), AccountsError> {
        let shared = Arc::clone(&self.shared);
        self.order(async move {
            let mut change = shared.begin_change_of_ours().await?;
            sqlx::query(
                "UPDATE vestibule_user SET last_login = vestibule_moment($1) WHERE id = $2",
            )
            .bind(load::seconds(now))
            .bind(user.0)
            .execute(change.sql())
            .await?;
            change.concerns(user);
            change.keeps_quiet();
            Ok(change.commit().await?)
        })
        .await
    }

    /// Whether there is any user.
    pub async fn has_users(&self) -> Result<bool, AccountsError> {
        let shared = Arc::clone(&self.shared);
        self.ask(async move {
            let mut reading = shared.database.read().await?;
            Ok(execute::has_users(&mut reading).await?)
        })
        .await
    }

    /// Carries out one command of an operator; what it changed is seen by every later request.
    pub async fn execute(
        &self,
        command: Command,
        by: &By,
        now: Timestamp,
    ) -> Result<Reply, CommandError> {
        self.carry_out(command, by, now).await.map(|outcome| outcome.reply)
    }

    /// The same, for a caller who also has the sessions that a command may make worthless.
    pub async fn carry_out(
        &self,
        command: Command,
        by: &By,
        now: Timestamp,
    ) -> Result<Outcome, CommandError> {
        let (shared, by) = (Arc::clone(&self.shared), by.clone());
        self.order(async move { execute::command(&shared, command, &by, now).await }).await
    }

    /// The number and the stored name of the user with this name; who mistyped it is told the
    /// nearest one.
    pub async fn find(&self, username: &str) -> Result<(UserId, String), CommandError> {
        let (shared, username) = (Arc::clone(&self.shared), username.to_owned());
        self.ask(async move {
            let mut reading = shared.database.read().await?;
            let found = execute::find_user(&mut reading, &username).await?;
            reading.commit().await?;
            Ok(found)
        })
        .await
    }

    /// The names that these users log in with, of those who are there: one query for all.
    pub async fn usernames(
        &self,
        ids: BTreeSet<UserId>,
    ) -> Result<HashMap<UserId, String>, AccountsError> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let shared = Arc::clone(&self.shared);
        self.ask(async move {
            let mut reading = shared.database.read().await?;
            let names = load::usernames(&mut reading, ids).await?;
            reading.commit().await?;
            Ok(names)
        })
        .await
    }

    /// The invitation with this token, if it is good at `now`.
    pub async fn invitation(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<Option<Invitation>, AccountsError> {
        let (shared, digest) = (Arc::clone(&self.shared), InvitationDigest::of(token));
        self.ask(async move {
            let mut reading = shared.database.read().await?;
            let found = execute::find_invitation(&mut reading, &digest, now).await?;
            reading.commit().await?;
            Ok(found.map(|found| Invitation { digest, email: found.email }))
        })
        .await
    }

    /// Which names users may be given.
    pub fn username_rule(&self) -> UsernameRule {
        self.shared.username_rule
    }

    /// Whether somebody has this user name, in whatever case it is written.
    pub async fn is_taken(&self, username: &str) -> Result<bool, AccountsError> {
        let (shared, username) = (Arc::clone(&self.shared), username.to_owned());
        self.ask(async move {
            let mut reading = shared.database.read().await?;
            let is_taken = execute::is_taken(&mut reading, &username).await?;
            reading.commit().await?;
            Ok(is_taken)
        })
        .await
    }

    /// The user name of an account with this address that is in use, if there is one.
    pub async fn owner_of_address(&self, email: &str) -> Result<Option<String>, AccountsError> {
        let (shared, email) = (Arc::clone(&self.shared), email.to_owned());
        self.ask(async move {
            let mut reading = shared.database.read().await?;
            let owner = execute::owner_of(&mut reading, &email).await?;
            reading.commit().await?;
            Ok(owner)
        })
        .await
    }

    /// Creates a superuser if there is no user at all, of two at the same time only one.
    pub async fn create_first_superuser(
        &self,
        new: NewUser,
        now: Timestamp,
    ) -> Result<Arc<User>, CommandError> {
        let shared = Arc::clone(&self.shared);
        self.order(async move {
            let id = execute::create_first_superuser(&shared, new, now).await?;
            let gone = || CommandError::NotFound("the user was deleted again".to_owned());
            shared.load(Who::Id(id), now).await?.ok_or_else(gone)
        })
        .await
    }

    /// Closes the database, for a process that ends; nothing can be asked afterwards.
    pub async fn close(&self) {
        self.shared.database.close().await;
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Does what may be given up when the asker goes away.
    pub(super) async fn ask<T, E>(
        &self,
        work: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<AccountsError> + Send + 'static,
    {
        /// Ends the task with the asker's interest in it.
        struct AbortOnDrop<T>(JoinHandle<T>);
        impl<T> Drop for AbortOnDrop<T> {
            fn drop(&mut self) {
                self.0.abort();
            }
        }
        let mut task = AbortOnDrop(self.control.spawn(work));
        (&mut task.0).await.unwrap_or_else(|_| Err(AccountsError::Stopping.into()))
    }

    /// Does what must be done to its end: between the commit and the forgetting of the old state,
    /// an asker who goes away would leave the old state behind.
    pub(super) async fn order<T, E>(
        &self,
        work: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<AccountsError> + Send + 'static,
    {
        let task = self.control.spawn(work);
        task.await.unwrap_or_else(|_| Err(AccountsError::Stopping.into()))
    }
}

/// The permissions that govern staff; one that the file declares is described as it says there.
fn of_staff(declared: &[(Permission, String)]) -> Vec<(Permission, String)> {
    staff::PERMISSIONS
        .into_iter()
        .filter_map(|(name, description)| Some((name.parse().ok()?, description.to_owned())))
        .filter(|(name, _)| !declared.iter().any(|(known, _)| known == name))
        .collect()
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Directory").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

/// The same again on a real server.
#[cfg(test)]
#[path = "directory/tests.rs"]
#[expect(clippy::duplicate_mod, reason = "what a directory does, it does on both databases")]
mod tests_on_postgres;

#[cfg(test)]
#[path = "../../tests/it/support/postgres.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
#[expect(clippy::disallowed_methods, reason = "files of a server that lives as long as a test")]
mod postgres_server;
