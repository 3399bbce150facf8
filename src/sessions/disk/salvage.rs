//! `vestibule session recover`: what of damaged files can be read becomes a new snapshot.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::super::map::Map;
use super::change::Change;
use super::folder::{Damage, Folder};
use super::frame::{self, FRAME, Flaw, HEADER, Header, Kind};
use super::recovery::{self, OpenError};
use super::snapshot::Sheet;
use super::writer::random_salt;
use crate::domain::Timestamp;
use crate::domain::session::Lifetime;

/// What was saved, and what was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Salvaged {
    /// How many live sessions there are now.
    pub sessions: u64,
    /// What is damaged or missing; where nothing is, nothing was changed.
    pub damages: Vec<Damage>,
    /// How many bytes could not be read.
    pub lost_bytes: u64,
    /// Whether nothing is lost all the same: the snapshot before the damaged one, and the journal
    /// since, have everything.
    pub is_whole: bool,
    /// Where the damaged files are now.
    pub set_aside: Vec<PathBuf>,
}

/// Saves what can be read below `directory`. The state directory must be locked.
///
/// With a part of the journal that cannot be read everything is lost that happened in it: logins,
/// but logouts too, so that a session which ended there is alive again.
pub fn salvage(
    directory: &Path,
    now: Timestamp,
    lifetime: &Lifetime,
) -> Result<Salvaged, OpenError> {
    let cannot = |cause| OpenError::Io { path: directory.to_owned(), cause };
    let folder = Folder::open(directory.to_owned()).map_err(cannot)?;
    let problem = match recovery::read(&folder) {
        Ok(found) => {
            found.map.retain(|span| span.is_live(now, lifetime));
            return Ok(Salvaged {
                sessions: found.map.len() as u64,
                damages: Vec::new(),
                lost_bytes: 0,
                is_whole: true,
                set_aside: Vec::new(),
            });
        }
        Err(problem @ (OpenError::Io { .. } | OpenError::Newer { .. })) => return Err(problem),
        Err(OpenError::Damaged(damage)) => damage,
        Err(OpenError::Missing(path)) => {
            Damage { path, offset: 0, what: "it is missing".to_owned() }
        }
    };
    let mut wreck = Wreck::read(&folder).map_err(cannot)?;
    wreck.map.retain(|span| span.is_live(now, lifetime));
    if wreck.damages.is_empty() {
        wreck.damages.push(problem);
    }
    wreck.rescue(&folder).map_err(cannot)
}

/// Sets every file below `directory` aside, so that the next start begins without any session.
pub fn start_anew(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let folder = Folder::open(directory.to_owned())?;
    folder.remove_unfinished()?;
    let mut set_aside = Vec::new();
    for kind in [Kind::Snapshot, Kind::Journal] {
        for number in folder.numbers(kind)? {
            set_aside.push(folder.set_aside(kind, number)?);
        }
    }
    folder.sync()?;
    Ok(set_aside)
}

/// What can be read of damaged files.
struct Wreck {
    map: Map,
    damages: Vec<Damage>,
    damaged: BTreeSet<(Kind, u64)>,
    lost_bytes: u64,
    /// Whether every change since some whole snapshot was read.
    is_whole: bool,
    /// The highest number that is taken.
    last: u64,
}

impl Wreck {
    /// Reads from the last snapshot on that is whole, passing over what cannot be read. A later
    /// snapshot, which is damaged, is laid over what was there when it was begun: that brings back
    /// what a lost part of the journal began, and the journal after it still ends what ended.
    fn read(folder: &Folder) -> io::Result<Self> {
        let snapshots = folder.numbers(Kind::Snapshot)?;
        let journals = folder.numbers(Kind::Journal)?;
        let mut wreck = Self {
            map: Map::default(),
            damages: Vec::new(),
            damaged: BTreeSet::new(),
            lost_bytes: 0,
            is_whole: true,
            last: snapshots.last().max(journals.last()).copied().unwrap_or(0),
        };
        let mut first = None;
        for &number in snapshots.iter().rev() {
            let damages = wreck.damages.len();
            let probe = Map::default();
            wreck.read_file(folder, Kind::Snapshot, number, &probe, None)?;
            if wreck.damages.len() == damages {
                wreck.map = probe;
                first = Some(number);
                break;
            }
        }
        wreck.is_whole = first.is_some() || journals.first() == Some(&1);
        let first = first.or(journals.first().copied()).unwrap_or(1);
        for number in first..=wreck.last {
            let map = std::mem::take(&mut wreck.map);
            if number > first && snapshots.contains(&number) {
                // Its damage was counted above.
                let counted = (wreck.damages.len(), wreck.lost_bytes);
                wreck.read_file(folder, Kind::Snapshot, number, &map, None)?;
                wreck.damages.truncate(counted.0);
                wreck.lost_bytes = counted.1;
            }
            if journals.contains(&number) {
                let later = before(folder, number + 1)?;
                let damages = wreck.damages.len();
                wreck.read_file(folder, Kind::Journal, number, &map, later)?;
                wreck.is_whole &= wreck.damages.len() == damages;
            } else {
                let path = folder.path_of(Kind::Journal, number);
                wreck.damages.push(Damage { path, offset: 0, what: "it is missing".to_owned() });
                wreck.is_whole = false;
            }
            wreck.map = map;
        }
        Ok(wreck)
    }

    /// Does what the readable frames of a file say. `later` is what the next segment of the journal
    /// knows to be on the disk of this one.
    fn read_file(
        &mut self,
        folder: &Folder,
        kind: Kind,
        number: u64,
        map: &Map,
        later: Option<u64>,
    ) -> io::Result<()> {
        let bytes = std::fs::read(folder.path_of(kind, number))?;
        let header = Header::read(&bytes, kind);
        if let Err(flaw) = header {
            if let Flaw::Version(_) = flaw {
                return Err(io::Error::other(folder.damage(kind, number, 0, flaw)));
            }
            self.add(folder, kind, number, 0, flaw);
        }
        // The checksums of the frames tell whether the salt is right, whatever else is wrong.
        let Some(salt) = bytes.get(HEADER - 8..HEADER).and_then(|salt| salt.try_into().ok()) else {
            self.lost_bytes += bytes.len() as u64;
            return Ok(());
        };
        let (mut offset, mut place, mut complete) = (HEADER, 0, false);
        while offset < bytes.len() {
            let found = frame::next_whole(&bytes, offset, salt);
            let (at, frame) = match found {
                Some((at, frame)) => (at, Some(frame)),
                None => (bytes.len(), None),
            };
            let is_torn_tail = kind == Kind::Journal
                && frame.is_none()
                && later.is_none_or(|later| later <= offset as u64);
            let is_next = frame.is_none_or(|frame| frame.place == place);
            if (at > offset || !is_next) && !is_torn_tail {
                self.add(folder, kind, number, offset as u64, Flaw::Checksum);
                self.lost_bytes += (at - offset) as u64;
            }
            let Some(frame) = frame else { break };
            match replay(frame.payload, map) {
                Ok(is_end) => complete |= is_end,
                Err(flaw) => self.add(folder, kind, number, at as u64, flaw),
            }
            (offset, place) = (at + FRAME + frame.payload.len(), frame.place + 1);
        }
        let end = bytes.len() as u64;
        if kind == Kind::Snapshot && !complete {
            self.add(folder, kind, number, end, Flaw::Incomplete);
        } else if later.is_some_and(|later| end < later) {
            self.add(folder, kind, number, end, Flaw::ShortFrame);
        }
        Ok(())
    }

    fn add(&mut self, folder: &Folder, kind: Kind, number: u64, offset: u64, flaw: Flaw) {
        self.damages.push(folder.damage(kind, number, offset, flaw));
        self.damaged.insert((kind, number));
    }

    /// Writes what was saved, and only then sets the damaged files aside.
    fn rescue(self, folder: &Folder) -> io::Result<Salvaged> {
        let number = self.last + 1;
        let header = Header { kind: Kind::Journal, number, before: 0, salt: random_salt()? };
        folder.create(header)?.finish()?;
        let mut sheet = Sheet::begin(folder, number, self.map.len())?;
        let mut outcome = Ok(());
        self.map.for_each(|key, record| {
            if outcome.is_ok() {
                outcome = sheet.keep(&Change::kept(key, &record));
            }
        });
        outcome?;
        let written = sheet.finish()?;
        let aside = self.damaged.iter().map(|&(kind, number)| folder.set_aside(kind, number));
        let set_aside = aside.collect::<io::Result<Vec<_>>>()?;
        folder.sync()?;
        Ok(Salvaged {
            sessions: written.sessions,
            damages: self.damages,
            lost_bytes: self.lost_bytes,
            is_whole: self.is_whole,
            set_aside,
        })
    }
}

/// How many bytes of the segment before it a segment knows to be on the disk.
fn before(folder: &Folder, number: u64) -> io::Result<Option<u64>> {
    match std::fs::read(folder.path_of(Kind::Journal, number)) {
        Ok(bytes) => Ok(Header::read(&bytes, Kind::Journal).ok().map(|header| header.before)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Does what a frame says, and tells whether it is the end of a snapshot.
fn replay(payload: &[u8], map: &Map) -> Result<bool, Flaw> {
    let (mut rest, mut is_end) = (payload, false);
    while !rest.is_empty() {
        let (change, after) = Change::read(rest).map_err(|_| Flaw::Content)?;
        rest = after;
        match change.key() {
            Some(key) => map.alter(key, |place| change.apply(place)),
            None => is_end = true,
        }
    }
    Ok(is_end)
}
