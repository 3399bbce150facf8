use std::sync::Mutex;

use super::*;
use crate::accounts::settings::{Database, Hashing};
use crate::accounts::{Secret, Settings};

const NOON: Timestamp = Timestamp::from_seconds(1_800_000_000);

#[derive(Debug, Default)]
struct Paper(Mutex<Vec<Entry>>);

impl Trail for Paper {
    fn note(&self, entry: &Entry) {
        self.0.lock().unwrap().push(entry.clone());
    }
}

struct Office {
    directory: Directory,
    paper: Arc<Paper>,
    _place: tempfile::TempDir,
}

impl Office {
    async fn open() -> Self {
        let place = tempfile::tempdir().unwrap();
        let settings = Settings {
            database: Database::Sqlite(place.path().join("users.db")),
            hashing: Hashing { memory_kib: 8, iterations: 1, parallelism: 1 },
            ..Settings::default()
        };
        let directory = Directory::open(&settings).await.unwrap();
        let paper = Arc::new(Paper::default());
        directory.keep_trail(Arc::clone(&paper) as Arc<dyn Trail>);
        Self { directory, paper, _place: place }
    }

    /// Orders something, and gives the one entry about it; none of an order that asks only.
    async fn order(&self, command: Command) -> Option<Entry> {
        let by = By::Operator("uid 0".to_owned());
        let _outcome = self.directory.execute(command, &by, NOON).await;
        let mut entries = std::mem::take(&mut *self.paper.0.lock().unwrap());
        assert!(entries.len() < 2, "{entries:?}");
        entries.pop()
    }
}

fn new(username: &str) -> Command {
    Command::UserCreate(NewUser {
        username: username.to_owned(),
        password: Secret::from("letmein-sesame-44".to_owned()),
        email: "ada@example.org".to_owned(),
        is_staff: true,
        ..NewUser::default()
    })
}

#[tokio::test]
async fn every_order_is_written_down_with_who_and_whom() {
    let office = Office::open().await;
    let ada = |name: &str| Some(Person { name: name.to_owned(), id: Some(UserId(1)) });
    let created = office.order(new("ada")).await.unwrap();
    assert_eq!((created.event, created.outcome), (Event::UserCreated, audit::Outcome::Ok));
    assert_eq!((created.at, created.user), (NOON, ada("ada")));
    assert_eq!(created.by, Some(Person { name: "uid 0".to_owned(), id: None }));
    assert_eq!(created.details, [("is_staff", Detail::Flag(true))]);

    let username = || "ada".to_owned();
    let changes = vec![
        Change::IsSuperuser(true),
        Change::FirstName("Ada".to_owned()),
        Change::Username("lovelace".to_owned()),
    ];
    let changed = office.order(Command::UserSet { username: username(), changes }).await.unwrap();
    assert_eq!((changed.event, changed.user), (Event::UserChanged, ada("ada")));
    assert_eq!(
        changed.details,
        [
            ("is_superuser", Detail::Flag(true)),
            ("username", Detail::Text("lovelace".to_owned())),
            ("fields", Detail::List(vec!["first_name".to_owned()])),
        ]
    );
    let password = Secret::from("letmein-sesame-45".to_owned());
    let set = Command::UserSetPassword { username: "lovelace".to_owned(), password };
    let set = office.order(set).await.unwrap();
    assert_eq!((set.event, set.user.clone()), (Event::PasswordChanged, ada("lovelace")));
    assert!(!format!("{set:?}").contains("sesame"), "{set:?}");
    let gone = office.order(Command::UserDelete { username: "lovelace".to_owned() }).await.unwrap();
    assert_eq!((gone.event, gone.user), (Event::UserDeleted, ada("lovelace")));
}

#[tokio::test]
async fn groups_and_permissions_are_written_down_too() {
    let office = Office::open().await;
    office.order(new("ada")).await;
    let name = || "Editors".to_owned();
    let users = || vec!["ada".to_owned()];
    let permission = || "polls.can_vote".to_owned();
    let orders = [
        (Command::GroupCreate { name: name(), permissions: Vec::new() }, "group_created"),
        (Command::GroupAdd { name: name(), users: users() }, "group_joined"),
        (
            Command::PermissionCreate { permission: permission(), description: "x".to_owned() },
            "permission_created",
        ),
        (
            Command::PermissionGrant { permission: permission(), to: Holder::Group(name()) },
            "permission_granted",
        ),
        (
            Command::PermissionRevoke {
                permission: permission(),
                from: Holder::User("ada".to_owned()),
            },
            "permission_revoked",
        ),
        (Command::GroupRemove { name: name(), users: users() }, "group_left"),
        (Command::GroupDelete { name: name() }, "group_deleted"),
    ];
    for (command, event) in orders {
        let entry = office.order(command).await.unwrap();
        assert_eq!(entry.event.name(), event);
        let says = |word| format!("{:?}", entry.details).contains(word);
        assert!(says("Editors") || says("polls.can_vote"), "{entry:?}");
    }
}

#[tokio::test]
async fn questions_leave_no_trace_and_refused_orders_do() {
    let office = Office::open().await;
    for question in [Command::UserList {}, Command::GroupList {}, Command::PermissionList {}] {
        assert_eq!(office.order(question).await, None);
    }
    office.order(new("ada")).await;
    let again = office.order(new("ada")).await.unwrap();
    assert_eq!(again.outcome, audit::Outcome::Refused);
    assert_eq!(again.user.unwrap().id, Some(UserId(1)), "there is an account of that name");
    let unknown = Command::UserDelete { username: "letmein-sesame-44".to_owned() };
    let unknown = office.order(unknown).await.unwrap();
    assert_eq!((unknown.outcome, unknown.user), (audit::Outcome::Refused, None));
}
