//! Whoever registered is let in, or turned down, by staff who may.

use super::{follows, says, sends, sends_to, user};
use crate::support::{
    answer::Answer,
    config::town_and,
    eventually,
    gate::Gate,
    people::PASSWORD,
    visitor::{Visitor, form_token},
};

const PAGE: &str = "/accounts/admin/registrations/";

const APPROVED: &str = r#"
[server]
public_url = "http://gate.example"
[mail]
smtp = "file:out"
from = "Town <town@example.org>"
[accounts]
registration = "approved"
"#;

/// A gateway where people wait to be let in, and stella has these permissions.
async fn gate(accounts: &str, permissions: &[&str], people: &[&str]) -> Gate {
    let gate = Gate::start(&town_and(&format!("{APPROVED}\n{accounts}"))).await;
    for permission in permissions {
        gate.run(&["permission", "grant", permission, "--user", "stella"]);
    }
    for name in people {
        register(&gate, name).await;
    }
    gate
}

async fn register(gate: &Gate, name: &str) {
    let mut visitor = gate.visitor();
    let form = visitor.get("/accounts/register/").await;
    visitor.keeps(&form);
    let (token, email) = (form_token(&form.text()), format!("{name}@example.org"));
    let fields = [
        ("csrfmiddlewaretoken", &*token),
        ("username", name),
        ("email", &email),
        ("password1", PASSWORD),
        ("password2", PASSWORD),
    ];
    let done = visitor.posts("/accounts/register/", &fields).await;
    assert_eq!(done.status, 302, "{}", done.text());
}

async fn cannot_log_in(gate: &Gate, name: &str) {
    let answer = gate.visitor().tries_to_log_in(name, PASSWORD, "/").await;
    assert_eq!((answer.status, answer.sets_cookie("sessionid")), (200, None), "{name}");
}

async fn decides(visitor: &mut Visitor, id: &str, decision: &str) -> Answer {
    sends(visitor, PAGE, &[("user", id), ("do", decision)]).await
}

fn number(gate: &Gate, name: &str) -> String {
    user(gate, name)["id"].to_string()
}

#[tokio::test]
async fn applicants_are_approved_and_rejected_and_told_so() {
    let permissions = ["auth.change_user", "auth.delete_user", "vestibule.view_log"];
    let gate = gate("confirm_email = false", &permissions, &["nora", "otto"]).await;
    let mut stella = gate.sign_in("stella").await;
    let home = stella.get("/accounts/admin/").await;
    says(&home, "<strong>2</strong> new accounts wait.");
    let page = stella.get(PAGE).await;
    says(says(&page, "nora@example.org"), "127.0.0.1");
    let (nora, otto) = (number(&gate, "nora"), number(&gate, "otto"));

    let answer = decides(&mut stella, &nora, "approve").await;
    says(&follows(&stella, &answer).await, "“nora” was approved, and can log in now.");
    gate.sign_in("nora").await.get("/private/").await.is_forwarded_as("nora");
    let answer = decides(&mut stella, &otto, "reject").await;
    let page = follows(&stella, &answer).await;
    says(&page, "“otto” was rejected, and the account was deleted.");
    says(&page, "Nobody waits.");
    cannot_log_in(&gate, "otto").await;
    assert!(!gate.try_run(&["user", "show", "otto"], "").status.success());

    let letters = gate.gets_letters(2).await;
    for (letter, to, words) in [
        (&letters[0], "nora@example.org", "was approved"),
        (&letters[1], "otto@example.org", "was not approved"),
    ] {
        assert_eq!(letter.to, to);
        assert!(letter.text.contains(words), "{letter:?}");
    }
    let log = stella.get("/accounts/admin/log/?by=stella").await;
    says(says(&log, "<strong>stella</strong> changed the user"), ">nora</a>");
    says(&log, "<strong>stella</strong> deleted the user <strong>otto</strong>");
    // Nothing is decided twice, and nobody who has not registered is deleted this way.
    for id in [&*nora, &*otto, &number(&gate, "bob"), "0", "x"] {
        for decision in ["approve", "reject"] {
            let fields = [("user", id), ("do", decision)];
            let answer = sends_to(&mut stella, "/accounts/logout/", PAGE, &fields).await;
            assert_eq!(answer.status, 404, "{id}, {decision}: {}", answer.text());
        }
    }
    gate.sign_in("bob").await;
}

#[tokio::test]
async fn whoever_is_approved_early_still_has_to_confirm_the_address() {
    let gate = gate("confirm_email = true", &[], &["lise"]).await;
    let mut root = gate.sign_in("root").await;
    says(&root.get(PAGE).await, "approval, confirmation of the address");
    let answer = decides(&mut root, &number(&gate, "lise"), "approve").await;
    let page = follows(&root, &answer).await;
    says(&page, "can log in after confirming the e-mail address");
    cannot_log_in(&gate, "lise").await;
    // What is left is not for staff to do.
    assert!(!page.text().contains("Approve lise") && page.text().contains("Reject lise"));
    eventually("the letter with the link", || !gate.letters().is_empty()).await;
    let letters = gate.letters();
    assert!(letters.iter().all(|letter| !letter.text.contains("was approved")), "{letters:?}");
}

#[tokio::test]
async fn each_decision_takes_its_permission_and_the_token() {
    let gate = gate("confirm_email = false", &["auth.view_user"], &["nora"]).await;
    let mut stella = gate.sign_in("stella").await;
    let nora = number(&gate, "nora");
    let shown = stella.get(PAGE).await;
    stella.keeps(&shown);
    assert!(!shown.text().contains("Approve nora") && !shown.text().contains("Reject nora"));
    let token = form_token(&stella.get("/accounts/logout/").await.text());
    let is_refused = async |stella: &Visitor, token: &str, decision: &str| {
        let fields = [("csrfmiddlewaretoken", token), ("user", &*nora), ("do", decision)];
        stella.posts(PAGE, &fields).await.is_refused_with(403);
        assert_eq!(user(&gate, "nora")["is_active"], false);
    };
    is_refused(&stella, &token, "approve").await;
    is_refused(&stella, &token, "reject").await;
    gate.run(&["permission", "grant", "auth.change_user", "--user", "stella"]);
    is_refused(&stella, &token, "reject").await;
    for forged in ["", "x"] {
        is_refused(&stella, forged, "approve").await;
    }
    let fields = [("csrfmiddlewaretoken", &*token), ("user", &*nora), ("do", "approve")];
    let elsewhere = stella.posts_with(PAGE, &fields, "Origin: http://evil.example\r\n").await;
    elsewhere.is_refused_with(403);
    cannot_log_in(&gate, "nora").await;
    follows(&stella, &decides(&mut stella.clone(), &nora, "approve").await).await;
    gate.sign_in("nora").await;
}

#[tokio::test]
async fn nobody_lets_in_an_account_with_more_rights_than_the_own() {
    let groups = "confirm_email = false\nregistration_groups = [\"Site editors\"]";
    let gate = gate(groups, &["auth.change_user", "auth.delete_user"], &["nora"]).await;
    let mut stella = gate.sign_in("stella").await;
    let nora = number(&gate, "nora");
    for decision in ["approve", "reject"] {
        let answer = decides(&mut stella, &nora, decision).await;
        assert_eq!(answer.status, 403, "{decision}");
        says_wrong(&answer, "Nora holds more than you do.");
    }
    cannot_log_in(&gate, "nora").await;
    gate.run(&["group", "add", "Site editors", "stella"]);
    let answer = decides(&mut stella, &nora, "approve").await;
    follows(&stella, &answer).await;
    gate.sign_in("nora").await;
}

#[track_caller]
fn says_wrong(answer: &Answer, what: &str) {
    let text = answer.text();
    assert!(text.contains("role=\"alert\"") && text.contains(what), "`{what}` is not in\n{text}");
}
