//! Asks again for sessions that changed: at other gateways, here, or at a time when nobody told us.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::cache::{Cache, Stored};
use super::layout::{self, Names, Unreadable};
use super::link::Link;
use crate::domain::SessionKey;
use crate::sessions::{Record, Unavailable};

/// What has to be asked again.
#[derive(Debug)]
pub(super) enum Doubt {
    /// A session changed; it is still in memory, or is handed over as it was known.
    Changed(SessionKey, Option<Record>),
    /// These were known before something that nobody told us of.
    Recall(Vec<(SessionKey, Record)>),
    /// Nothing is known of any session any more.
    GiveUp,
}

/// How many sessions one question to the store is about.
const BATCH: usize = 256;

/// How long a session that is said to have changed stays in force as it was known, while the store
/// is asked again. That takes a round trip; this is for a store that takes its time.
const IN_FORCE: Duration = Duration::from_millis(50);

/// Whoever asks again.
pub(super) struct Asker {
    pub(super) link: Arc<Link>,
    pub(super) cache: Arc<Cache>,
    pub(super) names: Arc<Names>,
    /// Sessions in doubt, each with what was known if that is not in force any more.
    doubts: HashMap<SessionKey, Option<Record>>,
    /// Until when those may be in force that are.
    deadline: Option<Instant>,
}

impl Asker {
    pub(super) fn new(link: Arc<Link>, cache: Arc<Cache>, names: Arc<Names>) -> Self {
        Self { link, cache, names, doubts: HashMap::new(), deadline: None }
    }

    /// Asks for as long as the store is open.
    pub(super) async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Doubt>) {
        let mut is_up = self.link.is_up_from_now_on();
        loop {
            tokio::select! {
                doubt = inbox.recv() => match doubt {
                    Some(doubt) => self.take(doubt),
                    None => return,
                },
                changed = is_up.changed() => if changed.is_err() { return },
            }
            while let Ok(doubt) = inbox.try_recv() {
                self.take(doubt);
            }
            if self.ask_all(&mut inbox, &mut is_up).await == Err(Unavailable::OutOfReach) {
                self.suspend();
            }
        }
    }

    fn take(&mut self, doubt: Doubt) {
        match doubt {
            Doubt::Changed(key, known) => {
                if known.is_none() && self.deadline.is_none() {
                    self.deadline = Some(Instant::now() + IN_FORCE);
                }
                let place = self.doubts.entry(key).or_default();
                *place = known.or_else(|| place.take());
            }
            Doubt::Recall(known) => {
                self.doubts.extend(known.into_iter().map(|(key, record)| (key, Some(record))));
            }
            Doubt::GiveUp => {
                for (key, _) in self.doubts.drain() {
                    self.cache.tell(key);
                }
            }
        }
    }

    /// All that is in doubt is out of force until it was asked for.
    fn suspend(&mut self) {
        for (key, known) in &mut self.doubts {
            *known = self.cache.suspend(*key).or_else(|| known.take());
        }
        self.deadline = None;
    }

    /// Asks until nothing is in doubt, some at a time.
    async fn ask_all(
        &mut self,
        inbox: &mut mpsc::UnboundedReceiver<Doubt>,
        is_up: &mut watch::Receiver<bool>,
    ) -> Result<(), Unavailable> {
        while !self.doubts.is_empty() {
            if !*is_up.borrow_and_update() {
                return Err(Unavailable::OutOfReach);
            }
            let keys: Vec<SessionKey> = self.doubts.keys().take(BATCH).copied().collect();
            let mut questions = redis::pipe();
            let mut tickets = Vec::with_capacity(keys.len());
            for key in &keys {
                tickets.push(self.cache.ticket(key));
                questions.cmd("HGETALL").arg(self.names.session(key));
            }
            // A session that comes into doubt again meanwhile makes its ticket worthless.
            let link = Arc::clone(&self.link);
            let asking = link.ask_all::<Vec<Value>>(&questions);
            tokio::pin!(asking);
            let answers = loop {
                let deadline = self.deadline.unwrap_or_else(Instant::now);
                tokio::select! {
                    answers = &mut asking => break answers,
                    Some(doubt) = inbox.recv() => self.take(doubt),
                    () = sleep_until(deadline), if self.deadline.is_some() => self.suspend(),
                }
            };
            match answers {
                Ok(answers) => {
                    for ((key, ticket), answer) in keys.into_iter().zip(tickets).zip(answers) {
                        let Some(known) = self.doubts.remove(&key) else { continue };
                        self.settle(key, known, ticket, answer);
                    }
                }
                Err(Unavailable::OutOfReach) => return Err(Unavailable::OutOfReach),
                // One of them is no session at all. Each is asked for by whoever has to do with it.
                Err(_) => {
                    for key in keys {
                        self.doubts.remove(&key);
                        self.cache.forget(key);
                        self.cache.tell(key);
                    }
                }
            }
        }
        self.deadline = None;
        Ok(())
    }

    /// Puts the answer into force, and tells of what it says that was not known.
    fn settle(
        &mut self,
        key: SessionKey,
        known: Option<Record>,
        ticket: super::freshness::Ticket,
        answer: Value,
    ) {
        match layout::record_of(answer) {
            Ok(Some(record)) => match self.cache.keep(ticket, key, record, known.as_ref()).1 {
                Stored::Yes { has_changed: true } => self.cache.tell(key),
                Stored::Yes { has_changed: false } => {}
                Stored::Outdated => drop(self.doubts.insert(key, known)),
            },
            // One that cannot be read is nobody's, and whoever asks for it is told why.
            Ok(None) | Err(Unreadable) => {
                self.cache.forget(key);
                self.cache.tell(key);
            }
        }
    }
}
