//! Whoever is locked out is seen, and let in again, by staff who may.

use super::{follows, says, sends, user};
use crate::support::{
    answer::Answer,
    config::town_and,
    gate::Gate,
    people::PASSWORD,
    visitor::{Visitor, form_token},
};

const PAGE: &str = "/accounts/admin/lockouts/";

/// Behind a proxy that says where people come from.
const STRICT: &str = r#"
[lockout]
enabled = true
failures = 5
delay = "10m"
window = "15m"
[server]
trusted_proxies = ["127.0.0.1"]
[log]
audit = "audit.log"
"#;

async fn gate(permissions: &[&str]) -> Gate {
    let gate = Gate::start(&town_and(STRICT)).await;
    for permission in permissions {
        gate.run(&["permission", "grant", permission, "--user", "stella"]);
    }
    gate
}

async fn tries(gate: &Gate, address: &str, name: &str, password: &str) -> Answer {
    let mut browser = gate.visitor();
    let from = format!("X-Forwarded-For: {address}\r\n");
    let page = browser.get_with("/accounts/login/", &from).await;
    browser.keeps(&page);
    let token = form_token(&page.text());
    let fields = [("csrfmiddlewaretoken", &*token), ("username", name), ("password", password)];
    let lines = format!("{from}Origin: http://{}\r\n", gate.address);
    browser.posts_with("/accounts/login/", &fields, &lines).await
}

async fn is_locked_out(gate: &Gate, address: &str, name: &str) {
    for _ in 0..5 {
        tries(gate, address, name, "wrong-password-1").await;
    }
    assert_eq!(tries(gate, address, name, PASSWORD).await.status, 429, "{name} from {address}");
}

async fn is_let_in(gate: &Gate, address: &str, name: &str) {
    let answer = tries(gate, address, name, PASSWORD).await;
    assert_eq!(answer.status, 302, "{name} from {address}: {answer:?}");
}

async fn lifts(visitor: &mut Visitor, field: (&str, &str), note: &str) {
    let answer = sends(visitor, PAGE, &[field]).await;
    says(&follows(visitor, &answer).await, note);
}

#[tokio::test]
async fn lockouts_are_seen_and_lifted_by_user_by_address_and_all_at_once() {
    let gate = gate(&["vestibule.change_lockout", "vestibule.view_log", "auth.view_user"]).await;
    let mut stella = gate.sign_in("stella").await;
    says(&stella.get(PAGE).await, "Nobody is locked out.");
    for (address, name) in [
        ("203.0.113.9", "bob"),
        ("203.0.113.10", "bob"),
        ("2001:db8:7:7::1", "letmein-sesame-44"),
        ("203.0.113.11", "alice"),
        ("203.0.113.12", "carl"),
    ] {
        is_locked_out(&gate, address, name).await;
    }
    says(&stella.get("/accounts/admin/").await, "wrong passwords: 5.");
    let page = stella.get(PAGE).await;
    for shown in [">bob</a>", "203.0.113.10", "a name that nobody has", "2001:db8:7:7::/64"] {
        says(&page, shown);
    }
    assert!(!page.text().contains("letmein"), "people type passwords into the wrong field");
    let bob = user(&gate, "bob")["id"].to_string();
    let page_of_bob = format!("/accounts/admin/users/{bob}/");
    says(&stella.get(&page_of_bob).await, "Locked out");

    lifts(&mut stella, ("user", &bob), "2 lockouts of “bob” were lifted.").await;
    assert!(!stella.get(&page_of_bob).await.text().contains("Locked out"));
    is_let_in(&gate, "203.0.113.9", "bob").await;
    assert_eq!(tries(&gate, "203.0.113.11", "alice", PASSWORD).await.status, 429);
    let network = ("address", "2001:db8:7:7::/64");
    lifts(&mut stella, network, "One lockout of “2001:db8:7:7::” was lifted.").await;
    assert_eq!(
        tries(&gate, "2001:db8:7:7::2", "letmein-sesame-44", PASSWORD).await.status,
        200,
        "wrong, and not locked out"
    );
    lifts(&mut stella, ("do", "all"), "2 lockouts of “everybody” were lifted.").await;
    is_let_in(&gate, "203.0.113.11", "alice").await;

    let log = stella.get("/accounts/admin/log/?kind=lockout").await;
    says(says(&log, "lifted lockouts of"), ">bob</a>");
    says(&log, "<strong>everybody</strong>");
    let audit = std::fs::read_to_string(gate.directory().join("audit.log")).unwrap();
    let lifted: Vec<_> = audit.lines().filter(|line| line.contains("lockout_lifted")).collect();
    assert_eq!(lifted.len(), 3, "{lifted:?}");
    assert!(lifted.iter().all(|line| line.contains("\"by\":\"stella\"")), "{lifted:?}");
}

#[tokio::test]
async fn lockout_of_somebody_with_another_name_by_now_is_lifted_too() {
    let gate = gate(&[]).await;
    let mut root = gate.sign_in("root").await;
    is_locked_out(&gate, "203.0.113.9", "bob").await;
    let bob = user(&gate, "bob")["id"].to_string();
    gate.run(&["user", "set", "bob", "username=robert"]);
    lifts(&mut root, ("user", &bob), "One lockout of “bob” was lifted.").await;
    says(&root.get(PAGE).await, "Nobody is locked out.");
}

#[tokio::test]
async fn lifting_takes_the_permission_the_token_and_somebody_to_let_in() {
    let gate = gate(&["auth.change_user", "vestibule.delete_session"]).await;
    let mut stella = gate.sign_in("stella").await;
    is_locked_out(&gate, "203.0.113.9", "bob").await;
    let bob = user(&gate, "bob")["id"].to_string();
    stella.get(PAGE).await.is_refused_with(403);
    let page_of_bob = stella.get(&format!("/accounts/admin/users/{bob}/")).await;
    stella.keeps(&page_of_bob);
    assert!(!page_of_bob.text().contains("Locked out"));
    let token = form_token(&page_of_bob.text());
    for field in [("user", &*bob), ("address", "203.0.113.9"), ("do", "all")] {
        let fields = [("csrfmiddlewaretoken", &*token), field];
        stella.posts(PAGE, &fields).await.is_refused_with(403);
    }
    gate.run(&["permission", "grant", "vestibule.change_lockout", "--user", "stella"]);
    for forged in ["", "x"] {
        let fields = [("csrfmiddlewaretoken", forged), ("do", "all")];
        stella.posts(PAGE, &fields).await.is_refused_with(403);
    }
    let fields = [("csrfmiddlewaretoken", &*token), ("do", "all")];
    let elsewhere = stella.posts_with(PAGE, &fields, "Origin: http://evil.example\r\n").await;
    elsewhere.is_refused_with(403);
    for nobody in [("user", "4711"), ("user", "x"), ("address", "x"), ("do", "x")] {
        let answer = sends(&mut stella, PAGE, &[nobody]).await;
        assert_eq!(answer.status, 404, "{nobody:?}");
    }
    assert_eq!(tries(&gate, "203.0.113.9", "bob", PASSWORD).await.status, 429);
}
