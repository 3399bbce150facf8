//! Configuration files of tests: what a test says, over defaults that make a test quick.

use toml::{Table, Value};

/// What holds in every test unless the test says otherwise: any free port, cheap hashing, no throttling of the many logins.
const DEFAULTS: &str = r#"
[server]
listen = "127.0.0.1:0"
workers = 2
state_directory = "var"

[passwords]
memory = "8KiB"
iterations = 1

[lockout]
enabled = false

[log]
level = "info"

[permissions]
"site.administer" = "Administer the site"
"polls.can_vote" = "Can vote"
"polls.add_choice" = "Can add choice"
"polls.change_poll" = "Can change poll"
"#;

/// A site with one area of every kind, used wherever the rules are not the question.
pub(crate) const TOWN: &str = r#"
upstream = "{upstream}"

[paths]
"/" = { login_required = true }
"/public/" = { login_required = false }
"/private/" = { login_required = true }
"/admin/" = { permission_required = "site.administer" }
"/polls/" = { login_required = true }
"/polls/vote/" = { permission_required = "polls.can_vote" }
"POST /polls/" = { permission_required = ["polls.add_choice", "polls.change_poll"] }
"/reports/" = { groups = ["Site editors"] }
"/staff/" = { staff_required = true }
"/super/" = { superuser_required = true }
"/ada/" = { users = ["ada"] }
"#;

/// The complete file: `text` over the defaults, with `{upstream}` replaced.
pub(crate) fn complete(text: &str, upstream: &str) -> String {
    let mut table: Table = DEFAULTS.parse().unwrap();
    let text = text.replace("{upstream}", upstream);
    merge(
        &mut table,
        text.parse()
            .unwrap_or_else(|error| panic!("the test's own configuration: {error}\n{text}")),
    );
    toml::to_string(&table).unwrap()
}

/// `TOWN` with more in it; a key said twice is replaced.
pub(crate) fn town_and(text: &str) -> String {
    let mut table: Table = TOWN.parse().unwrap();
    merge(
        &mut table,
        text.parse()
            .unwrap_or_else(|error| panic!("the test's own configuration: {error}\n{text}")),
    );
    toml::to_string(&table).unwrap()
}

fn merge(below: &mut Table, above: Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            // A rule is replaced as a whole: merging conditions would make contradictions that no test wrote.
            (Some(Value::Table(old)), Value::Table(new)) if !key.contains('/') => merge(old, new),
            (_, value) => drop(below.insert(key, value)),
        }
    }
}
