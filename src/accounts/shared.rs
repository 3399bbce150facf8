//! What the directory's tasks share: loading users, and changing them so that the change is seen.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwapOption;

use super::cache::{Cache, Known};
use super::command::Secret;
use super::database::{Connection, Database, Transaction, patiently};
use super::error::{AccountsError, CommandError};
use super::fields;
use super::hashing::HashingThreads;
use super::health::Health;
use super::load::{self, Who};
use super::password::{Attributes, Hasher, StandIns, Validators};
use super::several;
use crate::domain::audit::Trail;
use crate::domain::user::{UsernameRule, normalize_username};
use crate::domain::{ProfileFields, Timestamp, User, UserId};

/// What the directory's tasks share.
pub(super) struct Shared {
    pub(super) database: Database,
    pub(super) cache: Cache,
    pub(super) health: Health,
    pub(super) hashing: HashingThreads,
    pub(super) stand_ins: StandIns,
    pub(super) upgrade_hashes: bool,
    pub(super) validators: Validators,
    pub(super) username_rule: UsernameRule,
    /// What is told of every change of accounts, once there is somebody to tell.
    pub(super) trail: OnceLock<Arc<dyn Trail>>,
    pub(super) profile: ArcSwapOption<ProfileFields>,
    /// How long the log of changes is kept.
    pub(super) keep_log: Duration,
}

impl Shared {
    pub(super) async fn load(
        &self,
        who: Who<'_>,
        now: Timestamp,
    ) -> Result<Option<Arc<User>>, AccountsError> {
        let ticket = self.cache.ticket();
        let user = patiently(async {
            let mut reading = self.database.read().await?;
            let user = load::user(&mut reading, who).await?.map(Arc::new);
            reading.commit().await?;
            Ok(user)
        })
        .await?;
        match (&user, who) {
            (Some(user), _) => {
                self.cache.store(ticket, user.id, Known::User(Arc::clone(user)), now);
            }
            (None, Who::Id(id)) => self.cache.store(ticket, id, Known::Gone, now),
            (None, Who::Username(_)) => {}
        }
        Ok(user)
    }

    pub(super) async fn load_several(
        &self,
        ids: Vec<UserId>,
        now: Timestamp,
    ) -> Result<Vec<(UserId, Known)>, AccountsError> {
        let ticket = self.cache.ticket();
        let mut users = patiently(async {
            let mut reading = self.database.read().await?;
            let users = several::users(&mut reading, &ids).await?;
            reading.commit().await?;
            Ok(users)
        })
        .await?;
        let mut known =
            |id| users.remove(&id).map_or(Known::Gone, |user| Known::User(Arc::new(user)));
        let found: Vec<_> = ids.into_iter().map(|id| (id, known(id))).collect();
        for (id, known) in &found {
            self.cache.store(ticket, *id, known.clone(), now);
        }
        Ok(found)
    }

    pub(super) async fn load_by_name(
        &self,
        username: &str,
        now: Timestamp,
    ) -> Result<Option<Arc<User>>, AccountsError> {
        // A name that nobody can have is looked for all the same, for equal work.
        let username = normalize_username(username).unwrap_or_default();
        self.load(Who::Username(&username), now).await
    }

    /// The encoded hash of a password that is to be that user's from now on who is described.
    pub(super) async fn hash_new(
        &self,
        password: Secret,
        about: &Attributes,
    ) -> Result<String, CommandError> {
        fields::check_password(&password, about, &self.validators)?;
        let place = self.hashing.reserve()?;
        let encode = move |hasher: &Hasher| hasher.encode(password.reveal());
        Ok(self.hashing.run(place, encode).await??)
    }

    /// Begins to change something that nobody ordered, alone: what is ordered goes through an
    /// [`Errand`](super::errand::Errand), which asks who may and writes it down.
    pub(super) async fn begin_change_of_ours(&self) -> Result<Changing<'_>, sqlx::Error> {
        let transaction = self.database.write().await?;
        Ok(Changing { transaction, concerned: Vec::new(), is_quiet: false, cache: &self.cache })
    }
}

/// A change under way, and the users who will be another after it.
pub(super) struct Changing<'a> {
    transaction: Transaction,
    concerned: Vec<UserId>,
    is_quiet: bool,
    cache: &'a Cache,
}

impl Changing<'_> {
    /// Where the change is written.
    pub(super) fn sql(&mut self) -> &mut Connection {
        &mut self.transaction
    }

    /// Notes that what is known of this user will be wrong.
    pub(super) fn concerns(&mut self, user: UserId) {
        self.concerned.push(user);
    }

    /// Says that whoever is concerned keeps every right, so that nobody has to be told.
    pub(super) fn keeps_quiet(&mut self) {
        self.is_quiet = true;
    }

    /// Makes the change last, and forgets the users whom it concerns.
    pub(super) async fn commit(mut self) -> Result<(), sqlx::Error> {
        self.transaction.tell(self.is_quiet, &self.concerned).await?;
        let outcome = self.transaction.commit().await;
        // Also after a failure: it may have come after the commit.
        if self.is_quiet {
            self.cache.forget_quietly(&self.concerned);
        } else {
            self.cache.forget(&self.concerned);
        }
        outcome
    }
}
