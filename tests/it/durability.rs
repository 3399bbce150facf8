//! Sessions outlast the gateway, however it ends; what cannot be read is refused, and saved as far as it goes.

use std::{fs, io::Write, os::unix::fs::PermissionsExt, path::PathBuf, time::Duration};

use rustix::process::Signal;

use crate::support::{
    config::{TOWN, town_and},
    gate::Gate,
    script::{Latch, Script, Step},
    visitor::Visitor,
};

fn sessions(gate: &Gate) -> PathBuf {
    gate.directory().join("var/sessions")
}

fn files(gate: &Gate) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(sessions(gate))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Turns a bit of a file over, in the middle of it or where it is asked for.
fn spoil(gate: &Gate, name: &str, offset: Option<usize>) {
    let path = sessions(gate).join(name);
    let mut bytes = fs::read(&path).unwrap();
    let offset = offset.unwrap_or(bytes.len() / 2);
    bytes[offset] ^= 0x10;
    fs::File::create(path).unwrap().write_all(&bytes).unwrap();
}

async fn is_in(gate: &Gate, visitor: &Visitor, name: &str) {
    visitor.through(gate.address).get("/private/").await.is_forwarded_as(name);
}

async fn is_out(gate: &Gate, visitor: &Visitor) {
    visitor.through(gate.address).get("/private/").await.asks_to_log_in("/private/");
}

/// Starts a gateway that will not start, and gives what it says.
fn start_in_vain(gate: &Gate) -> String {
    let output = gate.try_run(&["serve"], "");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test]
async fn sessions_survive_a_stop_and_a_kill() {
    let mut gate = Gate::start(TOWN).await;
    let ada = gate.sign_in("ada").await;
    let mut bob = gate.sign_in("bob").await;
    let before = bob.clone();
    bob.logs_out().await;
    for signal in [Signal::KILL, Signal::TERM, Signal::KILL] {
        gate.signal(signal);
        gate.exits().await;
        gate.starts_again().await;
        is_in(&gate, &ada, "ada").await;
        is_out(&gate, &before).await;
    }
    assert!(gate.log().iter().any(|line| line.contains("the sessions were read sessions=1")));
}

#[tokio::test]
async fn session_that_ended_in_every_other_way_stays_ended_too() {
    let mut gate = Gate::start(TOWN).await;
    let mut ada = gate.sign_in("ada").await;
    let old = ada.clone();
    // A login replaces the session that the browser had.
    ada.logs_in("ada", crate::support::people::PASSWORD).await;
    let bob = gate.sign_in("bob").await;
    gate.run(&["user", "set", "bob", "is_active=false"]);
    is_out(&gate, &bob).await;
    gate.run(&["user", "set", "bob", "is_active=true"]);
    gate.is_killed();
    gate.starts_again().await;
    is_out(&gate, &old).await;
    is_out(&gate, &bob).await;
    is_in(&gate, &ada, "ada").await;
}

#[tokio::test]
async fn request_that_is_under_way_during_a_logout_and_a_kill_revives_nothing() {
    let mut gate = Gate::start(&town_and("[sessions]\nsave_every_request = true")).await;
    let ada = gate.sign_in("ada").await;
    let latch = Latch::new();
    gate.upstream
        .on("/private/held", Script::new([Step::Hold(latch.clone()), Step::Echo(String::new())]));
    let held = tokio::spawn({
        let ada = ada.clone();
        async move { ada.get("/private/held").await }
    });
    gate.upstream.sees("/private/held").await;
    ada.clone().logs_out().await;
    // It is answered as the next one would be, and the application's answer comes to nobody.
    held.await.unwrap().asks_to_log_in("/private/held");
    latch.open();
    is_out(&gate, &ada).await;
    gate.is_killed();
    gate.starts_again().await;
    is_out(&gate, &ada).await;
}

#[tokio::test]
async fn second_gateway_on_one_state_directory_refuses_to_start() {
    let gate = Gate::start(TOWN).await;
    let before = files(&gate);
    let error = start_in_vain(&gate);
    assert!(error.contains("another gateway is running with the state directory"), "{error}");
    let output = gate.try_run(&["session", "recover"], "");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(files(&gate), before, "neither has touched anything");
    gate.sign_in("ada").await;
}

#[tokio::test]
async fn files_are_private_and_hold_no_cookie() {
    let mut gate = Gate::start(TOWN).await;
    let ada = gate.sign_in("ada").await;
    let check = |gate: &Gate| {
        assert_eq!(sessions(gate).metadata().unwrap().permissions().mode() & 0o777, 0o700);
        for name in files(gate) {
            let path = sessions(gate).join(&name);
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{name}");
            let bytes = fs::read(path).unwrap();
            let id = ada.session();
            assert!(!bytes.windows(id.len()).any(|window| window == id.as_bytes()), "{name}");
        }
    };
    check(&gate);
    gate.signal(Signal::TERM);
    gate.exits().await;
    check(&gate);
    assert!(files(&gate).contains(&"snapshot-00000002".to_owned()), "{:?}", files(&gate));
    gate.starts_again().await;
    is_in(&gate, &ada, "ada").await;
}

#[tokio::test]
async fn torn_tail_is_cut_off_with_a_warning_that_says_how_much() {
    let mut gate = Gate::start(TOWN).await;
    let ada = gate.sign_in("ada").await;
    gate.is_killed();
    let journal = sessions(&gate).join("journal-00000001");
    let length = journal.metadata().unwrap().len();
    fs::OpenOptions::new().append(true).open(&journal).unwrap().write_all(&[0xF6; 17]).unwrap();
    gate.starts_again().await;
    let log = gate.log().join("\n");
    assert!(log.contains("WARN") && log.contains("journal-00000001"), "{log}");
    assert!(log.contains(&format!("offset={length} bytes=17")), "{log}");
    is_in(&gate, &ada, "ada").await;
    gate.is_killed();
    gate.starts_again().await;
    assert!(!gate.log().join("\n").contains("cut off"), "it is cut off once");
}

#[tokio::test]
async fn damaged_snapshot_is_refused_and_recovered_without_a_loss() {
    let mut gate = Gate::start(TOWN).await;
    let mut people = Vec::new();
    for name in ["ada", "bob", "alice"] {
        people.push((name, gate.sign_in(name).await));
        gate.signal(Signal::TERM);
        gate.exits().await;
        gate.starts_again().await;
        // Cookies of forms are for an address, too.
        for (_, visitor) in &mut people {
            *visitor = visitor.through(gate.address);
        }
    }
    gate.is_killed();
    let last = files(&gate).pop().unwrap();
    assert!(last.starts_with("snapshot-"), "{last}");
    spoil(&gate, &last, None);
    let error = start_in_vain(&gate);
    assert!(error.contains(&format!("var/sessions/{last}` is damaged at offset")), "{error}");
    assert!(error.contains("hint: `vestibule session recover`"), "{error}");
    let said = gate.run(&["session", "recover"]);
    assert!(said.contains(&last) && said.contains("saved: 3 sessions"), "{said}");
    assert!(said.contains("lost: nothing"), "{said}");
    gate.starts_again().await;
    for (name, visitor) in &people {
        is_in(&gate, visitor, name).await;
    }
}

#[tokio::test]
async fn damaged_journal_is_refused_and_recovered_as_far_as_it_can_be_read() {
    let mut gate = Gate::start(TOWN).await;
    let ada = gate.sign_in("ada").await;
    let bob = gate.sign_in("bob").await;
    let alice = gate.sign_in("alice").await;
    gate.is_killed();
    // Within the first frame: the login of ada.
    spoil(&gate, "journal-00000001", Some(40 + 28 + 5));
    let error = start_in_vain(&gate);
    assert!(error.contains("journal-00000001` is damaged at offset 40: "), "{error}");
    let said = gate.run(&["session", "recover"]);
    assert!(said.contains("saved: 2 sessions"), "{said}");
    assert!(said.contains("lost: what stood in"), "{said}");
    assert!(said.contains("journal-00000001.damaged"), "{said}");
    gate.starts_again().await;
    is_out(&gate, &ada).await;
    is_in(&gate, &bob, "bob").await;
    is_in(&gate, &alice, "alice").await;
    gate.is_killed();
    let said = gate.run(&["session", "recover"]);
    assert!(said.contains("nothing is damaged, 2 sessions can be read"), "{said}");
    let said = gate.run(&["session", "recover", "--discard"]);
    assert!(said.contains("the next start begins without any session"), "{said}");
    gate.starts_again().await;
    is_out(&gate, &bob).await;
}

#[tokio::test]
async fn each_way_to_keep_sessions_survives_a_kill() {
    for durability in ["always", "everysec", "process"] {
        let settings = format!("[sessions]\ndurability = \"{durability}\"");
        let mut gate = Gate::start(&town_and(&settings)).await;
        let ada = gate.sign_in("ada").await;
        gate.is_killed();
        gate.starts_again().await;
        is_in(&gate, &ada, "ada").await;
    }
}

#[tokio::test]
async fn snapshots_are_written_while_people_come_and_go() {
    let settings = "[sessions]\nsnapshot_interval = \"1s\"\n[admin]\nlisten = \"127.0.0.1:0\"";
    let mut gate = Gate::start(&town_and(settings)).await;
    let mut people = Vec::new();
    let deadline = std::time::Instant::now() + crate::support::DEADLINE;
    loop {
        people.push(gate.sign_in("ada").await);
        let metrics = Visitor::new(gate.admin_address()).get("/metrics").await.text();
        let value = |name: &str| {
            let line = metrics.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("no {name}: {metrics}")).trim().parse::<f64>().unwrap()
        };
        assert!((value("vestibule_sessions_durable ") - 1.0).abs() < 0.1);
        assert!(value("vestibule_sessions_journal_syncs_total ") > 0.0);
        if value("vestibule_sessions_snapshots_total ") >= 3.0 {
            assert!(value("vestibule_sessions_snapshot_bytes ") > 100.0);
            assert!(value("vestibule_sessions_snapshot_age_seconds ") < 60.0);
            break;
        }
        assert!(std::time::Instant::now() < deadline, "no snapshots: {metrics}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    gate.is_killed();
    gate.starts_again().await;
    for visitor in &people {
        is_in(&gate, visitor, "ada").await;
    }
    assert!(files(&gate).len() <= 6, "{:?}", files(&gate));
}
