//! `[accounts]` and `[lockout]`.

use std::path::PathBuf;
use std::time::Duration;

use super::problem::{Problem, Span};
use super::reader::Table;
use super::registration;
use crate::domain::RequestPath;
use crate::pages::settings::{Lockout, Settings};

const SECOND: Duration = Duration::from_secs(1);

/// The settings of the pages, and where `prefix` stands if it does.
pub(super) fn read(root: &Table<'_>, public_url: Option<String>) -> (Settings, Option<Span>) {
    let table = root.table("accounts");
    let defaults = Settings::default();
    let prefix = table.parsed("prefix", prefix);
    let login_redirect_url = table.parsed("login_redirect_url", destination);
    let logout_redirect_url = table.parsed("logout_redirect_url", destination);
    let templates = table.parsed("templates", |text| match text {
        "" => Err("`templates` is empty\nhint: leave it out for the built-in pages"),
        directory => Ok(PathBuf::from(directory)),
    });
    let password_reset_timeout = table.duration("password_reset_timeout", SECOND);
    let registration =
        registration::read(&table, root.entry("mail").is_some() && public_url.is_some());
    let profile = super::profile::read(&table);
    table.finish(&[]);
    let place = prefix.as_ref().map(|at| at.span.clone());
    let prefix = prefix.map_or(defaults.prefix, |at| at.value);
    let settings = Settings {
        login_redirect_url: login_redirect_url
            .map_or_else(|| format!("{prefix}profile/"), |at| at.value),
        logout_redirect_url: logout_redirect_url.map(|at| at.value),
        templates: templates.map(|at| at.value),
        public_url,
        sends_mail: defaults.sends_mail,
        password_reset_timeout: password_reset_timeout
            .map_or(defaults.password_reset_timeout, |at| at.value),
        registration,
        profile,
        lockout: lockout(root, defaults.lockout),
        prefix,
    };
    (settings, place)
}

fn lockout(root: &Table<'_>, defaults: Lockout) -> Lockout {
    let table = root.table("lockout");
    let report = table.report();
    let enabled = table.flag("enabled");
    let failures = table.integer("failures", 1, 10_000);
    let window = table.duration("window", SECOND);
    let delay = table.duration("delay", SECOND);
    table.finish(&[]);
    if let Some(at) = enabled.as_ref().filter(|at| !at.value) {
        let message = "without a lockout passwords can be guessed as fast as they can be hashed";
        report.add(Problem::warning("no-lockout", at.span.clone(), message));
    }
    let places = (delay.as_ref().map(|at| &at.span), window.as_ref().map(|at| &at.span));
    let value = Lockout {
        enabled: enabled.as_ref().is_none_or(|at| at.value),
        failures: failures
            .map_or(defaults.failures, |at| u32::try_from(at.value).unwrap_or(defaults.failures)),
        window: window.as_ref().map_or(defaults.window, |at| at.value),
        delay: delay.as_ref().map_or(defaults.delay, |at| at.value),
    };
    if value.delay > value.window
        && let Some(span) = places.0.or(places.1)
    {
        let message = "`delay` is longer than `window`, after which failures are forgotten";
        let problem = Problem::error("contradiction", span.clone(), message);
        report.add(problem.hint("make `window` at least as long as `delay`"));
    }
    value
}

/// The prefix of the gateway's own pages, in lower case.
fn prefix(text: &str) -> Result<String, String> {
    let malformed = |why: &str| {
        format!(
            "`{text}` cannot be the prefix of the gateway's pages: {why}\nhint: write `/accounts/`"
        )
    };
    if text == "/" {
        return Err(malformed("no request would reach an application"));
    }
    if !text.ends_with('/') {
        return Err(malformed("it does not end with `/`"));
    }
    let path = RequestPath::parse(text).map_err(|why| malformed(&why.to_string()))?;
    let is_plain = path.query().is_none() && path.oddities().is_empty();
    if !is_plain || !text.bytes().all(|b| b.is_ascii_graphic() && b != b'%') {
        return Err(malformed("it has more in it than plain segments"));
    }
    Ok(text.to_ascii_lowercase())
}

/// Where a browser is sent: a path of the site, or an absolute URL.
pub(super) fn destination(text: &str) -> Result<String, String> {
    let malformed = |why: &str| {
        format!(
            "`{text}` is not a place to send browsers to: {why}\nhint: write a path such as `/accounts/login/`, or a URL with `https://`"
        )
    };
    if text.is_empty() {
        return Err(malformed("it is empty"));
    }
    if !text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') {
        return Err(malformed("it has blanks, backslashes or characters outside ASCII in it"));
    }
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match host {
        Some(host) if host.is_empty() || host.starts_with('/') => Err(malformed("it has no host")),
        Some(_) => Ok(text.to_owned()),
        None if text.starts_with("//") => Err(malformed("`//` begins the name of a host")),
        None if text.starts_with('/') => Ok(text.to_owned()),
        None => Err(malformed("it begins with neither `/` nor `https://`")),
    }
}
