//! The outbox: takes letters, keeps them safe, and sends them when it can.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use futures_util::future::join_all;
use tokio::sync::Notify;

use super::record::{Record, pause};
use super::{Letter, LetterId, Outcome, Place, Settings, Spool, Transport, Unusable};
use crate::domain::Timestamp;

/// How many letters may wait. Whoever makes more than that go nowhere is told at once.
const MOST_WAITING: usize = 10_000;

/// How many letters are on their way at once.
const AT_ONCE: usize = 4;

/// How long to sleep when nothing is due; a new letter ends it.
const IDLE: Duration = Duration::from_secs(60);

/// Where the gateway's letters go.
///
/// There is one for each state directory, and one task that runs [`Outbox::run`].
pub struct Outbox {
    spool: Spool,
    transport: ArcSwapOption<Transport>,
    clock: fn() -> Timestamp,
    /// Every letter on its way, and when it is due.
    waiting: Mutex<BTreeMap<LetterId, Timestamp>>,
    /// Something may be due sooner than was thought.
    news: Notify,
    /// The operator wants it tried now.
    impatience: Notify,
}

/// Why a letter was not taken; nothing was sent then, and nothing will be.
#[derive(Debug, thiserror::Error)]
pub enum NotQueued {
    /// The file has no `[mail]`.
    #[error("mail is not set up\nhint: set `mail.smtp` and `mail.from`")]
    NotSetUp,
    /// Too many letters wait.
    #[error("{MOST_WAITING} letters wait to be sent\nhint: `vestibule mail list` says why")]
    Full,
    /// The disk does not take it.
    #[error("the letter cannot be kept: {0}")]
    Disk(#[from] io::Error),
}

impl Outbox {
    /// Opens the queue in `path`, and makes it when it is not there. It waits for the disk.
    pub fn open(path: PathBuf, clock: fn() -> Timestamp) -> io::Result<Self> {
        let spool = Spool::open(path)?;
        let mut waiting = BTreeMap::new();
        for id in spool.ids(Place::Queue)? {
            match spool.read(Place::Queue, id) {
                Ok(record) => drop(waiting.insert(id, record.due())),
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    let path = spool.set_aside(id)?;
                    tracing::warn!(letter = %id, %error, "set aside as {}", path.display());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Self {
            spool,
            transport: ArcSwapOption::empty(),
            clock,
            waiting: Mutex::new(waiting),
            news: Notify::new(),
            impatience: Notify::new(),
        })
    }

    /// Sends by these settings from now on, or not at all.
    pub fn set_up(&self, settings: Option<&Settings>) -> Result<(), Unusable> {
        let transport = settings.map(Transport::new).transpose()?;
        self.transport.store(transport.map(Arc::new));
        self.impatience.notify_one();
        Ok(())
    }

    /// How many letters are on their way.
    pub fn waiting(&self) -> usize {
        self.lock().len()
    }

    /// Takes a letter. When this returns well it is on disk, and will be sent or given up with a
    /// reason.
    pub async fn send(&self, letter: Letter) -> Result<LetterId, NotQueued> {
        if self.transport.load().is_none() {
            return Err(NotQueued::NotSetUp);
        }
        let now = (self.clock)();
        let id = self.reserve(now)?;
        let spool = self.spool.clone();
        let record = Record::new(&letter, now);
        let writing = move || spool.write(Place::Queue, id, &record);
        let written = tokio::task::spawn_blocking(writing).await;
        if let Err(error) = written.unwrap_or_else(|error| Err(io::Error::other(error))) {
            self.lock().remove(&id);
            return Err(error.into());
        }
        self.lock().insert(id, now);
        self.news.notify_one();
        Ok(id)
    }

    /// A place among those that wait; the letter is not due before it is written.
    fn reserve(&self, now: Timestamp) -> Result<LetterId, NotQueued> {
        let mut waiting = self.lock();
        if waiting.len() >= MOST_WAITING {
            return Err(NotQueued::Full);
        }
        loop {
            let mut random = [0; 4];
            getrandom::fill(&mut random).map_err(io::Error::other)?;
            let id = LetterId::new(now, u32::from_ne_bytes(random));
            if let Entry::Vacant(place) = waiting.entry(id) {
                place.insert(Timestamp::from_seconds(u64::MAX));
                return Ok(id);
            }
        }
    }

    /// Tries at once what waits and what was given up: all of it, or one letter. The number of
    /// letters is answered.
    pub async fn retry(self: &Arc<Self>, only: Option<LetterId>) -> io::Result<usize> {
        let outbox = Arc::clone(self);
        let changing = move || outbox.begin_anew(only);
        let changed = tokio::task::spawn_blocking(changing).await.map_err(io::Error::other)??;
        self.impatience.notify_one();
        self.news.notify_one();
        Ok(changed)
    }

    fn begin_anew(&self, only: Option<LetterId>) -> io::Result<usize> {
        let now = (self.clock)();
        let is_meant = |id: &LetterId| only.is_none_or(|only| only == *id);
        // One that is being written is not there yet: it is due when that is done.
        let mut changed = 0;
        for id in self.spool.ids(Place::Queue)?.into_iter().filter(is_meant) {
            if let Some(due) = self.lock().get_mut(&id) {
                *due = now.min(*due);
                changed += 1;
            }
        }
        for id in self.spool.ids(Place::Failed)?.into_iter().filter(is_meant) {
            let mut record = self.spool.read(Place::Failed, id)?;
            record.begin_anew(now);
            self.spool.write(Place::Queue, id, &record)?;
            self.spool.remove(Place::Failed, id)?;
            self.lock().insert(id, now);
            changed += 1;
        }
        Ok(changed)
    }

    /// Sends what is due, for as long as it is let.
    pub async fn run(&self) {
        // How many rounds in a row reached nobody.
        let mut outage: u32 = 0;
        loop {
            let Some(transport) = self.transport.load_full() else {
                self.impatience.notified().await;
                continue;
            };
            let now = (self.clock)();
            let due = self.due(now);
            if due.is_empty() {
                // A timeout means that something may be due by now.
                drop(tokio::time::timeout(self.until_next(now), self.news.notified()).await);
                continue;
            }
            let attempts = due.into_iter().map(|id| self.attempt(id, &transport));
            let troubles = join_all(attempts).await;
            let is_out = troubles.iter().all(Option::is_some);
            if let (true, 0, Some(Some(trouble))) = (is_out, outage, troubles.first()) {
                tracing::warn!(trouble, "mail cannot be sent; it is kept, and tried again");
            } else if !is_out && outage > 0 {
                tracing::info!("mail is sent again");
                self.after_an_outage(now);
            }
            if is_out {
                // Others would fare no better, and a server that is down is not to be stormed.
                let wait = pause(outage);
                outage = outage.saturating_add(1);
                drop(tokio::time::timeout(wait, self.impatience.notified()).await);
            } else {
                outage = 0;
            }
        }
    }

    /// The letters to try now, the oldest first.
    fn due(&self, now: Timestamp) -> Vec<LetterId> {
        let waiting = self.lock();
        let due = waiting.iter().filter(|(_, due)| **due <= now).map(|(id, _)| *id);
        due.take(AT_ONCE).collect()
    }

    fn until_next(&self, now: Timestamp) -> Duration {
        let next = self.lock().values().min().map(|due| due.since(now));
        // What is less than a second away is not yet due for the clock.
        next.map_or(IDLE, |wait| wait.clamp(Duration::from_millis(250), IDLE))
    }

    /// The server is back: whoever waited for it goes now.
    fn after_an_outage(&self, now: Timestamp) {
        let unwritten = Timestamp::from_seconds(u64::MAX);
        self.lock().values_mut().filter(|due| **due != unwritten).for_each(|due| *due = now);
    }

    /// Tries one letter. The answer is why nothing can be sent, if that is so.
    async fn attempt(&self, id: LetterId, transport: &Transport) -> Option<String> {
        let record = match self.on_disk(move |spool| spool.read(Place::Queue, id)).await {
            Ok(record) => record,
            Err(error) => return self.lose(id, &error).await,
        };
        let Some(letter) = record.letter() else {
            let reason = "its addresses are none".to_owned();
            self.give_up(id, record, reason).await;
            return None;
        };
        match transport.send(id, &letter, record.queued()).await {
            Outcome::Sent => {
                if let Err(error) = self.on_disk(move |spool| spool.remove(Place::Queue, id)).await
                {
                    tracing::error!(letter = %id, %error, "a letter that was sent stays in the queue");
                }
                self.lock().remove(&id);
                tracing::info!(letter = %id, to = %letter.to, "a letter was sent");
                None
            }
            Outcome::Never(reason) => {
                self.give_up(id, record, reason).await;
                None
            }
            Outcome::Later(reason) => {
                self.postpone(id, record, reason).await;
                None
            }
            Outcome::Unreachable(reason) => {
                self.postpone(id, record, reason.clone()).await;
                Some(reason)
            }
        }
    }

    async fn postpone(&self, id: LetterId, mut record: Record, reason: String) {
        let now = (self.clock)();
        if record.is_hopeless(now) {
            return self.give_up(id, record, reason).await;
        }
        tracing::debug!(letter = %id, reason, "a letter waits");
        record.postpone(reason, now);
        let due = record.due();
        let written = self.on_disk(move |spool| spool.write(Place::Queue, id, &record)).await;
        if let Err(error) = written {
            tracing::error!(letter = %id, %error, "that a letter was tried cannot be noted");
        }
        self.lock().insert(id, due);
    }

    async fn give_up(&self, id: LetterId, mut record: Record, reason: String) {
        tracing::warn!(
            letter = %id,
            reason,
            hint = "`vestibule mail list` shows it, `vestibule mail retry` tries it again",
            "a letter was given up"
        );
        record.trouble = Some(reason);
        match self.on_disk(move |spool| spool.give_up(id, &record)).await {
            Ok(()) => drop(self.lock().remove(&id)),
            Err(error) => {
                tracing::error!(letter = %id, %error, "a letter cannot be put away");
                self.lock().insert(id, (self.clock)().after(IDLE));
            }
        }
    }

    /// The file of a letter cannot be read: somebody removed it, or it is damaged.
    async fn lose(&self, id: LetterId, error: &io::Error) -> Option<String> {
        if error.kind() == io::ErrorKind::NotFound {
            self.lock().remove(&id);
        } else if error.kind() == io::ErrorKind::InvalidData {
            tracing::error!(letter = %id, %error, "a letter is set aside");
            let aside = self.on_disk(move |spool| spool.set_aside(id)).await;
            self.lock().remove(&id);
            return aside.err().map(|error| error.to_string());
        } else {
            tracing::error!(letter = %id, %error, "a letter cannot be read");
            self.lock().insert(id, (self.clock)().after(IDLE));
        }
        None
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Spool) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let spool = self.spool.clone();
        let done = tokio::task::spawn_blocking(move || work(&spool)).await;
        done.unwrap_or_else(|error| Err(io::Error::other(error)))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<LetterId, Timestamp>> {
        // A map of moments has no broken states that a panic could leave behind.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox").field("waiting", &self.waiting()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::mail::{Mailbox, Relay, Subject, Tls, Way};

    static NOW: AtomicU64 = AtomicU64::new(1_800_000_000);

    fn clock() -> Timestamp {
        Timestamp::from_seconds(NOW.load(Ordering::Relaxed))
    }

    fn from() -> Mailbox {
        "Site <noreply@example.org>".parse().unwrap()
    }

    fn letter(to: &str) -> Letter {
        let text = "Grüße,\n.\nthe site\n".to_owned();
        Letter::new(to.parse().unwrap(), Subject::of("Hello wörld"), text)
    }

    fn to_directory(path: PathBuf) -> Settings {
        Settings { way: Way::Directory(path), from: from() }
    }

    async fn until(mut is_so: impl FnMut() -> bool) {
        for _ in 0..1000 {
            if is_so() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it has not come so");
    }

    #[tokio::test]
    async fn letters_survive_a_restart_and_arrive() {
        let directory = tempfile::tempdir().unwrap();
        let (spool, mail) = (directory.path().join("mail"), directory.path().join("out"));
        let outbox = Outbox::open(spool.clone(), clock).unwrap();
        let refused = outbox.send(letter("ada@example.org")).await;
        assert!(matches!(refused, Err(NotQueued::NotSetUp)));
        outbox.set_up(Some(&to_directory(mail.clone()))).unwrap();
        let id = outbox.send(letter("ada@example.org")).await.unwrap();
        drop(outbox);

        let outbox = Arc::new(Outbox::open(spool, clock).unwrap());
        assert_eq!(outbox.waiting(), 1);
        outbox.set_up(Some(&to_directory(mail.clone()))).unwrap();
        let running = Arc::clone(&outbox);
        let running = tokio::spawn(async move { running.run().await });
        until(|| outbox.waiting() == 0).await;
        running.abort();
        let text = std::fs::read_to_string(mail.join(format!("{id}.eml"))).unwrap();
        for line in [
            "From: Site <noreply@example.org>\r\n",
            "To: ada@example.org\r\n",
            "Subject: Hello =?utf-8?b?",
            "Auto-Submitted: auto-generated\r\n",
            "Content-Type: text/plain; charset=utf-8\r\n",
            &format!("Message-ID: <{id}@example.org>\r\n"),
            "Date: Fri, 15 Jan 2027 08:00:00 +0000\r\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_sent_waits_and_goes_when_it_can() {
        let directory = tempfile::tempdir().unwrap();
        let mail = directory.path().join("out");
        let outbox = Arc::new(Outbox::open(directory.path().join("mail"), clock).unwrap());
        let relay = Relay {
            host: "127.0.0.1".to_owned(),
            port: 1,
            tls: Tls::None,
            login: None,
            authorities: None,
        };
        outbox.set_up(Some(&Settings { way: Way::Smtp(relay), from: from() })).unwrap();
        for to in ["ada@example.org", "bob@example.org"] {
            outbox.send(letter(to)).await.unwrap();
        }
        let running = Arc::clone(&outbox);
        let running = tokio::spawn(async move { running.run().await });
        let listed = || Spool::at(directory.path().join("mail")).list().unwrap();
        until(|| listed().iter().all(|it| it.trouble.is_some())).await;
        assert!(listed().iter().all(|it| it.attempts == 1 && it.due.unwrap() > it.queued));
        // Another way out is tried at once, though the letters are not yet due.
        outbox.set_up(Some(&to_directory(mail.clone()))).unwrap();
        assert_eq!(outbox.retry(None).await.unwrap(), 2);
        until(|| outbox.waiting() == 0).await;
        assert_eq!(mail.read_dir().unwrap().count(), 2);
        running.abort();
    }

    #[tokio::test]
    async fn a_disk_that_takes_nothing_is_told_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let outbox = Outbox::open(directory.path().join("mail"), clock).unwrap();
        outbox.set_up(Some(&to_directory(directory.path().join("out")))).unwrap();
        std::fs::remove_dir(directory.path().join("mail/queue")).unwrap();
        assert!(matches!(outbox.send(letter("a@b.example")).await, Err(NotQueued::Disk(_))));
        assert_eq!(outbox.waiting(), 0);
    }
}
