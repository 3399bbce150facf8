//! The check of a name and a password, wherever a page asks for them: slowed down, counted and
//! written down.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::known_browser::KnownBrowser;
use super::login::{Credentials, Failure};
use super::refusal::Notice;
use super::throttle::{Caller, LockedOut, Refused, Whose};
use super::{PageRequest, Pages, answer};
use crate::domain::audit::{Entry, Event, Outcome, Person};
use crate::domain::password::MAX_PASSWORD_LENGTH;
use crate::domain::user::normalize_username;
use crate::domain::{Timestamp, Verified};

/// How many checks of credentials there were, by what came of them.
#[derive(Debug, Default)]
pub(super) struct Checks {
    succeeded: AtomicU64,
    failed: AtomicU64,
    throttled: AtomicU64,
    unavailable: AtomicU64,
    lockouts: AtomicU64,
}

/// The same, as they stand now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Checked {
    /// The credentials were right.
    pub succeeded: u64,
    /// They were wrong.
    pub failed: u64,
    /// Nobody looked at them, after too many failures.
    pub throttled: u64,
    /// They could not be checked.
    pub unavailable: u64,
    /// How often somebody was locked out.
    pub lockouts: u64,
}

impl Checks {
    pub(super) fn so_far(&self) -> Checked {
        Checked {
            succeeded: self.succeeded.load(Relaxed),
            failed: self.failed.load(Relaxed),
            throttled: self.throttled.load(Relaxed),
            unavailable: self.unavailable.load(Relaxed),
            lockouts: self.lockouts.load(Relaxed),
        }
    }
}

impl Pages {
    /// Asks the directory, unless there were too many failures or nothing could be right. Every
    /// failure costs and looks the same, whatever was wrong (OWASP ASVS 6.3.8).
    ///
    /// What fails is written down here; of what succeeds, a login is when its session has begun.
    pub(super) async fn verify(
        &self,
        credentials: &Credentials<'_>,
        request: &PageRequest,
    ) -> Result<Result<Verified, Failure>, Notice> {
        let Credentials { username, password } = credentials;
        if username.is_empty() || password.is_empty() {
            return Ok(Err(Failure::Wrong));
        }
        let (state, now) = (&self.state, request.now);
        let account = normalize_username(username).unwrap_or_else(|_| (*username).to_owned());
        let browser = self.known_browser(&account, request).await?;
        let caller = Caller { account: &account, address: request.address, browser };
        let attempt = match state.throttle.admit(&self.settings.lockout, caller, now).await {
            Ok(attempt) => attempt,
            Err(refused) => {
                state.checks.throttled.fetch_add(1, Relaxed);
                state.directory.note(&throttled(request, &refused));
                return Ok(Err(Failure::Throttled(refused.wait)));
            }
        };
        let outcome = if password.len() > MAX_PASSWORD_LENGTH {
            None
        } else {
            match state.directory.verify(username, (*password).to_owned(), now).await {
                Ok(outcome) => outcome.ok(),
                Err(error) => {
                    attempt.abandoned();
                    state.checks.unavailable.fetch_add(1, Relaxed);
                    state.directory.note(&entry(request).outcome(Outcome::Unavailable));
                    return Err(answer::unavailable(&error.to_string()));
                }
            }
        };
        if let Some(verified) = outcome {
            attempt.succeeded();
            state.checks.succeeded.fetch_add(1, Relaxed);
            if event(request) != Event::Login {
                state.directory.note(&entry(request).of(&**verified.user()));
            }
            return Ok(Ok(verified));
        }
        state.checks.failed.fetch_add(1, Relaxed);
        // The same is asked for every name. One that is nobody's is not written down: people type
        // passwords into the wrong field.
        let whose = match state.directory.user_by_name(username, now).await {
            Ok(user) => user.map(|user| Whose { id: user.id, username: user.username.clone() }),
            Err(error) => {
                tracing::warn!(%error, "whose account it is that a login failed for is not known");
                None
            }
        };
        let mut failed = entry(request).outcome(Outcome::Failed);
        failed.user = whose.as_ref().map(Person::from);
        failed = failed.with("known_browser", browser.is_some());
        state.directory.note(&failed);
        for locked_out in attempt.failed(whose) {
            state.checks.lockouts.fetch_add(1, Relaxed);
            state.directory.note(&began(&locked_out, now));
        }
        Ok(Err(Failure::Wrong))
    }

    /// Whether this very account has logged in with the browser before. Only a browser that shows
    /// our own signature has anybody asked for.
    pub(super) async fn known_browser(
        &self,
        account: &str,
        request: &PageRequest,
    ) -> Result<Option<KnownBrowser>, Notice> {
        let (state, now) = (&self.state, request.now);
        for entry in state.known_browsers.entries(&request.headers, now) {
            let user = state.directory.user(entry.user(), now).await;
            let user = user.map_err(|error| answer::unavailable(&error.to_string()))?;
            if let Some(user) = user.filter(|user| user.username == account)
                && let Some(browser) = state.known_browsers.confirm(&entry, &user)
            {
                return Ok(Some(browser));
            }
        }
        Ok(None)
    }
}

/// The login page is where people log in; any other asks those who have.
fn event(request: &PageRequest) -> Event {
    if request.page == "login/" { Event::Login } else { Event::Reauthentication }
}

fn entry(request: &PageRequest) -> Entry {
    let entry = Entry::new(event(request), request.now).from(request.address);
    match request.session_key() {
        Some(session) if event(request) != Event::Login => entry.session(session),
        Some(_) | None => entry,
    }
}

fn throttled(request: &PageRequest, refused: &Refused) -> Entry {
    let mut entry = entry(request).outcome(Outcome::Throttled);
    entry.user = refused.whose.as_deref().map(Person::from);
    let scope = refused.scope.map_or("too_many_at_once", super::Scope::name);
    entry.with("scope", scope).with("wait", refused.wait.as_secs())
}

/// The entry about somebody who is locked out from now on.
fn began(locked_out: &LockedOut, now: Timestamp) -> Entry {
    locked_out
        .describe(Entry::new(Event::Lockout, now))
        .with("wait", locked_out.until.since(now).as_secs())
}
