//! What every store has to do, whatever it keeps sessions in.
//!
//! `contract!(name, maker)` makes a module of tests. `maker` is called once for each, and gives an
//! empty store and something that is held for as long as the test takes.

use super::*;

/// Holds the store that `maker` makes to all of it.
macro_rules! contract {
    ($name:ident, $maker:expr) => {
        mod $name {
            use super::*;

            $crate::sessions::tests::contract::contract!(
                @each $maker,
                a_login_is_found_by_its_id_alone,
                a_login_gets_another_id_and_ends_the_session_before_it,
                a_session_that_has_ended_stays_so,
                an_end_is_told_once_it_is_made,
                all_sessions_of_a_user_end_but_for_one,
                expiry_is_seen_when_a_session_is_loaded,
                a_renewal_gives_the_full_age_and_no_new_life,
                nothing_brings_back_a_session_that_has_ended,
                data_is_changed_by_key_and_all_or_nothing,
                two_changes_at_once_of_different_keys_both_survive,
                an_anonymous_session_hands_its_data_to_the_login,
                a_login_inherits_nothing_from_somebody_else,
                what_expired_is_swept
            );
        }
    };
    (@each $maker:expr, $($test:ident),+) => {
        $(
            #[tokio::test]
            async fn $test() {
                let (sessions, _held) = $maker;
                $crate::sessions::tests::contract::$test(&sessions).await;
            }
        )+
    };
}

pub(crate) use contract;

fn nothing_bounds() -> Lifetime {
    lifetime(None, None)
}

async fn load(sessions: &Sessions, id: &SessionId, seconds: u64) -> Option<Record> {
    sessions.load(id, seconds_later(seconds), &nothing_bounds())
}

async fn change(
    sessions: &Sessions,
    id: &SessionId,
    changes: &[DataChange],
) -> Option<Result<Record, DataError>> {
    let key = SessionKey::of(id);
    sessions.change_data(key, changes, NOON, &nothing_bounds()).await.unwrap()
}

fn set(key: &str, value: &str) -> DataChange {
    DataChange::Set(key.into(), value.into())
}

fn value(record: &Record, key: &str) -> Option<String> {
    record.data.as_deref().and_then(|data| data.get(key)).map(str::to_owned)
}

async fn begin_anonymous(sessions: &Sessions) -> SessionId {
    let client = Client { address: "2001:db8::7".parse().unwrap(), device: Device::default() };
    sessions.begin_anonymous(client, NOON, &nothing_bounds()).await.unwrap()
}

pub(crate) async fn a_login_is_found_by_its_id_alone(sessions: &Sessions) {
    let lifetime = nothing_bounds();
    let id = log_in(sessions, None, &lifetime).await;
    let record = load(sessions, &id, 0).await.unwrap();
    assert_eq!(record.login.map(|login| login.user()), Some(UserId(1)));
    assert_eq!(record.client.address, "192.0.2.7".parse::<std::net::IpAddr>().unwrap());
    assert_eq!(record.client.device.to_string(), "curl");
    assert_eq!(record.span, crate::domain::session::Span::begin(NOON, &lifetime));
    assert_eq!(sessions.find(&SessionKey::of(&id), NOON, &lifetime), Some(record));
    let other = SessionId::from_random(&[1; 64]).unwrap();
    assert_eq!(load(sessions, &other, 0).await, None);
    assert_eq!(sessions.len(), 1);
}

pub(crate) async fn a_login_gets_another_id_and_ends_the_session_before_it(sessions: &Sessions) {
    let first = log_in(sessions, None, &nothing_bounds()).await;
    let second = log_in(sessions, Some(&first), &nothing_bounds()).await;
    assert_ne!(first.reveal(), second.reveal());
    assert_eq!(load(sessions, &first, 0).await, None);
    assert!(load(sessions, &second, 0).await.is_some());
    assert_eq!(sessions.len(), 1);
}

pub(crate) async fn a_session_that_has_ended_stays_so(sessions: &Sessions) {
    let id = log_in(sessions, None, &nothing_bounds()).await;
    let key = SessionKey::of(&id);
    assert_eq!(sessions.end(key).await, Ok(true));
    assert_eq!(load(sessions, &id, 0).await, None);
    assert_eq!(sessions.end(key).await, Ok(false), "there is none to end any more");
    sessions.discard(key);
    assert_eq!(sessions.len(), 0);
}

pub(crate) async fn an_end_is_told_once_it_is_made(sessions: &Sessions) {
    let mut ended = sessions.ended();
    let first = log_in(sessions, None, &nothing_bounds()).await;
    let second = log_in(sessions, Some(&first), &nothing_bounds()).await;
    assert_eq!(ended.recv().await, Ok(SessionKey::of(&first)));
    sessions.end(SessionKey::of(&second)).await.unwrap();
    assert_eq!(ended.recv().await, Ok(SessionKey::of(&second)));
    let third = log_in(sessions, None, &nothing_bounds()).await;
    sessions.discard(SessionKey::of(&third));
    assert_eq!(ended.recv().await, Ok(SessionKey::of(&third)));
}

pub(crate) async fn all_sessions_of_a_user_end_but_for_one(sessions: &Sessions) {
    let here = log_in(sessions, None, &nothing_bounds()).await;
    let there = log_in(sessions, None, &nothing_bounds()).await;
    let anonymous = begin_anonymous(sessions).await;
    assert_eq!(sessions.end_all_of(UserId(2), None).await, Ok(0));
    assert_eq!(sessions.end_all_of(UserId(1), Some(SessionKey::of(&here))).await, Ok(1));
    assert_eq!(load(sessions, &there, 0).await, None);
    assert!(load(sessions, &here, 0).await.is_some());
    assert!(load(sessions, &anonymous, 0).await.is_some());
}

pub(crate) async fn expiry_is_seen_when_a_session_is_loaded(sessions: &Sessions) {
    let id = log_in(sessions, None, &nothing_bounds()).await;
    assert!(load(sessions, &id, 999).await.is_some());
    assert_eq!(load(sessions, &id, 1000).await, None);
    let id = log_in(sessions, None, &nothing_bounds()).await;
    let (idle, absolute) = (lifetime(Some(60), None), lifetime(None, Some(100)));
    assert!(sessions.load(&id, seconds_later(59), &idle).is_some());
    assert!(sessions.load(&id, seconds_later(99), &idle).is_some(), "it was seen meanwhile");
    assert!(sessions.load(&id, seconds_later(99), &absolute).is_some());
    assert_eq!(sessions.load(&id, seconds_later(100), &absolute), None);
}

pub(crate) async fn a_renewal_gives_the_full_age_and_no_new_life(sessions: &Sessions) {
    let bounded = lifetime(None, Some(1500));
    let id = log_in(sessions, None, &bounded).await;
    sessions.renew(&id, seconds_later(900), &bounded);
    assert!(sessions.load(&id, seconds_later(1499), &bounded).is_some());
    assert_eq!(sessions.load(&id, seconds_later(1500), &bounded), None);
}

pub(crate) async fn nothing_brings_back_a_session_that_has_ended(sessions: &Sessions) {
    let id = log_in(sessions, None, &nothing_bounds()).await;
    sessions.end(SessionKey::of(&id)).await.unwrap();
    sessions.renew(&id, NOON, &nothing_bounds());
    assert_eq!(change(sessions, &id, &[set("a", "1")]).await, None);
    assert_eq!(load(sessions, &id, 0).await, None);
    assert!(sessions.is_empty());
}

pub(crate) async fn data_is_changed_by_key_and_all_or_nothing(sessions: &Sessions) {
    let id = log_in(sessions, None, &nothing_bounds()).await;
    change(sessions, &id, &[set("a", "1"), set("b", "\"zwölf\"")]).await.unwrap().unwrap();
    let refused = change(sessions, &id, &[set("a", "2"), set("_b", "3")]).await;
    assert_eq!(refused, Some(Err(DataError::Reserved)));
    let record = change(sessions, &id, &[DataChange::Delete("none".into())]).await;
    let record = record.unwrap().unwrap();
    assert_eq!(load(sessions, &id, 0).await.as_ref(), Some(&record));
    assert_eq!(value(&record, "a").as_deref(), Some("1"));
    assert_eq!(value(&record, "b").as_deref(), Some("\"zwölf\""));
    let record = change(sessions, &id, &[DataChange::Clear]).await.unwrap().unwrap();
    assert_eq!(record.data, None);
    assert!(record.login.is_some());
}

pub(crate) async fn two_changes_at_once_of_different_keys_both_survive(sessions: &Sessions) {
    let id = begin_anonymous(sessions).await;
    let (ours, theirs) = ([set("a", "1")], [set("b", "2")]);
    tokio::join!(change(sessions, &id, &ours), change(sessions, &id, &theirs));
    let record = load(sessions, &id, 0).await.unwrap();
    assert_eq!((value(&record, "a"), value(&record, "b")), (Some("1".into()), Some("2".into())));
}

pub(crate) async fn an_anonymous_session_hands_its_data_to_the_login(sessions: &Sessions) {
    let anonymous = begin_anonymous(sessions).await;
    assert_eq!(load(sessions, &anonymous, 0).await.unwrap().login, None);
    change(sessions, &anonymous, &[set("cart", "[1]")]).await.unwrap().unwrap();
    let id = log_in(sessions, Some(&anonymous), &nothing_bounds()).await;
    assert_eq!(load(sessions, &anonymous, 0).await, None);
    let record = load(sessions, &id, 0).await.unwrap();
    assert_eq!(value(&record, "cart").as_deref(), Some("[1]"));
}

pub(crate) async fn a_login_inherits_nothing_from_somebody_else(sessions: &Sessions) {
    let first = log_in(sessions, None, &nothing_bounds()).await;
    change(sessions, &first, &[set("cart", "[1]")]).await.unwrap().unwrap();
    let client = Client { address: "192.0.2.8".parse().unwrap(), device: Device::default() };
    let somebody_else = verified(2);
    let second = sessions
        .log_in(&somebody_else, Some(&first), client, NOON, &nothing_bounds())
        .await
        .unwrap();
    let record = load(sessions, &second, 0).await.unwrap();
    assert_eq!((record.login.unwrap().user(), record.data), (UserId(2), None));
    assert_eq!(load(sessions, &first, 0).await, None);
}

pub(crate) async fn what_expired_is_swept(sessions: &Sessions) {
    let lifetime = nothing_bounds();
    log_in(sessions, None, &lifetime).await;
    sessions.sweep(seconds_later(999), &lifetime);
    assert_eq!(sessions.len(), 1);
    sessions.sweep(seconds_later(1000), &lifetime);
    assert!(sessions.is_empty());
}
