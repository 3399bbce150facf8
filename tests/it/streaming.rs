//! Bodies of any size pass through in constant memory.

use crate::support::{
    config::town_and,
    gate::Gate,
    script::{Script, Step},
    wire::pattern,
};

const SIZE: u64 = 256 << 20;

/// How much more memory the gateway may hold while a body of any size passes: its buffers, not the body.
const GROWTH: u64 = 16 << 20;

async fn gate() -> Gate {
    Gate::start(&town_and("[server]\nmax_body_size = 0")).await
}

/// The endless test body from a position on, without a multiplication a byte.
fn block(at: u64) -> Vec<u8> {
    (at..at + 65_536).map(pattern).collect()
}

#[tokio::test]
async fn large_answer_streams_in_constant_memory() {
    let gate = gate().await;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n");
    gate.upstream
        .on("/public/large", Script::new([Step::Send(head.into_bytes()), Step::Stream(SIZE)]));
    gate.visitor().get("/public/").await.is_forwarded();
    let before = gate.resident_memory();
    let mut wire = gate.connect().await;
    wire.send("GET /public/large HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(wire.head().await.to_ascii_lowercase().contains(&format!("content-length: {SIZE}")));
    // A reader that pauses must not make the gateway collect what the application sends.
    assert!(wire.drain_pattern(SIZE / 2).await);
    let during = gate.resident_memory();
    assert!(wire.bytes(1).await[0] == pattern(SIZE / 2));
    drop(wire);
    assert!(during < before + GROWTH, "{before} bytes before, {during} while streaming");
}

#[tokio::test]
async fn chunked_answer_arrives_whole() {
    let gate = gate().await;
    gate.upstream.on(
        "/public/chunked",
        Script::new([
            Step::Send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec()),
            Step::StreamChunked(20 << 20),
        ]),
    );
    let body = {
        // Rather small, because the reader of chunks keeps it.
        let mut wire = gate.connect().await;
        wire.send("GET /public/chunked HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .await;
        let head = wire.head().await.to_ascii_lowercase();
        assert!(head.contains("transfer-encoding: chunked"), "{head}");
        crate::support::answer::read_chunked(&wire.rest().await).unwrap().unwrap().0
    };
    assert_eq!(body.len(), 20 << 20);
    assert!(body.iter().zip(0..).all(|(&byte, at)| byte == pattern(at)));
}

#[tokio::test]
async fn large_request_streams_in_constant_memory() {
    let gate = gate().await;
    gate.visitor().get("/public/").await.is_forwarded();
    let before = gate.resident_memory();
    let mut wire = gate.connect().await;
    wire.send(format!(
        "PUT /public/large HTTP/1.1\r\nHost: localhost\r\nContent-Length: {SIZE}\r\n\r\n"
    ))
    .await;
    let mut during = 0;
    for at in (0..SIZE).step_by(65_536) {
        wire.send(block(at)).await;
        if at == SIZE / 2 {
            during = gate.resident_memory();
        }
    }
    let echo = wire.answer().await.is_forwarded();
    assert_eq!(echo.body_length(), SIZE);
    assert!(gate.upstream.requests_for("/public/large")[0].body_is_pattern);
    assert!(during < before + GROWTH, "{before} bytes before, {during} while streaming");
}

#[tokio::test]
async fn chunked_request_arrives_whole() {
    let gate = gate().await;
    let mut wire = gate.connect().await;
    wire.send(
        "PUT /public/chunked HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
    )
    .await;
    for at in (0..20 << 20).step_by(65_536) {
        wire.send([b"10000\r\n".as_slice(), &block(at), b"\r\n"].concat()).await;
    }
    wire.send("0\r\n\r\n").await;
    assert_eq!(wire.answer().await.is_forwarded().body_length(), 20 << 20);
    let request = gate.upstream.requests_for("/public/chunked").remove(0);
    assert!(request.body_is_pattern && request.complete);
}

#[tokio::test]
async fn first_bytes_of_an_answer_are_not_held_back() {
    let gate = gate().await;
    gate.upstream.on(
        "/public/events",
        Script::new([
            Step::Send(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n".to_vec(),
            ),
            Step::Stall,
        ]),
    );
    let mut wire = gate.connect().await;
    wire.send("GET /public/events HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(wire.head().await.starts_with("HTTP/1.1 200 "));
    // One event arrives while the application says nothing more, whole in one chunk.
    assert!(String::from_utf8_lossy(&wire.bytes(14).await).contains("data: 1"));
}

#[tokio::test]
async fn answer_may_begin_before_the_request_has_ended() {
    let gate = gate().await;
    gate.upstream.on(
        "/public/duplex",
        Script::new([
            Step::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nearly".to_vec()),
            Step::ReadBody,
            Step::Send(b"later".to_vec()),
        ])
        .before_the_body(),
    );
    let mut wire = gate.connect().await;
    wire.send("POST /public/duplex HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\r\nhalf")
        .await;
    wire.head().await;
    assert_eq!(wire.bytes(5).await, b"early");
    wire.send("half").await;
    assert_eq!(wire.bytes(5).await, b"later");
}
