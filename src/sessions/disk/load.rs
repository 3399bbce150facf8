//! Reading a snapshot: one thread reads, and all cores decode.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, PoisonError};

use super::super::map::Map;
use super::change::Change;
use super::folder::Folder;
use super::frame::{self, FRAME, Flaw, HEADER, Header, Kind};
use super::recovery::OpenError;

/// The fewest bytes that a session takes in a snapshot; a header that speaks of more sessions than
/// that is not believed.
const LEAST_SESSION: u64 = 32;

/// How many frames may wait to be decoded.
const FRAMES_AHEAD: usize = 8;

/// Reads a snapshot on all cores; gives its length too.
pub(super) fn read_snapshot(folder: &Folder, number: u64) -> Result<(Map, u64), OpenError> {
    let path = folder.path_of(Kind::Snapshot, number);
    let damage = |offset: u64, flaw| folder.damage(Kind::Snapshot, number, offset, flaw);
    let cannot = |cause| OpenError::Io { path: path.clone(), cause };
    let file = File::open(&path).map_err(cannot)?;
    let length = file.metadata().map_err(cannot)?.len();
    let mut file = BufReader::with_capacity(FRAME, file);
    let mut head = [0; HEADER];
    let read = read_up_to(&mut file, &mut head).map_err(cannot)?;
    let header = Header::read(&head[..read], Kind::Snapshot)
        .and_then(|header| if header.number == number { Ok(header) } else { Err(Flaw::Header) })
        .map_err(|flaw| OpenError::of_header(folder, Kind::Snapshot, number, flaw))?;
    let sessions = usize::try_from(header.before.min(length / LEAST_SESSION)).unwrap_or(0);
    let map = Map::with_capacity(sessions);

    let (sender, frames) = sync_channel(FRAMES_AHEAD);
    let frames = Mutex::new(frames);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(4);
    let outcome = std::thread::scope(|scope| {
        let decoders: Vec<_> =
            (0..threads).map(|_| scope.spawn(|| decode(&frames, &map, header.salt))).collect();
        let mut offset = HEADER as u64;
        let mut outcome = Ok(());
        for place in 0.. {
            match Piece::read(&mut file, place, offset, length) {
                Ok(Some(piece)) => {
                    offset += piece.length();
                    if sender.send(piece).is_err() {
                        break;
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        drop(sender);
        let mut total = Decoded::default();
        for decoder in decoders {
            // One that panicked has decoded nothing that could be trusted.
            let decoded = decoder.join().unwrap_or_else(|_| Decoded::flawed(0, Flaw::Content));
            total.add(decoded);
        }
        outcome.map(|()| (total, offset))
    });
    let (decoded, offset) = match outcome {
        Ok(outcome) => outcome,
        Err(Unreadable::Io(cause)) => return Err(cannot(cause)),
        Err(Unreadable::Flaw(offset, flaw)) => return Err(damage(offset, flaw).into()),
    };
    decoded.judge(offset).map_err(|(offset, flaw)| damage(offset, flaw))?;
    Ok((map, length))
}

/// A frame as it was read, not checked yet.
struct Piece {
    offset: u64,
    place: u64,
    head: [u8; FRAME],
    payload: Vec<u8>,
}

enum Unreadable {
    Io(io::Error),
    Flaw(u64, Flaw),
}

impl Piece {
    fn read(
        file: &mut impl Read,
        place: u64,
        offset: u64,
        length: u64,
    ) -> Result<Option<Self>, Unreadable> {
        let mut head = [0; FRAME];
        match read_up_to(file, &mut head).map_err(Unreadable::Io)? {
            0 => return Ok(None),
            FRAME => {}
            _ => return Err(Unreadable::Flaw(offset, Flaw::ShortFrame)),
        }
        let flawed = |flaw| Unreadable::Flaw(offset, flaw);
        let payload_length = frame::payload_length(&head).map_err(flawed)?;
        if offset + (FRAME + payload_length) as u64 > length {
            return Err(flawed(Flaw::ShortFrame));
        }
        let mut payload = vec![0; payload_length];
        if read_up_to(file, &mut payload).map_err(Unreadable::Io)? != payload_length {
            return Err(flawed(Flaw::ShortFrame));
        }
        Ok(Some(Self { offset, place, head, payload }))
    }

    fn length(&self) -> u64 {
        (FRAME + self.payload.len()) as u64
    }
}

/// What came out of some frames of a snapshot.
#[derive(Default)]
struct Decoded {
    sessions: u64,
    /// What the last frame states, and where that one ends.
    complete: Option<(u64, u64)>,
    flaw: Option<(u64, Flaw)>,
}

impl Decoded {
    fn flawed(offset: u64, flaw: Flaw) -> Self {
        Self { flaw: Some((offset, flaw)), ..Self::default() }
    }

    fn add(&mut self, other: Self) {
        self.sessions += other.sessions;
        self.complete = self.complete.max(other.complete);
        self.flaw = match (self.flaw, other.flaw) {
            (Some(ours), Some(theirs)) => Some(if ours.0 <= theirs.0 { ours } else { theirs }),
            (ours, theirs) => ours.or(theirs),
        };
    }

    /// Whether that is all of a snapshot whose frames end at `end`.
    fn judge(&self, end: u64) -> Result<(), (u64, Flaw)> {
        match (self.flaw, self.complete) {
            (Some(flaw), _) => Err(flaw),
            (None, None) => Err((end, Flaw::Incomplete)),
            (None, Some((_, complete))) if complete != end => Err((complete, Flaw::Trailing)),
            (None, Some((stated, _))) if stated != self.sessions => {
                Err((end, Flaw::Count { found: self.sessions, stated }))
            }
            (None, Some(_)) => Ok(()),
        }
    }
}

/// Puts the sessions of the frames that come into the map.
fn decode(frames: &Mutex<Receiver<Piece>>, map: &Map, salt: [u8; 8]) -> Decoded {
    let mut decoded = Decoded::default();
    let next = || frames.lock().unwrap_or_else(PoisonError::into_inner).recv();
    while let Ok(piece) = next() {
        let outcome = frame::check(&piece.head, &piece.payload, salt).and_then(|frame| {
            if frame.place == piece.place { Ok(frame) } else { Err(Flaw::Place) }
        });
        let outcome = outcome.and_then(|frame| {
            let mut rest = frame.payload;
            while !rest.is_empty() {
                let (change, after) = Change::read(rest).map_err(|_| Flaw::Content)?;
                rest = after;
                match (change.key(), &change) {
                    (Some(key), Change::Kept { .. }) => {
                        map.alter(key, |place| change.apply(place));
                        decoded.sessions += 1;
                    }
                    (None, Change::Complete { sessions }) => {
                        decoded.complete = Some((*sessions, piece.offset + piece.length()));
                    }
                    (Some(_), _) | (None, _) => return Err(Flaw::Content),
                }
            }
            Ok(())
        });
        if let Err(flaw) = outcome {
            decoded.add(Decoded::flawed(piece.offset, flaw));
        }
    }
    decoded
}

/// Fills `buffer` as far as the file goes.
fn read_up_to(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
