//! From the file to settings, or every problem in it at once.
//!
//! Only the command line imports this layer: each layer's settings type lives in that layer and
//! is filled here. A file passes through three steps: `reader` asks it typed questions and notes
//! every wrong answer, `written` and its neighbours hold what it says, and `sites` fills in what
//! is inherited and compiles the rules. Nothing stops at the first problem, and nothing is left
//! to be found out by a request.

mod accounts;
mod identity;
mod json;
mod mail;
mod mentions;
mod pages;
mod passwords;
mod policy_test;
mod problem;
mod profile;
mod quantity;
mod question;
mod reader;
mod registration;
mod report;
mod secrets;
mod server;
mod sessions;
mod sites;
mod store;
mod upstreams;
mod users;
mod written;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::DeTable;

pub use self::mentions::KnownNames;
pub use self::policy_test::{Expectation, PolicyTest, TestUser, hypothetical, run_tests, visitor};
pub use self::problem::{Problem, Problems, Severity};
use self::problem::{Source, Span};
pub use self::quantity::duration;
pub use self::question::{Answering, Outcome, Question};
use self::reader::Table;
use self::report::Report;

/// The file, resolved: one settings value for each layer.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// The file it was read from; `None` when there was none.
    pub path: Option<PathBuf>,
    /// `[server]`, `[admin]`.
    pub server: crate::server::settings::Settings,
    /// Sites, rules and upstreams.
    pub gateway: crate::gateway::settings::Settings,
    /// `[sessions]`.
    pub sessions: crate::sessions::settings::Settings,
    /// `[users]`, `[passwords]`, `[permissions]`, `[groups]`.
    pub accounts: crate::accounts::settings::Settings,
    /// `[accounts]`, `[lockout]`.
    pub pages: crate::pages::settings::Settings,
    /// `[mail]`, if there is one.
    pub mail: Option<crate::mail::Settings>,
    /// `[log]`.
    pub telemetry: crate::telemetry::settings::Settings,
    /// `[[test]]`.
    pub tests: Vec<PolicyTest>,
    /// What is valid and still worth a word.
    pub warnings: Problems,
    source: Arc<Source>,
    places: sites::Places,
    mentions: Vec<mentions::Mention>,
}

/// Where the file is looked for when none is named.
const DEFAULT_FILES: [&str; 2] = ["vestibule.toml", "/etc/vestibule/vestibule.toml"];

/// Problems that follow from what a syntax error hides, and are not worth a word beside one.
const CONSEQUENCES: [&str; 5] =
    ["no-upstream", "missing-key", "unknown-upstream", "unused-upstream", "undeclared-permission"];

/// Whether there is a file in one of the places where it is looked for.
pub fn is_there() -> bool {
    DEFAULT_FILES.map(Path::new).into_iter().any(Path::exists)
}

/// Reads `file`, or the first of `./vestibule.toml` and `/etc/vestibule/vestibule.toml` that exists.
pub fn load(file: Option<&Path>) -> Result<Configuration, Problems> {
    let Some(path) = file.or_else(|| DEFAULT_FILES.map(Path::new).into_iter().find(|f| f.exists()))
    else {
        let [here, system] = DEFAULT_FILES;
        let message =
            format!("there is no configuration: neither `./{here}` nor `{system}` exists");
        let problem = Problem::of_file("no-file", message)
            .hint("name one with `--config FILE`, or run `vestibule serve --upstream URL` without");
        return Err(Problems::unreadable("", problem));
    };
    let name = path.display().to_string();
    let unreadable = |code, message| Problems::unreadable(&name, Problem::of_file(code, message));
    let bytes = std::fs::read(path)
        .map_err(|error| unreadable("no-file", format!("`{name}` cannot be read: {error}")))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|&&b| b == b'\n').count() + 1;
        unreadable("not-utf8", format!("line {line} of `{name}` is not valid UTF-8"))
    })?;
    let configuration = parse(&name, &text)?;
    Ok(Configuration { path: Some(path.to_owned()), ..configuration })
}

/// What `serve --upstream URL` uses without a file: all defaults, and everything needs a login.
pub fn for_upstream(url: &str) -> Result<Configuration, Problems> {
    let value = toml::Value::String(url.to_owned());
    parse("--upstream", &format!("upstream = {value}"))
}

/// Reads `text`, the content of a file called `name`.
pub fn parse(name: &str, text: &str) -> Result<Configuration, Problems> {
    let source = Arc::new(Source { name: name.to_owned(), text: text.to_owned() });
    let (table, syntax_errors) = DeTable::parse_recoverable(text);
    let report = Report::default();
    let configuration = resolve(&Table::root(&report, table.get_ref()), &source);
    let mut problems = report.into_problems();
    if !syntax_errors.is_empty() {
        without_consequences(&mut problems, &syntax_errors, &source);
        problems.extend(syntax_errors.iter().map(syntax_problem));
    }
    let problems = Problems::new(source, problems);
    if problems.errors() > 0 {
        return Err(problems);
    }
    Ok(Configuration { warnings: problems, ..configuration })
}

fn resolve(root: &Table<'_>, source: &Arc<Source>) -> Configuration {
    let (server, shared) = server::read(root);
    let (sessions, cookie) = sessions::read(root);
    let mut accounts = accounts::read(root, &server.state_directory);
    accounts.keep_log = shared.keep_log.unwrap_or(accounts.keep_log);
    let public_url = shared.public_url.as_ref().map(|at| at.value.clone());
    let mail = mail::read(root, shared.public_url.as_ref());
    let (mut pages, prefix_place) = pages::read(root, public_url);
    pages.sends_mail = mail.is_some();
    let surroundings =
        sites::Surroundings { prefix: &pages.prefix, max_body_size: shared.max_body_size };
    accounts.profile.clone_from(&pages.profile);
    let (mut gateway, places) = sites::read(root, &surroundings);
    gateway.trusted_proxies.clone_from(&shared.trusted_proxies);
    let tests = policy_test::read(root, |offset| source.position(offset).0);
    let telemetry = server::read_log(root);
    profile::check_mentions(root.report(), pages.profile.as_deref());
    check_cookie(root.report(), &cookie, &shared, &pages.prefix, prefix_place);
    let message = "this version does not speak TLS; put a proxy that does in front of it";
    root.not_yet("tls", message);
    root.clone().finish(&["tls", written::TRUST]);
    Configuration {
        path: None,
        server,
        gateway,
        sessions,
        accounts,
        pages,
        mail,
        telemetry,
        tests,
        warnings: Problems::new(Arc::clone(source), Vec::new()),
        source: Arc::clone(source),
        places,
        mentions: root.report().mentions(),
    }
}

/// What the cookie, the addresses and the pages say about each other.
fn check_cookie(
    report: &Report,
    cookie: &sessions::Shared,
    server: &server::Shared,
    prefix: &str,
    prefix_place: Option<Span>,
) {
    if let Some(path) = &cookie.cookie_path {
        let directory = format!("{}/", path.value.trim_end_matches('/'));
        if !prefix.starts_with(&directory.to_ascii_lowercase()) {
            let message = format!(
                "browsers would not send a cookie for `{}` to `{prefix}login/`",
                path.value
            );
            let problem = Problem::error("contradiction", path.span.clone(), message);
            let problem =
                problem.hint("leave `cookie_path` out, or move `accounts.prefix` below it");
            report.add(match prefix_place {
                Some(place) => problem.other(place, "the gateway's pages are here"),
                None => problem,
            });
        }
    }
    let secure = cookie.cookie_secure.as_ref();
    let is_https = server.public_url.as_ref().filter(|url| url.value.starts_with("https://"));
    if let (Some(at), Some(url)) = (secure.filter(|at| !at.value), is_https) {
        let message = "the session cookie is sent in plain text though the site is on `https`";
        let problem = Problem::warning("insecure-cookie", at.span.clone(), message);
        report
            .add(problem.other(url.span.clone(), "`https` here").hint("leave `cookie_secure` out"));
    }
    if let Some(span) = server.reachable.as_ref().filter(|_| server.trusted_proxies.is_empty()) {
        let message = "passwords and cookies travel from here in plain text";
        let problem = Problem::warning("plain-text", span.clone(), message);
        report.add(problem.hint(
            "listen on `127.0.0.1` behind a proxy that speaks TLS, and name it in `trusted_proxies`",
        ));
    }
}

/// Takes out what a syntax error explains: problems on its line, and what seems to be missing.
fn without_consequences(
    problems: &mut Vec<Problem>,
    syntax_errors: &[toml::de::Error],
    source: &Source,
) {
    let line = |span: &Span| source.position(span.start).0;
    let broken: Vec<usize> =
        syntax_errors.iter().filter_map(|error| error.span()).map(|span| line(&span)).collect();
    problems.retain(|problem| {
        !CONSEQUENCES.contains(&problem.code())
            && problem.span().is_none_or(|span| !broken.contains(&line(span)))
    });
}

fn syntax_problem(error: &toml::de::Error) -> Problem {
    let span = error.span().unwrap_or_default();
    Problem::error("syntax", span, error.message().trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFERENCE: &str = include_str!("../../config/vestibule.toml");

    /// The reference with every setting in force that is commented out in it.
    fn in_full() -> String {
        REFERENCE
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(rest) if rest.starts_with(|c: char| c != ' ' && c != '#') => rest,
                _ => line,
            })
            .collect::<Vec<_>>()
            .join("\n")
            // Some keys are about the tables of a Django project alone.
            .replace("schema = \"vestibule\"", "schema = \"django\"")
    }

    #[test]
    fn the_reference_states_the_defaults() {
        let stated = parse("vestibule.toml", REFERENCE).unwrap_or_else(|e| panic!("{e}"));
        assert!(stated.warnings.is_empty(), "{}", stated.warnings);
        let real = for_upstream("http://127.0.0.1:3000").unwrap();
        assert_eq!(format!("{:#?}", stated.server), format!("{:#?}", real.server));
        assert_eq!(stated.sessions, real.sessions);
        assert_eq!(stated.accounts, real.accounts);
        assert_eq!(stated.pages, real.pages);
        assert_eq!(stated.mail, real.mail);
        assert_eq!(stated.telemetry, real.telemetry);
        assert_eq!(stated.gateway.upstreams, real.gateway.upstreams);
        assert_eq!(stated.gateway.trusted_proxies, real.gateway.trusted_proxies);
        assert_eq!(stated.gateway.identity_header_names, real.gateway.identity_header_names);
        let routes = |configuration: &Configuration| {
            let site = configuration.gateway.default_site.clone().unwrap();
            let conditions = format!("{:?}", site.rules.find("GET", "/x").conditions);
            let route = site.routes.last().unwrap().clone();
            (conditions, route.login_url, route.max_body_size, format!("{:?}", route.identity))
        };
        assert_eq!(routes(&stated), routes(&real));
        // The defaults of the layers' own types are the same again.
        assert_eq!(real.sessions, crate::sessions::settings::Settings::default());
        assert_eq!(real.accounts, crate::accounts::settings::Settings::default());
        assert_eq!(real.pages, crate::pages::settings::Settings::default());
        assert_eq!(real.telemetry, crate::telemetry::settings::Settings::default());
    }

    #[test]
    fn the_reference_has_every_key() {
        let text = in_full();
        let (table, syntax_errors) = DeTable::parse_recoverable(&text);
        assert!(syntax_errors.is_empty(), "{syntax_errors:?}");
        let report = Report::default();
        let source = Arc::new(Source { name: "full.toml".to_owned(), text: text.clone() });
        let configuration = resolve(&Table::root(&report, table.get_ref()), &source);
        let (asked, found) = report.keys();
        let missing: Vec<_> = asked.difference(&found).collect();
        assert!(missing.is_empty(), "not in the reference: {missing:?}");
        let problems = Problems::new(source, report.into_problems());
        assert!(problems.is_empty(), "{problems}");
        run_tests(&configuration, |_| None).unwrap_or_else(|failures| panic!("{failures}"));
    }

    #[test]
    fn without_a_file_everything_needs_a_login() {
        let configuration = for_upstream("http://127.0.0.1:3000").unwrap();
        let site = configuration.gateway.default_site.as_ref().unwrap();
        assert_eq!(site.rules.iter().count(), 1);
        let question = Question::parse("GET", "/", [127, 0, 0, 1].into()).unwrap();
        let outcome = configuration.outcome(&question, &visitor(None));
        assert!(matches!(outcome, Outcome::LogIn(..)), "{outcome:?}");
        assert!(for_upstream("127.0.0.1:3000").is_err());
        assert!(for_upstream("http://\"\n[paths]\n\"/\" = { login_required = false }").is_err());
    }

    #[test]
    fn what_is_not_set_is_inherited_from_the_next_shorter_prefix() {
        let text = r#"
            upstream = "http://top"
            max_body_size = "1MiB"
            headers = { "X-A" = "site", "X-B" = "site" }
            [paths]
            "/a/" = { upstream = "http://a", headers = { "x-b" = "a" } }
            "POST /a/" = { max_body_size = "2MiB" }
            "POST,PUT /a/b/" = {}
            "PUT /a/b/c/" = { headers = { "X-C" = "c" } }
            "/a/b/c/d/" = { max_body_size = 0 }
            "/A/b/c/d/e" = { permission_required = "x.y" }
        "#;
        let configuration = parse("t.toml", text).unwrap_or_else(|e| panic!("{e}"));
        let site = configuration.gateway.default_site.as_ref().unwrap();
        let ada = visitor(Some(Arc::new(hypothetical("ada".to_owned()))));
        let see = |method: &str, path: &str| {
            let rule = site.rules.find(method, path);
            let route = &site.routes[rule.route.0];
            assert_eq!(route.application, rule.application.0);
            let own: Vec<String> = route
                .identity
                .render(&ada, None)
                .unwrap()
                .iter()
                .filter(|(name, _)| name.as_str().starts_with("x-"))
                .map(|(name, value)| format!("{name}={}", value.to_str().unwrap()))
                .collect();
            let upstream = configuration.gateway.upstreams[route.application].name.clone();
            (upstream, route.max_body_size, own.join(" "))
        };
        let (top, a) = ("http://top".to_owned(), "http://a".to_owned());
        let (site_wide, from_a) = ("x-a=site x-b=site".to_owned(), "x-a=site x-b=a".to_owned());
        let mib = |number: u64| Some(number << 20);
        assert_eq!(see("GET", "/"), (top, mib(1), site_wide));
        assert_eq!(see("GET", "/a/"), (a.clone(), mib(1), from_a.clone()));
        assert_eq!(see("POST", "/a/"), (a.clone(), mib(2), from_a.clone()));
        // A rule for two methods inherits from no rule that is for one of them alone.
        assert_eq!(see("POST", "/a/b/"), (a.clone(), mib(1), from_a.clone()));
        assert_eq!(see("PUT", "/a/b/c/"), (a.clone(), mib(1), format!("{from_a} x-c=c")));
        assert_eq!(see("GET", "/a/b/c/d"), (a.clone(), None, from_a.clone()));
        assert_eq!(see("GET", "/a/b/c/d/e"), (a, None, from_a));
    }

    #[test]
    fn routes_with_the_same_headers_share_them() {
        let mut text = String::from("upstream = \"http://top\"\n[paths]\n");
        for index in 0..500 {
            text.push_str(&format!("\"/p{index}/\" = {{ headers = {{ \"X-A\" = \"a\" }} }}\n"));
        }
        let configuration = parse("t.toml", &text).unwrap();
        let routes = &configuration.gateway.default_site.as_ref().unwrap().routes;
        assert!(routes[..500].iter().all(|r| Arc::ptr_eq(&r.identity, &routes[0].identity)));
        assert!(configuration.gateway.identity_header_names.contains(&"x-a".to_owned()));
        for name in ["remote-user", "x-webauth-user", "x-authentik-uid", "x-forwarded-email"] {
            assert!(configuration.gateway.identity_header_names.contains(&name.to_owned()));
        }
    }

    #[test]
    fn nothing_is_public_unless_the_file_says_so() {
        let text = r#"
            upstream = "http://top"
            [paths]
            "/empty/" = {}
            "/net/" = { networks = "127.0.0.0/8" }
            "/test/" = { test = "true" }
            "/headers/" = { headers = { "X-A" = "a" } }
            "/public/" = { login_required = false }
            "/public/net/" = { login_required = false, networks = "10.0.0.0/8" }
        "#;
        let configuration = parse("t.toml", text).unwrap();
        let ask = |path: &str| {
            let question = Question::parse("GET", path, [127, 0, 0, 1].into()).unwrap();
            match configuration.outcome(&question, &visitor(None)) {
                Outcome::Allow(..) => "allow",
                Outcome::LogIn(..) => "login",
                Outcome::Deny(..) => "deny",
                Outcome::OwnPage
                | Outcome::UnknownHost
                | Outcome::BadPath(_)
                | Outcome::OddPath(_)
                | Outcome::Ambiguous
                | Outcome::Broken(_) => panic!("{path}"),
            }
        };
        for path in ["/empty/", "/net/", "/test/", "/headers/", "/", "/publicx"] {
            assert_eq!(ask(path), "login", "{path}");
        }
        assert_eq!(ask("/public/"), "allow");
        assert_eq!(ask("/public/net/"), "deny");
    }
}
