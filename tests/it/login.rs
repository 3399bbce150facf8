//! Logging in and out: one wording for every failure, forms that only our own pages can send, guessing that gets slower.

use std::time::{Duration, Instant};

use crate::support::{
    answer::Answer,
    config::{TOWN, town_and},
    gate::{Gate, Shared},
    people::PASSWORD,
    visitor::form_token,
};

static GATE: Shared = Shared::new(|| TOWN.to_owned());

/// The page without what differs between any two renderings of it: the form's token and the name that was typed.
fn normalised(answer: &Answer, name: &str) -> (u16, Vec<String>, String) {
    let text = answer.text();
    let token = form_token(&text);
    let headers = answer.headers.iter().map(|(name, value)| {
        let volatile = name.eq_ignore_ascii_case("set-cookie")
            || name.eq_ignore_ascii_case("date")
            || name.eq_ignore_ascii_case("content-length");
        format!("{}: {}", name.to_ascii_lowercase(), if volatile { "…" } else { value })
    });
    (
        answer.status,
        headers.collect(),
        text.replace(&token, "TOKEN").replace(&format!("value=\"{name}\""), "value=\"NAME\""),
    )
}

#[tokio::test]
async fn every_failed_login_looks_the_same() {
    let gate = GATE.gate().await;
    let failures = [
        ("bob", "wrong-password-1"),
        ("nobody", PASSWORD),
        ("ivy", PASSWORD),
        ("ivy", "wrong-password-1"),
        ("root", "wrong-password-1"),
        ("bob", "x"),
        ("bob", ""),
    ];
    let mut looks = Vec::new();
    for (name, password) in failures {
        let answer = gate.visitor().tries_to_log_in(name, password, "/private/").await;
        assert!(answer.sets_cookie("sessionid").is_none(), "{name}: {answer:?}");
        looks.push(((name, password), normalised(&answer, name)));
    }
    let (_, first) = &looks[0];
    assert_eq!(first.0, 200);
    for (who, look) in &looks {
        // An empty field may be told from a wrong one; it gives nothing away.
        if !who.1.is_empty() {
            assert_eq!(look, first, "{who:?}");
        }
    }
}

#[tokio::test]
async fn unknown_user_costs_as_much_as_a_known_one() {
    let gate = Gate::start(&town_and("[passwords]\nmemory = \"19MiB\"\niterations = 2")).await;
    // The stored hash is to cost what a new one costs, as it would in service.
    let changed = gate
        .try_run(&["user", "set-password", "bob", "--password-stdin"], &format!("{PASSWORD}\n"));
    assert!(changed.status.success(), "{changed:?}");
    let changed = gate
        .try_run(&["user", "set-password", "ivy", "--password-stdin"], &format!("{PASSWORD}\n"));
    assert!(changed.status.success(), "{changed:?}");
    // In turn, and the quickest of each: what else the machine does only ever makes them slower, so
    // more rounds bring them together, unless one of them costs less.
    let mut quickest = [("bob", Duration::MAX), ("nobody", Duration::MAX), ("ivy", Duration::MAX)];
    let is_even = |quickest: &[(&str, Duration)]| {
        let times = quickest.iter().map(|row| row.1);
        times.clone().max().unwrap() < times.min().unwrap() * 2
    };
    for round in 0..70 {
        for (name, least) in &mut quickest {
            let mut visitor = gate.visitor();
            let start = Instant::now();
            visitor.tries_to_log_in(name, "wrong-password-1", "/").await;
            *least = start.elapsed().min(*least);
        }
        if round >= 6 && is_even(&quickest) {
            break;
        }
    }
    assert!(is_even(&quickest), "the time of an answer tells who exists: {quickest:?}");
}

#[tokio::test]
async fn endless_password_is_not_hashed() {
    let gate = GATE.gate().await;
    let start = Instant::now();
    let answer = gate.visitor().tries_to_log_in("bob", &"x".repeat(1 << 20), "/").await;
    assert!(matches!(answer.status, 200 | 400 | 413), "{answer:?}");
    assert!(answer.sets_cookie("sessionid").is_none());
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}

#[tokio::test]
async fn form_without_its_token_changes_nothing() {
    let gate = GATE.gate().await;
    let fields = [("username", "bob"), ("password", PASSWORD), ("next", "/")];
    gate.visitor().posts("/accounts/login/", &fields).await.is_refused_with(403);
    let mut bob = gate.visitor();
    let page = bob.get("/accounts/login/").await;
    bob.keeps(&page);
    let token = form_token(&page.text());
    let with = |token: &str| {
        [("csrfmiddlewaretoken".to_owned(), token.to_owned())]
            .into_iter()
            .chain(fields.map(|(a, b)| (a.to_owned(), b.to_owned())))
            .collect::<Vec<_>>()
    };
    let reversed: String = token.chars().rev().collect();
    for wrong in
        ["", "x", reversed.as_str(), &token[1..], &"a".repeat(token.len()), &format!("{token}x")]
    {
        let fields = with(wrong);
        let fields: Vec<(&str, &str)> =
            fields.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        let answer = bob.posts("/accounts/login/", &fields).await;
        answer.is_refused_with(403);
        assert!(answer.sets_cookie("sessionid").is_none());
    }
    let fields = with(&token);
    let fields: Vec<(&str, &str)> = fields.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    gate.visitor().posts("/accounts/login/", &fields).await.is_refused_with(403);
    for origin in
        ["http://evil.example", "null", "https://127.0.0.1.evil.example", "http://127.0.0.1:1"]
    {
        let answer =
            bob.posts_with("/accounts/login/", &fields, &format!("Origin: {origin}\r\n")).await;
        answer.is_refused_with(403);
    }
    let answer = bob.posts("/accounts/login/", &fields).await;
    assert!(matches!(answer.status, 302 | 303), "the right token is accepted: {answer:?}");
}

#[tokio::test]
async fn cookie_oddities_do_not_bypass_the_form_token() {
    let gate = GATE.gate().await;
    for cookies in [
        "csrftoken=",
        "csrftoken",
        "csrftoken=x; csrftoken=x",
        "csrftoken=\"x\"",
        "csrftoken=x]csrftoken=x",
        "a=b;;csrftoken=;",
        "=csrftoken=x",
    ] {
        for token in ["", "x", "\"x\""] {
            let line = format!("Origin: http://{}\r\nCookie: {cookies}\r\n", gate.address);
            let answer = gate
                .visitor()
                .posts_with(
                    "/accounts/login/",
                    &[("csrfmiddlewaretoken", token), ("username", "bob"), ("password", PASSWORD)],
                    &line,
                )
                .await;
            assert!(
                matches!(answer.status, 400 | 403) && answer.sets_cookie("sessionid").is_none(),
                "{cookies:?} {token:?}: {answer:?}"
            );
        }
    }
}

#[tokio::test]
async fn logout_needs_the_form_of_its_page() {
    let gate = GATE.gate().await;
    let mut bob = gate.sign_in("bob").await;
    assert_eq!(bob.get("/accounts/logout/").await.status, 200, "GET asks for confirmation");
    bob.posts("/accounts/logout/", &[]).await.is_refused_with(403);
    bob.get("/private/").await.is_forwarded_as("bob");
    let before = bob.clone();
    bob.logs_out().await;
    before.get("/private/").await.asks_to_log_in("/private/");
}

#[tokio::test]
async fn browser_without_cookies_is_told_to_enable_them() {
    let gate = GATE.gate().await;
    let page = gate.visitor().get("/accounts/login/").await;
    let token = form_token(&page.text());
    let answer = gate
        .visitor()
        .posts(
            "/accounts/login/",
            &[("csrfmiddlewaretoken", &token), ("username", "bob"), ("password", PASSWORD)],
        )
        .await;
    answer.is_refused_with(403);
    assert!(answer.text().to_ascii_lowercase().contains("cookie"), "{}", answer.text());
}

#[tokio::test]
async fn guessing_is_throttled_for_the_guesser_and_not_for_the_owner() {
    let text = town_and(
        "[lockout]\nenabled = true\nfailures = 5\ndelay = \"10m\"\nwindow = \"15m\"\n[server]\ntrusted_proxies = [\"127.0.0.1\"]",
    );
    let gate = Gate::start(&text).await;
    let stranger = "X-Forwarded-For: 203.0.113.9\r\n";
    let mut statuses = Vec::new();
    for _ in 0..20 {
        let mut guesser = gate.visitor();
        let page = guesser.get_with("/accounts/login/", stranger).await;
        guesser.keeps(&page);
        let token = form_token(&page.text());
        let lines = format!("{stranger}Origin: http://{}\r\n", gate.address);
        let answer = guesser
            .posts_with(
                "/accounts/login/",
                &[
                    ("csrfmiddlewaretoken", &token),
                    ("username", "bob"),
                    ("password", "wrong-password-1"),
                ],
                &lines,
            )
            .await;
        if answer.status == 429 {
            assert!(
                answer
                    .header("retry-after")
                    .is_some_and(|wait| wait.parse::<u64>().is_ok_and(|wait| wait > 0)),
                "{answer:?}"
            );
        }
        statuses.push(answer.status);
    }
    assert_eq!(statuses[..5], [200; 5], "{statuses:?}");
    assert!(statuses[6..].iter().all(|&status| status == 429), "{statuses:?}");
    // The owner comes from another address.
    gate.sign_in("bob").await.get("/private/").await.is_forwarded_as("bob");
}

#[tokio::test]
async fn forged_forwarding_header_does_not_escape_the_throttle() {
    let gate =
        Gate::start(&town_and("[lockout]\nenabled = true\nfailures = 3\ndelay = \"10m\"")).await;
    let mut last = 0;
    for number in 0..12 {
        let mut guesser = gate.visitor();
        let page = guesser.get("/accounts/login/").await;
        guesser.keeps(&page);
        let token = form_token(&page.text());
        let lines = format!(
            "X-Forwarded-For: 203.0.113.{number}\r\nX-Real-IP: 203.0.113.{number}\r\nOrigin: http://{}\r\n",
            gate.address
        );
        last = guesser
            .posts_with(
                "/accounts/login/",
                &[
                    ("csrfmiddlewaretoken", &token),
                    ("username", "bob"),
                    ("password", "wrong-password-1"),
                ],
                &lines,
            )
            .await
            .status;
    }
    assert_eq!(last, 429);
}

#[tokio::test]
async fn signed_in_visitor_is_not_caught_in_a_loop() {
    let gate = GATE.gate().await;
    let bob = gate.sign_in("bob").await;
    for target in ["/admin/", "/reports/", "/staff/", "/super/", "/ada/", "/polls/vote/"] {
        bob.get(target).await.is_refused_with(403);
        bob.fetch(target).await.is_refused_with(403);
    }
    let page = bob.get("/accounts/login/?next=/admin/").await;
    assert!(
        page.status == 200
            || page
                .header("location")
                .is_some_and(|location| !location.starts_with("/accounts/login")),
        "{page:?}"
    );
    let profile = bob.get("/accounts/profile/").await;
    assert!(profile.status == 200 && profile.text().contains("bob"), "{profile:?}");
}
