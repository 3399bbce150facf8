//! Who lives in the tests' town. Made once with the command line, then copied into the state of each gateway.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{LazyLock, Mutex},
    time::SystemTime,
};

use super::config;

/// Everybody's password.
pub(crate) const PASSWORD: &str = "lantern-gravel-4711";

/// A person and what sets them apart.
pub(crate) const PEOPLE: [(&str, &[&str]); 8] = [
    (
        "ada",
        &[
            "--group",
            "Site editors",
            "--permission",
            "polls.can_vote",
            "--email",
            "ada@example.org",
            "--first-name",
            "Ada",
            "--last-name",
            "Lovelace",
        ],
    ),
    ("bob", &[]),
    ("alice", &["--permission", "site.administer"]),
    (
        "carl",
        &[
            "--permission",
            "polls.add_choice",
            "--permission",
            "polls.change_poll",
            "--group",
            "Site editors",
        ],
    ),
    ("dora", &["--permission", "polls.add_choice"]),
    ("stella", &["--staff"]),
    ("root", &["--superuser", "--staff"]),
    ("ivy", &[]),
];

pub(crate) fn vestibule() -> Command {
    Command::new(env!("CARGO_BIN_EXE_vestibule"))
}

/// Runs a command of the program in `directory`, with its standard input.
pub(crate) fn run(directory: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = vestibule()
        .args(arguments)
        .args(["--config", "vestibule.toml"])
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that does not read its input closes the pipe; its exit code tells whether it minded.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    child.wait_with_output().unwrap()
}

/// As `run`, and the command must succeed.
#[track_caller]
pub(crate) fn run_well(directory: &Path, arguments: &[&str], input: &str) -> String {
    let output = run(directory, arguments, input);
    assert!(
        output.status.success(),
        "`vestibule {}` failed ({}): {}",
        arguments.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Puts the people into the state directory of a gateway that has not started yet.
pub(crate) fn settle_in(directory: &Path) {
    static MADE: LazyLock<Mutex<Option<PathBuf>>> = LazyLock::new(Mutex::default);
    // A maker that failed poisons nothing: the next test tries, and tells, again.
    let mut made = MADE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let town = made.get_or_insert_with(found_town).clone();
    drop(made);
    copy(&town.join("var"), &directory.join("var"));
}

/// The directory with everybody's accounts: kept between runs, made anew when the program or the tests were built anew.
fn found_town() -> PathBuf {
    let stamp = |path: &Path| {
        fs::metadata(path)
            .unwrap()
            .modified()
            .unwrap()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_nanos()
    };
    let name = format!(
        "town-{}-{}",
        stamp(Path::new(env!("CARGO_BIN_EXE_vestibule"))),
        stamp(&std::env::current_exe().unwrap())
    );
    let home = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let town = home.join(name);
    if !town.exists() {
        let building = tempfile::tempdir_in(home).unwrap();
        build(building.path());
        // Another process may have been quicker with the same content.
        if fs::rename(building.path(), &town).is_ok() {
            drop(building.keep());
        }
    }
    town
}

fn build(directory: &Path) {
    fs::write(
        directory.join("vestibule.toml"),
        config::complete(config::TOWN, "http://127.0.0.1:9"),
    )
    .unwrap();
    run_well(directory, &["group", "create", "Site editors"], "");
    for permission in ["site.administer", "polls.can_vote", "polls.add_choice", "polls.change_poll"]
    {
        // Declared ones may exist already: commands declare what the file declares.
        drop(run(directory, &["permission", "create", permission, "made for the tests"], ""));
    }
    for (name, more) in PEOPLE {
        let arguments: Vec<&str> =
            ["user", "create", name, "--password-stdin"].iter().chain(more).copied().collect();
        run_well(directory, &arguments, &format!("{PASSWORD}\n"));
    }
    run_well(directory, &["user", "set", "ivy", "is_active=false"], "");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        let target = to.join(entry.file_name());
        if kind.is_dir() {
            copy(&entry.path(), &target);
        } else if kind.is_file() {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
