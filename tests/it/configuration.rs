//! The rules in force are always those of one good file: swapped whole, or not at all.

use rustix::process::Signal;

use crate::support::{
    config::{TOWN, town_and},
    eventually,
    gate::Gate,
    script::{Latch, Script, Step},
    wire::Wire,
};

const OPENED: &str = "[paths]\n\"/private/\" = { login_required = false }";

#[tokio::test]
async fn reload_command_swaps_the_rules() {
    let gate = Gate::start(TOWN).await;
    let ada = gate.sign_in("ada").await;
    gate.visitor().get("/private/").await.asks_to_log_in("/private/");
    gate.rewrite(&town_and(OPENED));
    gate.visitor().get("/private/").await.asks_to_log_in("/private/");
    gate.run(&["reload"]);
    for _ in 0..8 {
        gate.visitor().get("/private/").await.is_forwarded_anonymously();
    }
    ada.get("/private/").await.is_forwarded_as("ada");
}

#[tokio::test]
async fn hangup_swaps_the_rules() {
    let gate = Gate::start(TOWN).await;
    gate.rewrite(&town_and("[paths]\n\"/marker/\" = { login_required = false }"));
    gate.signal(Signal::HUP);
    let deadline = std::time::Instant::now() + crate::support::DEADLINE;
    while !gate.visitor().get("/marker/").await.came_from_upstream() {
        assert!(std::time::Instant::now() < deadline, "SIGHUP changed nothing");
    }
}

#[tokio::test]
async fn bad_file_is_refused_and_the_old_rules_stay() {
    let gate = Gate::start(TOWN).await;
    gate.announce("configuration");
    gate.announce("reload");
    let broken = [
        town_and(
            "[paths]\n\"/private/\" = { login_required = false, permission_required = \"site.administer\" }",
        ),
        town_and("[paths]\n\"/PUBLIC/\" = { login_required = true }"),
        town_and("[server]\nlisten_on = \"127.0.0.1:0\""),
        town_and("[paths]\n\"/private/\" = { login_requird = false }"),
        town_and("[paths]\n\"private\" = { login_required = false }"),
        town_and("[paths]\n\"/x/\" = { test = \"user.username ==\" }"),
        town_and("[paths]\n\"/x/\" = { networks = [\"300.1.1.1/8\"] }"),
        town_and("[paths]\n\"/x/\" = { upstream = \"no-such-upstream\" }"),
    ];
    for text in broken {
        gate.rewrite(&text);
        let reloaded = gate.try_run(&["reload"], "");
        assert!(!reloaded.status.success(), "accepted:\n{text}");
        gate.visitor().get("/private/").await.asks_to_log_in("/private/");
        gate.visitor().get("/public/").await.is_forwarded_anonymously();
        let checked = gate.try_run(&["check"], "");
        assert_eq!(
            checked.status.code(),
            Some(78),
            "{text}\n{}",
            String::from_utf8_lossy(&checked.stderr)
        );
    }
    gate.rewrite_exactly("this is no TOML [");
    let before = gate.log().len();
    gate.signal(Signal::HUP);
    eventually("the refusal is in the log", || gate.log().len() > before).await;
    gate.visitor().get("/private/").await.asks_to_log_in("/private/");
}

#[tokio::test]
async fn failing_test_block_refuses_the_file() {
    let gate = Gate::start(TOWN).await;
    gate.announce("configuration");
    gate.announce("reload");
    gate.rewrite(&format!(
        "{}\n[[test]]\nuser = \"bob\"\nrequest = \"GET /admin/\"\nexpect = \"allow\"\n",
        town_and(OPENED)
    ));
    assert!(!gate.try_run(&["reload"], "").status.success());
    assert!(!gate.try_run(&["check"], "").status.success());
    gate.visitor().get("/private/").await.asks_to_log_in("/private/");
    let right = [
        ("bob", "GET /admin/", "deny"),
        ("alice", "GET /admin/", "allow"),
        ("ada", "POST /polls/", "deny"),
    ];
    let blocks: String = right
        .iter()
        .map(|(user, request, expect)| {
            format!(
                "\n[[test]]\nuser = \"{user}\"\nrequest = \"{request}\"\nexpect = \"{expect}\"\n"
            )
        })
        .collect();
    gate.rewrite(&format!(
        "{}{blocks}\n[[test]]\nrequest = \"GET /polls/\"\nexpect = \"login\"\n",
        town_and(OPENED)
    ));
    gate.run(&["check"]);
    gate.run(&["reload"]);
    gate.visitor().get("/private/").await.is_forwarded_anonymously();
}

#[tokio::test]
async fn explain_says_which_rule_decides() {
    let gate = Gate::start(TOWN).await;
    let said = gate.run(&["explain", "GET", "/admin/x", "--user", "alice"]);
    assert!(said.contains("/admin/") && said.contains("site.administer"), "{said}");
    let output = gate.try_run(&["explain", "GET", "/admin/x", "--user", "bob"], "");
    assert_eq!(output.status.code(), Some(1), "the answer is no: {output:?}");
}

#[tokio::test]
async fn termination_lets_a_request_finish() {
    let gate = Gate::start(TOWN).await;
    let latch = Latch::new();
    gate.upstream
        .on("/public/slow", Script::new([Step::Hold(latch.clone()), Step::Echo(String::new())]));
    let mut idle = gate.connect().await;
    idle.send("GET /public/ HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    idle.answer().await.is_forwarded();
    let mut busy = gate.connect().await;
    busy.send("GET /public/slow HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    gate.upstream.sees("/public/slow").await;
    gate.signal(Signal::TERM);
    idle.is_closed().await;
    eventually("no new connection is accepted", || {
        std::net::TcpStream::connect(gate.address).is_err()
    })
    .await;
    latch.open();
    assert_eq!(busy.answer().await.is_forwarded().target(), "/public/slow");
    busy.is_closed().await;
    assert!(gate.exits().await.success());
}

#[tokio::test]
async fn admin_listener_tells_of_health() {
    let gate = Gate::start(&town_and("[admin]\nlisten = \"127.0.0.1:0\"")).await;
    gate.visitor().get("/public/").await.is_forwarded();
    for target in ["/healthz", "/readyz", "/metrics"] {
        let mut wire = Wire::connect(gate.admin_address()).await;
        wire.send(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
            .await;
        assert_eq!(wire.answer().await.status, 200, "{target}");
    }
    // None of them on the public side.
    gate.visitor().get("/metrics").await.asks_to_log_in("/metrics");
}
