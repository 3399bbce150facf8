//! What staff may order, as a table: one column for each permission, one row for each order.

use std::fmt::Write as _;
use std::sync::Arc;

use super::super::command::{Change, GroupEdit, NewUser, Reply, UserEdit};
use super::super::log::{LogQuery, MOST_ENTRIES};
use super::super::settings::{self, Hashing, Settings};
use super::super::{Directory, KEEP_LOG, LogEntry};
use super::*;
use crate::domain::Timestamp;
use crate::domain::staff::{ViewLog, ViewUser};

const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

/// The permissions that are columns; `-` is none, `superuser` and `no staff` are what they say.
const COLUMNS: [&str; 13] = [
    "-",
    "auth.view_user",
    "auth.add_user",
    "auth.change_user",
    "auth.delete_user",
    "auth.view_group",
    "auth.add_group",
    "auth.change_group",
    "auth.delete_group",
    "auth.view_permission",
    "user+group",
    "superuser",
    "no staff",
];

struct World {
    directory: Directory,
    _place: tempfile::TempDir,
}

fn by() -> By {
    By::Operator("a test".to_owned())
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn new(username: &str) -> NewUser {
    NewUser { username: username.to_owned(), unusable_password: true, ..NewUser::default() }
}

impl World {
    async fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let permissions = ["polls.can_vote", "polls.add_choice"];
        let settings = Settings {
            database: settings::Database::Sqlite(place.path().join("users.db")),
            hashing: Hashing { memory_kib: 8, iterations: 1, parallelism: 1 },
            permissions: permissions.map(|p| (p.parse().unwrap(), p.to_owned())).into(),
            ..Settings::default()
        };
        let directory = Directory::open(&settings).await.unwrap();
        let world = Self { directory, _place: place };
        for (name, gives) in [
            ("Editors", "polls.can_vote"),
            ("Voters", "polls.can_vote"),
            ("Rich", "polls.add_choice"),
        ] {
            let permissions = names(&[gives]);
            world.order(Command::GroupCreate { name: name.to_owned(), permissions }).await;
        }
        world
    }

    async fn order(&self, command: Command) {
        self.directory.execute(command, &by(), NOW).await.unwrap();
    }

    /// A member of staff who votes, is an editor, and has what the column says.
    async fn stella(&self, column: &str) -> By {
        let more: &[&str] = match column {
            "-" | "superuser" | "no staff" => &[],
            "user+group" => &["auth.change_user", "auth.change_group"],
            permission => &[permission],
        };
        let stella = NewUser {
            is_staff: column != "no staff",
            is_superuser: column == "superuser",
            groups: names(&["Editors"]),
            permissions: names(more),
            ..new("stella")
        };
        self.order(Command::UserCreate(stella)).await;
        By::User(self.user("stella").await)
    }

    async fn user(&self, name: &str) -> Arc<User> {
        self.directory.user_by_name(name, NOW).await.unwrap().unwrap()
    }

    async fn log(&self) -> Vec<LogEntry> {
        let root = User { is_superuser: true, is_staff: true, ..(*self.somebody().await).clone() };
        let allowed = StaffMember::confirm(Arc::new(root)).unwrap().may::<ViewLog>().unwrap();
        self.directory.browse_log(&allowed, LogQuery::default()).await.unwrap().entries
    }

    async fn somebody(&self) -> Arc<User> {
        if self.directory.find("nemo").await.is_err() {
            self.order(Command::UserCreate(new("nemo"))).await;
        }
        self.user("nemo").await
    }
}

/// Every order of the table, each about a user or a group of its own, who is made for it.
fn orders() -> Vec<(&'static str, Vec<Command>, Command)> {
    let create = |user: NewUser| Command::UserCreate(user);
    let set = |name: &str, change: Change| Command::UserSet {
        username: name.to_owned(),
        changes: vec![change],
    };
    let grant = |permission: &str, name: &str| Command::PermissionGrant {
        permission: permission.to_owned(),
        to: Holder::User(name.to_owned()),
    };
    let join = |group: &str, name: &str| Command::GroupAdd {
        name: group.to_owned(),
        users: names(&[name]),
    };
    let leave = |group: &str, name: &str| Command::GroupRemove {
        name: group.to_owned(),
        users: names(&[name]),
    };
    let with =
        |name: &str, permission: &str| NewUser { permissions: names(&[permission]), ..new(name) };
    let within = |name: &str, group: &str| NewUser { groups: names(&[group]), ..new(name) };
    let root = |name: &str| NewUser { is_superuser: true, ..new(name) };
    let group = |name: &str, gives: &str| Command::GroupCreate {
        name: name.to_owned(),
        permissions: names(&[gives]),
    };
    let first_name = || Change::FirstName("X".to_owned());
    let password = |name: &str| Command::UserSetPassword {
        username: name.to_owned(),
        password: "correct horse".to_owned().into(),
    };
    let no_password = |name: &str| Command::UserSetUnusablePassword { username: name.to_owned() };
    let delete = |name: &str| Command::UserDelete { username: name.to_owned() };
    let to_group = |permission: &str, name: &str| Command::PermissionGrant {
        permission: permission.to_owned(),
        to: Holder::Group(name.to_owned()),
    };
    let delete_group = |name: &str| Command::GroupDelete { name: name.to_owned() };
    let made = |user: NewUser| vec![Command::UserCreate(user)];
    vec![
        ("list users", vec![], Command::UserList {}),
        ("see a user", vec![], Command::UserShow { username: "stella".to_owned() }),
        ("add a user", vec![], create(new("a1"))),
        (
            "add a user with a password",
            vec![],
            create(NewUser {
                unusable_password: false,
                password: "correct horse".to_owned().into(),
                ..new("a2")
            }),
        ),
        ("add a user with a permission held", vec![], create(with("a3", "polls.can_vote"))),
        ("add a user with a permission lacked", vec![], create(with("a4", "polls.add_choice"))),
        ("add a user to the own group", vec![], create(within("a5", "Editors"))),
        ("add a user to another group", vec![], create(within("a6", "Voters"))),
        ("add a user to a group that gives more", vec![], create(within("a7", "Rich"))),
        ("add staff", vec![], create(NewUser { is_staff: true, ..new("a8") })),
        ("add a superuser", vec![], create(root("a9"))),
        ("change a user", made(new("b1")), set("b1", first_name())),
        (
            "change the address of a user",
            made(new("b2")),
            set("b2", Change::Email("b@x.org".to_owned())),
        ),
        ("deactivate a user", made(new("b3")), set("b3", Change::IsActive(false))),
        ("change who holds more", made(with("b4", "polls.add_choice")), set("b4", first_name())),
        ("change a member of another group", made(within("b5", "Voters")), set("b5", first_name())),
        ("change a superuser", made(root("b6")), set("b6", first_name())),
        ("make staff", made(new("b7")), set("b7", Change::IsStaff(true))),
        ("make a superuser", made(new("b8")), set("b8", Change::IsSuperuser(true))),
        ("become a superuser", vec![], set("stella", Change::IsSuperuser(true))),
        ("change the own name", vec![], set("stella", first_name())),
        ("give a permission held", made(new("c1")), grant("polls.can_vote", "c1")),
        ("give a permission lacked", made(new("c2")), grant("polls.add_choice", "c2")),
        ("give oneself a permission lacked", vec![], grant("polls.add_choice", "stella")),
        ("add to the own group", made(new("c3")), join("Editors", "c3")),
        ("add to another group", made(new("c4")), join("Voters", "c4")),
        ("add to a group that gives more", made(new("c5")), join("Rich", "c5")),
        ("join another group", vec![], join("Voters", "stella")),
        ("join a group that gives more", vec![], join("Rich", "stella")),
        ("remove from a group that gives more", made(within("c6", "Rich")), leave("Rich", "c6")),
        ("choose the password of a user", made(new("d1")), password("d1")),
        ("choose the own password", vec![], password("stella")),
        ("take the password of a user", made(new("d2")), no_password("d2")),
        ("take the password of a superuser", made(root("d3")), no_password("d3")),
        ("delete a user", made(new("e1")), delete("e1")),
        ("delete who holds more", made(with("e2", "polls.add_choice")), delete("e2")),
        ("delete a superuser", made(root("e3")), delete("e3")),
        ("list groups", vec![], Command::GroupList {}),
        ("add a group", vec![], group("F1", "polls.can_vote")),
        ("add a group that gives more", vec![], group("F2", "polls.add_choice")),
        ("let a group give a permission held", vec![], to_group("polls.can_vote", "Voters")),
        ("let a group give a permission lacked", vec![], to_group("polls.add_choice", "Voters")),
        (
            "rename a group",
            vec![group("F3", "polls.can_vote")],
            Command::GroupEdit(GroupEdit {
                name: "F3".to_owned(),
                new_name: "F4".to_owned(),
                ..GroupEdit::default()
            }),
        ),
        ("delete a group", vec![group("F5", "polls.can_vote")], delete_group("F5")),
        (
            "delete a group that gives more",
            vec![group("F6", "polls.add_choice")],
            delete_group("F6"),
        ),
        ("list permissions", vec![], Command::PermissionList {}),
        (
            "create a permission",
            vec![],
            Command::PermissionCreate {
                permission: "polls.more".to_owned(),
                description: "More".to_owned(),
            },
        ),
        // The last one, since the others find her by this name.
        ("change the own username", vec![], set("stella", Change::Username("estelle".to_owned()))),
    ]
}

#[tokio::test]
async fn staff_may_what_the_table_says() {
    let mut rows: Vec<String> = orders().iter().map(|(row, _, _)| format!("{row:<40}")).collect();
    for column in COLUMNS {
        let world = World::new().await;
        let stella = world.stella(column).await;
        for (at, (row, before, command)) in orders().into_iter().enumerate() {
            for made in before {
                world.order(made).await;
            }
            let outcome = world.directory.execute(command, &stella, NOW).await;
            let mark = match outcome {
                Ok(_) => "yes",
                Err(CommandError::Forbidden(_)) => ".",
                // The form showed another state: it would have been done otherwise.
                Err(CommandError::Conflict(_)) if row == "rename a group" => "yes",
                Err(other) => panic!("{column}, {row}: {other}"),
            };
            write!(rows[at], " {mark:<5}").unwrap();
        }
    }
    let mut table = String::new();
    for (number, column) in COLUMNS.iter().enumerate() {
        writeln!(table, "{:>2} {column}", number + 1).unwrap();
    }
    write!(table, "\n{:<40}", "").unwrap();
    for number in 1..=COLUMNS.len() {
        write!(table, " {number:<5}").unwrap();
    }
    writeln!(table).unwrap();
    for row in rows {
        writeln!(table, "{}", row.trim_end()).unwrap();
    }
    let table: String = table.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    let golden = include_str!("../../../tests/golden/staff_matrix.txt");
    assert!(table == golden, "the table is not as tests/golden/staff_matrix.txt has it:\n{table}");
}

#[tokio::test]
async fn what_is_refused_leaves_no_trace_and_what_is_done_is_written_down_with_it() {
    let world = World::new().await;
    let stella = world.stella("auth.change_user").await;
    world.order(Command::UserCreate(new("bob"))).await;
    let before = world.log().await.len();
    let edit = |seen: String, changes: Vec<Change>| {
        let id = 0;
        UserEdit { id, seen, changes, ..UserEdit::default() }
    };
    let bob = world.user("bob").await;
    let allowed = StaffMember::confirm(world.user("stella").await).unwrap();
    let allowed = allowed.may::<ViewUser>().unwrap();
    let seen = world.directory.look_at_user(&allowed, bob.id).await.unwrap().unwrap().version;
    // All of a form or nothing.
    let changes = vec![Change::FirstName("Bob".to_owned()), Change::IsSuperuser(true)];
    let forged = UserEdit { id: bob.id.0, ..edit(seen.clone(), changes) };
    let refused = world.directory.execute(Command::UserEdit(forged), &stella, NOW).await;
    assert!(matches!(refused, Err(CommandError::Forbidden(_))), "{refused:?}");
    assert_eq!(*world.user("bob").await, *bob);
    assert_eq!(world.log().await.len(), before, "nothing is written down");

    let changes = vec![Change::FirstName("Bob".to_owned())];
    let good =
        UserEdit { id: bob.id.0, grant: names(&["polls.can_vote"]), ..edit(seen.clone(), changes) };
    let done = world.directory.execute(Command::UserEdit(good.clone()), &stella, NOW).await;
    assert!(matches!(done, Ok(Reply::Done(_))), "{done:?}");
    let entry = world.log().await.remove(0);
    assert_eq!((&*entry.by, &*entry.way, &*entry.action), ("stella", "page", "change"));
    assert_eq!((&*entry.kind, &*entry.object, entry.object_id), ("user", "bob", Some(bob.id.0)));
    assert_eq!(entry.changes["first_name"], [Value::from(""), Value::from("Bob")]);
    let given = [Value::from(Vec::<String>::new()), Value::from(names(&["polls.can_vote"]))];
    assert_eq!(entry.changes["permissions"], given);
    assert_eq!(entry.changes.len(), 2);

    // The form of before shows what is no more.
    let late = world.directory.execute(Command::UserEdit(good), &stella, NOW).await;
    assert!(matches!(late, Err(CommandError::Conflict(_))), "{late:?}");
}

#[tokio::test]
async fn rights_are_those_of_now_and_not_those_of_the_page() {
    let world = World::new().await;
    let stella = world.stella("auth.change_user").await;
    world.order(Command::UserCreate(new("bob"))).await;
    let set = |name: &str| Command::UserSet {
        username: "bob".to_owned(),
        changes: vec![Change::FirstName(name.to_owned())],
    };
    world.directory.execute(set("a"), &stella, NOW).await.unwrap();
    world
        .order(Command::PermissionRevoke {
            permission: "auth.change_user".to_owned(),
            from: Holder::User("stella".to_owned()),
        })
        .await;
    // `stella` still is the user whom the page knew.
    let refused = world.directory.execute(set("b"), &stella, NOW).await;
    assert!(matches!(refused, Err(CommandError::Forbidden(_))), "{refused:?}");
    world.order(Command::UserDelete { username: "stella".to_owned() }).await;
    let gone = world.directory.execute(set("c"), &stella, NOW).await;
    assert!(matches!(gone, Err(CommandError::Forbidden(_))), "{gone:?}");
}

#[tokio::test]
async fn the_log_says_what_operators_did_and_never_a_secret() {
    let world = World::new().await;
    let bob = NewUser {
        unusable_password: false,
        password: "correct horse".to_owned().into(),
        ..new("bob")
    };
    world.order(Command::UserCreate(bob)).await;
    let password = "battery staple".to_owned().into();
    world.order(Command::UserSetPassword { username: "bob".to_owned(), password }).await;
    world.order(Command::UserDelete { username: "bob".to_owned() }).await;
    let entries = world.log().await;
    let told: Vec<String> = entries
        .iter()
        .filter(|entry| entry.object == "bob")
        .map(|entry| format!("{} {} {} {}", entry.by, entry.way, entry.action, entry.kind))
        .collect();
    assert_eq!(
        told,
        ["a test command delete user", "a test command change user", "a test command add user"]
    );
    let changed = entries.iter().find(|entry| entry.action == "change").unwrap();
    assert_eq!(changed.changes.keys().collect::<Vec<_>>(), ["password"]);
    let all = format!("{entries:?}");
    for secret in ["horse", "battery", "argon2", "$"] {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
}

#[tokio::test]
async fn the_log_is_bounded_in_time_and_size() {
    let world = World::new().await;
    let made = world.log().await.len();
    assert!(made > 0);
    let later = NOW.after(KEEP_LOG + std::time::Duration::from_secs(1));
    let create = Command::UserCreate(new("late"));
    world.directory.execute(create, &by(), later).await.unwrap();
    let kept = world.log().await;
    assert_eq!(kept.len(), 1, "{kept:?}");
    // As if as many as are kept had come since.
    let mut writing = world.directory.shared.database.write().await.unwrap();
    sqlx::query("UPDATE vestibule_log SET id = $1").bind(1).execute(&mut *writing).await.unwrap();
    sqlx::query("UPDATE sqlite_sequence SET seq = $1 WHERE name = 'vestibule_log'")
        .bind(MOST_ENTRIES + 10)
        .execute(&mut *writing)
        .await
        .unwrap();
    writing.commit().await.unwrap();
    world.directory.execute(Command::UserCreate(new("later")), &by(), later).await.unwrap();
    let kept = world.log().await;
    assert_eq!(kept.iter().map(|entry| &*entry.object).collect::<Vec<_>>(), ["later"]);
}
