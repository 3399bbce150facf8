//! What a configuration is answered with: every `tests/golden/config/*.toml` against the text
//! beside it. `UPDATE_GOLDEN=1` writes the texts anew; the difference is then read like code.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::path::{Path, PathBuf};
use std::process::Command;

use vestibule::config::{self, Problems};

/// What `vestibule check` would print, without looking at any database.
fn answer(name: &str, text: &str) -> String {
    let shown = |problems: &Problems| format!("{problems}\n");
    match config::parse(name, text) {
        Err(problems) => shown(&problems),
        Ok(configuration) => {
            let unknown = configuration.unknown_names(None, |_| None);
            let warnings = configuration.warnings.clone().and(unknown);
            match config::run_tests(&configuration, |_| None) {
                Err(failures) => shown(&warnings.and(failures)),
                Ok(passed) if warnings.is_empty() => format!("fine, {passed} tests passed\n"),
                Ok(_) => shown(&warnings),
            }
        }
    }
}

fn files(directory: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_wrong_file_is_answered_as_recorded() {
    let is_update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let files = files("tests/golden/config");
    assert!(files.len() >= 25, "only {} cases", files.len());
    let mut differences = String::new();
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        let shown = answer(name, &std::fs::read_to_string(&file).unwrap());
        let golden = file.with_extension("txt");
        if is_update {
            std::fs::File::create(&golden)
                .and_then(|mut golden| std::io::Write::write_all(&mut golden, shown.as_bytes()))
                .unwrap();
            continue;
        }
        let recorded = std::fs::read_to_string(&golden).unwrap_or_default();
        if shown != recorded {
            let difference = format!("{name}: recorded\n{recorded}\n{name}: shown\n{shown}\n");
            differences.push_str(&difference);
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

#[test]
fn no_secret_of_any_case_is_shown() {
    for file in files("tests/golden/config") {
        let text = std::fs::read_to_string(&file).unwrap();
        let Err(problems) = config::parse("x.toml", &text) else { continue };
        for shown in [problems.to_string(), problems.short(), problems.to_json().to_string()] {
            assert!(!shown.contains("hunter2"), "{}: {shown}", file.display());
        }
    }
}

#[test]
fn every_example_is_fine() {
    for file in files("config/examples").into_iter().chain([PathBuf::from("config/vestibule.toml")])
    {
        let configuration =
            config::load(Some(&file)).unwrap_or_else(|problems| panic!("{problems}"));
        assert!(configuration.warnings.is_empty(), "{}", configuration.warnings);
        let unknown = configuration.unknown_names(None, |_| None);
        assert!(unknown.is_empty(), "{unknown}");
        config::run_tests(&configuration, |_| None).unwrap_or_else(|failures| panic!("{failures}"));
        assert_eq!(configuration.path.as_deref(), Some(file.as_path()));
    }
}

#[test]
fn a_file_that_cannot_be_read_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing.toml");
    let shown = config::load(Some(&missing)).unwrap_err().to_string();
    assert!(shown.contains("error[no-file]") && shown.contains("missing.toml"), "{shown}");
    let latin = directory.path().join("latin.toml");
    let mut file = std::fs::File::create(&latin).unwrap();
    std::io::Write::write_all(&mut file, b"a = 1\n# \xe4\n").unwrap();
    let shown = config::load(Some(&latin)).unwrap_err().to_string();
    assert!(shown.contains("error[not-utf8]") && shown.contains("line 2"), "{shown}");
}

#[test]
fn ten_thousand_rules_are_read_in_no_time() {
    let mut text = String::from("upstream = \"http://127.0.0.1:3000\"\n[paths]\n");
    for index in 0..10_000 {
        text.push_str(&format!("\"/a{}/b{index}/\" = {{ groups = \"g\" }}\n", index % 100));
    }
    let configuration = config::parse("large.toml", &text).unwrap();
    assert_eq!(configuration.gateway.default_site.unwrap().rules.iter().count(), 10_001);
}

proptest::proptest! {
    /// Whatever an editor leaves behind is answered, and shown without a secret.
    #[test]
    fn a_torn_file_is_answered(cut in 0..20_000_usize, length in 0..200_usize, put in "[\\PC\n\"'=\\[{}]{0,12}") {
        let whole = include_str!("../config/vestibule.toml").replace("\n#", "\n");
        let start = whole.floor_char_boundary(cut % whole.len());
        let end = whole.floor_char_boundary((start + length).min(whole.len())).max(start);
        let text = format!("{}{put}{}\npassword = \"hunter2\"\n", &whole[..start], &whole[end..]);
        if let Err(problems) = config::parse("torn.toml", &text) {
            let shown = format!("{problems}{}{}", problems.short(), problems.to_json());
            proptest::prop_assert!(!shown.contains("hunter2"), "{}", shown);
        }
    }
}

struct Answer {
    stdout: String,
    stderr: String,
    code: Option<i32>,
}

/// Runs `vestibule` with `arguments` in a directory that holds `text` as its configuration.
fn vestibule(text: &str, arguments: &[&str]) -> Answer {
    let directory = tempfile::tempdir().unwrap();
    let mut file = std::fs::File::create(directory.path().join("vestibule.toml")).unwrap();
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_vestibule"))
        .args(arguments)
        .current_dir(directory.path())
        .output()
        .unwrap();
    Answer {
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code(),
    }
}

const SITE: &str = r#"
upstream = "http://127.0.0.1:3000"
allow_in_path = ["double_slash"]

[paths]
"/" = { login_required = true }
"/polls/" = { permission_required = "polls.can_vote" }
"POST /polls/" = { groups = ["Editors"], networks = "10.0.0.0/8" }
"/static/" = { login_required = false }

[[test]]
request = "GET /static/x"
expect = "allow"

[[test]]
user = "ada"
request = "GET /"
expect = "allow"
"#;

#[test]
fn check_tells_what_is_in_a_good_file_and_what_it_could_not_test() {
    let Answer { stdout, code, .. } = vestibule(SITE, &["check"]);
    assert_eq!(code, Some(0));
    assert!(stdout.contains("vestibule.toml is fine: 1 site, 4 rules, 1 upstream, 1 test passed"));
    assert!(stdout.contains("1 test not run"), "{stdout}");
}

#[test]
fn check_refuses_a_bad_file_in_every_format() {
    let text = "upstream = \"http://127.0.0.1:3000\"\nupstrem = 1\n";
    let Answer { stderr, code, .. } = vestibule(text, &["check"]);
    assert_eq!(code, Some(78));
    assert!(stderr.contains("--> vestibule.toml:2:1"), "{stderr}");
    let Answer { stdout, code, .. } = vestibule(text, &["check", "--format", "short"]);
    assert_eq!(code, Some(78));
    assert!(stdout.starts_with("vestibule.toml:2:1: error[unknown-key]: "), "{stdout}");
    let Answer { stdout, code, .. } = vestibule(text, &["check", "--format", "json"]);
    assert_eq!(code, Some(78));
    let json: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(json["errors"], 1);
    assert_eq!(json["problems"][0]["code"], "unknown-key");
    assert_eq!(json["problems"][0]["place"]["line"], 2);
}

#[test]
fn check_refuses_a_file_whose_tests_fail() {
    let text = SITE.replace("\"/static/\" = { login_required = false }", "");
    let Answer { stderr, code, .. } = vestibule(&text, &["check"]);
    assert_eq!(code, Some(78));
    assert!(stderr.contains("expected `allow` and got `login`"), "{stderr}");
    assert!(stderr.contains("this rule decided"), "{stderr}");
}

const NAMES: &str = r#"
upstream = "http://127.0.0.1:3000"
headers = { "X-Can" = "{{ user.has_perm('polls.can_vot') }}" }

[paths]
"/polls/" = { permission_required = "polls.can_vote" }
"/x/" = { groups = ["Editor", "Readers"], users = ["adda"] }
"#;

#[test]
fn check_knows_the_names_in_the_database_too() {
    let directory = tempfile::tempdir().unwrap();
    let mut file = std::fs::File::create(directory.path().join("vestibule.toml")).unwrap();
    std::io::Write::write_all(&mut file, NAMES.as_bytes()).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vestibule"));
        let output = command.args(arguments).current_dir(directory.path()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    // Without a database and without a declaration there is nothing to hold names against.
    let shown = run(&["check"]);
    assert!(!shown.contains("warning"), "{shown}");

    run(&["permission", "create", "polls.can_vote", "Can vote"]);
    run(&["group", "create", "Editors"]);
    let people = directory.path().join("people.csv");
    std::io::Write::write_all(&mut std::fs::File::create(&people).unwrap(), b"username\nada\n")
        .unwrap();
    run(&["import", "csv", people.to_str().unwrap()]);
    let shown = run(&["check", "--format", "short"]);
    for warning in [
        "warning[undeclared-permission]: the permission `polls.can_vot` is neither declared in \
         `[permissions]` nor in the database (did you mean `polls.can_vote`?)",
        "warning[undeclared-group]: the group `Editor` is neither declared in `[groups]` nor in \
         the database (did you mean `Editors`?)",
        "warning[undeclared-group]: the group `Readers` is",
        "warning[unknown-user]: there is no user `adda` (did you mean `ada`?)",
    ] {
        assert!(shown.contains(warning), "{warning}\n{shown}");
    }
    assert_eq!(shown.matches("warning[").count(), 4, "{shown}");
}

#[test]
fn explain_names_the_rule_its_place_and_what_is_missing() {
    let Answer { stdout, code, stderr } = vestibule(
        SITE,
        &["explain", "POST", "/polls/1", "--user", "ada", "--groups", "Readers,Editors"],
    );
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stdout.contains("outcome     deny: 403"), "{stdout}");
    assert!(stdout.contains("\"POST /polls/\"   vestibule.toml:8"), "{stdout}");
    assert!(stdout.contains("miss   networks"), "{stdout}");
    assert!(stdout.contains("hit    groups"), "{stdout}");
    assert!(stdout.contains("the same prefix, for any method"), "{stdout}");
    assert!(stdout.contains("a shorter prefix"), "{stdout}");
}

#[test]
fn explain_shows_where_a_request_goes_and_what_it_says() {
    let arguments =
        ["explain", "GET", "/polls/", "--user", "ada", "--permissions", "polls.can_vote", "--json"];
    let Answer { stdout, .. } = vestibule(SITE, &arguments);
    let json: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(json["outcome"], "allow");
    assert_eq!(json["to"]["upstream"], "http://127.0.0.1:3000");
    assert_eq!(json["identity_headers"][0], serde_json::json!(["Remote-User", "ada"]));
    assert_eq!(json["readings"][0]["other_rules"][0]["why"], "for other methods");
}

#[test]
fn explain_shows_every_reading_and_every_refusal() {
    let outcome = |url: &str| vestibule(SITE, &["explain", "GET", url]).stdout;
    let shown = outcome("/static//polls/");
    assert!(shown.contains("read as     /static//polls/"), "{shown}");
    assert!(shown.contains("read as     /static/polls/"), "{shown}");
    let shown = outcome("//static/polls/?a=/b");
    assert!(shown.contains("login: "), "{shown}");
    assert!(shown.contains("/accounts/login/?next=//static/polls/%3Fa%3D/b"), "{shown}");
    assert!(outcome("/a%2fb").contains("`encoded_slash`"));
    assert!(outcome("/../x").contains("segment of dots"));
    assert!(outcome("/accounts/login/").contains("answers everything below `/accounts/` itself"));
}

#[test]
fn explain_asks_nobody_who_does_not_exist() {
    let Answer { stderr, code, .. } = vestibule(SITE, &["explain", "GET", "/", "--user", "ada"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("no database of users yet"), "{stderr}");
    let Answer { code, .. } = vestibule(SITE, &["explain", "get", "/"]);
    assert_eq!(code, Some(2));
}

#[test]
fn a_missing_file_is_a_bad_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_vestibule"))
        .args(["check", "--config"])
        .arg(Path::new("nowhere.toml"))
        .current_dir(directory.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(78));
}
