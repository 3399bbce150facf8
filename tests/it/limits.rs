//! What is too large, too much or too slow is refused or cut off, and harms nobody else.

use std::time::{Duration, Instant};

use crate::support::{
    config::town_and,
    gate::{Gate, Shared},
    wire::{Conversation, get},
};

static SMALL: Shared = Shared::new(|| {
    town_and(
        "[server]\nmax_header_size = \"16KiB\"\nmax_headers = 50\nmax_body_size = \"64KiB\"\nheader_timeout = \"1s\"\nbody_timeout = \"1s\"\nidle_timeout = \"1s\"",
    )
});

#[tokio::test]
async fn too_many_or_too_large_headers_are_431() {
    let gate = SMALL.gate().await;
    let many: String = (0..5000).map(|number| format!("X-{number}: y\r\n")).collect();
    let some: String = (0..60).map(|number| format!("X-{number}: y\r\n")).collect();
    let large = format!("X-Large: {}\r\n", "y".repeat(20_000));
    let huge = format!("X-Huge: {}\r\n", "y".repeat(2_000_000));
    for lines in [many, some, large, huge] {
        let start = Instant::now();
        let conversation = gate
            .hears(format!(
                "GET /public/ HTTP/1.1\r\nHost: localhost\r\n{lines}Connection: close\r\n\r\n"
            ))
            .await;
        assert!(conversation.answers.len() <= 1);
        assert!(
            conversation
                .answers
                .iter()
                .all(|answer| !answer.came_from_upstream() && matches!(answer.status, 400 | 431)),
            "{conversation:?}"
        );
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    }
    let enough: String =
        (0..40).map(|number| format!("X-{number}: {}\r\n", "y".repeat(200))).collect();
    gate.hears(format!(
        "GET /public/ HTTP/1.1\r\nHost: localhost\r\n{enough}Connection: close\r\n\r\n"
    ))
    .await
    .only()
    .is_forwarded();
}

#[tokio::test]
async fn too_long_target_is_414_or_431() {
    let gate = SMALL.gate().await;
    for length in [20_000, 70_000, 1_000_000] {
        let conversation = gate.hears(get(format!("/public/{}", "x".repeat(length)))).await;
        assert!(conversation.answers.len() <= 1);
        assert!(
            conversation
                .answers
                .iter()
                .all(|answer| !answer.came_from_upstream()
                    && matches!(answer.status, 400 | 414 | 431)),
            "{conversation:?}"
        );
    }
    gate.hears(get(format!("/public/{}", "x".repeat(4000)))).await.only().is_forwarded();
}

#[tokio::test]
async fn too_large_body_is_413() {
    let gate = SMALL.gate().await;
    let announced = gate
        .hears("POST /public/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 65537\r\n\r\n")
        .await;
    announced.only().is_refused_with(413);
    let mut chunked =
        b"POST /public/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..9 {
        chunked.extend_from_slice(b"2000\r\n");
        chunked.extend_from_slice(&[b'x'; 0x2000]);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    // Known only on the way: a 413, or the end of the connection, never the application's answer to half a body.
    let conversation = gate.hears(chunked).await;
    assert!(
        conversation
            .answers
            .iter()
            .all(|answer| !answer.came_from_upstream() && answer.status == 413),
        "{conversation:?}"
    );
    let fits = gate.hears([b"POST /public/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 65536\r\n\r\n".as_slice(), &[b'x'; 65_536]].concat()).await;
    assert_eq!(fits.only().is_forwarded().body_length(), 65_536);
}

#[tokio::test]
async fn endless_chunk_extensions_and_trailers_are_cut_off() {
    let gate = SMALL.gate().await;
    let head = "POST /public/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    let trailers: String = (0..20_000).map(|number| format!("X-{number}: y\r\n")).collect();
    for body in [
        format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(200_000)),
        format!("1\r\nx\r\n0\r\n{trailers}\r\n"),
        format!("1\r\nx\r\n0\r\nX: {}\r\n\r\n", "y".repeat(2_000_000)),
    ] {
        let before = gate.resident_memory();
        let conversation = gate.hears(format!("{head}{body}")).await;
        assert!(
            conversation.answers.iter().all(|answer| !answer.came_from_upstream()),
            "{conversation:?}"
        );
        assert!(gate.resident_memory() < before + (16 << 20));
    }
}

#[tokio::test]
async fn slow_head_is_cut_off() {
    let gate = SMALL.gate().await;
    for start in [
        "",
        "G",
        "GET /public/ HTTP/1.1\r\n",
        "GET /public/ HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
    ] {
        let begun = Instant::now();
        let mut wire = gate.connect().await;
        wire.send(start).await;
        let conversation = Conversation::listen(&mut wire).await;
        assert!(
            conversation.answers.iter().all(|answer| answer.status == 408),
            "{start:?}: {conversation:?}"
        );
        assert!(begun.elapsed() < Duration::from_secs(8), "{start:?}: {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn dripping_head_is_cut_off_all_the_same() {
    let gate = SMALL.gate().await;
    let mut wire = gate.connect().await;
    let begun = Instant::now();
    wire.send("GET /public/ HTTP/1.1\r\nHost: localhost\r\n").await;
    for _ in 0..40 {
        wire.send("X").await;
        // The pace of the attack, not of the test.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let conversation = Conversation::listen(&mut wire).await;
    assert!(conversation.answers.iter().all(|answer| answer.status == 408), "{conversation:?}");
    assert!(begun.elapsed() < Duration::from_secs(8));
}

#[tokio::test]
async fn stalled_body_is_cut_off() {
    let gate = SMALL.gate().await;
    for target in ["/public/", "/private/", "/accounts/login/"] {
        for body in
            ["Content-Length: 100\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n64\r\nabc"]
        {
            let begun = Instant::now();
            let mut wire = gate.connect().await;
            wire.send(format!("POST {target} HTTP/1.1\r\nHost: localhost\r\n{body}")).await;
            let conversation = Conversation::listen(&mut wire).await;
            assert!(
                conversation.answers.len() <= 1 && conversation.forwarded() == 0,
                "{target}: {conversation:?}"
            );
            assert!(begun.elapsed() < Duration::from_secs(10), "{target}: {:?}", begun.elapsed());
        }
    }
}

#[tokio::test]
async fn idle_connection_is_closed() {
    let gate = SMALL.gate().await;
    let mut wire = gate.connect().await;
    wire.send("GET /public/ HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    wire.answer().await.is_forwarded();
    let begun = Instant::now();
    wire.is_closed().await;
    assert!(
        begun.elapsed() > Duration::from_millis(500) && begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn slow_crowd_does_not_hold_up_a_good_visitor() {
    let gate = SMALL.gate().await;
    let mut crowd = Vec::new();
    for _ in 0..200 {
        let mut wire = gate.connect().await;
        wire.send("GET /public/ HTTP/1.1\r\nHost: loc").await;
        crowd.push(wire);
    }
    for _ in 0..20 {
        let begun = Instant::now();
        gate.visitor().get("/public/").await.is_forwarded();
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    }
    for mut wire in crowd {
        drop(Conversation::listen(&mut wire).await);
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_or_are_refused_and_room_is_made() {
    let gate = Gate::start(&town_and(
        "[server]\nmax_connections = 8\nidle_timeout = \"1s\"\nheader_timeout = \"1s\"",
    ))
    .await;
    let mut wires = Vec::new();
    for _ in 0..32 {
        wires.push(gate.connect().await);
    }
    for wire in &mut wires {
        drop(Conversation::listen(wire).await);
    }
    drop(wires);
    gate.visitor().get("/public/").await.is_forwarded();
}

#[tokio::test]
async fn half_closed_visitor_uses_no_processor() {
    let gate = Gate::start(&town_and("[server]\nbody_timeout = \"30s\"")).await;
    let mut wire = gate.connect().await;
    wire.send("POST /public/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf").await;
    gate.upstream.sees("/public/").await;
    wire.finish().await;
    let before = gate.processor_ticks();
    // Not to be right but to measure: a second in which nothing is to be done.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(gate.processor_ticks() - before < 30, "the gateway is busy with nothing");
}
