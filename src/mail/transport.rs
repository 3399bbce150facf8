//! The last step: from a letter to a message (RFC 5322), and out of the house.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor, transport::smtp};

use super::spool::write_private;
use super::{Letter, LetterId, Login, Mailbox, Password, Relay, Settings, Tls, Way};
use crate::domain::Timestamp;

/// What became of an attempt to send a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was taken.
    Sent,
    /// Not this time, and the reason concerns this letter alone.
    Later(String),
    /// Not this time, and no other letter would go either.
    Unreachable(String),
    /// Never: it was refused for good.
    Never(String),
}

/// The settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("mail cannot be sent so: {0}")]
pub struct Unusable(String);

/// How long a server may take for an answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Answers that are about our credentials, and not about the letter: the operator mends them.
const ABOUT_CREDENTIALS: [u16; 5] = [432, 530, 534, 535, 538];

/// A way out.
pub struct Transport {
    door: Door,
    from: Mailbox,
}

enum Door {
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
    Directory(PathBuf),
    Stdout,
}

impl Transport {
    /// The way out that the settings describe.
    pub fn new(settings: &Settings) -> Result<Self, Unusable> {
        let door = match &settings.way {
            Way::Smtp(relay) => Door::Smtp(smtp(relay)?),
            Way::Directory(path) => Door::Directory(path.clone()),
            Way::Stdout => Door::Stdout,
        };
        Ok(Self { door, from: settings.from.clone() })
    }

    /// Tries once to send a letter that came at `queued`. It may take as long as the server does.
    pub async fn send(&self, id: LetterId, letter: &Letter, queued: Timestamp) -> Outcome {
        let message = match self.message(id, letter, queued) {
            Ok(message) => message,
            Err(error) => return Outcome::Never(format!("it cannot be written: {error}")),
        };
        let written = |outcome: io::Result<()>| match outcome {
            Ok(()) => Outcome::Sent,
            Err(error) => Outcome::Unreachable(error.to_string()),
        };
        match &self.door {
            Door::Smtp(server) => match server.send(message).await {
                Ok(_) => Outcome::Sent,
                Err(error) => judge(&error),
            },
            Door::Directory(directory) => {
                let (directory, bytes) = (directory.clone(), message.formatted());
                let writing = move || {
                    std::fs::create_dir_all(&directory)?;
                    write_private(&directory.join(format!("{id}.eml")), &bytes)
                };
                let written_there = tokio::task::spawn_blocking(writing).await;
                written(written_there.unwrap_or_else(|error| Err(io::Error::other(error))))
            }
            Door::Stdout => {
                let mut stdout = io::stdout().lock();
                let bytes = message.formatted();
                written(stdout.write_all(&bytes).and_then(|()| stdout.write_all(b"\r\n")))
            }
        }
    }

    /// The message is the same at each attempt, so that one that came twice is seen to be one.
    fn message(
        &self,
        id: LetterId,
        letter: &Letter,
        queued: Timestamp,
    ) -> Result<Message, lettre::error::Error> {
        let from = letter.from.as_ref().unwrap_or(&self.from);
        let date = SystemTime::UNIX_EPOCH + Duration::from_secs(queued.seconds());
        // So that no out-of-office note answers it (RFC 3834).
        let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
        Message::builder()
            .from(from.inner().clone())
            .to(letter.to.inner().clone().into())
            .subject(letter.subject.as_str())
            .date(date)
            .message_id(Some(format!("<{id}@{}>", from.address().domain())))
            .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()))
            .header(ContentType::TEXT_PLAIN)
            .body(letter.text.clone())
    }
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transport").finish_non_exhaustive()
    }
}

fn smtp(relay: &Relay) -> Result<AsyncSmtpTransport<Tokio1Executor>, Unusable> {
    let tls = match relay.tls {
        Tls::Wrapped => smtp::client::Tls::Wrapper(tls(relay)?),
        Tls::StartTls => smtp::client::Tls::Required(tls(relay)?),
        Tls::None => smtp::client::Tls::None,
    };
    let mut server = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&relay.host)
        .port(relay.port)
        .tls(tls)
        .timeout(Some(TIMEOUT));
    if let Some(Login { username, password }) = &relay.login {
        let password = match password {
            Password::Given(password) => password.clone(),
            Password::File(path) => read(path)?.lines().next().unwrap_or_default().to_owned(),
        };
        server = server.credentials(Credentials::new(username.clone(), password));
    }
    Ok(server.build())
}

fn tls(relay: &Relay) -> Result<TlsParameters, Unusable> {
    let unusable = |error: smtp::Error| Unusable(chain(&error));
    let mut builder = TlsParameters::builder(relay.host.clone());
    if let Some(path) = &relay.authorities {
        let certificate = Certificate::from_pem(read(path)?.as_bytes()).map_err(unusable)?;
        builder = builder.add_root_certificate(certificate);
    }
    builder.build().map_err(unusable)
}

fn read(path: &Path) -> Result<String, Unusable> {
    std::fs::read_to_string(path)
        .map_err(|error| Unusable(format!("`{}` cannot be read: {error}", path.display())))
}

/// What an error says about the letter and about the server.
fn judge(error: &smtp::Error) -> Outcome {
    let reason = chain(error);
    let Some(code) = error.status().map(u16::from) else {
        // What our own side finds wrong may be about this letter: an address that needs SMTPUTF8.
        let is_about_letter = error.is_client() || error.is_response();
        return if is_about_letter { Outcome::Later(reason) } else { Outcome::Unreachable(reason) };
    };
    if ABOUT_CREDENTIALS.contains(&code) {
        Outcome::Unreachable(reason)
    } else if error.is_permanent() {
        Outcome::Never(reason)
    } else if code == 421 {
        // "Service not available": the server says so about itself.
        Outcome::Unreachable(reason)
    } else {
        Outcome::Later(reason)
    }
}

/// An error with its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text.replace(['\r', '\n'], " ")
}
