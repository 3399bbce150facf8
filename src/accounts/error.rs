//! What can go wrong with accounts, sorted by blame.

use std::path::PathBuf;

use super::database::PostgresUrl;

/// The directory could not do its work; nothing is said about any user.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// The queue of passwords to hash is full; the client may try again soon.
    #[error("too many passwords are waiting to be checked\nhint: try again in a moment")]
    Busy,
    /// The database failed.
    #[error("the user database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// The tables could not be brought up to date.
    #[error("the tables of the user database cannot be brought up to date: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The database file could not be made.
    #[error("`{}` cannot be created: {error}", path.display())]
    File {
        /// The file, or a directory above it.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// There is no connection to the server.
    #[error("the user database `{url}` cannot be opened: {error}")]
    Server {
        /// Where it should be.
        url: PostgresUrl,
        /// What the system or the server says.
        error: sqlx::Error,
    },
    /// The tables are not those that the settings speak of.
    #[error("{0}")]
    Schema(String),
    /// The settings ask for a cost that passwords cannot have.
    #[error("passwords cannot be hashed at this cost: {0}")]
    Cost(String),
    /// The system gives no random bytes or no memory.
    #[error("a password could not be hashed: {0}")]
    Hashing(String),
    /// The work was given up because the process is stopping.
    #[error("the gateway is stopping")]
    Stopping,
}

/// Why a command of an operator was not carried out; every message may be shown to the operator.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Something that the command names is not there.
    #[error("{0}")]
    NotFound(String),
    /// A value cannot be what it should become.
    #[error("{0}")]
    Invalid(String),
    /// It is there already.
    #[error("{0}")]
    Conflict(String),
    /// Whoever orders it may not.
    #[error("{0}")]
    Forbidden(String),
    /// It is not the operator's fault.
    #[error(transparent)]
    Accounts(#[from] AccountsError),
}

impl From<sqlx::Error> for CommandError {
    fn from(error: sqlx::Error) -> Self {
        Self::Accounts(AccountsError::Database(error))
    }
}

impl CommandError {
    /// There is no `kind` called `name`: with the nearest of the names there are, or else `hint`.
    pub(super) fn missing(
        kind: &str,
        name: &str,
        names: impl IntoIterator<Item = String>,
        hint: &str,
    ) -> Self {
        let shown = name.escape_debug();
        Self::NotFound(match nearest(name, names) {
            Some(near) => format!("there is no {kind} `{shown}`\nhint: did you mean `{near}`?"),
            None => format!("there is no {kind} `{shown}`\nhint: {hint}"),
        })
    }
}

/// The name most like `wanted`, if any is like it: a third of its letters may be wrong.
pub fn nearest(wanted: &str, names: impl IntoIterator<Item = String>) -> Option<String> {
    let wanted = wanted.to_lowercase();
    let tolerance = (wanted.chars().count() / 3).max(1);
    names
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&wanted, &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= tolerance)
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_offered_only_when_it_is_near() {
        let names = || ["ada", "adam", "grace"].map(str::to_owned);
        assert_eq!(nearest("ad", names()).as_deref(), Some("ada"));
        assert_eq!(nearest("Grcae", names()).as_deref(), Some("grace"));
        assert_eq!(nearest("linus", names()), None);
    }
}
