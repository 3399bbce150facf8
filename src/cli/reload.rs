//! `vestibule reload`: has the running gateway read its configuration again.

use std::path::Path;

use super::{Failure, remote};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

#[expect(clippy::print_stdout, reason = "the command line is where answers are shown")]
pub(super) fn run(_arguments: &Arguments, file: Option<&Path>) -> Result<(), Failure> {
    // Only to find the socket: a file with problems must still lead to the gateway that has to
    // refuse it, so that the gateway and this command say the same.
    let configuration = super::load(file)?;
    remote::reload(&configuration)?;
    println!("the configuration was read again and is in force");
    Ok(())
}
