//! A disk that takes nothing more: nobody can log in, whoever is logged in stays so, and all is well again when there is room.

use std::{fs, path::Path, process::Command};

use rustix::process::{Resource, Rlimit};

use crate::support::{
    config::town_and, eventually, gate::Gate, people::PASSWORD, recorder::Recorder, script::Script,
    visitor::Visitor,
};

const ADMIN: &str = "[admin]\nlisten = \"127.0.0.1:0\"";

/// The largest size of a file that the gateway may still write to: none that it has.
fn limit_files(gate: &Gate, limit: Option<u64>) {
    let limit = Rlimit { current: limit, maximum: None };
    rustix::process::prlimit(Some(gate.pid()), Resource::Fsize, limit).unwrap();
}

fn announce(gate: &Gate) {
    gate.announce("sessions cannot be written to disk");
}

async fn health(gate: &Gate) -> String {
    Visitor::new(gate.admin_address()).get("/healthz").await.text()
}

async fn is_durable(gate: &Gate) -> bool {
    let metrics = Visitor::new(gate.admin_address()).get("/metrics").await.text();
    let line = metrics.lines().find(|line| line.starts_with("vestibule_sessions_durable "));
    line.unwrap_or_else(|| panic!("{metrics}")).ends_with(" 1.0")
}

fn count(gate: &Gate, text: &str) -> usize {
    gate.log().iter().filter(|line| line.contains(text)).count()
}

async fn cannot_log_in(gate: &Gate, name: &str) {
    let mut visitor = gate.visitor();
    let answer = visitor.tries_to_log_in(name, PASSWORD, "/private/").await;
    answer.is_refused_with(503);
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    assert_eq!(answer.sets_cookie("sessionid"), None, "a cookie that may be worth nothing");
}

/// What must hold on a gateway whose disk has just become full, until `make_room` has worked.
async fn bears_a_full_disk(gate: &mut Gate, make_room: impl FnOnce(&Gate)) {
    announce(gate);
    let ada = gate.sign_in("ada").await;
    let mut bob = gate.sign_in("bob").await;
    assert_eq!(health(gate).await, "ok\n");
    assert!(is_durable(gate).await);

    fill_by_logins(gate).await;
    for _ in 0..3 {
        cannot_log_in(gate, "alice").await;
        ada.get("/private/").await.is_forwarded_as("ada");
    }
    assert!(health(gate).await.starts_with("degraded: "), "{}", health(gate).await);
    assert!(!is_durable(gate).await);
    // A logout ends the session, and says that it may not last.
    let before = bob.clone();
    let page = bob.get("/accounts/logout/").await;
    bob.keeps(&page);
    let token = crate::support::visitor::form_token(&page.text());
    let answer = bob.posts("/accounts/logout/", &[("csrfmiddlewaretoken", &token)]).await;
    answer.is_refused_with(503);
    before.get("/private/").await.asks_to_log_in("/private/");

    make_room(gate);
    heals(gate).await;
    let alice = gate.sign_in("alice").await;
    assert_eq!(health(gate).await, "ok\n");
    assert!(is_durable(gate).await);
    assert_eq!(count(gate, "sessions cannot be written to disk: "), 1, "one line when it breaks");
    assert_eq!(count(gate, "sessions are written to disk again"), 1, "one when it heals");
    gate.is_killed();
    gate.starts_again().await;
    ada.through(gate.address).get("/private/").await.is_forwarded_as("ada");
    alice.through(gate.address).get("/private/").await.is_forwarded_as("alice");
    before.through(gate.address).get("/private/").await.asks_to_log_in("/private/");
}

/// Logs in until that cannot be kept: the page that the journal's end is on may have room left.
async fn fill_by_logins(gate: &Gate) {
    for _ in 0..500 {
        let answer = gate.visitor().tries_to_log_in("carl", PASSWORD, "/private/").await;
        match answer.status {
            503 => return,
            302 | 303 => {}
            _ => panic!("{answer:?}"),
        }
    }
    panic!("the disk does not become full");
}

async fn heals(gate: &Gate) {
    eventually("sessions are written again", || count(gate, "written to disk again") > 0).await;
}

#[tokio::test]
async fn files_that_may_not_grow_are_borne_and_healed_from() {
    let mut gate = Gate::start(&town_and(ADMIN)).await;
    // The users' database cannot be written either.
    gate.announce("recorded");
    announce(&gate);
    let ada = gate.sign_in("ada").await;
    let journal = gate.directory().join("var/sessions/journal-00000001");
    // Within one of the next logins, so that part of it is written.
    limit_files(&gate, Some(journal.metadata().unwrap().len() + 250));
    fill_by_logins(&gate).await;
    ada.get("/private/").await.is_forwarded_as("ada");
    cannot_log_in(&gate, "bob").await;
    limit_files(&gate, None);
    heals(&gate).await;
    let bob = gate.sign_in("bob").await;
    gate.is_killed();
    gate.starts_again().await;
    ada.through(gate.address).get("/private/").await.is_forwarded_as("ada");
    bob.through(gate.address).get("/private/").await.is_forwarded_as("bob");
}

#[tokio::test]
async fn what_an_application_sets_on_a_full_disk_is_a_503_and_not_lost_silently() {
    let trust = "[upstream_defaults]\ntrust_responses = true\n[identity]\nheaders = { \"X-Color\" = \"{{ session.fav_color }}\" }\n";
    let mut gate = Gate::start(&town_and(&format!("{ADMIN}\n{trust}"))).await;
    gate.announce("recorded");
    announce(&gate);
    let script = Script::echo_with("Vestibule-Session-Set: fav_color=blue\r\n");
    for target in ["/private/blue", "/public/blue"] {
        gate.upstream.on(target, script.clone());
    }
    let ada = gate.sign_in("ada").await;
    let journal = gate.directory().join("var/sessions/journal-00000001");
    limit_files(&gate, Some(journal.metadata().unwrap().len()));
    for _ in 0..3 {
        let refused = ada.get("/private/blue").await;
        refused.is_refused_with(503);
        assert!(refused.header("retry-after").is_some(), "{refused:?}");
        assert_eq!(refused.sets_cookie("sessionid"), None, "{refused:?}");
        // Nor does anybody get a session that may be nothing tomorrow.
        let refused = gate.visitor().get("/public/blue").await;
        refused.is_refused_with(503);
        assert_eq!(refused.sets_cookie("sessionid"), None, "{refused:?}");
    }
    ada.get("/private/").await.is_forwarded_as("ada");
    assert_eq!(count(&gate, "ERROR"), 1, "one line when it breaks: {:#?}", gate.log());
    let metrics = Visitor::new(gate.admin_address()).get("/metrics").await.text();
    let failed = "vestibule_session_changes_total{outcome=\"failed\"} 6";
    assert!(metrics.contains(failed), "{metrics}");
    assert!(health(&gate).await.starts_with("degraded: "));

    limit_files(&gate, None);
    heals(&gate).await;
    ada.get("/private/blue").await.is_forwarded_as("ada");
    gate.is_killed();
    gate.starts_again().await;
    let answer = ada.through(gate.address).get("/private/").await;
    assert_eq!(answer.is_forwarded_as("ada").folded("x-color"), ["blue"]);
}

/// A file system of its own, unmounted in the end.
struct Mounted<'p>(&'p Path);

impl<'p> Mounted<'p> {
    fn new(path: &'p Path) -> Option<Self> {
        fs::create_dir_all(path).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs"])
            .arg(path)
            .output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(path))
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        // Lazily: the gateway that a failed test leaves behind may still be there.
        drop(Command::new("umount").arg("-l").arg(self.0).output());
    }
}

#[tokio::test]
async fn full_file_system_is_borne_and_healed_from() {
    let directory = tempfile::tempdir().unwrap();
    let sessions = directory.path().join("var/sessions");
    // Needs the right to mount; the test above needs none.
    let Some(_mounted) = Mounted::new(&sessions) else { return };
    let mut gate = Gate::start_in(directory, Recorder::start(), &town_and(ADMIN)).await;
    let filler = sessions.join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
    // An open file keeps its room when it is removed.
    drop(file);
    bears_a_full_disk(&mut gate, |_| fs::remove_file(&filler).unwrap()).await;
}
