//! Conditions in the words of the file, and what of a visitor made them hold or not: for whoever
//! asks which rule decides, on the command line or in the administration.

use super::Visitor;
use super::question::Question;
use super::rule::Condition;

/// The condition as the file writes it.
pub fn written(condition: &Condition) -> String {
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
pub fn fact(condition: &Condition, visitor: &Visitor, question: &Question) -> String {
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
