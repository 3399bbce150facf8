//! Logins, as a browser makes them: the form, its token and cookie, then the post.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use form_urlencoded::Serializer;
use http::StatusCode;

use super::Result;
use super::connection::{Answer, Connection};
use super::report::note;

const LOGIN: &str = "/accounts/login/";
const LOGOUT: &str = "/accounts/logout/";

/// A name and its password.
pub(crate) struct Credentials {
    pub(crate) name: String,
    pub(crate) password: String,
}

/// Begins `count` sessions, for the users in turn, over `at_once` connections, and returns their cookies' values.
pub(crate) fn begin_sessions(
    address: SocketAddr,
    users: &[Credentials],
    count: usize,
    at_once: usize,
) -> Result<Vec<String>> {
    let begun = Cell::new(0);
    let cookies = RefCell::new(Vec::with_capacity(count));
    runtime()?
        .block_on(async {
            let work = (0..at_once).map(|_| async {
                let mut visitor = Visitor::arrive(address).await?;
                while begun.get() < count {
                    let number = begun.replace(begun.get() + 1);
                    let user = users.get(number % users.len().max(1)).ok_or("no user to log in")?;
                    let cookie = visitor.log_in(user).await?;
                    cookies.borrow_mut().push(cookie);
                    if (number + 1).is_multiple_of(20_000) {
                        note(&format!("{} of {count} sessions begun", number + 1));
                    }
                }
                Ok(())
            });
            futures_util::future::try_join_all(work).await.map(drop)
        })
        .map_err(|problem: Box<dyn std::error::Error + Send + Sync>| {
            format!("while logging in: {problem}")
        })?;
    Ok(cookies.into_inner())
}

/// Ends a session as its browser would; returns when that has been acknowledged.
pub(crate) async fn log_out(connection: &mut Connection, session: &str) -> Result<()> {
    let session = format!("sessionid={session}");
    let page = connection.get(LOGOUT, &session).await?;
    let token = token(&page)
        .ok_or_else(|| format!("no logout form with a CSRF token; {}", page.describe()))?;
    let cookie = page.cookies().fold(session, |cookies, cookie| format!("{cookies}; {cookie}"));
    let form = Serializer::new(String::new()).append_pair("csrfmiddlewaretoken", &token).finish();
    let answer = connection.post(LOGOUT, &cookie, form).await?;
    match answer.status {
        StatusCode::OK | StatusCode::FOUND | StatusCode::SEE_OTHER => Ok(()),
        _ => Err(format!("a logout failed; {}", answer.describe()).into()),
    }
}

/// Logins over many connections at once, again and again, on a thread of their own until `end`.
pub(crate) struct Storm {
    tally: Arc<Tally>,
    thread: JoinHandle<Result<()>>,
}

/// What a storm came to.
#[derive(Default)]
pub(crate) struct Tally {
    over: AtomicBool,
    pub(crate) succeeded: AtomicU64,
    /// Answers that asked to come back later.
    pub(crate) put_off: AtomicU64,
}

impl Storm {
    /// Begins one, and waits until it has fully risen.
    pub(crate) fn begin(
        address: SocketAddr,
        users: &Arc<[Credentials]>,
        at_once: usize,
    ) -> Result<Storm> {
        let tally = Arc::new(Tally::default());
        let (seen, users) = (Arc::clone(&tally), Arc::clone(users));
        let thread = std::thread::spawn(move || {
            runtime()?.block_on(async {
                let visitors = (0..at_once).map(|number| insist(address, &users, number, &seen));
                futures_util::future::try_join_all(visitors).await.map(drop)
            })
        });
        let storm = Storm { tally, thread };
        while storm.tally.answers() < at_once as u64 && !storm.thread.is_finished() {
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(storm)
    }

    pub(crate) fn end(self) -> Result<Arc<Tally>> {
        self.tally.over.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| "the storm's thread panicked")??;
        Ok(self.tally)
    }
}

impl Tally {
    fn answers(&self) -> u64 {
        self.succeeded.load(Ordering::Relaxed) + self.put_off.load(Ordering::Relaxed)
    }
}

async fn insist(
    address: SocketAddr,
    users: &[Credentials],
    number: usize,
    tally: &Tally,
) -> Result<()> {
    let user = users.get(number % users.len().max(1)).ok_or("no user to log in")?;
    let mut visitor = Visitor::arrive(address).await?;
    while !tally.over.load(Ordering::Relaxed) {
        let answer = visitor.post(user).await?;
        if session(&answer).is_some() {
            tally.succeeded.fetch_add(1, Ordering::Relaxed);
        } else if matches!(
            answer.status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        ) {
            tally.put_off.fetch_add(1, Ordering::Relaxed);
            // Without a rest the refusals themselves would become the load.
            tokio::time::sleep(Duration::from_millis(100)).await;
        } else {
            return Err(format!("`{}` could not log in; {}", user.name, answer.describe()).into());
        }
    }
    Ok(())
}

/// A browser without a session.
struct Visitor {
    address: SocketAddr,
    connection: Connection,
    cookie: String,
    token: String,
}

impl Visitor {
    /// Opens the login page.
    async fn arrive(address: SocketAddr) -> Result<Visitor> {
        let mut connection = Connection::open(address).await?;
        let page = connection.get(LOGIN, "").await?;
        let token = token(&page)
            .ok_or_else(|| format!("no login form with a CSRF token; {}", page.describe()))?;
        let cookie = page.cookies().collect::<Vec<_>>().join("; ");
        Ok(Visitor { address, connection, cookie, token })
    }

    /// Logs in and returns the new session's cookie; this visitor forgets it and can log in again.
    async fn log_in(&mut self, user: &Credentials) -> Result<String> {
        let mut answer = self.post(user).await?;
        if answer.status == StatusCode::FORBIDDEN {
            // The form was too old. A browser's user would reload the page.
            *self = Visitor::arrive(self.address).await?;
            answer = self.post(user).await?;
        }
        session(&answer).ok_or_else(|| {
            format!("`{}` could not log in; {}", user.name, answer.describe()).into()
        })
    }

    async fn post(&mut self, user: &Credentials) -> Result<Answer> {
        let form = Serializer::new(String::new())
            .append_pair("csrfmiddlewaretoken", &self.token)
            .append_pair("username", &user.name)
            .append_pair("password", &user.password)
            .append_pair("next", "/")
            .finish();
        self.connection.post(LOGIN, &self.cookie, form).await
    }
}

fn session(answer: &Answer) -> Option<String> {
    let id = answer.cookies().find_map(|cookie| cookie.strip_prefix("sessionid="))?;
    (answer.status == StatusCode::FOUND && !id.is_empty()).then(|| id.to_owned())
}

fn token(page: &Answer) -> Option<String> {
    let text = String::from_utf8_lossy(&page.body);
    let (before, after) = text.split_once("name=\"csrfmiddlewaretoken\"")?;
    let start = before.rsplit_once("<input")?.1;
    let end = after.split_once('>')?.0;
    let value = |part: &str| Some(part.split_once("value=\"")?.1.split_once('"')?.0.to_owned());
    value(end).or_else(|| value(start))
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}
