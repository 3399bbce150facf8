//! `[mail]`.

use std::net::IpAddr;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use super::problem::Problem;
use super::reader::{At, Table};
use crate::mail::settings::{Login, Password, Relay, Settings, Tls, Way};

/// What a wrong `smtp` is answered with.
const HINT: &str = "write `smtps://mail.example.org`, `smtp://mail.example.org` (with STARTTLS), \
                    or to try things out `file:DIRECTORY` or `stdout`";

/// `[mail]`; nothing if it does not say how mail is sent.
pub(super) fn read(root: &Table<'_>, public_url: Option<&At<String>>) -> Option<Settings> {
    let table = root.table("mail");
    let report = table.report();
    let smtp = table.text("smtp");
    let password = password(&table);
    let authorities = table.parsed("ca_file", path);
    let has_sender = table.entry("from").is_some();
    let from = table.parsed("from", |text| {
        text.parse().map_err(|_| {
            format!(
                "`{text}` is not a sender\nhint: write `noreply@example.org` or \
                 `Site <noreply@example.org>`"
            )
        })
    });
    let place = table.place.clone();
    table.finish(&["password"]);
    let Some(smtp) = smtp else {
        if let Some(place) = place {
            let message = "`[mail]` does not say how mail is sent: `smtp` is missing";
            report.add(Problem::error("missing-key", place, message).hint(HINT));
        }
        return None;
    };
    if !has_sender {
        let message = "`[mail]` does not say from whom letters come: `from` is missing";
        let problem = Problem::error("missing-key", smtp.key.clone(), message);
        report.add(problem.hint("write `from = \"Site <noreply@example.org>\"`"));
    }
    if public_url.is_none() {
        let message = "nobody can reset a password by mail without `server.public_url`";
        let problem = Problem::warning("no-links", smtp.key.clone(), message).hint(
            "set it to the address by which browsers know the gateway: links in mail are never \
             made from what a request says",
        );
        report.add(problem);
    }
    // The address itself stands in the source line, where its password is masked.
    let way = way(&smtp.value, password, authorities.map(|at| at.value));
    let way =
        report.keep("bad-value", &smtp.span, way.map_err(|why| format!("{why}\nhint: {HINT}")));
    Some(Settings { way: way?, from: from?.value })
}

fn path(text: &str) -> Result<PathBuf, &'static str> {
    match text {
        "" => Err("this is the name of no file\nhint: leave it out"),
        path => Ok(PathBuf::from(path)),
    }
}

fn password(table: &Table<'_>) -> Option<Password> {
    if let Some(place) = table.misplaced("password") {
        let message = "`password` is no key of `[mail]`";
        table.report().add(Problem::error("unknown-key", place, message).hint(
            "name a file that holds nothing else, `password_file`; or write it behind the name in \
             `smtp`, with a `:` between them",
        ));
    }
    table.parsed("password_file", path).map(|at| Password::File(at.value))
}

/// How letters leave. An error has nothing of `text` in it that could be a password.
fn way(
    text: &str,
    password: Option<Password>,
    authorities: Option<PathBuf>,
) -> Result<Way, String> {
    let unused = || match (&password, &authorities) {
        (None, None) => Ok(()),
        (Some(_), _) => Err("a password is for a mail server".to_owned()),
        (None, Some(_)) => Err("`ca_file` is for a mail server".to_owned()),
    };
    if text == "stdout" {
        return unused().map(|()| Way::Stdout);
    }
    if let Some(directory) = text.strip_prefix("file:") {
        let directory = directory.strip_prefix("//").unwrap_or(directory);
        return match directory {
            "" => Err("`file:` names no directory".to_owned()),
            directory => unused().map(|()| Way::Directory(PathBuf::from(directory))),
        };
    }
    relay(text, password, authorities).map(Way::Smtp)
}

fn relay(
    text: &str,
    password: Option<Password>,
    authorities: Option<PathBuf>,
) -> Result<Relay, String> {
    let malformed = || "this is not the address of a mail server".to_owned();
    let url: http::Uri = text.parse().map_err(|_| malformed())?;
    let (Some(scheme), Some(authority)) = (url.scheme_str(), url.authority()) else {
        return Err(malformed());
    };
    let (wrapped, default_port) = match scheme {
        "smtps" => (true, 465),
        "smtp" => (false, 587),
        _ => return Err(malformed()),
    };
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let has_path = !matches!(url.path(), "" | "/");
    if host.is_empty() || has_path {
        return Err("the address of a mail server has a host, and no path".to_owned());
    }
    // `host:` and `host:99999` are read as a host without a port.
    let port = match authority.as_str().rsplit_once('@').map_or(authority.as_str(), |it| it.1) {
        named if named == authority.host() => default_port,
        _ => authority.port_u16().ok_or("the port of the mail server is none")?,
    };
    let tls = match (url.query(), wrapped) {
        (None, true) => Tls::Wrapped,
        (None | Some("tls=required"), false) => Tls::StartTls,
        (Some("tls=none"), false) if is_this_machine(&host) => Tls::None,
        (Some("tls=none"), false) => {
            return Err("`tls=none` is for mail servers on this machine alone".to_owned());
        }
        (Some(_), _) => return Err("the one option is `tls=none`, after `smtp://`".to_owned()),
    };
    let login = login(authority.as_str(), password)?;
    Ok(Relay { host, port, tls, login, authorities })
}

/// What to log in with: the name before the `@`, and the password behind it or beside it.
fn login(authority: &str, beside: Option<Password>) -> Result<Option<Login>, String> {
    let Some((user, _)) = authority.rsplit_once('@') else {
        return match beside {
            None => Ok(None),
            Some(_) => Err("there is a password, and no name to log in with".to_owned()),
        };
    };
    let decoded = |text: &str| {
        let text = percent_decode_str(text).decode_utf8();
        text.map(|text| text.into_owned()).map_err(|_| "a name is not UTF-8".to_owned())
    };
    let (name, inside) = match user.split_once(':') {
        Some((name, password)) => (name, Some(Password::Given(decoded(password)?))),
        None => (user, None),
    };
    match (inside, beside) {
        (Some(_), Some(_)) => Err("the password is given twice".to_owned()),
        (None, None) => Err("there is a name to log in with, and no `password_file`".to_owned()),
        (Some(password), None) | (None, Some(password)) => {
            Ok(Some(Login { username: decoded(name)?, password }))
        }
    }
}

fn is_this_machine(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(text: &str) -> Option<Password> {
        Some(Password::Given(text.to_owned()))
    }

    #[test]
    fn addresses_of_mail_servers_are_read() {
        let read = |text: &str, password| match way(text, password, None) {
            Ok(Way::Smtp(relay)) => relay,
            other => panic!("{text}: {other:?}"),
        };
        let relay = read("smtps://me%40example.org@mail.example.org", given("x"));
        assert_eq!(
            (relay.host.as_str(), relay.port, relay.tls),
            ("mail.example.org", 465, Tls::Wrapped)
        );
        assert_eq!(relay.login.unwrap().username, "me@example.org");
        let relay = read("smtp://mail.example.org:2525", None);
        assert_eq!((relay.port, relay.tls, relay.login), (2525, Tls::StartTls, None));
        let relay = read("smtp://me:a%2Fb@[::1]:25?tls=none", None);
        assert_eq!((relay.host.as_str(), relay.port, relay.tls), ("::1", 25, Tls::None));
        assert_eq!(relay.login.unwrap().password, Password::Given("a/b".to_owned()));
    }

    #[test]
    fn wrong_ones_are_told_without_what_may_be_secret() {
        for (text, password) in [
            ("localhost", None),
            ("", None),
            ("smtp://", None),
            ("smtp://mail.example.org:99999", None),
            ("smtp://mail.example.org:", None),
            ("smtp://mail.example.org/path", None),
            ("smtp://mail.example.org?tls=none", None),
            ("smtp://localhost?tls=opportunistic", None),
            ("smtps://localhost?tls=none", None),
            ("smtp://me@mail.example.org", None),
            ("smtp://me:hunter2@mail.example.org", given("hunter2")),
            ("smtp://mail.example.org", given("hunter2")),
            ("http://mail.example.org", None),
            ("file:", None),
            ("file:mail", given("hunter2")),
            ("stdout", given("hunter2")),
        ] {
            let error = way(text, password, None).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert_eq!(way("file:var/out", None, None), Ok(Way::Directory(PathBuf::from("var/out"))));
        assert_eq!(way("stdout", None, None), Ok(Way::Stdout));
    }
}
