//! The page of one's own sessions.

use super::*;
use crate::domain::UserId;

/// The keys that the page's forms name, in their order.
fn keys(page: &Page) -> Vec<String> {
    let fields = page.body.split("name=\"session\" value=\"").skip(1);
    fields.filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
}

fn key(browser: &Browser<'_>) -> SessionKey {
    SessionKey::of(&browser.session_id().unwrap())
}

/// Sends the form, also where the page has none because there is nothing to log out.
async fn post(browser: &mut Browser<'_>, fields: &[(&str, &str)]) -> Page {
    let shown = browser.get("profile/").await;
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.append_pair(csrf::FIELD, shown.token().unwrap()).extend_pairs(fields);
    browser.send(Method::POST, "sessions/", body.finish()).await
}

async fn signed_in_with<'g>(gate: &'g Gate, user_agent: &'static str) -> Browser<'g> {
    let mut browser = gate.browser();
    browser.headers.insert("user-agent", HeaderValue::from_static(user_agent));
    browser.get("login/").await;
    assert_eq!(browser.log_in("ada", PASSWORD).await.status, StatusCode::FOUND);
    browser
}

/// The session of somebody else.
async fn session_of_bob(gate: &Gate) -> SessionId {
    let bob = NewUser {
        username: "bob".to_owned(),
        password: PASSWORD.to_owned().into(),
        ..NewUser::default()
    };
    let directory = &gate.state.directory;
    directory
        .execute(accounts::Command::UserCreate(bob), &accounts::By::this_process(), NOON)
        .await
        .unwrap();
    let bob = directory.verify("bob", PASSWORD.to_owned(), NOON).await.unwrap().unwrap();
    assert_ne!(bob.user().id, UserId(1));
    let client = Client { address: "192.0.2.9".parse().unwrap(), device: Device::of("curl/8") };
    let lifetime = &gate.pages.sessions.lifetime;
    gate.state.sessions.log_in(&bob, None, client, NOON, lifetime).await.unwrap()
}

#[tokio::test]
async fn a_stranger_is_asked_to_log_in_and_comes_back() {
    let gate = Gate::with_ada().await;
    let location = "/accounts/login/?next=/accounts/sessions/";
    let answer = gate.browser().get("sessions/").await;
    assert_eq!((answer.status, answer.location()), (StatusCode::FOUND, location));
    let answer = gate.browser().send(Method::POST, "sessions/", "others=yes".to_owned()).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, location));
    assert_eq!(gate.browser().get("sessions").await.location(), "/accounts/sessions/");
}

#[tokio::test]
async fn the_page_tells_of_each_session_and_which_one_this_is() {
    let gate = Gate::with_ada().await;
    let mut desk =
        signed_in_with(&gate, "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0").await;
    let page = desk.get("sessions/").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("There is no other session."), "{}", page.body);
    assert_eq!(keys(&page), Vec::<String>::new());

    let script = signed_in_with(&gate, "curl/8.5.0").await;
    let page = desk.get("sessions/").await;
    assert_eq!(keys(&page), [key(&script).to_string()]);
    for text in ["Firefox on Linux", "Curl", "192.0.2.1", "just now", "Log out all other sessions"]
    {
        assert!(page.body.contains(text), "{text} in {}", page.body);
    }
    assert_eq!(page.body.matches("This session").count(), 1);
    let (before, _) = page.body.split_once("This session").unwrap();
    assert!(before.contains("Firefox") && !before.contains("Curl"), "this one stands first");
    assert!(page.body.contains("<time datetime=\"2027-01-15T08:00:00Z\""), "{}", page.body);
    for secret in [desk.session_id().unwrap(), script.session_id().unwrap()] {
        assert!(!page.body.contains(secret.reveal()));
    }
    assert!(desk.get("profile/").await.body.contains("href=\"/accounts/sessions/\""));
}

#[tokio::test]
async fn one_session_can_be_logged_out() {
    let gate = Gate::with_ada().await;
    let (mut here, mut there, mut third) =
        (gate.signed_in().await, gate.signed_in().await, gate.signed_in().await);
    let fields = [("session", &*key(&there).to_string())];
    let page = post(&mut here, &fields).await;
    assert_eq!(page.status, StatusCode::OK);
    let told =
        "<p class=\"note\" role=\"status\">The session with an unknown browser was logged out.</p>";
    assert!(page.body.contains(told), "{}", page.body);
    assert_eq!(keys(&page), [key(&third).to_string()]);
    assert_eq!(there.get("sessions/").await.status, StatusCode::FOUND);
    assert_eq!(third.get("sessions/").await.status, StatusCode::OK);
    let again = post(&mut here, &fields).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
    assert!(again.body.contains("role=\"alert\">There is no such session."), "{}", again.body);
}

#[tokio::test]
async fn all_others_can_be_logged_out_at_once() {
    let gate = Gate::with_ada().await;
    let mut here = gate.signed_in().await;
    let bob = session_of_bob(&gate).await;
    for (others, told) in [
        (0, "There was no other session."),
        (1, "The other session was logged out."),
        (3, "3 other sessions were logged out."),
    ] {
        let mut there = Vec::new();
        for _ in 0..others {
            there.push(gate.signed_in().await);
        }
        let page = post(&mut here, &[("others", "yes")]).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(page.body.contains(told), "{told} in {}", page.body);
        for mut browser in there {
            assert_eq!(browser.get("profile/").await.status, StatusCode::FOUND);
        }
    }
    assert_eq!(here.get("profile/").await.status, StatusCode::OK);
    let lifetime = &gate.pages.sessions.lifetime;
    assert!(
        gate.state.sessions.load(&bob, NOON, lifetime).live().is_some(),
        "bob's is no other of ada's"
    );
}

#[tokio::test]
async fn somebody_else_s_session_is_neither_seen_nor_ended() {
    let gate = Gate::with_ada().await;
    let mut ada = gate.signed_in().await;
    let bob = session_of_bob(&gate).await;
    let key = SessionKey::of(&bob).to_string();
    assert!(!ada.get("sessions/").await.body.contains(&key));
    let refused = post(&mut ada, &[("session", &key)]).await;
    let unknown = post(&mut ada, &[("session", &"0".repeat(32))]).await;
    let nonsense = post(&mut ada, &[("session", "x")]).await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND);
    assert_eq!(refused.body, unknown.body, "nothing tells that it is there");
    assert_eq!(refused.body, nonsense.body);
    let lifetime = &gate.pages.sessions.lifetime;
    assert!(gate.state.sessions.load(&bob, NOON, lifetime).live().is_some());
}

#[tokio::test]
async fn a_form_without_its_token_ends_nothing() {
    let gate = Gate::with_ada().await;
    let (mut here, mut there) = (gate.signed_in().await, gate.signed_in().await);
    let foreign = there.get("sessions/").await.token().unwrap().to_owned();
    for body in [
        "others=yes".to_owned(),
        format!("session={}", key(&there)),
        format!("others=yes&csrfmiddlewaretoken={foreign}"),
    ] {
        let page = here.send(Method::POST, "sessions/", body).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN);
        assert!(page.body.contains("role=\"alert\""), "{}", page.body);
    }
    here.headers.insert("origin", HeaderValue::from_static("http://evil.example"));
    let page = post(&mut here, &[("others", "yes")]).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert_eq!(gate.state.sessions.len(), 2);
}

#[tokio::test]
async fn to_end_this_very_session_is_to_log_out() {
    let gate = Gate::with_ada().await;
    let mut browser = gate.signed_in().await;
    let this = key(&browser).to_string();
    let page = post(&mut browser, &[("session", &this)]).await;
    assert!(page.body.contains("You are logged out"), "{}", page.body);
    assert_eq!(browser.cookies["sessionid"], "");
    assert!(gate.state.sessions.is_empty());
}

#[tokio::test]
async fn of_very_many_sessions_the_latest_are_shown_and_all_can_be_logged_out() {
    let gate = Gate::with_ada().await;
    let mut here = gate.signed_in().await;
    let ada = gate.state.directory.verify("ada", PASSWORD.to_owned(), NOON).await;
    let ada = ada.unwrap().unwrap();
    let client = Client { address: "::1".parse().unwrap(), device: Device::of("python-requests") };
    let lifetime = &gate.pages.sessions.lifetime;
    for _ in 0..250 {
        gate.state.sessions.log_in(&ada, None, client, NOON, lifetime).await.unwrap();
    }
    let page = here.get("sessions/").await;
    assert_eq!(keys(&page).len(), 99);
    assert!(page.body.contains("And 151 more"), "{}", page.body);
    let page = post(&mut here, &[("others", "yes")]).await;
    assert!(page.body.contains("250 other sessions were logged out."));
    assert_eq!(gate.state.sessions.len(), 1);
}

#[tokio::test]
async fn sessions_that_began_with_another_password_are_not_shown() {
    let mut gate = Gate::with_ada().await;
    gate.signed_in().await;
    let set = accounts::Command::UserSetPassword {
        username: "ada".to_owned(),
        password: "granite-window-9182".to_owned().into(),
    };
    gate.state.directory.execute(set, &accounts::By::this_process(), NOON).await.unwrap();
    gate.ada = gate.state.directory.user_by_name("ada", NOON).await.unwrap();
    let mut browser = gate.browser();
    browser.get("login/").await;
    assert_eq!(browser.log_in("ada", "granite-window-9182").await.status, StatusCode::FOUND);
    assert_eq!(gate.state.sessions.len(), 2);
    assert_eq!(keys(&browser.get("sessions/").await), Vec::<String>::new());
}
