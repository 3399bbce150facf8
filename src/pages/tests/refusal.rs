use http::Response;

use super::*;
use crate::domain::path::{MalformedPath, Oddity};

/// What a refusal says to a request with these headers.
async fn refused(refusal: Refusal, method: Method, target: &str, sent: &[(&str, &str)]) -> Page {
    refused_with(refusal, method, target, sent, None).await
}

async fn refused_with(
    refusal: Refusal,
    method: Method,
    target: &str,
    sent: &[(&str, &str)],
    login_url: Option<&str>,
) -> Page {
    let gate = Gate::empty(Settings::default()).await;
    let headers: HeaderMap = sent
        .iter()
        .map(|(name, value)| {
            let name = http::HeaderName::try_from(*name).unwrap();
            (name, HeaderValue::try_from(*value).unwrap())
        })
        .collect();
    let asked = Asked {
        method: &method,
        audience: Audience::of(Glance::over(&headers)),
        referer: headers.get(http::header::REFERER),
        target,
        host: "site.example",
        login_url,
        visitor: &Visitor::Anonymous,
    };
    let (parts, body): (_, Bytes) = Response::into_parts(gate.pages.refuse(&refusal, &asked));
    let body = String::from_utf8(body.to_vec()).unwrap();
    Page { status: parts.status, headers: parts.headers, body }
}

const HTML: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");

#[tokio::test]
async fn a_navigation_is_sent_to_the_login_page_and_back() {
    let page = refused(Refusal::LogIn, Method::GET, "/polls/?a=b&c=%20", &[HTML]).await;
    assert_eq!(page.status, StatusCode::FOUND);
    assert_eq!(page.location(), "/accounts/login/?next=/polls/%3Fa%3Db%26c%3D%2520");
    let elsewhere = Some("/in/?style=big");
    let page = refused_with(Refusal::LogIn, Method::HEAD, "/x", &[HTML], elsewhere).await;
    assert_eq!((page.status, page.location()), (StatusCode::FOUND, "/in/?style=big&next=/x"));
}

#[tokio::test]
async fn a_next_that_could_leave_the_site_is_left_out() {
    let page = refused(Refusal::LogIn, Method::GET, "//evil.example/", &[HTML]).await;
    assert_eq!(page.location(), "/accounts/login/");
}

#[tokio::test]
async fn a_form_goes_back_to_the_page_it_was_sent_from() {
    for (referer, next) in [
        ("http://site.example/polls/1/?x", "/polls/1/%3Fx"),
        ("https://SITE.example", "/"),
        ("http://evil.example/polls/", "/vote/"),
        ("http://site.example//evil.example/", "/vote/"),
        ("http://site.example@evil.example/", "/vote/"),
    ] {
        let sent = [HTML, ("referer", referer)];
        let page = refused(Refusal::LogIn, Method::POST, "/vote/", &sent).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER);
        assert_eq!(page.location(), format!("/accounts/login/?next={next}"), "{referer}");
    }
}

#[tokio::test]
async fn what_is_no_navigation_gets_401_and_the_address_of_the_login() {
    for sent in [
        &[("accept", "application/json")][..],
        &[("accept", "*/*")],
        &[],
        &[HTML, ("x-requested-with", "XMLHttpRequest")],
        &[HTML, ("sec-fetch-mode", "cors")],
    ] {
        let page = refused(Refusal::LogIn, Method::GET, "/api/?a=b", sent).await;
        assert_eq!(page.status, StatusCode::UNAUTHORIZED, "{sent:?}");
        let body: serde_json::Value = serde_json::from_str(&page.body).unwrap();
        assert_eq!(body["error"], "login_required");
        assert_eq!(body["login_url"], "/accounts/login/?next=/api/%3Fa%3Db");
        assert!(!page.header("www-authenticate").to_lowercase().contains("basic"));
    }
}

#[tokio::test]
async fn a_login_page_that_needs_a_login_ends_there() {
    let login_url = Some("/in/?style=big");
    let page = refused_with(Refusal::LogIn, Method::GET, "/In/?next=/", &[HTML], login_url).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert_eq!(page.location(), "");
}

#[tokio::test]
async fn every_refusal_is_a_page_for_people_and_json_for_programs() {
    for refusal in [
        Refusal::Denied,
        Refusal::MalformedPath(MalformedPath::Backslash),
        Refusal::OddPath(Oddity::DoubleSlash),
        Refusal::AmbiguousPath,
        Refusal::MalformedRequest("x"),
        Refusal::Method,
        Refusal::Expectation,
        Refusal::BodyTooLarge,
        Refusal::BodyTimeout,
        Refusal::UnknownSite,
        Refusal::NoSuchPage,
        Refusal::BadGateway("internal detail".to_owned()),
        Refusal::GatewayTimeout("internal detail"),
        Refusal::Unavailable("internal detail".to_owned()),
        Refusal::Broken("internal detail".to_owned()),
    ] {
        let page = refused(refusal.clone(), Method::GET, "/x", &[HTML]).await;
        assert_eq!(page.status, refusal.status());
        assert!(page.body.contains(refusal.title()), "{}", page.body);
        assert!(!page.body.contains("internal detail"));
        assert_eq!(page.header("cache-control"), "private, no-store");
        assert!(page.header("content-type").starts_with("text/html"));
        let answer = refused(refusal.clone(), Method::GET, "/x", &[]).await;
        assert_eq!(answer.status, refusal.status());
        let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(body["error"], refusal.code());
        assert!(!answer.body.contains("internal detail"));
        assert!(answer.header("content-security-policy").starts_with("default-src 'none'"));
    }
}

#[tokio::test]
async fn the_page_for_one_who_lacks_a_right_offers_another_account_and_never_redirects() {
    let gate = Gate::with_ada().await;
    let browser = gate.signed_in().await;
    let visitor = browser.visitor();
    let asked = Asked {
        method: &Method::GET,
        audience: Audience::of(Glance::over(&browser.headers)),
        referer: browser.headers.get(http::header::REFERER),
        target: "/admin/?x",
        host: "site.example",
        login_url: None,
        visitor: &visitor,
    };
    let response = gate.pages.refuse(&Refusal::Denied, &asked);
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    let body = String::from_utf8(response.into_body().to_vec()).unwrap();
    assert!(body.contains("<strong>ada</strong>"), "{body}");
    assert!(body.contains("/accounts/logout/?next=/admin/%3Fx"), "{body}");
}
