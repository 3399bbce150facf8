//! Who may do what: the whole policy of the tests' town as a checked-in table, and the three outcomes it is made of.

use std::{fmt::Write as _, path::Path};

use crate::support::{config::town_and, gate::Shared, visitor::Visitor};

static GATE: Shared = Shared::new(|| {
    town_and(
        r#"
        [paths]
        "GET /read/" = { login_required = false }
        "/read/" = { superuser_required = true }
        "PUT,DELETE /write/" = { permission_required = "site.administer" }
        "/write/" = { login_required = true }
        "/named/" = { test = "user.username in ['ada', 'bob']" }
        "/both/" = { groups = ["Site editors", "Nobody's"], permission_required = "polls.can_vote" }
        "#,
    )
});

const MATRIX: &str = "tests/golden/access_matrix.txt";

/// One word for what became of a request.
async fn outcome(visitor: &Visitor, script: bool, request: &str) -> String {
    let (method, target) = request.split_once(' ').unwrap();
    let lines = if script {
        "Accept: application/json\r\nSec-Fetch-Mode: cors\r\n"
    } else {
        "Accept: text/html\r\n"
    };
    let answer = visitor.sends(method, target, lines, b"").await;
    match answer.status {
        200 if answer.came_from_upstream() => "pass".to_owned(),
        302 | 303 => {
            answer.asks_to_log_in(target);
            "login".to_owned()
        }
        status => status.to_string(),
    }
}

/// A change of policy is a change of this table: `UPDATE_GOLDEN=1` rewrites it, and the diff is reviewed.
#[tokio::test]
async fn access_matrix_is_as_agreed() {
    let gate = GATE.gate().await;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(MATRIX);
    let agreed = std::fs::read_to_string(&path).unwrap();
    let names: Vec<&str> = agreed.lines().next().unwrap().split_whitespace().skip(1).collect();
    let mut visitors = Vec::new();
    for name in &names {
        visitors.push(match *name {
            "anonymous" | "script" => gate.visitor(),
            name => gate.sign_in(name).await,
        });
    }
    let mut found = format!("{}\n", agreed.lines().next().unwrap());
    for line in agreed.lines().skip(1) {
        let request = line.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
        let mut row = format!("{request:<28}");
        for (name, visitor) in names.iter().zip(&visitors) {
            write!(row, "{:<11}", outcome(visitor, *name == "script", &request).await).unwrap();
        }
        found.push_str(row.trim_end());
        found.push('\n');
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &found).unwrap();
        return;
    }
    let differences: Vec<String> = agreed
        .lines()
        .zip(found.lines())
        .filter(|(old, new)| old != new)
        .map(|(old, new)| format!("- {old}\n+ {new}"))
        .collect();
    assert!(
        differences.is_empty(),
        "{MATRIX} has changed:\n  {}\n{}",
        agreed.lines().next().unwrap(),
        differences.join("\n")
    );
}

#[tokio::test]
async fn script_without_a_login_gets_401_that_names_the_login_page() {
    let gate = GATE.gate().await;
    let ways = [
        "Accept: application/json\r\n",
        "Accept: */*\r\n",
        "Accept: text/html\r\nX-Requested-With: XMLHttpRequest\r\n",
        "Accept: text/html\r\nSec-Fetch-Mode: cors\r\n",
        "Accept: text/html\r\nSec-Fetch-Mode: no-cors\r\n",
        "Accept: text/html\r\nSec-Fetch-Mode: same-origin\r\n",
        "Accept: text/event-stream\r\nSec-Fetch-Mode: cors\r\n",
        "",
    ];
    for lines in ways {
        let answer = gate.visitor().sends("GET", "/private/x?y", lines, b"").await;
        answer.is_refused_with(401);
        let body: serde_json::Value = serde_json::from_slice(&answer.body)
            .unwrap_or_else(|error| panic!("{error}: {answer:?}"));
        assert!(body["error"].is_string(), "{body}");
        assert!(
            body["login_url"].as_str().is_some_and(|url| url.starts_with("/accounts/login/")),
            "{body}"
        );
        assert!(
            answer.header("content-type").is_some_and(|kind| kind.starts_with("application/json")),
            "{answer:?}"
        );
    }
    for lines in [
        "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n",
        "Accept: text/html\r\nSec-Fetch-Mode: navigate\r\n",
    ] {
        gate.visitor()
            .sends("GET", "/private/x?y", lines, b"")
            .await
            .asks_to_log_in("/private/x?y");
    }
}

#[tokio::test]
async fn refusal_is_a_page_for_a_person_and_json_for_a_script() {
    let gate = GATE.gate().await;
    let bob = gate.sign_in("bob").await;
    let page = bob.get("/admin/").await;
    page.is_refused_with(403);
    assert!(
        page.header("content-type").is_some_and(|kind| kind.starts_with("text/html")),
        "{page:?}"
    );
    let json = bob.fetch("/admin/").await;
    json.is_refused_with(403);
    assert!(serde_json::from_slice::<serde_json::Value>(&json.body).unwrap()["error"].is_string());
}

#[tokio::test]
async fn own_pages_are_not_the_applications() {
    let gate = GATE.gate().await;
    let ada = gate.sign_in("ada").await;
    for target in [
        "/accounts/login/",
        "/accounts/logout/",
        "/accounts/profile/",
        "/accounts/nothing-here/",
        "/ACCOUNTS/login/",
        "/%61ccounts/login/",
        "/accounts/",
    ] {
        let answer = ada.get(target).await;
        assert!(!answer.came_from_upstream(), "{target}: {answer:?}");
        assert!(answer.status < 500, "{target}: {answer:?}");
    }
}
