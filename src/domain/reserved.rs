//! User names that nobody can choose for oneself.

/// Names by which applications know their administrators, programs, or nobody in particular. An
/// application that is told who asks would take whoever has the name for that.
const RESERVED: [&str; 40] = [
    "abuse",
    "admin",
    "administrator",
    "administrators",
    "admins",
    "anonymous",
    "api",
    "daemon",
    "everybody",
    "everyone",
    "guest",
    "hostmaster",
    "info",
    "localhost",
    "mail",
    "mailer-daemon",
    "manager",
    "moderator",
    "no-reply",
    "nobody",
    "noreply",
    "none",
    "null",
    "operator",
    "owner",
    "postmaster",
    "public",
    "root",
    "security",
    "service",
    "staff",
    "superuser",
    "support",
    "sysadmin",
    "system",
    "undefined",
    "user",
    "vestibule",
    "webmaster",
    "www-data",
];

/// Whether whoever registers may not choose this name. Operators may give it to anybody.
pub fn is_reserved(username: &str) -> bool {
    RESERVED.contains(&&*username.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_administrators_are_reserved_however_they_are_written() {
        assert!(is_reserved("admin") && is_reserved("Admin") && is_reserved("ROOT"));
        assert!(!is_reserved("ada") && !is_reserved("admin2"));
    }
}
