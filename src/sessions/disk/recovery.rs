//! Reading it again: the last snapshot, and the journal from there on.

use std::fs::OpenOptions;
use std::io;
use std::path::PathBuf;

use super::super::map::Map;
use super::change::Change;
use super::folder::{Damage, Folder};
use super::frame::{self, FRAME, Flaw, HEADER, Header, Kind};
use super::load::read_snapshot;

const HINT: &str =
    "hint: `vestibule session recover` saves what can be read, and says what is lost";

/// Why the sessions on disk cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file is damaged, and not merely at its end.
    #[error("{0}\n{HINT}")]
    Damaged(#[from] Damage),
    /// A file was written by a later version, which knows more than this one.
    #[error(
        "`{}` has version {version} of the format, which this program does not know\n\
         hint: run the version of Vestibule that wrote it, or a later one", path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version of its format.
        version: u32,
    },
    /// A file is not there that has to be.
    #[error("`{}` is missing\n{HINT}", .0.display())]
    Missing(PathBuf),
    /// The directory or something in it cannot be read or written.
    #[error("cannot use `{}`: {cause}", path.display())]
    Io {
        /// The directory or file.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
}

impl OpenError {
    /// The header of a file cannot be read.
    pub(super) fn of_header(folder: &Folder, kind: Kind, number: u64, flaw: Flaw) -> Self {
        if let Flaw::Version(version) = flaw {
            return Self::Newer { path: folder.path_of(kind, number), version };
        }
        folder.damage(kind, number, 0, flaw).into()
    }
}

/// What was found.
pub(super) struct Found {
    pub(super) map: Map,
    /// The number that the next segment gets, and how many bytes of the one before it are good.
    pub(super) number: u64,
    pub(super) synced: u64,
    /// How much of it was journal.
    pub(super) bytes: u64,
    pub(super) segments: u64,
    pub(super) snapshot_bytes: u64,
}

/// Reads the last snapshot and the journal from there on. A torn tail is cut off.
pub(super) fn read(folder: &Folder) -> Result<Found, OpenError> {
    let cannot = |cause| OpenError::Io { path: folder.path().to_owned(), cause };
    folder.remove_unfinished().map_err(cannot)?;
    let snapshot = folder.numbers(Kind::Snapshot).map_err(cannot)?.last().copied();
    let first = snapshot.unwrap_or(1);
    let numbers = folder.numbers(Kind::Journal).map_err(cannot)?;
    let numbers: Vec<u64> = numbers.into_iter().filter(|&number| number >= first).collect();
    let expected = first..first + numbers.len().max(usize::from(snapshot.is_some())) as u64;
    if let Some(missing) = expected
        .zip(numbers.iter().map(Some).chain([None]))
        .find_map(|(expected, found)| (found != Some(&expected)).then_some(expected))
    {
        return Err(OpenError::Missing(folder.path_of(Kind::Journal, missing)));
    }
    let (map, snapshot_bytes) = match snapshot {
        Some(number) => read_snapshot(folder, number)?,
        None => (Map::default(), 0),
    };
    let mut found = Found { map, number: first, synced: 0, bytes: 0, segments: 0, snapshot_bytes };
    let mut next = numbers.first().map(|&number| Segment::open(folder, number)).transpose()?;
    for number in numbers.iter().skip(1).map(Some).chain([None]) {
        let Some(segment) = next else { break };
        next = number.map(|&number| Segment::open(folder, number)).transpose()?;
        let later = next.as_ref().map(|next| next.header.before);
        let end = segment.replay(folder, &found.map, later)?;
        found.number = segment.header.number + 1;
        found.synced = end;
        found.bytes += end - HEADER as u64;
        found.segments += 1;
    }
    Ok(found)
}

/// A segment of the journal, all of it in memory: a snapshot is written before one becomes large.
struct Segment {
    header: Header,
    bytes: Vec<u8>,
}

impl Segment {
    fn open(folder: &Folder, number: u64) -> Result<Self, OpenError> {
        let path = folder.path_of(Kind::Journal, number);
        let bytes = std::fs::read(&path).map_err(|cause| OpenError::Io { path, cause })?;
        let header = Header::read(&bytes, Kind::Journal)
            .and_then(|header| if header.number == number { Ok(header) } else { Err(Flaw::Header) })
            .map_err(|flaw| OpenError::of_header(folder, Kind::Journal, number, flaw))?;
        Ok(Self { header, bytes })
    }

    /// Does again what was done, and gives the length of what is good. `later` is what the next
    /// segment says that this one has for certain.
    fn replay(&self, folder: &Folder, map: &Map, later: Option<u64>) -> Result<u64, OpenError> {
        let number = self.header.number;
        let mut offset = HEADER;
        let mut place = 0;
        while offset < self.bytes.len() {
            let frame = frame::first(&self.bytes[offset..], self.header.salt);
            match frame {
                Ok(frame) if frame.place == place => {
                    replay(frame.payload, map).map_err(|flaw| {
                        folder.damage(Kind::Journal, number, offset as u64, flaw)
                    })?;
                    offset += FRAME + frame.payload.len();
                    place += 1;
                }
                outcome => {
                    let flaw = outcome.err().unwrap_or(Flaw::Place);
                    if self.is_known_to_be_kept(offset, later) {
                        return Err(folder
                            .damage(Kind::Journal, number, offset as u64, flaw)
                            .into());
                    }
                    self.cut(folder, offset, later.is_none())?;
                    return Ok(offset as u64);
                }
            }
        }
        if later.is_some_and(|later| (offset as u64) < later) {
            let damage = folder.damage(Kind::Journal, number, offset as u64, Flaw::ShortFrame);
            return Err(damage.into());
        }
        Ok(offset as u64)
    }

    /// Whether anything was written later, knowing that the frame at `offset` was on the disk.
    fn is_known_to_be_kept(&self, offset: usize, later: Option<u64>) -> bool {
        let offset_of = offset as u64;
        if later.is_some_and(|later| offset_of < later) {
            return true;
        }
        let mut at = offset + 1;
        while let Some((found, frame)) = frame::next_whole(&self.bytes, at, self.header.salt) {
            if frame.synced > offset_of {
                return true;
            }
            at = found + 1;
        }
        false
    }

    /// Cuts the torn tail off the last segment; in one before it there is nothing to add after it.
    fn cut(&self, folder: &Folder, offset: usize, is_last: bool) -> Result<(), OpenError> {
        if !is_last {
            return Ok(());
        }
        let path = folder.path_of(Kind::Journal, self.header.number);
        let cut = OpenOptions::new().write(true).open(&path).and_then(|file| {
            file.set_len(offset as u64)?;
            file.sync_all()
        });
        let bytes = self.bytes.len() - offset;
        tracing::warn!(
            file = %path.display(), offset, bytes,
            "the end of the journal was cut off: its last write was not finished, and nothing of it had been acknowledged"
        );
        cut.map_err(|cause| OpenError::Io { path, cause })
    }
}

/// Does to the map what a frame says was done.
fn replay(payload: &[u8], map: &Map) -> Result<(), Flaw> {
    let mut rest = payload;
    while !rest.is_empty() {
        let (change, after) = Change::read(rest).map_err(|_| Flaw::Content)?;
        rest = after;
        let key = change.key().ok_or(Flaw::Content)?;
        map.alter(key, |place| change.apply(place));
    }
    Ok(())
}
