//! Passwords that Django hashed: they log in, are hashed anew, end no session and give nobody away.

use std::time::{Duration, Instant};

use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::support::{config::town_and, gate::Gate, people::PASSWORD};

/// What real Django wrote; see `make.py` beside it.
const VECTORS: &str = include_str!("../golden/passwords/vectors.txt");

/// The hashes of `letmein` that are quick to check, each with the name of its hasher.
fn cheap_hashes() -> Vec<(&'static str, &'static str)> {
    let is_dear = |encoded: &str| {
        ["$600000$", "$1000000$", "$2b$12$", "scrypt$16384$", "m=102400"]
            .iter()
            .any(|cost| encoded.contains(cost))
    };
    let hashes = VECTORS.lines().filter_map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        (columns[2..4] == ["\"letmein\"", "true"] && !is_dear(columns[4]))
            .then(|| (columns[1], columns[4]))
    });
    hashes.collect()
}

impl Gate {
    async fn users(&self) -> SqliteConnection {
        let file = SqliteConnectOptions::new().filename(self.directory().join("var/users.db"));
        SqliteConnection::connect_with(&file).await.unwrap()
    }

    /// Writes a hash behind the gateway's back, as an import or Django's admin does.
    async fn has_hash(&self, username: &str, encoded: &str) {
        let changed = sqlx::query("UPDATE vestibule_user SET password = $1 WHERE username = $2")
            .bind(encoded)
            .bind(username)
            .execute(&mut self.users().await)
            .await
            .unwrap();
        assert_eq!(changed.rows_affected(), 1, "{username}");
    }

    async fn hash_of(&self, username: &str) -> String {
        sqlx::query_scalar("SELECT password FROM vestibule_user WHERE username = $1")
            .bind(username)
            .fetch_one(&mut self.users().await)
            .await
            .unwrap()
    }

    /// The quickest of some failed logins of each: what else the machine does only ever makes them slower.
    async fn quickest_failures<const N: usize>(
        &self,
        names: [&'static str; N],
        rounds: usize,
    ) -> [(&'static str, Duration); N] {
        let mut quickest = names.map(|name| (name, Duration::MAX));
        for round in 0..rounds {
            for (name, least) in &mut quickest {
                let mut visitor = self.visitor();
                let start = Instant::now();
                visitor.tries_to_log_in(name, "wrong-password-1", "/").await;
                *least = start.elapsed().min(*least);
            }
            if round >= 4 && is_even(&quickest) {
                break;
            }
        }
        quickest
    }
}

fn is_even(quickest: &[(&str, Duration)]) -> bool {
    let times = quickest.iter().map(|row| row.1);
    times.clone().max().unwrap() < times.min().unwrap() * 2
}

#[tokio::test]
async fn every_hash_of_django_logs_in_and_is_replaced_at_once() {
    let gate = Gate::start(&town_and("")).await;
    let hashes = cheap_hashes();
    let mut hashers: Vec<&str> = hashes.iter().map(|(hasher, _)| *hasher).collect();
    hashers.sort_unstable();
    hashers.dedup();
    assert_eq!(hashers.len(), 10, "{hashers:?}");
    for (hasher, encoded) in hashes {
        gate.has_hash("bob", encoded).await;
        let refused = gate.visitor().tries_to_log_in("bob", "Letmein", "/").await;
        assert!(refused.sets_cookie("sessionid").is_none(), "{hasher}");
        assert_eq!(gate.hash_of("bob").await, encoded, "a wrong password changes nothing");

        let mut bob = gate.visitor();
        bob.logs_in("bob", "letmein").await;
        let renewed = gate.hash_of("bob").await;
        assert!(renewed.starts_with("argon2$argon2id$v=19$m=8,t=1,p=1$"), "{hasher}: {renewed}");
        bob.get("/private/").await.is_forwarded_as("bob");

        let mut elsewhere = gate.visitor();
        elsewhere.logs_in("bob", "letmein").await;
        assert_eq!(gate.hash_of("bob").await, renewed, "once is enough");
        bob.get("/private/").await.is_forwarded_as("bob");
    }
}

#[tokio::test]
async fn login_elsewhere_that_replaces_the_hash_ends_no_session() {
    let mut gate = Gate::start(&town_and("[passwords]\nupgrade = false")).await;
    let (_, encoded) =
        cheap_hashes().into_iter().find(|(hasher, _)| *hasher == "PBKDF2PasswordHasher").unwrap();
    gate.has_hash("bob", encoded).await;
    let mut phone = gate.visitor();
    phone.logs_in("bob", "letmein").await;
    assert_eq!(gate.hash_of("bob").await, encoded, "it stays where others have to read it");

    gate.is_killed();
    gate.rewrite(&town_and(""));
    gate.starts_again().await;
    let phone = phone.through(gate.address);
    phone.get("/private/").await.is_forwarded_as("bob");
    let mut laptop = gate.visitor();
    laptop.logs_in("bob", "letmein").await;
    assert!(gate.hash_of("bob").await.starts_with("argon2$argon2id$"));
    laptop.get("/private/").await.is_forwarded_as("bob");
    phone.get("/private/").await.is_forwarded_as("bob");

    // And a change of the password ends both, as ever.
    let set = ["user", "set-password", "bob", "--password-stdin"];
    let changed = gate.try_run(&set, &format!("{PASSWORD}\n"));
    assert!(changed.status.success(), "{changed:?}");
    for visitor in [phone, laptop] {
        visitor.get("/private/").await.asks_to_log_in("/private/");
    }
}

#[tokio::test]
async fn cheap_old_hash_costs_as_much_as_a_new_one() {
    let gate = Gate::start(&town_and("[passwords]\nmemory = \"19MiB\"\niterations = 2")).await;
    gate.has_hash("bob", "0d107d09f5bbe40cade3de5c71e9e9b7").await;
    gate.has_hash("carl", "sha1$$b7a875fc1ea228b9061041b7cec4bd3c52ab3ce3").await;
    gate.has_hash("dora", "!nobody-knows").await;
    gate.has_hash("ivy", "md5$damaged").await;
    // `ada` has a hash of the tests' own cost, which is low.
    let names = ["bob", "carl", "dora", "ivy", "ada", "nobody"];
    let quickest = gate.quickest_failures(names, 60).await;
    assert!(is_even(&quickest), "the time of an answer tells who has an old hash: {quickest:?}");
    let mut visitor = gate.visitor();
    let start = Instant::now();
    visitor.tries_to_log_in("bob", &"x".repeat(4096), "/").await;
    let long = start.elapsed();
    assert!(long < quickest[0].1 * 10, "a long password costs {long:?}: {quickest:?}");
}

#[tokio::test]
async fn name_that_nobody_has_costs_what_dear_old_hashes_cost() {
    let gate = Gate::start(&town_and("")).await;
    // A hundred times what the tests' own hashes cost.
    let dear = "pbkdf2_sha256$100000$Zx81Spectrum$CHbf0e02kkw1/XPNyJ0+1tvjSVwFmNTEVAiT23CBmK0=";
    for (name, _) in crate::support::people::PEOPLE {
        gate.has_hash(name, dear).await;
    }
    gate.has_hash("dora", "!nobody-knows").await;
    let quickest = gate.quickest_failures(["bob", "nobody", "no-one", "dora", "ivy"], 70).await;
    assert!(is_even(&quickest), "the time of an answer tells who is there: {quickest:?}");
}

#[tokio::test]
async fn weak_passwords_are_refused_with_all_that_is_wrong_with_them() {
    let gate = Gate::start(&town_and("[users]\nusername_rule = \"book\"")).await;
    let refusal = |arguments: &[&str], password: &str| {
        let output = gate.try_run(arguments, &format!("{password}\n"));
        assert!(!output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let set = ["user", "set-password", "ada", "--password-stdin"];
    let said = refusal(&set, "12345");
    for part in ["too short", "a common one", "entirely numeric"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(refusal(&set, "lovelace1").contains("too similar to the last name"));
    let create = |name| ["user", "create", name, "--password-stdin"];
    assert!(refusal(&create("eve@example"), PASSWORD).contains("'@'"));
    assert!(refusal(&create("evangeline1"), "evangeline2").contains("too similar to the username"));
}

#[tokio::test]
async fn password_made_unusable_ends_the_sessions_and_lets_nobody_in() {
    let gate = Gate::start(&town_and("")).await;
    let bob = gate.sign_in("bob").await;
    gate.run(&["user", "set-password", "bob", "--unusable"]);
    bob.get("/private/").await.asks_to_log_in("/private/");
    gate.run(&["user", "create", "mallory", "--unusable-password"]);
    for name in ["bob", "mallory"] {
        let encoded = gate.hash_of(name).await;
        assert!(encoded.starts_with('!'), "{encoded}");
        for password in [PASSWORD, "!", &encoded, &encoded[1..]] {
            let refused = gate.visitor().tries_to_log_in(name, password, "/").await;
            assert!(refused.sets_cookie("sessionid").is_none(), "{name} {password}");
        }
    }
}
