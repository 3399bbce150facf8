//! Changing one's own password: who may, what ends with it, and what goes on.

use crate::support::{
    answer::Answer,
    config::{TOWN, town_and},
    gate::{Gate, Shared},
    people::PASSWORD,
    script::Script,
    visitor::{Visitor, form_token},
};

static GATE: Shared = Shared::new(|| TOWN.to_owned());

const NEW: &str = "quarry-saddle-2209";
const PAGE: &str = "/accounts/password_change/";

/// Sends the form in, with the token of the page.
async fn changes(visitor: &mut Visitor, old: &str, new: &str, again: &str) -> Answer {
    let page = visitor.get(PAGE).await;
    assert_eq!(page.status, 200, "{page:?}");
    visitor.keeps(&page);
    let token = form_token(&page.text());
    let fields = [
        ("csrfmiddlewaretoken", &*token),
        ("old_password", old),
        ("new_password1", new),
        ("new_password2", again),
    ];
    let answer = visitor.posts(PAGE, &fields).await;
    visitor.keeps(&answer);
    answer
}

/// The form is shown again, with this and without what was typed.
#[track_caller]
fn complains(answer: &Answer, about: &str) {
    let text = answer.text();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(text.contains(about) && text.contains("aria-invalid"), "{about:?} in {text}");
    assert!(!text.contains(NEW) && !text.contains(PASSWORD), "{text}");
    assert!(answer.sets_cookie("sessionid").is_none(), "{answer:?}");
}

#[tokio::test]
async fn changed_password_ends_the_other_sessions_and_this_one_goes_on_under_another_id() {
    let text = town_and(
        "[upstream_defaults]\ntrust_responses = true\n[identity]\nheaders = { \"X-Color\" = \"{{ session.fav_color }}\" }",
    );
    let gate = Gate::start(&text).await;
    let (mut here, there) = (gate.sign_in("bob").await, gate.sign_in("bob").await);
    let ada = gate.sign_in("ada").await;
    gate.upstream
        .on("/private/likes", Script::echo_with("Vestibule-Session-Set: fav_color=green\r\n"));
    here.get("/private/likes").await.is_forwarded_as("bob");
    let before = here.clone();

    let answer = changes(&mut here, PASSWORD, NEW, NEW).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (302, Some("/accounts/password_change/done/"))
    );
    assert_ne!(here.session(), before.session());
    let done = here.get("/accounts/password_change/done/").await;
    assert!(done.status == 200 && done.text().contains("Your password was changed"), "{done:?}");

    let echo = here.get("/private/").await.is_forwarded_as("bob");
    assert_eq!(echo.folded("x-color"), ["green"], "what the application keeps is kept");
    for gone in [&before, &there] {
        gone.get("/private/").await.asks_to_log_in("/private/");
    }
    ada.get("/private/").await.is_forwarded_as("ada");
    let old = gate.visitor().tries_to_log_in("bob", PASSWORD, "/").await;
    assert!(old.status == 200 && old.sets_cookie("sessionid").is_none(), "{old:?}");
    gate.visitor().logs_in("bob", NEW).await;
}

#[tokio::test]
async fn whoever_has_the_session_alone_cannot_change_the_password() {
    let gate = GATE.gate().await;
    let mut carl = gate.sign_in("carl").await;
    let wrong = "Your old password was entered incorrectly. Please enter it again.";
    complains(&changes(&mut carl, "wrong-password-1", NEW, NEW).await, wrong);
    complains(&changes(&mut carl, "", NEW, NEW).await, "This field is required.");
    complains(
        &changes(&mut carl, PASSWORD, NEW, "other").await,
        "The two password fields didn’t match.",
    );
    complains(&changes(&mut carl, PASSWORD, "", "").await, "This field is required.");
    complains(&changes(&mut carl, PASSWORD, "x", "x").await, "too short");
    carl.get("/private/").await.is_forwarded_as("carl");
    gate.visitor().logs_in("carl", PASSWORD).await;
}

#[tokio::test]
async fn visitor_without_a_login_is_asked_for_one() {
    let gate = GATE.gate().await;
    for page in [PAGE, "/accounts/password_change/done/"] {
        gate.visitor().get(page).await.asks_to_log_in(page);
    }
    let fields = [("old_password", PASSWORD), ("new_password1", NEW), ("new_password2", NEW)];
    let answer = gate.visitor().posts(PAGE, &fields).await;
    assert!(matches!(answer.status, 302 | 303), "{answer:?}");
}

#[tokio::test]
async fn form_without_its_token_or_from_elsewhere_changes_nothing() {
    let gate = GATE.gate().await;
    let mut dora = gate.sign_in("dora").await;
    let fields = [("old_password", PASSWORD), ("new_password1", NEW), ("new_password2", NEW)];
    dora.posts(PAGE, &fields).await.is_refused_with(403);
    let page = dora.get(PAGE).await;
    dora.keeps(&page);
    let token = form_token(&page.text());
    let with_token: Vec<_> = [("csrfmiddlewaretoken", &*token)].into_iter().chain(fields).collect();
    for origin in ["http://evil.example", "null"] {
        let lines = format!("Origin: {origin}\r\n");
        dora.posts_with(PAGE, &with_token, &lines).await.is_refused_with(403);
    }
    // The token of somebody else's page is worth nothing.
    let stranger = gate.sign_in("alice").await.get(PAGE).await;
    let stolen = form_token(&stranger.text());
    let with_stolen: Vec<_> =
        [("csrfmiddlewaretoken", &*stolen)].into_iter().chain(fields).collect();
    dora.posts(PAGE, &with_stolen).await.is_refused_with(403);
    gate.visitor().logs_in("dora", PASSWORD).await;
}

#[tokio::test]
async fn guesses_of_the_old_password_are_slowed_down_as_those_at_the_login_page() {
    let text =
        town_and("[lockout]\nenabled = true\nfailures = 3\ndelay = \"10m\"\nwindow = \"15m\"");
    let gate = Gate::start(&text).await;
    let mut bob = gate.sign_in("bob").await;
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(changes(&mut bob, "wrong-password-1", NEW, NEW).await.status);
    }
    assert_eq!(statuses[..3], [200; 3], "{statuses:?}");
    let answer = changes(&mut bob, PASSWORD, NEW, NEW).await;
    assert_eq!(answer.status, 429, "{statuses:?} {answer:?}");
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    // Nor does the login page help whoever sits at this browser; the owner elsewhere is not kept out.
    assert_eq!(bob.tries_to_log_in("bob", PASSWORD, "/").await.status, 429);
    gate.visitor().logs_in("bob", PASSWORD).await;
}

#[tokio::test]
async fn of_two_changes_at_once_one_password_holds_and_one_session_at_most() {
    let gate = Gate::start(TOWN).await;
    let (mut one, mut other) = (gate.sign_in("bob").await, gate.sign_in("bob").await);
    let second = "harbour-thimble-31";
    tokio::join!(
        changes(&mut one, PASSWORD, NEW, NEW),
        changes(&mut other, PASSWORD, second, second)
    );
    let mut holding = 0;
    for password in [NEW, second, PASSWORD] {
        let answer = gate.visitor().tries_to_log_in("bob", password, "/private/").await;
        let is_in = answer.sets_cookie("sessionid").is_some();
        assert!(!is_in || password != PASSWORD, "the old password is gone");
        holding += u32::from(is_in);
    }
    assert_eq!(holding, 1);
    let mut live = 0;
    for visitor in [&one, &other] {
        live += u32::from(visitor.get("/private/").await.came_from_upstream());
    }
    assert!(live <= 1, "a session began with a password that does not hold");
}
