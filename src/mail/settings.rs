//! What an operator can set about mail: `[mail]`.

use std::fmt;
use std::path::PathBuf;

use super::Mailbox;

/// `[mail]`, where it says how mail is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How.
    pub way: Way,
    /// From whom letters come that do not say so.
    pub from: Mailbox,
}

/// How letters leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// By a mail server.
    Smtp(Relay),
    /// As one file for each into a directory, to try things out.
    Directory(PathBuf),
    /// To standard output, to try things out.
    Stdout,
}

/// A mail server that takes letters to everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relay {
    /// Its name, which its certificate must have, or its address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: Tls,
    /// What to log in with.
    pub login: Option<Login>,
    /// A file of certificates, in PEM, that are trusted beside those of the system.
    pub authorities: Option<PathBuf>,
}

/// How a connection to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// From its first byte on (RFC 8314).
    Wrapped,
    /// By STARTTLS before anything else is said; a server without it gets no letter.
    StartTls,
    /// Not at all, which is for servers on this machine.
    None,
}

/// What to log in with at a mail server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The name.
    pub username: String,
    /// The password.
    pub password: Password,
}

/// A password for a mail server; it is in no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// As the file says.
    Given(String),
    /// The first line of another file, which is read when the gateway starts and at each reload.
    File(PathBuf),
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(_) => f.write_str("Given(…)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}
