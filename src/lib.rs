//! Vestibule, a reverse-proxy authentication gateway: it stands in front of applications that know
//! nothing of users, and gives them what Django gives its own views.
//!
//! # The words
//!
//! A *visitor* is whoever sends a request: anonymous, or signed in. A *session* is a login that
//! has not ended, or what an application keeps of a *guest*, who is anonymous; its *id* is the secret in the cookie, its *key* a digest of that. An *identity*
//! is a live session's user as of now. A *rule* is one entry under `paths`, a *site* a host name
//! and its rules, an *upstream* an application. A *refusal* is every answer that the gateway gives
//! instead of the application's. A *worker* is one thread that proxies.
//!
//! # The layers
//!
//! A directory is a layer, and may use those below it:
//!
//! | layer | is for |
//! |---|---|
//! | [`cli`] | one file for each command; the only place that prints |
//! | [`config`] | from the file to settings, or every problem in it at once |
//! | [`server`] | sockets, threads, signals, reload, the state directory |
//! | [`gateway`] | the life of one request, in order |
//! | [`pages`] | what the gateway answers itself: login, logout, profile, sessions, setup, refusals |
//! | [`upstream`] | the single door to applications |
//! | [`web`] | HTTP vocabulary: headers, cookies, forms, bodies |
//! | [`sessions`] | who is logged in, between requests |
//! | [`accounts`] | users, groups and permissions in a database; password hashing |
//! | [`mail`] | letters to people: a queue on disk, and what sends from it |
//! | [`telemetry`] | counters and the access log |
//! | [`domain`] | what Vestibule knows and decides, free of I/O, clocks and HTTP |
//!
//! # Where to begin
//!
//! With [`domain`], for the values that are evidence of a decision; then with `gateway/mod.rs`,
//! where the life of a request stands in one function. `ARCHITECTURE.md` walks through the rest.

pub mod accounts;
pub mod cli;
pub mod config;
pub mod domain;
pub mod gateway;
pub mod mail;
pub mod pages;
pub mod server;
pub mod sessions;
pub mod telemetry;
pub mod upstream;
pub mod web;
