//! Messages to visitors: queued per user or session, shown once, by the application or on the gateway's own pages.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{
    answer::Echo,
    config::{TOWN, town_and},
    eventually,
    gate::{Gate, Shared},
    people::PASSWORD,
    script::{Latch, Script, Step},
    socket::asks_socket,
    visitor::Visitor,
};

const TRUST: &str = r#"
[upstream_defaults]
trust_responses = true

[identity]
session_key = true

[paths]
"/public/" = { login_required = false, headers = { "X-Messages" = "{{ messages }}" } }
"/private/" = { login_required = true, headers = { "X-Messages" = "{{ messages }}" } }
"/old/" = { headers = { "X-Old" = "{% for m in user.get_and_delete_messages() %}{{ m.level_tag }}:{{ m }};{% endfor %}" } }
"/plain/" = { login_required = true }
"#;

static TRUSTING: Shared = Shared::new(|| town_and(TRUST));
static WARY: Shared = Shared::new(|| {
    let trusting: String = TRUST.replace("trust_responses = true", "trust_responses = false");
    town_and(&trusting)
});

/// A page of the application whose answer has these lines.
fn page(gate: &Gate, target: &str, lines: &str) {
    gate.upstream.on(target, Script::echo_with(lines));
}

/// The texts that the application was told.
fn texts(echo: &Echo) -> Vec<String> {
    let told = echo.folded("x-messages");
    assert!(told.len() <= 1, "{told:?}");
    told.first().map(|json| texts_in(&serde_json::from_str(json).unwrap())).unwrap_or_default()
}

fn texts_in(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|one| one["text"].as_str().unwrap().to_owned()).collect()
}

async fn told(visitor: &Visitor, target: &str) -> Vec<String> {
    texts(&visitor.get(target).await.is_forwarded())
}

/// What a script of the application is told.
async fn asked(visitor: &Visitor) -> Vec<String> {
    let answer = visitor.fetch("/accounts/messages/").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    texts_in(&answer.json()["messages"])
}

/// Somebody without a login whose session has a message.
async fn guest_with(gate: &Gate, target: &str, text: &str) -> Visitor {
    page(gate, target, &format!("Vestibule-Message: {text}\r\n"));
    let mut visitor = gate.visitor();
    let answer = visitor.get(target).await;
    answer.is_forwarded_anonymously();
    visitor.keeps(&answer);
    assert!(visitor.cookie("sessionid").is_some(), "{answer:?}");
    visitor
}

#[tokio::test]
async fn message_is_told_to_the_application_once_with_its_level_and_in_order() {
    let gate = TRUSTING.gate().await;
    let ada = gate.sign_in("ada").await;
    page(
        &gate,
        "/plain/vote",
        "Vestibule-Message-Success: Thank%20you%2C Zo%C3%AB\r\nVestibule-Message-Success: Twice\r\n",
    );
    let answer = ada.get("/plain/vote").await;
    answer.is_forwarded_as("ada");
    assert!(!answer.headers.iter().any(|(name, _)| name.starts_with("vestibule")), "{answer:?}");

    let answer = ada.get("/private/").await;
    let line = answer.is_forwarded_as("ada").folded("x-messages").concat();
    assert!(line.is_ascii() && line.contains("Zo\\u00eb"), "{line}");
    let list: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(texts_in(&list), ["Thank you, Zo\u{eb}", "Twice"]);
    assert_eq!(list[0]["level"], "success");
    assert_eq!(answer.header("cache-control"), Some("private"), "{answer:?}");
    for _ in 0..4 {
        assert_eq!(told(&ada, "/private/").await, Vec::<String>::new());
    }
    gate.run(&["message", "send", "--user", "ada", "--level", "warning", "By another name"]);
    let echo = ada.get("/old/").await.is_forwarded_as("ada");
    assert_eq!(echo.folded("x-old"), ["warning:By another name;"]);
    assert_eq!(ada.get("/old/").await.is_forwarded().folded("x-old"), Vec::<String>::new());
}

#[tokio::test]
async fn of_many_tabs_at_once_each_message_is_shown_in_one() {
    let gate = TRUSTING.gate().await;
    let bob = gate.sign_in("bob").await;
    for round in 0..5 {
        for number in 0..3 {
            gate.run(&["message", "send", "--user", "bob", &format!("{round}.{number}")]);
        }
        let tabs = futures_util::future::join_all((0..8).map(|_| told(&bob, "/private/"))).await;
        let mut shown = tabs.concat();
        shown.sort();
        assert_eq!(shown, ["0", "1", "2"].map(|number| format!("{round}.{number}")));
    }
}

#[tokio::test]
async fn messages_wait_for_a_page_that_shows_them() {
    let gate = TRUSTING.gate().await;
    let dora = gate.sign_in("dora").await;
    gate.run(&["message", "send", "--user", "dora", "Wait for me"]);
    // What is no page, or of a rule that tells none.
    for (method, target, lines) in [
        ("HEAD", "/private/", "Accept: text/html\r\n"),
        ("GET", "/private/logo.png", "Accept: image/png\r\nSec-Fetch-Mode: no-cors\r\n"),
        ("GET", "/private/data", "Accept: application/json\r\n"),
        ("GET", "/private/part", "Accept: text/html\r\nX-Requested-With: XMLHttpRequest\r\n"),
        ("GET", "/plain/", "Accept: text/html\r\n"),
    ] {
        let answer = dora.sends(method, target, lines, b"").await;
        assert!(answer.came_from_upstream(), "{method} {target}: {answer:?}");
    }
    for seen in gate.upstream.requests() {
        let head = String::from_utf8_lossy(&seen.head).into_owned();
        assert!(!head.contains("Wait for me"), "{head}");
    }
    // Pages that were never made.
    let redirect = "HTTP/1.1 302 Found\r\nLocation: /private/\r\nContent-Length: 0\r\n\r\n";
    let failure = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n";
    let same = "HTTP/1.1 304 Not Modified\r\n\r\n";
    for (target, answer, status) in [
        ("/private/moved", redirect, 302),
        ("/private/broken", failure, 500),
        ("/private/same", same, 304),
        ("/private/garbled", "no HTTP at all\r\n\r\n", 502),
    ] {
        gate.upstream.on(target, Script::send_and_close(answer));
        assert_eq!(dora.get(target).await.status, status, "{target}");
    }
    assert_eq!(told(&dora, "/private/").await, ["Wait for me"]);
    assert_eq!(told(&dora, "/private/").await, Vec::<String>::new());
}

#[tokio::test]
async fn messages_come_back_when_the_browser_goes_away_before_the_page() {
    let gate = Gate::start(&town_and(TRUST)).await;
    let dora = gate.sign_in("dora").await;
    gate.run(&["message", "send", "--user", "dora", "Still here"]);
    let latch = Latch::new();
    let steps = [Step::Hold(latch.clone()), Step::Echo(String::new())];
    gate.upstream.on("/private/slow", Script::new(steps));
    let mut wire = gate.connect().await;
    wire.send(format!(
        "GET /private/slow HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n{}\r\n",
        dora.cookie_line()
    ))
    .await;
    let list = || gate.run(&["message", "list", "--user", "dora", "--json"]);
    eventually("the message is taken out", || list().trim() == "[]").await;
    drop(wire);
    eventually("the message is back", || list().contains("Still here")).await;
    latch.open();
    assert_eq!(told(&dora, "/private/").await, ["Still here"]);
}

#[tokio::test]
async fn messages_of_somebody_else_are_never_shown() {
    let gate = Gate::start(&town_and(TRUST)).await;
    let (alice, carl) = (gate.sign_in("alice").await, gate.sign_in("carl").await);
    gate.run(&["message", "send", "--user", "alice", "For Alice alone"]);
    assert_eq!(told(&carl, "/private/").await, Vec::<String>::new());
    assert_eq!(asked(&carl).await, Vec::<String>::new());
    assert_eq!(told(&gate.visitor(), "/public/").await, Vec::<String>::new());
    assert_eq!(asked(&gate.visitor()).await, Vec::<String>::new());
    assert!(!carl.get("/accounts/profile/").await.text().contains("For Alice"));
    // A guest's belong to the session: another guest has none of them, and a login none of another's.
    let guest = guest_with(&gate, "/public/hello", "For a guest").await;
    assert_eq!(told(&gate.visitor(), "/public/").await, Vec::<String>::new());
    assert_eq!(told(&alice, "/private/").await, ["For Alice alone"]);
    assert_eq!(told(&guest, "/public/").await, ["For a guest"]);
}

#[tokio::test]
async fn group_is_told_and_who_is_no_member_is_not() {
    let gate = Gate::start(&town_and(TRUST)).await;
    let said = gate.run(&["message", "send", "--group", "Site editors", "Meeting at noon"]);
    assert!(said.contains("2 users"), "{said}");
    for (name, expected) in
        [("ada", &["Meeting at noon"][..]), ("carl", &["Meeting at noon"]), ("bob", &[])]
    {
        assert_eq!(told(&gate.sign_in(name).await, "/private/").await, expected, "{name}");
    }
    for (arguments, complaint) in [
        (&["--user", "adda", "x"][..], "did you mean `ada`?"),
        (&["--group", "Site editor", "x"], "did you mean `Site editors`?"),
        (&["--user", "ada", "a\u{1b}[2Jb"], "control character"),
        (&["--user", "ada", &"x".repeat(501)], "500 or fewer"),
        (&["--user", "ada", " "], "empty"),
        (&["--user", "ada", "--level", "loud", "x"], "possible values"),
        (&["x"], "--user"),
    ] {
        let output = gate.try_run(&[&["message", "send"], arguments].concat(), "");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && error.contains(complaint), "{arguments:?}: {error}");
    }
}

#[tokio::test]
async fn only_the_last_of_too_many_wait() {
    let gate = Gate::start(&town_and(TRUST)).await;
    let ada = gate.sign_in("ada").await;
    let lines: String =
        (0..60).map(|number| format!("Vestibule-Message: {number:02}\r\n")).collect();
    page(&gate, "/plain/many", &lines);
    ada.get("/plain/many").await.is_forwarded_as("ada");
    let list = gate.run(&["message", "list", "--user", "ada", "--json"]);
    let list: Value = serde_json::from_str(&list).unwrap();
    let waiting = texts_in(&list);
    assert_eq!((waiting.len(), &*waiting[0], &*waiting[49]), (50, "10", "59"));
    // A header has room for some of them, and the others wait for the next page.
    let long = "x".repeat(450);
    for number in 0..20 {
        gate.run(&["message", "send", "--user", "ada", &format!("{number:02} {long}")]);
    }
    let mut shown = Vec::new();
    loop {
        let echo = ada.get("/private/").await.is_forwarded_as("ada");
        let bytes: usize = echo.folded("x-messages").iter().map(String::len).sum();
        assert!(bytes < 4400, "{bytes} bytes in a header");
        let some = texts(&echo);
        if some.is_empty() {
            break;
        }
        shown.extend(some);
    }
    assert_eq!(shown.len(), 50);
    assert_eq!(shown.iter().collect::<BTreeSet<_>>().len(), 50);
    assert!(shown[0] == "30" && shown[49].starts_with("19 x"), "{} {}", shown[0], shown[49]);
}

#[tokio::test]
async fn guests_messages_go_by_the_session_and_stay_in_it_at_login() {
    let gate = TRUSTING.gate().await;
    let guest = guest_with(&gate, "/public/first", "Hello%2C stranger").await;
    assert_eq!(asked(&guest).await, ["Hello, stranger"]);
    assert_eq!(asked(&guest).await, Vec::<String>::new());

    let mut guest = guest_with(&gate, "/public/second", "Please log in").await;
    // Applications see nothing of where it is kept.
    let key = guest.key();
    let data = asks_socket(gate.directory(), "GET", &format!("/v1/sessions/{key}/data"), "").await;
    assert_eq!(data.json(), json!({}));
    let cleared =
        asks_socket(gate.directory(), "DELETE", &format!("/v1/sessions/{key}/data"), "").await;
    assert_eq!(cleared.status, 204);
    let answer = guest.tries_to_log_in("stella", PASSWORD, "/private/").await;
    assert_eq!(answer.status, 302, "{answer:?}");
    // The login page that was shown on the way has shown it already.
    assert_eq!(told(&guest, "/private/").await, Vec::<String>::new());

    let mut guest = guest_with(&gate, "/public/third", "Not shown yet").await;
    let other = guest.clone();
    let page = guest.get("/accounts/logout/").await;
    assert!(page.text().contains("Not shown yet"), "{}", page.text());
    let key = guest.key();
    let body = r#"{"text":"By the API","level":"error"}"#;
    let path = format!("/v1/sessions/{key}/messages");
    assert_eq!(asks_socket(gate.directory(), "POST", &path, body).await.status, 204);
    let login = guest.get_with("/accounts/login/", "Sec-Fetch-Mode: navigate\r\n").await;
    guest.keeps(&login);
    assert!(login.text().contains("By the API"), "{}", login.text());
    assert_eq!(asked(&other).await, Vec::<String>::new());
}

#[tokio::test]
async fn message_that_nobody_saw_is_shown_after_the_login() {
    let gate = TRUSTING.gate().await;
    let mut guest = gate.visitor();
    let login = guest.get("/accounts/login/").await;
    guest.keeps(&login);
    let token = crate::support::visitor::form_token(&login.text());
    page(&gate, "/public/late", "Vestibule-Message: Welcome%20back\r\n");
    guest.keeps(&guest.clone().get("/public/late").await);
    let fields = [("csrfmiddlewaretoken", &*token), ("username", "stella"), ("password", PASSWORD)];
    let answer = guest.posts("/accounts/login/", &fields).await;
    assert_eq!(answer.status, 302, "{answer:?}");
    guest.keeps(&answer);
    assert_eq!(told(&guest, "/private/").await, ["Welcome back"]);
}

#[tokio::test]
async fn logout_of_an_application_may_say_good_bye() {
    let gate = TRUSTING.gate().await;
    let mut ada = gate.sign_in("ada").await;
    page(&gate, "/plain/bye", "Vestibule-Logout: 1\r\nVestibule-Message: Good%20bye\r\n");
    let answer = ada.get("/plain/bye").await;
    ada.keeps(&answer);
    ada.get("/plain/").await.asks_to_log_in("/plain/");
    assert_eq!(told(&ada, "/public/").await, ["Good bye"]);
    let list = gate.run(&["message", "list", "--user", "ada"]);
    assert!(!list.contains("Good bye"), "{list}");
}

#[tokio::test]
async fn own_pages_show_messages_as_text() {
    let gate = TRUSTING.gate().await;
    let root = gate.sign_in("root").await;
    let evil = "<script>alert('x')</script> & co";
    gate.run(&["message", "send", "--user", "root", "--level", "error", evil]);
    let page = root.get("/accounts/sessions/").await.text();
    let shown = "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt; &amp; co";
    assert!(page.contains(shown) && page.contains("note error"), "{page}");
    assert!(!page.contains("<script"), "{page}");
    assert!(!root.get("/accounts/sessions/").await.text().contains("script"));
}

#[tokio::test]
async fn scripts_ask_for_messages_from_the_same_origin_alone() {
    let gate = TRUSTING.gate().await;
    let carl = gate.sign_in("carl").await;
    gate.run(&["message", "send", "--user", "carl", "For a script"]);
    let target = "/accounts/messages/";
    for lines in [
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
        "Origin: http://evil.example\r\n",
        "Referer: http://evil.example/\r\n",
    ] {
        carl.get_with(target, lines).await.is_refused_with(403);
    }
    let head = carl.sends("HEAD", target, "Accept: application/json\r\n", b"").await;
    assert_eq!(head.status, 200, "{head:?}");
    carl.posts(target, &[]).await.is_refused_with(405);
    let answer = carl.get_with(target, "Sec-Fetch-Site: same-origin\r\n").await;
    assert_eq!(answer.json()["messages"][0]["text"], "For a script");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert!(answer.header("cache-control").unwrap().contains("no-store"), "{answer:?}");
    assert_eq!(answer.header("access-control-allow-origin"), None);
    assert_eq!(asked(&carl).await, Vec::<String>::new());
}

#[tokio::test]
async fn header_of_an_application_that_is_not_trusted_is_removed_and_does_nothing() {
    let gate = WARY.gate().await;
    let ada = gate.sign_in("ada").await;
    page(&gate, "/plain/forged", "Vestibule-Message: forged\r\nVestibule_Message: forged\r\n");
    let answer = ada.get("/plain/forged").await;
    answer.is_forwarded_as("ada");
    assert!(!answer.headers.iter().any(|(name, _)| name.starts_with("vestibule")), "{answer:?}");
    assert_eq!(told(&ada, "/private/").await, Vec::<String>::new());
    // Nor can a browser tell an application anything, whatever the name is written like.
    for name in ["X-Messages", "x_messages", "X.Messages"] {
        let lines = format!("{name}: [{{\"text\":\"forged\"}}]\r\n");
        for target in ["/private/", "/plain/", "/public/"] {
            let echo = ada.get_with(target, &lines).await.is_forwarded();
            assert_eq!(echo.folded("x-messages"), Vec::<String>::new(), "{name} {target}");
        }
    }
}

#[tokio::test]
async fn message_that_cannot_be_shown_is_left_out_and_the_answer_goes_on() {
    let gate = TRUSTING.gate().await;
    let stella = gate.sign_in("stella").await;
    for (index, value) in
        ["a%0d%0aX-Evil: 1", "a%00b", "%1b[2J", "50%", "%ff", "%20"].iter().enumerate()
    {
        let target = format!("/plain/bad{index}");
        page(&gate, &target, &format!("Vestibule-Message: {value}\r\n"));
        stella.get(&target).await.is_forwarded_as("stella");
        assert_eq!(told(&stella, "/private/").await, Vec::<String>::new(), "{value}");
    }
    page(&gate, "/plain/failed", "");
    gate.upstream.on(
        "/plain/failed",
        Script::send(
            "HTTP/1.1 500 Oops\r\nVestibule-Message: It worked\r\nContent-Length: 0\r\n\r\n",
        ),
    );
    assert_eq!(stella.get("/plain/failed").await.status, 500);
    assert_eq!(told(&stella, "/private/").await, Vec::<String>::new());
}

#[tokio::test]
async fn programs_send_messages_over_the_admin_socket() {
    let gate = TRUSTING.gate().await;
    let mut alice = gate.sign_in("alice").await;
    let ask = |path: &'static str, body: Value| {
        let home = gate.directory().to_owned();
        async move { asks_socket(&home, "POST", path, &body.to_string()).await }
    };
    let send = json!({"message_send": {"to": {"user": "alice"}, "text": "From a program"}});
    let answer = ask("/v1/accounts", send).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let list = ask("/v1/accounts", json!({"message_list": {"username": "alice"}})).await.json();
    assert_eq!(list["messages"][0]["text"], "From a program");
    assert_eq!(list["messages"][0]["level"], "info");
    let by_session = format!("/v1/sessions/{}/messages", alice.key());
    for (body, status) in [
        (r#"{"text":"By session"}"#, 204),
        (r#"{"text":"a\nb"}"#, 422),
        (r#"{"text":"x","level":"loud"}"#, 422),
        (r#"{"txt":"x"}"#, 400),
        ("", 400),
    ] {
        let answer = asks_socket(gate.directory(), "POST", &by_session, body).await;
        assert_eq!(answer.status, status, "{body}: {answer:?}");
    }
    assert_eq!(asks_socket(gate.directory(), "GET", &by_session, "").await.status, 405);
    assert_eq!(told(&alice, "/private/").await, ["From a program", "By session"]);
    alice.logs_out().await;
    let answer = asks_socket(gate.directory(), "POST", &by_session, r#"{"text":"x"}"#).await;
    assert_eq!(answer.status, 404, "{answer:?}");
}

#[tokio::test]
async fn deleted_user_leaves_no_messages() {
    let gate = Gate::start(TOWN).await;
    gate.run(&["message", "send", "--user", "ivy", "Too late"]);
    gate.run(&["user", "delete", "ivy"]);
    let output = gate.try_run(&["message", "list", "--user", "ivy"], "");
    assert!(!output.status.success());
}
