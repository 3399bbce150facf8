//! Ends what is open when the right to it does.
//!
//! The rest of the gateway asks who somebody is and what is allowed once, at the beginning of a
//! request. What is still open afterwards, a WebSocket or a download, is looked at again when
//! anything happens that may end it: a session ends, a user changes, the configuration is read
//! again, a moment comes. Whoever would not be admitted any more is cut off.

use std::collections::HashMap;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;

use super::connection::Connection;
use super::settings::Route;
use super::stop::Stop;
use super::streams::{Admitted, CameBy, Number};
use super::visitor::{self, Still};
use super::{Policy, Worker};
use crate::accounts::{Changed, Known};
use crate::domain::{Decision, RequestPath, SessionKey, Timestamp, UserId, Visitor, authorize};
use crate::sessions::{Health, Loaded, Record};
use crate::telemetry::Revoked;

/// How many streams are looked at before something else has its turn.
const AT_ONCE: usize = 128;

/// How many users or sessions are asked for at once.
const ASKED_AT_ONCE: usize = 500;

/// For how long a stream stays open when the users' database, or the store of the sessions, cannot be
/// asked whether it may. One that is busy for a moment should not cut everybody off; one that is
/// lost must not keep a door open.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait before it is asked again.
const PAUSE: Duration = Duration::from_millis(100);

/// Why streams are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Occasion {
    /// Another policy is in force.
    Reload,
    /// The user has changed, and is not known yet.
    User,
    /// Anything else.
    Other,
}

/// What is said of a stream.
enum Finding {
    /// It stays, and is to be looked at again at this moment, if at any.
    Stays(Option<Timestamp>),
    /// It ends.
    Ends(Revoked),
    /// Something has to be asked for first.
    Unknown(Unknown),
}

/// What has to be asked for before it can be said of a stream whether it stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Unknown {
    User(UserId),
    /// A session that is in a shared store, and not known here.
    Session(SessionKey),
}

/// Sessions as a shared store has them now, because they are not known here.
type Fetched = HashMap<SessionKey, Option<Record>>;

impl Worker {
    /// Looks at a connection with something on it that lasts; called once a tick.
    pub fn look_at(&self, connection: &Rc<Connection>) {
        connection.look();
        if connection.watch().take_heard() {
            self.hear(connection);
        }
    }

    /// Notes that the visitor was heard of: who sends something is not idle.
    pub(super) fn hear(&self, connection: &Connection) {
        let now = self.now.get();
        let stream = connection.stream().filter(|_| connection.hear(now));
        if let Some(admitted) = stream.and_then(|number| self.streams.admitted(number))
            && let Some(came_by) = &admitted.came_by
        {
            let policy = self.policy();
            self.gateway.sessions.hear(&came_by.key, now, &policy.0.sessions.lifetime);
        }
    }

    /// What a request is answered whose right was taken back while the application had it.
    pub(super) fn stop(&self, connection: &Connection, why: Revoked, route: &Route) -> Box<Stop> {
        let admitted = connection.stream().and_then(|number| self.streams.admitted(number));
        Box::new(Stop::revoked(why, admitted.as_deref(), route))
    }

    /// Looks after the worker's streams, for as long as it works.
    pub async fn watch_over_streams(self: Rc<Self>) {
        let mut ended = self.gateway.sessions.ended();
        let mut changes = self.gateway.directory.changes();
        let mut reloads = self.gateway.reloads.subscribe();
        loop {
            let (numbers, occasion) = tokio::select! {
                // Users first: a command that ends sessions because of what it did to their user
                // tells both, and the user is the reason.
                biased;
                changed = changes.recv() => match changed {
                    Ok(Changed::Users(users)) => (self.streams.of_users(&users), Occasion::User),
                    Ok(Changed::Anybody) | Err(RecvError::Lagged(_)) => {
                        (self.streams.of_anybody(), Occasion::Other)
                    }
                    Err(RecvError::Closed) => return,
                },
                key = ended.recv() => match key {
                    Ok(key) => (self.streams.of_session(key), Occasion::Other),
                    Err(RecvError::Lagged(_)) => (self.streams.of_anybody(), Occasion::Other),
                    // The sessions are ours as well, so this cannot be.
                    Err(RecvError::Closed) => return,
                },
                changed = reloads.changed() => match changed {
                    Ok(()) => (self.streams.all(), Occasion::Reload),
                    Err(_) => return,
                },
                () = self.streams.stir() => {
                    self.examine(self.streams.take_due(self.now.get()), Occasion::Other).await;
                    continue;
                }
            };
            self.examine(numbers, occasion).await;
        }
    }

    /// Looks at streams with what is in memory; what is not is asked for meanwhile.
    async fn examine(self: &Rc<Self>, numbers: Vec<Number>, occasion: Occasion) {
        self.examine_with(Fetched::new(), numbers, occasion).await;
    }

    async fn examine_with(
        self: &Rc<Self>,
        fetched: Fetched,
        numbers: Vec<Number>,
        occasion: Occasion,
    ) {
        let cached = |user| self.gateway.directory.cached(user, self.now.get());
        let unknown = self.judge_each(numbers, occasion, &fetched, cached).await;
        self.fetch_of(&unknown, occasion);
        let mut of_users: HashMap<UserId, Vec<Number>> = HashMap::new();
        for (unknown, number) in unknown {
            if let Unknown::User(user) = unknown {
                of_users.entry(user).or_default().push(number);
            }
        }
        let (fetched, mut of_users) = (Rc::new(fetched), of_users.into_iter().collect::<Vec<_>>());
        while !of_users.is_empty() {
            let some = of_users.split_off(of_users.len().saturating_sub(ASKED_AT_ONCE));
            tokio::task::spawn_local(Rc::clone(self).ask(some, Rc::clone(&fetched), occasion));
        }
    }

    /// Has the store asked for the sessions among what is unknown.
    fn fetch_of(self: &Rc<Self>, unknown: &[(Unknown, Number)], occasion: Occasion) {
        let mut of_sessions: HashMap<SessionKey, Vec<Number>> = HashMap::new();
        for (unknown, number) in unknown {
            if let Unknown::Session(key) = unknown {
                of_sessions.entry(*key).or_default().push(*number);
            }
        }
        let mut of_sessions: Vec<_> = of_sessions.into_iter().collect();
        while !of_sessions.is_empty() {
            let some = of_sessions.split_off(of_sessions.len().saturating_sub(ASKED_AT_ONCE));
            // Boxed, because it comes by here again itself.
            let fetching: Pin<Box<dyn Future<Output = ()>>> =
                Box::pin(Rc::clone(self).fetch(some, occasion));
            tokio::task::spawn_local(fetching);
        }
    }

    /// Asks the database for users, and looks at their streams then.
    async fn ask(
        self: Rc<Self>,
        of_users: Vec<(UserId, Vec<Number>)>,
        fetched: Rc<Fetched>,
        occasion: Occasion,
    ) {
        let (users, numbers): (Vec<_>, Vec<_>) = of_users.into_iter().unzip();
        let numbers = numbers.concat();
        let Ok(known) = tokio::time::timeout(PATIENCE, self.insist(users)).await else {
            tracing::error!("streams were ended because their users could not be asked for");
            return numbers.iter().for_each(|&n| self.streams.revoke(n, Revoked::Undecided));
        };
        let known = |user| known.get(&user).cloned();
        let unknown = self.judge_each(numbers, occasion, &fetched, known).await;
        self.fetch_of(&unknown, occasion);
        for (unknown, number) in unknown {
            if matches!(unknown, Unknown::User(_)) {
                self.streams.revoke(number, Revoked::Undecided);
            }
        }
    }

    /// Asks the store for sessions, and looks at their streams then.
    async fn fetch(
        self: Rc<Self>,
        of_sessions: Vec<(SessionKey, Vec<Number>)>,
        occasion: Occasion,
    ) {
        let asked = of_sessions.iter().map(|(key, _)| self.insist_on(*key));
        let answers = futures_util::future::join_all(asked).await;
        let (mut fetched, mut numbers) = (Fetched::new(), Vec::new());
        for ((key, streams), answer) in of_sessions.into_iter().zip(answers) {
            match answer {
                Some(found) => {
                    fetched.insert(key, found);
                    numbers.extend(streams);
                }
                // The log has told of the store already.
                None => streams.iter().for_each(|&n| self.streams.revoke(n, Revoked::Undecided)),
            }
        }
        self.examine_with(fetched, numbers, occasion).await;
    }

    /// A session as the store has it, however often it takes; nothing when it takes too long, or
    /// the store is lost.
    async fn insist_on(&self, key: SessionKey) -> Option<Option<Record>> {
        let sessions = &self.gateway.sessions;
        let asking = async {
            loop {
                let lifetime = self.policy().0.sessions.lifetime;
                match sessions.find(key, self.now.get(), &lifetime).await {
                    Ok(found) => return Some(found),
                    Err(_) if sessions.health() == Health::Lost => return None,
                    Err(_in_the_log) => tokio::time::sleep(PAUSE).await,
                }
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.ok().flatten()
    }

    /// Loads users, however often it takes.
    async fn insist(&self, users: Vec<UserId>) -> HashMap<UserId, Known> {
        let mut has_failed = false;
        loop {
            match self.gateway.directory.users(users.clone(), self.now.get()).await {
                Ok(found) => return found.into_iter().collect(),
                Err(error) if !has_failed => {
                    tracing::warn!(%error, "users with open streams cannot be asked for");
                    has_failed = true;
                }
                Err(_as_before) => {}
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Looks at each of these streams, if it is still there, and ends it or not; says which could
    /// not be decided on because their user is not `known`, or their session neither here nor
    /// `fetched`.
    async fn judge_each(
        &self,
        numbers: Vec<Number>,
        occasion: Occasion,
        fetched: &Fetched,
        known: impl Fn(UserId) -> Option<Known>,
    ) -> Vec<(Unknown, Number)> {
        let _looking = self.streams.look_at();
        let mut unknown = Vec::new();
        let mut over = Vec::new();
        for (index, number) in numbers.into_iter().enumerate() {
            if index % AT_ONCE == AT_ONCE - 1 {
                tokio::task::yield_now().await;
            }
            let Some(admitted) = self.streams.admitted(number) else { continue };
            match self.judge(&admitted, number, occasion, fetched, &known) {
                Finding::Stays(Some(look)) => self.streams.look_again(number, look),
                Finding::Stays(None) => {}
                Finding::Ends(why) => {
                    self.streams.revoke(number, why);
                    over.extend(
                        admitted.came_by.as_ref().filter(|_| why == Revoked::User).map(|by| by.key),
                    );
                }
                Finding::Unknown(what) => unknown.push((what, number)),
            }
        }
        // As when a request comes by such a session: it stands for nobody, and does not come to life
        // again when the user is activated.
        for key in over {
            self.gateway.sessions.discard(key);
        }
        unknown
    }

    /// Asks of a stream what was asked of its request, as of now.
    fn judge(
        &self,
        admitted: &Admitted,
        number: Number,
        occasion: Occasion,
        fetched: &Fetched,
        known: impl Fn(UserId) -> Option<Known>,
    ) -> Finding {
        let policy = self.policy();
        let policy: &Policy = &policy.0;
        let (visitor, look) = match &admitted.came_by {
            None => (Visitor::Anonymous, None),
            Some(came_by) => {
                let found = match self.session(policy, came_by, fetched) {
                    Ok(found) => found,
                    Err(key) => return Finding::Unknown(Unknown::Session(key)),
                };
                match self.is_still(policy, came_by, found, occasion, known) {
                    Still::Here(Visitor::Anonymous) => (Visitor::Anonymous, None),
                    Still::Here(visitor) => {
                        let look = came_by.ends.get().min(self.look_by_refresh(number));
                        (visitor, Some(look))
                    }
                    Still::Gone(why) => return Finding::Ends(why),
                    Still::Unknown(user) => return Finding::Unknown(Unknown::User(user)),
                }
            }
        };
        match may_pass(policy, admitted, &visitor) {
            true => Finding::Stays(look),
            false if occasion == Occasion::Reload => Finding::Ends(Revoked::Reload),
            false => Finding::Ends(Revoked::Right),
        }
    }

    /// The session as it is now, if it is live; or which has to be asked for.
    fn session(
        &self,
        policy: &Policy,
        came_by: &CameBy,
        fetched: &Fetched,
    ) -> Result<Option<Record>, SessionKey> {
        let lifetime = &policy.sessions.lifetime;
        match self.gateway.sessions.look(&came_by.key, self.now.get(), lifetime) {
            Loaded::Live(record) => Ok(Some(record)),
            Loaded::Nothing => Ok(None),
            Loaded::NotHere(key) => fetched.get(&key).cloned().ok_or(key),
        }
    }

    fn is_still(
        &self,
        policy: &Policy,
        came_by: &CameBy,
        found: Option<Record>,
        occasion: Occasion,
        known: impl Fn(UserId) -> Option<Known>,
    ) -> Still {
        if occasion == Occasion::User {
            came_by.is_doubtful.set(true);
        }
        visitor::is_still(policy, came_by, found, self.now.get(), known)
    }

    /// When to look whether the user has changed without anybody saying so: within
    /// `users.refresh`, and not at all streams in the same second.
    fn look_by_refresh(&self, number: Number) -> Timestamp {
        let half = (self.gateway.directory.refresh() / 2).as_secs();
        let spread = number % (half + 1);
        self.now.get().after(Duration::from_secs((half + spread).max(1)))
    }
}

/// Whether the rules let the visitor pass as they did. Whatever they say but "yes" is a "no".
fn may_pass(policy: &Policy, admitted: &Admitted, visitor: &Visitor) -> bool {
    let circumstances = admitted.circumstances();
    let (Ok(site), Ok(path)) =
        (policy.site(circumstances.host), RequestPath::parse(&*admitted.target))
    else {
        return false;
    };
    match authorize(&site.rules, visitor, path, &circumstances, ()) {
        Decision::Allow(_) => true,
        Decision::LogIn(_)
        | Decision::Deny(_)
        | Decision::OddPath(_)
        | Decision::Ambiguous
        | Decision::Broken(_) => false,
    }
}
