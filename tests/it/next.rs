//! After a login, a browser stays on this site, whatever `next` says.

use crate::support::{config::TOWN, gate::Shared, people::PASSWORD};

static GATE: Shared = Shared::new(|| TOWN.to_owned());

const FALLBACK: &str = "/accounts/profile/";

/// What a browser takes for another site, or might.
fn elsewhere() -> Vec<String> {
    let starts = [
        "//",
        "///",
        "////",
        "/\\",
        "\\\\",
        "\\/",
        "/\t/",
        "\t//",
        " //",
        "/\n/",
        "\r\n//",
        "/\r/",
        "//\t",
        "http://",
        "https://",
        "HTTP://",
        "hTtPs://",
        "http:\\\\",
        "http:/",
        "http:///",
        "http:",
        "https:",
        "ht\ttp://",
        " http://",
        "\u{1}http://",
        "\0//",
        "ftp://",
        "file://",
        "//user@",
        "//user:pass@",
        "http://127.0.0.1@",
        "http://localhost\\@",
        "/\\/",
        "\\\\\\",
        "//\\",
        "/\u{2028}/../\\",
        "javascript://",
        "wss://",
    ];
    let hosts = [
        "evil.example",
        "evil.example/private/",
        "evil.example:80",
        "127.0.0.1.evil.example",
        "[::1]:1",
    ];
    let mut all: Vec<String> = starts
        .iter()
        .flat_map(|start| hosts.iter().map(move |host| format!("{start}{host}")))
        .collect();
    let more = [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "java\tscript:alert(1)",
        " javascript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "mailto:a@b",
        "about:blank",
        "http://[",
        "http://a]b/",
        "///",
        "//",
        "http:",
        "//%2f%2fevil.example",
        "\u{a0}//evil.example",
        "http://\u{ff45}vil.example",
    ];
    all.extend(more.map(str::to_owned));
    all
}

/// Odd, but relative for every browser, or so odd that a fallback is as good.
const ODD: [&str; 16] = [
    "evil.example",
    "@evil.example",
    ":80",
    "?next=//evil.example",
    "#//evil.example",
    "/\u{ff0f}evil.example",
    "/%2f/evil.example",
    "/%5cevil.example",
    "/..//evil.example",
    "/.//evil.example",
    "/ok\r\nSet-Cookie: a=b",
    "/ok\nX: y",
    "/ok%0d%0aSet-Cookie:a=b",
    "./",
    "..//evil.example",
    "/private/\\evil.example",
];

#[track_caller]
fn stays_here(location: &str, next: &str) {
    let mut bytes = location.bytes();
    assert_eq!(bytes.next(), Some(b'/'), "{next:?} leads to {location:?}");
    assert!(!matches!(bytes.next(), Some(b'/' | b'\\')), "{next:?} leads to {location:?}");
    assert!(
        location.bytes().all(|byte| byte > 0x20 && byte < 0x7f),
        "{next:?} leads to {location:?}"
    );
    // A browser resolves dot segments before it looks at what is left.
    assert!(
        !location.starts_with("/./") && !location.starts_with("/../"),
        "{next:?} leads to {location:?}"
    );
}

#[tokio::test]
async fn login_never_leads_to_another_site() {
    let gate = GATE.gate().await;
    let all = elsewhere();
    assert!(all.len() >= 170, "{} rows", all.len());
    for next in all {
        let answer = gate.visitor().tries_to_log_in("bob", PASSWORD, &next).await;
        assert!(matches!(answer.status, 302 | 303), "{next:?}: {answer:?}");
        assert_eq!(answer.all("location"), [FALLBACK], "{next:?}");
    }
}

#[tokio::test]
async fn odd_values_stay_here_and_add_no_header() {
    let gate = GATE.gate().await;
    for next in ODD {
        let answer = gate.visitor().tries_to_log_in("bob", PASSWORD, next).await;
        assert!(matches!(answer.status, 302 | 303), "{next:?}: {answer:?}");
        stays_here(answer.header("location").unwrap_or(""), next);
        assert!(
            answer.sets_cookie("a").is_none() && answer.header("x").is_none(),
            "{next:?}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn safe_values_are_honoured_exactly() {
    let gate = GATE.gate().await;
    for next in [
        "/",
        "/private/",
        "/private/x?a=b&c=d",
        "/private/?next=//evil.example",
        "/private/?u=http://evil.example/",
        "/a%20b",
        "/caf%C3%A9/",
        "/x:y",
        "/@user",
        "/a+b?q=1+2",
        "/private/x?q=%2F%2F",
        "/a.b..c/",
        "/polls/1/?page=2&page=3",
    ] {
        let answer = gate.visitor().tries_to_log_in("bob", PASSWORD, next).await;
        assert_eq!(answer.header("location"), Some(next));
    }
    let answer = gate.visitor().tries_to_log_in("bob", PASSWORD, "").await;
    assert_eq!(answer.header("location"), Some(FALLBACK));
}

#[tokio::test]
async fn way_to_the_login_page_and_back_keeps_path_and_query() {
    let gate = GATE.gate().await;
    for target in [
        "/private/x?a=b&c=d",
        "/private/?next=%2Fx%26y",
        "/private/caf%C3%A9?q=%E2%82%AC#",
        "/private/?a=b+c%2Bd",
        "/private/?",
    ] {
        let target = target.trim_end_matches('#');
        let mut bob = gate.visitor();
        let answer = bob.get(target).await;
        answer.asks_to_log_in(target);
        let page = bob.get(answer.header("location").unwrap_or("")).await;
        assert_eq!(page.status, 200, "{page:?}");
        let answer = bob.tries_to_log_in("bob", PASSWORD, target).await;
        assert_eq!(answer.header("location"), Some(target));
    }
}

#[tokio::test]
async fn login_page_escapes_what_it_is_given() {
    let gate = GATE.gate().await;
    let page =
        gate.visitor().get("/accounts/login/?next=/%22%3E%3Cscript%3Ealert(1)%3C/script%3E").await;
    assert_eq!(page.status, 200);
    assert!(!page.text().contains("<script>alert(1)"), "{}", page.text());
}
