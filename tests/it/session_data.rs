//! What applications keep in sessions by the headers of their answers: Django's session dictionary for any language.

use std::collections::HashSet;

use crate::support::{
    answer::Answer,
    config::{TOWN, town_and},
    eventually,
    gate::{Gate, Shared},
    people::PASSWORD,
    script::{Latch, Script, Step},
    visitor::Visitor,
    websocket::Socket,
    wire::Wire,
};

static TRUSTING: Shared = Shared::new(|| town_and(TRUST));
static WARY: Shared = Shared::new(|| TOWN.to_owned());

const TRUST: &str = r#"
[upstream_defaults]
trust_responses = true

[identity]
session_key = true
headers = { "X-Color" = "{{ session.fav_color }}", "X-Whose-Color" = "{{ user.username }}:{{ session.fav_color }}", "X-All" = "{{ session | join(' ') }}" }

[paths]
"/beta/" = { login_required = false, test = "session.beta == 'yes'" }
"/members/" = { test = "'cart' in session or session.visits == 3" }
"#;

/// A page of the application whose answer has these lines.
fn page(gate: &Gate, target: &str, lines: &str) {
    gate.upstream.on(target, Script::echo_with(lines));
}

/// The lines of an answer that are about the session's cookie.
fn cookies(answer: &Answer) -> Vec<&str> {
    answer.all("set-cookie").into_iter().filter(|line| line.starts_with("sessionid=")).collect()
}

/// Somebody without a login for whom the application keeps a favourite colour.
async fn guest(gate: &Gate, color: &str) -> Visitor {
    let target = format!("/public/likes/{color}");
    page(gate, &target, &format!("Vestibule-Session-Set: fav_color={color}\r\n"));
    let mut visitor = gate.visitor();
    let answer = visitor.get(&target).await;
    answer.is_forwarded_anonymously();
    visitor.keeps(&answer);
    assert!(visitor.cookie("sessionid").is_some(), "{answer:?}");
    visitor
}

/// The favourite colour that the application is told of.
async fn color(visitor: &Visitor, target: &str) -> Vec<String> {
    visitor.get(target).await.is_forwarded().folded("x-color")
}

#[tokio::test]
async fn anonymous_visitor_has_a_session_when_and_only_when_an_application_sets_something() {
    let gate = TRUSTING.gate().await;
    page(
        &gate,
        "/public/plain",
        "Vestibule-Session-Delete: fav_color\r\nVestibule-Anything: hi\r\n",
    );
    for target in ["/public/", "/public/plain"] {
        let answer = gate.visitor().get(target).await;
        let echo = answer.is_forwarded();
        assert_eq!(answer.all("set-cookie"), Vec::<&str>::new(), "{target}");
        assert_eq!(echo.folded("x-color"), Vec::<String>::new());
        assert_eq!(echo.folded("session-key"), Vec::<String>::new());
    }

    page(&gate, "/public/blue", "Vestibule-Session-Set: fav_color=blue\r\n");
    let mut visitor = gate.visitor();
    let answer = visitor.get("/public/blue").await;
    let lines = cookies(&answer);
    assert_eq!(lines.len(), 1, "{answer:?}");
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=1209600"] {
        assert!(lines[0].contains(attribute), "{attribute}: {answer:?}");
    }
    visitor.keeps(&answer);
    // On every worker, and without news for the browser.
    for _ in 0..16 {
        let answer = visitor.get("/public/").await;
        let echo = answer.is_forwarded_anonymously();
        assert_eq!(echo.folded("x-color"), ["blue"]);
        assert_eq!(echo.folded("x-whose-color"), Vec::<String>::new());
        assert_eq!(answer.all("set-cookie"), Vec::<&str>::new());
    }
    visitor.get("/private/").await.asks_to_log_in("/private/");
}

#[tokio::test]
async fn answer_that_carries_a_session_is_for_nobody_else() {
    let gate = TRUSTING.gate().await;
    let lines = "Vestibule-Session-Set: a=1\r\nCache-Control: public, max-age=600\r\n";
    page(&gate, "/public/cached", lines);
    let answer = gate.visitor().get("/public/cached").await;
    assert_eq!(answer.all("cache-control"), ["private, max-age=600"], "{answer:?}");
    assert_eq!(answer.all("vary"), ["Cookie"], "{answer:?}");
    page(&gate, "/public/shared", "Cache-Control: public, max-age=600\r\n");
    let answer = gate.visitor().get("/public/shared").await;
    assert_eq!(answer.all("cache-control"), ["public, max-age=600"], "{answer:?}");
}

#[tokio::test]
async fn change_renews_the_session_and_nothing_else_does() {
    let gate = TRUSTING.gate().await;
    let ada = gate.sign_in("ada").await;
    page(&gate, "/private/green", "Vestibule-Session-Set: fav_color=green\r\n");
    for _ in 0..2 {
        let answer = ada.get("/private/green").await;
        answer.is_forwarded_as("ada");
        assert_eq!(answer.sets_cookie("sessionid"), Some(ada.session()), "{answer:?}");
        assert!(cookies(&answer)[0].contains("Max-Age=1209600"), "{answer:?}");
    }
    let answer = ada.get("/private/").await;
    let echo = answer.is_forwarded_as("ada");
    assert_eq!(echo.folded("x-color"), ["green"]);
    assert_eq!(echo.folded("x-whose-color"), ["ada:green"]);
    assert_eq!(cookies(&answer), Vec::<&str>::new());
    // Another session of the same user is another session.
    assert_eq!(color(&gate.sign_in("ada").await, "/private/").await, Vec::<String>::new());
}

#[tokio::test]
async fn values_are_percent_encoded_text_and_none_of_it_ends_a_header() {
    let gate = TRUSTING.gate().await;
    for (index, (written, told)) in [
        ("Zo%C3%AB%20%22x%22", "Zo\u{c3}\u{ab} \"x\""),
        ("a=b;c", "a=b;c"),
        ("1+1", "1+1"),
        ("red%0D%0AX-Evil:%201", "redX-Evil: 1"),
        ("%7B%7B%20user%20%7D%7D", "{{ user }}"),
    ]
    .into_iter()
    .enumerate()
    {
        let target = format!("/public/value/{index}");
        page(&gate, &target, &format!("Vestibule-Session-Set: fav_color={written}\r\n"));
        let mut visitor = gate.visitor();
        visitor.keeps(&visitor.get(&target).await);
        let echo = visitor.get("/public/").await.is_forwarded();
        // The recorder reads bytes as Latin-1.
        assert_eq!(echo.folded("x-color"), [told], "{written}");
        assert_eq!(echo.folded("x-evil"), Vec::<String>::new());
    }
}

#[tokio::test]
async fn what_is_deleted_is_gone_and_what_is_left_stays() {
    let gate = TRUSTING.gate().await;
    let mut visitor = guest(&gate, "red").await;
    page(&gate, "/public/more", "Vestibule-Session-Set: a=1\r\nVestibule-Session-Set: b=2\r\n");
    visitor.get("/public/more").await;
    let all =
        async |visitor: &Visitor| visitor.get("/public/").await.is_forwarded().folded("x-all");
    assert_eq!(all(&visitor).await, ["a b fav_color"]);
    let lines = "Vestibule-Session-Delete: a\r\nVestibule-Session-Delete: fav_color\r\nVestibule-Session-Set: c=3\r\n";
    page(&gate, "/public/less", lines);
    visitor.get("/public/less").await;
    assert_eq!(all(&visitor).await, ["b c"]);
    // As in Django, a session out of which everything was taken is a session still.
    page(&gate, "/public/rest", "Vestibule-Session-Delete: b\r\nVestibule-Session-Delete: c\r\n");
    let answer = visitor.get("/public/rest").await;
    assert_eq!(answer.sets_cookie("sessionid"), Some(visitor.session()));
    visitor.keeps(&answer);
    assert_eq!(all(&visitor).await, Vec::<String>::new());
    visitor.get("/public/likes/red").await;
    assert_eq!(all(&visitor).await, ["fav_color"]);
}

#[tokio::test]
async fn login_keeps_what_an_anonymous_visitor_had_and_logout_flushes_it() {
    let gate = TRUSTING.gate().await;
    let mut visitor = guest(&gate, "purple").await;
    let before = visitor.clone();
    visitor.logs_in("bob", PASSWORD).await;
    assert_ne!(visitor.session(), before.session(), "a login changes the id");
    assert_eq!(color(&visitor, "/private/").await, ["purple"]);
    assert_eq!(color(&before, "/public/").await, Vec::<String>::new());

    let before = visitor.clone();
    visitor.logs_out().await;
    assert_eq!(visitor.cookie("sessionid"), None);
    for somebody in [&before, &visitor] {
        assert_eq!(color(somebody, "/public/").await, Vec::<String>::new());
    }
    // Somebody else at the same browser finds nothing of it.
    visitor.logs_in("carl", PASSWORD).await;
    assert_eq!(color(&visitor, "/private/").await, Vec::<String>::new());
}

#[tokio::test]
async fn application_can_log_its_visitor_out() {
    let gate = TRUSTING.gate().await;
    let mut ada = gate.sign_in("ada").await;
    ada.get("/public/likes/brown").await;
    page(&gate, "/private/bye", "Vestibule-Logout: 1\r\n");
    let before = ada.clone();
    let answer = ada.get("/private/bye").await;
    answer.is_forwarded_as("ada");
    assert_eq!(cookies(&answer).len(), 1, "{answer:?}");
    assert_eq!(answer.sets_cookie("sessionid"), Some(String::new()), "{answer:?}");
    ada.keeps(&answer);
    assert_eq!(ada.cookie("sessionid"), None);
    before.get("/private/").await.asks_to_log_in("/private/");

    // Nobody is logged out who is not there.
    page(&gate, "/public/bye", "Vestibule-Logout: 1\r\n");
    let answer = gate.visitor().get("/public/bye").await;
    assert_eq!(answer.all("set-cookie"), Vec::<&str>::new());
    // What is set in the same answer begins anew, as after Django's `logout`.
    let both = "Vestibule-Session-Set: fav_color=grey\r\nVestibule-Logout: 1\r\n";
    page(&gate, "/private/bye-and", both);
    let mut bob = gate.sign_in("bob").await;
    let before = bob.session();
    bob.keeps(&bob.get("/private/bye-and").await);
    assert_ne!(bob.session(), before);
    let answer = bob.get("/public/").await;
    assert_eq!(answer.is_forwarded_anonymously().folded("x-color"), ["grey"]);
    // A guest's session is flushed the same way.
    let answer = bob.get("/public/bye").await;
    assert_eq!(answer.sets_cookie("sessionid"), Some(String::new()));
    assert_eq!(color(&bob, "/public/").await, Vec::<String>::new());
}

#[tokio::test]
async fn rules_can_ask_what_is_in_a_session() {
    let gate = TRUSTING.gate().await;
    page(&gate, "/public/beta", "Vestibule-Session-Set: beta=yes\r\n");
    let mut visitor = gate.visitor();
    visitor.get("/beta/").await.asks_to_log_in("/beta/");
    visitor.keeps(&visitor.get("/public/beta").await);
    visitor.get("/beta/").await.is_forwarded_anonymously();
    visitor.get("/members/").await.asks_to_log_in("/members/");

    let ada = gate.sign_in("ada").await;
    ada.get("/members/").await.is_refused_with(403);
    page(&gate, "/private/cart", "Vestibule-Session-Set: cart=1\r\n");
    ada.get("/private/cart").await;
    ada.get("/members/").await.is_forwarded_as("ada");
}

const SPELLINGS: [&str; 8] = [
    "Vestibule-Session-Set",
    "VESTIBULE-SESSION-SET",
    "vestibule_session_set",
    "Vestibule.Session.Set",
    "Vestibule-Session_Delete",
    "Vestibule_Logout",
    "Vestibule-Message",
    "vestibule-anything",
];

fn has_none_of_ours(answer: &Answer) {
    for (name, _) in answer.headers.iter().chain(&answer.trailers) {
        assert!(!name.to_ascii_lowercase().starts_with("vestibule"), "{answer:?}");
    }
}

#[tokio::test]
async fn application_that_is_not_trusted_says_nothing_and_browsers_see_none_of_it() {
    let gate = WARY.gate().await;
    let lines: String = SPELLINGS.iter().map(|name| format!("{name}: a=b\r\n")).collect();
    page(&gate, "/private/all", &format!("{lines}Vestibule-Logout: 1\r\n"));
    let ada = gate.sign_in("ada").await;
    let answer = ada.get("/private/all").await;
    answer.is_forwarded_as("ada");
    has_none_of_ours(&answer);
    assert_eq!(answer.all("set-cookie"), Vec::<&str>::new());
    ada.get("/private/").await.is_forwarded_as("ada");
    let answer = gate.visitor().get("/public/").await;
    assert_eq!(answer.all("set-cookie"), Vec::<&str>::new());
}

#[tokio::test]
async fn only_exact_names_in_the_head_are_obeyed_and_all_are_removed() {
    let gate = TRUSTING.gate().await;
    for name in &SPELLINGS[2..] {
        let target = format!("/private/spelt/{name}");
        page(&gate, &target, &format!("{name}: 1\r\n"));
        let ada = gate.sign_in("ada").await;
        let answer = ada.get(&target).await;
        has_none_of_ours(&answer);
        assert_eq!(answer.all("set-cookie"), Vec::<&str>::new(), "{name}");
        ada.get("/private/").await.is_forwarded_as("ada");
    }
    let chunked = "HTTP/1.1 200 OK\r\nX-Echo: 1\r\nTrailer: Vestibule-Logout, X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nVestibule-Logout: 1\r\nvestibule_session_set: a=b\r\nX-Sum: 7\r\n\r\n";
    for gate in [&gate, &WARY.gate().await] {
        gate.upstream.on("/private/trailers", Script::send(chunked));
        let ada = gate.sign_in("ada").await;
        let answer = ada.get_with("/private/trailers", "TE: trailers\r\n").await;
        has_none_of_ours(&answer);
        let sums = answer.trailers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("x-sum"));
        assert_eq!(sums.count(), 1, "other trailers go on: {answer:?}");
        ada.get("/private/").await.is_forwarded_as("ada");
    }
}

#[tokio::test]
async fn connection_header_of_an_application_hides_nothing_from_the_gateway() {
    let gate = TRUSTING.gate().await;
    page(&gate, "/private/hop", "Connection: Vestibule-Logout\r\nVestibule-Logout: 1\r\n");
    let ada = gate.sign_in("ada").await;
    has_none_of_ours(&ada.get("/private/hop").await);
    ada.get("/private/").await.asks_to_log_in("/private/");
}

#[tokio::test]
async fn clients_cannot_send_what_is_between_gateway_and_application() {
    let gate = TRUSTING.gate().await;
    let ada = gate.sign_in("ada").await;
    let more = ["Session-Key", "session_key", "SESSION.KEY", "Vestibule-Session-Key"];
    for name in SPELLINGS.iter().chain(&more) {
        for (visitor, target) in [(&gate.visitor(), "/public/"), (&ada, "/private/")] {
            let answer = visitor.get_with(target, &format!("{name}: forged\r\n")).await;
            for (seen, value) in answer.is_forwarded().headers() {
                assert!(!value.contains("forged"), "`{name}` arrives as `{seen}`");
            }
            has_none_of_ours(&answer);
        }
    }
    // Also where the application is sent no key at all.
    let gate = WARY.gate().await;
    for name in more {
        let lines = format!(
            "{name}: forged\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\nTrailer: {name}\r\n"
        );
        let body = format!("1\r\nx\r\n0\r\n{name}: forged\r\n\r\n");
        let answer = gate.visitor().sends("POST", "/public/", &lines, body.as_bytes()).await;
        for (seen, value) in answer.is_forwarded().headers() {
            assert!(value != "forged", "`{name}` arrives as `{seen}`");
        }
    }
}

#[tokio::test]
async fn key_names_a_session_and_opens_none() {
    let gate = TRUSTING.gate().await;
    let ada = gate.sign_in("ada").await;
    let mut keys = HashSet::new();
    for visitor in [&ada, &gate.sign_in("ada").await, &guest(&gate, "white").await] {
        let key = visitor.get("/public/").await.is_forwarded().folded("session-key").concat();
        assert_eq!(key.len(), 32, "{key}");
        assert!(key.bytes().all(|byte| byte.is_ascii_hexdigit()), "{key}");
        assert!(!key.contains(&visitor.session()));
        let mut thief = gate.visitor();
        thief.set_cookie("sessionid", &key);
        thief.get("/private/").await.asks_to_log_in("/private/");
        assert_eq!(color(&thief, "/public/").await, Vec::<String>::new());
        keys.insert(key);
    }
    assert_eq!(keys.len(), 3);
}

#[tokio::test]
async fn what_cannot_be_kept_is_ignored_as_a_whole_and_the_operator_is_told() {
    let gate = Gate::start(&town_and(&format!("{TRUST}\n[admin]\nlisten = \"127.0.0.1:0\""))).await;
    let ada = gate.sign_in("ada").await;
    let large = format!("big={}", "x".repeat(33 * 1024));
    let bad = ["_user=1", "no-value", "=1", "a%20b=1", "a=%zz", "a=%ff", &*large];
    for (index, line) in bad.iter().enumerate() {
        let target = format!("/private/bad/{index}");
        let lines = format!("Vestibule-Session-Set: fine=1\r\nVestibule-Session-Set: {line}\r\n");
        page(&gate, &target, &lines);
        let answer = ada.get(&target).await;
        answer.is_forwarded_as("ada");
        has_none_of_ours(&answer);
        assert_eq!(answer.all("set-cookie"), Vec::<&str>::new(), "{line}");
        // Nor does it begin a session.
        let target = format!("/public/bad/{index}");
        page(&gate, &target, &lines);
        let answer = gate.visitor().get(&target).await;
        answer.is_forwarded_anonymously();
        assert_eq!(answer.all("set-cookie"), Vec::<&str>::new(), "{line}");
    }
    let echo = ada.get("/private/").await.is_forwarded();
    assert_eq!(echo.folded("x-all"), Vec::<String>::new());
    eventually("each is in the log", || {
        let log = gate.log();
        log.iter().filter(|line| line.contains("changes of a session were ignored")).count()
            == 2 * bad.len()
    })
    .await;
    let metrics = Visitor::new(gate.admin_address()).get("/metrics").await.text();
    let counted =
        format!("vestibule_session_changes_total{{outcome=\"ignored\"}} {}", 2 * bad.len());
    assert!(metrics.contains(&counted), "{metrics}");
}

#[tokio::test]
async fn what_a_failing_page_sets_is_not_kept() {
    let gate = TRUSTING.gate().await;
    for (status, expected) in [("500 Oops", vec![]), ("404 Gone", vec!["pink"])] {
        let target = format!("/private/fails/{}", &status[..3]);
        let answer = format!(
            "HTTP/1.1 {status}\r\nVestibule-Session-Set: fav_color=pink\r\nContent-Length: 0\r\n\r\n"
        );
        gate.upstream.on(&target, Script::send(answer));
        let bob = gate.sign_in("bob").await;
        has_none_of_ours(&bob.get(&target).await);
        assert_eq!(color(&bob, "/private/").await, expected, "{status}");
    }
    // To log out is never refused.
    let answer = "HTTP/1.1 500 Oops\r\nVestibule-Logout: 1\r\nContent-Length: 0\r\n\r\n";
    gate.upstream.on("/private/fails/bye", Script::send(answer));
    let bob = gate.sign_in("bob").await;
    bob.get("/private/fails/bye").await;
    bob.get("/private/").await.asks_to_log_in("/private/");
}

#[tokio::test]
async fn slow_answer_brings_no_session_back() {
    let gate = TRUSTING.gate().await;
    let latch = Latch::new();
    let set = "Vestibule-Session-Set: fav_color=black\r\n";
    let steps = [Step::Hold(latch.clone()), Step::Echo(set.to_owned())];
    gate.upstream.on("/private/slow", Script::new(steps));
    let mut ada = gate.sign_in("ada").await;
    let before = ada.clone();
    let slow = tokio::spawn({
        let ada = ada.clone();
        async move { ada.get("/private/slow").await }
    });
    gate.upstream.sees("/private/slow").await;
    ada.logs_out().await;
    latch.open();
    let answer = slow.await.unwrap();
    answer.asks_to_log_in("/private/slow");
    assert_eq!(answer.all("set-cookie"), Vec::<&str>::new(), "{answer:?}");
    before.get("/private/").await.asks_to_log_in("/private/");
    assert_eq!(color(&before, "/public/").await, Vec::<String>::new());
}

#[tokio::test]
async fn answer_that_logs_out_arrives_whole() {
    let gate = TRUSTING.gate().await;
    let latch = Latch::new();
    let said = b"HTTP/1.1 200 OK\r\nVestibule-Logout: 1\r\nContent-Length: 12\r\n\r\nSee ".to_vec();
    let steps = [Step::Send(said), Step::Hold(latch.clone()), Step::Send(b"you soon".to_vec())];
    gate.upstream.on("/private/bye/slow", Script::new(steps));
    let ada = gate.sign_in("ada").await;
    let mut wire = gate.connect().await;
    let cookie = ada.cookie_line();
    wire.send(format!("GET /private/bye/slow HTTP/1.1\r\nHost: localhost\r\n{cookie}\r\n")).await;
    assert!(wire.head().await.starts_with("HTTP/1.1 200 "));
    // What else the session has open is cut off, but not what says that it has ended.
    ada.get("/private/").await.asks_to_log_in("/private/");
    latch.open();
    assert_eq!(wire.bytes(12).await, b"See you soon");
}

#[tokio::test]
async fn what_is_open_because_of_a_guest_s_session_ends_with_it() {
    let gate = Gate::start(&town_and(TRUST)).await;
    page(&gate, "/public/try", "Vestibule-Session-Set: beta=yes\r\n");
    let mut guest = gate.visitor();
    let answer = guest.get("/public/try").await;
    guest.keeps(&answer);
    let mut beta = Socket::open(&gate, &guest, "/beta/socket").await;
    let mut public = Socket::open(&gate, &guest, "/public/socket").await;
    gate.run(&["reload"]);
    beta.is_open().await;
    gate.run(&["session", "revoke", "--all"]);
    beta.is_ended_because("you may not see this any more").await;
    public.is_open().await;
}

#[tokio::test]
async fn many_changes_at_once_all_survive() {
    let gate = TRUSTING.gate().await;
    let ada = gate.sign_in("ada").await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..64 {
        let target = format!("/private/at-once/{number}");
        page(&gate, &target, &format!("Vestibule-Session-Set: k{number:02}={number}\r\n"));
        let ada = ada.clone();
        tasks.spawn(async move { ada.get(&target).await.is_forwarded_as("ada") });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let all: Vec<String> = (0..64).map(|number| format!("k{number:02}")).collect();
    assert_eq!(ada.get("/private/").await.is_forwarded().folded("x-all"), [all.join(" ")]);
}

#[tokio::test]
async fn one_visitor_s_values_are_never_told_of_another() {
    let gate = TRUSTING.gate().await;
    let mut visitors = Vec::new();
    for number in 0..12 {
        let own = format!("color{number}");
        let visitor = match number % 3 {
            0 => guest(&gate, &own).await,
            1 => {
                let mut visitor = guest(&gate, &own).await;
                visitor.logs_in("bob", PASSWORD).await;
                visitor
            }
            _ => gate.visitor(),
        };
        visitors.push((visitor, if number % 3 == 2 { None } else { Some(own) }));
    }
    // All of them take turns on each connection, and the gateway's own are shared anyway.
    let mut tasks = tokio::task::JoinSet::new();
    for start in 0..6 {
        let (visitors, address) = (visitors.clone(), gate.address);
        tasks.spawn(async move {
            let mut wire = Wire::connect(address).await;
            for round in 0..10 {
                for index in 0..visitors.len() {
                    let (visitor, own) = &visitors[(start + round + index) % visitors.len()];
                    let echo = visitor.asks_on(&mut wire, "/public/").await.is_forwarded();
                    assert_eq!(echo.folded("x-color"), own.iter().cloned().collect::<Vec<_>>());
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}

#[tokio::test]
async fn login_counts_for_more_than_a_guest_s_session_wherever_it_stands() {
    let gate = TRUSTING.gate().await;
    let (ada, guest) = (gate.sign_in("ada").await, guest(&gate, "tossed").await);
    let (login, tossed) = (ada.session(), guest.session());
    for [first, second] in [[&login, &tossed], [&tossed, &login]] {
        let cookie = format!("Cookie: sessionid={first}; sessionid={second}\r\n");
        let echo = gate.visitor().get_with("/private/", &cookie).await.is_forwarded_as("ada");
        assert_eq!(echo.folded("x-color"), Vec::<String>::new());
    }
}

#[tokio::test]
async fn saving_every_request_renews_a_guest_s_session_too() {
    let text = town_and(&format!(
        "{TRUST}\n[sessions]\nsave_every_request = true\nexpire_at_browser_close = true"
    ));
    let gate = Gate::start(&text).await;
    let guest = guest(&gate, "gold").await;
    let answer = guest.get("/public/").await;
    assert_eq!(answer.sets_cookie("sessionid"), Some(guest.session()), "{answer:?}");
    assert!(!cookies(&answer)[0].contains("Max-Age"), "{answer:?}");
    // One cookie, however many reasons there are for it.
    let answer = guest.get("/public/likes/gold").await;
    assert_eq!(cookies(&answer).len(), 1, "{answer:?}");
    page(&gate, "/public/bye", "Vestibule-Logout: 1\r\n");
    let answer = guest.get("/public/bye").await;
    assert_eq!(cookies(&answer).len(), 1, "{answer:?}");
    assert_eq!(answer.sets_cookie("sessionid"), Some(String::new()));
}

#[tokio::test]
async fn change_of_protocol_can_change_the_session_first() {
    let gate = TRUSTING.gate().await;
    let accepted = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nVestibule-Session-Set: fav_color=teal\r\n\r\n";
    gate.upstream.on("/private/ws", Script::new([Step::Send(accepted.to_vec()), Step::Tunnel]));
    let ada = gate.sign_in("ada").await;
    let mut wire = gate.connect().await;
    wire.send(format!("GET /private/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{}\r\n", ada.cookie_line())).await;
    let answer = wire.answer().await;
    has_none_of_ours(&answer);
    assert_eq!((answer.status, answer.sets_cookie("sessionid")), (101, Some(ada.session())));
    wire.send("hello").await;
    assert_eq!(wire.bytes(5).await, b"HELLO");
    assert_eq!(color(&ada, "/private/").await, ["teal"]);
}

#[tokio::test]
async fn test_cookie_shows_whether_the_browser_keeps_cookies() {
    let gate = Gate::start(&town_and(
        r#"
        [upstream_defaults]
        trust_responses = true
        [identity]
        headers = { "X-Test-Cookie" = "{{ session.testcookie }}" }
        "#,
    ))
    .await;
    page(&gate, "/public/form", "Vestibule-Session-Set: testcookie=worked\r\n");
    page(&gate, "/public/sent", "Vestibule-Session-Delete: testcookie\r\n");
    let mut visitor = gate.visitor();
    let form = visitor.get("/public/form").await;
    let worked = async |visitor: &Visitor| {
        let answer = visitor.get("/public/sent").await;
        answer.is_forwarded().folded("x-test-cookie")
    };
    assert_eq!(worked(&visitor).await, Vec::<String>::new(), "no cookies in this browser");
    visitor.keeps(&form);
    assert_eq!(worked(&visitor).await, ["worked"]);
    assert_eq!(worked(&visitor).await, Vec::<String>::new(), "it was deleted");
}
