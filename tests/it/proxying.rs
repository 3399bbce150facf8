//! A request that may pass arrives as it was meant, and its answer comes back whole.

use crate::support::{
    config::{TOWN, town_and},
    gate::{Gate, Shared},
    script::{Script, Step},
    wire::get,
};

static GATE: Shared = Shared::new(|| TOWN.to_owned());

#[tokio::test]
async fn every_method_arrives_as_it_was_sent() {
    let gate = GATE.gate().await;
    for method in [
        "GET",
        "POST",
        "PUT",
        "PATCH",
        "DELETE",
        "OPTIONS",
        "PROPFIND",
        "REPORT",
        "MKCALENDAR",
        "M-SEARCH",
        "X-OWN",
    ] {
        let echo = gate
            .visitor()
            .sends(method, "/public/x?y=z", "Content-Length: 3\r\n", b"abc")
            .await
            .is_forwarded();
        assert_eq!((echo.method(), echo.target(), echo.body()), (method, "/public/x?y=z", "abc"));
    }
}

#[tokio::test]
async fn head_answers_without_a_body_and_keeps_the_length() {
    let gate = GATE.gate().await;
    let mut wire = gate.connect().await;
    wire.send("HEAD /public/ HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let answer = wire.answer_to("HEAD").await;
    assert!(
        answer.came_from_upstream()
            && answer.header("content-length").is_some_and(|length| length != "0"),
        "{answer:?}"
    );
    wire.send(get("/public/next")).await;
    assert_eq!(wire.answer().await.is_forwarded().target(), "/public/next");
}

#[tokio::test]
async fn answers_without_a_body_have_none() {
    let gate = GATE.gate().await;
    gate.upstream.on("/public/204", Script::send("HTTP/1.1 204 No Content\r\nX-Echo: 1\r\n\r\n"));
    gate.upstream.on(
        "/public/304",
        Script::send(
            "HTTP/1.1 304 Not Modified\r\nX-Echo: 1\r\nETag: \"a\"\r\nContent-Length: 10\r\n\r\n",
        ),
    );
    let mut wire = gate.connect().await;
    for (target, status) in [("/public/204", 204), ("/public/304", 304), ("/public/204", 204)] {
        wire.send(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        let answer = wire.answer().await;
        assert_eq!((answer.status, answer.body.len()), (status, 0), "{answer:?}");
    }
    wire.send(get("/public/next")).await;
    wire.answer().await.is_forwarded();
}

#[tokio::test]
async fn answer_in_every_framing_comes_back_whole() {
    let gate = GATE.gate().await;
    let scripts = [
        Script::send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
        Script::send(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        ),
        Script::send_and_close("HTTP/1.1 200 OK\r\n\r\nhello"),
        Script::send_and_close("HTTP/1.0 200 OK\r\n\r\nhello"),
        Script::send(
            "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        ),
        Script::send(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        ),
    ];
    for (number, script) in scripts.into_iter().enumerate() {
        let target = format!("/public/framing/{number}");
        gate.upstream.on(&target, script);
        let answer = gate.visitor().get(&target).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "hello"), "{target}");
    }
}

#[tokio::test]
async fn headers_of_an_answer_come_back_in_order_and_number() {
    let gate = GATE.gate().await;
    gate.upstream.on("/public/headers", Script::echo_with("X-A: 1\r\nX-A: 2\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nCache-Control: public, max-age=60\r\nServer: theirs\r\n"));
    let answer = gate.visitor().get("/public/headers").await;
    assert_eq!(answer.all("x-a"), ["1", "2"]);
    assert_eq!(answer.all("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(
        answer.all("cache-control"),
        ["public, max-age=60"],
        "the application's caching is its own on public paths"
    );
    assert_eq!(answer.all("server"), ["theirs"]);
}

#[tokio::test]
async fn hop_by_hop_headers_end_here() {
    let gate = GATE.gate().await;
    let lines = "Connection: X-Hop, keep-alive\r\nConnection: X-Other\r\nX-Hop: 1\r\nX-Other: 1\r\nX-Stays: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic x\r\nTE: gzip\r\nUpgrade: foo\r\n";
    let mut wire = gate.connect().await;
    wire.send(format!("GET /public/ HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n")).await;
    let echo = wire.answer().await.is_forwarded();
    for name in ["x-hop", "x-other", "keep-alive", "proxy-connection", "upgrade"] {
        assert_eq!(echo.folded(name), Vec::<String>::new(), "{name}");
    }
    assert_eq!(echo.folded("x-stays"), ["1"]);
    assert!(!echo.folded("te").concat().contains("gzip"));
    gate.upstream.on(
        "/public/hop",
        Script::echo_with(
            "Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nX-Stays: 1\r\n",
        ),
    );
    let answer = gate.visitor().get("/public/hop").await;
    assert!(
        answer.header("x-hop").is_none()
            && answer.header("keep-alive").is_none()
            && answer.header("x-stays").is_some(),
        "{answer:?}"
    );
}

#[tokio::test]
async fn connections_are_kept_alive_on_both_sides() {
    let gate = Gate::start(TOWN).await;
    let mut wire = gate.connect().await;
    let mut connections = std::collections::HashSet::new();
    for number in 0..50 {
        let target = format!("/public/{number}");
        wire.send(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        let echo = wire.answer().await.is_forwarded();
        assert_eq!(echo.target(), target);
        connections.insert(echo.connection());
    }
    assert_eq!(connections.len(), 1, "one visitor's connection needs one of the application's");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let gate = GATE.gate().await;
    let mut bytes = Vec::new();
    for number in 0..10 {
        bytes.extend_from_slice(format!("POST /public/{number} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n{number}").as_bytes());
    }
    bytes.extend_from_slice(&get("/public/last"));
    let conversation = gate.hears(bytes).await;
    let bodies: Vec<String> =
        conversation.answers.iter().map(|answer| answer.is_forwarded().body().to_owned()).collect();
    assert_eq!(bodies.concat(), "0123456789");
    assert_eq!(bodies.len(), 11);
}

#[tokio::test]
async fn old_client_gets_one_answer_and_the_end() {
    let gate = GATE.gate().await;
    let mut wire = gate.connect().await;
    wire.send("GET /public/ HTTP/1.0\r\nHost: localhost\r\n\r\n").await;
    let bytes = wire.rest().await;
    assert!(
        bytes.starts_with(b"HTTP/1.") && memchr::memmem::find(&bytes, b" 200 ").is_some(),
        "{:?}",
        String::from_utf8_lossy(&bytes)
    );
    assert!(
        memchr::memmem::find(&bytes.to_ascii_lowercase(), b"transfer-encoding").is_none(),
        "chunks for a client that knows none"
    );
}

#[tokio::test]
async fn body_waits_for_the_word_to_continue() {
    let gate = GATE.gate().await;
    let mut wire = gate.connect().await;
    wire.send("POST /public/ HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n").await;
    wire.is_told_to_continue().await;
    wire.send("hello").await;
    assert_eq!(wire.answer().await.is_forwarded().body(), "hello");
    // Refused before the body was sent: no word to continue.
    let mut wire = gate.connect().await;
    wire.send("POST /private/ HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n").await;
    let answer = wire.answer().await;
    assert_eq!(answer.interim, Vec::<u16>::new(), "{answer:?}");
    answer.is_safe();
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let gate = GATE.gate().await;
    let mut wire = gate.connect().await;
    wire.send("POST /public/ HTTP/1.1\r\nHost: localhost\r\nTE: trailers\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 7\r\n\r\n").await;
    let echo = wire.answer().await.is_forwarded();
    assert_eq!((echo.body(), echo.folded("x-sum")), ("hi", vec!["7".to_owned()]));
    gate.upstream.on("/public/trailers", Script::send("HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 7\r\n\r\n"));
    wire.send("GET /public/trailers HTTP/1.1\r\nHost: localhost\r\nTE: trailers\r\n\r\n").await;
    let answer = wire.answer().await;
    assert_eq!(answer.text(), "hi");
    let trailers: Vec<_> = answer
        .trailers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.as_str()))
        .collect();
    assert_eq!(trailers, [("x-sum".to_owned(), "7")]);
}

#[tokio::test]
async fn rule_may_name_another_application() {
    let other = crate::support::recorder::Recorder::start();
    let gate = Gate::start(&town_and(&format!("[upstreams.other]\nurl = \"{}\"\n[paths]\n\"/other/\" = {{ login_required = false, upstream = \"other\" }}", other.url()))).await;
    gate.visitor().get("/other/x").await.is_forwarded_anonymously();
    gate.visitor().get("/public/x").await.is_forwarded_anonymously();
    assert_eq!((other.count(), gate.upstream.count()), (1, 1));
    assert_eq!(other.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn visitor_who_leaves_takes_the_request_along() {
    let gate = Gate::start(TOWN).await;
    gate.upstream.on(
        "/public/long",
        Script::new([
            Step::Send(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n".to_vec(),
            ),
            Step::Stall,
        ]),
    );
    let mut wire = gate.connect().await;
    wire.send("GET /public/long HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(wire.head().await.starts_with("HTTP/1.1 200 "));
    assert_eq!(gate.upstream.connections_open(), 1);
    drop(wire);
    crate::support::eventually("the application's connection is closed", || {
        gate.upstream.connections_open() == 0
    })
    .await;
}
