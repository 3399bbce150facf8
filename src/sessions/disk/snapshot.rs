//! A snapshot: every session, written while they are in use.

use std::io;

use super::super::map::Map;
use super::change::Change;
use super::folder::{Folder, Writing};
use super::frame::{self, Header, Kind};
use super::writer::random_salt;

/// About how long a frame becomes: small enough to be read by several threads at once.
const FRAME_SIZE: usize = 256 * 1024;

/// After how many bytes the disk is made to begin. Left to the end, the one long sync would keep
/// the journal's short ones waiting.
const SYNC_SIZE: usize = 4 * 1024 * 1024;

/// How many snapshots stay: the last, and one before it to fall back on.
const KEPT: usize = 2;

/// The niceness of the thread that writes: a tenth of a busy core's time, and all of an idle one's.
const NICENESS: i32 = 10;

/// What a snapshot came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) sessions: u64,
    pub(super) bytes: u64,
}

/// Writes all sessions into the snapshot with this number, and removes what it makes superfluous.
/// The journal's segment with this number must have begun.
///
/// It is done on a thread of its own that lets requests go first. Nobody but a login into the shard
/// that is being copied waits for it.
pub(super) fn write(folder: &Folder, map: &Map, number: u64) -> io::Result<Written> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("snapshot".to_owned());
        let writing = thread.spawn_scoped(scope, || {
            let thread = rustix::thread::gettid();
            if let Err(error) = rustix::process::setpriority_process(Some(thread), NICENESS) {
                tracing::debug!(%error, "the priority of the snapshot's thread stays as it is");
            }
            write_here(folder, map, number)
        })?;
        writing.join().unwrap_or_else(|_| Err(io::Error::other("the snapshot's thread panicked")))
    })
}

fn write_here(folder: &Folder, map: &Map, number: u64) -> io::Result<Written> {
    let mut sheet = Sheet::begin(folder, number, map.len())?;
    let mut records = Vec::new();
    for shard in map.shards() {
        // Logins into the shard are held up for as long as this takes, and no longer.
        map.copy(shard, &mut records);
        for (key, record) in records.drain(..) {
            sheet.keep(&Change::kept(key, &record))?;
        }
    }
    let written = sheet.finish()?;
    tidy(folder)?;
    Ok(written)
}

/// A snapshot that is being written.
pub(super) struct Sheet<'f> {
    file: Writing<'f>,
    salt: [u8; 8],
    frame: Vec<u8>,
    frames: u64,
    sessions: u64,
    bytes: u64,
    unsynced: usize,
}

impl<'f> Sheet<'f> {
    pub(super) fn begin(folder: &'f Folder, number: u64, sessions: usize) -> io::Result<Self> {
        let salt = random_salt()?;
        let header = Header { kind: Kind::Snapshot, number, before: sessions as u64, salt };
        let file = folder.create(header)?;
        let mut frame = Vec::with_capacity(FRAME_SIZE + 64 * 1024);
        frame::open(&mut frame);
        let bytes = frame::HEADER as u64;
        Ok(Self { file, salt, frame, frames: 0, sessions: 0, bytes, unsynced: 0 })
    }

    pub(super) fn keep(&mut self, session: &Change<'_>) -> io::Result<()> {
        session.write(&mut self.frame);
        self.sessions += 1;
        if self.frame.len() >= FRAME_SIZE { self.end_frame() } else { Ok(()) }
    }

    pub(super) fn finish(mut self) -> io::Result<Written> {
        if self.frame.len() > frame::FRAME {
            self.end_frame()?;
        }
        Change::Complete { sessions: self.sessions }.write(&mut self.frame);
        self.end_frame()?;
        self.file.finish()?;
        Ok(Written { sessions: self.sessions, bytes: self.bytes })
    }

    fn end_frame(&mut self) -> io::Result<()> {
        frame::seal(&mut self.frame, self.salt, self.frames, 0);
        self.file.write(&self.frame)?;
        self.frames += 1;
        self.bytes += self.frame.len() as u64;
        self.unsynced += self.frame.len();
        if self.unsynced >= SYNC_SIZE {
            self.file.sync()?;
            self.unsynced = 0;
        }
        frame::open(&mut self.frame);
        Ok(())
    }
}

/// Removes snapshots that are older than the ones to keep, and segments that are older than those.
fn tidy(folder: &Folder) -> io::Result<()> {
    let snapshots = folder.numbers(Kind::Snapshot)?;
    let Some(&oldest) = snapshots.iter().nth_back(KEPT - 1) else { return Ok(()) };
    for (kind, numbers) in
        [(Kind::Snapshot, snapshots), (Kind::Journal, folder.numbers(Kind::Journal)?)]
    {
        for number in numbers.into_iter().filter(|&number| number < oldest) {
            folder.remove(kind, number)?;
        }
    }
    folder.sync()
}
