//! Outcomes, conditions and addresses in the words of the file, for `explain`.

use crate::config::{Outcome, Question};
use crate::domain::Visitor;
use crate::domain::rule::Condition;

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

/// The condition as the file writes it.
pub(super) fn written(condition: &Condition) -> String {
    let list = |names: &[String]| names.join(", ");
    match condition {
        Condition::LoginRequired => "login_required".to_owned(),
        Condition::PermissionRequired(permissions) => {
            let names: Vec<String> = permissions.iter().map(ToString::to_string).collect();
            format!("permission_required {}", names.join(" and "))
        }
        Condition::Groups(groups) => format!("groups, one of {}", list(groups)),
        Condition::Users(users) => format!("users, one of {}", list(users)),
        Condition::StaffRequired => "staff_required".to_owned(),
        Condition::SuperuserRequired => "superuser_required".to_owned(),
        Condition::Networks(networks) => {
            let names: Vec<String> = networks.iter().map(ToString::to_string).collect();
            format!("networks, one of {}", names.join(", "))
        }
        Condition::Test(test) => format!("test {test}"),
    }
}

/// What of the visitor made the condition hold or not.
pub(super) fn fact(condition: &Condition, visitor: &Visitor, question: &Question) -> String {
    if let Condition::Networks(_) = condition {
        return format!("comes from {}", question.address);
    }
    let Some(user) = visitor.user() else { return "not logged in".to_owned() };
    let yes_no = |flag: bool, what: &str| format!("is {}{what}", if flag { "" } else { "not " });
    match condition {
        Condition::LoginRequired => format!("logged in as {}", user.username),
        Condition::PermissionRequired(_) if user.is_superuser => {
            "a superuser has every permission".to_owned()
        }
        Condition::PermissionRequired(permissions) => {
            let lacking: Vec<&str> = permissions
                .iter()
                .map(|permission| permission.as_str())
                .filter(|permission| !user.has_perm(permission))
                .collect();
            match lacking.is_empty() {
                true => "has it all".to_owned(),
                false => format!("lacks {}", lacking.join(", ")),
            }
        }
        Condition::Groups(_) => match user.groups.is_empty() {
            true => "is in no group".to_owned(),
            false => format!("is in {}", user.groups.join(", ")),
        },
        Condition::Users(_) => format!("is {}", user.username),
        Condition::StaffRequired => yes_no(user.is_staff, "staff"),
        Condition::SuperuserRequired => yes_no(user.is_superuser, "a superuser"),
        Condition::Networks(_) | Condition::Test(_) => String::new(),
    }
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
