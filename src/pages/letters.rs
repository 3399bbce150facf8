//! The letters that pages write: templates rendered as text, with links to this gateway.
//!
//! A [`Letters`] is there only where mail is set up and `server.public_url` says by which address
//! the outside knows the gateway. Whoever writes a link therefore has that address from the
//! configuration, and cannot take it from a request (Django CVE-2011-4139).

use std::sync::Arc;
use std::time::Duration;

use minijinja::{Value, context};
use tokio::sync::Semaphore;

use super::templates::Templates;
use super::{Pages, State, TemplateError, answer};
use crate::mail::{Letter, LetterId, NotAnAddress, NotQueued, Subject};

/// Writes letters with links to this gateway, also after the page was answered.
#[derive(Clone)]
pub(super) struct Letters {
    pub(super) state: Arc<State>,
    templates: Arc<Templates>,
    /// Scheme and host.
    site: String,
    prefix: String,
}

/// Why a letter was not written; for the log.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotWritten {
    /// A template of the operator's fails.
    #[error("a template failed: {0}")]
    Template(#[from] TemplateError),
    /// It is to nobody.
    #[error("there is no address to write to")]
    NoAddress(#[from] NotAnAddress),
    /// The outbox does not take it.
    #[error(transparent)]
    NotQueued(#[from] NotQueued),
}

impl Pages {
    /// What writes letters; `None` where mail is not set up, or links would have no host.
    pub(super) fn letters(&self) -> Option<Letters> {
        let site = self.settings.public_url.as_deref().filter(|_| self.settings.sends_mail)?;
        Some(Letters {
            state: Arc::clone(&self.state),
            templates: Arc::clone(&self.templates),
            site: site.trim_end_matches('/').to_owned(),
            prefix: self.settings.prefix.clone(),
        })
    }
}

impl Letters {
    /// The address of a page below the prefix, as the outside knows it.
    pub(super) fn url(&self, page: &str) -> String {
        format!("{}{}{page}", self.site, self.prefix)
    }

    /// Writes the letter `name` to `to`: its subject is the template `NAME_subject.txt` in
    /// `registration/`, its text `NAME_email.html`, which is plain text as in Django. When this
    /// returns well, it is safe on disk.
    ///
    /// Beside `names` the templates have Django's `site_name`, `domain` and `protocol`.
    pub(super) async fn write(
        &self,
        to: &str,
        name: &str,
        names: Value,
    ) -> Result<LetterId, NotWritten> {
        let to = to.parse()?;
        let (protocol, domain) = self.site.split_once("://").unwrap_or(("https", &self.site));
        let scope = context! {
            site_name => answer::host_name(domain),
            domain,
            protocol,
            login_url => self.url("login/"),
            password_reset_url => self.url("password_reset/"),
            ..names
        };
        let render = |file: &str| {
            let file = format!("registration/{name}_{file}");
            self.templates.render(&file, scope.clone())
        };
        let subject = Subject::of(&render("subject.txt")?);
        let text = render("email.html")?;
        Ok(self.state.outbox.send(Letter::new(to, subject, text)).await?)
    }

    /// The same for a notice: what happened has happened, and the log says if nobody is told.
    pub(super) async fn tell(&self, to: &str, name: &str, names: Value) {
        match self.write(to, name, names).await {
            Ok(letter) => tracing::debug!(%letter, name, "a notice was written"),
            // Not everybody has an address.
            Err(NotWritten::NoAddress(_)) => {}
            Err(error) => tracing::error!(%error, name, "a notice was not written"),
        }
    }

    /// Writes after the page was answered, so that the time of the answer tells nothing about the
    /// letters. `false` if too many others are being written.
    pub(super) fn later<W: Future<Output = ()> + Send + 'static>(
        self,
        write: impl FnOnce(Self) -> W,
    ) -> bool {
        let Ok(place) = Arc::clone(&self.state.writing.0).try_acquire_owned() else {
            return false;
        };
        let writing = write(self);
        tokio::spawn(async move {
            writing.await;
            drop(place);
        });
        true
    }
}

/// The letters that are being written after their page was answered.
pub(super) struct Writing(Arc<Semaphore>);

impl Writing {
    const MOST: u32 = 64;

    /// How long a gateway that stops waits for them.
    const PATIENCE: Duration = Duration::from_secs(5);
}

impl Default for Writing {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(Self::MOST as usize)))
    }
}

impl State {
    /// Waits until the letters are on disk that were promised, a few seconds at most.
    pub async fn letters_are_written(&self) {
        let all = self.writing.0.acquire_many(Writing::MOST);
        if tokio::time::timeout(Writing::PATIENCE, all).await.is_err() {
            tracing::warn!("letters were still being written when the gateway stopped");
        }
    }
}
