//! `[sessions]`.

use std::time::Duration;

use super::problem::Problem;
use super::reader::{At, Table};
use super::report::Report;
use crate::domain::session::Lifetime;
use crate::sessions::settings::{CookieSettings, Durability, Keeping, SameSite, Settings};

const SECOND: Duration = Duration::from_secs(1);

/// What the checks across sections need of `[sessions]`.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) cookie_path: Option<At<String>>,
    pub(super) cookie_secure: Option<At<bool>>,
}

pub(super) fn read(root: &Table<'_>) -> (Settings, Shared) {
    let table = root.table("sessions");
    let report = table.report();
    let defaults = Settings::default();
    let name = table.parsed("cookie_name", cookie_name);
    let domain = table.parsed("cookie_domain", cookie_domain);
    let path = table.parsed("cookie_path", cookie_path);
    let secure = table.flag("cookie_secure");
    let same_site = table.choice(
        "cookie_samesite",
        &[("lax", SameSite::Lax), ("strict", SameSite::Strict), ("none", SameSite::None)],
    );
    check_cookie_prefix(report, name.as_ref(), domain.as_ref(), path.as_ref(), secure.as_ref());
    if let Some(at) = &same_site
        && at.value == SameSite::None
        && !is_true(secure.as_ref())
    {
        let message = "`cookie_samesite = \"none\"` needs `cookie_secure = true`";
        let problem = Problem::error("contradiction", at.span.clone(), message)
            .hint("browsers refuse such a cookie otherwise");
        report.add(with_secure(problem, secure.as_ref()));
    }

    let age = table.duration("cookie_age", SECOND);
    let idle = table.duration("idle_timeout", SECOND);
    let absolute = table.duration("absolute_timeout", SECOND);
    let expire_at_browser_close = table.flag("expire_at_browser_close");
    let save_every_request = table.flag("save_every_request");
    let store = super::store::read(&table);
    let durability = table.choice(
        "durability",
        &[
            ("always", Durability::Always),
            ("everysec", Durability::EverySecond),
            ("process", Durability::Process),
        ],
    );
    let snapshot_interval = table.duration("snapshot_interval", SECOND);
    table.finish(&[]);

    let lifetime = Lifetime {
        age: age.map_or(defaults.lifetime.age, |at| at.value),
        idle: idle.map(|at| at.value),
        absolute: absolute.map(|at| at.value),
    };
    let cookie = CookieSettings {
        name: name.map_or(defaults.cookie.name, |at| at.value),
        domain: domain.map(|at| at.value),
        path: path.clone().map_or(defaults.cookie.path, |at| at.value),
        secure: secure.as_ref().map(|at| at.value),
        same_site: same_site.map_or(defaults.cookie.same_site, |at| at.value),
    };
    let settings = Settings {
        cookie,
        lifetime,
        expire_at_browser_close: expire_at_browser_close.is_some_and(|at| at.value),
        save_every_request: save_every_request.is_some_and(|at| at.value),
        store,
        keeping: Keeping {
            durability: durability.map_or(defaults.keeping.durability, |at| at.value),
            snapshot_interval: snapshot_interval
                .map_or(defaults.keeping.snapshot_interval, |at| at.value),
        },
    };
    (settings, Shared { cookie_path: path, cookie_secure: secure })
}

fn is_true(flag: Option<&At<bool>>) -> bool {
    flag.is_some_and(|at| at.value)
}

fn with_secure(problem: Problem, secure: Option<&At<bool>>) -> Problem {
    match secure {
        Some(at) => problem.other(at.span.clone(), "and this is not"),
        None => problem,
    }
}

/// Browsers drop a cookie whose name promises what its attributes do not keep
/// (RFC 6265bis, section 4.1.3), and they compare the prefixes without regard to case.
fn check_cookie_prefix(
    report: &Report,
    name: Option<&At<String>>,
    domain: Option<&At<String>>,
    path: Option<&At<String>>,
    secure: Option<&At<bool>>,
) {
    let Some(name) = name else { return };
    let folded = name.value.to_ascii_lowercase();
    let is_host = folded.starts_with("__host-");
    if !is_host && !folded.starts_with("__secure-") {
        return;
    }
    let promise = |what: &str| {
        let message = format!("a cookie called `{}` needs {what}", name.value);
        Problem::error("contradiction", name.span.clone(), message)
            .hint("browsers refuse such a cookie otherwise")
    };
    if !is_true(secure) {
        report.add(with_secure(promise("`cookie_secure = true`"), secure));
    }
    if is_host && let Some(domain) = domain {
        report.add(promise("to have no `cookie_domain`").other(domain.span.clone(), "it has one"));
    }
    if is_host && let Some(path) = path.filter(|path| path.value != "/") {
        report.add(promise("`cookie_path = \"/\"`").other(path.span.clone(), "it is another"));
    }
}

fn cookie_name(text: &str) -> Result<String, String> {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if text.is_empty() || !text.bytes().all(is_token) {
        return Err(format!(
            "`{text}` cannot be the name of a cookie\nhint: letters, digits, `-` and `_` are safe"
        ));
    }
    if text.eq_ignore_ascii_case("csrftoken") {
        return Err(format!("`{text}` is the name of the cookie that guards forms"));
    }
    Ok(text.to_owned())
}

fn cookie_domain(text: &str) -> Result<String, String> {
    let domain = text.strip_prefix('.').unwrap_or(text).to_ascii_lowercase();
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    if domain.is_empty() || !domain.bytes().all(is_name) || domain.split('.').any(str::is_empty) {
        return Err(format!(
            "`{text}` is not a domain\nhint: write `example.org`, without scheme and port"
        ));
    }
    Ok(domain)
}

fn cookie_path(text: &str) -> Result<String, String> {
    let is_fit = |b: u8| b.is_ascii_graphic() && b != b';' && b != b',';
    if !text.starts_with('/') || !text.bytes().all(is_fit) {
        return Err(format!(
            "`{text}` is not the path of a cookie\nhint: it begins with `/` and has neither blanks nor `;`"
        ));
    }
    Ok(text.to_owned())
}
