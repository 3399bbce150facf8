//! The application alone, over real sockets, as the gateway speaks to it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use tokio_tungstenite::tungstenite::{self, Message, client::IntoClientRequest as _};

use super::*;

fn command() -> Command {
    Command { program: "vestibule".to_owned(), file: "/tmp/demo/vestibule.toml".to_owned() }
}

/// Sends a request for `path` as `headers` say, and gives the answer as text.
fn ask(application: SocketAddr, request_line: &str, headers: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(application).unwrap();
    let length = body.len();
    write!(
        stream,
        "{request_line} HTTP/1.1\r\nHost: demo\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

const BOB: &str = "Remote-User: bob\r\nRemote-Name: Bob Baker\r\n";

#[test]
fn every_page_is_there_for_everybody_who_gets_this_far() {
    let application = start(command()).unwrap();
    for path in [
        "/",
        "/private/",
        "/polls/",
        "/polls/vote/",
        "/reports/",
        "/staff/",
        "/headers/",
        "/color/",
        "/socket/",
        "/events/",
        "/configuration/",
        "/static/style.css",
        "/static/tree.svg",
        "/static/socket.js",
        "/static/events.js",
    ] {
        for headers in ["", BOB] {
            let answer = ask(application, &format!("GET {path}"), headers, "");
            assert!(answer.starts_with("HTTP/1.1 200 OK"), "{path}: {answer}");
        }
    }
    assert!(ask(application, "GET /private", "", "").contains("location: /private/"));
    assert!(ask(application, "GET /nowhere/", "", "").starts_with("HTTP/1.1 404"));
    assert!(ask(application, "POST /private/", BOB, "").starts_with("HTTP/1.1 405"));
}

#[test]
fn a_visitor_is_greeted_and_markup_in_headers_is_only_text() {
    let application = start(command()).unwrap();
    assert!(ask(application, "GET /", "", "").contains("Welcome, whoever you are"));
    assert!(ask(application, "GET /", BOB, "").contains("Hello, Bob Baker"));
    let answer = ask(application, "GET /headers/", "X-Odd: <script>\r\n", "");
    assert!(answer.contains("&lt;script&gt;") && !answer.contains("<script>"), "{answer}");
    let anonymous = ask(application, "GET /api/me", "", "");
    assert!(anonymous.starts_with("HTTP/1.1 401"), "{anonymous}");
    assert!(ask(application, "GET /api/me", BOB, "").contains(r#""username": "bob""#));
}

#[test]
fn a_vote_counts_once_and_not_from_another_site() {
    let application = start(command()).unwrap();
    let vote = |headers: &str, body| {
        ask(application, "POST /polls/vote/", &format!("{BOB}{headers}"), body)
    };
    assert!(vote("Origin: http://evil.example\r\n", "choice=1").starts_with("HTTP/1.1 403"));
    assert!(vote("Origin: null\r\n", "choice=1").starts_with("HTTP/1.1 403"));
    assert!(vote("", "choice=7").starts_with("HTTP/1.1 400"));
    assert!(ask(application, "GET /polls/", "", "").contains("0 votes"));
    assert!(!ask(application, "GET /polls/", "", "").contains("1 vote"));
    let taken = vote("Origin: http://demo\r\n", "choice=1");
    assert!(taken.starts_with("HTTP/1.1 303") && taken.contains("location: /polls/"), "{taken}");
    assert!(ask(application, "GET /polls/", "", "").contains("1 vote · bob"));
    assert!(ask(application, "GET /polls/vote/", BOB, "").contains("checked"));
}

#[test]
fn a_colour_is_remembered_by_whoever_is_in_front() {
    let application = start(command()).unwrap();
    let choose = |headers: &str, body| ask(application, "POST /color/", headers, body);
    let chosen = choose("Origin: http://demo\r\n", "color=blue");
    assert!(chosen.starts_with("HTTP/1.1 303") && chosen.contains("location: /color/"), "{chosen}");
    assert!(chosen.contains("vestibule-session-set: fav_color=blue\r\n"), "{chosen}");
    assert!(choose("", "color=").contains("vestibule-session-delete: fav_color\r\n"));
    assert!(choose("", "color=beige").starts_with("HTTP/1.1 400"));
    let foreign = choose("Origin: http://evil.example\r\n", "color=blue");
    assert!(foreign.starts_with("HTTP/1.1 403") && !foreign.contains("vestibule"), "{foreign}");
    assert!(ask(application, "GET /color/", "", "").contains("What is your favourite colour?"));
    let told = ask(application, "GET /color/", "X-Fav-Color: blue\r\n", "");
    assert!(told.contains("Your favourite colour is blue") && told.contains("Forget it"), "{told}");
}

#[test]
fn the_stream_brings_one_event_after_the_other() {
    let application = start(command()).unwrap();
    let mut stream = TcpStream::connect(application).unwrap();
    stream.write_all(b"GET /events/stream HTTP/1.1\r\nHost: demo\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let mut part = [0; 1024];
    while !String::from_utf8_lossy(&answer).contains("id: 2\nevent: tick\ndata: ") {
        let count = stream.read(&mut part).unwrap();
        assert!(count > 0, "the stream ended");
        answer.extend_from_slice(&part[..count]);
    }
    assert!(String::from_utf8_lossy(&answer).contains("text/event-stream"));
}

/// Opens the WebSocket as a page of `origin` would.
fn open_socket(
    application: SocketAddr,
    origin: &str,
) -> Result<tungstenite::WebSocket<TcpStream>, u16> {
    let mut request = format!("ws://{application}/socket/ws").into_client_request().unwrap();
    request.headers_mut().insert("origin", origin.parse().unwrap());
    request.headers_mut().insert("remote-user", HeaderValue::from_static("bob"));
    let stream = TcpStream::connect(application).unwrap();
    match tungstenite::client(request, stream) {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(answer))) => {
            Err(answer.status().as_u16())
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn the_socket_greets_tells_the_time_and_says_back() {
    let application = start(command()).unwrap();
    let mut socket = open_socket(application, &format!("http://{application}")).unwrap();
    socket.send(Message::text("how are you?")).unwrap();
    let mut heard = Vec::new();
    while heard.len() < 3 {
        heard.push(socket.read().unwrap().into_text().unwrap().to_string());
    }
    assert_eq!(heard[0], "hello bob");
    assert!(heard.iter().any(|said| said.starts_with("time ")), "{heard:?}");
    assert!(heard.iter().any(|said| said == "echo how are you?"), "{heard:?}");
    assert_eq!(open_socket(application, "http://evil.example").err(), Some(403));
    assert!(ask(application, "GET /socket/ws", BOB, "").starts_with("HTTP/1.1 400"));
}
