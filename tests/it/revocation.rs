//! What is taken away is gone with the next request, on every worker, however it was taken.

use crate::support::{
    config::{TOWN, town_and},
    gate::{Gate, Shared},
    people::PASSWORD,
    script::{Latch, Script, Step},
    visitor::Visitor,
};

static GATE: Shared = Shared::new(|| TOWN.to_owned());

/// A person made for one test, so that tests can share a gateway.
async fn somebody(gate: &Gate, name: &str, more: &[&str]) -> Visitor {
    let arguments: Vec<&str> =
        ["user", "create", name, "--password-stdin"].iter().chain(more).copied().collect();
    let made = gate.try_run(&arguments, &format!("{PASSWORD}\n"));
    assert!(made.status.success(), "{made:?}");
    gate.sign_in(name).await
}

async fn is_out(visitor: &Visitor) {
    for _ in 0..8 {
        visitor.get("/private/").await.asks_to_log_in("/private/");
    }
}

#[tokio::test]
async fn deactivated_user_is_out_at_once() {
    let gate = GATE.gate().await;
    let eve = somebody(&gate, "eve", &[]).await;
    eve.get("/private/").await.is_forwarded_as("eve");
    gate.run(&["user", "set", "eve", "is_active=false"]);
    is_out(&eve).await;
    let answer = gate.visitor().tries_to_log_in("eve", PASSWORD, "/").await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn deleted_user_is_out_at_once() {
    let gate = GATE.gate().await;
    let fay = somebody(&gate, "fay", &[]).await;
    gate.run(&["user", "delete", "fay"]);
    is_out(&fay).await;
    // Somebody new of the same name is somebody else.
    let new = somebody(&gate, "fay", &[]).await;
    new.get("/private/").await.is_forwarded_as("fay");
    is_out(&fay).await;
}

#[tokio::test]
async fn changed_password_ends_every_session() {
    let gate = GATE.gate().await;
    let gus = somebody(&gate, "gus", &[]).await;
    let other = gate.sign_in("gus").await;
    let changed =
        gate.try_run(&["user", "set-password", "gus", "--password-stdin"], "granite-window-9182\n");
    assert!(changed.status.success(), "{changed:?}");
    is_out(&gus).await;
    is_out(&other).await;
    gate.visitor().logs_in("gus", "granite-window-9182").await;
}

#[tokio::test]
async fn revoked_permission_counts_with_the_next_request_and_so_does_a_granted_one() {
    let gate = GATE.gate().await;
    let hal = somebody(&gate, "hal", &["--permission", "site.administer"]).await;
    hal.get("/admin/").await.is_forwarded_as("hal");
    gate.run(&["permission", "revoke", "site.administer", "--user", "hal"]);
    for _ in 0..8 {
        hal.get("/admin/").await.is_refused_with(403);
    }
    gate.run(&["permission", "grant", "site.administer", "--user", "hal"]);
    for _ in 0..8 {
        hal.get("/admin/").await.is_forwarded_as("hal");
    }
}

#[tokio::test]
async fn membership_of_a_group_counts_with_the_next_request() {
    let gate = GATE.gate().await;
    let ida = somebody(&gate, "ida", &[]).await;
    ida.get("/reports/").await.is_refused_with(403);
    gate.run(&["group", "add", "Site editors", "ida"]);
    let echo = ida.get("/reports/").await.is_forwarded_as("ida");
    assert_eq!(echo.folded("remote-groups"), ["Site editors"]);
    gate.run(&["group", "remove", "Site editors", "ida"]);
    for _ in 0..8 {
        ida.get("/reports/").await.is_refused_with(403);
    }
}

#[tokio::test]
async fn permission_of_a_group_counts_for_its_members() {
    let gate = GATE.gate().await;
    gate.run(&["group", "create", "Wardens"]);
    let jan = somebody(&gate, "jan", &["--group", "Wardens"]).await;
    jan.get("/admin/").await.is_refused_with(403);
    gate.run(&["permission", "grant", "site.administer", "--group", "Wardens"]);
    jan.get("/admin/").await.is_forwarded_as("jan");
    gate.run(&["permission", "revoke", "site.administer", "--group", "Wardens"]);
    jan.get("/admin/").await.is_refused_with(403);
    gate.run(&["permission", "grant", "site.administer", "--group", "Wardens"]);
    gate.run(&["group", "delete", "Wardens"]);
    jan.get("/admin/").await.is_refused_with(403);
}

#[tokio::test]
async fn staff_and_superuser_flags_count_with_the_next_request() {
    let gate = GATE.gate().await;
    let kim = somebody(&gate, "kim", &["--staff", "--superuser"]).await;
    kim.get("/staff/").await.is_forwarded_as("kim");
    kim.get("/super/").await.is_forwarded_as("kim");
    kim.get("/admin/").await.is_forwarded_as("kim");
    gate.run(&["user", "set", "kim", "is_staff=false", "is_superuser=false"]);
    for target in ["/staff/", "/super/", "/admin/"] {
        kim.get(target).await.is_refused_with(403);
    }
}

#[tokio::test]
async fn held_request_does_not_bring_a_session_back() {
    let gate = Gate::start(&town_and("[sessions]\nsave_every_request = true")).await;
    let mut lea = somebody(&gate, "lea", &[]).await;
    let before = lea.clone();
    let latch = Latch::new();
    gate.upstream.on(
        "/private/slow",
        Script::new([
            Step::Hold(latch.clone()),
            Step::Echo("Vestibule-Session-Set: color=red\r\n".to_owned()),
        ]),
    );
    let held = before.clone();
    let request = tokio::spawn(async move { held.get("/private/slow").await });
    gate.upstream.sees("/private/slow").await;
    lea.logs_out().await;
    latch.open();
    // Its answer may be cut off with its session, which is why only the outcome of the next requests is asked for.
    drop(request.await);
    is_out(&before).await;
}

#[tokio::test]
async fn no_request_passes_after_the_logout_was_answered() {
    let gate = Gate::start(TOWN).await;
    let mut max = somebody(&gate, "max", &[]).await;
    let before = max.clone();
    let mut load = tokio::task::JoinSet::new();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    for _ in 0..4 {
        let (visitor, stop, address) = (before.clone(), std::sync::Arc::clone(&stop), gate.address);
        load.spawn(async move {
            while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                let mut wire = crate::support::wire::Wire::connect(address).await;
                drop(visitor.asks_on(&mut wire, "/private/load").await);
            }
        });
    }
    gate.upstream.sees("/private/load").await;
    max.logs_out().await;
    for _ in 0..50 {
        before.get("/private/after").await.asks_to_log_in("/private/after");
    }
    stop.store(true, std::sync::atomic::Ordering::SeqCst);
    while let Some(done) = load.join_next().await {
        done.unwrap();
    }
    assert!(gate.upstream.requests_for("/private/after").is_empty());
}

#[tokio::test]
async fn logout_by_one_browser_is_final_for_its_copied_cookie() {
    let gate = GATE.gate().await;
    let mut ned = somebody(&gate, "ned", &[]).await;
    let copied = ned.clone();
    let answer = ned.logs_out().await;
    assert!(ned.cookie("sessionid").is_none(), "the browser is told to forget: {answer:?}");
    is_out(&copied).await;
}
