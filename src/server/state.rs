//! The directory where everything lives that outlasts the process.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::ServeError;

/// The state directory, locked against a second gateway for as long as this value lives.
#[derive(Debug)]
pub struct StateDirectory {
    path: PathBuf,
    _lock: File,
}

impl StateDirectory {
    /// Opens the directory, and makes it when it is not there, for this user only.
    pub fn open(path: &Path) -> Result<Self, ServeError> {
        let failed = |path: &Path, cause| ServeError::State { path: path.to_owned(), cause };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|cause| failed(path, cause))?;
        let lock_path = path.join("lock");
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock_path)
            .map_err(|cause| failed(&lock_path, cause))?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(ServeError::AlreadyRunning(path.to_owned())),
            Err(errno) => Err(failed(&lock_path, errno.into())),
        }
    }

    /// Where sessions are kept.
    pub fn sessions(&self) -> PathBuf {
        self.path.join("sessions")
    }

    /// Where letters wait.
    pub(super) fn mail(&self) -> PathBuf {
        self.path.join("mail")
    }

    /// Where those are kept who are locked out.
    pub(super) fn lockouts(&self) -> LockoutsFile {
        LockoutsFile(self.path.join("lockouts"))
    }

    /// The key that forms are signed with, the same over restarts, so that a form which was open
    /// during one can still be sent.
    pub(super) fn csrf_key(&self) -> Result<[u8; 32], ServeError> {
        let path = self.path.join("csrf.key");
        read_or_make_key(&path).map_err(|cause| ServeError::State { path, cause })
    }
}

/// The file of those who are locked out, which others may not read.
#[derive(Debug, Clone)]
pub(super) struct LockoutsFile(PathBuf);

impl LockoutsFile {
    /// What is in it; nothing when it is not there.
    pub(super) fn read(&self) -> io::Result<String> {
        match std::fs::read_to_string(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            outcome => outcome,
        }
    }

    /// Replaces it as a whole. It need not outlast a power failure: attempts are counted anew then.
    pub(super) fn write(&self, text: &str) -> io::Result<()> {
        let new = self.0.with_extension("new");
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        std::fs::rename(&new, &self.0)
    }
}

/// Random bytes for a key or a token.
pub(super) fn random() -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

fn read_or_make_key(path: &Path) -> io::Result<[u8; 32]> {
    match File::open(path) {
        Ok(mut file) => {
            let mut key = [0; 32];
            file.read_exact(&mut key)?;
            Ok(key)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = random()?;
            let new = path.with_extension("new");
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&new)?;
            file.write_all(&key)?;
            file.sync_all()?;
            std::fs::rename(&new, path)?;
            Ok(key)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_gateway_on_the_same_directory_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let first = StateDirectory::open(directory.path()).unwrap();
        assert!(matches!(
            StateDirectory::open(directory.path()),
            Err(ServeError::AlreadyRunning(_))
        ));
        drop(first);
        assert!(StateDirectory::open(directory.path()).is_ok());
    }

    #[test]
    fn the_key_stays_and_is_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let state = StateDirectory::open(directory.path()).unwrap();
        assert_eq!(state.csrf_key().unwrap(), state.csrf_key().unwrap());
        let mode = directory.path().join("csrf.key").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
