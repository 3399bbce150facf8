//! Profiles in the form of a user: the fields that are declared, with their labels and kinds.

use serde_json::json;

use super::{follows, hidden, page_of, says, sends, user};
use crate::support::{
    answer::Answer,
    config::town_and,
    gate::Gate,
    visitor::{Visitor, form_token},
};

const FIELDS: &str = r#"
[accounts.profile]
favorite_band = { label = "Favorite band", type = "choice", choices = ["The Beatles", "Sigur Rós"], required = true }
born = { type = "date" }
about = { type = "textarea" }
newsletter = { type = "boolean" }
room = { label = "Room", type = "number", editable = false }
"#;

async fn gate(permissions: &[&str]) -> Gate {
    let gate = Gate::start(&town_and(FIELDS)).await;
    // Who lacks what is required is sent to the profile page after the login.
    gate.run(&["user", "set", "stella", "profile.favorite_band=The Beatles"]);
    for permission in permissions {
        gate.run(&["permission", "grant", permission, "--user", "stella"]);
    }
    gate
}

async fn saves(stella: &mut Visitor, page: &str, fields: &[(&str, &str)]) -> Answer {
    let same = [("username", "bob"), ("is_active", "on")];
    sends(stella, page, &[&same[..], fields].concat()).await
}

#[tokio::test]
async fn staff_fill_in_what_is_declared_also_what_users_cannot() {
    let gate = gate(&["auth.change_user"]).await;
    let mut stella = gate.sign_in("stella").await;
    let bob = page_of(&gate, "bob");
    let page = stella.get(&bob).await;
    for shown in [">Favorite band ", ">Room ", "type=\"date\"", "<textarea", "Sigur Rós</option>"]
    {
        says(&page, shown);
    }
    let text = page.text();
    let (_, band) = text.split_once("name=\"profile.favorite_band\"").unwrap();
    assert!(!band.split('>').next().unwrap().contains("required"), "{band}");

    let fields = [
        ("profile.room", "007"),
        ("profile.born", "1912-06-23"),
        ("profile.about", "One line\r\nand another"),
        ("profile.newsletter", "true"),
    ];
    let answer = saves(&mut stella, &bob, &fields).await;
    says(&follows(&stella, &answer).await, "The user “bob” was changed successfully.");
    let profile = user(&gate, "bob")["profile"].clone();
    assert_eq!(profile["born"], "1912-06-23");
    assert_eq!(
        (&profile["newsletter"], &profile["about"]),
        (&json!("true"), &json!("One line\nand another"))
    );
    assert!(profile["room"].as_str().unwrap().ends_with('7'), "{profile}");
    assert_eq!(profile["favorite_band"], json!(null), "that it is required is asked of bob");

    // What is not sent stays, but for a box: a browser sends nothing of one that is not ticked.
    let answer = saves(&mut stella, &bob, &[("profile.born", "")]).await;
    follows(&stella, &answer).await;
    let later = user(&gate, "bob")["profile"].clone();
    assert_eq!(later, json!({ "room": profile["room"], "about": profile["about"] }));
}

#[tokio::test]
async fn profile_takes_what_fits_and_nothing_that_is_not_declared() {
    let gate = gate(&["auth.change_user"]).await;
    let mut stella = gate.sign_in("stella").await;
    let bob = page_of(&gate, "bob");
    for (field, value) in [("born", "yesterday"), ("favorite_band", "Nobody"), ("room", "x")] {
        let name = format!("profile.{field}");
        let answer = saves(&mut stella, &bob, &[(&name, value), ("profile.about", "Kept")]).await;
        assert_eq!(answer.status, 200);
        says(says(&answer, "role=\"alert\""), &format!("Profile.{field} cannot be {value}"));
        says(&answer, "Kept</textarea>");
    }
    let answer = saves(&mut stella, &bob, &[("profile.is_root", "true")]).await;
    follows(&stella, &answer).await;
    assert_eq!(user(&gate, "bob")["profile"], json!({}));
}

#[tokio::test]
async fn profile_of_whoever_holds_more_can_be_seen_alone() {
    let gate = gate(&["auth.change_user"]).await;
    gate.run(&["user", "set", "alice", "profile.room=7"]);
    let stella = gate.sign_in("stella").await;
    let (alice, bob) = (page_of(&gate, "alice"), page_of(&gate, "bob"));
    let page = stella.get(&alice).await;
    says(says(&page, "value=\"7\""), "<fieldset class=\"columns\" disabled>");
    // With the token of a page that has a form to send.
    let mut other = stella.clone();
    let shown = other.get(&bob).await;
    other.keeps(&shown);
    let fields = [
        ("csrfmiddlewaretoken", &*form_token(&shown.text())),
        ("seen", &*hidden(&page.text(), "seen")),
        ("username", "alice"),
        ("is_active", "on"),
        ("permissions", "site.administer"),
        ("profile.room", "8"),
    ];
    assert_eq!(other.posts(&alice, &fields).await.status, 403);
    assert_eq!(user(&gate, "alice")["profile"]["room"], "7");
}
