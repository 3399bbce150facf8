//! The journal as the sessions see it: changes go in, and one can wait until they are kept.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::watch;

use super::super::Unavailable;
use super::super::settings::Durability;
use super::change::Change;
use super::folder::Folder;
use super::frame;
use super::writer::Writer;

/// How many bytes of changes may wait for the disk before logins are told to come again. It is
/// some hundred thousand logins: a disk that is so far behind has stopped.
const MOST_WAITING: usize = 16 * 1024 * 1024;

const CLOSED: &str = "the journal is closed";

/// What is written behind the map: changes in the order in which they were made.
#[derive(Debug)]
pub(super) struct Journal {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// A change that was noted, to wait for.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::sessions) struct Ticket(u64);

/// A change was noted, or is not going to be kept just now.
pub(in crate::sessions) type Noted = Result<Ticket, Unavailable>;

/// What the thread that writes shares with everybody else.
#[derive(Debug)]
pub(super) struct Shared {
    queue: Mutex<Queue>,
    work: Condvar,
    progress: watch::Sender<Progress>,
    /// Bytes that were written since the last snapshot was begun.
    pub(super) bytes: AtomicU64,
    /// How often the disk was waited for.
    pub(super) syncs: AtomicU64,
}

#[derive(Debug)]
struct Queue {
    /// A frame that was opened, with the changes that wait.
    waiting: Vec<u8>,
    /// How many changes were noted since the start.
    noted: u64,
    condition: Condition,
    orders: VecDeque<Order>,
}

/// Whether changes can be kept.
#[derive(Debug, Clone)]
enum Condition {
    Writing,
    /// Nothing can be written, and nothing is noted: a snapshot of everything has to come first.
    Failed(Arc<str>),
    /// That snapshot is being written. Changes are noted, for they may be missing in it, and
    /// nobody is told that they are kept.
    Mending(Arc<str>),
    /// The thread that writes is gone.
    Closed,
}

impl Condition {
    /// Why whoever waits is not told that a change is kept.
    fn refusal(&self) -> Result<(), Unavailable> {
        match self {
            Self::Writing => Ok(()),
            Self::Failed(cause) | Self::Mending(cause) => {
                Err(Unavailable::NotKept(Arc::clone(cause)))
            }
            Self::Closed => Err(Unavailable::NotKept(CLOSED.into())),
        }
    }
}

/// What the thread that writes is asked to do besides.
#[derive(Debug)]
pub(super) enum Order {
    /// Write to the disk what is in the file.
    Sync,
    /// Begin another segment, and say which.
    Rotate(SyncSender<io::Result<u64>>),
    /// Begin another segment after a failure, and say which.
    Reopen(SyncSender<io::Result<u64>>),
    /// Give up the segment that was begun after a failure.
    Abandon(SyncSender<io::Result<u64>>),
    /// End.
    Close,
}

/// How far the thread that writes has come.
#[derive(Debug, Clone)]
struct Progress {
    /// Changes with a ticket up to this one are kept.
    kept: u64,
    failed: Option<Arc<str>>,
}

/// What the thread that writes has to do next.
pub(super) struct Work {
    pub(super) order: Option<Order>,
    /// The number of the last change in the frame, and whether there is any.
    pub(super) noted: u64,
    pub(super) has_changes: bool,
}

impl Journal {
    /// Begins the segment after those that are there, and the thread that writes it. `synced` is
    /// how many bytes of the segment before it are known to be good.
    pub(super) fn start(
        folder: Arc<Folder>,
        durability: Durability,
        number: u64,
        synced: u64,
    ) -> io::Result<Self> {
        let mut waiting = Vec::new();
        frame::open(&mut waiting);
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue {
                waiting,
                noted: 0,
                condition: Condition::Writing,
                orders: VecDeque::new(),
            }),
            work: Condvar::new(),
            progress: watch::Sender::new(Progress { kept: 0, failed: None }),
            bytes: AtomicU64::new(0),
            syncs: AtomicU64::new(0),
        });
        let writer = Writer::begin(folder, durability, Arc::clone(&shared), number, synced)?;
        let thread =
            std::thread::Builder::new().name("journal".to_owned()).spawn(move || writer.run())?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Whether a change that is made now could be kept; asked before one is made that must not be
    /// made otherwise.
    pub(super) fn check(&self) -> Result<(), Unavailable> {
        let queue = self.shared.lock();
        if queue.waiting.len() > MOST_WAITING {
            return Err(Unavailable::NotKept("the disk is too slow".into()));
        }
        queue.condition.refusal()
    }

    /// Notes a change. Called while the map lets nobody else at that session, so that the changes
    /// of each are noted in the order in which they were made.
    pub(super) fn note(&self, change: &Change<'_>) -> Noted {
        let mut queue = self.shared.lock();
        let outcome = queue.condition.refusal();
        if matches!(queue.condition, Condition::Failed(_) | Condition::Closed) {
            return outcome.map(|()| Ticket(queue.noted));
        }
        change.write(&mut queue.waiting);
        queue.noted += 1;
        let ticket = Ticket(queue.noted);
        drop(queue);
        self.shared.work.notify_one();
        outcome.map(|()| ticket)
    }

    /// The last change that was noted, to wait for.
    pub(super) fn latest(&self) -> Noted {
        let queue = self.shared.lock();
        queue.condition.refusal().map(|()| Ticket(queue.noted))
    }

    /// Notes changes that nobody waits for, unless the disk has enough to do.
    pub(super) fn note_at_leisure(&self, changes: &[u8], count: u64) {
        let mut queue = self.shared.lock();
        if matches!(queue.condition, Condition::Writing) && queue.waiting.len() < MOST_WAITING {
            queue.waiting.extend_from_slice(changes);
            queue.noted += count;
            drop(queue);
            self.shared.work.notify_one();
        }
    }

    /// Waits until a change is kept, or cannot be.
    pub(super) async fn kept(&self, ticket: Ticket) -> Result<(), Unavailable> {
        let mut progress = self.shared.progress.subscribe();
        let is_settled = |p: &Progress| p.kept >= ticket.0 || p.failed.is_some();
        let Ok(progress) = progress.wait_for(is_settled).await else {
            return Err(Unavailable::NotKept(CLOSED.into()));
        };
        match &progress.failed {
            Some(cause) if progress.kept < ticket.0 => Err(Unavailable::NotKept(Arc::clone(cause))),
            Some(_) | None => Ok(()),
        }
    }

    /// What is in the way of keeping changes, if anything is.
    pub(super) fn failure(&self) -> Option<Arc<str>> {
        self.shared.progress.borrow().failed.clone()
    }

    /// Has what was written go to the disk.
    pub(super) fn sync(&self) {
        self.shared.order(Order::Sync);
    }

    /// Begins another segment, and says which. Every change that was noted before is in an
    /// earlier one, or made already when this returns.
    pub(super) fn rotate(&self) -> io::Result<u64> {
        self.shared.ask(Order::Rotate)
    }

    /// Begins another segment after a failure. Changes go there from now on; it is for the caller
    /// to write everything else into a snapshot and then say [`Journal::mended`].
    pub(super) fn reopen(&self) -> io::Result<u64> {
        self.shared.ask(Order::Reopen)
    }

    /// Takes [`Journal::reopen`] back.
    pub(super) fn abandon(&self) -> io::Result<u64> {
        self.shared.ask(Order::Abandon)
    }

    /// Everything is on the disk again, unless another failure came in between.
    pub(super) fn mended(&self) -> bool {
        self.shared.mended()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.shared.bytes.load(Relaxed)
    }

    /// So many bytes of the journal are in a snapshot now.
    pub(super) fn forget(&self, bytes: u64) {
        self.shared.bytes.fetch_sub(bytes, Relaxed);
    }

    pub(super) fn syncs(&self) -> u64 {
        self.shared.syncs.load(Relaxed)
    }

    /// Writes what was noted, and ends the thread.
    pub(super) fn close(&self) {
        self.shared.order(Order::Close);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that writes the journal panicked");
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics while it is held; if it did, a change would be whole or missing.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn order(&self, order: Order) {
        let mut queue = self.lock();
        // Dropped otherwise, and whoever waits for an answer hears that.
        if !matches!(queue.condition, Condition::Closed) {
            queue.orders.push_back(order);
            drop(queue);
            self.work.notify_one();
        }
    }

    fn ask(&self, order: fn(SyncSender<io::Result<u64>>) -> Order) -> io::Result<u64> {
        let (sender, answer) = sync_channel(1);
        self.order(order(sender));
        answer.recv().unwrap_or_else(|_| Err(io::Error::other(CLOSED)))
    }

    /// Waits for something to do. The changes that wait are put into `frame`, whose own content
    /// was written.
    pub(super) fn wait(&self, frame: &mut Vec<u8>) -> Work {
        frame::open(frame);
        let mut queue = self.lock();
        while queue.waiting.len() == frame::FRAME && queue.orders.is_empty() {
            queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::swap(frame, &mut queue.waiting);
        Work {
            order: queue.orders.pop_front(),
            noted: queue.noted,
            has_changes: frame.len() > frame::FRAME,
        }
    }

    /// Says that all changes up to this one are kept.
    pub(super) fn tell_kept(&self, noted: u64) {
        self.progress.send_modify(|progress| progress.kept = progress.kept.max(noted));
    }

    /// Says that nothing can be written any more; whoever waits is told.
    pub(super) fn fail(&self, cause: &io::Error) {
        let cause: Arc<str> = cause.to_string().into();
        let mut queue = self.lock();
        // What waits is in memory, and the snapshot that has to come has all of that.
        frame::open(&mut queue.waiting);
        let is_first = matches!(queue.condition, Condition::Writing);
        queue.condition = Condition::Failed(Arc::clone(&cause));
        self.progress.send_modify(|progress| progress.failed = Some(Arc::clone(&cause)));
        drop(queue);
        if is_first {
            tracing::error!(
                %cause,
                "sessions cannot be written to disk: nobody can log in until they can; \
                 those who are logged in stay so"
            );
        }
    }

    /// A segment was begun after a failure: changes go there, and nobody is told that they are kept.
    pub(super) fn mending(&self) {
        let mut queue = self.lock();
        if let Condition::Failed(cause) = &queue.condition {
            queue.condition = Condition::Mending(Arc::clone(cause));
        }
    }

    /// That segment was given up.
    pub(super) fn abandoned(&self) {
        let mut queue = self.lock();
        if let Condition::Mending(cause) = &queue.condition {
            queue.condition = Condition::Failed(Arc::clone(cause));
            frame::open(&mut queue.waiting);
        }
    }

    /// Says that the thread that writes is gone, in whatever way.
    pub(super) fn closed(&self) {
        let mut queue = self.lock();
        queue.condition = Condition::Closed;
        queue.orders.clear();
        self.progress.send_modify(|progress| progress.failed = Some(CLOSED.into()));
    }

    fn mended(&self) -> bool {
        let mut queue = self.lock();
        let is_mending = matches!(queue.condition, Condition::Mending(_));
        if is_mending {
            queue.condition = Condition::Writing;
            // Changes from before the failure are in the snapshot, as whatever was in memory.
            // Later ones have nobody waiting for them.
            let noted = queue.noted;
            self.progress.send_modify(|progress| {
                *progress = Progress { kept: noted, failed: None };
            });
        }
        is_mending
    }
}
