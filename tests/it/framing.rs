//! Where a message ends is agreed by everybody, or the connection ends. What is forwarded is framed anew.

use crate::support::{config::town_and, gate::Gate};

/// A gateway of the test's own, because the application's record is the evidence; short timeouts, because some requests never become whole.
async fn gate() -> Gate {
    Gate::start(&town_and(
        "[server]\nheader_timeout = \"1s\"\nbody_timeout = \"1s\"\nidle_timeout = \"1s\"",
    ))
    .await
}

const SMUGGLED: &str = "GET /public/SMUGGLED HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Whatever came of it, the application saw one request at most and never the smuggled one.
#[track_caller]
fn nothing_smuggled(gate: &Gate, shown: &str) {
    assert!(gate.upstream.requests_for("/public/SMUGGLED").is_empty(), "smuggled with {shown:?}");
}

#[tokio::test]
async fn two_framings_are_refused_or_end_the_connection() {
    let gate = gate().await;
    let codings = [
        "chunked",
        "Chunked",
        "chunked, chunked",
        "identity, chunked",
        "xchunked",
        "chunked;q=1",
        "\tchunked",
        "gzip, chunked",
        "\"chunked\"",
    ];
    for coding in codings {
        for order in [true, false] {
            let before = gate.upstream.count();
            let body = format!("0\r\n\r\n{SMUGGLED}");
            let (length, coding_line) = (
                format!("Content-Length: {}\r\n", body.len()),
                format!("Transfer-Encoding: {coding}\r\n"),
            );
            let lines = if order { length + &coding_line } else { coding_line + &length };
            let conversation = gate
                .hears(format!("POST /public/ HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n{body}"))
                .await;
            assert!(conversation.answers.len() <= 1, "{lines:?}: {conversation:?}");
            assert!(gate.upstream.count() - before <= 1, "{lines:?}");
            nothing_smuggled(&gate, &lines);
        }
    }
}

#[tokio::test]
async fn odd_transfer_codings_are_refused() {
    let gate = gate().await;
    let heads = [
        "POST /public/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "POST /public/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "POST /public/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: identity\r\n",
        "POST /public/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n",
        "POST /public/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked, gzip\r\n",
        "POST /public/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: xchunked\r\n",
        "POST /public/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding:\r\n",
        "POST /public/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding : chunked\r\n",
        "POST /public/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding\x0b: chunked\r\n",
        "POST /public/ HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n",
    ];
    for head in heads {
        let before = gate.upstream.count();
        let conversation = gate.hears(format!("{head}\r\n0\r\n\r\n{SMUGGLED}")).await;
        assert!(conversation.answers.len() <= 1, "{head:?}: {conversation:?}");
        assert!(gate.upstream.count() - before <= 1, "{head:?}");
        nothing_smuggled(&gate, head);
    }
}

#[tokio::test]
async fn content_length_is_one_plain_number() {
    let gate = gate().await;
    let length = SMUGGLED.len();
    let lines = [
        format!("Content-Length: +{length}\r\n"),
        format!("Content-Length: -{length}\r\n"),
        format!("Content-Length: 0x{length:x}\r\n"),
        format!("Content-Length: {length},0\r\n"),
        format!("Content-Length: 0, {length}\r\n"),
        format!("Content-Length: {length}\r\nContent-Length: 0\r\n"),
        format!("Content-Length: 0\r\nContent-Length: {length}\r\n"),
        format!("Content-Length:\r\nContent-Length: {length}\r\n"),
        format!("Content-Length: {length}.0\r\n"),
        "Content-Length: 8_4\r\n".to_owned(),
        "Content-Length: 8 4\r\n".to_owned(),
        "Content-Length: 18446744073709551617\r\n".to_owned(),
        "Content-Length: 99999999999999999999999999\r\n".to_owned(),
        "Content-Length: \u{661}\r\n".to_owned(),
        "Content-Length: abc\r\n".to_owned(),
        "Content-Length:\r\n".to_owned(),
        format!("Content-Length : {length}\r\n"),
    ];
    for line in lines {
        let conversation = gate
            .hears(format!("POST /public/ HTTP/1.1\r\nHost: localhost\r\n{line}\r\n{SMUGGLED}"))
            .await;
        conversation.is_bad_request_or_close();
        assert_eq!(gate.upstream.count(), 0, "{line:?}: {:?}", gate.upstream.requests());
    }
}

#[tokio::test]
async fn chunk_sizes_are_plain_hexadecimal() {
    let gate = gate().await;
    let bodies = [
        "10000000000000005\r\nabcde\r\n0\r\n\r\n",
        "ffffffffffffffff\r\nabcde\r\n0\r\n\r\n",
        "0x5\r\nabcde\r\n0\r\n\r\n",
        "+5\r\nabcde\r\n0\r\n\r\n",
        "-5\r\nabcde\r\n0\r\n\r\n",
        "\r\nabcde\r\n0\r\n\r\n",
        "5_\r\nabcde\r\n0\r\n\r\n",
        "g\r\nabcde\r\n0\r\n\r\n",
        "5,5\r\nabcde\r\n0\r\n\r\n",
        "5\rabcde\r\n0\r\n\r\n",
        "5\r\nabcdeXX0\r\n\r\n",
        "5\r\nabcde0\r\n\r\n",
        "5\r\nabcdef\r\n0\r\n\r\n",
        "5\r\r\nabcde\r\n0\r\n\r\n",
        "5\r\nabcde\r0\r\n\r\n",
        "5;a\rb\r\nabcde\r\n0\r\n\r\n",
    ];
    for body in bodies {
        let bytes = format!(
            "POST /public/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n{body}{SMUGGLED}"
        );
        let conversation = gate.hears(bytes).await;
        assert!(conversation.answers.len() <= 1, "{body:?}: {conversation:?}");
        assert_eq!(conversation.forwarded(), 0, "{body:?}: {conversation:?}");
        nothing_smuggled(&gate, body);
    }
    let whole: Vec<_> =
        gate.upstream.requests().into_iter().filter(|request| request.complete).collect();
    assert!(whole.is_empty(), "complete at the application: {whole:?}");
}

/// Bare line feeds: a parser may be kind to them, as long as what goes on is framed anew and nothing is smuggled.
#[tokio::test]
async fn bare_line_feeds_smuggle_nothing() {
    let gate = gate().await;
    for body in [
        "5\nabcde\r\n0\r\n\r\n",
        "5;a\nabcde\r\n0\r\n\r\n",
        "5\r\nabcde\n0\r\n\r\n",
        "5\r\nabcde\r\n0\n\r\n",
        "5\r\nabcde\r\n0\r\n\n",
        "5;a\n2\r\nabcde\r\n0\r\n\r\n",
        "2;\nxx\r\n33\r\n0\r\n\r\n",
    ] {
        let before = gate.upstream.count();
        let bytes = format!(
            "POST /public/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{body}{SMUGGLED}"
        );
        let conversation = gate.hears(bytes).await;
        assert!(conversation.answers.len() <= 1, "{body:?}: {conversation:?}");
        assert!(gate.upstream.count() - before <= 1, "{body:?}");
        nothing_smuggled(&gate, body);
    }
}

#[tokio::test]
async fn local_answer_drains_the_body_or_closes() {
    let gate = gate().await;
    for target in [
        "/private/x",
        "/admin/",
        "/accounts/login/",
        "/a%2fb",
        "/accounts/logout/",
        "/accounts/nothing/",
    ] {
        for framing in ["length", "chunked"] {
            let head =
                format!("POST {target} HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n");
            let bytes = match framing {
                "length" => format!("{head}Content-Length: {}\r\n\r\n{SMUGGLED}", SMUGGLED.len()),
                _ => format!(
                    "{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{SMUGGLED}\r\n0\r\n\r\n",
                    SMUGGLED.len()
                ),
            };
            let conversation = gate.hears(bytes).await;
            assert_eq!(conversation.answers.len(), 1, "{target}: {conversation:?}");
            conversation.only().is_safe();
        }
    }
    // A body that is promised and never sent: the answer does not wait for it, or the connection ends.
    let conversation = gate
        .hears("POST /private/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
        .await;
    assert!(conversation.answers.len() <= 1, "{conversation:?}");
    assert_eq!(gate.upstream.count(), 0, "{:?}", gate.upstream.requests());
}

#[tokio::test]
async fn upgrade_request_hides_no_second_request() {
    let gate = gate().await;
    for upgrade in [
        "Upgrade: websocket\r\nConnection: Upgrade\r\n",
        "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
    ] {
        let bytes = format!(
            "GET /public/plain HTTP/1.1\r\nHost: localhost\r\n{upgrade}\r\nGET /private/x HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n\r\n"
        );
        let conversation = gate.hears(bytes).await;
        assert!(gate.upstream.requests_for("/private/x").is_empty(), "{conversation:?}");
        assert!(
            conversation.answers.len() <= 2 && conversation.forwarded() <= 1,
            "{conversation:?}"
        );
    }
    let h2c: Vec<_> = gate
        .upstream
        .requests()
        .into_iter()
        .flat_map(|request| request.headers)
        .filter(|(name, value)| {
            name.eq_ignore_ascii_case("http2-settings") || value.eq_ignore_ascii_case("h2c")
        })
        .collect();
    assert!(h2c.is_empty(), "h2c is relayed: {h2c:?}");
}

#[tokio::test]
async fn expectations_are_understood_exactly() {
    let gate = gate().await;
    for expectation in [
        "y 100-continue",
        "100-continue, x",
        "100 continue",
        "x=y",
        "100-continue\r\nExpect: 100-continue",
    ] {
        let before = gate.upstream.count();
        let bytes = format!(
            "POST /public/e HTTP/1.1\r\nHost: localhost\r\nExpect: {expectation}\r\nContent-Length: {}\r\n\r\n{SMUGGLED}",
            SMUGGLED.len()
        );
        let conversation = gate.hears(bytes).await;
        assert!(conversation.answers.len() <= 1, "{expectation:?}: {conversation:?}");
        assert!(gate.upstream.count() - before <= 1, "{expectation:?}");
        nothing_smuggled(&gate, expectation);
    }
    let probe = gate.visitor().get("/public/probe").await.is_forwarded();
    assert_eq!(probe.target(), "/public/probe");
}

#[tokio::test]
async fn aborted_body_never_leaves_an_open_connection_behind() {
    let gate = gate().await;
    for head in [
        "Content-Length: 100\r\n\r\nabc",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "Transfer-Encoding: chunked\r\n\r\n64\r\nabc",
    ] {
        let mut wire = gate.connect().await;
        wire.send(format!("POST /public/short HTTP/1.1\r\nHost: localhost\r\n{head}")).await;
        wire.finish().await;
        drop(wire.rest().await);
        let probe = gate.visitor().get("/public/probe").await.is_forwarded();
        assert_eq!((probe.target(), probe.body_length()), ("/public/probe", 0));
    }
    assert!(gate.upstream.requests_for("/public/short").iter().all(|request| !request.complete));
}

#[tokio::test]
async fn every_forwarded_body_has_exactly_one_length() {
    let gate = gate().await;
    for method in ["GET", "DELETE", "OPTIONS", "POST", "PUT", "PATCH", "PROPFIND"] {
        for body in [
            "Content-Length: 5\r\n\r\nhello",
            "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n1;x=y\r\nh\r\n4\r\nello\r\n0\r\n\r\n",
        ] {
            let conversation = gate
                .hears(format!(
                    "{method} /public/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{body}"
                ))
                .await;
            let echo = conversation.only().is_forwarded();
            assert_eq!((echo.method(), echo.body()), (method, "hello"), "{body:?}");
            assert_eq!(
                echo.folded("content-length").len() + echo.folded("transfer-encoding").len(),
                1,
                "{method} {body:?}: {:?}",
                echo.headers()
            );
        }
    }
    for method in ["GET", "DELETE", "HEAD"] {
        let mut wire = gate.connect().await;
        wire.send(format!("{method} /public/bare HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        wire.answer_to(method).await;
    }
    for request in gate.upstream.requests_for("/public/bare") {
        assert!(
            request.headers.iter().all(|(name, _)| !name.eq_ignore_ascii_case("transfer-encoding")),
            "{request:?}"
        );
    }
}

#[tokio::test]
async fn host_is_said_exactly_once() {
    let gate = gate().await;
    for lines in [
        "",
        "Host: localhost\r\nHost: localhost\r\n",
        "Host: localhost\r\nHost: evil.example\r\n",
        "Host: local host\r\n",
        "Host: localhost/x\r\n",
        "Host: localhost:x@evil.example\r\n",
        "Host: localhost, evil.example\r\n",
        "Host: a@b\r\n",
    ] {
        let conversation =
            gate.hears(format!("GET /public/ HTTP/1.1\r\n{lines}Connection: close\r\n\r\n")).await;
        assert!(
            conversation
                .answers
                .iter()
                .all(|answer| !answer.came_from_upstream() && matches!(answer.status, 400 | 421)),
            "{lines:?}: {conversation:?}"
        );
    }
    assert_eq!(gate.upstream.count(), 0);
}
