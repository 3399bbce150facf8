//! The command line: one file per command, and the only place that prints.

mod account_lookup;
mod check;
mod demo;
mod explain;
mod explanation;
mod export;
mod group;
mod import;
mod invitation;
mod lockout;
mod long_list;
mod mail;
mod message;
mod output;
mod page;
mod password;
mod permission;
mod progress;
mod registration;
mod reload;
mod remote;
mod serve;
mod session;
mod user;
mod words;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{self, Configuration};
use crate::domain::Timestamp;

/// Vestibule, a reverse-proxy authentication gateway.
#[derive(Debug, Parser)]
#[command(version, about, arg_required_else_help = true, propagate_version = true)]
struct Arguments {
    /// The configuration [default: ./vestibule.toml, then /etc/vestibule/vestibule.toml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway
    Serve(serve::Arguments),
    /// Run a sample application with the gateway in front of it
    Demo(demo::Arguments),
    /// Tell whether the configuration is right, and run its tests
    Check(check::Arguments),
    /// Tell which rule decides on a request, and why
    Explain(explain::Arguments),
    /// Have the running gateway read its configuration again
    Reload(reload::Arguments),
    /// Create, list and change users
    User(user::Arguments),
    /// Create, list and change groups
    Group(group::Arguments),
    /// Create, list, grant, revoke and delete permissions
    Permission(permission::Arguments),
    /// Import users, groups and permissions from elsewhere
    Import(import::Arguments),
    /// Write users, groups and permissions as `import` takes them back
    Export(export::Arguments),
    /// List new accounts that wait to be let in; approve or reject them
    Registration(registration::Arguments),
    /// Make, list and revoke links that invite people to register
    Invitation(invitation::Arguments),
    /// Send messages to users, and list those that wait
    Message(message::Arguments),
    /// List, show, end and copy sessions, and save what can be read of damaged ones
    Session(session::Arguments),
    /// Show letters that wait or were given up, try them again, send one to try things out
    Mail(mail::Arguments),
    /// List who is locked out after too many failed logins, and let them in again
    Lockout(lockout::Arguments),
}

/// Why a command did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// The answer is no: exit code 1.
    #[error("{0}")]
    No(String),
    /// The command line is wrong in a way that its parser cannot see: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// The configuration is wrong: exit code 78, as in `sysexits.h`.
    #[error("{0}")]
    Configuration(config::Problems),
    /// The answer is no, and it was printed already: exit code 1.
    #[error("the answer is no")]
    Answered,
    /// The configuration is wrong, and everything about it was printed already: exit code 78.
    #[error("the configuration is wrong")]
    Reported,
}

/// Runs the command that the process was started with.
#[must_use]
pub fn run() -> ExitCode {
    let Arguments { config, command } = Arguments::parse();
    let file = config.as_deref();
    let outcome = match command {
        Command::Serve(arguments) => serve::run(&arguments, file),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Check(arguments) => check::run(&arguments, file),
        Command::Explain(arguments) => explain::run(&arguments, file),
        Command::Reload(arguments) => reload::run(&arguments, file),
        Command::User(arguments) => user::run(arguments, file),
        Command::Group(arguments) => group::run(arguments, file),
        Command::Permission(arguments) => permission::run(arguments, file),
        Command::Import(arguments) => import::run(arguments, file),
        Command::Export(arguments) => export::run(&arguments, file),
        Command::Registration(arguments) => registration::run(arguments, file),
        Command::Invitation(arguments) => invitation::run(arguments, file),
        Command::Message(arguments) => message::run(arguments, file),
        Command::Session(arguments) => session::run(arguments, file),
        Command::Mail(arguments) => mail::run(&arguments, file),
        Command::Lockout(arguments) => lockout::run(arguments, file),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(&failure);
            match failure {
                Failure::No(_) | Failure::Answered => ExitCode::from(1),
                Failure::Usage(_) => ExitCode::from(2),
                Failure::Configuration(_) | Failure::Reported => ExitCode::from(78),
            }
        }
    }
}

#[expect(clippy::print_stderr, reason = "the command line is where errors are shown")]
fn complain(failure: &Failure) {
    match failure {
        Failure::Configuration(problems) => eprintln!("{}", problems.render(has_colour())),
        Failure::Reported | Failure::Answered => {}
        Failure::No(message) | Failure::Usage(message) => eprintln!("error: {message}"),
    }
}

/// Shows what is valid in the configuration and still worth a word.
#[expect(clippy::print_stderr, reason = "the command line is where warnings are shown")]
fn warn(warnings: &config::Problems) {
    eprintln!("{}", warnings.render(has_colour()));
}

/// Whether what goes to standard error may be coloured (<https://no-color.org>).
fn has_colour() -> bool {
    let is_refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::IsTerminal::is_terminal(&std::io::stderr()) && !is_refused
}

/// Reads the configuration that a command works with.
fn load(file: Option<&Path>) -> Result<Configuration, Failure> {
    config::load(file).map_err(Failure::Configuration)
}

/// Reads the configuration for a command about the accounts of a gateway. Where there is no file
/// but a state directory, `serve --upstream` was run, and its defaults are in force.
fn load_for_accounts(file: Option<&Path>) -> Result<Configuration, Failure> {
    let defaults = || config::for_upstream("http://127.0.0.1").map_err(Failure::Configuration);
    match config::load(file) {
        Err(_) if file.is_none() && !config::is_there() => match defaults()? {
            configuration if configuration.server.state_directory.exists() => Ok(configuration),
            _ => load(file),
        },
        loaded => loaded.map_err(Failure::Configuration),
    }
}

/// The present moment, for what a command writes.
fn now() -> Timestamp {
    crate::server::wall_clock()
}
