//! Passwords as the directory has them: verified, replaced by better hashes, set, made unusable.

use super::*;
use crate::accounts::Weakness;
use crate::accounts::verification::Renewal;
use crate::domain::PasswordHash;
use crate::domain::password::NotVerified;

/// Django's MD5 of `letmein`.
const MD5: &str = "md5$vRvXdLfSgQTcpN98OGRbGL$0fa1b8923cc9449b9a8f9f75beec11da";

impl World {
    async fn stored(&self, username: &str) -> String {
        self.named(username).await.unwrap().password.encoded().to_owned()
    }

    /// Writes a hash as an import or another program does.
    async fn store(&self, username: &str, encoded: &str) {
        let mut change = self.directory.shared.begin_change_of_ours().await.unwrap();
        sqlx::query("UPDATE vestibule_user SET password = $1 WHERE username = $2")
            .bind(encoded)
            .bind(username)
            .execute(change.sql())
            .await
            .unwrap();
        change.commit().await.unwrap();
    }

    async fn verify(&self, username: &str, password: &str) -> Result<Arc<User>, NotVerified> {
        let verified = self.directory.verify(username, password.to_owned(), NOW).await.unwrap();
        verified.map(|verified| Arc::clone(verified.user()))
    }
}

/// The hash of `harbour-lantern` at another cost than the configured one.
async fn dearer() -> String {
    let place = tempfile::tempdir().unwrap();
    let hashing = Hashing { memory_kib: 16, iterations: 1, parallelism: 1 };
    let settings = Settings { hashing, ..settings(place.path()) };
    let directory = Directory::open(&settings).await.unwrap();
    let new = NewUser { password: "harbour-lantern".to_owned().into(), ..new("ada") };
    directory.execute(Command::UserCreate(new), &by(), NOW).await.unwrap();
    let ada = directory.user_by_name("ada", NOW).await.unwrap().unwrap();
    ada.password.encoded().to_owned()
}

#[tokio::test]
async fn an_old_hash_is_replaced_at_the_login_and_the_session_is_bound_to_the_new_one() {
    let world = World::new().await;
    world.create("ada").await;
    world.store("ada", MD5).await;
    assert!(world.verify("ada", "wrong").await.is_err());
    assert_eq!(world.stored("ada").await, MD5, "a wrong password changes nothing");

    let verified = world.verify("ada", "letmein").await.unwrap();
    let stored = world.stored("ada").await;
    assert!(stored.starts_with("argon2$argon2id$v=19$m=8,t=1,p=1$"), "{stored}");
    assert_eq!(verified.password.encoded(), stored);
    assert_eq!(world.seen(verified.id).await.unwrap().password.mark(), verified.password.mark());

    world.verify("ada", "letmein").await.unwrap();
    assert_eq!(world.stored("ada").await, stored, "once is enough");
    assert!(world.verify("ada", "Letmein").await.is_err());
}

#[tokio::test]
async fn a_hash_of_another_cost_is_replaced_and_no_session_ends() {
    let world = World::new().await;
    let id = world.create("ada").await;
    let old = dearer().await;
    assert!(old.contains("m=16,t=1,p=1"));
    world.store("ada", &old).await;
    let before = world.named("ada").await.unwrap().password.mark();
    let mut changes = world.directory.changes();
    world.verify("ada", "harbour-lantern").await.unwrap();
    assert!(world.stored("ada").await.contains("m=8,t=1,p=1"));
    assert_eq!(world.seen(id).await.unwrap().password.mark(), before);
    assert!(changes.try_recv().is_err(), "nobody who is connected has to be looked at");
}

#[tokio::test]
async fn the_hash_of_somebody_who_may_not_log_in_stays_as_it_is() {
    let world = World::new().await;
    world.create("idle").await;
    world.store("idle", MD5).await;
    world.set("idle", &["is_active=false"]).await.unwrap();
    assert!(world.verify("idle", "letmein").await.is_err());
    assert_eq!(world.stored("idle").await, MD5);
}

#[tokio::test]
async fn a_password_that_was_changed_meanwhile_stays_changed() {
    let world = World::new().await;
    let id = world.create("ada").await;
    world.store("ada", MD5).await;
    let old = PasswordHash::from_encoded(MD5);
    let (username, password) = ("ada".to_owned(), Secret::from("battery staple".to_owned()));
    world.order(Command::UserSetPassword { username, password }).await.unwrap();
    let changed = world.stored("ada").await;
    let renewal = world.directory.shared.renew(id, &old, "argon2$late".to_owned()).await.unwrap();
    assert!(matches!(renewal, Renewal::Overtaken));
    assert_eq!(world.stored("ada").await, changed);
    assert!(world.verify("ada", "letmein").await.is_err());
    world.verify("ada", "battery staple").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_logins_at_once_each_succeeds_with_the_hash_that_is_stored() {
    let world = World::new().await;
    world.create("ada").await;
    world.store("ada", MD5).await;
    let mut logins = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let directory = Arc::clone(&world.directory);
        logins.spawn(async move { directory.verify("ada", "letmein".to_owned(), NOW).await });
    }
    let marks: Vec<_> = logins.join_all().await;
    let stored = world.named("ada").await.unwrap().password.mark();
    for verified in marks {
        assert_eq!(verified.unwrap().unwrap().user().password.mark(), stored);
    }
}

#[tokio::test]
async fn hashes_stay_where_others_have_to_read_them() {
    let place = tempfile::tempdir().unwrap();
    let settings = Settings { upgrade_hashes: false, ..settings(place.path()) };
    let directory = Arc::new(Directory::open(&settings).await.unwrap());
    let world = World { directory, place };
    world.create("ada").await;
    world.store("ada", MD5).await;
    let verified = world.verify("ada", "letmein").await.unwrap();
    assert_eq!((verified.password.encoded(), &*world.stored("ada").await), (MD5, MD5));
    assert!(world.directory.check_password(&verified, "letmein".to_owned()).await.unwrap());
    assert_eq!(world.stored("ada").await, MD5);
}

#[tokio::test]
async fn the_methods_of_django_are_there() {
    let world = World::new().await;
    world.create("ada").await;
    let directory = &world.directory;
    directory.set_password("ada", "battery staple".to_owned().into(), &by(), NOW).await.unwrap();
    let ada = world.named("ada").await.unwrap();
    let check = async |user: &Arc<User>, password: &str| {
        directory.check_password(user, password.to_owned()).await.unwrap()
    };
    assert!(ada.has_usable_password());
    assert!(check(&ada, "battery staple").await && !check(&ada, "correct horse").await);
    assert!(!check(&ada, &"x".repeat(5000)).await);

    let outcome = directory.set_unusable_password("ada", &by(), NOW).await.unwrap();
    assert_eq!(outcome.shut_out[0].because, "the password was made unusable");
    let ada = world.named("ada").await.unwrap();
    let encoded = ada.password.encoded();
    assert!(!ada.has_usable_password() && encoded.starts_with('!') && encoded.len() == 41);
    for password in ["battery staple", "", "!", encoded, &encoded[1..]] {
        assert!(!check(&ada, password).await && world.verify("ada", password).await.is_err());
    }

    world.store("ada", MD5).await;
    let ada = world.named("ada").await.unwrap();
    assert!(check(&ada, "letmein").await);
    assert!(world.stored("ada").await.starts_with("argon2$"), "this replaces it too");
}

#[tokio::test]
async fn a_user_can_be_without_a_password_from_the_start() {
    let world = World::new().await;
    let new = NewUser { username: "ada".to_owned(), unusable_password: true, ..NewUser::default() };
    world.order(Command::UserCreate(new)).await.unwrap();
    assert!(!world.named("ada").await.unwrap().has_usable_password());
}

#[tokio::test]
async fn weak_passwords_and_names_against_the_rule_are_refused_by_whatever_way_they_come() {
    let place = tempfile::tempdir().unwrap();
    let username_rule = crate::domain::user::UsernameRule::Book;
    let settings = Settings { username_rule, ..settings(place.path()) };
    let directory = Arc::new(Directory::open(&settings).await.unwrap());
    let world = World { directory, place };
    let with = |username: &str, password: &str| NewUser {
        password: password.to_owned().into(),
        first_name: "Charles".to_owned(),
        ..new(username)
    };
    let create = async |new: NewUser| world.order(Command::UserCreate(new)).await;
    let refused = create(with("babbage", "12345")).await.unwrap_err();
    for part in ["too short", "a common one", "entirely numeric"] {
        assert!(refused.contains(part), "{refused}");
    }
    assert!(create(with("babbage", "charles1")).await.unwrap_err().contains("the first name"));
    assert!(create(with("bab.bage", "lantern-gravel")).await.unwrap_err().contains("'.'"));
    create(with("babbage", "lantern-gravel")).await.unwrap();
    assert!(world.set("babbage", &["username=bab@bage"]).await.unwrap_err().contains("'@'"));

    let (username, password) = ("babbage".to_owned(), Secret::from("babbage99".to_owned()));
    let set = world.order(Command::UserSetPassword { username, password }).await;
    assert!(set.unwrap_err().contains("too similar to the username"));
    let about = (&*world.named("babbage").await.unwrap()).into();
    let found = world.directory.check_new_password("babbage99", &about);
    assert_eq!(found, Err(vec![Weakness::TooSimilar("username")]));
    assert_eq!(world.directory.validators().help_texts().len(), 4);
}

#[tokio::test]
async fn two_gateways_on_one_database_have_the_same_stand_ins() {
    let world = World::new().await;
    let other = world.other_process().await;
    for name in ["ada", "bob", "carol", "dave"] {
        world.create(name).await;
    }
    for name in ["nobody", "no one", "root"] {
        let find = async |world: &World| {
            let shared = &world.directory.shared;
            let mut reading = shared.database.read().await.unwrap();
            shared.stand_ins.find(&mut reading, name).await.unwrap().unwrap()
        };
        assert_eq!(find(&world).await, find(&other).await);
    }
}
