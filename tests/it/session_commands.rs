//! `vestibule session` beside a running gateway: what it tells is true, and what it ends has ended.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::support::{
    config::{TOWN, town_and},
    eventually,
    gate::Gate,
    people::{self, PASSWORD},
    visitor::Visitor,
};

fn json(gate: &Gate, arguments: &[&str]) -> Value {
    serde_json::from_str(&gate.run(&[arguments, &["--json"]].concat())).unwrap()
}

/// The keys in a list, sorted.
fn listed(gate: &Gate, arguments: &[&str]) -> Vec<String> {
    let list = json(gate, &[&["session", "list"], arguments].concat());
    let mut keys: Vec<String> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|session| session["key"].as_str().unwrap().to_owned())
        .collect();
    keys.sort();
    keys
}

fn sorted<const N: usize>(mut keys: [String; N]) -> Vec<String> {
    keys.sort();
    keys.to_vec()
}

/// The command's complaint; it must have answered no.
fn complaint(gate: &Gate, arguments: &[&str]) -> String {
    let output = gate.try_run(arguments, "");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

async fn is_out(visitor: &Visitor) {
    visitor.get("/private/").await.asks_to_log_in("/private/");
}

#[tokio::test]
async fn list_tells_of_every_session_whose_it_is_and_where_it_began() {
    let gate = Gate::start(TOWN).await;
    assert_eq!(gate.run(&["session", "list", "--json"]), "[]\n");
    let (ada, bob, other) =
        (gate.sign_in("ada").await, gate.sign_in("bob").await, gate.sign_in("bob").await);
    assert_eq!(listed(&gate, &[]), sorted([ada.key(), bob.key(), other.key()]));
    assert_eq!(listed(&gate, &["--user", "bob"]), sorted([bob.key(), other.key()]));
    assert_eq!(listed(&gate, &["--user", "carl"]), Vec::<String>::new());

    let list = json(&gate, &["session", "list", "--user", "ada"]);
    let session = &list[0];
    assert_eq!(session["user"], "ada");
    assert_eq!(session["address"], "127.0.0.1");
    assert_eq!(session["device"], "an unknown browser");
    for moment in ["started", "last_seen", "expires"] {
        let text = session[moment].as_str().unwrap();
        assert!(text.ends_with('Z') && text.contains('T'), "{moment}: {text}");
    }
    let table = gate.run(&["session", "list"]);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 4, "{table}");
    let header: Vec<&str> =
        lines[0].split("  ").map(str::trim).filter(|it| !it.is_empty()).collect();
    assert_eq!(header, ["KEY", "USER", "DEVICE", "ADDRESS", "STARTED", "LAST SEEN"]);
    let row = lines.iter().find(|line| line.starts_with(&ada.key())).unwrap();
    assert!(row.contains(" ada ") && row.contains(" 127.0.0.1 "), "{row}");
}

#[tokio::test]
async fn show_tells_all_but_secrets_and_takes_the_first_digits() {
    let gate =
        Gate::start(&town_and("[sessions]\nidle_timeout = \"2h\"\nabsolute_timeout = \"30m\""))
            .await;
    let ada = gate.sign_in("ada").await;
    let key = ada.key();
    let session = json(&gate, &["session", "show", &key[..8].to_uppercase()]);
    assert_eq!(session["key"], *key);
    assert_eq!(session["user"], "ada");
    assert_eq!(session["data"], serde_json::json!([]));
    let limits = &session["limits"];
    assert_eq!(limits["first"], "absolute");
    assert_eq!(session["expires"], limits["absolute"]);
    assert!(limits["age"].as_str() > limits["idle"].as_str(), "{limits}");
    assert!(limits["idle"].as_str() > limits["absolute"].as_str(), "{limits}");

    let card = gate.run(&["session", "show", &key]);
    for text in [&*key, "ada", "127.0.0.1", "by absolute_timeout", "by cookie_age"] {
        assert!(card.contains(text), "{text} in {card}");
    }
    assert!(!card.contains(&ada.session()) && !session.to_string().contains(&ada.session()));
    assert!(!session.to_string().contains("password"), "{session}");
}

#[tokio::test]
async fn revoked_session_ends_and_no_other() {
    let gate = Gate::start(TOWN).await;
    let (ada, bob) = (gate.sign_in("ada").await, gate.sign_in("bob").await);
    let said = gate.run(&["session", "revoke", &ada.key()[..12]]);
    assert_eq!(said, "ended the session of `ada` that began with an unknown browser\n");
    is_out(&ada).await;
    bob.get("/private/").await.is_forwarded_as("bob");
    assert_eq!(listed(&gate, &[]), [bob.key()]);
    let key = ada.key();
    assert!(complaint(&gate, &["session", "revoke", &key]).contains("there is no such session"));
    eventually("the log says who ended whose session", || {
        let log = gate.log();
        let line = log.iter().find(|line| line.contains("\"sessions_revoked\""));
        line.is_some_and(|line| {
            line.contains("\"by\":\"uid ")
                && line.contains("\"user\":\"ada\"")
                && line.contains(&key)
        })
    })
    .await;
}

#[tokio::test]
async fn sessions_are_revoked_by_user_and_all_together() {
    let gate = Gate::start(TOWN).await;
    let (one, two) = (gate.sign_in("ada").await, gate.sign_in("ada").await);
    let (bob, carl) = (gate.sign_in("bob").await, gate.sign_in("carl").await);
    assert_eq!(gate.run(&["session", "revoke", "--user", "ada"]), "ended 2 sessions of `ada`\n");
    is_out(&one).await;
    is_out(&two).await;
    bob.get("/private/").await.is_forwarded_as("bob");
    assert_eq!(gate.run(&["session", "revoke", "--user", "ada"]), "`ada` has no session\n");
    assert_eq!(json(&gate, &["session", "revoke", "--all"])["ended"], 2);
    is_out(&bob).await;
    is_out(&carl).await;
    assert_eq!(gate.run(&["session", "revoke", "--all"]), "there is no session\n");
    assert_eq!(gate.run(&["session", "clear"]), "no session was over\n");
    assert_eq!(json(&gate, &["session", "clear"])["cleared"], 0);
}

#[tokio::test]
async fn changed_accounts_leave_no_sessions_in_the_list() {
    let gate = Gate::start(TOWN).await;
    let bob = gate.sign_in("bob").await;
    for (name, command, input) in [
        ("ada", &["user", "set-password", "ada", "--password-stdin"][..], "granite-window-9182\n"),
        ("carl", &["user", "set", "carl", "is_active=false"], ""),
        ("dora", &["user", "delete", "dora"], ""),
    ] {
        let (one, two) = (gate.sign_in(name).await, gate.sign_in(name).await);
        let changed = gate.try_run(command, input);
        assert!(changed.status.success(), "{changed:?}");
        // Nobody came by them since: the command itself has ended them.
        assert_eq!(listed(&gate, &[]), [bob.key()], "{command:?}");
        is_out(&one).await;
        is_out(&two).await;
    }
    // What is ended does not come back with the right to log in.
    gate.run(&["user", "set", "carl", "is_active=true"]);
    assert_eq!(listed(&gate, &["--user", "carl"]), Vec::<String>::new());
    // Other changes end nothing.
    gate.run(&["user", "set", "bob", "is_staff=true", "is_active=true"]);
    bob.get("/staff/").await.is_forwarded_as("bob");
    eventually("the log says why", || {
        let log = gate.log();
        ["the password was changed", "the user was deactivated", "the user was deleted"].iter().all(
            |because| {
                log.iter().any(|line| line.contains(because) && line.contains(r#""ended":2"#))
            },
        )
    })
    .await;
}

#[tokio::test]
async fn key_in_place_of_the_cookie_is_nobody() {
    let gate = Gate::start(TOWN).await;
    let ada = gate.sign_in("ada").await;
    let key = listed(&gate, &[]).remove(0);
    assert_eq!(key, ada.key());
    let whole: String =
        Sha256::digest(ada.session()).iter().map(|byte| format!("{byte:02x}")).collect();
    let (upper, short, twice) = (key.to_uppercase(), key[..12].to_owned(), format!("{key}{key}"));
    for forged in [&key, &upper, &short, &twice, &whole, &whole[32..].to_owned()] {
        let mut thief = gate.visitor();
        thief.set_cookie("sessionid", forged);
        is_out(&thief).await;
        thief.get("/accounts/sessions/").await.asks_to_log_in("/accounts/sessions/");
    }
    ada.get("/private/").await.is_forwarded_as("ada");
    let shown = [gate.run(&["session", "list"]), gate.run(&["session", "show", &key])].concat();
    assert!(shown.contains(&key) && !shown.contains(&ada.session()));
    assert!(!gate.log().concat().contains(&ada.session()));
}

#[tokio::test]
async fn commands_say_what_is_wrong_with_them() {
    let gate = Gate::start(TOWN).await;
    gate.sign_in("ada").await;
    let said = complaint(&gate, &["session", "list", "--user", "adda"]);
    assert!(said.contains("there is no user `adda`\nhint: did you mean `ada`?"), "{said}");
    let said = complaint(&gate, &["session", "show", &"0".repeat(32)]);
    assert!(said.contains("there is no such session\nhint: "), "{said}");
    for text in ["xyz", "abc", ""] {
        let said = complaint(&gate, &["session", "show", text]);
        assert!(said.contains("is no session key\nhint: a key has 32 hexadecimal"), "{said}");
    }
    for arguments in [
        &["session", "revoke"][..],
        &["session", "revoke", "abcd", "--user", "ada"],
        &["session", "revoke", "--user", "ada", "--all"],
        &["session"],
    ] {
        let output = gate.try_run(arguments, "");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
    }
}

#[tokio::test]
async fn without_a_gateway_there_is_nothing_to_tell() {
    let gate = Gate::start(TOWN).await;
    gate.signal(rustix::process::Signal::TERM);
    gate.exits().await;
    for arguments in [
        &["session", "list"][..],
        &["session", "show", "abcd"],
        &["session", "revoke", "--all"],
        &["session", "clear"],
    ] {
        let output = people::run(gate.directory(), arguments, "");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert_eq!(output.stdout, b"");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.starts_with("error: no gateway is running: "), "{said}");
        assert!(said.contains("\nhint: start one with `vestibule serve`"), "{said}");
    }
}

#[tokio::test]
async fn someone_logs_the_others_out_on_the_page_of_their_sessions() {
    let gate = Gate::start(TOWN).await;
    let (here, one, two) =
        (gate.sign_in("ada").await, gate.sign_in("ada").await, gate.sign_in("ada").await);
    let bob = gate.sign_in("bob").await;
    let page = here.get("/accounts/sessions/").await;
    assert_eq!(page.status, 200, "{page:?}");
    assert_eq!(page.header("cache-control"), Some("private, no-store"));
    let text = page.text();
    assert!(text.contains(&one.key()) && text.contains(&two.key()));
    assert!(!text.contains(&bob.key()) && !text.contains(&one.session()));
    let mut here = here;
    here.keeps(&page);
    let token = crate::support::visitor::form_token(&text);
    let send = async |field: (&str, &str)| {
        here.posts("/accounts/sessions/", &[("csrfmiddlewaretoken", &token), field]).await
    };
    assert_eq!(send(("session", &bob.key())).await.status, 404);
    assert_eq!(send(("session", &one.key())).await.status, 200);
    is_out(&one).await;
    two.get("/private/").await.is_forwarded_as("ada");
    assert_eq!(send(("others", "yes")).await.status, 200);
    is_out(&two).await;
    here.get("/private/").await.is_forwarded_as("ada");
    bob.get("/private/").await.is_forwarded_as("bob");
    assert_eq!(listed(&gate, &[]), sorted([here.key(), bob.key()]));
    // A password that is known still opens the door.
    gate.visitor().logs_in("ada", PASSWORD).await;
}
