//! A hundred thousand users, looked for and shown a page at a time.

use super::*;
use crate::accounts::{UserPage, UserQuery};

/// No page takes longer, on a busy machine and in a program that is not optimised.
const PATIENCE: Duration = Duration::from_secs(5);

/// The same on both databases: user000001 … user100000, every tenth a member of `Editors`, every
/// thousandth not active, every ten-thousandth of the staff.
const INSERT: &str = "INSERT INTO vestibule_user
         (username, first_name, last_name, email, password, is_staff, is_active, date_joined)
     WITH RECURSIVE numbers(n) AS (
         SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 100000)
     SELECT 'user' || substr(CAST(1000000 + n AS TEXT), 2), 'First' || CAST(n % 100 AS TEXT),
            'Last_' || CAST(n % 7 AS TEXT), CAST(n AS TEXT) || '@Example.org', '!',
            n % 10000 = 0, n % 1000 <> 0, 0
     FROM numbers";

const MEMBERS: &str = "INSERT INTO vestibule_user_groups (user_id, group_id)
     SELECT id, 1 FROM vestibule_user WHERE username LIKE '%0'";

impl World {
    /// A page, in time.
    async fn page(&self, query: UserQuery) -> UserPage {
        let by = by();
        let order = self.directory.execute(Command::UserSearch(query.clone()), &by, NOW);
        let reply = tokio::time::timeout(PATIENCE, order).await;
        let reply = reply.unwrap_or_else(|_| panic!("takes too long: {query:?}"));
        let Reply::UserPage(page) = reply.unwrap() else { panic!("{query:?}") };
        page
    }
}

fn names(page: &UserPage) -> Vec<&str> {
    page.users.iter().map(|user| user.username.as_str()).collect()
}

fn searched(search: &str) -> UserQuery {
    UserQuery { search: search.to_owned(), ..UserQuery::default() }
}

#[tokio::test]
async fn a_hundred_thousand_users_are_looked_for_and_paged_through() {
    let world = World::new().await;
    world.group("Editors", &[], &[]).await;
    let mut writing = world.directory.shared.database.write().await.unwrap();
    for statement in [INSERT, MEMBERS] {
        sqlx::query(statement).execute(&mut *writing).await.unwrap();
    }
    writing.commit().await.unwrap();

    let first = world.page(UserQuery::default()).await;
    assert_eq!((first.total, first.page, first.pages), (100_000, 1, 1_000));
    assert_eq!(first.users.len(), 100);
    assert_eq!(first.users[0].username, "user000001");
    assert_eq!(first.users[9].groups, ["Editors"]);
    assert!(first.users[8].groups.is_empty());

    let last = world.page(UserQuery { page: 1_000_000, limit: 30, ..UserQuery::default() }).await;
    assert_eq!((last.page, last.pages), (3_334, 3_334));
    assert_eq!(last.users.last().unwrap().username, "user100000");
    assert_eq!(last.users.len(), 10);

    let after = Some("user099998".to_owned());
    let rest = world.page(UserQuery { after, ..UserQuery::default() }).await;
    assert_eq!(names(&rest), ["user099999", "user100000"]);

    // Each word in any of the fields, whatever its case; `_` and `%` are letters.
    let found = world.page(searched("FIRST42 4242@example")).await;
    assert_eq!(
        names(&found),
        [
            "user004242",
            "user014242",
            "user024242",
            "user034242",
            "user044242",
            "user054242",
            "user064242",
            "user074242",
            "user084242",
            "user094242"
        ]
    );
    assert_eq!(world.page(searched("last_3")).await.total, 14_286);
    for nothing in ["user_00001", "%", "last\\_3", "nobody"] {
        let none = world.page(searched(nothing)).await;
        assert_eq!((none.total, none.page, none.pages), (0, 1, 1), "{nothing}");
    }

    let query = UserQuery { is_active: Some(false), ..UserQuery::default() };
    assert_eq!(world.page(query).await.total, 100);
    let query = UserQuery {
        group: Some("Editors".to_owned()),
        is_staff: Some(true),
        is_superuser: Some(false),
        ..searched("user")
    };
    assert_eq!(world.page(query).await.total, 10);
    let query = UserQuery { group: Some("Editor".to_owned()), ..UserQuery::default() };
    let missing = world.directory.execute(Command::UserSearch(query), &by(), NOW).await;
    assert!(missing.unwrap_err().to_string().contains("did you mean `Editors`?"));
}
