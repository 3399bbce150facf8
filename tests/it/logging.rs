//! One request, one line: nothing that a stranger sends writes a line of its own, and no secret is written at all.

use crate::support::{config::TOWN, eventually, gate::Gate, people::PASSWORD, wire::get_with};

/// Waits for the line of a marked request and gives all that was written so far.
async fn lines_after(gate: &Gate, mark: &str) -> Vec<String> {
    gate.visitor().get(&format!("/public/{mark}")).await.is_forwarded();
    eventually("the access log has the request", || {
        gate.access_log().iter().any(|line| line.contains(mark))
    })
    .await;
    [gate.access_log(), gate.log()].concat()
}

#[tokio::test]
async fn every_request_is_one_line() {
    let gate = Gate::start(TOWN).await;
    for target in ["/public/one", "/private/two", "/a%2fthree", "/accounts/login/?four"] {
        gate.visitor().get(target).await;
    }
    lines_after(&gate, "the-end").await;
    let access = gate.access_log();
    for target in
        ["/public/one", "/private/two", "/a%2fthree", "/accounts/login/?four", "/public/the-end"]
    {
        assert_eq!(
            access.iter().filter(|line| line.contains(&format!(" {target} "))).count(),
            1,
            "{target}: {access:?}"
        );
    }
}

#[tokio::test]
async fn control_bytes_write_no_line_of_their_own() {
    let gate = Gate::start(TOWN).await;
    gate.hears(get_with("/public/%0aINFO%20admin%20logged%20in", "")).await;
    gate.hears(get_with(
        "/public/x",
        "User-Agent: a\"b\\c\x1b[31mINJECTED\r\nReferer: x\ty\"INJECTED\r\n",
    ))
    .await;
    gate.hears(get_with("/public/\x1b[2JINJECTED", "")).await;
    gate.visitor()
        .tries_to_log_in("x\r\nINFO INJECTED admin logged in\x1b[31m", PASSWORD, "/")
        .await;
    let lines = lines_after(&gate, "the-end").await;
    for line in &lines {
        assert!(
            line.chars().all(|character| !character.is_control() || character == '\t'),
            "a control character: {line:?}"
        );
        assert!(
            !line.starts_with("INFO INJECTED") && !line.trim_start().starts_with("INFO admin"),
            "{line:?}"
        );
    }
}

#[tokio::test]
async fn secrets_are_not_written() {
    let gate = Gate::start(TOWN).await;
    let mut ada = gate.visitor();
    ada.logs_in("ada", PASSWORD).await;
    let id = ada.session();
    ada.get("/private/").await;
    ada.tries_to_log_in("bob", "wrong-secret-5150", "/").await;
    let lines = lines_after(&gate, "the-end").await.join("\n");
    for secret in [PASSWORD, "wrong-secret-5150", id.as_str()] {
        assert!(!lines.contains(secret), "`{secret}` is in the log");
    }
}

#[tokio::test]
async fn session_ids_are_not_on_disk() {
    let gate = Gate::start(TOWN).await;
    let id = gate.sign_in("ada").await.session();
    let mut waiting = vec![gate.directory().to_path_buf()];
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.is_file() {
                assert!(
                    memchr::memmem::find(&std::fs::read(&path).unwrap(), id.as_bytes()).is_none(),
                    "{} has a live session id",
                    path.display()
                );
            }
        }
    }
}
