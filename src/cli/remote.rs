//! Where commands are carried out: by the running gateway, or here when none runs.

pub(super) mod accounts;
pub(super) mod lockouts;
pub(super) mod sessions;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::Failure;
use crate::accounts::{By, Command, Complaint, Directory, Reply};
use crate::config::Configuration;
use crate::telemetry::AuditLog;

/// How long the gateway may take; it may be hashing other passwords first.
const PATIENCE: Duration = Duration::from_secs(60);

/// Carries out `command` and gives its reply.
///
/// The running gateway is preferred, because then the change is seen by its very next request.
/// Without one the database is opened; a gateway that cannot be reached sees that within seconds.
pub(super) fn execute(file: Option<&Path>, command: Command) -> Result<Reply, Failure> {
    let configuration = super::load_for_accounts(file)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::No(format!("no runtime: {error}")))?;
    runtime.block_on(async {
        match connect(&configuration.server.admin_socket).await? {
            Some(stream) => {
                let asked = tokio::time::timeout(PATIENCE, ask(stream, &command)).await;
                asked.unwrap_or_else(|_| Err(unanswered("it takes too long")))
            }
            None => execute_here(&configuration, command).await,
        }
    })
}

/// A connection to the gateway, if one runs.
async fn connect(socket: &Path) -> Result<Option<UnixStream>, Failure> {
    match UnixStream::connect(socket).await {
        Ok(stream) => Ok(Some(stream)),
        // Left behind by a gateway that was killed, never made, or at a path that is too long for
        // any to be made.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound
                    | io::ErrorKind::ConnectionRefused
                    | io::ErrorKind::InvalidInput
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(Failure::No(format!(
            "the gateway's socket `{}` cannot be used: {error}\n\
             hint: run the command as the user that the gateway runs as",
            socket.display()
        ))),
    }
}

/// Nobody can carry out what only a running gateway can.
fn no_gateway(socket: &Path) -> Failure {
    Failure::No(format!(
        "no gateway is running: nobody listens on `{}`\n\
         hint: start one with `vestibule serve`",
        socket.display()
    ))
}

/// Has the running gateway read its configuration again.
pub(super) fn reload(configuration: &Configuration) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::No(format!("no runtime: {error}")))?;
    runtime.block_on(async {
        let socket = &configuration.server.admin_socket;
        let Some(stream) = connect(socket).await? else { return Err(no_gateway(socket)) };
        match post(stream, "/v1/reload", Vec::new()).await? {
            (StatusCode::OK, _) => Ok(()),
            (status, body) => Err(complaint(status, &body)),
        }
    })
}

/// Has the running gateway try letters again, and tells how many.
pub(super) fn retry_mail(
    configuration: &Configuration,
    letter: Option<&str>,
) -> Result<u64, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::No(format!("no runtime: {error}")))?;
    runtime.block_on(async {
        let socket = &configuration.server.admin_socket;
        let Some(stream) = connect(socket).await? else { return Err(no_gateway(socket)) };
        let body = letter.unwrap_or_default().as_bytes().to_vec();
        match post(stream, "/v1/mail/retry", body).await? {
            (StatusCode::OK, body) => {
                let answer: serde_json::Value =
                    serde_json::from_slice(&body).map_err(|error| unanswered(&error))?;
                answer["letters"].as_u64().ok_or_else(|| unanswered("it is no number"))
            }
            (status, body) => {
                let answer = serde_json::from_slice::<serde_json::Value>(&body).ok();
                let error = answer.as_ref().and_then(|answer| answer["error"].as_str());
                Err(error.map_or_else(|| unanswered(&status), |it| Failure::No(it.to_owned())))
            }
        }
    })
}

/// Has the gateway carry out the command.
async fn ask(stream: UnixStream, command: &Command) -> Result<Reply, Failure> {
    let body = serde_json::to_vec(command).map_err(|error| Failure::No(error.to_string()))?;
    match post(stream, "/v1/accounts", body).await? {
        (StatusCode::OK, body) => serde_json::from_slice(&body).map_err(|error| unanswered(&error)),
        (status, body) => Err(complaint(status, &body)),
    }
}

/// Sends a request to the admin socket, and waits for the whole answer.
async fn post(
    stream: UnixStream,
    path: &str,
    body: Vec<u8>,
) -> Result<(StatusCode, Bytes), Failure> {
    let (status, body) = open(stream, path, body).await?;
    let body = body.collect().await.map_err(|error| unanswered(&error))?;
    Ok((status, body.to_bytes()))
}

/// Sends a request to the admin socket, and waits for the head of the answer.
async fn open(
    stream: UnixStream,
    path: &str,
    body: Vec<u8>,
) -> Result<(StatusCode, Incoming), Failure> {
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(hyper::header::HOST, "vestibule")
        .header(hyper::header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| Failure::No(error.to_string()))?;

    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| unanswered(&error))?;
    // How it ends is seen in the answer.
    tokio::spawn(async move { drop(connection.await) });
    let response = sender.send_request(request).await.map_err(|error| unanswered(&error))?;
    let (head, body) = response.into_parts();
    Ok((head.status, body))
}

fn complaint(status: StatusCode, body: &[u8]) -> Failure {
    match serde_json::from_slice::<Complaint>(body) {
        Ok(complaint) => Failure::No(complaint.error),
        Err(_) => unanswered(&status),
    }
}

/// The command may have been carried out or not: trying it here as well could do it twice.
fn unanswered(cause: &(impl std::fmt::Display + ?Sized)) -> Failure {
    Failure::No(format!("the running gateway gives no answer: {cause}"))
}

/// The database itself, for commands that write down what they do as the gateway would.
async fn open_directory(configuration: &Configuration) -> Result<Directory, Failure> {
    let opened = Directory::open(&configuration.accounts).await;
    let directory = opened.map_err(|error| Failure::No(error.to_string()))?;
    let audit = AuditLog::open_for_command(&configuration.telemetry.audit).map_err(|error| {
        Failure::No(format!("the audit log cannot be opened: {error}\nhint: see `log.audit`"))
    })?;
    directory.keep_trail(Arc::new(audit));
    Ok(directory)
}

/// Carries out the command on the database itself.
async fn execute_here(configuration: &Configuration, command: Command) -> Result<Reply, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::No(error.to_string());
    let directory = open_directory(configuration).await?;
    let outcome = directory.execute(command, &By::this_process(), super::now()).await;
    directory.close().await;
    outcome.map_err(|error| failed(&error))
}

#[cfg(test)]
mod tests {
    use hyper::service::service_fn;
    use tokio::net::UnixListener;

    use super::*;
    use crate::accounts::{self, Settings, answer};

    /// A gateway's admin socket, as far as accounts go.
    async fn serve_one(listener: UnixListener, directory: Arc<Directory>) {
        let (stream, _) = listener.accept().await.unwrap();
        let service = service_fn(move |request: Request<hyper::body::Incoming>| {
            let directory = Arc::clone(&directory);
            async move {
                assert_eq!(
                    (request.method(), request.uri().path()),
                    (&Method::POST, "/v1/accounts")
                );
                let body = request.into_body().collect().await?.to_bytes();
                let answer =
                    answer(&directory, &body, &By::this_process(), crate::cli::now()).await;
                let mut response = hyper::Response::new(Full::new(Bytes::from(answer.json)));
                *response.status_mut() = StatusCode::from_u16(answer.status).unwrap();
                Ok::<_, hyper::Error>(response)
            }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service);
        connection.await.unwrap();
    }

    async fn ask_a_gateway(command: Command) -> Result<Reply, Failure> {
        let state = tempfile::tempdir().unwrap();
        let database = accounts::settings::Database::Sqlite(state.path().join("users.db"));
        let settings = Settings { database, ..Settings::default() };
        let directory = Arc::new(Directory::open(&settings).await.unwrap());
        let socket = state.path().join("admin.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let server = tokio::spawn(serve_one(listener, directory));
        let outcome = ask(connect(&socket).await.unwrap().unwrap(), &command).await;
        server.await.unwrap();
        outcome
    }

    #[tokio::test]
    async fn the_running_gateway_carries_out_commands_and_says_why_not() {
        let create = Command::GroupCreate { name: "Editors".to_owned(), permissions: Vec::new() };
        let reply = ask_a_gateway(create).await;
        assert!(matches!(&reply, Ok(Reply::Done(what)) if what.contains("Editors")), "{reply:?}");
        let show = Command::GroupShow { name: "Editors".to_owned() };
        let error = ask_a_gateway(show).await.unwrap_err().to_string();
        assert!(error.contains("there is no group `Editors`"), "{error}");
    }

    #[tokio::test]
    async fn a_gateway_that_hangs_up_or_talks_nonsense_is_no_answer() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

        for speech in
            [&b""[..], b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"]
        {
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            let gateway = tokio::spawn(async move {
                let mut buffer = [0; 1024];
                let _read = theirs.read(&mut buffer).await.unwrap();
                theirs.write_all(speech).await.unwrap();
            });
            let error = ask(ours, &Command::UserList {}).await.unwrap_err().to_string();
            assert!(error.contains("gives no answer"), "{error}");
            gateway.await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_socket_that_nobody_serves_means_that_no_gateway_runs() {
        let state = tempfile::tempdir().unwrap();
        assert!(connect(&state.path().join("none.sock")).await.unwrap().is_none());
        let left_behind = state.path().join("left.sock");
        drop(UnixListener::bind(&left_behind).unwrap());
        assert!(connect(&left_behind).await.unwrap().is_none());
        let too_long = state.path().join("x".repeat(200));
        assert!(connect(&too_long).await.unwrap().is_none());
    }
}
