//! `vestibule session recover`: makes sessions on disk usable again.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cli::{Failure, output};
use crate::server::StateDirectory;
use crate::sessions::disk::{self, Salvaged};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Save nothing: set all files aside, so that everybody has to log in again
    #[arg(long)]
    discard: bool,

    /// For programs
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, file: Option<&Path>) -> Result<(), Failure> {
    let configuration = crate::cli::load_for_accounts(file)?;
    let failed = |error: &dyn std::fmt::Display| Failure::No(error.to_string());
    // A running gateway is not worked against: it holds the lock.
    let state = StateDirectory::open(&configuration.server.state_directory)
        .map_err(|error| failed(&error))?;
    let directory = state.sessions();
    if arguments.discard {
        let set_aside = disk::start_anew(&directory).map_err(|error| failed(&error))?;
        if arguments.json {
            return output::json(&json!({ "saved": 0, "set_aside": set_aside }));
        }
        return output::say(&discarded(&set_aside));
    }
    let lifetime = &configuration.sessions.lifetime;
    let saved = disk::salvage(&directory, crate::cli::now(), lifetime);
    let saved = saved.map_err(|error| failed(&error))?;
    if arguments.json {
        let damages = saved.damages.iter().map(ToString::to_string).collect::<Vec<_>>();
        return output::json(&json!({
            "saved": saved.sessions,
            "is_whole": saved.is_whole,
            "lost_bytes": saved.lost_bytes,
            "damages": damages,
            "set_aside": saved.set_aside,
        }));
    }
    output::say(&report(&saved))
}

/// What was saved, and what was lost.
fn report(saved: &Salvaged) -> String {
    let sessions = saved.sessions;
    if saved.damages.is_empty() {
        return format!("nothing is damaged, {} can be read", counted(sessions, "session"));
    }
    let mut text = String::new();
    for damage in &saved.damages {
        text.push_str(&format!("{damage}\n"));
    }
    text.push_str(&format!("\nsaved: {}\n", counted(sessions, "session")));
    if saved.is_whole {
        text.push_str("lost: nothing, an earlier snapshot and the journal since had everything\n");
    } else {
        text.push_str(&format!(
            "lost: what stood in {} that cannot be read\n\
             Whoever logged in there has to log in again. Whoever logged out there, or was logged out, \
             may be logged in again: if that must not be, run\n\
             `vestibule session recover --discard`, and everybody has to log in again.\n",
            counted(saved.lost_bytes, "byte"),
        ));
    }
    text.push_str(&set_aside(&saved.set_aside));
    text.trim_end().to_owned()
}

fn discarded(files: &[PathBuf]) -> String {
    if files.is_empty() {
        return "there are no sessions on disk".to_owned();
    }
    format!("the next start begins without any session\n{}", set_aside(files)).trim_end().to_owned()
}

fn set_aside(files: &[PathBuf]) -> String {
    files.iter().map(|file| format!("set aside: `{}`\n", file.display())).collect()
}

fn counted(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sessions::disk::Damage;

    fn saved() -> Salvaged {
        let damage =
            Damage { path: "s/journal-1".into(), offset: 40, what: "it is odd".to_owned() };
        Salvaged {
            sessions: 1,
            damages: vec![damage],
            lost_bytes: 90,
            is_whole: false,
            set_aside: vec!["s/journal-1.damaged".into()],
        }
    }

    #[test]
    fn the_report_says_what_was_saved_and_what_was_lost() {
        let text = report(&saved());
        for part in [
            "`s/journal-1` is damaged at offset 40: it is odd\n",
            "saved: 1 session\n",
            "lost: what stood in 90 bytes",
            "may be logged in again",
            "set aside: `s/journal-1.damaged`",
        ] {
            assert!(text.contains(part), "{text}");
        }
        let text = report(&Salvaged { is_whole: true, ..saved() });
        assert!(text.contains("lost: nothing") && !text.contains("logged in again"), "{text}");
        let text = report(&Salvaged { damages: Vec::new(), ..saved() });
        assert_eq!(text, "nothing is damaged, 1 session can be read");
    }
}
