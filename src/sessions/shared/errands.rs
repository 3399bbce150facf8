//! What has time: noting when sessions were seen, ending those that are over.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::cache::Cache;
use super::layout::Names;
use super::link::Link;
use super::scripts::Scripts;
use crate::domain::session::{Lifetime, Span};
use crate::domain::{SessionKey, Timestamp};
use crate::sessions::{Clock, Unavailable};

/// Something that has time.
#[derive(Debug)]
pub(super) enum Errand {
    /// A session stands for nobody any more.
    End(SessionKey),
    /// A session was found to be over, with this span.
    EndIfOver(SessionKey, Span),
    /// All that waits is to be written now.
    Finish(oneshot::Sender<()>),
}

/// How many sessions one message to the store is about.
const BATCH: usize = 256;

/// How many ends may wait for a store that is out of reach. Nothing depends on them: who comes by
/// such a session is refused again.
const ENDS: usize = 65_536;

/// How often what was seen is written: the shortest and the longest pause, in seconds.
const PAUSES: (u64, u64) = (1, 60);

/// How often it is written when sessions were seen.
#[derive(Debug)]
pub(super) struct Pace(AtomicU64);

impl Pace {
    pub(super) fn new(lifetime: &Lifetime) -> Self {
        let pace = Self(AtomicU64::new(0));
        pace.set(lifetime);
        pace
    }

    /// Once a minute, and more often where sessions live so shortly that a minute is much of it:
    /// another gateway must not take for idle what is in use here.
    pub(super) fn set(&self, lifetime: &Lifetime) {
        let shortest = lifetime.idle.unwrap_or(lifetime.age).min(lifetime.age);
        let (least, longest) = PAUSES;
        self.0.store((shortest.as_secs() / 4).clamp(least, longest), Relaxed);
    }

    fn pause(&self) -> Duration {
        Duration::from_secs(self.0.load(Relaxed))
    }
}

/// Whoever runs the errands.
pub(super) struct Runner {
    pub(super) link: Arc<Link>,
    pub(super) cache: Arc<Cache>,
    pub(super) names: Arc<Names>,
    pub(super) scripts: Arc<Scripts>,
    pub(super) pace: Arc<Pace>,
    pub(super) clock: Clock,
}

/// What waits to be done.
struct Waiting {
    ends: HashMap<SessionKey, Option<Span>>,
    seen: VecDeque<(SessionKey, Span)>,
    /// When `seen` was gathered, and when what was written last was.
    gathered: Timestamp,
    written: Timestamp,
    finish: Vec<oneshot::Sender<()>>,
}

impl Runner {
    /// Runs errands for as long as the store is open.
    pub(super) async fn run(self, mut inbox: mpsc::UnboundedReceiver<Errand>) {
        let now = (self.clock)();
        let mut waiting = Waiting {
            ends: HashMap::new(),
            seen: VecDeque::new(),
            gathered: now,
            written: now,
            finish: Vec::new(),
        };
        let mut is_up = self.link.is_up_from_now_on();
        let mut last = Instant::now();
        loop {
            tokio::select! {
                errand = inbox.recv() => match errand {
                    Some(errand) => self.take(&mut waiting, errand),
                    None => return,
                },
                changed = is_up.changed() => if changed.is_err() { return },
                () = sleep_until(last + self.pace.pause()) => {
                    self.gather(&mut waiting);
                    last = Instant::now();
                }
            }
            while let Ok(errand) = inbox.try_recv() {
                self.take(&mut waiting, errand);
            }
            self.work(&mut waiting).await;
            for finished in waiting.finish.drain(..) {
                // An error means that nobody waits for it any more.
                let _given_up = finished.send(());
            }
        }
    }

    fn take(&self, waiting: &mut Waiting, errand: Errand) {
        match errand {
            Errand::End(key) if waiting.ends.len() < ENDS => {
                waiting.ends.insert(key, None);
            }
            Errand::EndIfOver(key, span) if waiting.ends.len() < ENDS => {
                waiting.ends.entry(key).or_insert(Some(span));
            }
            Errand::End(_) | Errand::EndIfOver(..) => {}
            Errand::Finish(finished) => {
                self.gather(waiting);
                waiting.finish.push(finished);
            }
        }
    }

    /// Collects who was seen since the last time.
    fn gather(&self, waiting: &mut Waiting) {
        waiting.gathered = (self.clock)();
        let (map, mut seen) = (&self.cache.map, Vec::new());
        for shard in map.shards() {
            map.copy_seen(shard, waiting.written, &mut seen);
        }
        waiting.seen = seen.into();
    }

    /// Does all that waits, or as much as the store can be reached for.
    async fn work(&self, waiting: &mut Waiting) {
        while let Some((&key, &span)) = waiting.ends.iter().next() {
            if self.end(key, span).await == Err(Unavailable::OutOfReach) {
                return;
            }
            waiting.ends.remove(&key);
        }
        while !waiting.seen.is_empty() {
            if self.touch(waiting).await == Err(Unavailable::OutOfReach) {
                // Who was seen is found again the next time.
                waiting.seen.clear();
                return;
            }
            if waiting.seen.is_empty() {
                waiting.written = waiting.gathered;
            }
        }
    }

    /// Ends a session that is over.
    async fn end(&self, key: SessionKey, span: Option<Span>) -> Result<(), Unavailable> {
        let mut script = self.scripts.end.key(self.names.session(&key));
        script.arg(&self.names.users);
        if let Some(span) = span {
            script.arg(span.last_seen.seconds()).arg(span.expires.seconds());
        }
        self.link.run(&script).await
    }

    /// Writes of some sessions when they were seen and until when they live.
    async fn touch(&self, waiting: &mut Waiting) -> Result<(), Unavailable> {
        let mut script = self.scripts.touch.prepare_invoke();
        script.arg(&self.names.users);
        let count = waiting.seen.len().min(BATCH);
        for (key, span) in waiting.seen.drain(..count) {
            script.key(self.names.session(&key));
            script.arg(span.last_seen.seconds()).arg(span.expires.seconds());
        }
        self.link.run(&script).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_written_before_much_of_a_session_s_life_is_over() {
        let pause = |age, idle: Option<u64>| {
            let (age, idle) = (Duration::from_secs(age), idle.map(Duration::from_secs));
            Pace::new(&Lifetime { age, idle, absolute: None }).pause().as_secs()
        };
        assert_eq!(pause(1_209_600, None), 60);
        assert_eq!(pause(1_209_600, Some(3600)), 60);
        assert_eq!(pause(1_209_600, Some(100)), 25);
        assert_eq!(pause(40, Some(3600)), 10);
        assert_eq!(pause(1_209_600, Some(1)), 1);
    }
}
