//! The queue on disk: one file for each letter, which nobody but its owner can read.
//!
//! A file is written under another name, synced and renamed, so that one under its own name is
//! whole. All methods wait for the disk: call them where that is allowed.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::record::{Listed, Record};
use super::{LetterId, Place};

/// How many letters that were given up are kept; past it the oldest go.
const MOST_FAILED: usize = 10_000;

/// The directory `mail/` with its two places.
#[derive(Debug, Clone)]
pub struct Spool {
    path: PathBuf,
}

impl Spool {
    /// The directory at `path`, as it is: for whoever only looks.
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Opens the directory, makes it when it is not there, and removes what was not finished.
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let spool = Self::at(path);
        for place in [Place::Queue, Place::Failed] {
            let directory = spool.directory(place);
            DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
            for entry in directory.read_dir()? {
                let path = entry?.path();
                if path.extension().is_some_and(|extension| extension == "new") {
                    std::fs::remove_file(path)?;
                }
            }
        }
        sync(&spool.path)?;
        if let Some(parent) = spool.path.parent() {
            sync(parent)?;
        }
        Ok(spool)
    }

    /// Every letter in a place, in the order in which they came; none where there is no directory.
    pub(super) fn ids(&self, place: Place) -> io::Result<Vec<LetterId>> {
        let entries = match self.directory(place).read_dir() {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut ids = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            let name = name.to_str().and_then(|name| name.strip_suffix(".json"));
            ids.extend(name.and_then(LetterId::parse));
        }
        ids.sort_unstable();
        Ok(ids)
    }

    /// Every letter there is, for a list; those that go meanwhile are left out.
    pub fn list(&self) -> io::Result<Vec<Listed>> {
        let mut letters = Vec::new();
        for place in [Place::Queue, Place::Failed] {
            for id in self.ids(place)? {
                match self.read(place, id) {
                    Ok(record) => letters.push(record.listed(id, place)),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(letters)
    }

    /// Reads a letter; one that is damaged is [`io::ErrorKind::InvalidData`].
    pub(super) fn read(&self, place: Place, id: LetterId) -> io::Result<Record> {
        let bytes = std::fs::read(self.file(place, id))?;
        // Not the error itself, which may quote the letter.
        serde_json::from_slice(&bytes).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let message =
                format!("the file of the letter is damaged: line {line}, column {column}");
            io::Error::new(io::ErrorKind::InvalidData, message)
        })
    }

    /// Writes a letter, and returns when it would survive a loss of power.
    pub(super) fn write(&self, place: Place, id: LetterId, record: &Record) -> io::Result<()> {
        write_private(&self.file(place, id), &serde_json::to_vec(record)?)
    }

    /// Removes a letter that has gone.
    pub(super) fn remove(&self, place: Place, id: LetterId) -> io::Result<()> {
        std::fs::remove_file(self.file(place, id))
    }

    /// Gives a letter up: it is in the other place before it is gone from the queue.
    pub(super) fn give_up(&self, id: LetterId, record: &Record) -> io::Result<()> {
        self.write(Place::Failed, id, record)?;
        self.remove(Place::Queue, id)?;
        let failed = self.ids(Place::Failed)?;
        for id in failed.iter().take(failed.len().saturating_sub(MOST_FAILED)) {
            self.remove(Place::Failed, *id)?;
        }
        Ok(())
    }

    /// Puts a file that cannot be read where it is in nobody's way.
    pub(super) fn set_aside(&self, id: LetterId) -> io::Result<PathBuf> {
        let aside = self.file(Place::Failed, id).with_extension("damaged");
        std::fs::rename(self.file(Place::Queue, id), &aside)?;
        Ok(aside)
    }

    fn directory(&self, place: Place) -> PathBuf {
        self.path.join(match place {
            Place::Queue => "queue",
            Place::Failed => "failed",
        })
    }

    fn file(&self, place: Place, id: LetterId) -> PathBuf {
        self.directory(place).join(format!("{id}.json"))
    }
}

/// Writes a file that its owner alone can read, whole or not at all.
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&new, path));
    if written.is_err() {
        // Where the disk is full, half a file is in everybody's way; another failure adds nothing.
        drop(std::fs::remove_file(&new));
    }
    written?;
    path.parent().map_or(Ok(()), sync)
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::domain::Timestamp;
    use crate::mail::{Letter, Subject};

    const NOON: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn record() -> Record {
        let to = "ada@example.org".parse().unwrap();
        Record::new(&Letter::new(to, Subject::of("Hello"), "Hello.\n".to_owned()), NOON)
    }

    #[test]
    fn a_letter_is_there_after_a_restart_and_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mail");
        let spool = Spool::open(path.clone()).unwrap();
        let id = LetterId::new(NOON, 7);
        spool.write(Place::Queue, id, &record()).unwrap();
        write_private(&path.join("queue/half.new"), b"x").unwrap();
        std::fs::rename(path.join("queue/half.new"), path.join("queue/0.new")).unwrap();

        let spool = Spool::open(path.clone()).unwrap();
        assert_eq!(spool.ids(Place::Queue).unwrap(), [id]);
        assert_eq!(spool.read(Place::Queue, id).unwrap(), record());
        assert!(!path.join("queue/0.new").exists());
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path.join(format!("queue/{id}.json"))), 0o600);
        for directory in ["", "queue", "failed"] {
            assert_eq!(mode(&path.join(directory)), 0o700, "{directory}");
        }
    }

    #[test]
    fn a_letter_that_is_given_up_is_kept_with_its_reason() {
        let directory = tempfile::tempdir().unwrap();
        let spool = Spool::open(directory.path().join("mail")).unwrap();
        let (id, mut record) = (LetterId::new(NOON, 7), record());
        spool.write(Place::Queue, id, &record).unwrap();
        record.trouble = Some("no such mailbox".to_owned());
        spool.give_up(id, &record).unwrap();
        assert!(spool.ids(Place::Queue).unwrap().is_empty());
        let listed = spool.list().unwrap().remove(0);
        assert_eq!((listed.place, listed.due), (Place::Failed, None));
        assert_eq!(listed.trouble.as_deref(), Some("no such mailbox"));
        assert_eq!(listed.id, id.to_string());
    }

    #[test]
    fn a_damaged_file_is_told_without_what_it_holds() {
        let directory = tempfile::tempdir().unwrap();
        let spool = Spool::open(directory.path().join("mail")).unwrap();
        let id = LetterId::new(NOON, 7);
        write_private(&spool.file(Place::Queue, id), b"{\"to\": \"ada@example.org\", oops")
            .unwrap();
        let error = spool.read(Place::Queue, id).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(!error.to_string().contains("ada"), "{error}");
        assert!(spool.set_aside(id).unwrap().exists());
        assert!(spool.list().unwrap().is_empty());
    }
}
