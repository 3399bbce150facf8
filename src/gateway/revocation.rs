//! Ends what is open when the right to it does.
//!
//! The rest of the gateway asks who somebody is and what is allowed once, at the beginning of a
//! request. What is still open afterwards, a WebSocket or a download, is looked at again when
//! anything happens that may end it: a session ends, a user changes, the configuration is read
//! again, a moment comes. Whoever would not be admitted any more is cut off.

use std::collections::HashMap;
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
use crate::domain::{Decision, RequestPath, Timestamp, UserId, Visitor, authorize};
use crate::telemetry::Revoked;

/// How many streams are looked at before something else has its turn.
const AT_ONCE: usize = 128;

/// How many users are asked for at once.
const USERS_AT_ONCE: usize = 500;

/// For how long a stream stays open when the users' database cannot be asked whether it may. A
/// database that is busy for a moment should not cut everybody off; one that is lost must not keep
/// a door open.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait before the database is asked again.
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
    /// This user has to be asked for first.
    Unknown(UserId),
}

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

    /// Looks at streams with what is in memory; for what is not, the database is asked meanwhile.
    async fn examine(self: &Rc<Self>, numbers: Vec<Number>, occasion: Occasion) {
        let cached = |user| self.gateway.directory.cached(user, self.now.get());
        let unknown = self.judge_each(numbers, occasion, cached).await;
        let mut of_users: HashMap<UserId, Vec<Number>> = HashMap::new();
        for (user, number) in unknown {
            of_users.entry(user).or_default().push(number);
        }
        let mut of_users: Vec<_> = of_users.into_iter().collect();
        while !of_users.is_empty() {
            let some = of_users.split_off(of_users.len().saturating_sub(USERS_AT_ONCE));
            tokio::task::spawn_local(Rc::clone(self).ask(some, occasion));
        }
    }

    /// Asks the database for users, and looks at their streams then.
    async fn ask(self: Rc<Self>, of_users: Vec<(UserId, Vec<Number>)>, occasion: Occasion) {
        let (users, numbers): (Vec<_>, Vec<_>) = of_users.into_iter().unzip();
        let numbers = numbers.concat();
        let Ok(known) = tokio::time::timeout(PATIENCE, self.insist(users)).await else {
            tracing::error!("streams were ended because their users could not be asked for");
            return numbers.iter().for_each(|&n| self.streams.revoke(n, Revoked::Undecided));
        };
        let known = |user| known.get(&user).cloned();
        for (_, number) in self.judge_each(numbers, occasion, known).await {
            self.streams.revoke(number, Revoked::Undecided);
        }
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
    /// not be decided on because their user is not `known`.
    async fn judge_each(
        &self,
        numbers: Vec<Number>,
        occasion: Occasion,
        known: impl Fn(UserId) -> Option<Known>,
    ) -> Vec<(UserId, Number)> {
        let _looking = self.streams.look_at();
        let mut unknown = Vec::new();
        let mut over = Vec::new();
        for (index, number) in numbers.into_iter().enumerate() {
            if index % AT_ONCE == AT_ONCE - 1 {
                tokio::task::yield_now().await;
            }
            let Some(admitted) = self.streams.admitted(number) else { continue };
            match self.judge(&admitted, number, occasion, &known) {
                Finding::Stays(Some(look)) => self.streams.look_again(number, look),
                Finding::Stays(None) => {}
                Finding::Ends(why) => {
                    self.streams.revoke(number, why);
                    over.extend(
                        admitted.came_by.as_ref().filter(|_| why == Revoked::User).map(|by| by.key),
                    );
                }
                Finding::Unknown(user) => unknown.push((user, number)),
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
        known: impl Fn(UserId) -> Option<Known>,
    ) -> Finding {
        let policy = self.policy();
        let policy: &Policy = &policy.0;
        let (visitor, look) = match &admitted.came_by {
            None => (Visitor::Anonymous, None),
            Some(came_by) => match self.is_still(policy, came_by, occasion, known) {
                Still::Here(Visitor::Anonymous) => (Visitor::Anonymous, None),
                Still::Here(visitor) => {
                    let look = came_by.ends.get().min(self.look_by_refresh(number));
                    (visitor, Some(look))
                }
                Still::Gone(why) => return Finding::Ends(why),
                Still::Unknown(user) => return Finding::Unknown(user),
            },
        };
        match may_pass(policy, admitted, &visitor) {
            true => Finding::Stays(look),
            false if occasion == Occasion::Reload => Finding::Ends(Revoked::Reload),
            false => Finding::Ends(Revoked::Right),
        }
    }

    fn is_still(
        &self,
        policy: &Policy,
        came_by: &CameBy,
        occasion: Occasion,
        known: impl Fn(UserId) -> Option<Known>,
    ) -> Still {
        if occasion == Occasion::User {
            came_by.is_doubtful.set(true);
        }
        visitor::is_still(&self.gateway, policy, came_by, self.now.get(), known)
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
