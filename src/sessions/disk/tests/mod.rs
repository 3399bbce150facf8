//! The disk, as bad as it can be.

mod failing;
mod model;
mod salvaged;
mod torn;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tempfile::TempDir;

use super::super::Sessions;
use super::super::local::Local;
use super::super::map::Map;
use super::super::record::Record;
use super::super::settings::{Durability, Keeping, Settings};
use super::change::Change;
use super::folder::Folder;
use super::frame::{self, Header, Kind};
use super::recovery::{self, OpenError};
use crate::domain::password::PasswordMark;
use crate::domain::session::{Lifetime, Span};
use crate::domain::session_data::DataChange;
use crate::domain::{Client, Device, Session, SessionKey, Timestamp, UserId};

const NOON: Timestamp = Timestamp::from_seconds(1_000_000);
const LIFETIME: Lifetime = Lifetime { age: Duration::from_secs(1000), idle: None, absolute: None };

/// Lets calls to the disk fail: those from `first` on and before `end`.
#[derive(Debug, Default)]
pub(in crate::sessions) struct Faults {
    calls: AtomicU64,
    first: AtomicU64,
    end: AtomicU64,
    held: Mutex<()>,
}

impl Faults {
    pub(in crate::sessions) fn step(&self) -> io::Result<()> {
        drop(self.held.lock().unwrap());
        let call = self.calls.fetch_add(1, Relaxed) + 1;
        if (self.first.load(Relaxed)..self.end.load(Relaxed)).contains(&call) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    /// The disk takes its time, until this is dropped.
    pub(in crate::sessions) fn hold(&self) -> MutexGuard<'_, ()> {
        self.held.lock().unwrap()
    }

    /// From the n-th call from now on nothing works, until it is set again.
    pub(in crate::sessions) fn fail_from(&self, n: u64) {
        self.first.store(self.calls.load(Relaxed) + n, Relaxed);
        self.end.store(u64::MAX, Relaxed);
    }

    /// The n-th call from now on does not work.
    pub(in crate::sessions) fn fail_once(&self, n: u64) {
        let call = self.calls.load(Relaxed) + n;
        self.first.store(call, Relaxed);
        self.end.store(call + 1, Relaxed);
    }

    pub(in crate::sessions) fn stop(&self) {
        self.end.store(0, Relaxed);
    }
}

/// Quick to sync where the machine has a file system in memory.
fn temporary() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.unwrap()
}

fn open(directory: &Path) -> Result<Local, OpenError> {
    let keeping = Keeping { durability: Durability::Always, ..Keeping::default() };
    Local::open(directory, keeping, NOON, &LIFETIME)
}

/// What a process finds that starts after this one was killed.
fn after_a_kill(directory: &Path) -> (TempDir, Result<Local, OpenError>) {
    let copy = temporary();
    copy_files(directory, copy.path());
    let opened = open(copy.path());
    (copy, opened)
}

fn copy_files(from: &Path, to: &Path) {
    for file in files(from) {
        fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn names(directory: &Path) -> Vec<String> {
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    files(directory).iter().map(name).collect()
}

fn key(number: u8) -> SessionKey {
    SessionKey::from_bytes([number; 16])
}

fn login(user: i64) -> Record {
    let span = Span::begin(NOON, &LIFETIME);
    let session = Session::restore(UserId(user), PasswordMark::from_bytes([7; 8]), span);
    let address = "192.0.2.7".parse().unwrap();
    Record::of_login(session, Client { address, device: Device::of("curl/8.5.0") })
}

fn set(key: &str, value: &str) -> [DataChange; 1] {
    [DataChange::Set(key.into(), value.into())]
}

/// All that a map has.
fn content(map: &Map) -> BTreeMap<SessionKey, Record> {
    let mut content = BTreeMap::new();
    map.for_each(|key, record| assert!(content.insert(key, record).is_none()));
    content
}

/// What is read from a directory, without beginning to write there.
fn read(directory: &Path) -> Result<BTreeMap<SessionKey, Record>, OpenError> {
    let folder = Folder::open(directory.to_owned()).unwrap();
    recovery::read(&folder).map(|found| content(&found.map))
}

/// A clock that a test moves by hand.
fn at(seconds: u64) -> impl Fn() -> Duration {
    move || Duration::from_secs(seconds)
}

#[tokio::test]
async fn everything_is_there_again_after_a_kill() {
    let directory = temporary();
    let sessions = open(directory.path()).unwrap();
    sessions.begin(key(1), login(1), None).await.unwrap();
    sessions.begin(key(2), login(2), None).await.unwrap();
    let later = NOON.after(Duration::from_secs(5));
    sessions.change_data(key(2), &set("cart", "[1]"), later, &LIFETIME).await.unwrap();
    sessions.begin(key(3), login(2), Some(key(2))).await.unwrap();
    let (_, noted) = sessions.end(key(1));
    sessions.kept(noted).await.unwrap();
    let (_copy, reopened) = after_a_kill(directory.path());
    let reopened = reopened.unwrap();
    assert_eq!(content(reopened.map()), content(sessions.map()));
    assert_eq!(reopened.map().find(&key(3)).unwrap().data.unwrap().get("cart"), Some("[1]"));
    assert!(reopened.map().find(&key(1)).is_none() && reopened.map().find(&key(2)).is_none());
}

#[tokio::test]
async fn what_expired_meanwhile_is_not_there_again() {
    let directory = temporary();
    let sessions = open(directory.path()).unwrap();
    sessions.begin(key(1), login(1), None).await.unwrap();
    drop(sessions);
    let much_later = NOON.after(LIFETIME.age);
    let local = Local::open(directory.path(), Keeping::default(), much_later, &LIFETIME).unwrap();
    assert_eq!(local.map().len(), 0);
}

#[tokio::test]
async fn requests_and_renewals_are_on_disk_within_a_minute() {
    let directory = temporary();
    let sessions = open(directory.path()).unwrap();
    sessions.begin(key(1), login(1), None).await.unwrap();
    sessions.begin(key(2), login(2), None).await.unwrap();
    let later = NOON.after(Duration::from_secs(30));
    sessions.map().renew(&key(1), later, &LIFETIME);
    sessions.map().see(&key(2), later, |_| true).unwrap().unwrap();
    sessions.tend(later, &at(59));
    let lagging = content(after_a_kill(directory.path()).1.unwrap().map());
    assert_eq!(lagging[&key(1)].span.expires, NOON.after(LIFETIME.age));
    sessions.tend(later, &at(60));
    // Whatever is noted after it is written after it.
    sessions.begin(key(3), login(3), None).await.unwrap();
    let reopened = after_a_kill(directory.path()).1.unwrap();
    assert_eq!(content(reopened.map()), content(sessions.map()));
}

#[tokio::test]
async fn a_snapshot_makes_older_files_superfluous_and_one_stays_to_fall_back_on() {
    let directory = temporary();
    let sessions = open(directory.path()).unwrap();
    for number in 1..=5 {
        sessions.begin(key(number), login(1), None).await.unwrap();
        sessions.tend(NOON, &at(300 * u64::from(number)));
        let reopened = after_a_kill(directory.path()).1.unwrap();
        assert_eq!(content(reopened.map()), content(sessions.map()));
    }
    assert_eq!(
        names(directory.path()),
        ["journal-00000005", "journal-00000006", "snapshot-00000005", "snapshot-00000006"]
    );
    // Where nothing happens nothing is written.
    sessions.tend(NOON, &at(5000));
    assert_eq!(names(directory.path()).len(), 4);
    sessions.close(NOON, &at(6000));
    assert_eq!(content(open(directory.path()).unwrap().map()), content(sessions.map()));
    assert!(sessions.begin(key(9), login(1), None).await.is_err(), "nobody would write it");
}

#[tokio::test]
async fn files_are_for_their_owner_alone_and_hold_no_secret() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = temporary();
    let below = directory.path().join("sessions");
    let sessions = Sessions::open(&Settings::default(), &below, || NOON).await.unwrap();
    let client = Client { address: "::1".parse().unwrap(), device: Device::default() };
    let id = sessions.begin_anonymous(client, NOON, &LIFETIME).await.unwrap();
    sessions.close(NOON, &at(0));
    assert_eq!(below.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    for file in files(&below) {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
        let bytes = fs::read(&file).unwrap();
        assert!(memchr::memmem::find(&bytes, id.reveal().as_bytes()).is_none(), "{file:?}");
    }
}

#[tokio::test]
async fn every_way_to_keep_them_survives_a_kill() {
    for durability in [Durability::Always, Durability::EverySecond, Durability::Process] {
        let directory = temporary();
        let keeping = Keeping { durability, ..Keeping::default() };
        let sessions = Local::open(directory.path(), keeping, NOON, &LIFETIME).unwrap();
        sessions.begin(key(1), login(1), None).await.unwrap();
        let reopened = after_a_kill(directory.path()).1.unwrap();
        assert_eq!(reopened.map().len(), 1, "{durability:?}");
        let syncs = sessions.disk().unwrap().syncs;
        assert_eq!(syncs > 0, durability == Durability::Always, "{durability:?}");
        sessions.tend(NOON, &at(1));
        if durability == Durability::EverySecond {
            // The thread that writes does it when it comes to it.
            while sessions.disk().unwrap().syncs == 0 {
                tokio::task::yield_now().await;
            }
        }
    }
}

#[tokio::test]
async fn many_changes_at_once_share_a_sync() {
    let directory = temporary();
    let sessions = open(directory.path()).unwrap();
    let held = sessions.faults().hold();
    let logins = (0..200).map(|number| sessions.begin(key(number), login(1), None));
    let let_go = async { drop(held) };
    let (outcomes, ()) = tokio::join!(biased; futures_util::future::join_all(logins), let_go);
    assert!(outcomes.iter().all(Result::is_ok));
    // The first, perhaps alone, and all others.
    assert!(sessions.disk().unwrap().syncs <= 2, "{:?}", sessions.disk());
    assert_eq!(after_a_kill(directory.path()).1.unwrap().map().len(), 200);
}

#[tokio::test]
async fn many_starts_leave_few_files() {
    let directory = temporary();
    for number in 1..=20 {
        let sessions = open(directory.path()).unwrap();
        sessions.begin(key(number), login(1), None).await.unwrap();
        sessions.tend(NOON, &at(1));
    }
    assert_eq!(open(directory.path()).unwrap().map().len(), 20);
    assert!(names(directory.path()).len() <= 24, "{:?}", names(directory.path()));
}

#[test]
fn nothing_that_goes_on_during_a_logout_brings_the_session_back() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let directory = temporary();
    let sessions = open(directory.path()).unwrap();
    let keys: Vec<SessionKey> =
        (0..1000_u128).map(|number| SessionKey::from_bytes(number.to_be_bytes())).collect();
    for key in &keys {
        runtime.block_on(sessions.begin(*key, login(1), None)).unwrap();
    }
    let turn = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let (runtime, sessions, keys, turn) = (&runtime, &sessions, &keys, &turn);
        let current = || keys.get(usize::try_from(turn.load(Relaxed)).unwrap()).copied();
        let later = NOON.after(Duration::from_secs(9));
        scope.spawn(move || {
            while let Some(key) = current() {
                sessions.map().renew(&key, later, &LIFETIME);
                sessions.map().see(&key, later, |_| true);
            }
        });
        scope.spawn(move || {
            while let Some(key) = current() {
                let change = set("cart", "[1]");
                let changed = sessions.change_data(key, &change, later, &LIFETIME);
                runtime.block_on(changed).unwrap();
            }
        });
        scope.spawn(move || {
            let mut clock = 0;
            while current().is_some() {
                clock += 60;
                sessions.tend(NOON, &at(clock));
            }
        });
        for (number, key) in keys.iter().enumerate() {
            turn.store(number as u64, Relaxed);
            std::thread::yield_now();
            let (was_there, noted) = sessions.end(*key);
            assert!(was_there);
            runtime.block_on(sessions.kept(noted)).unwrap();
        }
        turn.store(u64::MAX, Relaxed);
    });
    assert_eq!(sessions.map().len(), 0);
    assert_eq!(after_a_kill(directory.path()).1.unwrap().map().len(), 0);
}

#[test]
fn the_format_stays_as_it_is() {
    let written = |change: &Change<'_>| {
        let mut bytes = Vec::new();
        change.write(&mut bytes);
        let (read, rest) = Change::read(&bytes).unwrap();
        assert_eq!((&read, rest), (change, &[][..]));
        bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let mut record = login(-3);
    record.data = Some(std::sync::Arc::new([("a".into(), "1".into())].into_iter().collect()));
    let key = SessionKey::from_bytes(*b"0123456789abcdef");
    let name = "30313233343536373839616263646566";
    let moments = "c0843d a88c3d";
    for (change, expected) in [
        (
            Change::kept(key, &record),
            format!(
                "00 {name} 01 05 0707070707070707 c0843d {moments} 00 c0000207 0a00 01 0161 0131"
            ),
        ),
        (Change::ended(key), format!("01 {name}")),
        (Change::data(key, &record), format!("02 {name} 01 0161 0131 {moments}")),
        (Change::seen(key, record.span), format!("03 {name} {moments}")),
        (Change::Complete { sessions: 300 }, "04 ac02".to_owned()),
    ] {
        assert_eq!(written(&change), expected.replace(' ', ""));
    }
    let header = Header { kind: Kind::Journal, number: 7, before: 300, salt: *b"saltsalt" };
    let bytes = header.to_bytes();
    assert_eq!(Header::read(&bytes, Kind::Journal), Ok(header));
    assert_eq!(&bytes[..12], b"VESTJRNL\x01\0\0\0");
    assert_eq!(bytes[16..], *b"\x07\0\0\0\0\0\0\0\x2c\x01\0\0\0\0\0\0saltsalt");
    let mut frame = Vec::new();
    frame::open(&mut frame);
    frame.extend_from_slice(b"payload");
    frame::seal(&mut frame, *b"saltsalt", 2, 40);
    assert_eq!(frame[..8], *b"\xF6VF\x0A\x07\0\0\0");
    assert_eq!(frame[12..], *b"\x02\0\0\0\0\0\0\0\x28\0\0\0\0\0\0\0payload");
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(b"saltsalt\x07\0\0\0\x02\0\0\0\0\0\0\0\x28\0\0\0\0\0\0\0payload");
    assert_eq!(frame[8..12], hasher.finalize().to_le_bytes());
}
