//! `vestibule session list`: as long as it is, a few hundred sessions of it are in memory.

use std::io::IsTerminal as _;
use std::path::Path;

use super::{Failure, owner};
use crate::cli::long_list::{LongJson, LongTable};
use crate::cli::remote;
use crate::domain::Timestamp;
use crate::server::session_commands::{SessionCommand, SessionRecord};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Those of this user
    #[arg(long, value_name = "U")]
    user: Option<String>,
    /// For programs
    #[arg(long)]
    json: bool,
}

const HEADER: [&str; 6] = ["KEY", "USER", "DEVICE", "ADDRESS", "STARTED", "LAST SEEN"];

/// How many digits of a key a terminal has room for. They name one session of millions.
const DIGITS: usize = 12;

pub(super) fn run(arguments: Arguments, file: Option<&Path>) -> Result<(), Failure> {
    let command = SessionCommand::List { user: arguments.user };
    if arguments.json {
        let mut list = LongJson::new();
        remote::sessions::list(file, &command, |session| list.add(&session))?;
        return list.end();
    }
    let now = std::io::stdout().is_terminal().then(crate::cli::now);
    let mut table = LongTable::new(HEADER);
    let listed = remote::sessions::list(file, &command, |session| table.add(row(&session, now)));
    match listed {
        Ok(()) => table.end(),
        Err(failure) => table.break_off().and(Err(failure)),
    }
}

/// For people at a terminal, who have a `now`, what is quickly read; all of it for programs.
fn row(session: &SessionRecord, now: Option<Timestamp>) -> [String; 6] {
    let moment = |at: jiff::Timestamp| match now {
        Some(now) => {
            let seconds = u64::try_from(at.as_second()).unwrap_or_default();
            Timestamp::from_seconds(seconds).ago(now).to_string()
        }
        None => at.to_string(),
    };
    let key = if now.is_some() { session.key.get(..DIGITS) } else { None };
    [
        key.unwrap_or(&session.key).to_owned(),
        owner(session.user.as_deref(), session.user_id),
        session.device.clone(),
        session.address.to_string(),
        moment(session.started),
        moment(session.last_seen),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_few_digits_and_words_and_a_program_everything() {
        let session = SessionRecord {
            key: "f9d5018e46994a063deba1248dce86d8".to_owned(),
            user: None,
            user_id: Some(7),
            device: "curl".to_owned(),
            address: "192.0.2.7".parse().unwrap(),
            started: "2026-11-25T10:00:00Z".parse().unwrap(),
            last_seen: "2026-11-25T10:57:00Z".parse().unwrap(),
            expires: "2026-11-26T10:00:00Z".parse().unwrap(),
        };
        let now = "2026-11-25T11:00:00Z".parse::<jiff::Timestamp>().unwrap().as_second();
        let now = Timestamp::from_seconds(u64::try_from(now).unwrap());
        let gone = "(user 7 is gone)";
        assert_eq!(
            row(&session, Some(now)),
            ["f9d5018e4699", gone, "curl", "192.0.2.7", "1 hour ago", "3 minutes ago"]
        );
        assert_eq!(row(&session, None)[0], session.key);
        assert_eq!(row(&session, None)[5], "2026-11-25T10:57:00Z");
    }
}
