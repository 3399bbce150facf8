//! An application that misbehaves harms nobody but its own request: 502 or 504, and the next probe gets its own answer.

use crate::support::{
    config::{TOWN, town_and},
    gate::Gate,
    script::{Script, Step},
};

const IMPATIENT: &str = "[upstream_defaults]\nconnect_timeout = \"1s\"\nresponse_timeout = \"1s\"\nread_timeout = \"1s\"";

async fn gate() -> Gate {
    let gate = Gate::start(&town_and(IMPATIENT)).await;
    gate.announce("upstream");
    gate
}

async fn probe(gate: &Gate, after: &str) {
    for _ in 0..3 {
        let echo = gate.visitor().get("/public/probe").await.is_forwarded();
        assert_eq!(echo.target(), "/public/probe", "after {after}");
    }
}

fn sends(text: &str) -> Script {
    Script::send(text)
}

fn closes(text: &str) -> Script {
    Script::send_and_close(text)
}

/// Heads that are no answer: nothing of them reaches the visitor.
fn garbage() -> Vec<(&'static str, Script)> {
    vec![
        (
            "two different lengths",
            sends("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 5\r\n\r\nhello"),
        ),
        (
            "a length that is no number",
            sends("HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello"),
        ),
        ("a length with a sign", sends("HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello")),
        (
            "a length beyond 64 bits",
            sends("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n"),
        ),
        ("no HTTP at all", closes("SSH-2.0-OpenSSH_9.2\r\n\r\n")),
        (
            "binary noise",
            Script::send_and_close([0x16, 3, 1, 0, 5, 0xff, 0xfe, 0, b'\r', b'\n', b'\r', b'\n']),
        ),
        ("a status of two digits", closes("HTTP/1.1 20 OK\r\n\r\n")),
        ("HTTP/0.9", closes("<html>hello</html>\r\n\r\n")),
        (
            "a blank in a header name",
            closes("HTTP/1.1 200 OK\r\nBad Name: x\r\nContent-Length: 0\r\n\r\n"),
        ),
        ("a NUL in a header", closes("HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n")),
        (
            "an unasked 101",
            sends(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nhello",
            ),
        ),
        ("100 and then the end", closes("HTTP/1.1 100 Continue\r\n\r\n")),
        ("half a head and then the end", closes("HTTP/1.1 200 OK\r\nContent-Le")),
        ("the end at once", Script::new([Step::Close])),
        ("a reset", Script::new([Step::Reset])),
        (
            "an endless head",
            closes(&format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(2_000_000))),
        ),
        (
            "an unknown coding last",
            closes(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\nContent-Length: 5\r\n\r\nhello",
            ),
        ),
    ]
}

#[tokio::test]
async fn garbage_becomes_502_and_the_next_probe_gets_its_own_answer() {
    let gate = gate().await;
    for (what, script) in garbage() {
        gate.upstream.on("/public/odd", script);
        for answer in gate.hears(crate::support::wire::get("/public/odd")).await.answers {
            // A coding that only the visitor can undo may pass as a body until the end; nothing else may.
            assert!(answer.status == 502 || what == "an unknown coding last", "{what}: {answer:?}");
        }
        probe(&gate, what).await;
    }
}

#[tokio::test]
async fn bytes_behind_an_answer_never_answer_the_next_request() {
    let gate = gate().await;
    let poison = "HTTP/1.1 200 OK\r\nX-Poison: 1\r\nContent-Length: 6\r\n\r\npoison";
    let scripts = [
        (
            "extra bytes after an answer",
            format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok{poison}"),
        ),
        ("a 204 with a body", format!("HTTP/1.1 204 No Content\r\n\r\n{poison}")),
        ("a 304 with a body", format!("HTTP/1.1 304 Not Modified\r\n\r\n{poison}")),
        (
            "a 204 with a length",
            format!("HTTP/1.1 204 No Content\r\nContent-Length: {}\r\n\r\n{poison}", poison.len()),
        ),
        (
            "an answer behind the last chunk",
            format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n{poison}"
            ),
        ),
    ];
    for (what, bytes) in scripts {
        gate.upstream.on("/public/odd", Script::send(bytes));
        let mut wire = gate.connect().await;
        wire.send("GET /public/odd HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        drop(wire.try_answer("GET").await);
        for _ in 0..4 {
            let answer = gate.visitor().get("/public/probe").await;
            assert!(answer.header("x-poison").is_none(), "{what}: {answer:?}");
            assert_eq!(answer.is_forwarded().target(), "/public/probe", "{what}");
        }
    }
    gate.upstream.on(
        "/public/head",
        Script::send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{poison}",
            poison.len()
        )),
    );
    let mut wire = gate.connect().await;
    wire.send("HEAD /public/head HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    drop(wire.try_answer("HEAD").await);
    probe(&gate, "a HEAD answered with a body").await;
}

#[tokio::test]
async fn broken_body_is_not_passed_off_as_whole() {
    let gate = gate().await;
    let scripts = [
        ("half a body", closes("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")),
        ("half a chunk", closes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhello")),
        (
            "no last chunk",
            closes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
        ),
        (
            "a chunk size that is none",
            closes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\n"),
        ),
        (
            "a reset in the body",
            Script::new([
                Step::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello".to_vec()),
                Step::Reset,
            ]),
        ),
        (
            "a stall in the body",
            Script::new([
                Step::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello".to_vec()),
                Step::Stall,
            ]),
        ),
    ];
    for (what, script) in scripts {
        gate.upstream.on("/public/odd", script);
        let mut wire = gate.connect().await;
        wire.send("GET /public/odd HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        // An error: the connection ended within the body. Or the gateway had not begun and could say 502.
        match wire.try_answer("GET").await {
            Err(_) | Ok(None) => {}
            Ok(Some(answer)) => assert_eq!(answer.status, 502, "{what}: {answer:?}"),
        }
        probe(&gate, what).await;
    }
}

#[tokio::test]
async fn silence_becomes_504() {
    let gate = gate().await;
    gate.upstream.on("/public/odd", Script::new([Step::Stall]));
    gate.visitor().get("/public/odd").await.is_refused_with(504);
    probe(&gate, "silence").await;
}

#[tokio::test]
async fn refused_connection_becomes_502_and_other_upstreams_are_unharmed() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gate = Gate::start(&town_and(&format!(
        "[paths]\n\"/gone/\" = {{ login_required = false, upstream = \"http://{closed}\" }}"
    )))
    .await;
    gate.announce("upstream");
    gate.visitor().get("/gone/").await.is_refused_with(502);
    let answer = gate.visitor().fetch("/gone/").await;
    answer.is_refused_with(502);
    assert!(
        answer.header("content-type").is_some_and(|kind| kind.starts_with("application/json")),
        "{answer:?}"
    );
    probe(&gate, "a refused connection").await;
}

#[tokio::test]
async fn post_is_never_sent_twice() {
    let gate = gate().await;
    for (number, script) in [
        Script::new([Step::Close]),
        Script::new([Step::Reset]),
        closes("HTTP/1.1 100 Continue\r\n\r\n"),
        closes("garbage\r\n\r\n"),
    ]
    .into_iter()
    .enumerate()
    {
        let target = format!("/public/once/{number}");
        // Connections in the pool make a retry tempting.
        probe(&gate, "nothing").await;
        gate.upstream.on(&target, script);
        let answer = gate.visitor().posts(&target, &[("a", "b")]).await;
        assert_eq!(answer.status, 502, "{answer:?}");
        assert_eq!(gate.upstream.requests_for(&target).len(), 1, "sent twice");
    }
}

#[tokio::test]
async fn idle_connection_that_died_costs_no_request() {
    let gate = gate().await;
    gate.upstream.on("/public/last", Script::new([Step::Echo(String::new()), Step::Close]));
    for _ in 0..20 {
        gate.visitor().get("/public/last").await.is_forwarded();
        let echo = gate.visitor().get("/public/probe").await.is_forwarded();
        assert_eq!(echo.target(), "/public/probe");
    }
}

#[tokio::test]
async fn early_refusal_of_a_large_body_reaches_the_visitor() {
    let gate = gate().await;
    let refusal = b"HTTP/1.1 413 Content Too Large\r\nX-Echo: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    gate.upstream.on(
        "/public/early",
        Script::new([Step::Send(refusal.to_vec()), Step::ReadBody, Step::Close]).before_the_body(),
    );
    let mut wire = gate.connect().await;
    wire.send(
        "POST /public/early HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nbegin",
    )
    .await;
    let answer = wire.answer().await;
    assert_eq!(answer.status, 413, "{answer:?}");
}

#[tokio::test]
async fn half_closed_application_uses_no_processor() {
    let gate = Gate::start(TOWN).await;
    gate.upstream.on(
        "/public/half",
        Script::new([
            Step::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello".to_vec()),
            Step::Stall,
        ]),
    );
    let mut wire = gate.connect().await;
    wire.send("GET /public/half HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(wire.head().await.starts_with("HTTP/1.1 200 "));
    let before = gate.processor_ticks();
    // Not to be right but to measure: a second in which nothing is to be done.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert!(gate.processor_ticks() - before < 30, "the gateway is busy with nothing");
}
