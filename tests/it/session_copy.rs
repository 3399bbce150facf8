//! `vestibule session copy`: from any store to any other, and nobody has to log in again.

use std::{fs, path::Path};

use crate::support::{
    config::town_and,
    gate::Gate,
    people::{self, PEOPLE},
    redis::RedisServer,
    visitor::Visitor,
};

fn in_redis(redis: &RedisServer) -> String {
    town_and(&format!("[sessions]\nstore = \"{}\"", redis.url()))
}

async fn everybody(gate: &Gate) -> Vec<(&'static str, Visitor)> {
    let mut visitors = Vec::new();
    for (name, _) in PEOPLE.iter().filter(|(name, _)| *name != "ivy") {
        visitors.push((*name, gate.sign_in(name).await));
    }
    visitors
}

async fn all_are_in(gate: &Gate, visitors: &[(&str, Visitor)]) {
    for (name, visitor) in visitors {
        visitor.through(gate.address).get("/private/").await.is_forwarded_as(name);
    }
}

fn copy(home: &Path, from: &str, to: &str) -> String {
    people::run_well(home, &["session", "copy", "--from", from, "--to", to], "")
}

/// What the command says when it does not do it, and its exit code.
fn complaint(home: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = people::run(home, &[&["session", "copy"], arguments].concat(), "");
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
async fn sessions_are_copied_from_one_redis_to_another_while_gateways_run() {
    let (old, new) = (RedisServer::start(), RedisServer::start());
    let gate = Gate::start(&in_redis(&old)).await;
    let visitors = everybody(&gate).await;
    for again in ["", "again"] {
        let said = copy(gate.directory(), &old.url(), &new.url());
        assert_eq!(said, format!("copied {} sessions\n", visitors.len()), "{again}");
    }
    drop(gate);
    old.kill();
    all_are_in(&Gate::start(&in_redis(&new)).await, &visitors).await;
}

#[tokio::test]
async fn sessions_on_disk_go_to_redis_and_back() {
    let redis = RedisServer::start();
    let mut gate = Gate::start(&town_and("")).await;
    let visitors = everybody(&gate).await;
    let over = gate.sign_in("bob").await;
    gate.run(&["session", "revoke", &over.key()]);

    let (code, said) = complaint(gate.directory(), &["--from", "memory", "--to", &redis.url()]);
    assert_eq!(code, Some(1), "a gateway is running: {said}");
    assert!(said.contains("a gateway is running") && said.contains("\nhint: stop it"), "{said}");
    gate.is_killed();
    let count = format!("copied {} sessions\n", visitors.len());
    assert_eq!(copy(gate.directory(), "memory", &redis.url()), count);
    gate.rewrite(&in_redis(&redis));
    gate.starts_again().await;
    all_are_in(&gate, &visitors).await;
    over.through(gate.address).get("/private/").await.asks_to_log_in("/private/");

    // Back into the state directory of another gateway, by its path; it was never used before.
    let (name, gone) = &visitors[0];
    gate.run(&["session", "revoke", "--user", name]);
    let home = tempfile::tempdir().unwrap();
    people::settle_in(home.path());
    let state = home.path().join("var");
    assert!(!state.join("sessions").exists());
    let count = format!("copied {} sessions\n", visitors.len() - 1);
    assert_eq!(copy(gate.directory(), &redis.url(), state.to_str().unwrap()), count);
    let upstream = crate::support::recorder::Recorder::start();
    let gate = Gate::start_in(home, upstream, &town_and("")).await;
    all_are_in(&gate, &visitors[1..]).await;
    gone.through(gate.address).get("/private/").await.asks_to_log_in("/private/");
}

#[tokio::test]
async fn target_is_the_store_of_the_configuration_and_what_was_seen_later_stays() {
    let redis = RedisServer::start();
    let gate = Gate::start(&in_redis(&redis)).await;
    let ada = gate.sign_in("ada").await;
    let home = tempfile::tempdir().unwrap();
    people::settle_in(home.path());
    fs::copy(gate.directory().join("vestibule.toml"), home.path().join("vestibule.toml")).unwrap();
    let memory = ["session", "copy", "--from", "memory"];
    assert_eq!(people::run_well(home.path(), &memory, ""), "copied 0 sessions\n");
    assert_eq!(copy(home.path(), &redis.url(), "memory"), "copied 1 session\n");
    // Used since, as this gateway tells Redis when it stops.
    redis.says(&format!("HINCRBY vestibule:session:{} seen 100", ada.key()));
    let said = people::run_well(home.path(), &memory, "");
    assert_eq!(said, "copied 0 sessions; 1 was newer there\n");
    // What is over is not taken along.
    redis.says(&format!("HSET vestibule:session:{} expires 1000", ada.key()));
    let said = copy(home.path(), &redis.url(), "memory");
    assert_eq!(said, "copied 0 sessions; 1 was over\n");
}

#[tokio::test]
async fn wrong_stores_are_named_and_nothing_is_made_of_them() {
    let redis = RedisServer::start();
    let gate = Gate::start(&in_redis(&redis)).await;
    let home = gate.directory();
    for (arguments, wrong) in [
        (&["--from", &*redis.url()][..], "both stores are the same"),
        (&["--from", "memory", "--to", "var/../var"], "both stores are the same"),
        (&["--from", "elsewhere"], "there is no state directory `elsewhere`"),
        (&["--from", "memory", "--to", "elsewhere"], "there is no state directory `elsewhere`"),
        (&["--from", "redis:/oops"], "that is not the address of a store"),
        (&["--from", "rediss://:hunter2@host"], "without TLS"),
        (&["--from", "http://host"], "there is no state directory `http://host`"),
    ] {
        let (code, said) = complaint(home, arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {said}");
        assert!(said.contains(wrong) && said.contains("\nhint: "), "{arguments:?}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
    assert!(!home.join("elsewhere").exists() && !home.join("http:").exists());
}
