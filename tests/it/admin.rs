//! The administration: for staff, within their permissions, and nobody gives what he or she does not hold, whatever a
//! form says.

mod lockouts;
mod messages;
mod profiles;
mod registrations;

use crate::support::{
    answer::Answer,
    config::TOWN,
    gate::Gate,
    people::PASSWORD,
    visitor::{Visitor, form_token},
};

const USERS: &str = "/accounts/admin/users/";

const PAGES: [&str; 15] = [
    "",
    "users/",
    "users/add/",
    "users/1/",
    "users/1/password/",
    "users/1/delete/",
    "registrations/",
    "groups/",
    "groups/add/",
    "permissions/",
    "sessions/",
    "messages/",
    "lockouts/",
    "rules/",
    "log/",
];

/// A gateway in which stella, who is staff, has these permissions.
async fn gate(permissions: &[&str]) -> Gate {
    let gate = Gate::start(TOWN).await;
    for permission in permissions {
        gate.run(&["permission", "grant", permission, "--user", "stella"]);
    }
    gate
}

/// What `vestibule user show` says, as JSON.
fn user(gate: &Gate, name: &str) -> serde_json::Value {
    serde_json::from_str(&gate.run(&["user", "show", name, "--json"])).unwrap()
}

fn page_of(gate: &Gate, name: &str) -> String {
    format!("{USERS}{}/", user(gate, name)["id"])
}

/// The value of a hidden field in a page.
fn hidden(page: &str, name: &str) -> String {
    let (_, rest) = page.split_once(&format!("name=\"{name}\" value=\"")).unwrap();
    rest.split('"').next().unwrap().to_owned()
}

/// Opens a page and sends a form from it, with these fields besides the token and the state that it showed.
async fn sends(visitor: &mut Visitor, page: &str, fields: &[(&str, &str)]) -> Answer {
    sends_to(visitor, page, page, fields).await
}

async fn sends_to(
    visitor: &mut Visitor,
    page: &str,
    target: &str,
    fields: &[(&str, &str)],
) -> Answer {
    let shown = visitor.get(page).await;
    assert_eq!(shown.status, 200, "{page}: {shown:?}");
    visitor.keeps(&shown);
    let text = shown.text();
    let token = form_token(&text);
    let mut all = vec![("csrfmiddlewaretoken", &*token)];
    let seen = text.contains("name=\"seen\"").then(|| hidden(&text, "seen"));
    if let Some(seen) = &seen {
        all.push(("seen", seen));
    }
    all.extend(fields);
    visitor.posts(target, &all).await
}

/// Follows the redirect after an act, and finds what is said there.
#[track_caller]
fn says<'a>(page: &'a Answer, what: &str) -> &'a Answer {
    assert_eq!(page.status, 200, "{page:?}");
    assert!(page.text().contains(what), "`{what}` is not in\n{}", page.text());
    page
}

async fn follows(visitor: &Visitor, answer: &Answer) -> Answer {
    assert_eq!(answer.status, 303, "{}", answer.text());
    visitor.get(answer.header("location").unwrap()).await
}

#[tokio::test]
async fn strangers_log_in_and_others_than_staff_are_refused() {
    let gate = gate(&[]).await;
    let (bob, stranger) = (gate.sign_in("bob").await, gate.visitor());
    for page in PAGES {
        let page = format!("/accounts/admin/{page}");
        stranger.get(&page).await.asks_to_log_in(&page);
        bob.get(&page).await.is_refused_with(403);
        bob.posts(&page, &[("do", "save")]).await.is_refused_with(403);
    }
    // Staff without permissions see the first page, and nothing behind it.
    let stella = gate.sign_in("stella").await;
    let home = stella.get("/accounts/admin/").await;
    says(&home, "nobody has given you a permission");
    for page in &PAGES[1..] {
        stella.get(&format!("/accounts/admin/{page}")).await.is_refused_with(403);
    }
    let answer = stella.get("/accounts/admin/nothing/").await;
    assert_eq!(answer.status, 404);
}

#[tokio::test]
async fn forged_fields_give_staff_nothing_that_they_do_not_hold() {
    let gate = gate(&["auth.change_user", "auth.add_user"]).await;
    let mut stella = gate.sign_in("stella").await;
    let bob = page_of(&gate, "bob");
    let own = page_of(&gate, "stella");
    for name in ["bob", "stella"] {
        let page = if name == "bob" { &bob } else { &own };
        let before = user(&gate, name);
        for forged in [
            ("is_superuser", "on"),
            ("permissions", "polls.can_vote"),
            ("permissions", "auth.delete_user"),
            ("groups", "Site editors"),
        ] {
            let mut fields =
                vec![("username", name), ("is_active", "on"), ("first_name", "X"), forged];
            fields.push(("current_password", PASSWORD));
            if name == "stella" {
                fields.extend([
                    ("is_staff", "on"),
                    ("permissions", "auth.change_user"),
                    ("permissions", "auth.add_user"),
                ]);
            }
            let answer = sends(&mut stella, page, &fields).await;
            assert_eq!(answer.status, 403, "{name}, {forged:?}: {}", answer.text());
            assert_eq!(user(&gate, name), before, "{name}, {forged:?}");
        }
    }
    let staff = [("username", "bob"), ("is_active", "on"), ("is_staff", "on")];
    assert_eq!(sends(&mut stella, &bob, &staff).await.status, 403);
    for forged in [("is_superuser", "on"), ("is_staff", "on"), ("permissions", "polls.can_vote")] {
        let fields = [("username", "mallory"), forged];
        let answer = sends(&mut stella, "/accounts/admin/users/add/", &fields).await;
        assert_eq!(answer.status, 403, "{forged:?}");
    }
    let chosen = [("username", "mallory"), ("password1", PASSWORD), ("password2", PASSWORD)];
    let answer = sends(&mut stella, "/accounts/admin/users/add/", &chosen).await;
    assert_eq!(answer.status, 403, "only superusers choose passwords");
    assert!(!gate.try_run(&["user", "show", "mallory"], "").status.success());
}

#[tokio::test]
async fn who_holds_more_cannot_be_touched_by_the_numbers_of_others() {
    let gate = gate(&["auth.change_user", "auth.delete_user"]).await;
    let mut stella = gate.sign_in("stella").await;
    let bob = page_of(&gate, "bob");
    for name in ["root", "alice", "ada"] {
        let before = user(&gate, name);
        let page = page_of(&gate, name);
        // The token of any page of one's own is good: what is asked is what staff may do.
        for fields in [
            &[("do", "deactivate")][..],
            &[("do", "no_password")],
            &[("username", name), ("is_active", "on"), ("first_name", "X")],
        ] {
            let shown = stella.get(&page).await;
            let seen = hidden(&shown.text(), "seen");
            let shown = stella.get(&bob).await;
            stella.keeps(&shown);
            let token = form_token(&shown.text());
            let mut all = vec![("csrfmiddlewaretoken", &*token), ("seen", &*seen)];
            all.extend(fields);
            let answer = stella.posts(&page, &all).await;
            assert_eq!(answer.status, 403, "{name}, {fields:?}: {}", answer.text());
        }
        let deletion = [("current_password", PASSWORD)];
        let answer = sends_to(&mut stella, &bob, &format!("{page}delete/"), &deletion).await;
        assert_eq!(answer.status, 403, "{name}");
        let password = [("password1", "lantern-gravel-4712"), ("password2", "lantern-gravel-4712")];
        let answer = sends_to(&mut stella, &bob, &format!("{page}password/"), &password).await;
        assert_eq!(answer.status, 403, "{name}");
        assert_eq!(user(&gate, name), before);
        gate.sign_in(name).await;
    }
}

#[tokio::test]
async fn forms_without_their_token_or_from_elsewhere_change_nothing() {
    let gate = gate(&[]).await;
    let mut root = gate.sign_in("root").await;
    let bob = page_of(&gate, "bob");
    let before = user(&gate, "bob");
    let shown = root.get(&bob).await;
    root.keeps(&shown);
    let (token, seen) = (form_token(&shown.text()), hidden(&shown.text(), "seen"));
    let of_another = {
        let mut other = gate.sign_in("root").await;
        let page = other.get(&bob).await;
        other.keeps(&page);
        form_token(&page.text())
    };
    for token in ["", "x", &*of_another] {
        let fields = [("csrfmiddlewaretoken", token), ("seen", &*seen), ("do", "deactivate")];
        root.posts(&bob, &fields).await.is_refused_with(403);
    }
    let fields = [("csrfmiddlewaretoken", &*token), ("seen", &*seen), ("do", "deactivate")];
    let elsewhere = root.posts_with(&bob, &fields, "Origin: http://evil.example\r\n").await;
    elsewhere.is_refused_with(403);
    assert_eq!(user(&gate, "bob"), before);
}

#[tokio::test]
async fn staff_change_what_they_may_and_it_counts_at_once() {
    let gate =
        gate(&["auth.change_user", "auth.view_user", "vestibule.view_log", "polls.can_vote"]).await;
    let mut stella = gate.sign_in("stella").await;
    let bob_himself = gate.sign_in("bob").await;
    bob_himself.get("/polls/vote/").await.is_refused_with(403);
    let bob = page_of(&gate, "bob");
    let fields = [
        ("username", "bob"),
        ("first_name", "Bob"),
        ("last_name", "Builder"),
        ("is_active", "on"),
        ("permissions", "polls.can_vote"),
    ];
    let answer = sends(&mut stella, &bob, &fields).await;
    let page = follows(&stella, &answer).await;
    says(&page, "The user “bob” was changed successfully.");
    says(&page, "Builder");
    // It is said once.
    assert!(!stella.get(&bob).await.text().contains("successfully"));
    bob_himself.get("/polls/vote/").await.is_forwarded_as("bob");
    let log = stella.get("/accounts/admin/log/?by=stella").await;
    says(&log, "<strong>stella</strong> changed the user");

    let answer = sends(&mut stella, &bob, &[("do", "deactivate")]).await;
    says(&follows(&stella, &answer).await, "The user “bob” was deactivated successfully.");
    bob_himself.get("/private/").await.asks_to_log_in("/private/");
    let answer = sends(&mut stella, &bob, &[("do", "activate")]).await;
    follows(&stella, &answer).await;
    // The session ended with the deactivation.
    bob_himself.get("/private/").await.asks_to_log_in("/private/");
    gate.sign_in("bob").await;
}

#[tokio::test]
async fn what_matters_most_takes_the_own_password() {
    let gate = gate(&[]).await;
    let mut root = gate.sign_in("root").await;
    let bob = page_of(&gate, "bob");
    let before = user(&gate, "bob");
    for sensitive in [("is_superuser", "on"), ("email", "mallory@example.org")] {
        for password in ["", "wrong-password-1"] {
            let fields = [
                ("username", "bob"),
                ("is_active", "on"),
                sensitive,
                ("current_password", password),
            ];
            let answer = sends(&mut root, &bob, &fields).await;
            assert_eq!(answer.status, 200);
            assert!(answer.text().contains("role=\"alert\""), "{}", answer.text());
            assert_eq!(user(&gate, "bob"), before, "{sensitive:?}, `{password}`");
        }
    }
    let deletion = format!("{bob}delete/");
    let answer = sends(&mut root, &deletion, &[("current_password", "wrong-password-1")]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(user(&gate, "bob"), before);
    let fields = [
        ("username", "bob"),
        ("is_active", "on"),
        ("email", "bob@example.org"),
        ("current_password", PASSWORD),
    ];
    follows(&root, &sends(&mut root.clone(), &bob, &fields).await).await;
    assert_eq!(user(&gate, "bob")["email"], "bob@example.org");
    let answer = sends(&mut root, &deletion, &[("current_password", PASSWORD)]).await;
    says(&follows(&root, &answer).await, "The user “bob” was deleted successfully.");
    assert!(!gate.try_run(&["user", "show", "bob"], "").status.success());
}

#[tokio::test]
async fn two_members_of_staff_do_not_overwrite_each_other() {
    let gate = gate(&[]).await;
    let mut root = gate.sign_in("root").await;
    let bob = page_of(&gate, "bob");
    let shown = root.get(&bob).await;
    root.keeps(&shown);
    let (token, seen) = (form_token(&shown.text()), hidden(&shown.text(), "seen"));
    gate.run(&["user", "set", "bob", "last_name=Builder"]);
    let fields = [
        ("csrfmiddlewaretoken", &*token),
        ("seen", &*seen),
        ("username", "bob"),
        ("first_name", "Bob"),
        ("is_active", "on"),
    ];
    let answer = root.posts(&bob, &fields).await;
    assert_eq!(answer.status, 409);
    assert!(answer.text().contains("was changed meanwhile"), "{}", answer.text());
    assert!(answer.text().contains("Builder"), "the newest is shown");
    assert_eq!(user(&gate, "bob")["last_name"], "Builder");
    assert_eq!(user(&gate, "bob")["first_name"], "");
}

#[tokio::test]
async fn sessions_are_seen_and_ended_by_who_may() {
    let gate = gate(&["vestibule.view_session"]).await;
    let stella = gate.sign_in("stella").await;
    let (bob, other) = (gate.sign_in("bob").await, gate.sign_in("bob").await);
    let page = stella.get("/accounts/admin/sessions/").await;
    says(&page, "bob");
    assert!(!page.text().contains(&bob.session()), "a page has keys, never ids");
    let fields = [("session", &*bob.key())];
    stella.posts("/accounts/admin/sessions/", &fields).await.is_refused_with(403);
    bob.get("/private/").await.is_forwarded_as("bob");

    let mut root = gate.sign_in("root").await;
    let sessions = "/accounts/admin/sessions/";
    let answer = sends(&mut root, sessions, &[("session", &*bob.key())]).await;
    says(&follows(&root, &answer).await, "One session of “bob” was ended.");
    bob.get("/private/").await.asks_to_log_in("/private/");
    other.get("/private/").await.is_forwarded_as("bob");
    let id = user(&gate, "bob")["id"].to_string();
    let answer = sends(&mut root, sessions, &[("of", &*id)]).await;
    says(&follows(&root, &answer).await, "One session of “bob” was ended.");
    other.get("/private/").await.asks_to_log_in("/private/");
    says(&root.get("/accounts/admin/log/?kind=session").await, "ended sessions of");
}

#[tokio::test]
async fn rules_are_shown_and_asked() {
    let gate = gate(&["vestibule.view_rule"]).await;
    let stella = gate.sign_in("stella").await;
    let rules = "/accounts/admin/rules/";
    let page = stella.get(rules).await;
    says(says(&page, "/polls/vote/"), "permission_required polls.can_vote");
    // What somebody else may do is for those who may see users.
    stella.get(&format!("{rules}?user=ada&url=/polls/vote/")).await.is_refused_with(403);
    let verdict = |page: &Answer| {
        let text = page.text();
        text.split_once("<strong class=\"word\">").unwrap().1.split('<').next().unwrap().to_owned()
    };
    assert_eq!(verdict(&stella.get(&format!("{rules}?url=/polls/vote/")).await), "login");
    let root = gate.sign_in("root").await;
    for (who, url, word) in [
        ("ada", "/polls/vote/", "allow"),
        ("bob", "/polls/vote/", "deny"),
        ("ivy", "/polls/vote/", "login"),
        ("bob", "/public/../admin/", "deny"),
        ("bob", "/accounts/profile/", "allow"),
    ] {
        let page = root.get(&format!("{rules}?method=GET&user={who}&url={url}")).await;
        assert_eq!(verdict(&page), word, "{who}, {url}");
    }
    says(&root.get(&format!("{rules}?user=nobody-here&url=/")).await, "There is no user");
}

#[tokio::test]
async fn groups_are_run_by_who_runs_groups() {
    let gate =
        gate(&["auth.change_group", "auth.view_group", "auth.change_user", "polls.can_vote"]).await;
    let mut stella = gate.sign_in("stella").await;
    gate.run(&["group", "create", "Voters", "--permission", "polls.can_vote"]);
    let list = stella.get("/accounts/admin/groups/").await.text();
    let page = list
        .split("href=\"")
        .filter_map(|rest| rest.split_once("\">Voters</a>").map(|(url, _)| url.to_owned()))
        .last()
        .unwrap();
    let answer = sends(&mut stella, &page, &[("do", "add"), ("user", "bob")]).await;
    says(&follows(&stella, &answer).await, "“bob” was added to the group “Voters”.");
    gate.sign_in("bob").await.get("/polls/vote/").await.is_forwarded_as("bob");
    let fields =
        [("name", "Voters"), ("permissions", "polls.can_vote"), ("permissions", "site.administer")];
    assert_eq!(sends(&mut stella, &page, &fields).await.status, 403);
    let answer = sends(&mut stella, &page, &[("name", "Electors")]).await;
    says(&follows(&stella, &answer).await, "The group “Electors” was changed successfully.");
    gate.sign_in("bob").await.get("/polls/vote/").await.is_refused_with(403);
}

#[tokio::test]
async fn pages_are_hardened_and_every_one_of_them_works() {
    let gate = gate(&[]).await;
    let root = gate.sign_in("root").await;
    for page in PAGES {
        let answer = root.get(&format!("/accounts/admin/{page}")).await;
        assert_eq!(answer.status, 200, "{page}: {}", answer.text());
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(answer.header("cache-control").unwrap().contains("no-store"));
        let text = answer.text();
        assert!(!text.contains("<script") && !text.contains(" style="), "{page}");
        // What nobody asked for is empty.
        assert!(!text.to_lowercase().contains("value=\"none\""), "{page}");
    }
}
