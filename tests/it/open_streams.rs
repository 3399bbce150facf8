//! Answers and bodies that are on their way when the right to them ends are cut so that nobody takes them for whole.

use crate::support::{
    config::{TOWN, town_and},
    eventually,
    gate::{Gate, Shared},
    people::PASSWORD,
    script::{Latch, Script, Step},
    visitor::Visitor,
    wire::Wire,
};

static GATE: Shared = Shared::new(|| TOWN.to_owned());

/// A person made for one test, so that tests can share a gateway.
async fn somebody(gate: &Gate, name: &str) -> Visitor {
    let made =
        gate.try_run(&["user", "create", name, "--password-stdin"], &format!("{PASSWORD}\n"));
    assert!(made.status.success(), "{made:?}");
    gate.sign_in(name).await
}

/// Asks for something that the application begins to say and does not end.
async fn begins(gate: &Gate, visitor: &Visitor, target: &str, version: &str, said: &[u8]) -> Wire {
    asks(gate, visitor, target, version, vec![Step::Send(said.to_vec()), Step::Stall]).await
}

/// Asks an application that follows `steps`, and reads the head of its answer.
async fn asks(
    gate: &Gate,
    visitor: &Visitor,
    target: &str,
    version: &str,
    steps: Vec<Step>,
) -> Wire {
    gate.upstream.on(target, Script::new(steps));
    let mut wire = gate.connect().await;
    wire.send(format!(
        "GET {target} HTTP/{version}\r\nHost: localhost\r\n{}\r\n",
        visitor.cookie_line()
    ))
    .await;
    let head = wire.head().await;
    assert!(head.starts_with(&format!("HTTP/{version} 200 ")), "{head}");
    wire
}

/// An event stream that goes on when the latch is opened.
async fn begins_events(gate: &Gate, visitor: &Visitor, target: &str) -> (Wire, Latch) {
    let latch = Latch::new();
    let steps = vec![
        Step::Send(EVENTS.to_vec()),
        Step::Hold(latch.clone()),
        Step::Send(b"9\r\ndata: 2\n\n\r\n".to_vec()),
        Step::Stall,
    ];
    let mut wire = asks(gate, visitor, target, "1.1", steps).await;
    assert_eq!(wire.bytes(14).await, b"9\r\ndata: 1\n\n\r\n");
    (wire, latch)
}

const EVENTS: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n";

#[tokio::test]
async fn event_stream_ends_without_its_last_chunk() {
    let gate = GATE.gate().await;
    let mut ana = somebody(&gate, "ana").await;
    let bob = gate.sign_in("bob").await;
    let (mut bobs, bobs_latch) = begins_events(&gate, &bob, "/private/bob").await;
    let (mut anas, anas_latch) = begins_events(&gate, &ana, "/private/ana").await;
    ana.logs_out().await;
    // Whatever the application says from here on is for nobody.
    anas_latch.open();
    assert_eq!(anas.rest_until_reset().await, b"");
    bobs_latch.open();
    assert_eq!(bobs.bytes(14).await, b"9\r\ndata: 2\n\n\r\n");
}

#[tokio::test]
async fn download_ends_before_its_length() {
    let gate = GATE.gate().await;
    let mut ben = somebody(&gate, "ben").await;
    let said = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n0123456789";
    let mut wire = begins(&gate, &ben, "/private/download", "1.1", said).await;
    assert_eq!(wire.bytes(10).await, b"0123456789");
    ben.logs_out().await;
    assert_eq!(wire.rest_until_reset().await, b"");
}

#[tokio::test]
async fn answer_that_only_a_close_would_end_is_reset() {
    let gate = GATE.gate().await;
    let mut cat = somebody(&gate, "cat").await;
    let mut wire = begins(&gate, &cat, "/private/old", "1.0", b"HTTP/1.1 200 OK\r\n\r\nhalf").await;
    assert_eq!(wire.bytes(4).await, b"half");
    cat.logs_out().await;
    assert_eq!(wire.rest_until_reset().await, b"");
}

#[tokio::test]
async fn download_that_waits_for_its_reader_is_cut_off_too() {
    const SIZE: u64 = 64 << 20;
    let gate = GATE.gate().await;
    let mut dan = somebody(&gate, "dan").await;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n");
    let script = Script::new([Step::Send(head.into_bytes()), Step::Stream(SIZE)]);
    gate.upstream.on("/private/large", script);
    let mut wire = gate.connect().await;
    let cookie = dan.cookie_line();
    wire.send(format!("GET /private/large HTTP/1.1\r\nHost: localhost\r\n{cookie}\r\n")).await;
    wire.head().await;
    let open = gate.upstream.connections_open();
    dan.logs_out().await;
    eventually("the application is left", || gate.upstream.connections_open() < open).await;
    let rest = wire.rest_until_reset().await;
    assert!((rest.len() as u64) < SIZE, "all of it came");
}

#[tokio::test]
async fn upload_is_answered_as_the_next_request_would_be_and_does_not_go_on() {
    let gate = GATE.gate().await;
    let mut eli = somebody(&gate, "eli").await;
    let mut wire = gate.connect().await;
    let cookie = eli.cookie_line();
    wire.send(format!("PUT /private/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n{cookie}\r\n0123456789")).await;
    gate.upstream.sees("/private/upload").await;
    let open = gate.upstream.connections_open();
    eli.logs_out().await;
    let answer = wire.answer().await;
    answer.is_refused_with(401);
    assert!(answer.text().contains("login_url"), "{answer:?}");
    wire.is_closed().await;
    eventually("the application is left", || gate.upstream.connections_open() < open).await;
    assert!(!gate.upstream.requests_for("/private/upload")[0].complete);
}

#[tokio::test]
async fn upload_whose_answer_has_gone_out_does_not_go_on_either() {
    let gate = GATE.gate().await;
    let mut fay = somebody(&gate, "fay2").await;
    let early = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly".to_vec();
    let script = Script::new([Step::Send(early), Step::ReadBody]).before_the_body();
    gate.upstream.on("/private/early", script);
    let mut wire = gate.connect().await;
    let cookie = fay.cookie_line();
    wire.send(format!("POST /private/early HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n{cookie}\r\nhalf")).await;
    assert_eq!(wire.answer_to("POST").await.text(), "early");
    wire.send("more").await;
    fay.logs_out().await;
    assert_eq!(wire.rest_until_reset().await, b"");
    assert!(!gate.upstream.requests_for("/private/early")[0].complete);
}

#[tokio::test]
async fn request_that_waits_for_its_answer_is_answered_as_the_next_one_would_be() {
    let gate = GATE.gate().await;
    let mut gil = somebody(&gate, "gil").await;
    let latch = Latch::new();
    let script = Script::new([Step::Hold(latch.clone()), Step::Echo(String::new())]);
    gate.upstream.on("/private/poll", script);
    let waiting = gil.clone();
    let request = tokio::spawn(async move { waiting.get("/private/poll").await });
    gate.upstream.sees("/private/poll").await;
    gil.logs_out().await;
    request.await.unwrap().asks_to_log_in("/private/poll");
    latch.open();
}

#[tokio::test]
async fn request_whose_user_lost_a_right_while_it_waited_is_denied() {
    let gate = Gate::start(TOWN).await;
    let ada = gate.sign_in("ada").await;
    gate.upstream.on("/reports/poll", Script::new([Step::Stall]));
    let waiting = ada.clone();
    let request = tokio::spawn(async move { waiting.get("/reports/poll").await });
    gate.upstream.sees("/reports/poll").await;
    gate.run(&["group", "remove", "Site editors", "ada"]);
    request.await.unwrap().is_refused_with(403);
    ada.get("/private/").await.is_forwarded_as("ada");
}

#[tokio::test]
async fn stream_of_a_visitor_without_a_login_ends_with_a_reload_that_asks_for_one() {
    let gate = Gate::start(TOWN).await;
    let mut ada = gate.sign_in("ada").await;
    let (mut wire, latch) = begins_events(&gate, &gate.visitor(), "/public/events").await;
    ada.logs_out().await;
    gate.run(&["user", "set", "ada", "is_active=false"]);
    gate.run(&["reload"]);
    latch.open();
    assert_eq!(wire.bytes(14).await, b"9\r\ndata: 2\n\n\r\n");
    gate.rewrite(&town_and("[paths]\n\"/public/\" = { login_required = true }"));
    gate.run(&["reload"]);
    assert_eq!(wire.rest_until_reset().await, b"");
}

#[tokio::test]
async fn who_uploads_is_not_idle() {
    let gate = Gate::start(&town_and("[sessions]\nidle_timeout = \"2s\"")).await;
    let ada = gate.sign_in("ada").await;
    let mut wire = gate.connect().await;
    let cookie = ada.cookie_line();
    wire.send(format!(
        "PUT /private/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n{cookie}\r\n"
    ))
    .await;
    // Twice as long as an idle session lasts.
    for _ in 0..20 {
        wire.send("x").await;
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    wire.answer_to("PUT").await.is_forwarded_as("ada");
    ada.get("/private/").await.is_forwarded_as("ada");
}

/// Makes the gateway's database one that cannot be asked, or lets it be asked again.
async fn rename_users(gate: &Gate, from: &str, to: &str) {
    use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
    let options = SqliteConnectOptions::new().filename(gate.directory().join("var/users.db"));
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    let rename = format!("ALTER TABLE {from} RENAME TO {to}");
    sqlx::query(sqlx::AssertSqlSafe(rename)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn database_that_fails_for_a_moment_cuts_nobody_off() {
    let gate = Gate::start(TOWN).await;
    let (mut wire, latch) =
        begins_events(&gate, &gate.sign_in("ada").await, "/private/events").await;
    rename_users(&gate, "vestibule_user", "hidden").await;
    eventually("the gateway notices", || {
        gate.log().iter().any(|line| line.contains("users with open streams cannot be asked for"))
    })
    .await;
    rename_users(&gate, "hidden", "vestibule_user").await;
    // As soon as users can be asked for again, so can this one; a stream is asked before.
    gate.sign_in("bob").await.get("/private/").await.is_forwarded_as("bob");
    latch.open();
    assert_eq!(wire.bytes(14).await, b"9\r\ndata: 2\n\n\r\n");
}

#[tokio::test]
async fn database_that_stays_away_keeps_no_door_open() {
    let gate = Gate::start(TOWN).await;
    gate.announce("streams were ended because their users could not be asked for");
    let (mut wire, _latch) =
        begins_events(&gate, &gate.sign_in("ada").await, "/private/events").await;
    let (mut nobodys, latch) = begins_events(&gate, &gate.visitor(), "/public/events").await;
    rename_users(&gate, "vestibule_user", "hidden").await;
    assert_eq!(wire.rest_until_reset().await, b"");
    latch.open();
    assert_eq!(nobodys.bytes(14).await, b"9\r\ndata: 2\n\n\r\n");
}

#[tokio::test]
async fn short_exchanges_on_a_connection_do_not_disturb_each_other() {
    let gate = Gate::start(TOWN).await;
    let (mut ada, bob) = (gate.sign_in("ada").await, gate.sign_in("bob").await);
    let mut wire = gate.connect().await;
    for _ in 0..20 {
        ada.asks_on(&mut wire, "/private/").await.is_forwarded_as("ada");
        bob.asks_on(&mut wire, "/private/").await.is_forwarded_as("bob");
    }
    let before = ada.clone();
    ada.logs_out().await;
    // Whoever had the connection before: it serves the next.
    before.asks_on(&mut wire, "/private/").await.asks_to_log_in("/private/");
    bob.asks_on(&mut wire, "/private/").await.is_forwarded_as("bob");
}
