//! Outcomes and addresses in the words of the file, for `explain`; conditions have theirs in
//! `domain::wording`.

use crate::config::Outcome;
pub(super) use crate::domain::wording::{fact, written};

/// The outcome in a word and in a sentence.
pub(super) struct Verdict {
    pub(super) word: &'static str,
    pub(super) sentence: String,
}

pub(super) fn verdict(outcome: &Outcome<'_>, host: &str, prefix: &str) -> Verdict {
    let (word, sentence) = match outcome {
        Outcome::OwnPage => {
            ("allow", format!("the gateway answers everything below `{prefix}` itself"))
        }
        Outcome::Allow(..) => ("allow", "the request goes to the application".to_owned()),
        Outcome::LogIn(..) => {
            ("login", "a browser is sent to the login page; anything else gets 401".to_owned())
        }
        Outcome::Deny(..) => ("deny", "403, and logging in would change nothing".to_owned()),
        Outcome::UnknownHost => ("deny", format!("421, no site answers for `{host}`")),
        Outcome::BadPath(why) => ("deny", format!("400, {why}")),
        Outcome::OddPath(oddity) => {
            let name = oddity.name();
            let rules = "the rule does not allow it with `allow_in_path`";
            ("deny", format!("400, the path has `{name}` in it and {rules}"))
        }
        Outcome::Ambiguous => {
            ("deny", "400, the readings of the path lead to different applications".to_owned())
        }
        Outcome::Broken(broken) => ("deny", format!("500, {broken}")),
    };
    Verdict { word, sentence }
}

pub(super) fn server(server: &crate::upstream::settings::Server) -> String {
    use crate::upstream::settings::Server;
    match server {
        Server::Tcp { host, port } if host.contains(':') => format!("http://[{host}]:{port}"),
        Server::Tcp { host, port } => format!("http://{host}:{port}"),
        Server::Unix(path) => format!("unix:{}", path.display()),
    }
}

pub(super) fn in_units(bytes: u64) -> String {
    [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)]
        .into_iter()
        .find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit))
        .map_or_else(|| format!("{bytes} bytes"), |(name, unit)| format!("{} {name}", bytes / unit))
}

/// `remote-user` as it goes over the wire: `Remote-User`.
pub(super) fn title_case(name: &str) -> String {
    let mut is_start = true;
    name.chars()
        .map(|character| {
            let shown = if is_start { character.to_ascii_uppercase() } else { character };
            is_start = character == '-';
            shown
        })
        .collect()
}
