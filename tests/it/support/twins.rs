//! Two gateways in front of one application, with their sessions in one Redis.

use std::time::{Duration, Instant};

use super::{
    DEADLINE,
    answer::Answer,
    config::town_and,
    gate::Gate,
    redis::RedisServer,
    wire::{Wire, get_with},
};

/// Both gateways, in the order in which they are dropped: Redis goes last.
pub(crate) struct Twins {
    pub(crate) a: Gate,
    pub(crate) b: Gate,
    pub(crate) redis: RedisServer,
}

impl Twins {
    pub(crate) async fn start(sessions: &str) -> Self {
        let redis = RedisServer::start();
        let store = format!(
            "[sessions]\nstore = \"{}\"\n{sessions}\n[admin]\nlisten = \"127.0.0.1:0\"",
            redis.url()
        );
        let a = Gate::start(&town_and(&store)).await;
        // The same application and the same accounts.
        let database = a.directory().join("var/users.db");
        let text =
            town_and(&format!("{store}\n[users]\ndatabase = \"sqlite:{}\"", database.display()));
        let b = Gate::start(&text.replace("{upstream}", &a.upstream.url())).await;
        Self { a, b, redis }
    }

    /// Redis is gone, and both have noticed.
    pub(crate) async fn lose_redis(&self) {
        for gate in [&self.a, &self.b] {
            gate.announce("the session store is out of reach");
            gate.announce("`store_grace` is over");
        }
        self.redis.kill();
        for gate in [&self.a, &self.b] {
            until_health(gate, "degraded: the session store is out of reach").await;
        }
    }

    pub(crate) async fn regain_redis(&self) {
        self.redis.restart();
        for gate in [&self.a, &self.b] {
            until_health(gate, "ok").await;
        }
    }
}

pub(crate) async fn admin(gate: &Gate, target: &str) -> (u16, String) {
    let mut wire = Wire::connect(gate.admin_address()).await;
    wire.send(get_with(target, "Connection: close\r\n")).await;
    let answer = wire.answer().await;
    (answer.status, answer.text())
}

pub(crate) async fn until_health(gate: &Gate, wanted: &str) {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let (status, text) = admin(gate, "/healthz").await;
        assert_eq!(status, 200, "{text}");
        if text.trim_end() == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "never `{wanted}`, but `{text}`");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The page says that it is not possible just now, and when to try again.
#[track_caller]
pub(crate) fn is_unavailable(answer: &Answer) {
    answer.is_refused_with(503);
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    assert_eq!(answer.sets_cookie("sessionid"), None, "{answer:?}");
}
