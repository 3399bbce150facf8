//! Guessing passwords: it gets slower for whoever does it, the owner's browser is let alone, nothing tells which accounts there are, operators see it and can lift it.

use std::collections::HashSet;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{
    answer::Answer,
    config::town_and,
    eventually,
    gate::Gate,
    people::{self, PASSWORD},
    visitor::{Visitor, form_token},
};

const WRONG: &str = "wrong-password-1";

/// Behind a proxy that says where people come from.
const STRICT: &str = "[lockout]\nenabled = true\nfailures = 5\ndelay = \"10m\"\nwindow = \"15m\"\n\
    [server]\ntrusted_proxies = [\"127.0.0.1\"]\n[log]\naudit = \"audit.log\"\n\
    [admin]\nlisten = \"127.0.0.1:0\"";

/// A browser somewhere, with the login page open.
struct Somebody {
    browser: Visitor,
    address: String,
    token: String,
}

impl Somebody {
    async fn at(gate: &Gate, address: impl Into<String>) -> Self {
        Self::with(gate.visitor(), address).await
    }

    /// The same, with a browser that has been used before.
    async fn with(mut browser: Visitor, address: impl Into<String>) -> Self {
        let address = address.into();
        let lines = format!("X-Forwarded-For: {address}\r\n");
        let page = browser.get_with("/accounts/login/", &lines).await;
        assert_eq!(page.status, 200, "{page:?}");
        browser.keeps(&page);
        let token = form_token(&page.text());
        Self { browser, address, token }
    }

    async fn tries(&self, gate: &Gate, name: &str, password: &str) -> Answer {
        let fields = [
            ("csrfmiddlewaretoken", self.token.as_str()),
            ("username", name),
            ("password", password),
            ("next", "/private/"),
        ];
        let lines = format!(
            "X-Forwarded-For: {}\r\nOrigin: http://{}\r\nUser-Agent: x\",\"event\":\"forged\r\n",
            self.address, gate.address
        );
        self.browser.posts_with("/accounts/login/", &fields, &lines).await
    }

    async fn fails(&self, gate: &Gate, name: &str, times: usize) {
        for _ in 0..times {
            let answer = self.tries(gate, name, WRONG).await;
            assert_eq!(answer.status, 200, "{name} from {}: {answer:?}", self.address);
        }
    }

    #[track_caller]
    fn is_let_in(&self, answer: &Answer) {
        assert!(matches!(answer.status, 302 | 303), "{}: {answer:?}", self.address);
    }
}

/// The lines of the audit log, each of which is JSON.
fn audit(gate: &Gate) -> Vec<Value> {
    let text = std::fs::read_to_string(gate.directory().join("audit.log")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of_event<'a>(lines: &'a [Value], event: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["event"] == event).collect()
}

fn locked_out(gate: &Gate) -> Vec<Value> {
    let list = gate.run(&["lockout", "list", "--json"]);
    serde_json::from_str::<Value>(&list).unwrap().as_array().unwrap().clone()
}

#[tokio::test]
async fn attacker_with_a_thousand_tries_keeps_no_known_browser_out() {
    let gate = Gate::start(&town_and(STRICT)).await;
    let mut bob = gate.visitor();
    bob.logs_in("bob", PASSWORD).await;
    bob.logs_out().await;

    // From the owner's own address too, which a neighbour or a proxy may share.
    let home = "198.51.100.7";
    let mut statuses = Vec::new();
    for number in 0..200 {
        let address = if number == 0 { home.to_owned() } else { format!("203.0.113.{number}") };
        let attacker = Somebody::at(&gate, address).await;
        for _ in 0..5 {
            statuses.push(attacker.tries(&gate, "bob", WRONG).await.status);
        }
    }
    assert_eq!(statuses.len(), 1000);
    let looked_at = statuses.iter().filter(|&&status| status == 200).count();
    assert_eq!(looked_at, 100, "passwords that were looked at");
    assert!(statuses[100..].iter().all(|&status| status == 429), "{statuses:?}");

    let stranger = Somebody::at(&gate, "192.0.2.200").await;
    let answer = stranger.tries(&gate, "bob", PASSWORD).await;
    assert_eq!(answer.status, 429, "a browser that nobody knows has to wait: {answer:?}");
    for address in [home, "192.0.2.77"] {
        let owner = Somebody::with(bob.clone(), address).await;
        let answer = owner.tries(&gate, "bob", PASSWORD).await;
        owner.is_let_in(&answer);
    }
    // And nobody else has to, wherever nobody failed.
    let alice = Somebody::at(&gate, "192.0.2.77").await;
    let answer = alice.tries(&gate, "alice", PASSWORD).await;
    alice.is_let_in(&answer);
}

#[tokio::test]
async fn known_browser_is_bound_to_its_account_and_password_and_may_guess_no_more_than_others() {
    let gate = Gate::start(&town_and(STRICT)).await;
    let mut bob = gate.visitor();
    let answer = bob.tries_to_log_in("bob", PASSWORD, "/private/").await;
    let cookie = answer
        .all("set-cookie")
        .into_iter()
        .find(|cookie| cookie.starts_with("knownbrowser="))
        .unwrap_or_else(|| panic!("{answer:?}"))
        .to_owned();
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/accounts/", "Max-Age="] {
        assert!(cookie.contains(attribute), "{attribute} in {cookie}");
    }
    bob.logs_out().await;
    let failing = gate.visitor().tries_to_log_in("bob", WRONG, "/").await;
    assert!(!failing.all("set-cookie").iter().any(|cookie| cookie.starts_with("knownbrowser")));

    // Its own counter: five failures, wherever it is.
    for number in 0..5 {
        Somebody::with(bob.clone(), format!("192.0.2.{number}")).await.fails(&gate, "bob", 1).await;
    }
    let answer = Somebody::with(bob.clone(), "192.0.2.9").await.tries(&gate, "bob", PASSWORD).await;
    assert_eq!(answer.status, 429, "{answer:?}");
    let scopes: Vec<_> = locked_out(&gate).iter().map(|it| it["scope"].clone()).collect();
    assert_eq!(scopes, ["known_browser"]);
    gate.run(&["lockout", "lift", "--user", "bob"]);

    // For another account it is nobody's: the address counts.
    let elsewhere = Somebody::with(bob.clone(), "192.0.2.50").await;
    elsewhere.fails(&gate, "alice", 5).await;
    assert_eq!(elsewhere.tries(&gate, "alice", PASSWORD).await.status, 429);
    let answer = elsewhere.tries(&gate, "bob", PASSWORD).await;
    elsewhere.is_let_in(&answer);

    // With another password whoever has the old cookie is as everybody else.
    let changed = gate
        .try_run(&["user", "set-password", "bob", "--password-stdin"], "another-lantern-4712\n");
    assert!(changed.status.success(), "{changed:?}");
    Somebody::at(&gate, "192.0.2.60").await.fails(&gate, "bob", 5).await;
    let with_the_old = Somebody::with(bob.clone(), "192.0.2.60").await;
    assert_eq!(with_the_old.tries(&gate, "bob", "another-lantern-4712").await.status, 429);
}

#[tokio::test]
async fn forged_cookie_makes_no_browser_known() {
    let gate = Gate::start(&town_and(STRICT)).await;
    let mut bob = gate.visitor();
    bob.logs_in("bob", PASSWORD).await;
    let real = bob.cookie("knownbrowser").unwrap().to_owned();
    let turned = format!("B{}", &real[1..]);
    let forged = [
        "".to_owned(),
        "x".to_owned(),
        turned,
        real[..real.len() - 1].to_owned(),
        format!("{real}A"),
        ".".repeat(500),
        "A".repeat(70),
        "\u{e9}\"; knownbrowser".to_owned(),
    ];
    for (number, value) in forged.iter().enumerate() {
        let address = format!("203.0.113.{number}");
        Somebody::at(&gate, &*address).await.fails(&gate, "bob", 5).await;
        let mut visitor = gate.visitor();
        visitor.set_cookie("knownbrowser", value);
        let answer = Somebody::with(visitor, address).await.tries(&gate, "bob", PASSWORD).await;
        assert_eq!(answer.status, 429, "{value:?}: {answer:?}");
    }
}

#[tokio::test]
async fn lockout_looks_the_same_whether_or_not_there_is_such_an_account() {
    let gate = Gate::start(&town_and(STRICT)).await;
    let looks = |answer: &Answer, name: &str, token: &str| {
        let headers = answer.headers.iter().map(|(name, value)| {
            let is_volatile =
                ["date", "content-length"].iter().any(|it| name.eq_ignore_ascii_case(it));
            format!("{}: {}", name.to_ascii_lowercase(), if is_volatile { "…" } else { value })
        });
        let text = answer.text().replace(&form_token(&answer.text()), "TOKEN");
        assert!(!token.is_empty());
        (
            answer.status,
            // The seconds that are left may have gone one further.
            headers.filter(|line| !line.starts_with("retry-after")).collect::<Vec<_>>(),
            text.replace(&format!("value=\"{name}\""), "value=\"NAME\""),
        )
    };
    let mut all = HashSet::new();
    for (number, name) in ["bob", "nobody", "ivy", "root", "a/b", "hunter2 "].iter().enumerate() {
        let somebody = Somebody::at(&gate, format!("2001:db8:0:{number}::1")).await;
        let mut seen = Vec::new();
        for _ in 0..8 {
            let answer = somebody.tries(&gate, name, WRONG).await;
            seen.push(looks(&answer, name.trim(), &somebody.token));
        }
        assert_eq!(seen[4].0, 200);
        assert_eq!(seen[5].0, 429);
        all.insert(seen);
    }
    assert_eq!(all.len(), 1, "{all:?}");
    // What operators see: whose accounts they are, and of others no name.
    let list = locked_out(&gate);
    let names: HashSet<_> = list.iter().filter_map(|it| it["user"].as_str()).collect();
    assert_eq!(names, HashSet::from(["bob", "ivy", "root"]), "{list:?}");
    assert_eq!(list.len(), 6);
}

#[tokio::test]
async fn neighbours_in_an_ipv6_network_count_as_one() {
    let gate = Gate::start(&town_and(STRICT)).await;
    for number in 0..5 {
        let address = format!("2001:db8:7:7::{number}");
        Somebody::at(&gate, address).await.fails(&gate, "bob", 1).await;
    }
    let same = Somebody::at(&gate, "2001:db8:7:7:ffff::9").await;
    assert_eq!(same.tries(&gate, "bob", WRONG).await.status, 429);
    let other = Somebody::at(&gate, "2001:db8:7:8::1").await;
    let answer = other.tries(&gate, "bob", PASSWORD).await;
    other.is_let_in(&answer);
    assert_eq!(locked_out(&gate)[0]["address"], "2001:db8:7:7::/64");
}

#[tokio::test]
async fn lockout_and_known_browsers_outlast_a_restart() {
    let mut gate = Gate::start(&town_and(STRICT)).await;
    let mut bob = gate.visitor();
    bob.logs_in("bob", PASSWORD).await;
    for name in ["bob", "nobody"] {
        Somebody::at(&gate, "203.0.113.9").await.fails(&gate, name, 5).await;
    }
    gate.signal(Signal::TERM);
    gate.exits().await;
    gate.is_killed();
    gate.starts_again().await;
    let attacker = Somebody::at(&gate, "203.0.113.9").await;
    for name in ["bob", "nobody"] {
        assert_eq!(attacker.tries(&gate, name, PASSWORD).await.status, 429, "{name}");
    }
    let owner = Somebody::with(bob.through(gate.address), "203.0.113.9").await;
    let answer = owner.tries(&gate, "bob", PASSWORD).await;
    owner.is_let_in(&answer);
    assert_eq!(locked_out(&gate).len(), 2);
    gate.run(&["lockout", "lift", "--all"]);
    gate.signal(Signal::TERM);
    gate.exits().await;
    gate.is_killed();
    gate.starts_again().await;
    assert!(locked_out(&gate).is_empty(), "what was lifted stays so");
}

#[tokio::test]
async fn owner_who_resets_the_password_by_mail_need_not_wait_for_strangers_to_stop() {
    let mail = "[mail]\nsmtp = \"file:out\"\nfrom = \"Town <town@example.org>\"";
    let text = STRICT.replace("[server]\n", "[server]\npublic_url = \"http://gate.example\"\n");
    let gate = Gate::start(&town_and(&format!("{text}\n{mail}"))).await;
    for number in 0..20 {
        let attacker = Somebody::at(&gate, format!("203.0.113.{number}")).await;
        attacker.fails(&gate, "ada", 5).await;
    }
    let mut ada = Somebody::at(&gate, "192.0.2.9").await;
    assert_eq!(ada.tries(&gate, "ada", PASSWORD).await.status, 429);

    let token = form_token(&ada.browser.get("/accounts/password_reset/").await.text());
    let fields = [("csrfmiddlewaretoken", token.as_str()), ("email", "ada@example.org")];
    ada.browser.posts("/accounts/password_reset/", &fields).await;
    let link = gate.gets_letters(1).await.remove(0).path("http://gate.example");
    let moved = ada.browser.get(&link).await;
    ada.browser.keeps(&moved);
    let location = moved.header("location").unwrap().to_owned();
    let form = ada.browser.get(&location).await;
    let (token, new) = (form_token(&form.text()), "granite-lantern-2038");
    let fields = [("csrfmiddlewaretoken", &*token), ("new_password1", new), ("new_password2", new)];
    let done = ada.browser.posts(&location, &fields).await;
    assert!(matches!(done.status, 302 | 303), "{done:?}");
    let stranger = Somebody::at(&gate, "192.0.2.10").await;
    assert_eq!(stranger.tries(&gate, "ada", new).await.status, 429, "the attack goes on");
    ada.browser.keeps(&done);
    let answer = ada.tries(&gate, "ada", new).await;
    ada.is_let_in(&answer);
}

#[tokio::test]
async fn lockout_outlasts_a_crash() {
    let mut gate = Gate::start(&town_and(STRICT)).await;
    Somebody::at(&gate, "203.0.113.9").await.fails(&gate, "bob", 5).await;
    let file = gate.directory().join("var/lockouts");
    eventually("the lockout is kept", || file.metadata().is_ok_and(|file| file.len() > 0)).await;
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    gate.is_killed();
    gate.starts_again().await;
    let attacker = Somebody::at(&gate, "203.0.113.9").await;
    assert_eq!(attacker.tries(&gate, "bob", PASSWORD).await.status, 429);
    // What cannot be read keeps nobody from starting.
    gate.is_killed();
    std::fs::write(&file, "nonsense\n{\"of\":1}\n").unwrap();
    gate.starts_again().await;
    assert!(locked_out(&gate).is_empty());
    assert!(gate.log().iter().any(|line| line.contains("some lockouts of before cannot be read")));
}

#[tokio::test]
async fn operators_see_lockouts_and_lift_them() {
    let gate = Gate::start(&town_and(STRICT)).await;
    assert_eq!(gate.run(&["lockout", "list"]), "nobody is locked out\n");
    assert_eq!(gate.run(&["lockout", "list", "--json"]), "[]\n");
    let attacker = Somebody::at(&gate, "203.0.113.9").await;
    attacker.fails(&gate, "bob", 5).await;
    attacker.fails(&gate, "alice", 5).await;
    assert_eq!(attacker.tries(&gate, "bob", PASSWORD).await.status, 429);

    let list = locked_out(&gate);
    assert_eq!(list.len(), 2, "{list:?}");
    let bob = list.iter().find(|it| it["user"] == "bob").unwrap();
    assert_eq!(
        (&bob["scope"], &bob["address"]),
        (&"account_from_address".into(), &"203.0.113.9".into())
    );
    assert_eq!(bob["failures"], 5);
    assert!(bob["user_id"].is_i64() && bob["until"].is_string(), "{bob}");
    let table = gate.run(&["lockout", "list"]);
    assert!(table.contains("`bob` from 203.0.113.9"), "{table}");

    let said = gate.run(&["lockout", "lift", "--user", "bob"]);
    assert_eq!(said, "lifted the lockout of `bob` from 203.0.113.9\n");
    let answer = attacker.tries(&gate, "bob", PASSWORD).await;
    attacker.is_let_in(&answer);
    assert_eq!(attacker.tries(&gate, "alice", PASSWORD).await.status, 429, "only bob's was lifted");

    let wrong = gate.try_run(&["lockout", "lift", "--user", "alise"], "");
    let complaint = String::from_utf8(wrong.stderr).unwrap();
    assert_eq!(wrong.status.code(), Some(1), "{complaint}");
    assert!(complaint.contains("did you mean `alice`?"), "{complaint}");
    for usage in [&["lift"][..], &["lift", "--all", "--user", "bob"], &["lift", "--address", "x"]] {
        let wrong = gate.try_run(&[&["lockout"], usage].concat(), "");
        assert_eq!(wrong.status.code(), Some(2), "{usage:?}: {wrong:?}");
    }

    gate.run(&["lockout", "lift", "--address", "203.0.113.9"]);
    let answer = attacker.tries(&gate, "alice", PASSWORD).await;
    attacker.is_let_in(&answer);
    assert_eq!(gate.run(&["lockout", "lift", "--all"]), "nobody of them was locked out\n");

    let lines = audit(&gate);
    let lifted = of_event(&lines, "lockout_lifted");
    assert_eq!(lifted.len(), 3, "{lifted:?}");
    assert!(lifted.iter().all(|line| line["by"].as_str().unwrap().starts_with("uid ")));
    assert_eq!((&lifted[0]["user"], &lifted[0]["lifted"]), (&"bob".into(), &1.into()));
    assert_eq!(lifted[1]["address"], "203.0.113.9");
    assert_eq!(lifted[2]["all"], true);
    assert_eq!(gate.metric("vestibule_locked_out").await, 0);
    assert_eq!(gate.metric("vestibule_lockouts_total").await, 2);
    assert_eq!(gate.metric("vestibule_logins_total{outcome=\"ok\"}").await, 2);
    assert_eq!(gate.metric("vestibule_logins_total{outcome=\"failed\"}").await, 10);
    assert_eq!(gate.metric("vestibule_logins_total{outcome=\"throttled\"}").await, 2);
}

#[tokio::test]
async fn every_event_is_one_line_that_an_operator_can_read() {
    let gate = Gate::start(&town_and(STRICT)).await;
    let mut ada = gate.visitor();
    ada.logs_in("ada", PASSWORD).await;
    let (key, id) = (ada.key(), ada.session());
    let second = gate.sign_in("ada").await;
    let page = ada.get("/accounts/sessions/").await;
    let token = form_token(&page.text());
    let fields = [("csrfmiddlewaretoken", token.as_str()), ("others", "1")];
    assert_eq!(ada.posts("/accounts/sessions/", &fields).await.status, 200);
    ada.logs_out().await;
    let attacker = Somebody::at(&gate, "203.0.113.9").await;
    attacker.fails(&gate, "bob", 5).await;
    attacker.tries(&gate, "bob", WRONG).await;
    let third = gate.sign_in("ada").await;
    gate.run(&["session", "revoke", &third.key()]);
    let _fourth = gate.sign_in("ada").await;
    gate.try_run(&["user", "set-password", "ada", "--password-stdin"], "another-lantern-4712\n");
    gate.run(&["user", "set", "bob", "is_staff=true", "first_name=Bob"]);
    gate.run(&["group", "add", "Site editors", "bob"]);
    gate.run(&["permission", "grant", "polls.can_vote", "--user", "bob"]);
    gate.run(&["user", "delete", "bob"]);
    gate.try_run(&["user", "delete", "letmein-sesame-44"], "");

    let lines = audit(&gate);
    let only = |event: &str| {
        let found = of_event(&lines, event);
        assert_eq!(found.len(), 1, "{event}: {found:?}");
        found[0]
    };
    for line in &lines {
        let time = line["time"].as_str().unwrap();
        assert!(time.ends_with('Z') && time.len() == 20, "{line}");
        assert!(line["event"].is_string() && line["outcome"].is_string(), "{line}");
    }
    let logins = of_event(&lines, "login");
    let first = logins[0];
    assert_eq!((&first["outcome"], &first["user"]), (&"ok".into(), &"ada".into()));
    assert_eq!((&first["address"], &first["session"]), (&"127.0.0.1".into(), &key.clone().into()));
    assert!(first["user_id"].is_i64() && first["known_browser"] == false, "{first}");
    let failed: Vec<_> = logins.iter().filter(|line| line["outcome"] == "failed").collect();
    assert_eq!(failed.len(), 5);
    assert!(failed.iter().all(|line| line["user"] == "bob" && line["address"] == "203.0.113.9"));
    let throttled: Vec<_> = logins.iter().filter(|line| line["outcome"] == "throttled").collect();
    assert_eq!((throttled.len(), &throttled[0]["user"]), (1, &"bob".into()));
    assert!(throttled[0]["wait"].as_u64().unwrap() > 500, "{}", throttled[0]);
    let lockout = only("lockout");
    assert_eq!((&lockout["user"], &lockout["failures"]), (&"bob".into(), &5.into()));
    assert_eq!((&lockout["address"], &lockout["wait"]), (&"203.0.113.9".into(), &600.into()));
    let logout = only("logout");
    assert_eq!((&logout["user"], &logout["session"]), (&"ada".into(), &key.into()));

    let revoked = of_event(&lines, "sessions_revoked");
    assert_eq!(revoked.len(), 3, "{revoked:?}");
    assert_eq!((&revoked[0]["by"], &revoked[0]["ended"]), (&"ada".into(), &1.into()));
    assert!(revoked[0]["by_id"].is_i64(), "a user, and not an operator of that name");
    assert_eq!(revoked[1]["session"], third.key());
    assert!(revoked[1]["by"].as_str().unwrap().starts_with("uid "), "{}", revoked[1]);
    assert_eq!(revoked[2]["because"], "the password was changed");

    let set = only("password_changed");
    assert!(set["user"] == "ada" && set["by"].as_str().unwrap().starts_with("uid "), "{set}");
    let changed = only("user_changed");
    assert_eq!((&changed["is_staff"], &changed["fields"][0]), (&true.into(), &"first_name".into()));
    assert_eq!(only("group_joined")["users"][0], "bob");
    let granted = only("permission_granted");
    assert_eq!(
        (&granted["permission"], &granted["user"]),
        (&"polls.can_vote".into(), &"bob".into())
    );
    let deleted = of_event(&lines, "user_deleted");
    assert_eq!((&deleted[0]["user"], &deleted[0]["outcome"]), (&"bob".into(), &"ok".into()));
    assert_eq!((&deleted[1]["user"], &deleted[1]["outcome"]), (&Value::Null, &"refused".into()));

    let text = std::fs::read_to_string(gate.directory().join("audit.log")).unwrap();
    for secret in [PASSWORD, WRONG, "another-lantern", "letmein-sesame", &id, &second.session()] {
        assert!(!text.contains(secret), "`{secret}` is in the audit log");
    }
    use std::os::unix::fs::PermissionsExt as _;
    let mode = gate.directory().join("audit.log").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
}

#[tokio::test]
async fn nothing_that_a_stranger_sends_writes_a_line_or_a_field() {
    let gate = Gate::start(&town_and(STRICT)).await;
    let evil = [
        "bob\",\"outcome\":\"ok\"}\r\n{\"time\":\"x\",\"event\":\"login\",\"outcome\":\"ok\",\"user\":\"root",
        "bob\u{2028}{\"event\":\"forged\"}",
        "bob\u{85}\u{1b}[2K\u{202e}",
        "\u{0}bob",
        "hunter2-my-password",
    ];
    for (number, name) in evil.iter().enumerate() {
        let somebody = Somebody::at(&gate, format!("203.0.113.{number}")).await;
        for _ in 0..7 {
            somebody.tries(&gate, name, WRONG).await;
        }
    }
    // The address is read from a header: one that is none is not written down as it is.
    let odd = Somebody::at(&gate, "203.0.113.77\",\"outcome\":\"ok").await;
    odd.tries(&gate, "bob", WRONG).await;
    let text = std::fs::read_to_string(gate.directory().join("audit.log")).unwrap();
    let lines = audit(&gate);
    assert_eq!(lines.len(), evil.len() * 8 + 1, "{text}");
    assert!(
        lines.iter().all(|line| line["outcome"] != "ok" || line["event"] == "lockout"),
        "{text}"
    );
    assert!(lines[..lines.len() - 1].iter().all(|line| line["user"].is_null()), "{text}");
    assert!(!text.contains("forged") && !text.contains("hunter2"), "{text}");
    assert!(text.chars().all(|c| !c.is_control() || c == '\n'), "{text:?}");
}

#[tokio::test]
async fn audit_log_is_opened_again_and_commands_without_a_gateway_write_to_it() {
    let mut gate = Gate::start(&town_and(STRICT)).await;
    gate.sign_in("bob").await;
    let (log, old) = (gate.directory().join("audit.log"), gate.directory().join("audit.log.1"));
    std::fs::rename(&log, &old).unwrap();
    gate.signal(Signal::USR1);
    eventually("the file is there again", || log.exists()).await;
    gate.sign_in("ada").await;
    assert_eq!(of_event(&audit(&gate), "login").len(), 1);
    assert!(std::fs::read_to_string(&old).unwrap().contains("\"bob\""));
    gate.signal(Signal::TERM);
    gate.exits().await;
    gate.is_killed();
    people::run_well(gate.directory(), &["user", "set", "bob", "is_active=false"], "");
    let lines = audit(&gate);
    let changed = of_event(&lines, "user_changed");
    assert_eq!((changed.len(), &changed[0]["is_active"]), (1, &false.into()));
    gate.starts_again().await;
}
