//! The directory that the files are in: their names, and how one comes and goes.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::frame::{Flaw, Header, Kind};

/// The directory `sessions/`.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    #[cfg(test)]
    pub(super) faults: super::tests::Faults,
}

/// A file that cannot be read, and is not merely torn at its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is damaged at offset {offset}: {what}", path.display())]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// How far it can be read, in bytes.
    pub offset: u64,
    /// What is wrong there.
    pub what: String,
}

/// A file that is being written.
#[derive(Debug)]
pub(super) struct Writing<'f> {
    folder: &'f Folder,
    file: File,
    path: PathBuf,
    name: PathBuf,
}

impl Folder {
    /// The directory inside the state directory; it is made when it is not there.
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        if let Some(parent) = path.parent() {
            File::open(parent)?.sync_all()?;
        }
        Ok(Self {
            path,
            #[cfg(test)]
            faults: super::tests::Faults::default(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the file with this number is, or would be.
    pub(super) fn path_of(&self, kind: Kind, number: u64) -> PathBuf {
        self.path.join(format!("{}{number:08}", prefix(kind)))
    }

    /// The numbers of the files of this kind, in order.
    pub(super) fn numbers(&self, kind: Kind) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in self.path.read_dir()? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix(prefix(kind)));
            let is_number = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit());
            numbers.extend(number.filter(is_number).and_then(|text| text.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Removes what was being written when the last process ended.
    pub(super) fn remove_unfinished(&self) -> io::Result<()> {
        for entry in self.path.read_dir()? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "new") {
                std::fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Begins a file under a temporary name.
    pub(super) fn create(&self, header: Header) -> io::Result<Writing<'_>> {
        let name = self.path_of(header.kind, header.number);
        let path = name.with_extension("new");
        self.step()?;
        let file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        let mut writing = Writing { folder: self, file, path, name };
        writing.write(&header.to_bytes())?;
        Ok(writing)
    }

    /// Removes a file.
    pub(super) fn remove(&self, kind: Kind, number: u64) -> io::Result<()> {
        self.step()?;
        std::fs::remove_file(self.path_of(kind, number))
    }

    /// Sets a damaged file aside.
    pub(super) fn set_aside(&self, kind: Kind, number: u64) -> io::Result<PathBuf> {
        let path = self.path_of(kind, number);
        let names = (1_u32..).map(|number| match number {
            1 => path.with_extension("damaged"),
            more => path.with_extension(format!("damaged-{more}")),
        });
        let mut free = names.skip_while(|name| name.exists());
        let aside = free.next().unwrap_or_else(|| path.with_extension("damaged"));
        std::fs::rename(&path, &aside)?;
        Ok(aside)
    }

    /// Makes what happened to the names of files last.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.step()?;
        File::open(&self.path)?.sync_all()
    }

    /// Appends to a file.
    pub(super) fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        #[cfg(test)]
        if let Err(error) = self.step() {
            // As a disk does that is full: what fits is there.
            file.write_all(&bytes[..bytes.len() / 2])?;
            return Err(error);
        }
        file.write_all(bytes)
    }

    /// Waits until what was written to a file is on the disk.
    pub(super) fn sync_file(&self, file: &File) -> io::Result<()> {
        self.step()?;
        file.sync_data()
    }

    /// What is wrong with the file of this number at `offset`.
    pub(super) fn damage(&self, kind: Kind, number: u64, offset: u64, flaw: Flaw) -> Damage {
        Damage { path: self.path_of(kind, number), offset, what: flaw.to_string() }
    }

    /// Where tests let the disk fail.
    #[cfg(test)]
    fn step(&self) -> io::Result<()> {
        self.faults.step()
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "it fails in tests alone")]
    fn step(&self) -> io::Result<()> {
        Ok(())
    }
}

impl Writing<'_> {
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.folder.write(&mut self.file, bytes)
    }

    /// Has the disk begin with what was written so far, so that little is left to do at the end,
    /// when the journal would have to wait for it.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.folder.sync_file(&self.file)
    }

    /// Gives the file its name, once all of it is on the disk.
    pub(super) fn finish(mut self) -> io::Result<File> {
        self.folder.step()?;
        self.file.sync_all()?;
        self.folder.step()?;
        std::fs::rename(&self.path, &self.name)?;
        self.folder.sync()?;
        self.path.clear();
        self.file.try_clone()
    }
}

impl Drop for Writing<'_> {
    /// A file that was not finished goes, so that it takes no room on a disk that is full.
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            // It is removed at the next start otherwise.
            let _left_behind = std::fs::remove_file(&self.path);
        }
    }
}

fn prefix(kind: Kind) -> &'static str {
    match kind {
        Kind::Journal => "journal-",
        Kind::Snapshot => "snapshot-",
    }
}
