//! The tests' own tools, tested: a recorder that overlooks, or a model that reads wrongly, would make every other test worthless.

use std::collections::BTreeSet;

use crate::support::{
    answer::{self, Framing, Reading},
    config, gate,
    readings::servers_that_read_inside,
    recorder::Recorder,
    script::{Latch, Script, Step},
    spellings::spellings,
    visitor::form_token,
    wire::{Conversation, Wire, get, pattern},
};

fn whole(bytes: &[u8], method: &str) -> answer::Answer {
    match answer::read(bytes, method, true).unwrap() {
        Reading::Whole(answer, used) => {
            assert_eq!(used, bytes.len());
            *answer
        }
        Reading::More => panic!("not whole"),
    }
}

#[test]
fn answers_are_read_in_every_framing() {
    assert_eq!(whole(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "GET").body, b"hi");
    let chunked = whole(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\nA\r\n0123456789\r\n0\r\nX-T: 1\r\n\r\n", "GET");
    assert_eq!((chunked.body.as_slice(), chunked.trailers.len()), (b"hi0123456789".as_slice(), 1));
    assert_eq!(whole(b"HTTP/1.1 200 OK\r\n\r\nuntil the end", "GET").framing, Framing::UntilClose);
    assert_eq!(whole(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "HEAD").body, b"");
    assert_eq!(whole(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", "GET").body, b"");
    assert_eq!(
        whole(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", "GET").interim,
        [100]
    );
}

#[test]
fn answers_that_bend_the_grammar_are_failures() {
    let bent: [&[u8]; 12] = [
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"HTTP/1.1 200\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nA : b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\nC: d\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhi\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhiX\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nx",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
    ];
    for bytes in bent {
        assert!(answer::read(bytes, "GET", true).is_err(), "{:?}", String::from_utf8_lossy(bytes));
    }
}

#[tokio::test]
async fn recorder_keeps_the_exact_bytes_and_tells_what_it_saw() {
    let recorder = Recorder::start();
    let request = b"POST /x%2F?y HTTP/1.1\r\nHost: h\r\nX_Odd-name:  caf\xe9\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: t\r\n\r\n";
    let mut wire = Wire::connect(recorder.address).await;
    wire.send(request).await;
    let echo = wire.answer().await.is_forwarded();
    assert_eq!(
        (echo.method(), echo.target(), echo.body(), echo.body_length()),
        ("POST", "/x%2F?y", "abc", 3)
    );
    assert_eq!(echo.folded("x-odd_name"), ["caf\u{e9}"]);
    assert_eq!((echo.folded("X.T"), echo.trailers()), (vec!["t".to_owned()], 1));
    let recorded = recorder.requests().remove(0);
    assert!(request.starts_with(&recorded.head));
    assert!(recorded.complete);
    assert_eq!(recorder.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn recorder_complains_of_what_no_gateway_may_send() {
    let bent: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nBad Name: b\r\n\r\n",
        b"GET http://other/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\nHost: a\r\n\r\n",
    ];
    for bytes in bent {
        let recorder = Recorder::start();
        assert_eq!(Conversation::hold(recorder.address, bytes).await.answers.len(), 0);
        assert_eq!(recorder.violations().len(), 1, "{:?}", String::from_utf8_lossy(bytes));
    }
}

#[tokio::test]
async fn scripts_play_step_by_step() {
    let recorder = Recorder::start();
    let latch = Latch::new();
    recorder.on(
        "/held",
        Script::new([
            Step::Hold(latch.clone()),
            Step::Send(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()),
            Step::Close,
        ]),
    );
    recorder.on("/reset", Script::new([Step::Reset]));
    recorder.on(
        "/stream",
        Script::new([
            Step::Send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec()),
            Step::StreamChunked(10_000),
        ]),
    );
    recorder.on(
        "/tunnel",
        Script::new([
            Step::Send(b"HTTP/1.1 101 Switching Protocols\r\n\r\n".to_vec()),
            Step::Tunnel,
        ]),
    );
    let mut wire = Wire::connect(recorder.address).await;
    wire.send("GET /held HTTP/1.1\r\nHost: h\r\n\r\n").await;
    recorder.sees("/held").await;
    latch.open();
    assert_eq!(wire.answer().await.status, 204);
    wire.is_closed().await;
    assert_eq!(
        Conversation::hold(recorder.address, "GET /reset HTTP/1.1\r\nHost: h\r\n\r\n")
            .await
            .answers
            .len(),
        0
    );
    let mut wire = Wire::connect(recorder.address).await;
    wire.send("GET /stream HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let body = wire.answer().await.body;
    assert!(body.len() == 10_000 && body.iter().zip(0..).all(|(&byte, at)| byte == pattern(at)));
    let mut wire = Wire::connect(recorder.address).await;
    wire.send("GET /tunnel HTTP/1.1\r\nHost: h\r\n\r\nearly ").await;
    assert_eq!(wire.answer().await.status, 101);
    wire.send("late").await;
    assert_eq!(wire.bytes(10).await, b"EARLY LATE");
}

#[test]
fn models_read_what_their_servers_read() {
    let known = [
        ("/admin/", "Django under WSGI", true),
        ("/%61dmin/", "Django under WSGI", true),
        ("/public/../admin/", "Django under WSGI", false),
        ("//x/admin/", "Django under WSGI", true),
        ("/public/../admin/", "nginx", true),
        ("/public/..%2fadmin/", "nginx", true),
        ("//admin/", "nginx", true),
        ("/ADMIN/", "nginx", false),
        ("/admin%00/", "nginx", false),
        ("//x/admin/", "PHP behind nginx", true),
        ("/ADMIN/x", "Express", true),
        ("/%61dmin/", "Express", false),
        ("/public/..%5cadmin/", "express.static", true),
        ("/\\x/admin/", "Node's new URL", true),
        ("/public/%2e%2e/admin/", "Node's new URL", true),
        ("/public/..;/admin/", "Tomcat and Jetty", true),
        ("/admin;x=y/", "Tomcat and Jetty", true),
        ("/adminx/", "Tomcat and Jetty", false),
        ("/public/..%252fadmin/", "IIS", true),
        ("/public/%c0%ae%c0%ae/admin/", "IIS", true),
        ("/public/..%ef%bc%8fadmin", "IIS", true),
        ("/%u0061dmin/", "IIS", true),
        ("/public/?x=/admin/", "IIS", false),
        ("http://evil.example/admin/", "Tomcat and Jetty", true),
    ];
    for (target, server, inside) in known {
        assert_eq!(
            servers_that_read_inside(target.as_bytes(), "/admin/").contains(&server),
            inside,
            "{server} reads {target}"
        );
    }
}

/// The proof that the path tests have teeth: a careful but ordinary prefix check would let many of these spellings through.
#[test]
fn spellings_would_defeat_an_ordinary_gateway() {
    for area in ["/admin/", "/private/"] {
        let all = spellings(area);
        let distinct: BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len(), "a spelling is there twice");
        assert!(all.len() >= 423, "only {} spellings", all.len());
        let passed = |target: &&Vec<u8>| {
            let text = String::from_utf8_lossy(target).to_ascii_lowercase();
            target.starts_with(b"/")
                && !text.starts_with(area)
                && !text.starts_with(area.trim_end_matches('/'))
        };
        let bypasses = all
            .iter()
            .filter(passed)
            .filter(|target| !servers_that_read_inside(target, area).is_empty())
            .count();
        assert!(
            bypasses >= 144,
            "only {bypasses} of {} spellings bypass a plain prefix check",
            all.len()
        );
    }
}

#[test]
fn log_with_a_panic_or_an_error_is_at_fault() {
    let log = [
        "INFO ready".to_owned(),
        "ERROR upstream gone".to_owned(),
        "thread 'x' panicked at y".to_owned(),
    ];
    assert_eq!(gate::faults(&log, &[]).len(), 2);
    assert_eq!(
        gate::faults(&log, &["upstream gone".to_owned(), "panicked".to_owned()]),
        ["thread 'x' panicked at y"]
    );
    let line = ["INFO vestibule: listening on http://127.0.0.1:4711 workers=2".to_owned()];
    assert_eq!(
        gate::announced_address(&line, "listening on http://"),
        Some(([127, 0, 0, 1], 4711).into())
    );
}

#[test]
fn form_token_is_found_whatever_the_order_of_attributes() {
    assert_eq!(
        form_token(
            r#"<form><input type="hidden" name="csrfmiddlewaretoken" value="abc"><input name="username">"#
        ),
        "abc"
    );
    assert_eq!(form_token("<input value='x/y' name='csrfmiddlewaretoken'/>"), "x/y");
}

#[test]
fn configuration_of_a_test_is_laid_over_the_defaults() {
    let text = config::complete(
        &config::town_and(
            "[server]\nworkers = 1\n[paths]\n\"/admin/\" = { login_required = false }",
        ),
        "http://127.0.0.1:1",
    );
    let table: toml::Table = text.parse().unwrap();
    assert_eq!(table["server"]["workers"].as_integer(), Some(1));
    assert_eq!(table["server"]["listen"].as_str(), Some("127.0.0.1:0"));
    assert_eq!(table["upstream"].as_str(), Some("http://127.0.0.1:1"));
    assert_eq!(table["paths"]["/admin/"].as_table().map(toml::Table::len), Some(1));
    assert!(get("/x").ends_with(b"Connection: close\r\n\r\n"));
}
