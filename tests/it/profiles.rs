//! Profiles with declared fields: on the profile page, by command, in headers and rules.

use serde_json::Value;

use crate::support::{
    config::town_and,
    gate::{Gate, Shared},
    people::PASSWORD,
    visitor::{Visitor, form_token},
};

const FIELDS: &str = r#"
[accounts.profile]
favorite_band = { label = "Favorite band", type = "choice", choices = ["The Beatles", "Sigur Rós"] }
born = { type = "date" }
homepage = { type = "url", help = "Where one reads more of you." }
about = { type = "textarea" }
newsletter = { type = "boolean" }
room = { label = "Room", type = "number", editable = false }

[identity.headers]
"X-Band" = "{{ profile.favorite_band }}"
"X-Room" = "{{ profile.room }}"
"X-About" = "{{ user.get_profile().about }}"
"X-Rights" = "{{ user.get_group_permissions() | join(',') }}/{{ user.get_all_permissions() | length }}/{{ user.get_short_name() }}"

[paths]
"/club/" = { test = "profile.newsletter and profile.room == '7'" }
"#;

static GATE: Shared = Shared::new(|| town_and(FIELDS));

/// Sends in the profile page's form, with these fields and the names as they are.
async fn changes(visitor: &mut Visitor, fields: &[(&str, &str)]) -> crate::support::answer::Answer {
    let page = visitor.get("/accounts/profile/").await;
    assert_eq!(page.status, 200, "{page:?}");
    visitor.keeps(&page);
    let token = form_token(&page.text());
    let token = [("csrfmiddlewaretoken", &*token)];
    visitor.posts("/accounts/profile/", &[&token[..], fields].concat()).await
}

fn shown(gate: &Gate, name: &str) -> Value {
    serde_json::from_str(&gate.run(&["user", "show", name, "--json"])).unwrap()
}

#[tokio::test]
async fn people_fill_in_their_profile_and_applications_see_it_at_once() {
    let gate = GATE.gate().await;
    let mut ada = gate.sign_in("ada").await;
    let page = ada.get("/accounts/profile/").await.text();
    for text in
        ["Favorite band", "Sigur Rós", "type=\"date\"", "Where one reads more of you.", "Lovelace"]
    {
        assert!(page.contains(text), "{text} in {page}");
    }
    assert!(!page.contains("name=\"profile.room\""), "staff's to fill in: {page}");
    let answer = changes(
        &mut ada,
        &[
            ("first_name", "Augusta Ada"),
            ("last_name", "King"),
            ("profile.favorite_band", "Sigur Rós"),
            ("profile.born", "1815-12-10"),
            ("profile.homepage", "example.org/ada"),
            ("profile.about", "First line\r\nX-Evil: second"),
            ("profile.newsletter", "true"),
        ],
    )
    .await;
    assert_eq!((answer.status, answer.header("location")), (302, Some("/accounts/profile/")));
    let page = ada.get("/accounts/profile/").await.text();
    assert!(page.contains("Your profile was changed.") && page.contains("Augusta Ada King"));
    let again = ada.get("/accounts/profile/").await.text();
    assert!(!again.contains("Your profile was changed."), "{again}");
    let echo = ada.get("/private/").await.is_forwarded_as("ada");
    assert_eq!(echo.folded("remote-name"), ["Augusta Ada King"]);
    assert_eq!(echo.folded("x-band"), ["Sigur R\u{c3}\u{b3}s"]);
    assert_eq!(echo.folded("x-about"), ["First lineX-Evil: second"]);
    assert_eq!(echo.folded("x-evil"), Vec::<String>::new());
    assert_eq!(echo.folded("x-rights"), ["/1/Augusta Ada"]);
    let profile = &shown(&gate, "ada")["profile"];
    assert_eq!(profile["homepage"], "https://example.org/ada");
    assert_eq!(profile["newsletter"], "true");
    // What is left empty or not ticked is gone.
    let names = [("first_name", "Ada"), ("last_name", "Lovelace")];
    assert_eq!(changes(&mut ada, &names).await.status, 302);
    assert_eq!(shown(&gate, "ada")["profile"], serde_json::json!({}));
}

#[tokio::test]
async fn form_that_is_wrong_says_so_in_djangos_words_and_changes_nothing() {
    let gate = GATE.gate().await;
    let mut dora = gate.sign_in("dora").await;
    let long = "x".repeat(151);
    let answer = changes(
        &mut dora,
        &[
            ("first_name", &long),
            ("last_name", "Fine"),
            ("profile.favorite_band", "<b>Nobody</b>"),
            ("profile.born", "1815-02-30"),
            ("profile.homepage", "javascript:alert(1)"),
            ("profile.about", "kept as typed"),
        ],
    )
    .await;
    let page = answer.text();
    assert_eq!(answer.status, 200, "{page}");
    for text in [
        "Ensure this value has at most 150 characters (it has 151).",
        "Select a valid choice. &lt;b&gt;Nobody&lt;/b&gt; is not one of the available choices.",
        "Enter a valid date.",
        "Enter a valid URL.",
        "kept as typed",
        "<title>Error: ",
    ] {
        assert!(page.contains(text), "{text} in {page}");
    }
    assert_eq!(shown(&gate, "dora")["last_name"], "");
    assert_eq!(shown(&gate, "dora")["profile"], serde_json::json!({}));
    // What is staff's, or no field at all, is not the visitor's to set; nor is it without the form.
    let answer = changes(
        &mut dora,
        &[
            ("first_name", ""),
            ("last_name", ""),
            ("profile.room", "7"),
            ("profile.rank", "admiral"),
            ("is_staff", "true"),
            ("username", "root2"),
        ],
    )
    .await;
    assert_eq!(answer.status, 302, "{answer:?}");
    assert_eq!(shown(&gate, "dora")["profile"], serde_json::json!({}));
    assert_eq!(shown(&gate, "dora")["is_staff"], false);
    let forged = dora.posts("/accounts/profile/", &[("first_name", "Forged")]).await;
    assert_eq!(forged.status, 403, "{forged:?}");
    let fields = [("first_name", "Forged")];
    let origin = "Origin: http://evil.example\r\n";
    let forged = dora.posts_with("/accounts/profile/", &fields, origin).await;
    assert_eq!(forged.status, 403, "{forged:?}");
    assert_eq!(shown(&gate, "dora")["first_name"], "");
    gate.visitor().get("/accounts/profile/").await.asks_to_log_in("/accounts/profile/");
}

#[tokio::test]
async fn commands_check_what_the_file_declares() {
    let gate = GATE.gate().await;
    gate.run(&["user", "set", "carl", "profile.born=1999-12-31", "profile.newsletter=yes"]);
    let carl = gate.sign_in("carl").await;
    carl.get("/club/").await.is_refused_with(403);
    gate.run(&["user", "set", "carl", "profile.room=7"]);
    carl.get("/club/").await.is_forwarded_as("carl");
    assert!(carl.get("/accounts/profile/").await.text().contains("<dt>Room</dt>"));
    gate.run(&["user", "set", "carl", "profile.newsletter=false"]);
    carl.get("/club/").await.is_refused_with(403);
    for (change, complaint) in [
        ("profile.born=yesterday", "Enter a valid date"),
        ("profile.favorite_band=ABBA", "ABBA is not one of the available choices"),
        ("profile.rom=7", "did you mean `room`?"),
        ("profile.shoe_size=7", "`[accounts.profile]` declares the fields"),
    ] {
        let output = gate.try_run(&["user", "set", "carl", change], "");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{change}: {error}");
        assert!(error.contains(complaint), "{change}: {error}");
    }
    assert_eq!(shown(&gate, "carl")["profile"]["born"], "1999-12-31");
}

#[tokio::test]
async fn who_lacks_a_required_field_is_asked_for_it_at_login_and_kept_from_nothing() {
    let gate = Gate::start(&town_and(
        "[accounts.profile]\nemployer = { required = true }\nnote = { required = true, editable = false }\n",
    ))
    .await;
    let mut bob = gate.visitor();
    let answer = bob.tries_to_log_in("bob", PASSWORD, "/private/?x=1").await;
    let asked = "/accounts/profile/?next=/private/%3Fx%3D1";
    assert_eq!((answer.status, answer.header("location")), (302, Some(asked)), "{answer:?}");
    bob.get("/private/").await.is_forwarded_as("bob");
    let page = bob.get(asked).await;
    assert!(page.text().contains("Please fill in what is missing."), "{page:?}");
    bob.keeps(&page);
    let token = form_token(&page.text());
    let token = ("csrfmiddlewaretoken", &*token);
    let next = ("next", "/private/?x=1");
    let empty = bob.posts("/accounts/profile/", &[token, next, ("profile.employer", " ")]).await;
    assert!(empty.text().contains("This field is required."), "{empty:?}");
    let full = bob.posts("/accounts/profile/", &[token, next, ("profile.employer", "Me")]).await;
    assert_eq!((full.status, full.header("location")), (302, Some("/private/?x=1")), "{full:?}");
    let answer = bob.tries_to_log_in("bob", PASSWORD, "/private/").await;
    assert_eq!(answer.header("location"), Some("/private/"), "{answer:?}");
}

#[tokio::test]
async fn fields_are_declared_anew_by_a_reload() {
    let gate = Gate::start(&town_and("[accounts.profile]\nband = {}\n")).await;
    let set = |change: &str| gate.try_run(&["user", "set", "ada", change], "").status.success();
    assert!(set("profile.band=x") && !set("profile.age=7"));
    gate.rewrite(&town_and("[accounts.profile]\nage = { type = \"number\" }\n"));
    gate.run(&["reload"]);
    assert!(set("profile.age=7") && !set("profile.band=y") && !set("profile.age=seven"));
    gate.rewrite(&town_and(""));
    gate.run(&["reload"]);
    assert!(set("profile.band=z"), "without a declaration any name will do");
}

#[tokio::test]
async fn check_warns_of_fields_that_nobody_can_have() {
    let gate = Gate::start(&town_and("")).await;
    gate.rewrite(&town_and(
        r#"
        [accounts.profile]
        favorite_band = {}
        [identity.headers]
        "X-Band" = "{{ profile.favourite_band }}"
        [paths]
        "/club/" = { test = "profile.shoe_size == '7'" }
        "#,
    ));
    let output = gate.try_run(&["check"], "");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    for text in ["`favourite_band` is not declared", "did you mean `favorite_band`?", "`shoe_size`"]
    {
        assert!(told.contains(text), "{text} in {told}");
    }
}
