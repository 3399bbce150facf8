//! What people, operators and applications do with sessions, at two gateways whose sessions are in one Redis.

use serde_json::{Value, json};

use crate::support::{
    answer::Answer,
    eventually,
    gate::Gate,
    script::{Script, Step},
    socket::asks_socket,
    twins::{Twins, admin, is_unavailable},
    visitor::{Visitor, form_token},
    websocket::{ACCEPTED, Socket},
};

const TRUST: &str = r#"
[upstream_defaults]
trust_responses = true

[identity]
session_key = true
headers = { "X-Color" = "{{ session.fav_color }}" }
"#;

/// A page of the application that sets the favourite colour.
fn likes(twins: &Twins, target: &str, color: &str) {
    let lines = format!("Vestibule-Session-Set: fav_color={color}\r\n");
    twins.a.upstream.on(target, Script::echo_with(&lines));
}

async fn color(visitor: &Visitor, target: &str) -> Vec<String> {
    visitor.get(target).await.is_forwarded().folded("x-color")
}

/// What another gateway has changed is seen here within a moment, and stays.
async fn comes_to_be(visitor: &Visitor, target: &str, wanted: &str) {
    let started = std::time::Instant::now();
    while color(visitor, target).await != [wanted] {
        assert!(started.elapsed() < crate::support::DEADLINE, "`{wanted}` never arrives");
    }
    for _ in 0..8 {
        assert_eq!(color(visitor, target).await, [wanted]);
    }
}

fn listed(gate: &Gate, arguments: &[&str]) -> Vec<String> {
    let list = gate.run(&[&["session", "list", "--json"], arguments].concat());
    let list: Vec<Value> = serde_json::from_str(&list).unwrap();
    let mut keys: Vec<String> =
        list.iter().map(|session| session["key"].as_str().unwrap().to_owned()).collect();
    keys.sort();
    keys
}

fn sorted<const N: usize>(visitors: [&Visitor; N]) -> Vec<String> {
    let mut keys = visitors.map(Visitor::key);
    keys.sort();
    keys.to_vec()
}

#[tokio::test]
async fn what_an_application_sets_through_one_gateway_is_told_by_the_other() {
    let twins = Twins::start(TRUST).await;
    likes(&twins, "/private/blue", "blue");
    likes(&twins, "/private/red", "red");
    let ada = twins.a.sign_in("ada").await;
    let there = ada.through(twins.b.address);
    assert_eq!(color(&there, "/private/").await, Vec::<String>::new());
    ada.get("/private/blue").await.is_forwarded_as("ada");
    assert_eq!(color(&ada, "/private/").await, ["blue"], "whoever set it sees it at once");
    comes_to_be(&there, "/private/", "blue").await;
    there.get("/private/red").await.is_forwarded_as("ada");
    assert_eq!(color(&there, "/private/").await, ["red"]);
    comes_to_be(&ada, "/private/", "red").await;
}

#[tokio::test]
async fn guest_of_one_gateway_is_one_of_the_other_and_the_login_takes_over_what_is_kept() {
    let twins = Twins::start(TRUST).await;
    likes(&twins, "/public/blue", "blue");
    let mut guest = twins.a.visitor();
    let answer = guest.get("/public/blue").await;
    answer.is_forwarded_anonymously();
    guest.keeps(&answer);
    let mut there = guest.through(twins.b.address);
    for visitor in [&guest, &there] {
        visitor.get("/public/").await.is_forwarded_anonymously();
        assert_eq!(color(visitor, "/public/").await, ["blue"]);
        visitor.get("/private/").await.asks_to_log_in("/private/");
    }
    there.logs_in("ada", crate::support::people::PASSWORD).await;
    assert_eq!(color(&there, "/private/").await, ["blue"]);
    assert_eq!(color(&there.through(twins.a.address), "/private/").await, ["blue"]);
    let started = std::time::Instant::now();
    while color(&guest, "/public/").await != Vec::<String>::new() {
        assert!(started.elapsed() < crate::support::DEADLINE, "the guest lives on");
    }
}

#[tokio::test]
async fn without_redis_what_an_application_sets_is_a_503_and_not_lost_silently() {
    let twins = Twins::start(TRUST).await;
    likes(&twins, "/private/blue", "blue");
    likes(&twins, "/public/blue", "blue");
    let ada = twins.a.sign_in("ada").await;
    ada.get("/private/").await.is_forwarded_as("ada");
    twins.lose_redis().await;
    let refused = ada.get("/private/blue").await;
    is_unavailable(&refused);
    assert!(!refused.text().contains("fav_color"), "nothing of the application's answer");
    // Somebody without a session would get one that is nowhere.
    is_unavailable(&twins.a.visitor().get("/public/blue").await);
    assert_eq!(color(&ada, "/private/").await, Vec::<String>::new());
    let (_, metrics) = admin(&twins.a, "/metrics").await;
    let failed = "vestibule_session_changes_total{outcome=\"failed\"} 2";
    assert!(metrics.contains(failed), "{metrics}");
    let errors = twins.a.log().iter().filter(|line| line.contains("ERROR")).count();
    assert_eq!(errors, 1, "one line when it begins, and none for each request");

    twins.regain_redis().await;
    ada.get("/private/blue").await.is_forwarded_as("ada");
    assert_eq!(color(&ada, "/private/").await, ["blue"]);
}

/// A WebSocket through either gateway, to the application that both have.
async fn opens(twins: &Twins, gate: &Gate, visitor: &Visitor, target: &str) -> Socket {
    let steps = [Step::Send(ACCEPTED.to_vec()), Step::Tunnel];
    twins.a.upstream.on(target, Script::new(steps));
    Socket::open(gate, visitor, target).await
}

const SESSION_ENDED: &str = "your session has ended";

#[tokio::test]
async fn what_ends_at_one_gateway_ends_what_is_open_at_the_other_and_nothing_else() {
    let twins = Twins::start(TRUST).await;
    let mut ada = twins.a.sign_in("ada").await;
    let (bob, carl) = (twins.a.sign_in("bob").await, twins.b.sign_in("carl").await);
    let mut guest = twins.a.visitor();
    likes(&twins, "/public/blue", "blue");
    let answer = guest.get("/public/blue").await;
    guest.keeps(&answer);
    let mut adas = Vec::new();
    for number in 0..4 {
        adas.push(opens(&twins, &twins.b, &ada, &format!("/private/{number}")).await);
    }
    let mut bobs = opens(&twins, &twins.b, &bob, "/private/bob").await;
    let mut carls = opens(&twins, &twins.a, &carl, "/private/carl").await;
    let mut guests = opens(&twins, &twins.b, &guest, "/public/guest").await;
    ada.logs_out().await;
    for socket in &mut adas {
        socket.is_ended_because(SESSION_ENDED).await;
    }
    for socket in [&mut bobs, &mut carls, &mut guests] {
        socket.is_open().await;
    }
    twins.a.run(&["session", "revoke", &bob.key()]);
    bobs.is_ended_because(SESSION_ENDED).await;
    // What changes and does not end is asked for again, and stays.
    for color in ["red", "green"] {
        likes(&twins, "/private/likes", color);
        carl.through(twins.b.address).get("/private/likes").await.is_forwarded_as("carl");
    }
    carls.is_open().await;
    twins.b.run(&["session", "revoke", "--user", "carl"]);
    carls.is_ended_because(SESSION_ENDED).await;
    guests.is_open().await;
}

#[tokio::test]
async fn what_is_open_goes_on_without_redis_and_ends_after_it_if_its_session_did() {
    let twins = Twins::start(TRUST).await;
    for gate in [&twins.a, &twins.b] {
        gate.announce("the session store is out of reach");
    }
    let (ada, bob) = (twins.a.sign_in("ada").await, twins.a.sign_in("bob").await);
    let mut adas = opens(&twins, &twins.b, &ada, "/private/ada").await;
    let mut bobs = opens(&twins, &twins.b, &bob, "/private/bob").await;
    twins.lose_redis().await;
    adas.is_open().await;
    bobs.is_open().await;
    twins.regain_redis().await;
    adas.is_open().await;
    // At a moment when nobody is connected who could be told.
    let commands = format!("CLIENT KILL TYPE normal\r\nDEL vestibule:session:{}", ada.key());
    assert_eq!(twins.redis.says(&commands), ":2");
    adas.is_ended_because(SESSION_ENDED).await;
    bobs.is_open().await;
    bob.through(twins.b.address).get("/private/").await.is_forwarded_as("bob");
}

#[tokio::test]
async fn what_is_open_is_cut_when_the_grace_is_over() {
    let twins = Twins::start("store_grace = \"1s\"").await;
    let ada = twins.a.sign_in("ada").await;
    let mut socket = opens(&twins, &twins.b, &ada, "/private/ada").await;
    let mut nobodys = opens(&twins, &twins.b, &twins.b.visitor(), "/public/nobody").await;
    twins.lose_redis().await;
    let frame = socket.hears().await;
    assert_eq!((frame.opcode, &frame.payload[..2]), (8, &1008_u16.to_be_bytes()[..]), "{frame:?}");
    socket.wire.is_closed().await;
    nobodys.is_open().await;
    twins.regain_redis().await;
    opens(&twins, &twins.b, &ada, "/private/ada").await.is_open().await;
}

async fn ask(gate: &Gate, method: &str, visitor: &Visitor, path: &str, body: &str) -> Answer {
    let path = format!("/v1/sessions/{}/{path}", visitor.key());
    asks_socket(gate.directory(), method, &path, body).await
}

#[tokio::test]
async fn programs_ask_either_gateway_for_the_data_of_a_session() {
    let twins = Twins::start(TRUST).await;
    let ada = twins.a.sign_in("ada").await;
    let there = ada.through(twins.b.address);
    let set = ask(&twins.b, "PUT", &ada, "data/fav_color", "\"green\"").await;
    assert_eq!(set.status, 204, "{set:?}");
    comes_to_be(&ada, "/private/", "green").await;
    assert_eq!(color(&there, "/private/").await, ["green"]);
    for gate in [&twins.a, &twins.b] {
        let items = ask(gate, "GET", &ada, "data", "").await;
        assert_eq!((items.status, items.json()), (200, json!({ "fav_color": "green" })));
    }

    twins.lose_redis().await;
    // What is known here is told; what would have to be kept is not done.
    assert_eq!(ask(&twins.a, "GET", &ada, "data/fav_color", "").await.status, 200);
    for (method, path) in [("PUT", "data/fav_color"), ("DELETE", "data"), ("POST", "flush")] {
        let answer = ask(&twins.a, method, &ada, path, "1").await;
        assert_eq!((answer.status, &answer.json()["kind"]), (503, &json!("unavailable")));
    }
    twins.regain_redis().await;
    assert_eq!(color(&ada, "/private/").await, ["green"]);
    assert_eq!(ask(&twins.b, "POST", &ada, "flush", "").await.status, 204);
    ada.comes_to_be_out().await;
    assert_eq!(ask(&twins.a, "GET", &ada, "data", "").await.status, 404);
}

#[tokio::test]
async fn commands_are_about_the_sessions_of_all_gateways() {
    let twins = Twins::start("").await;
    let ada = twins.a.sign_in("ada").await;
    let other = twins.b.sign_in("ada").await;
    let bob = twins.b.sign_in("bob").await;
    for gate in [&twins.a, &twins.b] {
        assert_eq!(listed(gate, &[]), sorted([&ada, &other, &bob]));
        assert_eq!(listed(gate, &["--user", "ada"]), sorted([&ada, &other]));
        assert_eq!(listed(gate, &["--user", "carl"]), Vec::<String>::new());
        let shown = gate.run(&["session", "show", &bob.key()[..12], "--json"]);
        let shown: Value = serde_json::from_str(&shown).unwrap();
        assert_eq!((&shown["user"], &shown["key"]), (&json!("bob"), &json!(bob.key())));
    }
    // Known at the gateway that is not asked.
    bob.get("/private/").await.is_forwarded_as("bob");
    let said = twins.a.run(&["session", "revoke", &bob.key()[..12]]);
    assert!(said.starts_with("ended the session of `bob`"), "{said}");
    bob.comes_to_be_out().await;
    assert_eq!(twins.b.run(&["session", "revoke", "--user", "ada"]), "ended 2 sessions of `ada`\n");
    ada.comes_to_be_out().await;
    other.comes_to_be_out().await;

    let left = [twins.a.sign_in("carl").await, twins.b.sign_in("dora").await];
    assert!(twins.a.run(&["session", "revoke", "--all"]).starts_with("ended 2 sessions"));
    for visitor in &left {
        visitor.comes_to_be_out().await;
    }
    assert_eq!(listed(&twins.b, &[]), Vec::<String>::new());
    assert_eq!(twins.a.run(&["session", "clear"]), "no session was over\n");

    for gate in [&twins.a, &twins.b] {
        gate.announce("a list of sessions broke off");
        gate.announce("a command failed");
    }
    twins.lose_redis().await;
    for arguments in [
        &["session", "list"][..],
        &["session", "list", "--user", "ada"],
        &["session", "show", "abcdef"],
        &["session", "revoke", "--all"],
    ] {
        let output = twins.a.try_run(arguments, "");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains("the session store is out of reach"), "{arguments:?}: {said}");
    }
    twins.regain_redis().await;
}

#[tokio::test]
async fn people_see_and_end_their_sessions_at_all_gateways() {
    let twins = Twins::start("").await;
    let mut here = twins.a.sign_in("ada").await;
    let one = twins.b.sign_in("ada").await;
    let two = twins.b.sign_in("ada").await;
    let bob = twins.b.sign_in("bob").await;
    let page = here.get("/accounts/sessions/").await;
    assert_eq!(page.status, 200, "{page:?}");
    let text = page.text();
    assert!(text.contains(&one.key()) && text.contains(&two.key()) && !text.contains(&bob.key()));
    here.keeps(&page);
    let token = form_token(&text);
    let send = async |visitor: &Visitor, field: (&str, &str)| {
        visitor.posts("/accounts/sessions/", &[("csrfmiddlewaretoken", &token), field]).await
    };
    assert_eq!(send(&here, ("session", &bob.key())).await.status, 404);
    one.get("/private/").await.is_forwarded_as("ada");
    assert_eq!(send(&here, ("session", &one.key())).await.status, 200);
    one.comes_to_be_out().await;

    twins.lose_redis().await;
    is_unavailable(&here.get("/accounts/sessions/").await);
    is_unavailable(&send(&here, ("others", "yes")).await);
    twins.regain_redis().await;
    two.get("/private/").await.is_forwarded_as("ada");

    let there = here.through(twins.b.address);
    assert_eq!(send(&there, ("others", "yes")).await.status, 200);
    two.comes_to_be_out().await;
    here.get("/private/").await.is_forwarded_as("ada");
    bob.get("/private/").await.is_forwarded_as("bob");
    eventually("nobody else is left", || listed(&twins.a, &[]) == sorted([&here, &bob])).await;
}
