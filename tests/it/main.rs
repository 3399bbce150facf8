//! What Vestibule does, seen from outside: the real program over real sockets, with an application behind it that records every byte.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed; the harness is part of the tests"
)]
#![expect(clippy::print_stderr, reason = "a failed test shows the gateway's log")]
#![expect(
    clippy::disallowed_methods,
    reason = "tests stand outside: their deadlines read the real clock, their files need no atomic writes"
)]

mod access;
mod admin;
mod allowed_in_path;
mod configuration;
mod cookies;
mod crashes;
mod disk_full;
mod durability;
mod faults;
mod forwarding;
mod framing;
mod harness;
mod identity;
mod import;
mod limits;
mod lockout;
mod logging;
mod login;
mod mail;
mod messages;
mod next;
mod open_sockets;
mod open_streams;
mod password_change;
mod password_reset;
mod passwords;
mod paths;
mod profiles;
mod proxying;
mod registration;
mod revocation;
mod session_api;
mod session_commands;
mod session_copy;
mod session_data;
mod sessions;
mod shared_store;
mod shared_use;
mod sites;
mod streaming;
mod support;
mod tunnels;
mod user_database;
