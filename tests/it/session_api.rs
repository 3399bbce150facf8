//! The session dictionary for programs on the same machine: JSON over the admin socket, by the `Session-Key` that the application is sent.

use serde_json::{Value, json};

use crate::support::{
    answer::Answer,
    config::town_and,
    gate::{Gate, Shared},
    script::Script,
    socket::asks_socket,
    visitor::Visitor,
    wire::get,
};

static GATE: Shared = Shared::new(|| {
    town_and(
        r#"
        [upstream_defaults]
        trust_responses = true

        [identity]
        session_key = true
        headers = { "X-Color" = "{{ session.fav_color }}", "X-Cart" = "{{ session.cart | join('+') if session.cart }}" }

        [admin]
        listen = "127.0.0.1:0"

        [paths]
        "/third/" = { test = "session.visits == 3" }
        "#,
    )
});

async fn key_of(visitor: &Visitor) -> String {
    visitor.get("/public/").await.is_forwarded().folded("session-key").concat()
}

async fn ask(gate: &Gate, method: &str, key: &str, path: &str, body: &str) -> Answer {
    asks_socket(gate.directory(), method, &format!("/v1/sessions/{key}/{path}"), body).await
}

async fn says(gate: &Gate, key: &str, path: &str) -> Value {
    let answer = ask(gate, "GET", key, path, "").await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.json()
}

async fn sets(gate: &Gate, key: &str, name: &str, value: &Value) {
    let answer = ask(gate, "PUT", key, &format!("data/{name}"), &value.to_string()).await;
    assert_eq!((answer.status, answer.body.len()), (204, 0), "{name}: {answer:?}");
}

#[tokio::test]
async fn values_of_every_type_are_set_read_and_deleted() {
    let gate = GATE.gate().await;
    let key = key_of(&gate.sign_in("ada").await).await;
    let values = json!({
        "fav_color": "blå", "visits": 3, "ratio": -0.5, "is_new": false, "nothing": null,
        "cart": ["a", {"count": 2}], "name with%2F": "x"
    });
    for (name, value) in values.as_object().unwrap() {
        let name = name.replace(' ', "-").replace('%', "%25");
        sets(&gate, &key, &name, value).await;
        assert_eq!(&says(&gate, &key, &format!("data/{name}")).await, value);
        assert_eq!(ask(&gate, "HEAD", &key, &format!("data/{name}"), "").await.status, 200);
    }
    let items = says(&gate, &key, "data").await;
    assert_eq!(items["cart"], values["cart"]);
    assert_eq!(items["name-with%2F"], "x");
    let keys = json!(["cart", "fav_color", "is_new", "name-with%2F", "nothing", "ratio", "visits"]);
    assert_eq!(says(&gate, &key, "keys").await, keys);

    for _ in 0..2 {
        assert_eq!(ask(&gate, "DELETE", &key, "data/cart", "").await.status, 204);
    }
    let answer = ask(&gate, "GET", &key, "data/cart", "").await;
    assert_eq!((answer.status, &answer.json()["kind"]), (404, &json!("no_such_value")));
    assert_eq!(ask(&gate, "HEAD", &key, "data/cart", "").await.status, 404);
    assert_eq!(ask(&gate, "DELETE", &key, "data", "").await.status, 204);
    assert_eq!(says(&gate, &key, "data").await, json!({}));
    assert_eq!(says(&gate, &key, "keys").await, json!([]));
}

#[tokio::test]
async fn change_is_seen_by_the_next_request_and_by_its_rules() {
    let gate = GATE.gate().await;
    let ada = gate.sign_in("ada").await;
    let key = key_of(&ada).await;
    ada.get("/third/").await.is_refused_with(403);
    for (visits, color) in [(3, "red"), (4, "blue")] {
        sets(&gate, &key, "visits", &json!(visits)).await;
        sets(&gate, &key, "fav_color", &json!(color)).await;
        // On every worker: none of them tells what it remembers of before.
        for _ in 0..8 {
            assert_eq!(ada.get("/private/").await.is_forwarded().folded("x-color"), [color]);
        }
        assert_eq!(ada.get("/third/").await.came_from_upstream(), visits == 3);
    }
    sets(&gate, &key, "cart", &json!(["a", 2])).await;
    assert_eq!(ada.get("/private/").await.is_forwarded().folded("x-cart"), ["a+2"]);
}

#[tokio::test]
async fn flush_ends_the_session() {
    let gate = GATE.gate().await;
    let ada = gate.sign_in("ada").await;
    let key = key_of(&ada).await;
    assert_eq!(ask(&gate, "POST", &key, "flush", "").await.status, 204);
    ada.get("/private/").await.asks_to_log_in("/private/");
    for (method, path) in [
        ("POST", "flush"),
        ("GET", "data"),
        ("GET", "keys"),
        ("DELETE", "data/a"),
        ("PUT", "data/a"),
    ] {
        let answer = ask(&gate, method, &key, path, "1").await;
        assert_eq!((answer.status, &answer.json()["kind"]), (404, &json!("no_such_session")));
    }
}

#[tokio::test]
async fn what_a_header_set_is_read_as_text() {
    let gate = GATE.gate().await;
    let set = "Vestibule-Session-Set: fav_color=3\r\n";
    gate.upstream.on("/public/three", Script::echo_with(set));
    let mut guest = gate.visitor();
    guest.keeps(&guest.get("/public/three").await);
    let key = key_of(&guest).await;
    assert_eq!(says(&gate, &key, "data").await, json!({ "fav_color": "3" }));
    assert_eq!(ask(&gate, "POST", &key, "flush", "").await.status, 204);
    let answer = guest.get("/public/").await;
    assert_eq!(answer.is_forwarded().folded("x-color"), Vec::<String>::new());
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_a_reason() {
    let gate = GATE.gate().await;
    let key = key_of(&gate.sign_in("bob").await).await;
    let large = format!("\"{}\"", "x".repeat(33 * 1024));
    for (method, path, body, status, kind) in [
        ("PUT", "data/_user", "1", 422, "reserved_key"),
        ("PUT", "data/a%20b", "1", 422, "invalid_key"),
        ("PUT", "data/", "1", 422, "invalid_key"),
        ("DELETE", "data/_user", "", 422, "reserved_key"),
        ("PUT", "data/a", &large, 422, "too_large"),
        ("PUT", "data/a", "", 400, "malformed"),
        ("PUT", "data/a", "blue", 400, "malformed"),
        ("PUT", "data/a", "1 2", 400, "malformed"),
        ("PUT", "data/%ff", "1", 400, "malformed"),
        ("POST", "data/a", "1", 405, "method_not_allowed"),
        ("PUT", "data", "{}", 405, "method_not_allowed"),
        ("GET", "flush", "", 405, "method_not_allowed"),
        ("DELETE", "keys", "", 405, "method_not_allowed"),
        ("GET", "data/a/b", "", 404, "no_such_command"),
        ("GET", "date", "", 404, "no_such_command"),
    ] {
        let answer = ask(&gate, method, &key, path, body).await;
        let json = answer.json();
        assert_eq!((answer.status, &json["kind"]), (status, &json!(kind)), "{method} {path}");
        assert!(json["error"].as_str().is_some_and(|text| !text.is_empty()), "{json}");
    }
    assert_eq!(says(&gate, &key, "data").await, json!({}));
    let unknown = "0123456789abcdef0123456789abcdef";
    for key in ["", "x", unknown] {
        let answer = ask(&gate, "GET", key, "data", "").await;
        assert_eq!(answer.status, 404, "{answer:?}");
    }
}

#[tokio::test]
async fn many_changes_at_once_by_both_ways_all_survive() {
    let gate = GATE.gate().await;
    let ada = gate.sign_in("ada").await;
    let key = key_of(&ada).await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..48 {
        let (gate, ada, key) = (std::sync::Arc::clone(&gate), ada.clone(), key.clone());
        tasks.spawn(async move {
            if number % 2 == 0 {
                sets(&gate, &key, &format!("k{number}"), &json!(number)).await;
            } else {
                let target = format!("/private/k/{number}");
                let set = format!("Vestibule-Session-Set: k{number}={number}\r\n");
                gate.upstream.on(&target, Script::echo_with(&set));
                ada.get(&target).await.is_forwarded_as("ada");
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let items = says(&gate, &key, "data").await;
    for number in 0..48 {
        let value = if number % 2 == 0 { json!(number) } else { json!(number.to_string()) };
        assert_eq!(items[format!("k{number}")], value);
    }
}

#[tokio::test]
async fn nobody_asks_over_the_network() {
    let gate = GATE.gate().await;
    let key = key_of(&gate.sign_in("bob").await).await;
    let path = format!("/v1/sessions/{key}/data");
    assert_eq!(Visitor::new(gate.admin_address()).get(&path).await.status, 404);
    // To the outside it is a path like any other.
    assert!(!gate.hears(get(&path)).await.only().came_from_upstream());
}
