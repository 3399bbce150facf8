//! Commands about sessions, over sessions and a directory in a temporary place, at any time of day.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt as _;

use super::*;
use crate::accounts::settings::{Database, Hashing};
use crate::accounts::{By, Command, Complaint, Directory, NewUser, Settings};
use crate::domain::session::Lifetime;
use crate::domain::session_data::DataChange;
use crate::domain::{Client, Device, SessionKey, Timestamp};
use crate::sessions::Sessions;

const NOON: Timestamp = Timestamp::from_seconds(1_800_000_000);
const PASSWORD: &str = "correct horse battery";
const LIFETIME: Lifetime = Lifetime {
    age: Duration::from_secs(1000),
    idle: Some(Duration::from_secs(100)),
    absolute: None,
};

struct World {
    desk: Desk,
    sessions: Arc<Sessions>,
    directory: Arc<Directory>,
    _place: tempfile::TempDir,
}

impl World {
    async fn with(names: &[&str]) -> Self {
        let place = tempfile::tempdir().unwrap();
        let settings = Settings {
            database: Database::Sqlite(place.path().join("users.db")),
            hashing: Hashing { memory_kib: 8, iterations: 1, parallelism: 1 },
            ..Settings::default()
        };
        let directory = Arc::new(Directory::open(&settings).await.unwrap());
        for name in names {
            let (username, password) = ((*name).to_owned(), PASSWORD.to_owned().into());
            let user = NewUser { username, password, ..NewUser::default() };
            directory.execute(Command::UserCreate(user), &By::this_process(), NOON).await.unwrap();
        }
        let sessions = Arc::new(Sessions::default());
        let desk = Desk::new(Arc::clone(&sessions), Arc::clone(&directory));
        Self { desk, sessions, directory, _place: place }
    }

    async fn log_in(&self, name: &str, now: Timestamp, times: usize) -> Vec<SessionKey> {
        let verified = self.directory.verify(name, PASSWORD.to_owned(), now).await;
        let verified = verified.unwrap().unwrap();
        let mut keys = Vec::new();
        for _ in 0..times {
            let id = self.sessions.log_in(&verified, None, client(), now, &LIFETIME).await;
            keys.push(SessionKey::of(&id.unwrap()));
        }
        keys
    }

    async fn order(&self, command: SessionCommand, now: Timestamp) -> Result<Reply, String> {
        let at = Moment { now, lifetime: LIFETIME };
        let reply = self.desk.carry_out(command, &By::Operator("a test".to_owned()), at).await;
        reply.map_err(|error| error.to_string())
    }

    async fn show(&self, key: SessionKey, values: bool, now: Timestamp) -> SessionDetails {
        let show = SessionCommand::Show { key: key.to_string(), values };
        let reply = self.order(show, now).await.unwrap();
        let Reply::Session(details) = reply else { panic!("{reply:?}") };
        details
    }

    /// Every batch of the list, and how many sessions it has.
    async fn list(&self, user: Option<&str>, now: Timestamp) -> Vec<Vec<SessionRecord>> {
        let list = SessionCommand::List { user: user.map(str::to_owned) };
        let Reply::List(mut listing) = self.order(list, now).await.unwrap() else { panic!() };
        let mut batches = Vec::new();
        while let Some(batch) = listing.next().await.unwrap() {
            batches.push(batch);
        }
        batches
    }
}

fn client() -> Client {
    Client { address: "192.0.2.7".parse().unwrap(), device: Device::of("curl/8.5.0") }
}

fn later(seconds: u64) -> Timestamp {
    NOON.after(Duration::from_secs(seconds))
}

#[tokio::test]
async fn a_list_comes_in_small_batches_with_the_names_of_users() {
    let world = World::with(&["ada", "bob"]).await;
    world.log_in("ada", NOON, 1200).await;
    world.log_in("bob", NOON, 700).await;
    world.sessions.begin_anonymous(client(), NOON, &LIFETIME).await.unwrap();
    let batches = world.list(None, NOON).await;
    assert!(batches.iter().all(|batch| !batch.is_empty() && batch.len() <= 500));
    let count = |name: Option<&str>| {
        batches.iter().flatten().filter(|session| session.user.as_deref() == name).count()
    };
    assert_eq!((count(Some("ada")), count(Some("bob")), count(None)), (1200, 700, 1));
    let ada = world.list(Some("ada"), NOON).await;
    assert_eq!(ada.iter().map(Vec::len).collect::<Vec<_>>(), [500, 500, 200]);
    assert!(ada.iter().flatten().all(|session| session.user.as_deref() == Some("ada")));
}

#[tokio::test]
async fn what_is_over_is_in_no_list_and_can_be_cleared() {
    let world = World::with(&["ada"]).await;
    let old = world.log_in("ada", NOON, 3).await;
    let new = world.log_in("ada", later(50), 2).await;
    let now = later(100);
    let listed = world.list(None, now).await.concat();
    let mut keys: Vec<_> = listed.iter().map(|session| session.key.clone()).collect();
    let mut live: Vec<_> = new.iter().map(SessionKey::to_string).collect();
    keys.sort();
    live.sort();
    assert_eq!(keys, live);
    for command in [
        SessionCommand::Show { key: old[0].to_string(), values: false },
        SessionCommand::Revoke(Revoke::Key(old[0].to_string())),
    ] {
        let error = world.order(command, now).await.unwrap_err();
        assert!(error.starts_with("there is no such session"), "{error}");
    }
    for cleared in [3, 0] {
        let reply = world.order(SessionCommand::Clear {}, now).await.unwrap();
        assert!(matches!(reply, Reply::Cleared(it) if it == Cleared { cleared }));
    }
    assert_eq!(world.sessions.len(), 2);
}

#[tokio::test]
async fn a_session_is_shown_with_its_limits_and_values_only_when_asked_for() {
    let world = World::with(&["ada"]).await;
    let key = world.log_in("ada", NOON, 1).await[0];
    let set = [
        DataChange::Set("cart".into(), "[1, 2]".into()),
        DataChange::Set("color".into(), "\"red\"".into()),
    ];
    world.sessions.change_data(key, &set, later(10), &LIFETIME).await.unwrap().unwrap().unwrap();

    let details = world.show(key, false, later(20)).await;
    assert_eq!(details.session.user.as_deref(), Some("ada"));
    assert_eq!(details.session.device, "curl");
    assert_eq!(details.session.started.to_string(), "2027-01-15T08:00:00Z");
    assert_eq!(
        details.session.last_seen.to_string(),
        "2027-01-15T08:00:10Z",
        "to show is not to use"
    );
    assert_eq!(details.limits.first, LimitName::Idle);
    assert_eq!(details.limits.idle, Some(details.session.expires));
    assert_eq!(details.session.expires.to_string(), "2027-01-15T08:01:50Z");
    assert_eq!(details.limits.absolute, None);
    let sizes: Vec<_> = details.data.iter().map(|item| (&*item.key, item.size)).collect();
    assert_eq!(sizes, [("cart", 6), ("color", 5)]);
    assert!(!serde_json::to_string(&details).unwrap().contains("red"));

    let details = world.show(key, true, later(20)).await;
    let values: Vec<_> = details.data.into_iter().map(|item| item.value.unwrap()).collect();
    assert_eq!(values, [serde_json::json!([1, 2]), serde_json::json!("red")]);
}

#[tokio::test]
async fn a_session_whose_user_is_gone_is_told_by_its_number() {
    let world = World::with(&["ada"]).await;
    let key = world.log_in("ada", NOON, 1).await[0];
    let delete = Command::UserDelete { username: "ada".to_owned() };
    let shut_out = world
        .directory
        .carry_out(delete, &By::this_process(), NOON)
        .await
        .unwrap()
        .shut_out
        .remove(0);
    let session = world.show(key, false, NOON).await.session;
    assert_eq!((session.user, session.user_id), (None, Some(shut_out.user.0)));
    world.desk.end_worthless(&shut_out, &By::Operator("a test".to_owned()), NOON).await;
    assert!(world.sessions.is_empty());
}

#[tokio::test]
async fn all_is_revoked_and_whoever_listens_is_told() {
    let world = World::with(&["ada"]).await;
    world.log_in("ada", NOON, 300).await;
    world.sessions.begin_anonymous(client(), NOON, &LIFETIME).await.unwrap();
    let mut ended = world.sessions.ended();
    let reply = world.order(SessionCommand::Revoke(Revoke::All {}), NOON).await.unwrap();
    assert!(matches!(reply, Reply::Revoked(Revoked { ended: 301, session: None })));
    assert!(world.sessions.is_empty());
    let mut told = 0;
    while ended.try_recv().is_ok() {
        told += 1;
    }
    assert_eq!(told, 301, "open streams end as well");
}

#[tokio::test]
async fn answers_are_json_and_a_list_is_a_line_for_each_session() {
    let world = World::with(&["ada"]).await;
    world.log_in("ada", NOON, 1001).await;
    let at = Moment { now: NOON, lifetime: LIFETIME };
    let ask = async |body: &'static str| {
        let answer =
            answer(world.desk.clone(), body.into(), By::Operator("a test".to_owned()), at).await;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (head.status.as_u16(), String::from_utf8(body.to_vec()).unwrap())
    };
    let (status, lines) = ask(r#"{"list":{"user":null}}"#).await;
    assert_eq!((status, lines.lines().count()), (200, 1001));
    for line in lines.lines() {
        assert!(matches!(serde_json::from_str(line).unwrap(), Line::Session(_)), "{line}");
    }
    let (status, json) = ask(r#"{"revoke":{"user":"adda"}}"#).await;
    let complaint: Complaint = serde_json::from_str(&json).unwrap();
    assert_eq!(status, 404);
    assert!(complaint.error.contains("did you mean `ada`?"), "{json}");
    assert_eq!(ask("{}").await.0, 400);
    assert_eq!(ask(r#"{"revoke":{"all":{}}}"#).await, (200, r#"{"ended":1001}"#.to_owned()));

    // A database that fails in the middle is no shorter list.
    world.log_in("ada", NOON, 1).await;
    world.directory.close().await;
    let (status, lines) = ask(r#"{"list":{"user":null}}"#).await;
    assert_eq!(status, 200);
    let last = lines.lines().last().unwrap();
    assert!(matches!(serde_json::from_str(last).unwrap(), Line::Complaint(_)), "{last}");
}

#[tokio::test]
async fn a_reader_who_stops_holds_up_nothing() {
    let world = World::with(&["ada"]).await;
    world.log_in("ada", NOON, 5000).await;
    let at = Moment { now: NOON, lifetime: LIFETIME };
    let list = r#"{"list":{"user":null}}"#.into();
    let mut lines =
        answer(world.desk.clone(), list, By::Operator("a test".to_owned()), at).await.into_body();
    assert!(lines.frame().await.is_some());
    // The rest is not read: sessions begin and end all the same, in every shard.
    let new = world.log_in("ada", NOON, 2000).await;
    for key in new {
        assert!(world.sessions.end(key).await.unwrap());
    }
}
