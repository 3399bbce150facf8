//! Users in a real PostgreSQL: what is changed behind the gateway's back, two gateways on one server, and a server that is gone for a while.

use std::time::{Duration, Instant};

use crate::support::{
    DEADLINE,
    config::town_and,
    gate::Gate,
    people::PASSWORD,
    postgres::PostgresServer,
    twins::{admin, is_unavailable, until_health},
};

/// Both gateways, in the order in which they are dropped: the server goes last.
struct Town {
    a: Gate,
    b: Gate,
    server: PostgresServer,
}

impl Town {
    /// Two gateways with users in one database, and sessions of their own.
    async fn start(refresh: &str) -> Self {
        let server = PostgresServer::start();
        let url = server.new_database();
        let text = town_and(&format!(
            "[users]\ndatabase = \"{url}\"\nrefresh = \"{refresh}\"\n[admin]\nlisten = \"127.0.0.1:0\""
        ));
        let a = Gate::start(&text).await;
        let b = Gate::start(&text).await;
        let input = format!("{PASSWORD}\n");
        for (name, more) in [("ada", &["--permission", "polls.can_vote"][..]), ("bob", &[])] {
            let create = ["user", "create", name, "--password-stdin"];
            let output = a.try_run(&[&create[..], more].concat(), &input);
            assert!(output.status.success(), "{output:?}");
        }
        Self { a, b, server }
    }
}

#[tokio::test]
async fn changes_behind_our_back_count_at_once() {
    let town = Town::start("1h").await;
    let ada = town.a.sign_in("ada").await;
    ada.get("/polls/vote/").await.is_forwarded_as("ada");
    let started = Instant::now();
    town.server.sql("test0", "DELETE FROM vestibule_user_permissions");
    while ada.get("/polls/vote/").await.came_from_upstream() {
        assert!(started.elapsed() < DEADLINE, "the permission is never lost");
    }
    ada.get("/private/").await.is_forwarded_as("ada");
    town.server.sql("test0", "UPDATE vestibule_user SET is_active = FALSE WHERE username = 'ada'");
    let started = Instant::now();
    while ada.get("/private/").await.came_from_upstream() {
        assert!(started.elapsed() < DEADLINE, "the deactivation is never seen");
    }
    ada.get("/private/").await.asks_to_log_in("/private/");
}

#[tokio::test]
async fn what_one_gateway_changes_the_other_knows_at_once() {
    let town = Town::start("1h").await;
    let there = town.b.sign_in("ada").await;
    there.get("/polls/vote/").await.is_forwarded_as("ada");
    let started = Instant::now();
    town.a.run(&["permission", "revoke", "polls.can_vote", "--user", "ada"]);
    while there.get("/polls/vote/").await.came_from_upstream() {
        assert!(started.elapsed() < DEADLINE, "the other gateway never hears of it");
    }
    // A login elsewhere is written down and takes nothing from anybody.
    town.a.sign_in("ada").await.get("/private/").await.is_forwarded_as("ada");
    there.get("/private/").await.is_forwarded_as("ada");
}

#[tokio::test]
async fn while_the_server_is_gone_nobody_becomes_anonymous_and_then_all_goes_on() {
    let town = Town::start("2s").await;
    let mut ada = town.a.sign_in("ada").await;
    ada.get("/private/").await.is_forwarded_as("ada");
    for gate in [&town.a, &town.b] {
        for fault in ["the user database", "a page is unavailable", "could not be answered"] {
            gate.announce(fault);
        }
    }
    town.server.stop();
    until_health(&town.a, "degraded: the user database is out of reach").await;

    // Whoever was known is served for `refresh`, and then refused: never taken for anonymous.
    let started = Instant::now();
    loop {
        let answer = ada.get("/public/").await;
        if !answer.came_from_upstream() {
            answer.is_refused_with(503);
            break;
        }
        answer.is_forwarded_as("ada");
        assert!(started.elapsed() < DEADLINE, "users are never unknown");
    }
    is_unavailable(&ada.get("/private/").await);
    let mut nobody = town.a.visitor();
    nobody.get("/public/").await.is_forwarded_anonymously();
    is_unavailable(&nobody.tries_to_log_in("bob", PASSWORD, "/private/").await);
    while admin(&town.a, "/readyz").await.0 != 503 {
        assert!(started.elapsed() < DEADLINE, "the gateway stays ready");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    town.server.restart();
    for gate in [&town.a, &town.b] {
        until_health(gate, "ok").await;
        assert_eq!(admin(gate, "/readyz").await.0, 200);
        let count = |text: &str| gate.log().iter().filter(|line| line.contains(text)).count();
        assert_eq!(count("the user database is out of reach"), 1, "{:#?}", gate.log());
        assert_eq!(count("the user database can be reached again"), 1, "{:#?}", gate.log());
    }
    ada.get("/private/").await.is_forwarded_as("ada");
    nobody.logs_in("bob", PASSWORD).await;
    nobody.get("/private/").await.is_forwarded_as("bob");
    // It hears of changes again.
    town.server.sql("test0", "DELETE FROM vestibule_user WHERE username = 'bob'");
    let started = Instant::now();
    while nobody.get("/private/").await.came_from_upstream() {
        assert!(started.elapsed() < DEADLINE, "the deletion is never seen");
    }
    ada.logs_out().await;
}

#[tokio::test]
async fn a_password_in_the_address_is_shown_to_nobody() {
    let town = Town::start("30s").await;
    let shown =
        |text: &str| assert!(!text.contains("let%20me") && !text.contains("let me/in"), "{text}");
    for line in town.a.log() {
        shown(&line);
    }
    town.a.announce("the user database");
    town.b.announce("the user database");
    town.server.stop();
    let output = town.a.try_run(&["explain", "GET", "/private/", "--user", "ada"], "");
    shown(&String::from_utf8_lossy(&output.stdout));
    shown(&String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success(), "{output:?}");
}
