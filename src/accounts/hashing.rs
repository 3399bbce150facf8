//! The threads on which passwords are hashed, and the bound on how many wait for them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::AccountsError;
use super::password::{Hasher, give_back};

/// Dedicated threads of low priority: a storm of logins may slow logins, not proxied requests.
pub(super) struct HashingThreads {
    jobs: Sender<Job>,
    places: Arc<Semaphore>,
}

type Job = Box<dyn FnOnce(&Hasher) + Send>;

/// A place in the queue; without one no password is hashed.
pub(super) type Place = OwnedSemaphorePermit;

/// How many passwords may wait; at 25 ms each that is a few seconds of work.
const QUEUE: usize = 256;

impl HashingThreads {
    /// Starts one thread for each core but one, and at least one.
    pub(super) fn start(hasher: &Hasher) -> Result<Self, AccountsError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::start_with(hasher, cores.saturating_sub(1).max(1), QUEUE)
    }

    fn start_with(hasher: &Hasher, threads: usize, queue: usize) -> Result<Self, AccountsError> {
        let (jobs, inbox) = channel();
        let inbox = Arc::new(Mutex::new(inbox));
        for number in 0..threads {
            let (inbox, hasher) = (Arc::clone(&inbox), hasher.clone());
            std::thread::Builder::new()
                .name(format!("hashing-{number}"))
                .spawn(move || work(&inbox, &hasher))
                .map_err(|error| AccountsError::Hashing(error.to_string()))?;
        }
        Ok(Self { jobs, places: Arc::new(Semaphore::new(queue + threads)) })
    }

    /// Takes a place in the queue, or says at once that there is none.
    pub(super) fn reserve(&self) -> Result<Place, AccountsError> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| AccountsError::Busy)
    }

    /// Has `work` done by the next free thread; it is skipped when nobody waits for it any more.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        place: Place,
        work: impl FnOnce(&Hasher) -> T + Send + 'static,
    ) -> Result<T, AccountsError> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |hasher| {
            if !reply.is_closed() {
                // Nobody left to tell is fine.
                drop(reply.send(work(hasher)));
            }
            drop(place);
        });
        self.jobs.send(job).map_err(|_| AccountsError::Stopping)?;
        answer.await.map_err(|_| AccountsError::Hashing("the work was broken off".to_owned()))
    }
}

fn work(inbox: &Mutex<Receiver<Job>>, hasher: &Hasher) {
    yield_to_everyone();
    loop {
        let Some(job) = next(inbox) else { return };
        // A panic must not cost a thread: with the last one, every login would wait for ever.
        if catch_unwind(AssertUnwindSafe(|| job(hasher))).is_err() {
            tracing::error!("a password could not be hashed: the hasher panicked");
        }
    }
}

/// The next job, or `None` when there will be none. A thread that has to wait for one gives the
/// memory back in which it hashed.
fn next(inbox: &Mutex<Receiver<Job>>) -> Option<Job> {
    let inbox = inbox.try_lock().unwrap_or_else(|_| {
        // Another thread waits already, so there is nothing to do.
        give_back();
        inbox.lock().unwrap_or_else(PoisonError::into_inner)
    });
    inbox.try_recv().ok().or_else(|| {
        give_back();
        inbox.recv().ok()
    })
}

/// Takes the lowest priority for this thread alone; in Linux a thread has a niceness of its own.
fn yield_to_everyone() {
    let thread = rustix::thread::gettid();
    if let Err(error) = rustix::process::setpriority_process(Some(thread), 19) {
        tracing::debug!(%error, "the priority of a hashing thread stays as it is");
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::Pin;
    use std::task::Poll;

    use super::super::settings::Hashing;
    use super::*;

    fn hasher() -> Hasher {
        Hasher::new(&Hashing { memory_kib: 8, iterations: 1, parallelism: 1 }).unwrap()
    }

    async fn is_pending(mut future: Pin<&mut impl Future>) -> bool {
        poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
    }

    #[tokio::test]
    async fn a_full_queue_is_busy_at_once_and_free_again_later() {
        let threads = HashingThreads::start_with(&hasher(), 1, 1).unwrap();
        let (go, gate) = channel::<()>();
        let place = threads.reserve().unwrap();
        let stuck = threads.run(place, move |_| gate.recv().is_err());
        let place = threads.reserve().unwrap();
        let waiting = threads.run(place, |_| 7);
        assert!(matches!(threads.reserve(), Err(AccountsError::Busy)));
        drop(go);
        let (stuck, waiting) = tokio::join!(stuck, waiting);
        stuck.unwrap();
        assert_eq!(waiting.unwrap(), 7);
        // The place is given back just after the answer.
        let last = threads.places.acquire_many(2).await;
        assert!(last.is_ok());
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_is_skipped_and_a_panic_costs_no_thread() {
        let threads = HashingThreads::start_with(&hasher(), 1, 8).unwrap();
        let broken = threads.run(threads.reserve().unwrap(), |_| panic!("as planned")).await;
        assert!(matches!(broken, Err::<(), _>(AccountsError::Hashing(_))));

        let (go, gate) = channel::<()>();
        let (ran, whether) = channel::<()>();
        let stuck = threads.run(threads.reserve().unwrap(), move |_| gate.recv().is_err());
        tokio::pin!(stuck);
        assert!(is_pending(stuck.as_mut()).await);
        {
            let left = threads.run(threads.reserve().unwrap(), move |_| ran.send(()).is_ok());
            tokio::pin!(left);
            assert!(is_pending(left.as_mut()).await);
        }
        drop(go);
        stuck.await.unwrap();
        threads.run(threads.reserve().unwrap(), |_| ()).await.unwrap();
        assert!(whether.try_recv().is_err());
    }

    #[tokio::test]
    async fn hashing_threads_are_nice_and_the_others_are_not() {
        let own = rustix::process::getpriority_process(None).unwrap();
        let threads = HashingThreads::start_with(&hasher(), 1, 1).unwrap();
        let priority = |_: &Hasher| {
            rustix::process::getpriority_process(Some(rustix::thread::gettid())).unwrap()
        };
        let theirs = threads.run(threads.reserve().unwrap(), priority).await.unwrap();
        assert_eq!(theirs, 19);
        assert_eq!(rustix::process::getpriority_process(None).unwrap(), own);
    }
}
