//! Sessions: begun by a login and by nothing else, named anew each time, private to the browser that holds them.

use std::collections::HashSet;

use crate::support::{
    config::TOWN,
    config::town_and,
    gate::{Gate, Shared},
    people::PASSWORD,
    wire::get_with,
};

static GATE: Shared = Shared::new(|| TOWN.to_owned());

#[tokio::test]
async fn id_chosen_by_a_client_is_never_adopted() {
    let gate = GATE.gate().await;
    let fixed = "fixed0fixed0fixed0fixed0fixed0ab";
    let mut victim = gate.visitor();
    victim.set_cookie("sessionid", fixed);
    victim.logs_in("bob", PASSWORD).await;
    assert_ne!(victim.session(), fixed);
    let mut attacker = gate.visitor();
    attacker.set_cookie("sessionid", fixed);
    attacker.get("/private/").await.asks_to_log_in("/private/");
}

#[tokio::test]
async fn login_rotates_the_session_and_the_old_one_dies() {
    let gate = GATE.gate().await;
    let mut ada = gate.sign_in("ada").await;
    let before = ada.clone();
    ada.logs_in("bob", PASSWORD).await;
    assert_ne!(ada.session(), before.session());
    before.get("/private/").await.asks_to_log_in("/private/");
    ada.get("/private/").await.is_forwarded_as("bob");
}

#[tokio::test]
async fn two_browsers_of_one_user_are_two_sessions() {
    let gate = GATE.gate().await;
    let (mut one, other) = (gate.sign_in("ada").await, gate.sign_in("ada").await);
    assert_ne!(one.session(), other.session());
    one.logs_out().await;
    other.get("/private/").await.is_forwarded_as("ada");
}

#[tokio::test]
async fn ids_are_long_random_and_have_nothing_in_common() {
    let gate = GATE.gate().await;
    let mut ids = HashSet::new();
    for _ in 0..20 {
        let id = gate.sign_in("bob").await.session();
        assert_eq!(id.len(), 32, "{id}");
        assert!(id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()), "{id}");
        ids.insert(id);
    }
    assert_eq!(ids.len(), 20);
    let starts: HashSet<_> = ids.iter().map(|id| &id[..6]).collect();
    assert_eq!(starts.len(), 20, "a common prefix: {ids:?}");
}

#[tokio::test]
async fn visitor_who_never_logs_in_gets_no_session() {
    let gate = GATE.gate().await;
    for target in [
        "/public/",
        "/private/",
        "/accounts/login/",
        "/accounts/logout/",
        "/accounts/profile/",
        "/a%2fb",
    ] {
        for cookie in ["", "Cookie: sessionid=unknown0unknown0unknown0unknown0\r\n"] {
            let answer = gate.visitor().get_with(target, cookie).await;
            let live = answer.sets_cookie("sessionid").filter(|value| !value.is_empty());
            assert_eq!(live, None, "{target}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn session_cookie_has_every_attribute() {
    let gate = GATE.gate().await;
    let answer = gate.visitor().tries_to_log_in("bob", PASSWORD, "/").await;
    let lines: Vec<_> = answer
        .all("set-cookie")
        .into_iter()
        .filter(|line| line.starts_with("sessionid="))
        .collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    let attributes: Vec<String> =
        lines[0].split(';').skip(1).map(|part| part.trim().to_ascii_lowercase()).collect();
    for wanted in ["httponly", "samesite=lax", "path=/", "max-age=1209600"] {
        assert!(attributes.iter().any(|part| part == wanted), "{wanted}: {attributes:?}");
    }
    assert!(
        !attributes.iter().any(|part| part.starts_with("domain") || part == "secure"),
        "{attributes:?}"
    );
    assert!(lines[0].len() < 4096);
    let names: Vec<_> =
        answer.all("set-cookie").into_iter().filter_map(|line| line.split('=').next()).collect();
    assert_eq!(
        names.len(),
        names.iter().collect::<HashSet<_>>().len(),
        "one Set-Cookie a name: {names:?}"
    );
}

#[tokio::test]
async fn configured_attributes_are_obeyed() {
    let gate = Gate::start(&town_and(
        "[sessions]\ncookie_name = \"__Host-sid\"\ncookie_secure = true\ncookie_samesite = \"strict\"\nexpire_at_browser_close = true",
    ))
    .await;
    let answer = gate.visitor().tries_to_log_in("bob", PASSWORD, "/").await;
    let line = answer
        .all("set-cookie")
        .into_iter()
        .find(|line| line.starts_with("__Host-sid="))
        .unwrap()
        .to_ascii_lowercase();
    for wanted in ["; secure", "; httponly", "; samesite=strict", "; path=/"] {
        assert!(line.contains(wanted), "{wanted}: {line}");
    }
    assert!(
        !line.contains("max-age") && !line.contains("expires") && !line.contains("domain"),
        "{line}"
    );
}

#[tokio::test]
async fn cookie_is_sent_only_when_there_is_news() {
    let gate = GATE.gate().await;
    let bob = gate.sign_in("bob").await;
    for _ in 0..3 {
        assert_eq!(bob.get("/private/").await.all("set-cookie"), Vec::<&str>::new());
    }
}

#[tokio::test]
async fn saving_every_request_renews_the_cookie() {
    let gate = Gate::start(&town_and("[sessions]\nsave_every_request = true")).await;
    let bob = gate.sign_in("bob").await;
    assert_eq!(bob.get("/private/").await.sets_cookie("sessionid"), Some(bob.session()));
    assert_eq!(gate.visitor().get("/public/").await.sets_cookie("sessionid"), None);
}

#[tokio::test]
async fn expired_session_is_asked_to_log_in() {
    for age in ["cookie_age = \"1s\"", "absolute_timeout = \"1s\"", "idle_timeout = \"1s\""] {
        let gate = Gate::start(&town_and(&format!("[sessions]\n{age}"))).await;
        let bob = gate.sign_in("bob").await;
        // The clock outside is the only one there is; what is polled must not itself renew the session.
        let begun = std::time::Instant::now();
        tokio::time::sleep_until((begun + std::time::Duration::from_millis(2100)).into()).await;
        bob.get("/private/").await.asks_to_log_in("/private/");
        assert_eq!(gate.upstream.count(), 0, "{age}");
    }
}

#[tokio::test]
async fn answers_of_the_gateway_are_not_for_caches() {
    let gate = GATE.gate().await;
    let bob = gate.sign_in("bob").await;
    let login = gate.visitor().tries_to_log_in("bob", PASSWORD, "/").await;
    let answers = [
        ("login page", gate.visitor().get("/accounts/login/").await),
        ("redirect to it", gate.visitor().get("/private/").await),
        ("401", gate.visitor().fetch("/private/").await),
        ("403", bob.get("/admin/").await),
        ("profile", bob.get("/accounts/profile/").await),
        ("login", login),
    ];
    for (what, answer) in answers {
        let control = answer.all("cache-control").join(", ");
        assert!(control.contains("private") && control.contains("no-store"), "{what}: {answer:?}");
        let vary = answer.all("vary").join(", ").to_ascii_lowercase();
        assert!(vary.split(',').any(|name| name.trim() == "cookie"), "{what}: {answer:?}");
    }
}

#[tokio::test]
async fn pages_carry_the_hardening_headers() {
    let gate = GATE.gate().await;
    for answer in [
        gate.visitor().get("/accounts/login/").await,
        gate.sign_in("bob").await.get("/admin/").await,
        gate.visitor().get("/a%2fb").await,
    ] {
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{answer:?}");
        let policy = answer
            .header("content-security-policy")
            .unwrap_or_else(|| panic!("no policy: {answer:?}"));
        assert!(policy.contains("frame-ancestors") && policy.contains("base-uri"), "{policy}");
        assert!(answer.header("referrer-policy").is_some(), "{answer:?}");
        assert!(
            answer
                .header("content-type")
                .is_some_and(|kind| kind.to_ascii_lowercase().contains("charset=utf-8")),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn session_is_known_on_every_worker() {
    let gate = GATE.gate().await;
    let mut ada = gate.sign_in("ada").await;
    // The kernel spreads connections over the workers.
    for _ in 0..16 {
        ada.get("/private/").await.is_forwarded_as("ada");
    }
    let before = ada.clone();
    ada.logs_out().await;
    for _ in 0..16 {
        before.get("/private/").await.asks_to_log_in("/private/");
    }
}

#[tokio::test]
async fn one_visitor_in_many_is_never_taken_for_another() {
    let gate = GATE.gate().await;
    let names = ["ada", "bob", "alice", "carl", "dora", "stella", "root"];
    let mut tasks = tokio::task::JoinSet::new();
    for name in names {
        let visitor = gate.sign_in(name).await;
        let address = gate.address;
        tasks.spawn(async move {
            let mut wire = crate::support::wire::Wire::connect(address).await;
            for number in 0..100 {
                let target = format!("/private/{name}/{number}");
                let echo = visitor.asks_on(&mut wire, &target).await.is_forwarded_as(name);
                assert_eq!(echo.target(), target);
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert!(gate.hears(get_with("/private/", "")).await.only().status < 400);
}
