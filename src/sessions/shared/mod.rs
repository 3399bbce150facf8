//! The store of several gateways: Redis or Valkey, and before it what this gateway knows.
//!
//! Here belongs everything that speaks to Redis. A session that is known here is answered for from
//! memory; the server tells of every change ([`keeper`]), and what changed is asked for again
//! ([`doubts`]). Changes are made in Redis, in scripts that check and change in one step
//! ([`scripts`]), and count when Redis has answered. When it was seen is written later
//! ([`errands`]).

mod address;
mod cache;
mod doubts;
mod errands;
mod freshness;
mod keeper;
mod layout;
mod link;
mod parts;
mod scripts;

use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::AbortHandle;

use super::map::Map;
use super::{Clock, Record, Traffic, Unavailable};
use crate::domain::session::Lifetime;
use crate::domain::session_data::{DataChange, DataError};
use crate::domain::{SessionData, SessionKey, Timestamp};

pub use address::{NotAnAddress, StoreUrl};

use cache::{Cache, Stored};
use doubts::Asker;
use errands::{Errand, Pace, Runner};
use keeper::Keeper;
use layout::{Names, Unreadable};
use link::{Count, Link};
use scripts::Scripts;

/// How long that may take which was kept for later, when somebody waits for it.
const FAREWELL: Duration = Duration::from_secs(2);

/// What an operator can set about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedSettings {
    /// Where it is; `store`.
    pub url: StoreUrl,
    /// What the names of everything in it begin with; `store_prefix`.
    pub prefix: String,
    /// How long sessions that are known go on without it; `store_grace`.
    pub grace: Duration,
}

/// The store could not be reached when the gateway was started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the session store {url} cannot be used: {cause}\n\
     hint: is it running, version 6 or newer, and is `sessions.store` right?"
)]
pub struct CannotReach {
    /// Where it should be.
    pub url: StoreUrl,
    /// What went wrong.
    pub cause: String,
}

/// Sessions in Redis, with those that are known here in memory.
#[derive(Debug)]
pub(super) struct Shared {
    link: Arc<Link>,
    cache: Arc<Cache>,
    names: Arc<Names>,
    scripts: Arc<Scripts>,
    pace: Arc<Pace>,
    errands: mpsc::UnboundedSender<Errand>,
    questions: Count,
    tasks: [AbortHandle; 3],
}

impl Drop for Shared {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Shared {
    /// Connects; what it does in the background runs on the runtime that it is called on.
    pub(super) async fn open(
        settings: &SharedSettings,
        told: broadcast::Sender<SessionKey>,
        lifetime: &Lifetime,
        clock: Clock,
    ) -> Result<Self, CannotReach> {
        let (doubts, in_doubt) = mpsc::unbounded_channel();
        let (errands, inbox) = mpsc::unbounded_channel();
        let names = Arc::new(Names::new(&settings.prefix));
        let (link, scripts) = (Arc::<Link>::default(), Arc::<Scripts>::default());
        let cache = Arc::new(Cache::new(doubts, told));
        let pace = Arc::new(Pace::new(lifetime));
        let (keeper, connection) = Keeper::start(
            settings.url.clone(),
            Arc::clone(&names),
            Arc::clone(&link),
            Arc::clone(&cache),
            settings.grace,
        )
        .await?;
        let runner = Runner {
            link: Arc::clone(&link),
            cache: Arc::clone(&cache),
            names: Arc::clone(&names),
            scripts: Arc::clone(&scripts),
            pace: Arc::clone(&pace),
            clock,
        };
        let asker = Asker::new(Arc::clone(&link), Arc::clone(&cache), Arc::clone(&names));
        let tasks = [
            tokio::spawn(keeper.keep(connection)),
            tokio::spawn(asker.run(in_doubt)),
            tokio::spawn(runner.run(inbox)),
        ];
        let (tasks, questions) = (tasks.map(|task| task.abort_handle()), Count::default());
        Ok(Self { link, cache, names, scripts, pace, errands, questions, tasks })
    }

    /// What is known here.
    pub(super) fn map(&self) -> &Map {
        &self.cache.map
    }

    /// The session with this key as Redis has it now, whatever is known here; `None` when there is
    /// none, or it is over.
    pub(super) async fn fetch(
        &self,
        key: SessionKey,
        now: Timestamp,
        lifetime: &Lifetime,
    ) -> Result<Option<Record>, Unavailable> {
        self.questions.one_more();
        let ticket = self.cache.ticket(&key);
        let mut question = redis::cmd("HGETALL");
        question.arg(self.names.session(&key));
        let answer: Value = self.link.ask(&question).await?;
        let Some(record) = layout::record_of(answer).map_err(|Unreadable| self.unreadable(key))?
        else {
            self.cache.forget(key);
            return Ok(None);
        };
        let written = record.span;
        let (record, stored) = self.cache.keep(ticket, key, record, None);
        if record.is_live(now, lifetime) {
            if matches!(stored, Stored::Outdated) {
                // Whoever goes on with it has to be told if it ended meanwhile.
                self.cache.ask_again(key, record.clone());
            }
            return Ok(Some(record));
        }
        self.cache.forget(key);
        self.put_off(Errand::EndIfOver(key, written));
        Ok(None)
    }

    fn unreadable(&self, key: SessionKey) -> Unavailable {
        self.link.complain(&format!("to have a session `{key}` that this version can read"));
        Unavailable::Unreadable(key)
    }

    /// The session with this key from memory, noted as seen; one that seems to be over may have
    /// been used at another gateway since, and so is not known.
    pub(super) fn see(
        &self,
        key: &SessionKey,
        now: Timestamp,
        lifetime: &Lifetime,
    ) -> Option<Record> {
        self.cache.map.see(key, now, |span| span.is_live(now, lifetime))?.ok()
    }

    /// Begins a session under `key`, and ends the one that the browser had before.
    pub(super) async fn begin(
        &self,
        key: SessionKey,
        record: &Record,
        previous: Option<SessionKey>,
    ) -> Result<(), Unavailable> {
        let mut script = self.scripts.begin.key(self.names.session(&key));
        if let Some(previous) = previous {
            script.key(self.names.session(&previous));
        }
        script.arg(&self.names.users).arg(record.span.expires.seconds());
        script.arg(layout::fields(record));
        self.link.run::<()>(&script).await?;
        if let Some(previous) = previous {
            self.cache.forget(previous);
        }
        Ok(())
    }

    /// Ends a session; says whether there was one.
    pub(super) async fn end(&self, key: SessionKey) -> Result<bool, Unavailable> {
        let mut script = self.scripts.end.key(self.names.session(&key));
        script.arg(&self.names.users);
        let ended = self.link.run(&script).await?;
        self.cache.forget(key);
        Ok(ended)
    }

    /// Ends a session that stands for nobody any more, and waits for nothing.
    pub(super) fn discard(&self, key: SessionKey) {
        self.cache.forget(key);
        self.put_off(Errand::End(key));
    }

    /// Changes the data of a session, and renews it; `None` when there is no such session.
    pub(super) async fn change_data(
        &self,
        key: SessionKey,
        changes: &[DataChange],
        now: Timestamp,
        lifetime: &Lifetime,
    ) -> Result<Option<Result<Record, DataError>>, Unavailable> {
        // What cannot be kept in an empty session cannot be kept in any.
        if let Err(error) = SessionData::check(changes) {
            return Ok(Some(Err(error)));
        }
        let mut script = self.scripts.change.key(self.names.session(&key));
        script.arg(&self.names.users).arg(now.seconds()).arg(now.after(lifetime.age).seconds());
        script.arg(SessionData::MAX_SIZE).arg(SessionData::MAX_KEYS);
        for change in changes {
            match change {
                DataChange::Set(key, value) => script.arg("set").arg(&**key).arg(&**value),
                DataChange::Delete(key) => script.arg("delete").arg(&**key),
                DataChange::Clear => script.arg("clear"),
                DataChange::Swap { key, from, to } => {
                    script.arg("swap").arg(key);
                    for value in [from, to] {
                        script.arg(i32::from(value.is_some())).arg(value.as_deref().unwrap_or(""));
                    }
                    &mut script
                }
            };
        }
        let answer: Value = self.link.run(&script).await?;
        if answer == Value::Nil {
            self.cache.forget(key);
            return Ok(None);
        }
        if answer == Value::Int(0) {
            return Ok(Some(Err(DataError::TooLarge)));
        }
        if answer == Value::Int(1) {
            self.cache.drop_and_ask(key);
            return Ok(Some(Err(DataError::Changed)));
        }
        self.cache.drop_and_ask(key);
        let record = layout::record_of(answer).map_err(|Unreadable| self.unreadable(key))?;
        Ok(record.map(Ok))
    }

    /// Takes over sessions of another store; says how many were new, or newer than what was here.
    pub(super) async fn import(
        &self,
        sessions: &[(SessionKey, Record)],
    ) -> Result<usize, Unavailable> {
        let imports = sessions.iter().map(|(key, record)| async {
            let mut script = self.scripts.import.key(self.names.session(key));
            script.arg(&self.names.users);
            script.arg(record.span.last_seen.seconds()).arg(record.span.expires.seconds());
            script.arg(layout::fields(record));
            self.link.run::<usize>(&script).await
        });
        // All at once: they share one connection, and its queue is bounded.
        let taken = futures_util::future::try_join_all(imports).await?;
        Ok(taken.into_iter().sum())
    }

    /// About how many sessions there are, other things in the same database included.
    pub(super) async fn count(&self) -> Result<u64, Unavailable> {
        self.link.ask(&redis::cmd("DBSIZE")).await
    }

    /// A secret that all gateways on this store have in common: `ours`, if there was none yet.
    pub(super) async fn common_secret(&self, ours: &[u8; 32]) -> Result<[u8; 32], Unavailable> {
        let name = self.names.single("form-key");
        let mut questions = redis::pipe();
        questions.cmd("SETNX").arg(&name).arg(&ours[..]).ignore().cmd("GET").arg(&name);
        let (secret,): (Vec<u8>,) = self.link.ask_all(&questions).await?;
        secret
            .try_into()
            .map_err(|_| Unavailable::Refused(format!("`{name}` in the session store is no key")))
    }

    /// How long sessions live now.
    pub(super) fn set_lifetime(&self, lifetime: &Lifetime) {
        self.pace.set(lifetime);
    }

    /// Writes what was kept for later.
    pub(super) async fn flush(&self) {
        let (finished, is_finished) = oneshot::channel();
        self.put_off(Errand::Finish(finished));
        // What is lost when it takes longer is when sessions were last seen.
        let _late = tokio::time::timeout(FAREWELL, is_finished).await;
    }

    fn put_off(&self, errand: Errand) {
        // An error means that the runner is gone, with the runtime that it was on.
        let _gone = self.errands.send(errand);
    }

    /// Whether Redis can be asked.
    pub(super) fn is_up(&self) -> bool {
        self.link.is_up()
    }

    /// Whether it could not be for so long that no session is served any more.
    pub(super) fn is_out(&self) -> bool {
        self.link.is_out()
    }

    /// How often Redis was asked for a session, and how often it said that one changed.
    pub(super) fn traffic(&self) -> Traffic {
        Traffic { questions: self.questions.so_far(), changes: self.cache.invalidations() }
    }
}
