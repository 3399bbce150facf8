//! Many commands about accounts, one after the other, to the running gateway or to the database.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::StatusCode;

use super::{PATIENCE, complaint, connect, no_gateway, open_directory, post, unanswered};
use crate::accounts::{
    AccountsError, By, Command, CommandError, Complaint, Directory, ErrorKind, Reply,
};
use crate::cli::{Failure, load_for_accounts};

/// Whoever carries out commands.
pub(in super::super) enum Clerk {
    /// The running gateway, at its socket.
    Gateway(PathBuf),
    /// Nobody else: the database is open here.
    Here(Box<Directory>),
}

/// What came of one try.
enum Tried {
    Done(Box<Reply>),
    Busy(String),
}

/// How often a command is tried while other passwords are hashed, and how long it waits between.
const TRIES: usize = 120;
const PAUSE: Duration = Duration::from_millis(500);

/// Does `work` with whoever carries out commands.
pub(in super::super) fn with<T>(
    file: Option<&Path>,
    work: impl AsyncFnOnce(&Clerk) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let configuration = load_for_accounts(file)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::No(format!("no runtime: {error}")))?;
    runtime.block_on(async {
        let socket = &configuration.server.admin_socket;
        let clerk = match connect(socket).await? {
            Some(_) => Clerk::Gateway(socket.clone()),
            None => Clerk::Here(Box::new(open_directory(&configuration).await?)),
        };
        let outcome = work(&clerk).await;
        if let Clerk::Here(directory) = &clerk {
            directory.close().await;
        }
        outcome
    })
}

impl Clerk {
    /// Has the command carried out, and waits while too many passwords are hashed.
    pub(in super::super) async fn execute(&self, command: &Command) -> Result<Reply, Failure> {
        let mut busy = String::new();
        for _ in 0..TRIES {
            match self.try_once(command).await? {
                Tried::Done(reply) => return Ok(*reply),
                Tried::Busy(why) => busy = why,
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(Failure::No(busy))
    }

    async fn try_once(&self, command: &Command) -> Result<Tried, Failure> {
        match self {
            Self::Gateway(socket) => {
                let asked = tokio::time::timeout(PATIENCE, ask(socket, command)).await;
                asked.unwrap_or_else(|_| Err(unanswered("it takes too long")))
            }
            Self::Here(directory) => {
                let by = By::this_process();
                match directory.execute(command.clone(), &by, crate::cli::now()).await {
                    Ok(reply) => Ok(Tried::Done(Box::new(reply))),
                    Err(CommandError::Accounts(error @ AccountsError::Busy)) => {
                        Ok(Tried::Busy(error.to_string()))
                    }
                    Err(error) => Err(Failure::No(error.to_string())),
                }
            }
        }
    }
}

async fn ask(socket: &Path, command: &Command) -> Result<Tried, Failure> {
    let Some(stream) = connect(socket).await? else { return Err(no_gateway(socket)) };
    let body = serde_json::to_vec(command).map_err(|error| Failure::No(error.to_string()))?;
    let (status, body) = post(stream, "/v1/accounts", body).await?;
    if status == StatusCode::OK {
        let reply = serde_json::from_slice(&body).map_err(|error| unanswered(&error))?;
        return Ok(Tried::Done(Box::new(reply)));
    }
    match serde_json::from_slice::<Complaint>(&body) {
        Ok(Complaint { error, kind: ErrorKind::Busy }) => Ok(Tried::Busy(error)),
        Ok(_) | Err(_) => Err(complaint(status, &body)),
    }
}
