//! `vestibule lockout lift`.

use std::net::IpAddr;
use std::path::Path;

use super::{Failure, described};
use crate::cli::{output, remote};
use crate::server::lockout_commands::{Lift, Lifted, LockoutCommand};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    whom: Whom,
    /// For programs
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Whom {
    /// This user, from every address and in every browser
    #[arg(long, value_name = "U")]
    user: Option<String>,
    /// This address, or IPv6 network of 64 bits, for every account
    #[arg(long, value_name = "A", value_parser = address)]
    address: Option<IpAddr>,
    /// Everybody
    #[arg(long)]
    all: bool,
}

pub(super) fn run(arguments: Arguments, file: Option<&Path>) -> Result<(), Failure> {
    let lift = match (arguments.whom.user, arguments.whom.address) {
        (Some(name), _) => Lift::User(name),
        (None, Some(address)) => Lift::Address(address),
        (None, None) => Lift::All {},
    };
    let lifted: Lifted = remote::lockouts::execute(file, &LockoutCommand::Lift(lift))?;
    if arguments.json {
        return output::json(&lifted);
    }
    let lines: Vec<String> = lifted
        .lifted
        .iter()
        .map(|record| format!("lifted the lockout of {}", described(record)))
        .collect();
    match lines.is_empty() {
        // Failures that had not come to that are forgotten all the same.
        true => output::say("nobody of them was locked out"),
        false => output::say(&lines.join("\n")),
    }
}

/// An address, or a network as `lockout list` shows it.
fn address(text: &str) -> Result<IpAddr, String> {
    let bare = text.strip_suffix("/64").filter(|bare| bare.contains(':')).unwrap_or(text);
    bare.parse()
        .map_err(|_| format!("`{text}` is no address\nhint: write one as `lockout list` does"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_lists_show_it() {
        for (text, address_) in
            [("192.0.2.1", "192.0.2.1"), ("2001:db8::/64", "2001:db8::"), ("::1", "::1")]
        {
            assert_eq!(address(text).unwrap(), address_.parse::<IpAddr>().unwrap());
        }
        for bad in ["", "192.0.2.1/64", "2001:db8::/48", "ada"] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }
}
