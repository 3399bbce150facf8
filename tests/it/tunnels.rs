//! Upgraded connections pass through the same door as every request, and then carry bytes both ways.

use crate::support::{
    config::TOWN,
    gate::{Gate, Shared},
    people::PASSWORD,
    script::{Script, Step},
};

static GATE: Shared = Shared::new(|| TOWN.to_owned());

const ACCEPTED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\nX-Echo: 1\r\n\r\n";

fn opens(gate: &Gate, target: &str) {
    gate.upstream.on(target, Script::new([Step::Send(ACCEPTED.to_vec()), Step::Tunnel]));
}

fn upgrade(target: &str, lines: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{lines}\r\n"
    )
}

#[tokio::test]
async fn tunnel_carries_bytes_both_ways() {
    let gate = GATE.gate().await;
    opens(&gate, "/private/socket");
    let ada = gate.sign_in("ada").await;
    let mut wire = gate.connect().await;
    wire.send(upgrade("/private/socket", &ada.cookie_line())).await;
    let answer = wire.answer().await;
    assert_eq!(
        (answer.status, answer.header("sec-websocket-accept")),
        (101, Some("x")),
        "{answer:?}"
    );
    for word in ["hello", "\0\u{1}\r\n\r\nGET / HTTP/1.1\r\n\r\n", "more"] {
        wire.send(word).await;
        assert_eq!(wire.bytes(word.len()).await, word.to_ascii_uppercase().as_bytes());
    }
    let request = gate.upstream.requests_for("/private/socket").remove(0);
    let value = |name: &str| {
        request
            .headers
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_ascii_lowercase())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (value("remote-user"), value("upgrade"), value("connection")),
        (vec!["ada".to_owned()], vec!["websocket".to_owned()], vec!["upgrade".to_owned()])
    );
}

#[tokio::test]
async fn bytes_sent_early_are_not_lost() {
    let gate = GATE.gate().await;
    opens(&gate, "/public/early");
    let mut wire = gate.connect().await;
    wire.send(format!("{}early ", upgrade("/public/early", ""))).await;
    assert_eq!(wire.answer().await.status, 101);
    wire.send("late").await;
    assert_eq!(wire.bytes(10).await, b"EARLY LATE");
    gate.upstream.on(
        "/public/greets",
        Script::new([Step::Send([ACCEPTED, b"welcome "].concat()), Step::Tunnel]),
    );
    let mut wire = gate.connect().await;
    wire.send(upgrade("/public/greets", "")).await;
    assert_eq!(wire.answer().await.status, 101);
    assert_eq!(wire.bytes(8).await, b"welcome ");
}

#[tokio::test]
async fn tunnel_is_judged_like_any_request() {
    let gate = Gate::start(TOWN).await;
    for target in ["/private/socket", "/admin/socket", "/public/..%2fadmin/socket"] {
        opens(&gate, target);
        let mut wire = gate.connect().await;
        wire.send(upgrade(target, "")).await;
        wire.answer().await.is_safe();
    }
    let bob = gate.sign_in("bob").await;
    let mut wire = gate.connect().await;
    wire.send(upgrade("/admin/socket", &bob.cookie_line())).await;
    wire.answer().await.is_refused_with(403);
    assert_eq!(gate.upstream.count(), 0);
}

#[tokio::test]
async fn declined_upgrade_is_an_ordinary_answer() {
    let gate = GATE.gate().await;
    let mut wire = gate.connect().await;
    wire.send(upgrade("/public/declined", "")).await;
    assert_eq!(wire.answer().await.is_forwarded().target(), "/public/declined");
}

#[tokio::test]
async fn end_of_one_side_ends_the_other() {
    let gate = Gate::start(TOWN).await;
    opens(&gate, "/public/socket");
    let mut wire = gate.connect().await;
    wire.send(upgrade("/public/socket", "")).await;
    assert_eq!(wire.answer().await.status, 101);
    drop(wire);
    crate::support::eventually("the application's side is closed", || {
        gate.upstream.connections_open() == 0
    })
    .await;
    gate.upstream
        .on("/public/brief", Script::new([Step::Send([ACCEPTED, b"bye"].concat()), Step::Close]));
    let mut wire = gate.connect().await;
    wire.send(upgrade("/public/brief", "")).await;
    assert_eq!(wire.answer().await.status, 101);
    assert_eq!(wire.rest().await, b"bye");
}

#[tokio::test]
async fn logout_ends_the_tunnels_and_streams_of_its_session() {
    let gate = GATE.gate().await;
    opens(&gate, "/private/live");
    gate.upstream.on(
        "/private/events",
        Script::new([
            Step::Send(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n".to_vec(),
            ),
            Step::Stall,
        ]),
    );
    let mut one = gate.visitor();
    one.logs_in("carl", PASSWORD).await;
    let other = gate.sign_in("carl").await;
    let (mut tunnel, mut events, mut others) =
        (gate.connect().await, gate.connect().await, gate.connect().await);
    tunnel.send(upgrade("/private/live", &one.cookie_line())).await;
    assert_eq!(tunnel.answer().await.status, 101);
    events
        .send(format!(
            "GET /private/events HTTP/1.1\r\nHost: localhost\r\n{}\r\n",
            one.cookie_line()
        ))
        .await;
    events.head().await;
    others.send(upgrade("/private/live", &other.cookie_line())).await;
    assert_eq!(others.answer().await.status, 101);
    one.logs_out().await;
    tunnel.is_closed().await;
    drop(events.rest().await);
    others.send("still here").await;
    assert_eq!(others.bytes(10).await, b"STILL HERE");
}
