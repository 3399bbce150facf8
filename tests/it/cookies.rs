//! Cookies on both sides: malformed ones are nobody's, ours never reach the application, the application's own survive.

use crate::support::{config::TOWN, gate::Shared, script::Script, wire::get};

static GATE: Shared = Shared::new(|| TOWN.to_owned());

/// Cookie headers that are no session.
fn malformed(live: &str) -> Vec<Vec<u8>> {
    let half = &live[..16];
    let upper = live.to_ascii_uppercase();
    let mut all: Vec<Vec<u8>> = [
        "sessionid",
        "sessionid=",
        "sessionid=;",
        "sessionid= ",
        "sessionid=\"\"",
        "sessionid=\"",
        "sessionid=\"\\999\"",
        "sessionid=\"\\",
        "sessionid=\\",
        "sessionid==",
        "sessionid=null",
        "sessionid=undefined",
        "sessionid=0",
        "sessionid=-1",
        "sessionid=true",
        "sessionid=[]",
        "sessionid={}",
        "sessionid=*",
        "sessionid=%",
        "sessionid=%00",
        "sessionid=%s%n",
        "sessionid=..",
        "sessionid=../../etc/passwd",
        "sessionid=' or 1=1 --",
        "sessionid=a,b",
        "sessionid=a b",
        "sessionid=a\tb",
        "sessionid=<x>",
        "sessionid=\u{e9}",
        "sessionid=\u{1f600}",
        "=sessionid",
        "=",
        ";",
        ";;;;",
        ";=;=;",
        "===",
        "; sessionid",
        ",",
        "$Version=1; sessionid=x; $Path=/",
        "sessionid[]=x",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    for text in [
        format!("sessionid={half}"),
        format!("sessionid={live}x"),
        format!("sessionid=x{live}"),
        format!("sessionid={upper}"),
        format!("sessionid={live}{live}"),
        format!("sessionid2={live}"),
        format!("xsessionid={live}"),
        format!("SESSIONID={live}"),
        format!("SessionId={live}"),
        format!("session_id={live}"),
        format!("sessionid%20={live}"),
        format!("%73essionid={live}"),
        format!("__Host-sessionid={live}"),
        format!("={live}"),
        format!("=sessionid={live}"),
        live.to_owned(),
        format!("a=sessionid={live}"),
        format!("a=\"b; sessionid\"={live}"),
        format!("sessionid={half} {half}"),
        format!("sessionid={}", "a".repeat(32)),
        format!("sessionid={}", "0".repeat(32)),
        format!("sessionid={}", "a".repeat(4000)),
        format!("sessionid:{live}"),
    ] {
        all.push(text.into_bytes());
    }
    for byte in [0x80_u8, 0xff, 0xc0] {
        all.push([b"sessionid=", live.as_bytes(), &[byte]].concat());
        all.push([b"sessionid=", &[byte; 32][..]].concat());
    }
    all
}

#[tokio::test]
async fn malformed_cookie_is_nobody() {
    let gate = GATE.gate().await;
    let live = gate.sign_in("ada").await.session();
    let cookies = malformed(&live);
    assert!(cookies.len() >= 60, "{} cookies", cookies.len());
    for cookie in cookies {
        let shown = String::from_utf8_lossy(&cookie).into_owned();
        let mut bytes = b"GET /private/ HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\nConnection: close\r\nCookie: ".to_vec();
        bytes.extend_from_slice(&cookie);
        bytes.extend_from_slice(b"\r\n\r\n");
        let answer = gate.hears(bytes).await.only();
        assert!(
            !answer.came_from_upstream() && matches!(answer.status, 302 | 303 | 400 | 431),
            "{shown:?}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn duplicates_are_decided_quickly_and_alike() {
    let gate = GATE.gate().await;
    let ada = gate.sign_in("ada").await;
    let bad = "sessionid=bad0bad0bad0bad0bad0bad0bad0bad0";
    let good = format!("sessionid={}", ada.session());
    let many_then_good = format!("{}; {good}", vec![bad; 200].join("; "));
    for cookie in [format!("{bad}; {good}"), format!("{good}; {bad}"), many_then_good] {
        let mut outcomes = Vec::new();
        for _ in 0..3 {
            let answer =
                gate.visitor().get_with("/private/", &format!("Cookie: {cookie}\r\n")).await;
            assert!(matches!(answer.status, 200 | 302 | 303 | 400 | 431), "{answer:?}");
            outcomes.push(answer.status);
        }
        assert!(outcomes.windows(2).all(|pair| pair[0] == pair[1]), "{outcomes:?}");
    }
    let lines = format!("Cookie: a=b\r\nCookie: {good}\r\nCookie: c=d\r\n");
    let echo = gate.visitor().get_with("/private/", &lines).await.is_forwarded_as("ada");
    assert!(!echo.folded("cookie").concat().contains(&ada.session()));
}

#[tokio::test]
async fn session_cookie_stays_here_and_the_others_go_on() {
    let gate = GATE.gate().await;
    let ada = gate.sign_in("ada").await;
    let id = ada.session();
    let rows = [
        (format!("a=b; sessionid={id}; c=d"), vec!["a=b; c=d"]),
        (format!("sessionid={id}"), vec![]),
        (format!("sessionid={id}; a=b"), vec!["a=b"]),
        (format!("a=b;sessionid={id};c=d"), vec!["a=b; c=d"]),
        (format!("a=b; sessionid={id}; sessionid={id}"), vec!["a=b"]),
    ];
    for (cookie, expected) in rows {
        for target in ["/private/", "/public/"] {
            let echo = gate
                .visitor()
                .get_with(target, &format!("Cookie: {cookie}\r\n"))
                .await
                .is_forwarded_as("ada");
            let seen: Vec<String> = echo
                .folded("cookie")
                .iter()
                .map(|line| line.split(';').map(str::trim).collect::<Vec<_>>().join("; "))
                .collect();
            assert_eq!(seen, expected, "{cookie}");
        }
    }
}

#[tokio::test]
async fn dead_session_cookie_does_not_reach_the_application_either() {
    let gate = GATE.gate().await;
    let dead = "dead0dead0dead0dead0dead0dead0de";
    let echo = gate
        .visitor()
        .get_with("/public/", &format!("Cookie: a=b; sessionid={dead}\r\n"))
        .await
        .is_forwarded_anonymously();
    assert_eq!(echo.folded("cookie"), ["a=b"]);
}

#[tokio::test]
async fn application_keeps_its_own_cookie_of_our_name() {
    let gate = GATE.gate().await;
    let mut ada = gate.sign_in("ada").await;
    let ours = ada.session();
    gate.upstream.on(
        "/private/sets",
        Script::echo_with(
            "Set-Cookie: sessionid=theirs; Path=/; HttpOnly\r\nSet-Cookie: other=1\r\n",
        ),
    );
    let answer = ada.get("/private/sets").await;
    answer.is_forwarded_as("ada");
    assert_eq!(
        answer.sets_cookie("sessionid"),
        None,
        "the application replaced our session: {answer:?}"
    );
    assert_eq!(answer.sets_cookie("other").as_deref(), Some("1"));
    let renamed = answer
        .all("set-cookie")
        .into_iter()
        .find(|line| line.contains("=theirs"))
        .unwrap_or_else(|| panic!("the application's cookie is lost: {answer:?}"));
    assert!(renamed.contains("HttpOnly") && renamed.contains("Path=/"), "{renamed}");
    ada.keeps(&answer);
    assert_eq!(ada.session(), ours);
    let echo = ada.get("/private/").await.is_forwarded_as("ada");
    let seen = echo.folded("cookie").concat();
    assert!(seen.split(';').any(|pair| pair.trim() == "sessionid=theirs"), "{seen}");
    assert!(!seen.contains(&ours), "{seen}");
}

#[tokio::test]
async fn application_cannot_plant_or_clear_our_session() {
    let gate = GATE.gate().await;
    let ada = gate.sign_in("ada").await;
    let lines = [
        "Set-Cookie: sessionid=planted\r\n",
        "set-cookie: sessionid=planted; Path=/; Domain=localhost\r\n",
        "Set-Cookie: sessionid=; Max-Age=0\r\n",
        "Set-Cookie:   sessionid = planted\r\n",
        "Set-Cookie: sessionid\r\n",
        "Set-Cookie: a=b\r\nSet-Cookie: sessionid=planted\r\n",
        "Set-Cookie: =sessionid=planted\r\n",
    ];
    for (number, line) in lines.into_iter().enumerate() {
        let target = format!("/public/bad/{number}");
        gate.upstream.on(&target, Script::echo_with(line));
        let answer = ada.get(&target).await;
        answer.is_forwarded();
        for set in answer.all("set-cookie") {
            let name =
                set.split(['=', ';']).map(str::trim).find(|part| !part.is_empty()).unwrap_or("");
            assert_ne!(name, "sessionid", "{line:?} becomes {set:?}");
        }
    }
    ada.get("/private/").await.is_forwarded_as("ada");
}

#[tokio::test]
async fn vestibule_headers_of_an_answer_are_removed_and_obeyed_only_where_trusted() {
    let gate = GATE.gate().await;
    let ada = gate.sign_in("ada").await;
    gate.upstream.on("/private/out", Script::echo_with("Vestibule-Logout: 1\r\nVestibule-Session-Set: a=b\r\nVestibule-Session-Delete: a\r\nVestibule-Message: hello\r\n"));
    let answer = ada.get("/private/out").await;
    answer.is_forwarded_as("ada");
    assert!(
        answer.headers.iter().all(|(name, _)| !name.to_ascii_lowercase().starts_with("vestibule-")),
        "{answer:?}"
    );
    ada.get("/private/").await.is_forwarded_as("ada");
    assert!(gate.hears(get("/public/")).await.only().came_from_upstream());
}
