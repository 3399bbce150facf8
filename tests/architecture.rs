//! Holds `src/` to its architecture: which layer may look at which, where each crate may be used,
//! who may make evidence, and how long a file may be. `ARCHITECTURE.md` says why.
//!
//! The tables come first. How the source is read stands in `architecture/source.rs`, and
//! `architecture/the_checker.rs` shows that what is wrong is found.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use source::{module, paths, tokens, without_tests};

#[path = "architecture/source.rs"]
mod source;
#[path = "architecture/the_checker.rs"]
mod the_checker;

/// Which layer may use which: the edges of `main → cli → config → server → gateway → pages →
/// upstream → web → domain`, with `sessions`, `accounts`, `mail` and `telemetry` beside it on `domain`.
const LAYERS: [(&str, &str); 12] = [
    ("cli", "config server gateway pages upstream web sessions accounts mail telemetry domain"),
    ("config", "server gateway pages upstream web sessions accounts mail telemetry domain"),
    ("server", "gateway pages upstream web sessions accounts mail telemetry domain"),
    ("gateway", "pages upstream web sessions accounts mail telemetry domain"),
    ("pages", "web sessions accounts mail domain"),
    ("upstream", "web domain"),
    ("web", "domain"),
    ("sessions", "domain"),
    ("accounts", "domain"),
    ("mail", "domain"),
    ("telemetry", "domain"),
    ("domain", ""),
];

/// A path that one file may use although its layer may not: the file, the path, the reason.
const LEAVE: [(&str, &str, &str); 2] = [
    ("web/cookie.rs", "crate::sessions::CookieSettings", "`[sessions]` owns the cookie's settings"),
    ("web/cookie.rs", "crate::sessions::SameSite", "the same"),
];

/// Where a crate, or a part of one, may be used: a layer, or a file with its path.
const CRATES: &[(&str, &[&str])] = &[
    ("sqlx", &["accounts"]),
    ("argon2", &["accounts"]),
    // For what Django has hashed: neither is good for anything else.
    ("pbkdf2", &["accounts/password"]),
    ("scrypt", &["accounts/password"]),
    ("bcrypt", &["accounts/password"]),
    ("sha1", &["accounts/password"]),
    ("md5", &["accounts/password"]),
    ("rustix::process", &["accounts", "cli/demo.rs", "sessions/disk/snapshot.rs"]),
    ("rustix::thread", &["accounts", "sessions/disk/snapshot.rs"]),
    ("dashmap", &["accounts"]),
    ("papaya", &["sessions/map.rs"]),
    ("postcard", &["sessions/disk"]),
    ("crc32fast", &["sessions/disk"]),
    ("redis", &["sessions/shared"]),
    ("lettre", &["mail"]),
    ("indicatif", &["cli"]),
    ("hyper::client", &["upstream", "cli/remote.rs"]),
    ("hyper::server", &["server", "cli/demo.rs", "cli/demo"]),
    ("tokio_tungstenite", &["cli/demo.rs", "cli/demo"]),
    ("minijinja", &["web", "pages", "cli/demo"]),
    ("toml", &["config"]),
    ("annotate_snippets", &["config"]),
    ("strsim", &["config", "accounts"]),
    ("clap", &["cli"]),
    ("comfy_table", &["cli"]),
    ("rpassword", &["cli"]),
    ("prometheus_client", &["telemetry"]),
    ("sd_notify", &["server"]),
    ("listenfd", &["server"]),
];

/// What `domain` may not touch: it does no I/O, reads no clock and knows no HTTP.
const NOT_IN_DOMAIN: [&str; 20] = [
    "bytes",
    "cookie",
    "getrandom",
    "http",
    "http_body",
    "http_body_util",
    "hyper",
    "hyper_util",
    "serde",
    "serde_json",
    "socket2",
    "std::fs",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::UdpSocket",
    "std::os",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "tokio",
];

/// Who may make evidence, and who may see the secret of a session: the end of a path, and the
/// layers or files that may write it.
const MAKERS: [(&str, &[&str]); 7] = [
    // Who may enter the administration; and once more, where commands are carried out.
    ("StaffMember::confirm", &["pages/admin/mod.rs", "accounts/warrant.rs"]),
    ("Verified::check", &["accounts"]),
    ("Session::begin", &["sessions"]),
    ("Session::restore", &["sessions"]),
    ("Identity::confirm", &["gateway/visitor.rs"]),
    // The administration asks what rules would say of somebody, and shows that.
    ("Identity::assumed", &["cli", "config", "domain/identity.rs", "pages/admin/rules.rs"]),
    ("SessionId::reveal", &["web/cookie.rs", "domain"]),
];

/// Layers that reveal secrets of their own, the hashes of passwords, and so may not know this one.
const NO_SESSION_ID: [&str; 1] = ["accounts"];

/// The types that are evidence, which nobody may rename: a new name would hide their makers.
const EVIDENCE: [&str; 8] = [
    "RequestPath",
    "Verified",
    "Session",
    "Identity",
    "Permitted",
    "SessionId",
    "StaffMember",
    "Allowed",
];

const MOST_LINES: usize = 400;

#[test]
fn the_source_keeps_to_its_architecture() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files).unwrap();
    assert!(files.len() > 30, "only {} files were found below {}", files.len(), root.display());
    let mut report = String::new();
    for file in &files {
        let name = file.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
        for violation in violations(&name, &fs::read_to_string(file).unwrap()) {
            writeln!(report, "  src/{name}: {violation}").unwrap();
        }
    }
    assert!(report.is_empty(), "the architecture is broken:\n{report}");
}

#[test]
fn every_directory_is_a_layer() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in fs::read_dir(root).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            assert!(LAYERS.iter().any(|(layer, _)| *layer == name), "`{name}` is in no table");
        } else {
            assert!(["main.rs", "lib.rs"].contains(&&*name), "`{name}` belongs in a layer");
        }
    }
}

/// Every Rust file below `directory` that is not one of tests.
fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.file_stem().is_some_and(|stem| stem == "tests") {
            continue;
        }
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// What is wrong with the file `name`, a path below `src/`.
fn violations(name: &str, source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let lines = source.lines().position(|line| line == "#[cfg(test)]");
    let lines = lines.unwrap_or_else(|| source.lines().count());
    if lines > MOST_LINES {
        found.push(format!("{lines} lines before its tests; a second concept has moved in"));
    }
    if name.ends_with("/mod.rs") && !source.starts_with("//!") {
        found.push("does not begin with `//!`, saying what belongs here".to_owned());
    }

    let tokens = without_tests(&tokens(source));
    let layer = name.split_once('/').map_or("", |(layer, _)| layer);
    for path in paths(&tokens, &module(name)) {
        check_layer(name, layer, &path, &mut found);
        for (part, places) in CRATES {
            if is_below(&path, part) && !is_at(name, places) {
                found.push(format!("`{path}`: `{part}` is for {places:?} alone"));
            }
        }
        if layer == "domain" && NOT_IN_DOMAIN.iter().any(|part| is_below(&path, part)) {
            found.push(format!("`{path}` has no place in `domain`"));
        }
        for (maker, places) in MAKERS {
            if format!("::{path}").ends_with(&format!("::{maker}")) && !is_at(name, places) {
                found.push(format!("`{path}`: only {places:?} may call `{maker}`"));
            }
        }
    }
    if NO_SESSION_ID.contains(&layer) && tokens.iter().any(|token| token == "SessionId") {
        found.push(format!("`SessionId` is not for `{layer}`"));
    }
    for window in tokens.windows(3) {
        let [before, word, after] = [&*window[0], &*window[1], &*window[2]];
        if EVIDENCE.contains(&before) && word == "as" {
            found.push(format!("renames `{before}`, which hides its makers"));
        }
        if word == "Permitted"
            && after == "{"
            && before != "struct"
            && name != "domain/authorize.rs"
        {
            found.push("makes a `Permitted` without `authorize`".to_owned());
        }
        if before == "."
            && word == "reveal"
            && after == "("
            && !is_at(name, &["web/cookie.rs", "domain", "accounts"])
        {
            found.push("reveals the secret of a session".to_owned());
        }
    }
    found.sort();
    found.dedup();
    found
}

fn check_layer(name: &str, layer: &str, path: &str, found: &mut Vec<String>) {
    let mut segments = path.split("::");
    let (Some("crate" | "vestibule"), Some(used)) = (segments.next(), segments.next()) else {
        return;
    };
    if name == "lib.rs" || used == layer || LEAVE.iter().any(|l| l.0 == name && l.1 == path) {
        return;
    }
    if name == "main.rs" {
        if used != "cli" {
            found.push(format!("`{path}`: `main` may use `cli` alone"));
        }
        return;
    }
    if layer.is_empty() || !LAYERS.iter().any(|(known, _)| *known == used) {
        found.push(format!("`{path}` is in no layer"));
    } else if !may_use(layer, used) {
        found.push(format!("`{path}`: `{layer}` may not use `{used}`"));
    }
}

fn may_use(layer: &str, used: &str) -> bool {
    LAYERS.iter().any(|(above, below)| *above == layer && below.split(' ').any(|name| name == used))
}

fn is_below(path: &str, part: &str) -> bool {
    path.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn is_at(name: &str, places: &[&str]) -> bool {
    places.iter().any(|place| {
        name == *place || name.strip_prefix(place).is_some_and(|rest| rest.starts_with('/'))
    })
}
