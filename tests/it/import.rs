//! `vestibule import` and `export`: whoever is imported logs in with the password there was, and what is wrong is told
//! whole before anything is written.

use std::{fs, os::unix::fs::PermissionsExt as _};

use serde_json::Value;

use crate::support::{
    config::{TOWN, town_and},
    gate::Gate,
    people::{self, PASSWORD},
    recorder::Recorder,
};

/// `PASSWORD`, as PHP's `password_hash` and `htpasswd -s` hash it.
const BCRYPT: &str = "$2y$04$km2OozonPGhSHZ.RuODVKup5tWFLeq8ReVdJo0bCh7eyXzqJDbIeu";
const SHA: &str = "{SHA}YYlJE0k/uHz6X6y06OTEYpP64Do=";

fn put(gate: &Gate, name: &str, text: &str) {
    fs::write(gate.directory().join(name), text).unwrap();
}

/// What the command says when the answer is no.
fn complaint(gate: &Gate, arguments: &[&str]) -> String {
    let output = gate.try_run(arguments, "");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn names(gate: &Gate) -> Vec<String> {
    let users: Value = serde_json::from_str(&gate.run(&["user", "list", "--json"])).unwrap();
    let name = |user: &Value| user["username"].as_str().unwrap().to_owned();
    users.as_array().unwrap().iter().map(name).collect()
}

#[tokio::test]
async fn users_of_htpasswd_log_in_with_the_passwords_they_had() {
    let gate = Gate::start(TOWN).await;
    put(&gate, "htpasswd", &format!("# staff\nhanna:{BCRYPT}\nhugo:{SHA}\n"));
    let said = gate.run(&["import", "htpasswd", "htpasswd", "--group", "Site editors"]);
    assert_eq!(said, "created 2 users\n");
    for name in ["hanna", "hugo"] {
        gate.sign_in(name).await.get("/reports/").await.is_forwarded_as(name);
        let wrong = gate.visitor().tries_to_log_in(name, "lantern-gravel-4712", "/").await;
        assert_eq!(wrong.status, 200);
    }
    put(&gate, "apr1", "iris:$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/\n");
    let said = complaint(&gate, &["import", "htpasswd", "apr1"]);
    assert!(
        said.contains("apr1:1: the hash of `iris` is Apache's variant of MD5 (apr1)"),
        "{said}"
    );
    assert!(said.contains("nothing was imported: 1 problem in apr1\nhint: "), "{said}");
    let said = gate.run(&["import", "htpasswd", "apr1", "--unusable"]);
    assert!(said.starts_with("created 1 user\n1 new user has no password"), "{said}");
    let refused = gate.visitor().tries_to_log_in("iris", "", "/").await;
    assert_eq!(refused.status, 200);
}

#[tokio::test]
async fn an_update_counts_at_once_and_ends_what_it_makes_worthless() {
    let gate = Gate::start(TOWN).await;
    let (ada, bob, carl) =
        (gate.sign_in("ada").await, gate.sign_in("bob").await, gate.sign_in("carl").await);
    carl.get("/reports/").await.is_forwarded_as("carl");
    put(&gate, "people.csv", "username,is_active,groups\nada,false,Site editors\ncarl,,\nbob,,\n");
    let said = gate.run(&["import", "csv", "people.csv", "--update"]);
    assert_eq!(said, "updated 2 users, 1 user just so already\n");
    ada.get("/private/").await.asks_to_log_in("/private/");
    assert_eq!(carl.get("/reports/").await.status, 403);
    carl.get("/private/").await.is_forwarded_as("carl");
    bob.get("/private/").await.is_forwarded_as("bob");
    let list: Value = serde_json::from_str(&gate.run(&["session", "list", "--json"])).unwrap();
    let keys: Vec<&str> =
        list.as_array().unwrap().iter().map(|it| it["key"].as_str().unwrap()).collect();
    assert!(!keys.contains(&&*ada.key()) && keys.contains(&&*bob.key()), "{keys:?}");

    put(
        &gate,
        "secret.csv",
        "username,password\nbob,granite-window-9182\nnora,granite-window-9182\n",
    );
    gate.run(&["import", "csv", "secret.csv", "--update"]);
    bob.get("/private/").await.is_forwarded_as("bob");
    let said = gate.run(&["import", "csv", "secret.csv", "--update", "--passwords"]);
    assert_eq!(said, "updated 2 users\n");
    bob.get("/private/").await.asks_to_log_in("/private/");
    let mut nora = gate.visitor();
    nora.logs_in("nora", "granite-window-9182").await;
    // The same list again disturbs nobody.
    put(&gate, "again.csv", "username,email\nnora,nora@example.org\n");
    gate.run(&["import", "csv", "again.csv", "--update"]);
    assert!(gate.run(&["import", "csv", "again.csv", "--update"]).contains("just so already"));
    nora.get("/private/").await.is_forwarded_as("nora");
}

#[tokio::test]
async fn everything_that_is_wrong_is_told_and_nothing_is_written() {
    let gate = Gate::start(TOWN).await;
    let before = names(&gate);
    let text = "username,email,groups,permissions,password,password_hash\n\
                good,good@example.org,Site editors,,granite-window-9182,\n\
                ada,,,,,\n\
                bad name,,,,,\n\
                lost,lost,,,,\n\
                gina,,Site editor,,,\n\
                paul,,,polls.can_vot,,\n\
                weak,,,,1234,\n\
                odd,,,,,hunter2\n\
                good,,,,,\n";
    put(&gate, "people.csv", text);
    let said = complaint(&gate, &["import", "csv", "people.csv"]);
    for line in [
        "people.csv:3: there is a user `ada` already",
        "people.csv:4: the username has the character ' ' in it",
        "people.csv:5: `lost` is not an e-mail address",
        "people.csv:6: there is no group `Site editor` (did you mean `Site editors`?)",
        "people.csv:7: there is no permission `polls.can_vot` (did you mean `polls.can_vote`?)",
        "people.csv:8: the password is too short; the password is a common one",
        "people.csv:9: the hash of the password is of no form that can be checked",
        "people.csv:10: the user `good` stands here again, first at line 2",
        "nothing was imported: 8 problems in people.csv",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
    assert!(!said.contains("1234") && !said.contains("hunter2"), "{said}");
    assert_eq!(names(&gate), before);

    let output = gate.try_run(&["import", "csv", "people.csv", "--json"], "");
    assert_eq!(output.status.code(), Some(1));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["written"], false);
    assert_eq!(json["problems"].as_array().unwrap().len(), 8);
    assert_eq!(json["problems"][0]["at"]["line"], 3);

    let said = gate.run(&["import", "csv", "people.csv", "--help"]);
    assert!(said.contains("--skip-invalid"), "{said}");
    let said = complaint(&gate, &["import", "csv", "people.csv", "--skip-invalid"]);
    assert!(said.contains("8 problems in people.csv: those were left out"), "{said}");
    assert_eq!(names(&gate).len(), before.len() + 1);
    gate.visitor().logs_in("good", "granite-window-9182").await;
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_and_writes_nothing() {
    let gate = Gate::start(TOWN).await;
    let before = (names(&gate), gate.run(&["group", "list"]));
    let text = r#"{"permission":{"name":"wiki.edit","description":"Edit"}}
{"group":{"name":"Writers","permissions":["wiki.edit"]}}
{"user":{"username":"walt","groups":["Writers"],"permissions":["wiki.edit"]}}
"#;
    put(&gate, "all.jsonl", text);
    let said = gate.run(&["import", "json", "all.jsonl", "--dry-run"]);
    let would = "this would be done:\ncreate 1 user\ncreate 1 group\ncreate 1 permission\n";
    assert!(said.starts_with(would), "{said}");
    assert_eq!((names(&gate), gate.run(&["group", "list"])), before);
    gate.run(&["import", "json", "all.jsonl"]);
    let walt: Value = serde_json::from_str(&gate.run(&["user", "show", "walt", "--json"])).unwrap();
    assert_eq!(walt["groups"], serde_json::json!(["Writers"]));
    assert_eq!(walt["group_permissions"]["wiki.edit"], serde_json::json!(["Writers"]));
    let said = gate.run(&["import", "json", "all.jsonl", "--skip-existing"]);
    assert!(said.starts_with("1 user left as they are\n1 group just so already"), "{said}");
    // Wanting both is wanting nothing.
    for wrong in [&["--update", "--skip-existing"][..], &["--passwords"]] {
        let output = gate.try_run(&[&["import", "json", "all.jsonl"], wrong].concat(), "");
        assert_eq!(output.status.code(), Some(2), "{output:?}");
    }
}

#[tokio::test]
async fn what_is_exported_makes_the_same_town_elsewhere() {
    let gate = Gate::start(TOWN).await;
    gate.run(&["user", "set", "ada", "profile.band==SUM(1)", "first_name=@da"]);
    for format in ["json", "csv"] {
        let file = format!("town.{format}");
        let said = gate.run(&["export", "--passwords", "--format", format, "--output", &file]);
        assert_eq!(said, format!("exported 8 users to {file}\n"));
        let mode = fs::metadata(gate.directory().join(&file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let csv = fs::read_to_string(gate.directory().join("town.csv")).unwrap();
    assert!(csv.contains(",'=SUM(1)") && csv.contains("'@da"), "{csv}");
    let whole = gate.run(&["export", "--passwords"]);
    assert!(!gate.run(&["export"]).contains("argon2"));

    for format in ["json", "csv"] {
        // A home where nobody lives yet, and no gateway runs.
        let home = tempfile::tempdir().unwrap();
        for file in ["vestibule.toml", "town.json", "town.csv"] {
            fs::copy(gate.directory().join(file), home.path().join(file)).unwrap();
        }
        let file = format!("town.{format}");
        if format == "csv" {
            // Users alone; the permissions are those that the file declares.
            let arguments = ["import", "csv", &file, "--create-groups"];
            people::run_well(home.path(), &arguments, "");
        } else {
            people::run_well(home.path(), &["import", "json", &file], "");
            let again = people::run_well(home.path(), &["export", "--passwords"], "");
            assert_eq!(again, whole);
        }
        let there = Gate::start_in_settled(home, Recorder::start(), TOWN).await;
        there.sign_in("ada").await.get("/private/").await.is_forwarded_as("ada");
        let refused = there.visitor().tries_to_log_in("ivy", PASSWORD, "/").await;
        assert_eq!(refused.status, 200, "she was deactivated");
        let ada: Value =
            serde_json::from_str(&there.run(&["user", "show", "ada", "--json"])).unwrap();
        assert_eq!(
            (&ada["first_name"], &ada["profile"]["band"]),
            (&"@da".into(), &"=SUM(1)".into())
        );
    }
}

#[tokio::test]
async fn declared_groups_are_there_and_a_reload_makes_more() {
    let declared = "[groups]\n\"Voters\" = [\"polls.can_vote\"]\n\"Site editors\" = []";
    let gate = Gate::start(&town_and(declared)).await;
    gate.run(&["group", "add", "Voters", "bob"]);
    let bob = gate.sign_in("bob").await;
    bob.get("/polls/vote/").await.is_forwarded_as("bob");
    assert_eq!(bob.get("/admin/").await.status, 403);

    let more = "[groups]\n\"Voters\" = [\"polls.can_vote\", \"site.administer\"]\n\"New\" = []";
    gate.rewrite(&town_and(more));
    assert_eq!(gate.run(&["reload", "--json"]), "{\n  \"reloaded\": true\n}\n");
    bob.get("/admin/").await.is_forwarded_as("bob");
    assert!(gate.run(&["group", "list"]).contains("New"));
    // What is taken out of the file is not taken from anybody.
    gate.rewrite(TOWN);
    gate.run(&["reload"]);
    bob.get("/polls/vote/").await.is_forwarded_as("bob");
    assert!(gate.run(&["check"]).contains("is fine"));
}

#[tokio::test]
async fn groups_are_renamed_and_permissions_deleted_at_once() {
    let gate = Gate::start(TOWN).await;
    let ada = gate.sign_in("ada").await;
    ada.get("/polls/vote/").await.is_forwarded_as("ada");
    let shown: Value =
        serde_json::from_str(&gate.run(&["permission", "show", "polls.can_vote", "--json"]))
            .unwrap();
    assert_eq!(shown["users"], serde_json::json!(["ada"]));
    let said = gate.run(&["permission", "set", "polls.can_vote", "May vote"]);
    assert_eq!(said, "`polls.can_vote` is described as `May vote`\n");
    assert!(gate.run(&["permission", "show", "polls.can_vote"]).contains("May vote"));
    gate.run(&["permission", "delete", "polls.can_vote"]);
    assert_eq!(ada.get("/polls/vote/").await.status, 403);

    ada.get("/reports/").await.is_forwarded_as("ada");
    let said = gate.run(&["group", "set", "Site editors", "name=Editors", "--json"]);
    assert_eq!(said, "{\n  \"done\": \"the group `Site editors` is called `Editors` now\"\n}\n");
    assert_eq!(ada.get("/reports/").await.status, 403);
    let said = complaint(&gate, &["permission", "delete", "polls.can_vot"]);
    assert!(said.contains("there is no permission `polls.can_vot`"), "{said}");
    let output = gate.try_run(&["group", "set", "Editors", "permissions=x"], "");
    assert_eq!(output.status.code(), Some(2));
}
