use http::header::{ALLOW, CACHE_CONTROL};

use super::*;

#[tokio::test]
async fn logging_out_takes_a_post_and_ends_the_session() {
    let gate = Gate::with_ada().await;
    let mut browser = gate.signed_in().await;
    let question = browser.get("logout/").await;
    assert_eq!(question.status, StatusCode::OK);
    assert_eq!(gate.state.sessions.len(), 1);
    let forged = browser.send(Method::POST, "logout/", String::new()).await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN);
    assert_eq!(gate.state.sessions.len(), 1);
    let stolen = browser.session_id().unwrap();
    let page = browser.post("logout/", &[]).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("You are logged out"), "{}", page.body);
    assert_eq!(browser.cookies["sessionid"], "");
    let lifetime = &gate.pages.sessions.lifetime;
    assert!(gate.state.sessions.load(&stolen, NOON, lifetime).live().is_none());
}

#[tokio::test]
async fn logging_out_leads_to_next_or_where_the_operator_wants() {
    let mut gate = Gate::with_ada().await;
    let mut browser = gate.signed_in().await;
    let answer = browser.post("logout/", &[("next", "/bye/")]).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::FOUND, "/bye/"));
    gate.pages.settings.logout_redirect_url = Some("https://example.org/".to_owned());
    let mut browser = gate.signed_in().await;
    let answer = browser.post("logout/", &[("next", "https://evil.example/")]).await;
    assert_eq!(answer.location(), "https://example.org/");
}

#[tokio::test]
async fn the_profile_is_for_who_is_logged_in() {
    let gate = Gate::with_ada().await;
    let answer = gate.browser().get("profile/").await;
    let location = "/accounts/login/?next=/accounts/profile/";
    assert_eq!((answer.status, answer.location()), (StatusCode::FOUND, location));
    let page = gate.signed_in().await.get("profile/").await;
    assert_eq!(page.status, StatusCode::OK);
    for text in ["ada@example.org", "Superuser", "action=\"/accounts/logout/\""] {
        assert!(page.body.contains(text), "{text} in {}", page.body);
    }
}

#[tokio::test]
async fn the_setup_link_makes_one_superuser_and_is_spent() {
    let gate = Gate::empty(Settings::default()).await;
    let link = gate.state.offer_setup([0xab; 32]).await.unwrap().unwrap();
    assert_eq!(link, format!("setup/{}/", "ab".repeat(32)));
    let mut browser = gate.browser();
    let wrong = format!("setup/{}/", "ac".repeat(32));
    assert_eq!(browser.get(&wrong).await.status, StatusCode::NOT_FOUND);
    let fields = |password1, password2| {
        [("username", "ada"), ("email", ""), ("password1", password1), ("password2", password2)]
    };
    let page = browser.post(&link, &fields(PASSWORD, "other")).await;
    assert!(page.body.contains("The two passwords are not the same."), "{}", page.body);
    assert!(!page.body.contains(PASSWORD));
    let page = browser.post(&link, &fields("short", "short")).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("role=\"alert\""), "{}", page.body);
    let answer = browser.post(&link, &fields(PASSWORD, PASSWORD)).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::FOUND, "/accounts/login/"));
    assert_eq!(browser.get(&link).await.status, StatusCode::NOT_FOUND);
    assert_eq!(gate.state.offer_setup([0xab; 32]).await.unwrap(), None);
    assert_eq!(browser.log_in("ada", PASSWORD).await.status, StatusCode::FOUND);
}

#[tokio::test]
async fn the_setup_link_is_void_once_there_is_a_user() {
    let gate = Gate::empty(Settings::default()).await;
    let link = gate.state.offer_setup([0xab; 32]).await.unwrap().unwrap();
    let (username, password) = ("eve".to_owned(), PASSWORD.to_owned().into());
    let eve = NewUser { username, password, ..NewUser::default() };
    gate.state.directory.create_first_superuser(eve, NOON).await.unwrap();
    assert_eq!(gate.browser().get(&link).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn every_answer_is_private_and_without_script() {
    let gate = Gate::with_ada().await;
    let mut browser = gate.signed_in().await;
    for page in [
        "",
        "login/",
        "logout/",
        "profile/",
        "sessions/",
        "profile",
        "nonsense/",
        "static/style.css",
    ] {
        let answer = browser.get(page).await;
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), value, "{page}");
        }
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("script-src"));
        assert!(policy.contains("frame-ancestors 'none'"));
        assert!(answer.header(CONTENT_TYPE).ends_with("; charset=utf-8"), "{page}");
        assert!(!answer.body.contains("<script") && !answer.body.contains("style="), "{page}");
        if page != "static/style.css" {
            assert_eq!(answer.header("vary"), "Cookie", "{page}");
            assert_eq!(answer.header(CACHE_CONTROL), "private, no-store", "{page}");
        }
    }
}

#[tokio::test]
async fn the_stylesheet_is_kept_for_good_under_the_address_that_pages_give() {
    let gate = Gate::with_ada().await;
    let mut browser = gate.browser();
    let address = gate.pages.stylesheet.strip_prefix("/accounts/").unwrap();
    assert!(browser.get("login/").await.body.contains(&gate.pages.stylesheet));
    let stylesheet = browser.get(address).await;
    assert_eq!(stylesheet.header(CONTENT_TYPE), "text/css; charset=utf-8");
    assert!(stylesheet.header(CACHE_CONTROL).contains("immutable"));
    assert_eq!(browser.get("static/style.css?v=old").await.header(CACHE_CONTROL), "no-cache");
}

#[tokio::test]
async fn pages_know_their_methods_and_their_slash() {
    let gate = Gate::with_ada().await;
    let mut browser = gate.browser();
    for (method, page, allow) in [
        (Method::DELETE, "login/", "GET, HEAD, POST"),
        (Method::POST, "messages/", "GET, HEAD"),
        (Method::POST, "login", "GET, HEAD"),
    ] {
        let answer = browser.send(method, page, String::new()).await;
        assert_eq!((answer.status, answer.header(ALLOW)), (StatusCode::METHOD_NOT_ALLOWED, allow));
    }
    let head = browser.send(Method::HEAD, "login/", String::new()).await;
    assert_eq!(head.status, StatusCode::OK);
    let answer = browser.get("login?next=/x").await;
    assert_eq!(answer.location(), "/accounts/login/?next=/x");
    assert_eq!(browser.get("").await.location(), "/accounts/profile/");
}

#[tokio::test]
async fn a_template_that_fails_shows_nothing_of_itself() {
    let directory = tempfile::tempdir().unwrap();
    let broken =
        b"{% if form.username.value == 'eve' %}{{ 'x'|round('secret') }}{% endif %}[{{ next }}]";
    let path = directory.path().join("registration");
    std::fs::create_dir(&path).unwrap();
    let mut file = std::fs::File::create(path.join("login.html")).unwrap();
    std::io::Write::write_all(&mut file, broken).unwrap();
    let templates = Some(directory.path().to_owned());
    let gate = Gate::empty(Settings { templates, ..Settings::default() }).await;
    let mut browser = gate.browser();
    let page = browser.get("login/?next=/%22x").await;
    assert_eq!(page.body, "[/%22x]");
    let body = format!("username=eve&csrfmiddlewaretoken={}", "0".repeat(64));
    let page = browser.send(Method::POST, "login/", body).await;
    assert_eq!(page.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(page.body.contains("Something went wrong") && !page.body.contains("secret"));
}
