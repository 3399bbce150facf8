//! The thread that writes the journal: one write and one sync for all that came in meanwhile.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::SyncSender;

use super::super::settings::Durability;
use super::folder::Folder;
use super::frame::{self, HEADER, Header, Kind};
use super::journal::{Order, Shared};

/// The only one who writes the journal.
pub(super) struct Writer {
    folder: Arc<Folder>,
    durability: Durability,
    shared: Arc<Shared>,
    /// None after a failure: what a failed write or sync has left in a file is unknown, and a
    /// second sync would say that all is well (PostgreSQL's fsync surprise of 2018).
    segment: Option<Segment>,
    /// The last segment that was begun, and how much of it is synced.
    last: (u64, u64),
    /// The one before it.
    before: (u64, u64),
}

/// The segment that is written.
struct Segment {
    file: File,
    number: u64,
    salt: [u8; 8],
    frames: u64,
    length: u64,
    synced: u64,
}

impl Writer {
    /// Begins the segment with this number, after one of which so many bytes are synced.
    pub(super) fn begin(
        folder: Arc<Folder>,
        durability: Durability,
        shared: Arc<Shared>,
        number: u64,
        synced: u64,
    ) -> io::Result<Self> {
        let segment = Segment::begin(&folder, number, synced)?;
        let last = (segment.number, segment.synced);
        let before = (number - 1, synced);
        Ok(Self { folder, durability, shared, segment: Some(segment), last, before })
    }

    /// Writes until it is told to close.
    pub(super) fn run(mut self) {
        let mut frame = Vec::new();
        loop {
            let work = self.shared.wait(&mut frame);
            if work.has_changes && self.segment.is_some() {
                let written = self.write(&mut frame);
                if self.is_fine(written) {
                    self.shared.tell_kept(work.noted);
                }
            }
            match work.order {
                None => {}
                Some(Order::Sync) => {
                    let synced = self.sync();
                    self.is_fine(synced);
                }
                Some(Order::Rotate(answer)) => tell(&answer, self.rotate()),
                Some(Order::Reopen(answer)) => tell(&answer, self.reopen()),
                Some(Order::Abandon(answer)) => tell(&answer, self.abandon()),
                Some(Order::Close) => {
                    let synced = self.sync();
                    self.is_fine(synced);
                    break;
                }
            }
        }
    }

    fn write(&mut self, frame: &mut [u8]) -> io::Result<()> {
        let Some(segment) = &mut self.segment else { return Ok(()) };
        frame::seal(frame, segment.salt, segment.frames, segment.synced);
        self.folder.write(&mut segment.file, frame)?;
        segment.frames += 1;
        segment.length += frame.len() as u64;
        self.shared.bytes.fetch_add(frame.len() as u64, Relaxed);
        match self.durability {
            Durability::Always => self.sync(),
            Durability::EverySecond | Durability::Process => Ok(()),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        let Some(segment) = &mut self.segment else { return Ok(()) };
        if segment.synced < segment.length {
            self.folder.sync_file(&segment.file)?;
            self.shared.syncs.fetch_add(1, Relaxed);
            segment.synced = segment.length;
            self.last = (segment.number, segment.synced);
        }
        Ok(())
    }

    /// Begins the next segment. When there is no room for one, the present one goes on.
    fn rotate(&mut self) -> io::Result<u64> {
        let synced = self.sync();
        if !self.is_fine(synced) || self.segment.is_none() {
            return Err(io::Error::other("the journal cannot be written"));
        }
        self.begin_next()
    }

    fn reopen(&mut self) -> io::Result<u64> {
        let number = self.begin_next()?;
        self.shared.mending();
        Ok(number)
    }

    fn begin_next(&mut self) -> io::Result<u64> {
        let (last, synced) = self.last;
        let segment = Segment::begin(&self.folder, last + 1, synced)?;
        let number = segment.number;
        (self.before, self.last) = (self.last, (number, segment.synced));
        self.segment = Some(segment);
        Ok(number)
    }

    /// Removes the segment that [`Writer::reopen`] began, and that no snapshot belongs to: what came
    /// between it and the failure is nowhere.
    fn abandon(&mut self) -> io::Result<u64> {
        self.shared.abandoned();
        self.segment = None;
        let number = self.last.0;
        if !self.folder.path_of(Kind::Snapshot, number).try_exists()? {
            // One that cannot be removed is replaced by the next attempt. Nothing that was
            // acknowledged is in it.
            self.last = self.before;
            self.folder.remove(Kind::Journal, number)?;
        }
        Ok(number)
    }

    /// Whether it went well; else everybody is told, and the file is never touched again.
    fn is_fine(&mut self, outcome: io::Result<()>) -> bool {
        if let Err(cause) = &outcome {
            self.segment = None;
            self.shared.fail(cause);
        }
        outcome.is_ok()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.closed();
    }
}

fn tell(answer: &SyncSender<io::Result<u64>>, outcome: io::Result<u64>) {
    // Whoever asked waits for it, unless that thread has panicked.
    let _unheard = answer.send(outcome);
}

impl Segment {
    fn begin(folder: &Folder, number: u64, synced: u64) -> io::Result<Self> {
        let salt = random_salt()?;
        let header = Header { kind: Kind::Journal, number, before: synced, salt };
        let file = folder.create(header)?.finish()?;
        let length = HEADER as u64;
        Ok(Self { file, number, salt, frames: 0, length, synced: length })
    }
}

/// What makes the checksums of a file its own.
pub(super) fn random_salt() -> io::Result<[u8; 8]> {
    let mut salt = [0; 8];
    getrandom::fill(&mut salt).map_err(io::Error::other)?;
    Ok(salt)
}
