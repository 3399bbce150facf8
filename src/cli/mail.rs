//! `vestibule mail`: what waits and why, and whether mail can be sent at all.

use std::path::Path;

use clap::Subcommand;

use super::{Failure, output, remote};
use crate::domain::Timestamp;
use crate::mail::{Address, Letter, LetterId, Listed, Outcome, Place, Spool, Subject, Transport};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the letters that wait, and those that were given up
    List {
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Have the running gateway try letters again now, also those that were given up
    Retry {
        /// One letter, by its name in the list; without it all
        letter: Option<String>,
    },
    /// Send a letter to ADDRESS at once, past the queue, and tell what the mail server says
    SendTest { address: String },
}

pub(super) fn run(arguments: &Arguments, file: Option<&Path>) -> Result<(), Failure> {
    match &arguments.command {
        Verb::List { json } => list(file, *json),
        Verb::Retry { letter } => retry(file, letter.as_deref()),
        Verb::SendTest { address } => send_test(file, address),
    }
}

fn list(file: Option<&Path>, json: bool) -> Result<(), Failure> {
    let configuration = super::load_for_accounts(file)?;
    let path = configuration.server.state_directory.join("mail");
    let letters = Spool::at(path.clone()).list().map_err(|error| {
        Failure::No(format!(
            "`{}` cannot be read: {error}\n\
             hint: run the command as the user that the gateway runs as",
            path.display()
        ))
    })?;
    if json {
        return output::json(&letters);
    }
    if letters.is_empty() {
        return output::say("no letter waits, and none was given up");
    }
    let now = super::now();
    output::table(
        ["LETTER", "TO", "SUBJECT", "CAME", "TRIED", "STATUS"],
        letters.into_iter().map(|letter| row(letter, now)),
    )
}

fn row(letter: Listed, now: Timestamp) -> [String; 6] {
    let trouble = letter.trouble.map(|trouble| format!(": {trouble}")).unwrap_or_default();
    let status = match letter.place {
        Place::Queue => format!("waits{trouble}"),
        Place::Failed => format!("given up{trouble}"),
    };
    let came = Timestamp::from_seconds(letter.queued).ago(now).to_string();
    [letter.id, letter.to, letter.subject, came, letter.attempts.to_string(), status]
}

fn retry(file: Option<&Path>, letter: Option<&str>) -> Result<(), Failure> {
    let configuration = super::load_for_accounts(file)?;
    if let Some(name) = letter
        && LetterId::parse(name).is_none()
    {
        return Err(Failure::Usage(format!(
            "`{}` names no letter\nhint: `vestibule mail list` shows their names",
            name.escape_debug()
        )));
    }
    match (remote::retry_mail(&configuration, letter)?, letter) {
        (0, Some(name)) => Err(Failure::No(format!("there is no letter `{name}` to try again"))),
        (0, None) => output::say("there is no letter to try again"),
        (1, _) => output::say("one letter is tried again now"),
        (letters, _) => output::say(&format!("{letters} letters are tried again now")),
    }
}

fn send_test(file: Option<&Path>, address: &str) -> Result<(), Failure> {
    let configuration = super::load_for_accounts(file)?;
    let to: Address = address
        .parse()
        .map_err(|error| Failure::Usage(format!("`{}`: {error}", address.escape_debug())))?;
    let Some(settings) = &configuration.mail else {
        return Err(Failure::No(
            "mail is not set up\nhint: set `smtp` and `from` in `[mail]`".to_owned(),
        ));
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::No(format!("no runtime: {error}")))?;
    let transport = Transport::new(settings).map_err(|error| Failure::No(error.to_string()))?;
    let text = "This letter was sent by `vestibule mail send-test`: mail can be sent.\n";
    let letter = Letter::new(to, Subject::of("A letter to try things out"), text.to_owned());
    let now = super::now();
    let outcome = runtime.block_on(async {
        // The same names as those of the queue, which nobody else uses at this moment.
        transport.send(LetterId::of_test(now), &letter, now).await
    });
    match outcome {
        Outcome::Sent => output::say(&format!("a letter to {} was taken", letter.to)),
        Outcome::Later(reason) | Outcome::Unreachable(reason) => Err(Failure::No(format!(
            "the letter was not taken: {reason}\nhint: a gateway would keep it, and try again"
        ))),
        Outcome::Never(reason) => Err(Failure::No(format!("the letter was refused: {reason}"))),
    }
}
