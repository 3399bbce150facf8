//! The directory on a real database, asked and changed as by requests and operators.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

#[path = "tests/credentials.rs"]
#[expect(clippy::duplicate_mod, reason = "as of the whole file")]
mod credentials;

#[path = "tests/many_users.rs"]
#[expect(clippy::duplicate_mod, reason = "as of the whole file")]
mod many_users;

use super::super::answer::Answer;
use super::super::command::{Change, Holder, Secret, UserRecord};
use super::super::settings::{self, Hashing, PostgresUrl};
use super::postgres_server::PostgresServer;
use super::*;

const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

fn by() -> By {
    By::Operator("a test".to_owned())
}

/// A file in this directory; or, when these are the tests on a server, a database that goes with it.
fn database(directory: &Path) -> settings::Database {
    static SERVER: OnceLock<PostgresServer> = OnceLock::new();
    static DATABASES: Mutex<Vec<(PathBuf, PostgresUrl)>> = Mutex::new(Vec::new());

    if !module_path!().ends_with("on_postgres") {
        return settings::Database::Sqlite(directory.join("users.db"));
    }
    let mut databases = DATABASES.lock().unwrap();
    if let Some((_, url)) = databases.iter().find(|(known, _)| known == directory) {
        return settings::Database::Postgres(url.clone());
    }
    let url = SERVER.get_or_init(PostgresServer::start).new_database();
    let url = PostgresUrl::parse(&url).unwrap();
    databases.push((directory.to_owned(), url.clone()));
    settings::Database::Postgres(url)
}

fn settings(directory: &Path) -> Settings {
    Settings {
        database: database(directory),
        // Nothing here may be seen only because an entry grew old.
        refresh: Duration::from_secs(86_400),
        hashing: Hashing { memory_kib: 8, iterations: 1, parallelism: 1 },
        permissions: vec![
            ("polls.can_vote".parse().unwrap(), "Can vote".to_owned()),
            ("polls.add_choice".parse().unwrap(), "Can add choice".to_owned()),
        ],
        ..Settings::default()
    }
}

/// A directory in a temporary place, with words for what tests do.
struct World {
    directory: Arc<Directory>,
    place: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let directory = Arc::new(Directory::open(&settings(place.path())).await.unwrap());
        Self { directory, place }
    }

    /// A second process on the same file, as far as SQLite can tell.
    async fn other_process(&self) -> Self {
        let directory = Directory::open(&settings(self.place.path())).await.unwrap();
        Self { directory: Arc::new(directory), place: tempfile::tempdir().unwrap() }
    }

    async fn order(&self, command: Command) -> Result<String, String> {
        match self.directory.execute(command, &by(), NOW).await {
            Ok(Reply::Done(what)) => Ok(what),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn create(&self, username: &str) -> UserId {
        self.order(Command::UserCreate(new(username))).await.unwrap();
        self.named(username).await.unwrap().id
    }

    async fn named(&self, username: &str) -> Option<Arc<User>> {
        self.directory.user_by_name(username, NOW).await.unwrap()
    }

    /// What stands in the database, which is not kept.
    async fn written(&self, username: &str) -> UserRecord {
        let show = Command::UserShow { username: username.to_owned() };
        let reply = self.directory.execute(show, &by(), NOW).await.unwrap();
        let Reply::User(details) = reply else { panic!("{reply:?}") };
        details.user
    }

    /// Everybody who is asked for, all at once.
    async fn several(&self, ids: &[UserId]) -> Vec<Option<User>> {
        let found = self.directory.users(ids.to_vec(), NOW).await.unwrap();
        assert!(found.iter().map(|(id, _)| id).eq(ids));
        let user = |known| match known {
            Known::User(user) => Some((*user).clone()),
            Known::Gone => None,
        };
        found.into_iter().map(|(_, known)| user(known)).collect()
    }

    /// What a request is told: from the cache, or else loaded.
    async fn seen(&self, id: UserId) -> Option<Arc<User>> {
        match self.directory.cached(id, NOW) {
            Some(Known::User(user)) => Some(user),
            Some(Known::Gone) => None,
            None => self.directory.user(id, NOW).await.unwrap(),
        }
    }

    async fn group(&self, name: &str, permissions: &[&str], users: &[&str]) {
        let name = name.to_owned();
        let permissions = permissions.iter().map(|&p| p.to_owned()).collect();
        self.order(Command::GroupCreate { name: name.clone(), permissions }).await.unwrap();
        let users = users.iter().map(|&u| u.to_owned()).collect();
        self.order(Command::GroupAdd { name, users }).await.unwrap();
    }

    async fn set(&self, username: &str, changes: &[&str]) -> Result<String, String> {
        let changes: Vec<Change> = changes.iter().map(|c| c.parse().unwrap()).collect();
        self.order(Command::UserSet { username: username.to_owned(), changes }).await
    }
}

fn new(username: &str) -> NewUser {
    NewUser {
        username: username.to_owned(),
        password: Secret::from("correct horse".to_owned()),
        ..NewUser::default()
    }
}

fn can_vote(to: Holder) -> Command {
    Command::PermissionGrant { permission: "polls.can_vote".to_owned(), to }
}

fn can_no_longer_vote(from: Holder) -> Command {
    Command::PermissionRevoke { permission: "polls.can_vote".to_owned(), from }
}

#[tokio::test]
async fn a_user_has_all_fields_and_the_rights_of_the_groups() {
    let world = World::new().await;
    world.group("Site editors", &["polls.can_vote"], &[]).await;
    let ada = NewUser {
        first_name: "Ada".to_owned(),
        last_name: "Lovelace".to_owned(),
        email: "ada@Example.org".to_owned(),
        is_staff: true,
        groups: vec!["Site editors".to_owned()],
        permissions: vec!["polls.add_choice".to_owned()],
        ..new("ada")
    };
    world.order(Command::UserCreate(ada)).await.unwrap();
    world.set("ada", &["profile.favorite_band=Queen"]).await.unwrap();
    let ada = world.named("ada").await.unwrap();
    assert_eq!(ada.get_full_name(), "Ada Lovelace");
    assert_eq!(ada.email, "ada@example.org");
    assert!(ada.is_active && ada.is_staff && !ada.is_superuser);
    assert_eq!((ada.date_joined, ada.last_login), (NOW, None));
    assert_eq!(ada.groups, ["Site editors"]);
    assert!(ada.has_perm("polls.can_vote") && ada.has_perm("polls.add_choice"));
    assert_eq!(ada.profile["favorite_band"], "Queen");
    assert!(world.named("Ada").await.is_none(), "names are exact");
    assert!(world.named("\u{ff41}da").await.is_some(), "after NFKC");
    assert!(world.named("no such\nname").await.is_none());

    let Reply::User(shown) = world
        .directory
        .execute(Command::UserShow { username: "ada".to_owned() }, &by(), NOW)
        .await
        .unwrap()
    else {
        panic!();
    };
    assert_eq!(shown.user.date_joined, "2023-11-14T22:13:20Z");
    assert_eq!(shown.permissions, ["polls.add_choice"]);
    assert_eq!(shown.group_permissions["polls.can_vote"], ["Site editors"]);
}

#[tokio::test]
async fn every_change_is_seen_by_the_next_request() {
    let world = World::new().await;
    let ada = world.create("ada").await;
    world.group("Editors", &[], &["ada"]).await;
    let group = || Holder::Group("Editors".to_owned());
    let user = || Holder::User("ada".to_owned());

    for holder in [group, user] {
        assert!(!world.seen(ada).await.unwrap().has_perm("polls.can_vote"));
        world.order(can_vote(holder())).await.unwrap();
        assert!(world.seen(ada).await.unwrap().has_perm("polls.can_vote"));
        world.order(can_no_longer_vote(holder())).await.unwrap();
    }
    world.order(can_vote(group())).await.unwrap();
    assert!(world.seen(ada).await.unwrap().has_perm("polls.can_vote"));
    let leave = || ("Editors".to_owned(), vec!["ada".to_owned()]);
    let (name, users) = leave();
    world.order(Command::GroupRemove { name, users }).await.unwrap();
    assert!(!world.seen(ada).await.unwrap().has_perm("polls.can_vote"));
    let (name, users) = leave();
    world.order(Command::GroupAdd { name, users }).await.unwrap();
    assert!(world.seen(ada).await.unwrap().has_perm("polls.can_vote"));
    world.order(Command::GroupDelete { name: "Editors".to_owned() }).await.unwrap();
    assert!(world.seen(ada).await.unwrap().groups.is_empty());
    assert!(!world.seen(ada).await.unwrap().has_perm("polls.can_vote"));

    let mark = world.seen(ada).await.unwrap().password.mark();
    let password = Secret::from("battery staple".to_owned());
    let username = "ada".to_owned();
    world.order(Command::UserSetPassword { username, password }).await.unwrap();
    assert_ne!(world.seen(ada).await.unwrap().password.mark(), mark);

    world.set("ada", &["is_active=false"]).await.unwrap();
    assert!(!world.seen(ada).await.unwrap().is_active);
    world.set("ada", &["username=lovelace", "is_active=true"]).await.unwrap();
    assert_eq!(world.seen(ada).await.unwrap().username, "lovelace");

    let later = NOW.after(Duration::from_secs(5));
    world.directory.record_login(ada, later).await.unwrap();
    assert_eq!(world.seen(ada).await.unwrap().last_login, Some(later));

    world.order(Command::UserDelete { username: "lovelace".to_owned() }).await.unwrap();
    assert!(world.seen(ada).await.is_none());
    assert!(matches!(world.directory.cached(ada, NOW), Some(Known::Gone)));
    assert_ne!(world.create("lovelace").await, ada, "numbers are not used again");
}

#[tokio::test]
async fn several_users_at_once_are_what_they_are_one_by_one() {
    let world = World::new().await;
    let [ada, bob, eve] =
        [world.create("ada").await, world.create("bob").await, world.create("eve").await];
    world.group("Editors", &["polls.can_vote"], &["bob", "ada"]).await;
    world.group("Archivists", &[], &["ada"]).await;
    for name in ["ada", "bob"] {
        world.order(can_vote(Holder::User(name.to_owned()))).await.unwrap();
    }
    world.set("bob", &["profile.favorite_band=Queen", "is_staff=true"]).await.unwrap();
    world.order(Command::UserDelete { username: "eve".to_owned() }).await.unwrap();

    let several = world.several(&[bob, eve, ada]).await;
    let [Some(first), None, Some(last)] = several.as_slice() else { panic!("{several:?}") };
    assert_eq!(first, &*world.named("bob").await.unwrap());
    assert_eq!(last, &*world.named("ada").await.unwrap());
    assert_eq!(last.groups, ["Archivists", "Editors"]);
    assert!(matches!(world.directory.cached(eve, NOW), Some(Known::Gone)));
    assert!(world.several(&[]).await.is_empty());
}

#[tokio::test]
async fn whoever_listens_is_told_whom_a_change_concerned() {
    let world = World::new().await;
    let ada = world.create("ada").await;
    world.group("Editors", &[], &["ada"]).await;
    world.order(can_vote(Holder::Group("Editors".to_owned()))).await.unwrap();
    let mut changes = world.directory.changes();
    let mut concerns_ada = async || {
        // The old state is gone before anybody is told that it is.
        assert!(world.directory.cached(ada, NOW).is_none());
        let changed = changes.try_recv().unwrap();
        assert_eq!(changed, super::Changed::Users([ada].into()));
        world.seen(ada).await.unwrap();
    };
    world.order(can_no_longer_vote(Holder::Group("Editors".to_owned()))).await.unwrap();
    concerns_ada().await;
    world.order(Command::GroupDelete { name: "Editors".to_owned() }).await.unwrap();
    concerns_ada().await;
    world.set("ada", &["is_active=false"]).await.unwrap();
    concerns_ada().await;
    world.directory.record_login(ada, NOW).await.unwrap();
    assert!(world.directory.cached(ada, NOW).is_none());
    world.seen(ada).await.unwrap();
    assert!(changes.try_recv().is_err(), "a login takes no right from anybody");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_load_brings_an_old_user_back() {
    let world = World::new().await;
    let ada = world.create("ada").await;
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut loaders = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (directory, done) = (Arc::clone(&world.directory), Arc::clone(&done));
        loaders.spawn(async move {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                directory.user(ada, NOW).await.unwrap();
            }
        });
    }
    let holder = || Holder::User("ada".to_owned());
    for _ in 0..150 {
        world.order(can_vote(holder())).await.unwrap();
        assert!(world.seen(ada).await.unwrap().has_perm("polls.can_vote"));
        world.order(can_no_longer_vote(holder())).await.unwrap();
        assert!(!world.seen(ada).await.unwrap().has_perm("polls.can_vote"));
        tokio::task::yield_now().await;
        assert!(!world.seen(ada).await.unwrap().has_perm("polls.can_vote"));
    }
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    while loaders.join_next().await.is_some() {}
}

#[tokio::test]
async fn an_asker_who_goes_away_leaves_no_old_state_behind() {
    let world = World::new().await;
    let ada = world.create("ada").await;
    for flag in ["false", "true"].into_iter().cycle().take(20) {
        assert!(world.seen(ada).await.is_some());
        let changes = vec![format!("is_active={flag}").parse().unwrap()];
        let (set, by) = (Command::UserSet { username: "ada".to_owned(), changes }, by());
        let order = world.directory.execute(set, &by, NOW);
        // Dropped after its first poll.
        let mut order = Box::pin(order);
        std::future::poll_fn(|context| {
            drop(order.as_mut().poll(context));
            std::task::Poll::Ready(())
        })
        .await;
        drop(order);
        // It is carried out all the same, and who asks then sees what is written.
        while world.written("ada").await.is_active.to_string() != flag {
            tokio::task::yield_now().await;
        }
        world.set("ada", &["first_name=Ada"]).await.unwrap();
        assert_eq!(world.seen(ada).await.unwrap().is_active.to_string(), flag);
    }
}

#[tokio::test]
async fn changes_of_another_process_are_noticed() {
    let world = World::new().await;
    let ada = world.create("ada").await;
    let other = world.other_process().await;
    assert!(other.seen(ada).await.unwrap().is_active);
    assert!(world.seen(ada).await.unwrap().is_active);
    other.set("ada", &["is_active=false"]).await.unwrap();
    for _ in 0..300 {
        if !world.seen(ada).await.unwrap().is_active {
            world.set("ada", &["is_superuser=true"]).await.unwrap();
            let user = other.named("ada").await.unwrap();
            assert!(user.is_superuser, "and the other way round");
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the other process deactivated the user six seconds ago");
}

#[tokio::test]
async fn credentials_are_verified_and_failures_look_alike() {
    let world = World::new().await;
    world.create("ada").await;
    world.create("idle").await;
    world.set("idle", &["is_active=false"]).await.unwrap();
    let verify = async |name: &str, password: &str| {
        world.directory.verify(name, password.to_owned(), NOW).await.unwrap()
    };
    assert_eq!(verify("ada", "correct horse").await.unwrap().user().username, "ada");
    assert!(verify("ada", "correct horse ").await.is_err());
    assert!(verify("ada", "").await.is_err());
    assert!(verify("idle", "correct horse").await.is_err());
    assert!(verify("nobody", "correct horse").await.is_err());
    assert!(verify("no\r\nname", "correct horse").await.is_err());
    assert!(verify("ada", &"x".repeat(1 << 20)).await.is_err());
}

#[tokio::test]
async fn a_storm_of_logins_is_told_that_it_is_one() {
    let world = World::new().await;
    world.create("ada").await;
    let storm = (0..2_000).map(|_| world.directory.verify("ada", "wrong".to_owned(), NOW));
    let outcomes = futures_util::future::join_all(storm).await;
    let busy = outcomes.iter().filter(|o| matches!(o, Err(AccountsError::Busy))).count();
    let answered = outcomes.iter().filter(|o| matches!(o, Ok(Err(_)))).count();
    assert_eq!(busy + answered, 2_000);
    assert!(busy > 1_000 && answered >= 256, "{busy} {answered}");
    let after = world.directory.verify("ada", "correct horse".to_owned(), NOW).await;
    assert!(after.unwrap().is_ok(), "and the places are given back");
}

#[tokio::test]
async fn the_first_superuser_is_made_once() {
    let world = World::new().await;
    assert!(!world.directory.has_users().await.unwrap());
    let (one, two) = tokio::join!(
        world.directory.create_first_superuser(new("ada"), NOW),
        world.directory.create_first_superuser(new("grace"), NOW),
    );
    let (first, refused) = if one.is_ok() { (one, two) } else { (two, one) };
    let first = first.unwrap();
    assert!(first.is_superuser && first.is_staff && first.is_active);
    assert!(matches!(refused, Err(CommandError::Conflict(_))));
    assert!(world.directory.has_users().await.unwrap());
}

#[tokio::test]
async fn what_cannot_be_is_refused_whole_and_with_a_hint() {
    let world = World::new().await;
    let ada = world.create("ada").await;
    world.group("Editors", &[], &[]).await;
    let refused = async |command| world.order(command).await.unwrap_err();

    let error = refused(Command::UserCreate(new("ada"))).await;
    assert_eq!(error, "there is a user `ada` already");
    let error = refused(Command::UserDelete { username: "adda".to_owned() }).await;
    assert_eq!(error, "there is no user `adda`\nhint: did you mean `ada`?");
    let group = NewUser { groups: vec!["Editor".to_owned()], ..new("grace") };
    let error = refused(Command::UserCreate(group)).await;
    assert_eq!(error, "there is no group `Editor`\nhint: did you mean `Editors`?");
    assert!(world.named("grace").await.is_none(), "all or nothing");
    let error = refused(can_vote(Holder::Group("Nobody".to_owned()))).await;
    assert!(error.contains("vestibule group create"), "{error}");
    let permission = "polls.can_vot".to_owned();
    let to = Holder::User("ada".to_owned());
    let error = refused(Command::PermissionGrant { permission, to }).await;
    assert!(error.contains("did you mean `polls.can_vote`?"), "{error}");
    let error = refused(can_no_longer_vote(Holder::User("ada".to_owned()))).await;
    assert!(error.contains("was never granted to the user `ada`"), "{error}");
    let short = NewUser { password: Secret::from("2short!".to_owned()), ..new("grace") };
    let error = refused(Command::UserCreate(short)).await;
    assert!(error.contains("at least 8 characters") && !error.contains("2short!"), "{error}");
    let error = refused(Command::UserCreate(new("bob\r\nX-Admin: 1"))).await;
    assert!(error.contains(r"'\r'"), "{error}");
    let add = |users: &[&str]| Command::GroupAdd {
        name: "Editors".to_owned(),
        users: users.iter().map(|&user| user.to_owned()).collect(),
    };
    refused(add(&["ada", "nobody"])).await;
    assert!(world.seen(ada).await.unwrap().groups.is_empty(), "all or nothing");
    let error = world.set("ada", &["first_name=x", "email=nonsense"]).await.unwrap_err();
    assert!(error.contains("`nonsense` is not an e-mail address"), "{error}");
    assert_eq!(world.seen(ada).await.unwrap().first_name, "", "all or nothing");
    world.create("grace").await;
    let error = world.set("grace", &["username=ada"]).await.unwrap_err();
    assert_eq!(error, "there is a user `ada` already");
}

#[tokio::test]
async fn declared_permissions_are_there_and_their_descriptions_follow_the_file() {
    let world = World::new().await;
    let mut settings = settings(world.place.path());
    settings.permissions[0].1 = "Can vote in polls".to_owned();
    let directory = Directory::open(&settings).await.unwrap();
    let reply = directory.execute(Command::PermissionList {}, &by(), NOW).await.unwrap();
    let Reply::Permissions(list) = reply else { panic!("{reply:?}") };
    // Those that govern staff are there too.
    let of_polls = list.iter().filter(|p| p.permission.starts_with("polls."));
    let list: Vec<_> = of_polls.map(|p| (p.permission.as_str(), p.description.as_str())).collect();
    let expected =
        [("polls.add_choice", "Can add choice"), ("polls.can_vote", "Can vote in polls")];
    assert_eq!(list, expected);
}

#[tokio::test]
async fn a_thousand_users_are_listed_and_go_through_the_socket() {
    let world = World::new().await;
    world.group("Editors", &[], &[]).await;
    let mut writing = world.directory.shared.database.write().await.unwrap();
    for number in 0..1_000 {
        sqlx::query(
            "INSERT INTO vestibule_user (username, password, date_joined) VALUES ($1, '!', 0)",
        )
        .bind(format!("user{number:04}"))
        .execute(&mut *writing)
        .await
        .unwrap();
    }
    let everybody = "INSERT INTO vestibule_user_groups SELECT vestibule_user.id, 1
                     FROM vestibule_user";
    sqlx::query(everybody).execute(&mut *writing).await.unwrap();
    writing.commit().await.unwrap();

    let body = serde_json::to_vec(&Command::UserList {}).unwrap();
    let Answer { status, json, .. } =
        super::super::answer(&world.directory, &body, &by(), NOW).await;
    assert_eq!(status, 200);
    let Reply::Users(users) = serde_json::from_slice(&json).unwrap() else { panic!() };
    assert_eq!(users.len(), 1_000);
    assert!(users.iter().enumerate().all(|(n, user)| user.username == format!("user{n:04}")));
    assert!(users.iter().all(|user| user.groups == ["Editors"] && user.last_login.is_none()));
    let unusable = world.directory.verify("user0007", "!".to_owned(), NOW).await.unwrap();
    assert!(unusable.is_err());
}

#[tokio::test]
async fn bodies_that_are_no_commands_are_refused_without_repeating_them() {
    let world = World::new().await;
    let bodies = [r#"{"user_create": {"username": "x", "password": ["hunter2"]}}"#, "", "{}"];
    for body in bodies {
        let Answer { status, json, .. } =
            super::super::answer(&world.directory, body.as_bytes(), &by(), NOW).await;
        let json = String::from_utf8(json).unwrap();
        assert_eq!(status, 400, "{json}");
        assert!(json.contains(r#""kind":"invalid""#) && !json.contains("hunter2"), "{json}");
    }
    let body = r#"{"user_show": {"username": "nobody"}}"#;
    let Answer { status, json, .. } =
        super::super::answer(&world.directory, body.as_bytes(), &by(), NOW).await;
    assert_eq!(status, 404);
    assert!(String::from_utf8(json).unwrap().contains(r#""kind":"not_found""#));
}

#[test]
fn it_can_be_asked_from_any_runtime() {
    let control = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let world = control.block_on(World::new());
    let ada = control.block_on(world.create("ada"));
    let worker = tokio::runtime::Builder::new_current_thread().build().unwrap();
    worker.block_on(async {
        assert!(world.directory.user(ada, NOW).await.unwrap().is_some());
        let verified = world.directory.verify("ada", "correct horse".to_owned(), NOW).await;
        assert!(verified.unwrap().is_ok());
    });
}

#[tokio::test]
async fn whoever_has_sessions_is_told_whose_are_worthless() {
    let world = World::new().await;
    let ada = world.create("ada").await;
    let order =
        async |command| world.directory.carry_out(command, &by(), NOW).await.unwrap().shut_out;
    let set = |changes: &[Change]| Command::UserSet {
        username: "ada".to_owned(),
        changes: changes.to_vec(),
    };
    let harmless = [Change::IsActive(false), Change::IsActive(true), Change::IsStaff(true)];
    assert_eq!(order(set(&harmless)).await, []);
    let deactivated = [Change::IsActive(false), Change::Email("ada@example.org".to_owned())];
    for command in [
        set(&deactivated),
        Command::UserSetPassword {
            username: "ada".to_owned(),
            password: "granite-window-9182".to_owned().into(),
        },
        Command::UserDelete { username: "ada".to_owned() },
    ] {
        let shut_out = order(command).await.remove(0);
        assert_eq!((shut_out.user, &*shut_out.username), (ada, "ada"));
    }
}

#[tokio::test]
async fn names_are_told_of_everybody_who_is_there() {
    let world = World::new().await;
    let (ada, bob) = (world.create("ada").await, world.create("bob").await);
    let ids: BTreeSet<UserId> = (-1..2000).map(UserId).collect();
    let names = world.directory.usernames(ids).await.unwrap();
    assert_eq!(names, HashMap::from([(ada, "ada".to_owned()), (bob, "bob".to_owned())]));
    assert!(world.directory.usernames(BTreeSet::new()).await.unwrap().is_empty());
}
