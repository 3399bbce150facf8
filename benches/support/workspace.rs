//! The temporary directory a bench lives in.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::Result;
use super::report::note;

/// A directory for configurations, state and logs, gone at the end of the bench: after a panic by `Drop`,
/// after Ctrl-C or `SIGTERM` by the thread that waits for them.
pub(crate) struct Workspace {
    directory: TempDir,
}

impl Workspace {
    pub(crate) fn new() -> Result<Workspace> {
        let directory = tempfile::Builder::new().prefix("vestibule-bench-").tempdir()?;
        remove_when_interrupted(directory.path().to_path_buf());
        Ok(Workspace { directory })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "nothing here outlives the bench, so nothing must survive a crash"
    )]
    pub(crate) fn write(&self, name: &str, contents: &str) -> Result<PathBuf> {
        let path = self.path(name);
        std::fs::write(&path, contents)
            .map_err(|cause| format!("cannot write `{}`: {cause}", path.display()))?;
        Ok(path)
    }

    pub(crate) fn directory(&self, name: &str) -> Result<PathBuf> {
        let path = self.path(name);
        std::fs::create_dir_all(&path)?;
        Ok(path)
    }
}

/// The children need no care here: they were started with a parent-death signal and end with this process.
fn remove_when_interrupted(directory: PathBuf) {
    std::thread::spawn(move || {
        if interruption().is_ok() {
            note("interrupted");
            remove(&directory);
            std::process::exit(130);
        }
    });
}

fn interruption() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            received = tokio::signal::ctrl_c() => received,
            _ = terminate.recv() => Ok(()),
        }
    })
}

fn remove(directory: &Path) {
    if let Err(cause) = std::fs::remove_dir_all(directory) {
        note(&format!("cannot remove `{}`: {cause}", directory.display()));
    }
}
