//! Making an account: who may, what is told, and what happens when many do it at once.

use std::fs;

use crate::support::{
    answer::Answer,
    config::{TOWN, town_and},
    eventually,
    gate::{Gate, Shared},
    people::PASSWORD,
    visitor::{Visitor, form_token},
};

static CLOSED: Shared = Shared::new(|| TOWN.to_owned());
static OPEN: Shared = Shared::new(|| {
    town_and("[accounts]\nregistration = \"open\"\nregistration_groups = [\"Site editors\"]")
});
static INVITED: Shared = Shared::new(|| town_and("[accounts]\nregistration = \"invited\""));

const PAGE: &str = "/accounts/register/";
const TAKEN: &str = "A user with that username already exists.";

/// What somebody types into the form.
#[derive(Clone, Copy)]
struct Typed<'a> {
    username: &'a str,
    email: &'a str,
    password1: &'a str,
    password2: &'a str,
}

fn typed<'a>(username: &'a str, email: &'a str) -> Typed<'a> {
    Typed { username, email, password1: PASSWORD, password2: PASSWORD }
}

/// Opens the form at `page` and sends it in.
async fn registers_at(visitor: &mut Visitor, page: &str, typed: Typed<'_>) -> Answer {
    let form = visitor.get(page).await;
    assert_eq!(form.status, 200, "{form:?}");
    visitor.keeps(&form);
    let token = form_token(&form.text());
    sends(visitor, page, typed, &token).await
}

async fn sends(visitor: &Visitor, page: &str, typed: Typed<'_>, token: &str) -> Answer {
    let fields = [
        ("csrfmiddlewaretoken", token),
        ("username", typed.username),
        ("email", typed.email),
        ("password1", typed.password1),
        ("password2", typed.password2),
    ];
    visitor.posts(page, &fields).await
}

async fn registers(gate: &Gate, typed: Typed<'_>) -> Answer {
    registers_at(&mut gate.visitor(), PAGE, typed).await
}

#[track_caller]
fn is_done(answer: &Answer, query: &str) {
    let location = format!("/accounts/register/done/{query}");
    assert_eq!((answer.status, answer.header("location")), (302, Some(&*location)), "{answer:?}");
}

#[track_caller]
fn complains(answer: &Answer, about: &str) {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.text().contains(about), "{about:?} in {}", answer.text());
    assert!(!answer.text().contains(PASSWORD), "{}", answer.text());
}

async fn cannot_log_in(gate: &Gate, name: &str) {
    let answer = gate.visitor().tries_to_log_in(name, PASSWORD, "/").await;
    assert_eq!((answer.status, answer.sets_cookie("sessionid")), (200, None), "{name}");
}

#[tokio::test]
async fn nobody_can_register_unless_the_file_says_so() {
    let gate = CLOSED.gate().await;
    let login = gate.visitor().get("/accounts/login/").await;
    assert!(!login.text().contains("register"), "{}", login.text());
    let page = gate.visitor().get(PAGE).await;
    page.is_refused_with(403);
    assert!(page.text().contains("Registration is closed"), "{}", page.text());
    let mut visitor = gate.visitor();
    visitor.keeps(&login);
    let token = form_token(&login.text());
    for page in [PAGE, &format!("{PAGE}{}/", "0".repeat(64))] {
        sends(&visitor, page, typed("newcomer", ""), &token).await.is_refused_with(403);
    }
    assert!(!gate.run(&["user", "list"]).contains("newcomer"));
    let refused = gate.try_run(&["invitation", "create"], "");
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("registration = \"invited\""));
}

#[tokio::test]
async fn whoever_comes_by_can_register_and_log_in_and_joins_the_groups() {
    let gate = OPEN.gate().await;
    let login = gate.visitor().get("/accounts/login/?next=/private/").await;
    assert!(
        login.text().contains("href=\"/accounts/register/?next=/private/\""),
        "{}",
        login.text()
    );
    is_done(&registers(&gate, typed("\u{fb01}ona", "Fiona@Example.ORG")).await, "");
    gate.visitor().logs_in("fiona", PASSWORD).await;
    let user = gate.run(&["user", "show", "fiona"]);
    assert!(user.contains("Fiona@example.org") && user.contains("Site editors"), "{user}");
    for flag in ["staff", "superuser"] {
        assert!(user.lines().any(|line| line.starts_with(flag) && line.ends_with("no")), "{user}");
    }
}

#[tokio::test]
async fn nothing_that_is_sent_besides_makes_an_account_more_than_it_is() {
    let gate = OPEN.gate().await;
    let mut visitor = gate.visitor();
    let form = visitor.get(PAGE).await;
    visitor.keeps(&form);
    let token = form_token(&form.text());
    let fields = [
        ("csrfmiddlewaretoken", &*token),
        ("username", "mallory"),
        ("password1", PASSWORD),
        ("password2", PASSWORD),
        ("is_staff", "on"),
        ("is_superuser", "true"),
        ("is_active", "1"),
        ("groups", "Admins"),
        ("user_permissions", "site.administer"),
    ];
    is_done(&visitor.posts(PAGE, &fields).await, "");
    let mallory = gate.sign_in("mallory").await;
    for target in ["/admin/", "/staff/", "/super/"] {
        mallory.get(target).await.is_refused_with(403);
    }
}

#[tokio::test]
async fn form_says_what_is_wrong_in_the_words_of_django() {
    let gate = OPEN.gate().await;
    for name in ["bob", "BOB", " Bob "] {
        complains(&registers(&gate, typed(name, "")).await, TAKEN);
    }
    for (name, about) in [
        ("", "This field is required."),
        (
            "a b",
            "Enter a valid username. This value may contain only letters, numbers, and @/./+/-/_ characters.",
        ),
        ("Admin", "This name is reserved and cannot be registered."),
        (&"x".repeat(151), "Ensure this value has at most 150 characters (it has 151)."),
    ] {
        complains(&registers(&gate, typed(name, "")).await, about);
    }
    for address in ["x", "x@y@z", "x@example.org\r\nBcc: y@example.org"] {
        complains(&registers(&gate, typed("zoe", address)).await, "Enter a valid email address.");
    }
    let mismatch = Typed { password2: "other", ..typed("zoe", "") };
    complains(&registers(&gate, mismatch).await, "The two password fields didn’t match.");
    let short = Typed { password1: "x", password2: "x", ..typed("zoe", "") };
    complains(&registers(&gate, short).await, "too short");
    assert!(!gate.run(&["user", "list"]).contains("zoe"));
}

#[tokio::test]
async fn form_without_its_token_makes_no_account() {
    let gate = OPEN.gate().await;
    let mut visitor = gate.visitor();
    sends(&visitor, PAGE, typed("yves", ""), "").await.is_refused_with(403);
    let form = visitor.get(PAGE).await;
    visitor.keeps(&form);
    let token = form_token(&form.text());
    sends(&gate.visitor(), PAGE, typed("yves", ""), &token).await.is_refused_with(403);
    let fields = [
        ("csrfmiddlewaretoken", &*token),
        ("username", "yves"),
        ("password1", PASSWORD),
        ("password2", PASSWORD),
    ];
    let elsewhere = "Origin: http://evil.example\r\n";
    visitor.posts_with(PAGE, &fields, elsewhere).await.is_refused_with(403);
    assert!(!gate.run(&["user", "list"]).contains("yves"));
}

#[tokio::test]
async fn of_many_who_want_one_name_at_once_one_has_it() {
    let gate = OPEN.gate().await;
    let tries = (0..8).map(|number| {
        let gate = &gate;
        let name = if number % 2 == 0 { "wanted" } else { "Wanted" };
        async move { registers(gate, typed(name, "")).await }
    });
    let answers = futures_util::future::join_all(tries).await;
    let made: Vec<_> = answers.iter().filter(|answer| answer.status == 302).collect();
    assert_eq!(made.len(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 302) {
        complains(answer, TAKEN);
    }
    let users = gate.run(&["user", "list"]).to_lowercase();
    assert_eq!(users.matches("wanted").count(), 1, "{users}");
}

#[tokio::test]
async fn unproven_address_of_another_account_does_not_become_a_second_ones() {
    let gate = OPEN.gate().await;
    is_done(&registers(&gate, typed("imposter", "ADA@example.org")).await, "");
    let user = gate.run(&["user", "show", "imposter"]);
    assert!(!user.to_lowercase().contains("ada@example.org"), "{user}");
}

#[tokio::test]
async fn only_addresses_of_the_domains_are_accepted() {
    let gate = Gate::start(&town_and(
        "[accounts]\nregistration = \"open\"\nregistration_domains = [\"corp.example\"]",
    ))
    .await;
    for address in [
        "x@evil.example",
        "x@evil.example@corp.example",
        "\"x@evil.example\"@corp.example",
        "x@evilcorp.example",
        "x@sub.corp.example",
        "x@corp.example.evil.example",
        "x@corp\u{ff0e}example",
        "",
    ] {
        let answer = registers(&gate, typed("xenia", address)).await;
        assert_eq!(answer.status, 200, "{address:?}: {answer:?}");
        cannot_log_in(&gate, "xenia").await;
    }
    is_done(&registers(&gate, typed("xenia", "x@CORP.example")).await, "");
}

#[tokio::test]
async fn account_that_is_not_approved_cannot_be_used() {
    let gate = Gate::start(&town_and("[accounts]\nregistration = \"approved\"")).await;
    is_done(&registers(&gate, typed("nora", "nora@example.org")).await, "?waits_for=approval");
    is_done(&registers(&gate, typed("otto", "")).await, "?waits_for=approval");
    for name in ["nora", "otto"] {
        cannot_log_in(&gate, name).await;
    }
    let waiting = gate.run(&["registration", "list"]);
    assert!(waiting.contains("nora@example.org") && waiting.contains("127.0.0.1"), "{waiting}");
    let json: serde_json::Value =
        serde_json::from_str(&gate.run(&["registration", "list", "--json"])).unwrap();
    assert_eq!(json[1]["username"], "otto");
    assert_eq!(json[1]["waits_for"]["approval"], true);

    gate.run(&["registration", "approve", "nora"]);
    gate.visitor().logs_in("nora", PASSWORD).await;
    gate.run(&["registration", "reject", "otto"]);
    cannot_log_in(&gate, "otto").await;
    assert!(!gate.run(&["user", "list"]).contains("otto"));
    for name in ["nora", "bob", "ivy"] {
        for verb in ["approve", "reject"] {
            let refused = gate.try_run(&["registration", verb, name], "");
            assert_eq!(refused.status.code(), Some(1), "{verb} {name}");
        }
    }
    gate.visitor().logs_in("bob", PASSWORD).await;
    // The name is free again.
    is_done(&registers(&gate, typed("otto", "")).await, "?waits_for=approval");
}

/// Makes an invitation, and gives the path of its link.
fn invites(gate: &Gate, arguments: &[&str]) -> String {
    let arguments: Vec<_> = ["invitation", "create"].iter().chain(arguments).copied().collect();
    gate.run(&arguments).trim().to_owned()
}

#[tokio::test]
async fn invitation_is_good_once_and_brings_its_groups_and_address() {
    let gate = INVITED.gate().await;
    let page = gate.visitor().get(PAGE).await;
    page.is_refused_with(403);
    assert!(page.text().contains("By invitation only"), "{}", page.text());
    let link = invites(&gate, &["--email", "gita@example.org", "--group", "Site editors"]);
    assert!(link.starts_with(PAGE), "{link}");
    let form = gate.visitor().get(&link).await;
    assert!(form.text().contains("gita@example.org"), "{}", form.text());
    // Without the slash it leads to the same.
    let bare = gate.visitor().get(link.trim_end_matches('/')).await;
    assert_eq!(bare.header("location"), Some(&*link), "{bare:?}");

    let answer = registers_at(&mut gate.visitor(), &link, typed("gita", "other@example.org")).await;
    is_done(&answer, "");
    let user = gate.run(&["user", "show", "gita"]);
    assert!(user.contains("gita@example.org") && user.contains("Site editors"), "{user}");
    gate.sign_in("gita").await.get("/reports/").await.is_forwarded_as("gita");

    let used = gate.visitor().get(&link).await;
    used.is_refused_with(404);
    let never = gate.visitor().get(&format!("{PAGE}{}/", "a".repeat(64))).await;
    assert_eq!(used.text(), never.text(), "a link that was never made looks the same");
    let all = gate.run(&["invitation", "list"]);
    assert!(all.contains("used by gita"), "{all}");
}

#[tokio::test]
async fn of_two_who_use_an_invitation_at_once_one_is_let_in() {
    let gate = INVITED.gate().await;
    for round in 0..4 {
        let link = invites(&gate, &[]);
        let names = [format!("left{round}"), format!("right{round}")];
        let (mut one, mut other) = (gate.visitor(), gate.visitor());
        let (one, other) = tokio::join!(
            registers_at(&mut one, &link, typed(&names[0], "")),
            registers_at(&mut other, &link, typed(&names[1], "")),
        );
        let mut statuses = [one.status, other.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [302, 404], "{one:?} {other:?}");
        let users = gate.run(&["user", "list"]);
        let there = names.iter().filter(|name| users.contains(name.as_str())).count();
        assert_eq!(there, 1, "{users}");
    }
}

#[tokio::test]
async fn invitation_that_was_taken_back_is_not_good_and_no_token_is_kept() {
    let gate = INVITED.gate().await;
    // By its own number: other tests invite at the same gateway.
    let made = gate.run(&["invitation", "create", "--expires", "2d", "--json"]);
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let (id, token) = (made["id"].to_string(), made["token"].as_str().unwrap());
    let link = format!("{PAGE}{token}/");
    assert_eq!(gate.visitor().get(&link).await.status, 200);
    let listed = gate.run(&["invitation", "list", "--json"]);
    assert!(listed.contains(&format!("\"id\": {id},")), "{listed}");
    for entry in fs::read_dir(gate.directory().join("var")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = fs::read(&path).unwrap();
            let found = bytes.windows(token.len()).any(|window| window == token.as_bytes());
            assert!(!found, "the token stands in {}", path.display());
        }
    }
    let open = gate.try_run(&["invitation", "revoke", &id], "");
    assert!(open.status.success(), "{open:?}");
    gate.visitor().get(&link).await.is_refused_with(404);
    assert_eq!(gate.try_run(&["invitation", "revoke", &id], "").status.code(), Some(1));
    let nonsense = gate.try_run(&["invitation", "create", "--group", "No such group"], "");
    assert_eq!(nonsense.status.code(), Some(1));
}

#[tokio::test]
async fn names_cannot_be_tried_out_in_numbers() {
    let gate =
        Gate::start(&town_and("[accounts]\nregistration = \"open\"\n[lockout]\nenabled = true"))
            .await;
    let mut statuses = Vec::new();
    for number in 0..33 {
        let name = format!("guess{number}");
        let typed = Typed { password2: "other", ..typed(&name, "") };
        statuses.push(registers(&gate, typed).await.status);
    }
    assert_eq!(statuses[..30], [200; 30], "{statuses:?}");
    assert_eq!(statuses[30..], [429; 3], "{statuses:?}");
    let answer = registers(&gate, typed("late", "")).await;
    assert!(answer.status == 429 && answer.header("retry-after").is_some(), "{answer:?}");
    // Those who have an account are not kept from it.
    gate.visitor().logs_in("bob", PASSWORD).await;
}

const BY_MAIL: &str = r#"
[server]
public_url = "https://town.example"

[mail]
smtp = "file:letters"
from = "Town <town@town.example>"

[accounts]
registration = "open"
"#;

/// The letters to `address` so far, as text.
fn letters(gate: &Gate, address: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(gate.directory().join("letters")) else { return Vec::new() };
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let mut letters: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
        .map(|path| read(path).replace("=\r\n", "").replace("=3D", "="))
        .filter(|letter| letter.contains(&format!("To: {address}\r\n")))
        .collect();
    letters.sort();
    letters
}

async fn letter(gate: &Gate, address: &str) -> String {
    eventually("a letter is written", || !letters(gate, address).is_empty()).await;
    letters(gate, address).remove(0)
}

/// The path of the link in a letter.
fn link(letter: &str) -> String {
    let after = letter
        .split_once("https://town.example/accounts/register/confirm/")
        .unwrap_or_else(|| panic!("no link in {letter}"))
        .1;
    let end = after.find(char::is_whitespace).unwrap();
    format!("/accounts/register/confirm/{}", &after[..end])
}

async fn confirms(gate: &Gate, link: &str) -> Answer {
    let mut visitor = gate.visitor();
    let page = visitor.get(link).await;
    if page.status != 200 {
        return page;
    }
    visitor.keeps(&page);
    let token = form_token(&page.text());
    visitor.posts(link, &[("csrfmiddlewaretoken", &token)]).await
}

#[tokio::test]
async fn account_can_be_used_once_its_address_is_confirmed() {
    let gate = Gate::start(&town_and(BY_MAIL)).await;
    complains(&registers(&gate, typed("hedy", "")).await, "This field is required.");
    let answer = registers(&gate, typed("hedy", "hedy@example.org")).await;
    is_done(&answer, "?waits_for=confirmation");
    cannot_log_in(&gate, "hedy").await;
    let letter = letter(&gate, "hedy@example.org").await;
    let link = link(&letter);

    // A program that opens every link in mail confirms nothing.
    assert_eq!(gate.visitor().get(&link).await.status, 200);
    cannot_log_in(&gate, "hedy").await;
    gate.visitor().posts(&link, &[]).await.is_refused_with(403);
    let mut forged = link.clone().into_bytes();
    let last = forged.len() - 2;
    forged[last] = if forged[last] == b'0' { b'1' } else { b'0' };
    let forged = String::from_utf8(forged).unwrap();
    gate.visitor().get(&forged).await.is_refused_with(404);

    is_done(&confirms(&gate, &link).await, "");
    gate.visitor().logs_in("hedy", PASSWORD).await;
    gate.visitor().get(&link).await.is_refused_with(404);
    // Nor does the link bring back an account that was locked afterwards.
    gate.run(&["user", "set", "hedy", "is_active=false"]);
    confirms(&gate, &link).await.is_refused_with(404);
    cannot_log_in(&gate, "hedy").await;
}

#[tokio::test]
async fn that_an_address_is_taken_is_told_to_its_owner_alone() {
    let gate = Gate::start(&town_and(BY_MAIL)).await;
    let free = registers(&gate, typed("free", "free@example.org")).await;
    let taken = registers(&gate, typed("taken", "ADA@example.org")).await;
    let look = |answer: &Answer| {
        let names = answer.headers.iter().map(|(name, value)| match &*name.to_ascii_lowercase() {
            "date" | "set-cookie" => name.clone(),
            _ => format!("{name}: {value}"),
        });
        (answer.status, names.collect::<Vec<_>>(), answer.text())
    };
    assert_eq!(look(&free), look(&taken));
    for name in ["free", "taken"] {
        cannot_log_in(&gate, name).await;
        complains(&registers(&gate, typed(name, "again@example.org")).await, TAKEN);
    }
    let owners = letter(&gate, "ADA@example.org").await;
    assert!(
        owners.contains("Your username is: ada") && !owners.contains("register/confirm"),
        "{owners}"
    );
    assert!(letter(&gate, "free@example.org").await.contains("register/confirm"));
}

#[tokio::test]
async fn link_comes_from_the_configuration_and_never_from_the_request() {
    let gate = Gate::start(&town_and(BY_MAIL)).await;
    let mut visitor = gate.visitor().at("evil.example");
    let answer = registers_at(&mut visitor, PAGE, typed("host", "host@example.org")).await;
    is_done(&answer, "?waits_for=confirmation");
    let letter = letter(&gate, "host@example.org").await;
    assert!(!letter.contains("evil.example"), "{letter}");
    link(&letter);
}

#[tokio::test]
async fn applicant_is_told_by_mail_what_was_decided() {
    let approved = BY_MAIL.replace("\"open\"", "\"approved\"");
    let gate = Gate::start(&town_and(&approved)).await;
    for name in ["lise", "emmy"] {
        let address = format!("{name}@example.org");
        let answer = registers(&gate, typed(name, &address)).await;
        is_done(&answer, "?waits_for=confirmation");
        let link = link(&letter(&gate, &address).await);
        is_done(&confirms(&gate, &link).await, "?waits_for=approval");
        cannot_log_in(&gate, name).await;
    }
    gate.run(&["registration", "approve", "lise"]);
    gate.visitor().logs_in("lise", PASSWORD).await;
    gate.run(&["registration", "reject", "emmy"]);
    cannot_log_in(&gate, "emmy").await;
    for (address, words) in
        [("lise@example.org", "was approved"), ("emmy@example.org", "was not approved")]
    {
        eventually("the decision is written", || {
            letters(&gate, address).iter().any(|letter| letter.contains(words))
        })
        .await;
    }
}
