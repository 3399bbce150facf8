//! What the behaviours are told with: a gateway, the people who visit it, the application behind it, and bytes on a wire.

pub(crate) mod answer;
pub(crate) mod config;
pub(crate) mod gate;
pub(crate) mod mailbox;
pub(crate) mod people;
pub(crate) mod postgres;
pub(crate) mod readings;
pub(crate) mod recorder;
pub(crate) mod redis;
pub(crate) mod script;
pub(crate) mod socket;
pub(crate) mod spellings;
pub(crate) mod twins;
pub(crate) mod visitor;
pub(crate) mod websocket;
pub(crate) mod wire;

use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

use tokio::runtime::Runtime;

/// How long anything may take before a test calls it a hang.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Where the applications behind the gateways run: apart from the tests' own runtimes, so that a gateway can be shared by several tests.
pub(crate) static BACKSTAGE: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
});

/// Waits until `condition` holds, and says what did not happen when it never does.
#[track_caller]
pub(crate) fn eventually(what: &str, condition: impl FnMut() -> bool) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    let what = what.to_owned();
    let mut condition = condition;
    async move {
        let deadline = Instant::now() + DEADLINE;
        while !condition() {
            assert!(Instant::now() < deadline, "{caller}: never happened: {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
