//! Sessions on disk: what a process needs to go on where the last one ended, however that ended.
//!
//! Here belong the files below `sessions/` in the state directory, their format, the thread that
//! writes them, and reading them again. What a session is, and what may happen to it, does not.
//!
//! # Files
//!
//! | name | holds |
//! |---|---|
//! | `journal-NNNNNNNN` | what happened since the segment before it, in order |
//! | `snapshot-NNNNNNNN` | every session as it was when, or after, the journal segment of the same number was begun |
//! | `*.new` | a file that is being written; it has its name only once it is complete and synced |
//! | `*.damaged` | what `vestibule session recover` set aside |
//!
//! A snapshot and all segments from its number on restore everything. The snapshot before the last
//! is kept with its segments as well. Files have mode 0600; of a session's id they hold the digest.
//!
//! # Format, version 1
//!
//! Every file is a header and frames; numbers are little-endian.
//!
//! | header, 40 bytes | |
//! |---|---|
//! | 8 | `VESTJRNL` or `VESTSNAP` |
//! | 4 | the version of the format |
//! | 4 | CRC-32 of the other 36 bytes of the header |
//! | 8 | the number of the file |
//! | 8 | journal: how many bytes of the segment before it are synced for certain; snapshot: about how many sessions |
//! | 8 | salt: random, and part of the checksum of every frame, so that no frame of another file, and none that a visitor made up, is taken for one of this file |
//!
//! | frame, 28 bytes and the payload | |
//! |---|---|
//! | 4 | `F6 56 46 0A` |
//! | 4 | the length of the payload |
//! | 4 | CRC-32 of the salt, the other fields and the payload |
//! | 8 | the frame's place in its file: 0, 1, 2, … |
//! | 8 | journal: how many bytes of this file were synced when the frame was written; snapshot: 0 |
//! | … | the payload: changes, one after the other |
//!
//! A change is written in [postcard](https://postcard.jamesmunns.com/wire-format)'s wire format: its number, and
//! then its fields. Numbers are varints, lists begin with their length, a key is the 16 bytes of the
//! session's, and moments are seconds since 1970.
//!
//! | change | says | fields |
//! |---|---|---|
//! | 0 | a session is there | key; whether there was a login and, if so, the user's number and the 8 bytes of the password's mark; started, last seen, expires; address (0 and 4 bytes, or 1 and 16); 2 bytes of device; data as pairs of texts |
//! | 1 | a session ended | key |
//! | 2 | a session has other data | key; data; last seen, expires |
//! | 3 | a session was seen or renewed | key; last seen, expires |
//! | 4 | the end of a snapshot | how many sessions it has |
//!
//! The last frame of a snapshot has change 4 alone. Whatever is added or changed needs another version
//! of the format, for a program that does not know it has to refuse it.
//!
//! # Torn or damaged
//!
//! A frame that cannot be read is a *torn tail* when nothing after it was written knowing that it
//! was synced: no later frame of the file and no header of the next segment says so. Nobody was told
//! that what it held would survive a power failure, so it is cut off. Otherwise it is *damage*, which only
//! `vestibule session recover` passes over.

mod change;
mod folder;
mod frame;
mod journal;
mod keeper;
mod load;
mod recovery;
mod salvage;
mod snapshot;
mod writer;

#[cfg(test)]
mod tests;

pub use folder::Damage;
pub use keeper::State;
pub use recovery::OpenError;
pub use salvage::{Salvaged, salvage, start_anew};

pub(super) use change::Change;
pub(super) use journal::{Noted, Ticket};
pub(super) use keeper::Keeper;
#[cfg(test)]
pub(super) use tests::Faults;
