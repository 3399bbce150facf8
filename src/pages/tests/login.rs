use http::header::RETRY_AFTER;

use super::*;

#[tokio::test]
async fn a_login_begins_a_session_and_leads_to_next() {
    let gate = Gate::with_ada().await;
    let mut browser = gate.browser();
    let page = browser.get("login/?next=/polls/%3Fa%3Db").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains(r#"name="next" value="/polls/?a=b""#), "{}", page.body);
    let before = browser.cookies["csrftoken"].clone();
    let fields = [("username", "ada"), ("password", PASSWORD), ("next", "/polls/?a=b")];
    let answer = browser.post("login/", &fields).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::FOUND, "/polls/?a=b"));
    assert_eq!(browser.visitor().user().unwrap().username, "ada");
    assert_ne!(browser.cookies["csrftoken"], before, "the token rotates");
    let session = answer.header(SET_COOKIE);
    assert!(session.starts_with("sessionid=") && session.contains("Max-Age="), "{session}");
}

#[tokio::test]
async fn a_visitor_who_only_looks_has_no_session() {
    let gate = Gate::with_ada().await;
    let mut browser = gate.browser();
    for page in ["login/", "logout/", "profile/", ""] {
        browser.get(page).await;
    }
    browser.log_in("ada", "wrong").await;
    browser.post("logout/", &[]).await;
    assert!(gate.state.sessions.is_empty());
}

#[tokio::test]
async fn every_failed_login_has_the_same_answer() {
    let gate = Gate::with_ada().await;
    let mut browser = gate.browser();
    browser.get("login/").await;
    let mut answers = Vec::new();
    let too_long = "x".repeat(4097);
    for (username, password) in
        [("ada", "wrong"), ("bob", PASSWORD), ("a/b", "wrong"), ("ada", &too_long), ("ada", "")]
    {
        let page = browser.log_in(username, password).await;
        let body = page.body.replace(&format!("value=\"{username}\""), "value=\"\"");
        answers.push((page.status, format!("{:?}", page.headers), body));
    }
    assert_eq!(answers[0].0, StatusCode::OK);
    assert!(answers[0].2.contains("Please enter a correct username and password."));
    for answer in &answers {
        assert_eq!(*answer, answers[0]);
    }
}

#[tokio::test]
async fn a_form_without_our_cookie_or_token_is_refused() {
    let gate = Gate::with_ada().await;
    let fields = format!("username=ada&password={PASSWORD}");
    let mut browser = gate.browser();
    let page = browser.send(Method::POST, "login/", fields.clone()).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(page.body.contains("enable cookies"), "{}", page.body);
    for token in ["", &"0".repeat(64), gate.browser().get("login/").await.token().unwrap()] {
        let body = format!("{fields}&csrfmiddlewaretoken={token}");
        let page = browser.send(Method::POST, "login/", body).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{token}");
        assert!(page.body.contains("out of date"), "{}", page.body);
    }
    assert!(gate.state.sessions.is_empty());
}

#[tokio::test]
async fn a_form_from_another_origin_is_refused() {
    let gate = Gate::with_ada().await;
    let mut browser = gate.browser();
    for (origin, status) in [
        ("http://evil.example", StatusCode::FORBIDDEN),
        ("null", StatusCode::FORBIDDEN),
        ("http://site.example", StatusCode::FOUND),
    ] {
        browser.headers.insert("origin", HeaderValue::from_static(origin));
        assert_eq!(browser.log_in("ada", PASSWORD).await.status, status, "{origin}");
    }
}

#[tokio::test]
async fn another_content_type_is_no_form() {
    let gate = Gate::with_ada().await;
    let mut browser = gate.browser();
    browser.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    let page = browser.log_in("ada", PASSWORD).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn too_many_failures_are_told_to_wait_and_others_are_not() {
    let gate = Gate::with_ada().await;
    let mut browser = gate.browser();
    for _ in 0..5 {
        assert_eq!(browser.log_in("ada", "wrong").await.status, StatusCode::OK);
    }
    let page = browser.log_in("ada", PASSWORD).await;
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(page.header(RETRY_AFTER), "30");
    assert!(page.body.contains("Please wait 30 seconds"), "{}", page.body);
    let mut elsewhere = gate.browser();
    elsewhere.address = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));
    assert_eq!(elsewhere.log_in("ada", PASSWORD).await.status, StatusCode::FOUND);
}

#[tokio::test]
async fn nobody_goes_in_circles() {
    let gate = Gate::with_ada().await;
    for (next, location) in [
        ("/x", "/x"),
        ("/accounts/login/?next=/x", "/accounts/profile/"),
        ("/Accounts/%6cogin/", "/accounts/profile/"),
        ("/accounts/logout/", "/accounts/profile/"),
    ] {
        let mut browser = gate.browser();
        browser.get("login/").await;
        let fields = [("username", "ada"), ("password", PASSWORD), ("next", next)];
        let answer = browser.post("login/", &fields).await;
        assert_eq!((answer.status, answer.location()), (StatusCode::FOUND, location), "{next}");
    }
}

#[tokio::test]
async fn whoever_is_logged_in_may_log_in_as_somebody_else() {
    let gate = Gate::with_ada().await;
    let page = gate.signed_in().await.get("login/").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("You are logged in as <strong>ada</strong>"), "{}", page.body);
}

#[tokio::test]
async fn a_login_never_leaves_the_site() {
    let gate = Gate::with_ada().await;
    for next in ["//evil.example/", "/\\evil.example", "https://evil.example/", "/\t/evil.example"]
    {
        let mut browser = gate.browser();
        let fields = [("username", "ada"), ("password", PASSWORD), ("next", next)];
        let answer = browser.post("login/", &fields).await;
        assert_eq!(answer.location(), "/accounts/profile/", "{next:?}");
    }
}

#[tokio::test]
async fn many_logins_at_once_all_succeed() {
    let gate = Gate::with_ada().await;
    let logins = (0..60).map(|_| async {
        let mut browser = gate.browser();
        browser.log_in("ada", PASSWORD).await.status
    });
    let answers = futures_util::future::join_all(logins).await;
    assert!(answers.iter().all(|status| *status == StatusCode::FOUND), "{answers:?}");
}

#[tokio::test]
async fn a_session_that_closes_with_the_browser_has_no_age() {
    let mut gate = Gate::with_ada().await;
    gate.pages.sessions.expire_at_browser_close = true;
    let answer = gate.browser().log_in("ada", PASSWORD).await;
    assert!(!answer.header(SET_COOKIE).contains("Max-Age"), "{}", answer.header(SET_COOKIE));
}

#[tokio::test]
async fn a_session_id_that_the_browser_brought_is_not_adopted() {
    let gate = Gate::with_ada().await;
    let mut browser = gate.browser();
    let planted = "a".repeat(32);
    browser.cookies.insert("sessionid".to_owned(), planted.clone());
    assert_eq!(browser.log_in("ada", PASSWORD).await.status, StatusCode::FOUND);
    assert_ne!(browser.cookies["sessionid"], planted);
    assert_eq!(gate.state.sessions.len(), 1);
}
