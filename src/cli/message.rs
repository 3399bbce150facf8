//! `vestibule message`.

use std::path::Path;

use clap::Subcommand;
use clap::builder::PossibleValuesParser;

use super::{Failure, output, permission, remote, user};
use crate::accounts::{Command, MessageRecord};
use crate::domain::message::Level;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Send a message, which is shown once: on the gateway's pages, or by the application
    Send {
        #[command(flatten)]
        to: permission::Whom,
        /// One line of plain text
        text: String,
        #[arg(
            long,
            default_value = Level::Info.name(),
            value_parser = PossibleValuesParser::new(Level::ALL.map(Level::name))
        )]
        level: String,
    },
    /// List the messages that wait for a user
    List {
        #[arg(long, value_name = "U")]
        user: String,
        /// For programs
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(arguments: Arguments, file: Option<&Path>) -> Result<(), Failure> {
    let (command, json) = match arguments.command {
        Verb::Send { to, text, level } => {
            (Command::MessageSend { to: to.holder()?, text, level }, false)
        }
        Verb::List { user, json } => (Command::MessageList { username: user }, json),
    };
    user::show(remote::execute(file, command)?, json)
}

pub(super) fn list(messages: Vec<MessageRecord>) -> Result<(), Failure> {
    let row = |message: MessageRecord| [message.created, message.level, message.text];
    output::table(["SENT", "LEVEL", "MESSAGE"], messages.into_iter().map(row))
}
