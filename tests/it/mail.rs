//! Letters on their way: they outlast kill -9 and outages of the mail server, and what is refused for good is kept with the reason.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::support::{
    config::town_and,
    eventually,
    gate::Gate,
    mailbox::{MailServer, no_server},
    visitor::form_token,
};

fn by_server(address: impl std::fmt::Display) -> String {
    town_and(&format!(
        "[server]\npublic_url = \"http://gate.example\"\n[mail]\nsmtp = \"smtp://{address}?tls=none\"\nfrom = \"Town <town@example.org>\""
    ))
}

/// Somebody forgets the password of the account with this address.
async fn ask(gate: &Gate, email: &str) {
    let mut visitor = gate.visitor();
    let page = visitor.get("/accounts/password_reset/").await;
    visitor.keeps(&page);
    let token = form_token(&page.text());
    let fields = [("csrfmiddlewaretoken", token.as_str()), ("email", email)];
    let answer = visitor.posts("/accounts/password_reset/", &fields).await;
    assert_eq!(answer.status, 302, "{answer:?}");
}

fn list(gate: &Gate) -> Vec<serde_json::Value> {
    serde_json::from_str(&gate.run(&["mail", "list", "--json"])).unwrap()
}

#[tokio::test]
async fn letter_outlasts_kills_and_an_outage() {
    let address = no_server();
    let mut gate = Gate::start(&by_server(address)).await;
    ask(&gate, "ada@example.org").await;
    eventually("the letter was tried", || {
        list(&gate).first().is_some_and(|letter| letter["attempts"] == 1)
    })
    .await;
    let letter = list(&gate).remove(0);
    assert_eq!((&letter["to"], &letter["place"]), (&"ada@example.org".into(), &"queue".into()));
    assert!(!letter.to_string().contains("/reset/"), "lists show no links: {letter}");
    let shown = gate.run(&["mail", "list"]);
    assert!(shown.contains("ada@example.org") && shown.contains("waits: "), "{shown}");
    let file =
        gate.directory().join(format!("var/mail/queue/{}.json", letter["id"].as_str().unwrap()));
    assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);

    gate.is_killed();
    let server = MailServer::start(address, "nobody");
    gate.starts_again().await;
    eventually("the letter arrives", || server.letters().len() == 1).await;
    let letter = server.letters().remove(0);
    assert_eq!(letter.to, "ada@example.org");
    assert!(letter.link().starts_with("http://gate.example/accounts/reset/"), "{letter:?}");
    eventually("nothing waits", || list(&gate).is_empty()).await;
    gate.is_killed();
    gate.starts_again().await;
    assert_eq!(server.letters().len(), 1, "it was sent once");
}

#[tokio::test]
async fn refused_letter_is_kept_with_the_reason_and_can_be_tried_again() {
    let address = no_server();
    let server = MailServer::start(address, "ada@");
    let gate = Gate::start(&by_server(address)).await;
    gate.run(&["user", "set", "bob", "email=bob@example.org"]);
    ask(&gate, "ada@example.org").await;
    ask(&gate, "bob@example.org").await;
    eventually("the other letter arrives", || server.letters().len() == 1).await;
    let failed = || list(&gate).into_iter().find(|letter| letter["place"] == "failed");
    eventually("the letter is given up", || failed().is_some()).await;
    let letter = failed().unwrap();
    let trouble = letter["trouble"].as_str().unwrap();
    assert!(trouble.contains("550") && trouble.contains("no such mailbox"), "{trouble}");
    let lines = gate.log();
    let told = lines.iter().filter(|line| line.contains("a letter was given up")).count();
    assert_eq!(told, 1, "{lines:?}");
    let again = gate.run(&["mail", "retry", letter["id"].as_str().unwrap()]);
    assert!(again.contains("one letter is tried again now"), "{again}");
    eventually("it is given up again", || failed().is_some()).await;
    let nothing = gate.try_run(&["mail", "retry", "0123456789abcdef"], "");
    assert_eq!(nothing.status.code(), Some(1));
}

#[tokio::test]
async fn operator_tries_the_mail_server() {
    let address = no_server();
    let gate = Gate::start(&by_server(address)).await;
    let down = gate.try_run(&["mail", "send-test", "ops@example.org"], "");
    assert_eq!(down.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&down.stderr).contains("the letter was not taken"));
    let server = MailServer::start(address, "nobody@");
    let sent = gate.run(&["mail", "send-test", "ops@example.org"]);
    assert!(sent.contains("a letter to ops@example.org was taken"), "{sent}");
    assert_eq!(server.letters().remove(0).to, "ops@example.org");
    let refused = gate.try_run(&["mail", "send-test", "nobody@example.org"], "");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("refused"), "{refused:?}");
    let wrong = gate.try_run(&["mail", "send-test", "ops@example.org\r\nBcc: x@example.org"], "");
    assert_eq!(wrong.status.code(), Some(2));
}

#[tokio::test]
async fn reload_brings_another_way_out_and_refuses_one_that_cannot_be_used() {
    let gate = Gate::start(&by_server(no_server())).await;
    ask(&gate, "ada@example.org").await;
    let mail = |text: &str| {
        town_and(&format!(
            "[server]\npublic_url = \"http://gate.example\"\n[mail]\nfrom = \"town@example.org\"\n{text}"
        ))
    };
    gate.rewrite(&mail("smtp = \"smtps://me@localhost\"\npassword_file = \"none\""));
    let refused = gate.try_run(&["reload"], "");
    assert!(!refused.status.success());
    let why = String::from_utf8_lossy(&refused.stderr);
    assert!(why.contains("`none` cannot be read"), "{why}");
    gate.rewrite(&mail("smtp = \"file:out\""));
    gate.run(&["reload"]);
    gate.run(&["mail", "retry"]);
    assert_eq!(gate.gets_letters(1).await.remove(0).to, "ada@example.org");
}
