//! No spelling of a path reaches the application as a stranger when any common server would read it as inside a protected area.
//! The root is public here, so everything that the gateway does not recognise as protected is forwarded.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::support::{
    answer::Answer,
    gate::{Gate, Shared},
    readings::servers_that_read_inside,
    spellings::spellings,
    wire::{get, get_with, request},
};

static OPEN_TOWN: Shared = Shared::new(|| {
    r#"
    upstream = "{upstream}"
    [server]
    idle_timeout = "2s"
    header_timeout = "2s"
    [paths]
    "/" = { login_required = false }
    "/public/" = { login_required = false }
    "/private/" = { login_required = true }
    "/admin/" = { permission_required = "site.administer" }
    "#
    .to_owned()
});

/// Sends each target on a connection of its own, a few at a time, and gives what was forwarded: target sent, target received.
async fn forwarded(gate: &Arc<Gate>, targets: Vec<Vec<u8>>) -> Vec<(Vec<u8>, String)> {
    let mut passed = Vec::new();
    for block in targets.chunks(32) {
        let mut asked = JoinSet::new();
        for target in block {
            let (gate, target) = (Arc::clone(gate), target.clone());
            asked.spawn(async move { (gate.hears(get(&target)).await, target) });
        }
        while let Some(done) = asked.join_next().await {
            let (conversation, target) = done.unwrap();
            let shown = String::from_utf8_lossy(&target).into_owned();
            assert!(conversation.answers.len() <= 1, "{shown:?}: {conversation:?}");
            for answer in conversation.answers {
                if answer.came_from_upstream() {
                    passed.push((target.clone(), answer.is_forwarded().target().to_owned()));
                } else {
                    assert!(
                        answer.status < 500 || matches!(answer.status, 501 | 505),
                        "{shown:?}: {answer:?}"
                    );
                    location_stays_here(&answer, &shown);
                }
            }
        }
    }
    passed
}

fn location_stays_here(answer: &Answer, target: &str) {
    if let Some(location) = answer.header("location") {
        let second = location.as_bytes().get(1);
        assert!(
            location.starts_with('/') && !matches!(second, Some(b'/' | b'\\')),
            "{target:?} is redirected to {location:?}"
        );
    }
}

#[tokio::test]
async fn no_spelling_of_a_protected_area_passes_a_stranger() {
    let gate = OPEN_TOWN.gate().await;
    for area in ["/private/", "/admin/"] {
        let mut faults = Vec::new();
        for (sent, received) in forwarded(&gate, spellings(area)).await {
            let servers = servers_that_read_inside(received.as_bytes(), area);
            if !servers.is_empty() {
                faults.push(format!(
                    "{} is read as inside {area} by {}",
                    String::from_utf8_lossy(&sent).escape_debug(),
                    servers.join(", ")
                ));
            }
        }
        assert!(faults.is_empty(), "{} spellings pass:\n{}", faults.len(), faults.join("\n"));
    }
}

#[tokio::test]
async fn signed_in_visitor_without_the_permission_finds_no_spelling_either() {
    let gate = OPEN_TOWN.gate().await;
    let bob = gate.sign_in("bob").await;
    let mut faults = Vec::new();
    for target in spellings("/admin/") {
        for answer in gate.hears(get_with(&target, &bob.cookie_line())).await.answers {
            if answer.came_from_upstream()
                && !servers_that_read_inside(answer.is_forwarded().target().as_bytes(), "/admin/")
                    .is_empty()
            {
                faults.push(String::from_utf8_lossy(&target).into_owned());
            }
        }
    }
    assert!(faults.is_empty(), "{} spellings pass:\n{}", faults.len(), faults.join("\n"));
}

#[tokio::test]
async fn forwarded_target_is_the_one_that_was_judged_byte_for_byte() {
    let gate = OPEN_TOWN.gate().await;
    for target in real_targets() {
        let echo = gate.hears(get(target)).await.only().is_forwarded();
        assert_eq!(echo.target(), target);
    }
}

fn real_targets() -> impl Iterator<Item = &'static str> {
    include_str!("real_urls.txt").lines().filter(|line| !line.is_empty() && !line.starts_with("# "))
}

/// Fewer than one false refusal in a thousand: none in a corpus of a few hundred.
#[tokio::test]
async fn urls_of_the_real_world_are_not_refused() {
    let gate = OPEN_TOWN.gate().await;
    let targets: Vec<Vec<u8>> = real_targets().map(|target| target.as_bytes().to_vec()).collect();
    assert!(targets.len() >= 150, "a corpus of {}", targets.len());
    let passed: Vec<Vec<u8>> =
        forwarded(&gate, targets.clone()).await.into_iter().map(|(sent, _)| sent).collect();
    let refused: Vec<_> = targets
        .iter()
        .filter(|target| !passed.contains(target))
        .map(|target| String::from_utf8_lossy(target))
        .collect();
    assert!(
        refused.is_empty(),
        "{} of {} refused:\n{}",
        refused.len(),
        targets.len(),
        refused.join("\n")
    );
}

#[tokio::test]
async fn ambiguous_targets_are_refused_with_400() {
    let gate = OPEN_TOWN.gate().await;
    let ambiguous = [
        "/a%2fb",
        "/a%2Fb",
        "/a%5cb",
        "/a\\b",
        "/a/./b",
        "/a/../b",
        "/a/%2e/b",
        "/a/%2e%2e/b",
        "/a/.%2e/b",
        "/a//b",
        "//a",
        "/a;b",
        "/a%3bb",
        "/a%00b",
        "/a%252fb",
        "/a%2561",
        "/a%ff",
        "/a%c0%af",
        "/a%0ab",
        "/a%7fb",
        "/a%",
        "/a%2",
        "/a%zz",
        "/..",
        "/.",
        "/a/..",
        "/%2e%2e/",
    ];
    for target in ambiguous {
        let answer = gate.hears(get(target)).await.only();
        assert!(!answer.came_from_upstream() && answer.status == 400, "{target}: {answer:?}");
    }
}

#[tokio::test]
async fn malformed_request_lines_reach_nobody() {
    let gate = Gate::start("upstream = \"{upstream}\"\n[server]\nheader_timeout = \"1s\"\n[paths]\n\"/\" = { login_required = false }").await;
    let lines: [&[u8]; 16] = [
        b"GET /admin / HTTP/1.1",
        b"GET  /admin/ HTTP/1.1",
        b"GET /ad\0min/ HTTP/1.1",
        b"GET /ad\tmin/ HTTP/1.1",
        b"GET /ad\x0bmin/ HTTP/1.1",
        b"GET /ad\x7fmin/ HTTP/1.1",
        b"GET /admin/\x01 HTTP/1.1",
        b"GET admin/ HTTP/1.1",
        b"GET @localhost/admin/ HTTP/1.1",
        b"GET :80/admin/ HTTP/1.1",
        b"GET /admin/ HTTP/1.1 x",
        b"GET /admin/ HTTP/9.9",
        b"GET /admin/ http/1.1",
        b"GET\t/admin/ HTTP/1.1",
        b"/admin/ HTTP/1.1",
        b"G<T /admin/ HTTP/1.1",
    ];
    for line in lines {
        let mut bytes = line.to_vec();
        bytes.extend_from_slice(b"\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let conversation = gate.hears(bytes).await;
        conversation.is_bad_request_or_close();
    }
    assert_eq!(gate.upstream.count(), 0, "{:?}", gate.upstream.requests());
}

#[tokio::test]
async fn absolute_targets_do_not_choose_the_application() {
    let gate = OPEN_TOWN.gate().await;
    let elsewhere = crate::support::recorder::Recorder::start();
    for target in [
        format!("http://{}/x", elsewhere.address),
        format!("//{}/x", elsewhere.address),
        format!("https://{}/x", elsewhere.address),
    ] {
        for answer in gate.hears(get(&target)).await.answers {
            if answer.came_from_upstream() {
                assert!(answer.is_forwarded().target().starts_with('/'), "{target}: {answer:?}");
            }
        }
    }
    assert_eq!(elsewhere.connections_opened(), 0, "the target chose the application");
}

#[tokio::test]
async fn no_method_escapes_a_rule() {
    let gate = OPEN_TOWN.gate().await;
    for method in [
        "OPTIONS", "TRACE", "PUT", "DELETE", "PATCH", "PROPFIND", "get", "Get", "FOO", "GETX",
        "HEAD", "PRI", "M-SEARCH", "CONNECT",
    ] {
        for target in ["/admin/", "/private/x"] {
            let mut wire = gate.connect().await;
            wire.send(request(method, target, "")).await;
            if let Some(answer) = wire.try_answer(method).await.unwrap() {
                assert!(
                    !answer.came_from_upstream() && answer.status != 200 && answer.status != 101,
                    "{method} {target}: {answer:?}"
                );
                assert!(
                    answer.status < 500 || matches!(answer.status, 501 | 505),
                    "{method} {target}: {answer:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn connect_never_makes_a_tunnel() {
    let gate = OPEN_TOWN.gate().await;
    let elsewhere = crate::support::recorder::Recorder::start();
    let conversation = gate
        .hears(format!(
            "CONNECT {0} HTTP/1.1\r\nHost: {0}\r\nConnection: close\r\n\r\n",
            elsewhere.address
        ))
        .await;
    assert!(conversation.answers.iter().all(|answer| answer.status >= 400), "{conversation:?}");
    assert_eq!(elsewhere.connections_opened(), 0);
}

#[tokio::test]
async fn query_never_satisfies_a_rule() {
    let gate = OPEN_TOWN.gate().await;
    let answer = gate.hears(get("/admin/?x=/public/ok")).await.only();
    answer.asks_to_log_in("/admin/?x=/public/ok");
    gate.hears(get("/private/?/../public/")).await.only().asks_to_log_in("/private/?/../public/");
}

#[tokio::test]
async fn prefix_is_whole_segments_with_and_without_its_slash() {
    let gate = OPEN_TOWN.gate().await;
    gate.hears(get("/admin")).await.only().is_safe();
    gate.hears(get("/ADMIN/")).await.only().is_safe();
    gate.hears(get("/%41dmin/")).await.only().is_safe();
    gate.hears(get("/adminx/")).await.only().is_forwarded_anonymously();
    gate.hears(get("/public")).await.only().is_forwarded_anonymously();
}

#[tokio::test]
async fn longest_prefix_wins_in_whatever_order_it_is_written() {
    let rules = [
        "\"/pub/\" = { login_required = false }",
        "\"/pub/admin/\" = { permission_required = \"site.administer\" }",
    ];
    for (first, second) in [(0, 1), (1, 0)] {
        let gate =
            Gate::start(&format!("upstream = \"{{upstream}}\"\n[paths]\n{}", rules[first])).await;
        gate.rewrite_exactly(&format!(
            "upstream = \"{}\"\n[server]\nlisten = \"127.0.0.1:0\"\nworkers = 2\nstate_directory = \"var\"\n[permissions]\n\"site.administer\" = \"x\"\n[paths]\n{}\n{}\n",
            gate.upstream.url(),
            rules[first],
            rules[second]
        ));
        gate.run(&["reload"]);
        gate.hears(get("/pub/admin/x")).await.only().asks_to_log_in("/pub/admin/x");
        gate.hears(get("/pub/x")).await.only().is_forwarded_anonymously();
    }
}

#[tokio::test]
async fn double_slash_is_never_sent_to_another_host() {
    let gate = OPEN_TOWN.gate().await;
    for target in [
        "//example.com/private",
        "//example.com/private/..",
        "///example.com/",
        "/\\example.com/private/",
        "//example.com/%2e%2e",
    ] {
        for answer in gate.hears(get(target)).await.answers {
            location_stays_here(&answer, target);
        }
    }
}

#[tokio::test]
async fn second_request_of_a_connection_is_judged_for_itself() {
    let gate = OPEN_TOWN.gate().await;
    let mut wire = gate.connect().await;
    let bytes = [
        b"GET /public/ok HTTP/1.1\r\nHost: localhost\r\n\r\nGET /private/x HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n\r\n".as_slice(),
        &get("/public/again"),
    ]
    .concat();
    wire.send(bytes).await;
    wire.answer().await.is_forwarded_anonymously();
    wire.answer().await.asks_to_log_in("/private/x");
    assert_eq!(wire.answer().await.is_forwarded().target(), "/public/again");
    wire.is_closed().await;
}
