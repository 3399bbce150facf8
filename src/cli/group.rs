//! `vestibule group`.

use std::path::Path;

use super::Failure;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

pub(super) fn run(_arguments: Arguments, _file: Option<&Path>) -> Result<(), Failure> {
    Err(Failure::No("not written yet".to_owned()))
}
