//! The queue on a real database, at one gateway and at two.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::super::settings::{self, Hashing};
use super::super::{By, Command, Holder, NewUser, Reply, Settings};
use super::*;
use crate::domain::{Permission, Timestamp, User};

const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

async fn open(directory: &Path) -> Arc<Directory> {
    let settings = Settings {
        database: settings::Database::Sqlite(directory.join("users.db")),
        refresh: Duration::from_secs(86_400),
        hashing: Hashing { memory_kib: 8, iterations: 1, parallelism: 1 },
        permissions: vec![
            ("polls.can_vote".parse().unwrap(), "Can vote".to_owned()),
            ("wiki.edit".parse().unwrap(), "Can edit".to_owned()),
            ("wiki.delete".parse().unwrap(), "Can delete".to_owned()),
        ],
        ..Settings::default()
    };
    Arc::new(Directory::open(&settings).await.unwrap())
}

async fn order(directory: &Directory, command: Command) -> Reply {
    directory.execute(command, &By::Operator("a test".to_owned()), NOW).await.unwrap()
}

async fn create(directory: &Directory, new: NewUser) -> Arc<User> {
    let (username, password) = (new.username.clone(), "correct horse".to_owned().into());
    order(directory, Command::UserCreate(NewUser { password, ..new })).await;
    directory.user_by_name(&username, NOW).await.unwrap().unwrap()
}

async fn ada(directory: &Directory) -> UserId {
    create(directory, NewUser { username: "ada".to_owned(), ..NewUser::default() }).await.id
}

fn message(text: &str) -> Message {
    Message { level: Level::Info, text: MessageText::parse(text).unwrap(), created: NOW }
}

async fn take(directory: &Directory, user: UserId, most: usize) -> Vec<Queued> {
    let mut left = most;
    let fits = move |_: &Message| {
        left = left.saturating_sub(1);
        left > 0 || most == usize::MAX
    };
    directory.take_messages(user, fits).await.unwrap()
}

fn texts(taken: &[Queued]) -> Vec<&str> {
    taken.iter().map(|queued| queued.message.text.as_str()).collect()
}

async fn has_messages(directory: &Directory, user: UserId) -> bool {
    directory.user(user, NOW).await.unwrap().unwrap().has_messages
}

#[tokio::test]
async fn messages_are_taken_once_in_order_and_come_back_to_their_place() {
    let place = tempfile::tempdir().unwrap();
    let directory = open(place.path()).await;
    let ada = ada(&directory).await;
    assert!(!has_messages(&directory, ada).await);
    directory.add_messages(ada, ["a", "b", "c"].map(message).into()).await.unwrap();
    assert!(directory.cached(ada, NOW).is_none(), "what was known is forgotten");
    assert!(has_messages(&directory, ada).await);
    let first = take(&directory, ada, 3).await;
    assert_eq!(texts(&first), ["a", "b"]);
    assert!(has_messages(&directory, ada).await);
    directory.add_messages(ada, vec![message("d")]).await.unwrap();
    directory.return_messages(ada, first.clone()).await.unwrap();
    directory.return_messages(ada, first).await.unwrap();
    assert_eq!(texts(&take(&directory, ada, usize::MAX).await), ["a", "b", "c", "d"]);
    assert_eq!(take(&directory, ada, usize::MAX).await, []);
    assert!(!has_messages(&directory, ada).await);
    assert_eq!(take(&directory, UserId(99), usize::MAX).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_gateways_each_takes_what_the_other_does_not() {
    let place = tempfile::tempdir().unwrap();
    let (one, two) = (open(place.path()).await, open(place.path()).await);
    let ada = ada(&one).await;
    let sent: Vec<String> = (0..40).map(|number| number.to_string()).collect();
    let messages = sent.iter().map(|text| message(text)).collect();
    one.add_messages(ada, messages).await.unwrap();
    let mut takers = tokio::task::JoinSet::new();
    for number in 0..16 {
        let directory = Arc::clone(if number % 2 == 0 { &one } else { &two });
        takers.spawn(async move { take(&directory, ada, 5).await });
    }
    let mut taken = Vec::new();
    while let Some(some) = takers.join_next().await {
        taken.extend(texts(&some.unwrap()).into_iter().map(str::to_owned));
    }
    assert_eq!(taken.len(), 40);
    assert_eq!(taken.iter().collect::<BTreeSet<_>>(), sent.iter().collect::<BTreeSet<_>>());
}

#[tokio::test]
async fn members_of_a_group_are_told_and_only_the_last_messages_wait() {
    let place = tempfile::tempdir().unwrap();
    let directory = open(place.path()).await;
    order(&directory, Command::GroupCreate { name: "Editors".to_owned(), permissions: Vec::new() })
        .await;
    let user = |name: &str, groups: &[&str]| NewUser {
        username: name.to_owned(),
        groups: groups.iter().map(|&group| group.to_owned()).collect(),
        ..NewUser::default()
    };
    let grace = create(&directory, user("grace", &["Editors"])).await.id;
    let linus = create(&directory, user("linus", &["Editors"])).await.id;
    let ada = create(&directory, user("ada", &[])).await.id;
    directory.add_messages(linus, vec![message("to linus alone")]).await.unwrap();
    for number in 0..51 {
        let send = Command::MessageSend {
            to: Holder::Group("Editors".to_owned()),
            text: number.to_string(),
            level: "warning".to_owned(),
        };
        order(&directory, send).await;
    }
    for member in [grace, linus] {
        assert!(has_messages(&directory, member).await);
        let taken = take(&directory, member, usize::MAX).await;
        assert_eq!((taken.len(), texts(&taken)[0], texts(&taken)[49]), (50, "1", "50"));
        assert_eq!(taken[0].message.level, Level::Warning);
    }
    assert!(!has_messages(&directory, ada).await);
}

#[tokio::test]
async fn what_groups_give_is_told_apart_alone_and_among_several() {
    let place = tempfile::tempdir().unwrap();
    let directory = open(place.path()).await;
    let permissions = vec!["wiki.edit".to_owned()];
    order(&directory, Command::GroupCreate { name: "Editors".to_owned(), permissions }).await;
    let new = NewUser {
        username: "grace".to_owned(),
        groups: vec!["Editors".to_owned()],
        permissions: vec!["polls.can_vote".to_owned()],
        ..NewUser::default()
    };
    let grace = create(&directory, new).await;
    let new = NewUser { username: "root".to_owned(), is_superuser: true, ..NewUser::default() };
    let root = create(&directory, new).await;
    directory.add_messages(root.id, vec![message("x")]).await.unwrap();
    let names = |user: &User| {
        // Without those that the administration is governed by, which are always there.
        let theirs = |held: &&Permission| !matches!(held.app(), "auth" | "vestibule");
        let all = user.get_all_permissions().filter(theirs).map(ToString::to_string);
        let of_groups = user.get_group_permissions().filter(theirs).map(ToString::to_string);
        (all.collect::<Vec<_>>().join(" "), of_groups.collect::<Vec<_>>().join(" "))
    };
    let everything = "polls.can_vote wiki.delete wiki.edit".to_owned();
    let ids = vec![grace.id, root.id];
    let several = directory.users(ids, NOW).await.unwrap();
    for (found, known) in [&grace, &root].into_iter().zip(several) {
        let super::super::Known::User(user) = known.1 else { panic!("{known:?}") };
        let alone = directory.user(found.id, NOW).await.unwrap().unwrap();
        assert_eq!(alone, user);
        let expected = match user.is_superuser {
            true => (everything.clone(), everything.clone()),
            false => ("polls.can_vote wiki.edit".to_owned(), "wiki.edit".to_owned()),
        };
        assert_eq!(names(&user), expected);
        assert_eq!(user.has_messages, user.is_superuser);
    }
}
