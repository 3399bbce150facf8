//! What every store of sessions does: one suite of behaviours, run on the memory of one gateway, on
//! its disk, and on a Redis that two gateways share.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(
    clippy::disallowed_methods,
    reason = "tests stand outside: their deadlines read the real clock"
)]

#[path = "it/support/redis.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod redis_server;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis_server::RedisServer;
use tempfile::TempDir;
use tokio::sync::broadcast;
use vestibule::domain::password::PasswordHasher;
use vestibule::domain::session::Lifetime;
use vestibule::domain::session_data::{DataChange, DataError};
use vestibule::domain::{
    Client, Device, PasswordHash, SessionData, SessionId, SessionKey, Timestamp, User, UserId,
    Verified,
};
use vestibule::sessions::{
    Cursor, Found, Health, KeyPrefix, Loaded, Record, Sessions, Settings, SharedSettings, Store,
    StoreUrl, Unavailable,
};

/// Redis drops what has expired by its own clock, so the tests' time is not long past.
fn now() -> Timestamp {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    Timestamp::from_seconds(since.as_secs())
}

fn later(seconds: u64) -> Timestamp {
    now().after(Duration::from_secs(seconds))
}

struct AnyPassword;

impl PasswordHasher for AnyPassword {
    fn matches(&self, _password: &str, _hash: &PasswordHash) -> bool {
        true
    }
    fn pretend(&self, _password: &str) {}
}

fn somebody(id: i64, password: &str) -> Verified {
    let user = User {
        id: UserId(id),
        username: format!("user{id}"),
        first_name: String::new(),
        last_name: String::new(),
        email: String::new(),
        password: PasswordHash::from_encoded(format!("argon2${password}")),
        is_staff: false,
        is_active: true,
        is_superuser: false,
        last_login: None,
        date_joined: Timestamp::from_seconds(0),
        groups: Vec::new(),
        permissions: BTreeSet::new(),
        group_permissions: BTreeSet::new(),
        profile: BTreeMap::new(),
        has_messages: false,
    };
    Verified::check(Some(Arc::new(user)), "secret", &AnyPassword).unwrap()
}

fn client() -> Client {
    Client { address: "192.0.2.7".parse().unwrap(), device: Device::of("curl/8.5.0") }
}

const LIFETIME: Lifetime =
    Lifetime { age: Duration::from_secs(100_000), idle: None, absolute: None };

fn set(key: &str, value: &str) -> DataChange {
    DataChange::Set(key.into(), value.into())
}

/// Two gateways that share their sessions; one that is both when nothing is shared.
struct Stage {
    here: Sessions,
    there: Option<Sessions>,
    redis: Option<RedisServer>,
    _directory: Option<TempDir>,
}

fn shared(redis: &RedisServer, prefix: &str, grace: Duration) -> Settings {
    let url = StoreUrl::parse(&redis.url()).unwrap();
    let store = Store::Shared(SharedSettings { url, prefix: prefix.to_owned(), grace });
    Settings { store, lifetime: LIFETIME, ..Settings::default() }
}

async fn open(settings: &Settings) -> Sessions {
    Sessions::open(settings, Path::new("none"), now).await.unwrap()
}

impl Stage {
    async fn in_memory() -> Self {
        Self { here: Sessions::default(), there: None, redis: None, _directory: None }
    }

    async fn on_disk() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings = Settings { lifetime: LIFETIME, ..Settings::default() };
        let here = Sessions::open(&settings, directory.path(), now).await.unwrap();
        Self { here, there: None, redis: None, _directory: Some(directory) }
    }

    async fn in_redis() -> Self {
        Self::with_grace(Duration::from_secs(60)).await
    }

    async fn with_grace(grace: Duration) -> Self {
        let redis = RedisServer::start();
        let settings = shared(&redis, "vestibule:", grace);
        let (here, there) = (open(&settings).await, open(&settings).await);
        Self { here, there: Some(there), redis: Some(redis), _directory: None }
    }

    fn redis(&self) -> &RedisServer {
        self.redis.as_ref().unwrap()
    }

    fn there(&self) -> &Sessions {
        self.there.as_ref().unwrap_or(&self.here)
    }
}

async fn log_in(sessions: &Sessions, user: i64, previous: Option<&SessionId>) -> SessionId {
    let verified = somebody(user, "x");
    sessions.log_in(&verified, previous, client(), now(), &LIFETIME).await.unwrap()
}

/// What a request finds: from memory, or from the store if that has to be asked.
async fn visit(
    sessions: &Sessions,
    id: &SessionId,
    now: Timestamp,
    lifetime: &Lifetime,
) -> Result<Option<Record>, Unavailable> {
    match sessions.load(id, now, lifetime) {
        Loaded::Live(record) => Ok(Some(record)),
        Loaded::Nothing => Ok(None),
        Loaded::NotHere(key) => sessions.fetch(key, now, lifetime).await,
    }
}

async fn is_in(sessions: &Sessions, id: &SessionId) -> bool {
    visit(sessions, id, now(), &LIFETIME).await.unwrap().is_some()
}

async fn data(sessions: &Sessions, id: &SessionId) -> Vec<(String, String)> {
    let record = visit(sessions, id, now(), &LIFETIME).await.unwrap().unwrap();
    let pairs = |data: &SessionData| {
        data.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    };
    record.data.as_deref().map(pairs).unwrap_or_default()
}

/// Visits until the session is in memory: an answer is not kept when Redis tells meanwhile that the
/// session changed, be it of the login itself.
async fn comes_to_be_known(sessions: &Sessions, id: &SessionId) {
    eventually("it is known", async || {
        assert!(is_in(sessions, id).await);
        sessions.look(&SessionKey::of(id), now(), &LIFETIME).live().is_some()
    })
    .await;
}

/// Waits until `condition` holds.
async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition().await {
        assert!(Instant::now() < deadline, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

macro_rules! contract {
    ($($behaviour:ident),* $(,)?) => {
        contract!(@each in_memory: $($behaviour)*);
        contract!(@each on_disk: $($behaviour)*);
        contract!(@each in_redis: $($behaviour)*);
    };
    (@each $store:ident: $($behaviour:ident)*) => {
        mod $store {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $behaviour() {
                super::$behaviour(super::Stage::$store().await).await;
            })*
        }
    };
}

contract! {
    login_is_known_everywhere_as_it_was_made,
    login_changes_the_id_and_ends_the_old_one,
    login_takes_over_what_an_anonymous_visitor_had_and_nothing_of_somebody_else,
    expiry_is_checked_whoever_sweeps,
    idle_session_ends_and_one_in_use_elsewhere_does_not,
    absolute_timeout_holds_however_busy_a_session_is,
    ended_session_stays_ended,
    session_ended_among_requests_is_out_for_whoever_comes_later,
    discarded_session_stays_discarded,
    changes_of_different_keys_at_once_all_survive,
    changes_are_made_in_order_and_all_or_none,
    of_two_who_swap_what_is_the_gateways_own_one_comes_too_late,
    data_is_bounded,
    sessions_of_a_user_can_be_ended_but_for_one,
    sessions_of_a_user_are_found_with_what_is_known_of_them,
    all_sessions_can_be_ended,
    parts_are_every_session_and_nothing_is_held_between_them,
    few_digits_are_enough_where_one_key_alone_begins_so,
    what_expired_is_swept,
    import_keeps_what_was_seen_later,
    whoever_listens_is_told_what_ended,
}

async fn login_is_known_everywhere_as_it_was_made(stage: Stage) {
    let begun = now();
    let id = log_in(&stage.here, 7, None).await;
    for sessions in [&stage.here, stage.there(), stage.there()] {
        let record = visit(sessions, &id, now(), &LIFETIME).await.unwrap().unwrap();
        let login = record.login.unwrap();
        assert_eq!(login.user(), UserId(7));
        assert_eq!(login.password(), somebody(7, "x").user().password.mark());
        assert_eq!((record.client, record.data.is_none()), (client(), true));
        assert!(record.span.started >= begun);
        assert_eq!(record.span.expires, record.span.started.after(LIFETIME.age));
        assert_eq!(login.span(), record.span);
        assert_eq!(record.client.device.to_string(), "curl");
        assert_eq!(sessions.find(SessionKey::of(&id), now(), &LIFETIME).await, Ok(Some(record)));
    }
    comes_to_be_known(&stage.here, &id).await;
    assert_eq!(stage.here.len(), 1);
    let other = SessionId::from_random(&[7; 64]).unwrap();
    assert!(!is_in(&stage.here, &other).await && !is_in(stage.there(), &other).await);
}

async fn login_changes_the_id_and_ends_the_old_one(stage: Stage) {
    let first = log_in(&stage.here, 1, None).await;
    assert!(is_in(&stage.here, &first).await && is_in(stage.there(), &first).await);
    let second = log_in(stage.there(), 1, Some(&first)).await;
    assert!(!is_in(stage.there(), &first).await);
    assert!(is_in(&stage.here, &second).await);
    eventually("the old one is out", async || !is_in(&stage.here, &first).await).await;
    assert_ne!(first.reveal(), second.reveal());
    let left = stage.here.of_user(UserId(1)).await.unwrap();
    assert_eq!(left.into_iter().map(|(key, _)| key).collect::<Vec<_>>(), [SessionKey::of(&second)]);
}

async fn login_takes_over_what_an_anonymous_visitor_had_and_nothing_of_somebody_else(stage: Stage) {
    let anonymous = stage.here.begin_anonymous(client(), now(), &LIFETIME).await.unwrap();
    let cart = [set("cart", "[1]")];
    let key = SessionKey::of(&anonymous);
    let changed = stage.here.change_data(key, &cart, now(), &LIFETIME).await;
    assert!(changed.unwrap().unwrap().unwrap().login.is_none());

    let ada = log_in(stage.there(), 1, Some(&anonymous)).await;
    assert_eq!(data(&stage.here, &ada).await, [("cart".to_owned(), "[1]".to_owned())]);
    let again = log_in(&stage.here, 1, Some(&ada)).await;
    assert_eq!(data(&stage.here, &again).await.len(), 1, "the same user keeps it");
    let other_password = somebody(1, "y");
    let flushed =
        stage.here.log_in(&other_password, Some(&again), client(), now(), &LIFETIME).await;
    let flushed = flushed.unwrap();
    assert_eq!(data(&stage.here, &flushed).await, [], "not after a change of the password");

    let bob = log_in(&stage.here, 2, None).await;
    stage.here.change_data(SessionKey::of(&bob), &cart, now(), &LIFETIME).await.unwrap();
    let ada = log_in(&stage.here, 1, Some(&bob)).await;
    assert_eq!(data(stage.there(), &ada).await, [], "bob's is not ada's");
}

async fn expiry_is_checked_whoever_sweeps(stage: Stage) {
    let id = log_in(&stage.here, 1, None).await;
    let age = LIFETIME.age.as_secs();
    let there = stage.there();
    assert!(visit(there, &id, later(age - 10), &LIFETIME).await.unwrap().is_some());
    assert!(visit(there, &id, later(age + 10), &LIFETIME).await.unwrap().is_none());
    assert!(there.is_empty());
    // Whoever found it over has ended it for good.
    eventually("it is gone", async || !is_in(&stage.here, &id).await).await;
}

async fn idle_session_ends_and_one_in_use_elsewhere_does_not(stage: Stage) {
    let lifetime = Lifetime { idle: Some(Duration::from_secs(60)), ..LIFETIME };
    let (here, there) = (&stage.here, stage.there());
    let id = log_in(here, 1, None).await;
    comes_to_be_known(here, &id).await;
    assert!(visit(there, &id, now(), &lifetime).await.unwrap().is_some());
    // It is used at one gateway alone, for much longer than the other would wait.
    for step in 1..=10 {
        assert!(visit(here, &id, later(step * 50), &lifetime).await.unwrap().is_some());
    }
    here.flush().await;
    assert!(visit(there, &id, later(10 * 50 + 50), &lifetime).await.unwrap().is_some());
    there.flush().await;
    assert!(visit(here, &id, later(10 * 50 + 50 + 70), &lifetime).await.unwrap().is_none());
}

async fn absolute_timeout_holds_however_busy_a_session_is(stage: Stage) {
    let lifetime = Lifetime { absolute: Some(Duration::from_secs(1500)), ..LIFETIME };
    let id = log_in(&stage.here, 1, None).await;
    assert!(visit(&stage.here, &id, later(900), &lifetime).await.unwrap().is_some());
    stage.here.renew(&id, later(900), &lifetime);
    assert!(visit(&stage.here, &id, later(1490), &lifetime).await.unwrap().is_some());
    for sessions in [stage.there(), &stage.here] {
        assert!(visit(sessions, &id, later(1510), &lifetime).await.unwrap().is_none());
    }
}

async fn ended_session_stays_ended(stage: Stage) {
    let id = log_in(&stage.here, 1, None).await;
    let key = SessionKey::of(&id);
    assert!(is_in(&stage.here, &id).await && is_in(stage.there(), &id).await);
    assert_eq!(stage.there().end(key).await, Ok(true));
    assert_eq!(stage.there().end(key).await, Ok(false));
    stage.there().discard(key);
    // A request at another gateway, which may not have heard of it yet.
    stage.here.renew(&id, later(10), &LIFETIME);
    let changed = stage.here.change_data(key, &[set("a", "1")], now(), &LIFETIME).await;
    assert_eq!(changed, Ok(None));
    stage.here.flush().await;
    stage.there().flush().await;
    for sessions in [&stage.here, stage.there()] {
        assert!(!is_in(sessions, &id).await);
        assert_eq!(sessions.find(key, now(), &LIFETIME).await, Ok(None));
    }
    if let Some(redis) = &stage.redis {
        assert_eq!(redis.says("DBSIZE"), ":0", "nothing of it is left behind");
    }
}

/// What is under way when a session ends must not put it back, at the gateway that ends it not for a moment.
async fn session_ended_among_requests_is_out_for_whoever_comes_later(stage: Stage) {
    let stage = Arc::new(stage);
    for round in 0..100 {
        let id = log_in(&stage.here, 1, None).await;
        let key = SessionKey::of(&id);
        let mut visitors = tokio::task::JoinSet::new();
        for number in 0..8 {
            let (stage, id) = (Arc::clone(&stage), id.clone());
            visitors.spawn(async move {
                let sessions = if number % 2 == 0 { &stage.here } else { stage.there() };
                for step in 0..20 {
                    if step % 5 == number % 5 {
                        let change = [set("a", "1")];
                        drop(sessions.change_data(key, &change, now(), &LIFETIME).await);
                    }
                    sessions.renew(&id, later(step), &LIFETIME);
                    // Asked for, known or not: an answer is under way nearly always.
                    sessions.fetch(key, later(step), &LIFETIME).await.unwrap();
                    visit(sessions, &id, later(step), &LIFETIME).await.unwrap();
                }
            });
        }
        for _ in 0..round % 7 {
            tokio::task::yield_now().await;
        }
        assert_eq!(stage.here.end(key).await, Ok(true));
        assert!(!is_in(&stage.here, &id).await, "round {round}");
        while let Some(done) = visitors.join_next().await {
            done.unwrap();
            assert!(!is_in(&stage.here, &id).await, "round {round}");
        }
        assert_eq!(stage.here.look(&key, now(), &LIFETIME).live(), None);
        eventually("it is out there", async || !is_in(stage.there(), &id).await).await;
    }
}

async fn discarded_session_stays_discarded(stage: Stage) {
    let id = log_in(&stage.here, 1, None).await;
    assert!(is_in(&stage.here, &id).await && is_in(stage.there(), &id).await);
    stage.here.discard(SessionKey::of(&id));
    stage.here.flush().await;
    assert!(!is_in(&stage.here, &id).await);
    eventually("it is out everywhere", async || !is_in(stage.there(), &id).await).await;
}

async fn changes_of_different_keys_at_once_all_survive(stage: Stage) {
    let stage = Arc::new(stage);
    let id = log_in(&stage.here, 1, None).await;
    let key = SessionKey::of(&id);
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..40 {
        let stage = Arc::clone(&stage);
        tasks.spawn(async move {
            let sessions = if number % 2 == 0 { &stage.here } else { stage.there() };
            let change = [set(&format!("k{number}"), &number.to_string())];
            let changed = sessions.change_data(key, &change, now(), &LIFETIME).await;
            let record = changed.unwrap().unwrap().unwrap();
            // Whoever made a change sees it.
            let seen = sessions.find(key, now(), &LIFETIME).await.unwrap().unwrap();
            for record in [record, seen] {
                let data = record.data.unwrap();
                assert_eq!(data.get(&format!("k{number}")), Some(&*number.to_string()));
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    for sessions in [&stage.here, stage.there()] {
        eventually("all are seen", async || data(sessions, &id).await.len() == 40).await;
    }
}

async fn changes_are_made_in_order_and_all_or_none(stage: Stage) {
    let id = log_in(&stage.here, 1, None).await;
    let key = SessionKey::of(&id);
    let change = async |sessions: &Sessions, changes: &[DataChange]| {
        sessions.change_data(key, changes, now(), &LIFETIME).await.unwrap().unwrap().map(|_| ())
    };
    let delete = |key: &str| DataChange::Delete(key.into());
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let changes = [set("a", "1"), set("b", "\"ü\r\n\""), set("a", "3"), delete("nothing")];
    assert_eq!(change(&stage.here, &changes).await, Ok(()));
    assert_eq!(data(&stage.here, &id).await, pairs(&[("a", "3"), ("b", "\"ü\r\n\"")]));
    let refused = change(&stage.here, &[set("c", "4"), set("_x", "5")]).await;
    assert_eq!(refused, Err(DataError::Reserved));
    assert_eq!(data(&stage.here, &id).await.len(), 2);
    assert_eq!(change(&stage.here, &[delete("a"), set("c", "4")]).await, Ok(()));
    assert_eq!(data(&stage.here, &id).await, pairs(&[("b", "\"ü\r\n\""), ("c", "4")]));
    assert_eq!(change(&stage.here, &[DataChange::Clear, set("d", "5")]).await, Ok(()));
    assert_eq!(data(&stage.here, &id).await, pairs(&[("d", "5")]));
    assert_eq!(change(&stage.here, &[DataChange::Clear]).await, Ok(()));
    assert_eq!(data(&stage.here, &id).await, []);
}

async fn of_two_who_swap_what_is_the_gateways_own_one_comes_too_late(stage: Stage) {
    let id = log_in(&stage.here, 1, None).await;
    let key = SessionKey::of(&id);
    let change = async |sessions: &Sessions, changes: &[DataChange]| {
        sessions.change_data(key, changes, now(), &LIFETIME).await.unwrap().unwrap().map(|_| ())
    };
    let swap = |from: Option<&str>, to: Option<&str>| DataChange::Swap {
        key: "_own",
        from: from.map(Into::into),
        to: to.map(Into::into),
    };
    assert_eq!(change(&stage.here, &[swap(None, Some("")), set("a", "1")]).await, Ok(()));
    let late = [swap(None, Some("[2]")), set("a", "2")];
    assert_eq!(change(stage.there(), &late).await, Err(DataError::Changed));
    assert_eq!(change(stage.there(), &[swap(Some("[1]"), None)]).await, Err(DataError::Changed));
    let seen = stage.here.find(key, now(), &LIFETIME).await.unwrap().unwrap().data.unwrap();
    assert_eq!((seen.own("_own"), seen.get("_own"), seen.get("a")), (Some(""), None, Some("1")));
    assert_eq!(change(stage.there(), &[DataChange::Clear]).await, Ok(()));
    // Taken out once, whoever does it.
    let (one, other) = ([swap(Some(""), Some("[3]"))], [swap(Some(""), None)]);
    let (one, other) = tokio::join!(change(&stage.here, &one), change(stage.there(), &other));
    assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
}

async fn data_is_bounded(stage: Stage) {
    let id = log_in(&stage.here, 1, None).await;
    let key = SessionKey::of(&id);
    let change = async |changes: &[DataChange]| {
        let changed = stage.here.change_data(key, changes, now(), &LIFETIME).await;
        changed.unwrap().unwrap().map(|_| ())
    };
    let half = "x".repeat(SessionData::MAX_SIZE / 2 - 1);
    assert_eq!(change(&[set("a", &half)]).await, Ok(()));
    assert_eq!(change(&[set("b", &half)]).await, Ok(()), "to the very byte");
    assert_eq!(change(&[set("c", "")]).await, Err(DataError::TooLarge));
    assert_eq!(change(&[set("b", &format!("{half}x"))]).await, Err(DataError::TooLarge));
    assert_eq!(change(&[DataChange::Delete("a".into()), set("c", "1")]).await, Ok(()));
    assert_eq!(change(&[DataChange::Clear]).await, Ok(()));
    let many: Vec<DataChange> = (0..256).map(|number| set(&number.to_string(), "1")).collect();
    assert_eq!(change(&many).await, Ok(()));
    assert_eq!(change(&[set("one-more", "1")]).await, Err(DataError::TooLarge));
    assert_eq!(change(&[set("255", "2")]).await, Ok(()));
    assert_eq!(data(stage.there(), &id).await.len(), 256);
}

async fn sessions_of_a_user_can_be_ended_but_for_one(stage: Stage) {
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(log_in(&stage.here, 1, None).await);
    }
    let bob = log_in(stage.there(), 2, None).await;
    let anonymous = stage.here.begin_anonymous(client(), now(), &LIFETIME).await.unwrap();
    let kept = SessionKey::of(&ids[2]);
    assert_eq!(stage.there().end_all_of(UserId(3), None).await, Ok(0));
    assert_eq!(stage.there().end_all_of(UserId(1), Some(kept)).await, Ok(4));
    for (number, id) in ids.iter().enumerate() {
        assert_eq!(is_in(stage.there(), id).await, number == 2);
    }
    assert!(is_in(&stage.here, &bob).await && is_in(stage.there(), &anonymous).await);
    assert_eq!(stage.here.end_all_of(UserId(1), None).await, Ok(1));
}

async fn sessions_of_a_user_are_found_with_what_is_known_of_them(stage: Stage) {
    let first = SessionKey::of(&log_in(&stage.here, 1, None).await);
    let second = SessionKey::of(&log_in(stage.there(), 1, None).await);
    log_in(&stage.here, 2, None).await;
    stage.here.begin_anonymous(client(), now(), &LIFETIME).await.unwrap();
    stage.here.change_data(first, &[set("a", "1")], now(), &LIFETIME).await.unwrap();
    for sessions in [&stage.here, stage.there()] {
        let found: BTreeMap<_, _> =
            sessions.of_user(UserId(1)).await.unwrap().into_iter().collect();
        assert_eq!(found.keys().copied().collect::<BTreeSet<_>>(), [first, second].into());
        assert_eq!(found[&first].data.as_deref().and_then(|data| data.get("a")), Some("1"));
        assert_eq!((found[&second].client, &found[&second].data), (client(), &None));
    }
    assert_eq!(stage.there().end(first).await, Ok(true));
    assert_eq!(stage.here.of_user(UserId(1)).await.unwrap().len(), 1);
    assert_eq!(stage.here.of_user(UserId(3)).await, Ok(Vec::new()));
}

async fn all_sessions_can_be_ended(stage: Stage) {
    let mut ids = Vec::new();
    for user in 0..20 {
        ids.push(log_in(&stage.here, user % 3, None).await);
    }
    ids.push(stage.there().begin_anonymous(client(), now(), &LIFETIME).await.unwrap());
    let mut told = stage.here.ended();
    assert_eq!(stage.there().end_all().await, Ok(21));
    assert_eq!(stage.there().end_all().await, Ok(0));
    for id in &ids {
        assert!(!is_in(stage.there(), id).await);
        eventually("it is out everywhere", async || !is_in(&stage.here, id).await).await;
    }
    if stage.there.is_none() {
        let keys: BTreeSet<_> = std::iter::from_fn(|| told.try_recv().ok()).collect();
        assert_eq!(keys, ids.iter().map(SessionKey::of).collect());
    }
}

/// Every session, a part at a time; `look` is called between two parts.
async fn all(
    sessions: &Sessions,
    mut look: impl AsyncFnMut(&[(SessionKey, Record)]),
) -> Vec<(SessionKey, Record)> {
    let (mut all, mut from) = (Vec::new(), Some(Cursor::default()));
    while let Some(cursor) = from {
        let part = sessions.part(cursor).await.unwrap();
        look(&part.sessions).await;
        all.extend(part.sessions);
        from = part.next;
    }
    all
}

async fn parts_are_every_session_and_nothing_is_held_between_them(stage: Stage) {
    let mut begun = BTreeSet::new();
    for user in 0..1200 {
        begun.insert(SessionKey::of(&log_in(&stage.here, user, None).await));
    }
    assert!(stage.there().count().await.unwrap() >= 1200);
    let shown = all(stage.there(), async |_| ()).await;
    // A table of Redis that shrinks or grows may have one in two of its parts.
    assert!(stage.there.is_some() || shown.len() == 1200, "{}", shown.len());
    let shown: BTreeMap<_, _> = shown.into_iter().collect();
    assert_eq!(shown.keys().copied().collect::<BTreeSet<_>>(), begun);
    let users: BTreeSet<_> = shown.values().map(|record| record.login.unwrap().user()).collect();
    assert_eq!(users.len(), 1200);

    // What would wait for whoever holds a part does not.
    let shown = all(stage.there(), async |part| {
        for (key, _) in part {
            stage.there().end(*key).await.unwrap();
        }
    });
    assert_eq!(shown.await.into_iter().map(|(key, _)| key).collect::<BTreeSet<_>>(), begun);
    assert_eq!(all(&stage.here, async |_| ()).await, []);
}

async fn few_digits_are_enough_where_one_key_alone_begins_so(stage: Stage) {
    let record = {
        let id = log_in(&stage.here, 1, None).await;
        stage.here.find(SessionKey::of(&id), now(), &LIFETIME).await.unwrap().unwrap()
    };
    let key = |last: u8| {
        SessionKey::from_bytes([[0xab; 15].as_slice(), &[last]].concat().try_into().unwrap())
    };
    let find = async |text: &str, now| {
        let prefix = KeyPrefix::parse(text).unwrap();
        stage.there().find_by_prefix(&prefix, now, &LIFETIME).await.unwrap()
    };
    assert_eq!(stage.here.import(&[(key(0xa1), record.clone())]).await, Ok(1));
    for digits in [4, 12, 31, 32] {
        let text = key(0xa1).to_string()[..digits].to_uppercase();
        let found = find(&text, now()).await;
        assert!(matches!(found, Found::One(found, _) if found == key(0xa1)), "{text}: {found:?}");
    }
    assert_eq!(stage.here.import(&[(key(0xa2), record)]).await, Ok(1));
    assert_eq!(find(&key(0xa3).to_string(), now()).await, Found::None);
    assert_eq!(find("abac", now()).await, Found::None);
    assert_eq!(find(&key(0xa1).to_string()[..31], now()).await, Found::Several);
    let found = find(&key(0xa2).to_string(), now()).await;
    assert!(matches!(found, Found::One(found, _) if found == key(0xa2)), "{found:?}");
    let over = later(LIFETIME.age.as_secs() + 10);
    for digits in [4, 31, 32] {
        assert_eq!(find(&key(0xa2).to_string()[..digits], over).await, Found::None);
    }
}

async fn what_expired_is_swept(stage: Stage) {
    let id = log_in(&stage.here, 1, None).await;
    comes_to_be_known(&stage.here, &id).await;
    let age = LIFETIME.age.as_secs();
    assert_eq!((stage.here.sweep(later(age - 10), &LIFETIME), stage.here.len()), (0, 1));
    assert_eq!((stage.here.sweep(later(age + 10), &LIFETIME), stage.here.len()), (1, 0));
}

async fn import_keeps_what_was_seen_later(stage: Stage) {
    let source = Sessions::default();
    let (old, new) = (log_in(&source, 1, None).await, log_in(&source, 2, None).await);
    let cart = [set("cart", "[1]")];
    source.change_data(SessionKey::of(&new), &cart, later(5), &LIFETIME).await.unwrap();
    let all = all(&source, async |_| ()).await;
    assert_eq!(stage.here.import(&all).await, Ok(2));
    assert_eq!(data(&stage.here, &new).await, [("cart".to_owned(), "[1]".to_owned())]);
    assert!(is_in(stage.there(), &old).await);

    let key = SessionKey::of(&new);
    stage.here.change_data(key, &[set("cart", "[2]")], later(50), &LIFETIME).await.unwrap();
    assert_eq!(stage.here.import(&all).await, Ok(1), "the other was seen here later");
    assert_eq!(data(&stage.here, &new).await, [("cart".to_owned(), "[2]".to_owned())]);
    assert_eq!(stage.here.end_all_of(UserId(1), None).await, Ok(1));
}

async fn whoever_listens_is_told_what_ended(stage: Stage) {
    let tells = async |sessions: &mut broadcast::Receiver<SessionKey>, key: SessionKey| {
        let told = tokio::time::timeout(Duration::from_secs(20), async {
            // A shared store tells the gateway of its own changes as well.
            while sessions.recv().await.unwrap() != key {}
        });
        assert!(told.await.is_ok(), "nobody was told of {key}");
    };
    let (mut here, mut there) = (stage.here.ended(), stage.there().ended());
    let first = log_in(&stage.here, 1, None).await;
    comes_to_be_known(&stage.here, &first).await;
    comes_to_be_known(stage.there(), &first).await;
    let second = log_in(&stage.here, 1, Some(&first)).await;
    let third = log_in(&stage.here, 1, None).await;
    for id in [&second, &third] {
        comes_to_be_known(&stage.here, id).await;
        comes_to_be_known(stage.there(), id).await;
    }
    stage.here.end(SessionKey::of(&second)).await.unwrap();
    stage.here.discard(SessionKey::of(&third));
    for id in [first, second, third] {
        let key = SessionKey::of(&id);
        tells(&mut here, key).await;
        tells(&mut there, key).await;
        assert_eq!(stage.there().look(&key, now(), &LIFETIME).live(), None);
    }
}

/// What a store does that is shared, and that has to do without its server.
mod shared_alone {
    use super::*;

    #[tokio::test]
    async fn what_is_known_is_answered_from_memory() {
        let stage = Stage::in_redis().await;
        let id = log_in(&stage.here, 1, None).await;
        comes_to_be_known(stage.there(), &id).await;
        let before = stage.there().traffic().unwrap();
        for _ in 0..100 {
            let found = stage.there().load(&id, now(), &LIFETIME);
            assert!(matches!(found, Loaded::Live(_)), "{found:?}");
        }
        assert_eq!(stage.there().traffic(), Some(before));
    }

    /// What `handbook/README.md` says that a user in Redis needs.
    #[tokio::test]
    async fn few_rights_are_enough() {
        let redis = RedisServer::start();
        let rights = "~vestibule:* +@read +@write +@connection +@scripting +time";
        assert_eq!(redis.says(&format!("ACL SETUSER gateway on >secret {rights}")), "+OK");
        let address = redis.url().replace("redis://", "redis://gateway:secret@");
        let url = StoreUrl::parse(&address).unwrap();
        let prefix = Store::PREFIX.to_owned();
        let store = Store::Shared(SharedSettings { url, prefix, grace: Store::GRACE });
        let sessions = open(&Settings { store, ..Settings::default() }).await;
        let id = log_in(&sessions, 1, None).await;
        assert!(is_in(&sessions, &id).await);
        let key = SessionKey::of(&id);
        let set = [set("a", "1")];
        assert!(sessions.change_data(key, &set, now(), &LIFETIME).await.unwrap().is_some());
        let all = all(&sessions, async |_| ()).await;
        assert_eq!(sessions.import(&all).await, Ok(1));
        let prefix = KeyPrefix::parse(&key.to_string()[..8]).unwrap();
        let found = sessions.find_by_prefix(&prefix, now(), &LIFETIME).await;
        assert!(matches!(found, Ok(Found::One(..))), "{found:?}");
        assert!(sessions.count().await.is_ok() && sessions.common_secret([1; 32]).await.is_ok());
        sessions.flush().await;
        assert_eq!(sessions.end_all_of(UserId(1), None).await, Ok(1));
        assert_eq!(sessions.end_all().await, Ok(0));
        assert_eq!(sessions.health(), Health::Fine);
    }

    #[tokio::test]
    async fn no_id_is_in_redis() {
        let stage = Stage::in_redis().await;
        let id = log_in(&stage.here, 1, None).await;
        let key = SessionKey::of(&id);
        assert_eq!(stage.redis().says(&format!("EXISTS vestibule:session:{key}")), ":1");
        assert_eq!(stage.redis().says(&format!("KEYS *{}*", id.reveal())), "*0");
        let left = stage.redis().says(&format!("TTL vestibule:session:{key}"));
        let left: u64 = left.trim_start_matches(':').parse().unwrap();
        assert!(left.abs_diff(LIFETIME.age.as_secs()) < 60, "{left}");
    }

    #[tokio::test]
    async fn gateways_with_different_prefixes_know_nothing_of_each_other() {
        let redis = RedisServer::start();
        let one = open(&shared(&redis, "one:", Duration::ZERO)).await;
        let other = open(&shared(&redis, "one", Duration::ZERO)).await;
        let id = log_in(&one, 1, None).await;
        assert!(is_in(&one, &id).await && !is_in(&other, &id).await);
        assert_eq!(other.end_all_of(UserId(1), None).await, Ok(0));
        assert_eq!(other.end_all().await, Ok(0));
        assert_eq!(all(&other, async |_| ()).await, []);
    }

    #[tokio::test]
    async fn secret_is_the_same_for_all() {
        let stage = Stage::in_redis().await;
        assert_eq!(stage.here.common_secret([1; 32]).await, Ok([1; 32]));
        assert_eq!(stage.there().common_secret([2; 32]).await, Ok([1; 32]));
    }

    #[tokio::test]
    async fn flushed_store_ends_everything() {
        let stage = Stage::in_redis().await;
        let id = log_in(&stage.here, 1, None).await;
        comes_to_be_known(&stage.here, &id).await;
        assert_eq!(stage.redis().says("FLUSHALL"), "+OK");
        eventually("it is out", async || !is_in(&stage.here, &id).await).await;
    }

    #[tokio::test]
    async fn damaged_session_is_an_error_and_no_absence() {
        let stage = Stage::in_redis().await;
        let id = log_in(&stage.here, 1, None).await;
        let key = SessionKey::of(&id);
        stage.redis().says(&format!("HSET vestibule:session:{key} v 2"));
        let found = visit(&stage.here, &id, now(), &LIFETIME).await;
        assert_eq!(found, Err(Unavailable::Unreadable(key)));
        assert_eq!(stage.here.of_user(UserId(1)).await, Err(Unavailable::Unreadable(key)));
        let part = stage.here.part(Cursor::default()).await.map(|part| part.sessions);
        assert_eq!(part, Err(Unavailable::Unreadable(key)));
        // It is still one that can be ended.
        assert_eq!(stage.here.end_all_of(UserId(1), None).await, Ok(1));
    }

    #[tokio::test]
    async fn session_in_use_here_is_shown_as_that_before_redis_knows() {
        let stage = Stage::in_redis().await;
        let id = log_in(&stage.here, 1, None).await;
        comes_to_be_known(&stage.here, &id).await;
        assert!(visit(&stage.here, &id, later(40), &LIFETIME).await.unwrap().is_some());
        let [(_, record)] = &stage.here.of_user(UserId(1)).await.unwrap()[..] else { panic!() };
        assert!(record.span.last_seen >= record.span.started.after(Duration::from_secs(40)));
    }

    #[tokio::test]
    async fn without_redis_the_known_go_on_and_nothing_else_does() {
        let stage = Stage::in_redis().await;
        let (known, unknown) =
            (log_in(&stage.here, 1, None).await, log_in(&stage.here, 2, None).await);
        comes_to_be_known(&stage.here, &known).await;
        stage.redis().kill();
        eventually("the break is noticed", async || stage.here.health() == Health::Cut).await;
        assert!(is_in(&stage.here, &known).await);
        let out = Err(Unavailable::OutOfReach);
        assert_eq!(visit(&stage.here, &unknown, now(), &LIFETIME).await, out);
        let verified = somebody(3, "x");
        let begun = stage.here.log_in(&verified, Some(&known), client(), now(), &LIFETIME).await;
        assert_eq!(begun.map(|_| ()), Err(Unavailable::OutOfReach));
        let key = SessionKey::of(&known);
        assert_eq!(stage.here.end(key).await, Err(Unavailable::OutOfReach));
        let changed = stage.here.change_data(key, &[set("a", "1")], now(), &LIFETIME).await;
        assert!(matches!(changed, Err(Unavailable::OutOfReach)), "{changed:?}");
        assert!(is_in(&stage.here, &known).await, "what failed changed nothing");

        stage.redis().restart();
        eventually("it heals", async || stage.here.health() == Health::Fine).await;
        assert!(is_in(&stage.here, &known).await && is_in(&stage.here, &unknown).await);
    }

    #[tokio::test]
    async fn when_the_grace_is_over_nobody_is_known() {
        let stage = Stage::with_grace(Duration::from_millis(100)).await;
        let id = log_in(&stage.here, 1, None).await;
        comes_to_be_known(&stage.here, &id).await;
        let mut told = stage.here.ended();
        stage.redis().kill();
        eventually("the grace is over", async || stage.here.health() == Health::Lost).await;
        let told = tokio::time::timeout(Duration::from_secs(20), told.recv()).await;
        assert_eq!(told.unwrap().unwrap(), SessionKey::of(&id));
        let found = visit(&stage.here, &id, now(), &LIFETIME).await;
        assert_eq!(found, Err(Unavailable::OutOfReach));
        stage.redis().restart();
        eventually("it heals", async || stage.here.health() == Health::Fine).await;
        assert!(is_in(&stage.here, &id).await);
    }

    /// Its connections stay open and nothing comes: only the heartbeat can tell.
    #[tokio::test]
    async fn server_that_hangs_is_noticed() {
        let stage = Stage::in_redis().await;
        let id = log_in(&stage.here, 1, None).await;
        comes_to_be_known(&stage.here, &id).await;
        stage.redis().halt();
        eventually("the break is noticed", async || stage.here.health() == Health::Cut).await;
        assert!(is_in(&stage.here, &id).await);
        stage.redis().resume();
        eventually("it heals", async || stage.here.health() == Health::Fine).await;
        assert!(is_in(&stage.here, &id).await);
    }

    #[tokio::test]
    async fn what_ended_during_a_break_is_dead_after_it_and_told() {
        let stage = Stage::in_redis().await;
        let (dead, live) = (log_in(&stage.here, 1, None).await, log_in(&stage.here, 2, None).await);
        comes_to_be_known(&stage.here, &dead).await;
        comes_to_be_known(&stage.here, &live).await;
        let mut told = stage.here.ended();
        // The connection breaks and the server goes on: what it says meanwhile is missed.
        // Both commands arrive at once, and are carried out before anybody can connect again.
        let key = SessionKey::of(&dead);
        let commands = format!("CLIENT KILL TYPE normal\r\nDEL vestibule:session:{key}");
        assert_eq!(stage.redis().says(&commands), ":2");
        eventually("it is out", async || {
            matches!(visit(&stage.here, &dead, now(), &LIFETIME).await, Ok(None))
        })
        .await;
        let told = tokio::time::timeout(Duration::from_secs(20), told.recv()).await;
        assert_eq!(told.unwrap().unwrap(), key);
        let still = stage.here.find(SessionKey::of(&live), now(), &LIFETIME).await;
        assert!(still.unwrap().is_some());
    }

    #[tokio::test]
    async fn store_that_is_not_there_is_an_error_that_names_it_without_its_password() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let url = StoreUrl::parse(&format!("redis://:hunter2@{address}")).unwrap();
        let shared = SharedSettings { url, prefix: "v:".to_owned(), grace: Duration::ZERO };
        let settings = Settings { store: Store::Shared(shared), ..Settings::default() };
        let error =
            Sessions::open(&settings, Path::new("none"), now).await.unwrap_err().to_string();
        assert!(error.contains(&format!("redis://***@{address} cannot be used")), "{error}");
        assert!(!error.contains("hunter2") && error.contains("\nhint: "), "{error}");
    }
}
