//! `vestibule reload`: has the running gateway read its configuration again.

use std::path::Path;

use super::{Failure, output, remote};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// For programs
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, file: Option<&Path>) -> Result<(), Failure> {
    // Only to find the socket: a file with problems must still lead to the gateway that has to
    // refuse it, so that the gateway and this command say the same.
    let configuration = super::load(file)?;
    remote::reload(&configuration)?;
    if arguments.json {
        return output::json(&serde_json::json!({ "reloaded": true }));
    }
    output::say("the configuration was read again and is in force")
}
