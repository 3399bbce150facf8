//! What is wrong is found, and what is right is left alone.

use super::violations;

fn is_refused(name: &str, source: &str, because: &str) {
    let found = violations(name, source);
    assert!(found.iter().any(|why| why.contains(because)), "{source}: {found:?}");
}

fn is_fine(name: &str, source: &str) {
    assert_eq!(violations(name, source), Vec::<String>::new(), "{source}");
}

#[test]
fn sees_a_layer_that_looks_up() {
    for source in [
        "use crate::gateway::Gateway;",
        "use crate::{domain::User, gateway};",
        "use crate::{domain::{User, path::RequestPath}, gateway::{Worker as W}};",
        "fn f() { crate::gateway::run() }",
        "use super::super::gateway::Gateway;",
        "pub(crate) use crate::gateway as other;",
        "fn f() -> u8 { return ::vestibule::gateway::run() }",
        "type T = Vec<crate::gateway::Gateway>;",
        "#[doc = \"x\"] use ::vestibule::gateway::Gateway;",
    ] {
        is_refused("web/body.rs", source, "`web` may not use `gateway`");
    }
    is_refused("main.rs", "fn main() { vestibule::server::run() }", "`cli` alone");
    is_refused("pages/login.rs", "use crate::upstream::forward;", "may not use `upstream`");
    is_refused("web/body.rs", "use crate::sessions::CookieSettings;", "may not use");
    is_refused("web/body.rs", "use crate::utils::x;", "in no layer");
    is_fine("gateway/mod.rs", "//! Order.\nuse crate::{domain::User, pages, web::body};");
    is_fine("web/body.rs", "use super::cookie; use crate::web::form;");
}

#[test]
fn overlooks_comments_texts_and_tests() {
    is_fine("domain/rule.rs", "// use crate::web::x;\n/* tokio::spawn /* */ hyper::x */");
    is_fine("domain/rule.rs", "/// [`Body`](crate::web::body)\nfn f() {}");
    is_fine("domain/rule.rs", "const A: &str = \"crate::web::x \\\" std::fs::read\";");
    is_fine("domain/rule.rs", "const A: &str = r#\"crate::web \" tokio::x\"#;");
    is_fine("domain/rule.rs", "#[cfg(test)]\nmod tests { fn f() { std::fs::read(x) } }");
    is_fine("web/cookie.rs", "const Q: char = '\"'; use crate::domain::X; const P: char = '\\'';");
    is_refused(
        "domain/rule.rs",
        "#[cfg(test)]\nmod tests { fn f() {} }\nuse std::fs;",
        "no place in `domain`",
    );
    is_refused("domain/rule.rs", "fn f<'a>(x: &'a u8) { std::fs::read(x) }", "no place");
}

#[test]
fn sees_a_crate_out_of_its_place() {
    is_refused("web/body.rs", "use sqlx::Row;", "`sqlx` is for");
    is_refused("gateway/mod.rs", "//! x\nuse hyper::{body::Incoming, client::conn};", "client");
    is_refused("cli/serve.rs", "fn f() { hyper::server::conn::http1::Builder::new() }", "server");
    is_refused("pages/login.rs", "#[derive(clap::Parser)] struct A;", "`clap` is for");
    is_fine("cli/remote.rs", "use hyper::client::conn::http1;");
    is_fine("web/body.rs", "use hyper::body::Incoming;");
    for source in [
        "use std::{fmt, fs};",
        "use std::time::SystemTime;",
        "use std::net::{IpAddr, TcpStream};",
        "use tokio;",
        "fn f() { http::Method::GET }",
        "#[derive(serde::Serialize)] struct A;",
    ] {
        is_refused("domain/rule.rs", source, "no place in `domain`");
    }
    is_fine("domain/rule.rs", "use std::{fmt, net::IpAddr, time::Duration};");
}

#[test]
fn sees_evidence_made_elsewhere() {
    is_refused("pages/login.rs", "fn f() { Session::begin(&v, now, l) }", "may call");
    is_refused("pages/login.rs", "fn f() { crate::domain::Verified::check(u) }", "may call");
    is_refused("gateway/mod.rs", "//! x\nfn f() { Identity::confirm(s) }", "may call");
    is_refused("server/mod.rs", "//! x\nfn f() { Identity::assumed(s) }", "may call");
    is_refused("gateway/told.rs", "fn f() { Permitted { request } }", "without `authorize`");
    is_refused("telemetry/metrics.rs", "fn f() { id.reveal() }", "secret of a session");
    is_refused("accounts/load.rs", "use crate::domain::SessionId;", "not for `accounts`");
    is_refused("pages/login.rs", "use crate::domain::Session as S;", "renames `Session`");
    is_refused("pages/login.rs", "use crate::domain::{Session as S};", "renames `Session`");
    is_fine("gateway/visitor.rs", "fn f() { Identity::confirm(s); id.revealed() }");
    is_fine("upstream/mod.rs", "//! x\nfn f(p: Permitted<R>) { Exchange::begin(p) }");
}

#[test]
fn sees_long_files_and_silent_directories() {
    let long = "fn f() {}\n".repeat(401);
    is_refused("web/body.rs", &long, "lines before its tests");
    let tests = "fn f() {}\n".repeat(399) + "#[cfg(test)]\nmod tests {\n" + &"\n".repeat(99) + "}";
    is_fine("web/body.rs", &tests);
    is_refused("web/mod.rs", "pub mod body;", "`//!`");
}
