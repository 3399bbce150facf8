//! Two gateways in front of one application, with their sessions in a real Redis that is killed, halted and started again.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use crate::support::{
    config::{complete, town_and},
    eventually,
    gate::Gate,
    people::{self, PASSWORD},
    redis::RedisServer,
    twins::{Twins, admin, is_unavailable, until_health},
    visitor::{Visitor, form_token},
    wire::Wire,
};

/// What the issue allows from a logout at one gateway to its effect at another.
const LOGOUT_IS_EVERYWHERE: Duration = Duration::from_millis(100);

#[tokio::test]
async fn login_at_one_gateway_is_good_at_the_other_and_forms_go_to_either() {
    let twins = Twins::start("").await;
    let ada = twins.a.sign_in("ada").await;
    ada.through(twins.b.address).get("/private/").await.is_forwarded_as("ada");
    ada.get("/private/").await.is_forwarded_as("ada");

    // The login form of one, sent to the other; then the same with logging out.
    let mut bob = twins.a.visitor();
    let page = bob.get("/accounts/login/").await;
    bob.keeps(&page);
    let mut bob = bob.through(twins.b.address);
    let fields = [
        ("csrfmiddlewaretoken", &*form_token(&page.text())),
        ("username", "bob"),
        ("password", PASSWORD),
        ("next", "/private/"),
    ];
    let answer = bob.posts("/accounts/login/", &fields).await;
    assert_eq!(answer.status, 302, "{answer:?}");
    bob.keeps(&answer);
    bob.through(twins.a.address).get("/private/").await.is_forwarded_as("bob");
}

#[tokio::test]
async fn login_with_a_session_of_the_other_gateway_ends_that_everywhere() {
    let twins = Twins::start("").await;
    let before = twins.a.sign_in("ada").await;
    before.get("/private/").await.is_forwarded_as("ada");
    let mut after = before.through(twins.b.address);
    after.logs_in("ada", PASSWORD).await;
    before.through(twins.b.address).get("/private/").await.asks_to_log_in("/private/");
    before.comes_to_be_out().await;
    after.through(twins.a.address).get("/private/").await.is_forwarded_as("ada");
}

#[tokio::test]
async fn logout_at_one_gateway_ends_the_session_at_the_other_within_100_ms() {
    let twins = Twins::start("").await;
    let mut wire = Wire::connect(twins.b.address).await;
    let mut delays = Vec::new();
    for _ in 0..150 {
        let mut ada = twins.a.sign_in("ada").await;
        let there = ada.through(twins.b.address);
        there.asks_on(&mut wire, "/private/").await.is_forwarded_as("ada");
        there.asks_on(&mut wire, "/private/").await.is_forwarded_as("ada");
        ada.logs_out().await;
        let acknowledged = Instant::now();
        there.comes_to_be_out().await;
        delays.push(acknowledged.elapsed());
    }
    delays.sort();
    let p99 = delays[delays.len() * 99 / 100 - 1];
    println!("logout at one gateway to refusal at the other: median {:?}, p99 {p99:?}", delays[75]);
    assert!(p99 <= LOGOUT_IS_EVERYWHERE, "{delays:?}");
}

#[tokio::test]
async fn without_redis_whoever_is_known_is_served_and_nobody_becomes_anonymous() {
    let twins = Twins::start("").await;
    let known = twins.a.sign_in("ada").await;
    known.get("/private/").await.is_forwarded_as("ada");
    let unknown_here = known.through(twins.b.address);
    twins.lose_redis().await;

    known.get("/private/").await.is_forwarded_as("ada");
    known.get("/public/").await.is_forwarded_as("ada");
    // What is not known is neither a user nor anonymous, on public pages too.
    for target in ["/private/", "/public/", "/accounts/login/", "/accounts/profile/"] {
        is_unavailable(&unknown_here.get(target).await);
    }
    let refused = unknown_here.fetch("/public/").await;
    is_unavailable(&refused);
    assert!(refused.text().contains("\"unavailable\""), "{refused:?}");
    // Whoever comes without a session is anonymous as always, and cannot log in.
    let mut nobody = twins.b.visitor();
    nobody.get("/public/").await.is_forwarded_anonymously();
    nobody.get("/private/").await.asks_to_log_in("/private/");
    is_unavailable(&nobody.tries_to_log_in("bob", PASSWORD, "/private/").await);
    // Nor can anybody log out: it would not be so everywhere.
    let page = known.get("/accounts/logout/").await;
    let mut leaving = known.clone();
    leaving.keeps(&page);
    let fields = [("csrfmiddlewaretoken", &*form_token(&page.text()))];
    is_unavailable(&leaving.posts("/accounts/logout/", &fields).await);
    known.get("/private/").await.is_forwarded_as("ada");
    let (_, metrics) = admin(&twins.a, "/metrics").await;
    assert!(metrics.contains("vestibule_store_up 0"), "{metrics}");
    assert_eq!(admin(&twins.a, "/readyz").await.0, 200, "it serves whom it knows");

    twins.regain_redis().await;
    known.get("/private/").await.is_forwarded_as("ada");
    unknown_here.get("/private/").await.is_forwarded_as("ada");
    nobody.logs_in("bob", PASSWORD).await;
    nobody.through(twins.a.address).get("/private/").await.is_forwarded_as("bob");
    let (_, metrics) = admin(&twins.a, "/metrics").await;
    assert!(metrics.contains("vestibule_store_up 1"), "{metrics}");
    for gate in [&twins.a, &twins.b] {
        let count = |text: &str| gate.log().iter().filter(|line| line.contains(text)).count();
        assert_eq!(count("the session store is out of reach"), 1, "{:#?}", gate.log());
        assert_eq!(count("the session store is back"), 1, "{:#?}", gate.log());
    }
}

#[tokio::test]
async fn when_the_grace_is_over_no_session_is_served_and_none_is_lost() {
    let twins = Twins::start("store_grace = \"1s\"").await;
    let known = twins.a.sign_in("ada").await;
    known.get("/private/").await.is_forwarded_as("ada");
    twins.lose_redis().await;
    let started = Instant::now();
    let mut wire = Wire::connect(twins.a.address).await;
    loop {
        // One that is under way when it happens may be cut.
        match known.tries_on(&mut wire, "/private/").await {
            Some(answer) if !answer.came_from_upstream() => {
                is_unavailable(&answer);
                break;
            }
            Some(answer) => drop(answer.is_forwarded_as("ada")),
            None => {}
        }
        assert!(started.elapsed() < crate::support::DEADLINE, "the grace has no end");
    }
    is_unavailable(&known.get("/public/").await);
    let (status, text) = admin(&twins.a, "/readyz").await;
    assert_eq!(status, 503, "{text}");
    twins.a.visitor().get("/public/").await.is_forwarded_anonymously();
    twins.regain_redis().await;
    known.get("/private/").await.is_forwarded_as("ada");
    assert_eq!(admin(&twins.a, "/readyz").await.0, 200);
}

/// Its connections stay open: what is asked for comes to nothing after a while, and nobody else waits.
#[tokio::test]
async fn redis_that_hangs_holds_up_nobody_who_is_known() {
    let twins = Twins::start("").await;
    for gate in [&twins.a, &twins.b] {
        gate.announce("the session store is out of reach");
    }
    let known = twins.a.sign_in("ada").await;
    known.get("/private/").await.is_forwarded_as("ada");
    twins.redis.halt();
    let there = known.through(twins.b.address);
    let unknown = tokio::spawn(async move { there.get("/private/").await });
    let mut served = 0;
    while !unknown.is_finished() {
        known.get("/private/").await.is_forwarded_as("ada");
        served += 1;
    }
    is_unavailable(&unknown.await.unwrap());
    assert!(served > 20, "only {served} requests while one waited");
    twins.redis.resume();
    for gate in [&twins.a, &twins.b] {
        until_health(gate, "ok").await;
    }
    known.through(twins.b.address).get("/private/").await.is_forwarded_as("ada");
}

/// Whoever is counted on while Redis comes and goes.
struct Load {
    is_over: Arc<AtomicBool>,
    answers: Arc<AtomicUsize>,
    tasks: tokio::task::JoinSet<Vec<Visitor>>,
}

impl Load {
    fn begin() -> Self {
        let (is_over, answers) = (Arc::default(), Arc::default());
        Self { is_over, answers, tasks: tokio::task::JoinSet::new() }
    }

    /// Somebody who is known at that gateway goes on asking, and is never anybody else.
    fn asks(&mut self, visitor: Visitor, name: &'static str, address: std::net::SocketAddr) {
        let (is_over, answers) = (Arc::clone(&self.is_over), Arc::clone(&self.answers));
        self.tasks.spawn(async move {
            let mut wire = Wire::connect(address).await;
            while !is_over.load(Ordering::SeqCst) {
                visitor.asks_on(&mut wire, "/private/").await.is_forwarded_as(name);
                answers.fetch_add(1, Ordering::SeqCst);
            }
            Vec::new()
        });
    }

    /// Somebody logs in again and again; gives every login that was acknowledged.
    fn logs_in(&mut self, gate: &Gate, name: &'static str) {
        let (is_over, visitor) = (Arc::clone(&self.is_over), gate.visitor());
        self.tasks.spawn(async move {
            let mut acknowledged = Vec::new();
            while !is_over.load(Ordering::SeqCst) {
                let mut somebody = visitor.clone();
                let answer = somebody.tries_to_log_in(name, PASSWORD, "/private/").await;
                if answer.status == 302 {
                    acknowledged.push(somebody);
                } else {
                    is_unavailable(&answer);
                }
            }
            acknowledged
        });
    }

    async fn end(mut self) -> Vec<Visitor> {
        self.is_over.store(true, Ordering::SeqCst);
        let mut acknowledged = Vec::new();
        while let Some(done) = self.tasks.join_next().await {
            acknowledged.extend(done.unwrap());
        }
        acknowledged
    }
}

#[tokio::test]
async fn redis_killed_and_restarted_under_load_loses_no_login_and_confuses_nobody() {
    let twins = Twins::start("").await;
    let mut load = Load::begin();
    for name in ["ada", "bob", "carl", "dora"] {
        let visitor = twins.a.sign_in(name).await;
        for gate in [&twins.a, &twins.b] {
            let here = visitor.through(gate.address);
            here.get("/private/").await.is_forwarded_as(name);
            load.asks(here, name, gate.address);
        }
    }
    load.logs_in(&twins.a, "alice");
    load.logs_in(&twins.b, "alice");
    let answers = Arc::clone(&load.answers);
    let more = async || {
        let before = answers.load(Ordering::SeqCst);
        eventually("the load goes on", || answers.load(Ordering::SeqCst) > before + 500).await;
    };
    for _ in 0..3 {
        more().await;
        twins.lose_redis().await;
        more().await;
        twins.regain_redis().await;
    }
    more().await;
    let acknowledged = load.end().await;
    assert!(acknowledged.len() > 3, "only {} logins", acknowledged.len());
    for visitor in &acknowledged {
        for gate in [&twins.a, &twins.b] {
            visitor.through(gate.address).get("/private/").await.is_forwarded_as("alice");
        }
    }
}

#[tokio::test]
async fn session_that_ends_while_a_gateway_is_cut_off_is_dead_when_it_is_back() {
    let twins = Twins::start("").await;
    for gate in [&twins.a, &twins.b] {
        gate.announce("the session store is out of reach");
    }
    for _ in 0..10 {
        let ada = twins.a.sign_in("ada").await;
        let bob = twins.b.sign_in("bob").await;
        for visitor in [&ada, &bob] {
            for gate in [&twins.a, &twins.b] {
                let here = visitor.through(gate.address);
                assert!(here.get("/private/").await.came_from_upstream());
            }
        }
        // Ada's end, at a moment when nobody is connected who could be told.
        let user: String = user_number(&twins, "ada");
        let index = format!("SMEMBERS vestibule:user:{user}");
        let session = twins.redis.says_all(&index).into_iter().next_back().unwrap();
        let commands = format!("CLIENT KILL TYPE normal\r\nDEL {session}");
        assert_eq!(twins.redis.says(&commands), ":2");
        for gate in [&twins.a, &twins.b] {
            let here = ada.through(gate.address);
            here.comes_to_be_out().await;
            for _ in 0..5 {
                here.get("/private/").await.asks_to_log_in("/private/");
            }
            bob.through(gate.address).get("/private/").await.is_forwarded_as("bob");
        }
    }
}

fn user_number(twins: &Twins, name: &str) -> String {
    let shown = twins.a.run(&["user", "show", name, "--json"]);
    serde_json::from_str::<serde_json::Value>(&shown).unwrap()["id"].to_string()
}

#[tokio::test]
async fn deactivated_user_is_out_at_the_gateway_that_was_told_and_stays_out() {
    let twins = Twins::start("").await;
    let carl = twins.a.sign_in("carl").await;
    carl.get("/private/").await.is_forwarded_as("carl");
    twins.a.run(&["user", "set", "carl", "is_active=false"]);
    carl.get("/private/").await.asks_to_log_in("/private/");
    twins.a.run(&["user", "set", "carl", "is_active=true"]);
    let there = carl.through(twins.b.address);
    there.comes_to_be_out().await;
    carl.get("/private/").await.asks_to_log_in("/private/");
}

/// The other gateway knows the user as before the change, for as long as `users.refresh`.
#[tokio::test]
async fn login_with_a_new_password_is_good_at_a_gateway_that_has_not_heard_of_it() {
    let twins = Twins::start("").await;
    let before = twins.a.sign_in("dora").await;
    before.through(twins.b.address).get("/private/").await.is_forwarded_as("dora");
    let password = "granite-window-9182";
    let changed = twins
        .a
        .try_run(&["user", "set-password", "dora", "--password-stdin"], &format!("{password}\n"));
    assert!(changed.status.success(), "{changed:?}");
    let mut after = twins.a.visitor();
    after.logs_in("dora", password).await;
    for gate in [&twins.b, &twins.a, &twins.b] {
        after.through(gate.address).get("/private/").await.is_forwarded_as("dora");
        before.through(gate.address).get("/private/").await.asks_to_log_in("/private/");
    }
}

#[tokio::test]
async fn sessions_outlive_their_gateway() {
    let redis = RedisServer::start();
    let text = town_and(&format!("[sessions]\nstore = \"{}\"", redis.url()));
    let gate = Gate::start(&text).await;
    let ada = gate.sign_in("ada").await;
    drop(gate);
    let gate = Gate::start(&text).await;
    ada.through(gate.address).get("/private/").await.is_forwarded_as("ada");
}

#[tokio::test]
async fn gateway_without_its_store_does_not_start_and_says_why() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let directory = tempfile::tempdir().unwrap();
    let store = format!("[sessions]\nstore = \"redis://:hunter2@127.0.0.1:{port}\"");
    let text = complete(&town_and(&store), "http://127.0.0.1:9");
    fs::write(directory.path().join("vestibule.toml"), text).unwrap();
    people::settle_in(directory.path());
    let output = people::run(directory.path(), &["serve"], "");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let named = format!("the session store redis://***@127.0.0.1:{port} cannot be used");
    assert!(said.contains(&named) && !said.contains("hunter2"), "{said}");
    assert!(said.contains("\nhint: "), "{said}");
}
