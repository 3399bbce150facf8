//! An application that needs an odd path says so, and then the strictest reading decides.

use crate::support::{
    gate::Shared, readings::servers_that_read_inside, spellings::spellings, wire::get,
};

static LENIENT: Shared = Shared::new(|| {
    r#"
    upstream = "{upstream}"
    allow_in_path = ["encoded_slash", "double_slash", "semicolon"]
    [paths]
    "/" = { login_required = false }
    "/public/" = { login_required = false }
    "/private/" = { login_required = true }
    "/admin/" = { permission_required = "site.administer" }
    "#
    .to_owned()
});

static LENIENT_RULE: Shared = Shared::new(|| {
    r#"
    upstream = "{upstream}"
    [paths]
    "/" = { login_required = false }
    "/api/" = { login_required = false, allow_in_path = ["encoded_slash", "double_slash", "semicolon"] }
    "/api/secret/" = { login_required = true }
    "/admin/" = { permission_required = "site.administer" }
    "#
    .to_owned()
});

#[tokio::test]
async fn allowed_spellings_are_forwarded_as_they_came() {
    let gate = LENIENT.gate().await;
    for target in [
        "/api/group%2Fproject/files",
        "/public/a//b",
        "/public/a;version=2/b",
        "/https://example.org/x",
        "/a;b;c",
        "/public//",
    ] {
        assert_eq!(gate.hears(get(target)).await.only().is_forwarded().target(), target);
    }
}

#[tokio::test]
async fn every_reading_of_an_allowed_spelling_is_judged() {
    let gate = LENIENT.gate().await;
    for area in ["/private/", "/admin/"] {
        let mut faults = Vec::new();
        for target in spellings(area) {
            for answer in gate.hears(get(&target)).await.answers {
                if answer.came_from_upstream() {
                    let servers =
                        servers_that_read_inside(answer.is_forwarded().target().as_bytes(), area);
                    if !servers.is_empty() {
                        faults.push(format!(
                            "{} ({})",
                            String::from_utf8_lossy(&target).escape_debug(),
                            servers.join(", ")
                        ));
                    }
                }
            }
        }
        assert!(faults.is_empty(), "{} spellings pass:\n{}", faults.len(), faults.join("\n"));
    }
}

#[tokio::test]
async fn allowance_of_a_rule_opens_no_other_rule() {
    let gate = LENIENT_RULE.gate().await;
    gate.hears(get("/api/group%2Fproject")).await.only().is_forwarded_anonymously();
    gate.hears(get("/other/group%2Fproject")).await.only().is_refused_with(400);
    for target in [
        "/api/..%2fadmin/",
        "/api/..;/admin/",
        "/api//secret/",
        "/api/secret%2fx",
        "/api/secret;x/",
        "/api/x/..%2fsecret/",
        "/api/;/secret/",
        "//admin/",
    ] {
        gate.hears(get(target)).await.only().is_safe();
    }
}

#[tokio::test]
async fn what_is_not_allowed_stays_refused() {
    let gate = LENIENT.gate().await;
    for target in [
        "/a%5cb",
        "/a\\b",
        "/a/../b",
        "/a/%2e%2e/b",
        "/a%00",
        "/a%252f",
        "/a%ff",
        "/a/..%2fb",
        "/a/..;/b",
    ] {
        gate.hears(get(target)).await.only().is_safe();
    }
}
