//! Identity headers are ours alone: removed from every request by folded name, set once, on every route.

use crate::support::{
    answer::{Echo, fold},
    config::town_and,
    gate::{Gate, Shared},
};

static TOWN: Shared = Shared::new(|| {
    town_and(
        r#"
        [identity]
        preset = "remote"
        headers = { "X-Band" = "{{ user.username }}", "x-lower-case" = "{{ user.username }}" }
        "#,
    )
});

const OURS: [&str; 6] =
    ["Remote-User", "Remote-Name", "Remote-Email", "Remote-Groups", "X-Band", "x-lower-case"];

/// The spellings of one header name that some application folds to it.
fn spellings(name: &str) -> Vec<String> {
    let lower = name.to_ascii_lowercase();
    let mut all = vec![name.to_owned(), lower.clone(), name.to_ascii_uppercase()];
    for between in ["_", "."] {
        for base in [name.to_owned(), lower.clone(), name.to_ascii_uppercase()] {
            all.push(base.replace('-', between));
            all.push(base.replacen('-', between, 1));
        }
    }
    all.push(
        lower
            .bytes()
            .enumerate()
            .map(|(at, byte)| if at % 2 == 0 { byte.to_ascii_uppercase() } else { byte }.into())
            .collect::<Vec<char>>()
            .iter()
            .collect(),
    );
    all.sort();
    all.dedup();
    all
}

/// The forged value arrives nowhere, under no name that folds to ours.
#[track_caller]
fn nothing_forged(echo: &Echo, sent: &str) {
    for (name, value) in echo.headers() {
        let named_like_ours = OURS.iter().any(|ours| fold(ours) == fold(&name));
        assert!(
            !(named_like_ours && value.contains("forged")),
            "`{sent}` arrives as `{name}: {value}`"
        );
    }
}

#[tokio::test]
async fn no_spelling_of_an_identity_header_arrives_from_a_stranger() {
    let gate = TOWN.gate().await;
    for name in OURS {
        for spelling in spellings(name) {
            let echo = gate
                .visitor()
                .get_with("/public/", &format!("{spelling}: forged\r\n"))
                .await
                .is_forwarded();
            nothing_forged(&echo, &spelling);
            assert_eq!(echo.folded(name), Vec::<String>::new(), "`{spelling}` arrives");
        }
    }
}

#[tokio::test]
async fn no_spelling_of_an_identity_header_arrives_beside_ours() {
    let gate = TOWN.gate().await;
    let ada = gate.sign_in("ada").await;
    for target in ["/public/", "/private/"] {
        for name in OURS {
            for spelling in spellings(name) {
                let echo = ada
                    .get_with(target, &format!("{spelling}: forged\r\n{spelling}: forged\r\n"))
                    .await
                    .is_forwarded_as("ada");
                nothing_forged(&echo, &spelling);
                assert_eq!(
                    echo.folded(name).len(),
                    1,
                    "`{spelling}` on {target}: {:?}",
                    echo.headers()
                );
            }
        }
    }
}

#[tokio::test]
async fn user_without_groups_cannot_claim_one() {
    let gate = TOWN.gate().await;
    let bob = gate.sign_in("bob").await;
    for spelling in spellings("Remote-Groups")
        .into_iter()
        .chain(spellings("Remote-Email"))
        .chain(spellings("Remote-Name"))
    {
        let echo = bob
            .get_with("/private/", &format!("{spelling}: forged\r\n"))
            .await
            .is_forwarded_as("bob");
        nothing_forged(&echo, &spelling);
        assert!(echo.folded("remote-groups").concat().is_empty());
    }
}

#[tokio::test]
async fn application_learns_who_it_is() {
    let gate = TOWN.gate().await;
    let ada = gate.sign_in("ada").await;
    let echo = ada.get("/reports/").await.is_forwarded_as("ada");
    assert_eq!(echo.folded("Remote-Groups"), ["Site editors"]);
    assert_eq!(echo.folded("Remote-Email"), ["ada@example.org"]);
    assert_eq!(echo.folded("Remote-Name"), ["Ada Lovelace"]);
    assert_eq!(echo.folded("X-Band"), ["ada"]);
    assert_eq!(echo.folded("x-lower-case"), ["ada"]);
    ada.get("/public/").await.is_forwarded_as("ada");
}

#[tokio::test]
async fn names_are_sent_in_title_case_to_an_application_that_asks_for_it() {
    for (settings, sent) in
        [("", "remote-user"), ("[upstream_defaults]\ntitle_case_headers = true\n", "Remote-User")]
    {
        let gate = Gate::start(&town_and(settings)).await;
        let echo = gate.sign_in("ada").await.get("/private/").await.is_forwarded_as("ada");
        let names: Vec<_> = echo.headers().iter().map(|(name, _)| name.clone()).collect();
        assert!(names.iter().any(|name| name == sent), "{sent} is not in {names:?}");
    }
}

#[tokio::test]
async fn connection_header_cannot_name_what_is_ours() {
    let gate = TOWN.gate().await;
    let ada = gate.sign_in("ada").await;
    for name in [
        "Remote-User",
        "remote-user",
        "REMOTE_USER",
        "Cookie",
        "Host",
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "X-Forwarded-Host",
        "X-Band",
    ] {
        for line in [
            format!("Connection: {name}\r\n"),
            format!("Connection: close, {name}\r\nConnection: {name}, keep-alive\r\n"),
        ] {
            let mut wire = gate.connect().await;
            wire.send(format!("GET /private/ HTTP/1.1\r\nHost: localhost\r\n{line}Cookie: a=b; sessionid={}\r\n\r\n", ada.session())).await;
            let echo = wire.answer().await.is_forwarded_as("ada");
            assert_eq!(echo.folded("host"), ["localhost"], "{line}");
            assert_eq!(echo.folded("x-forwarded-for"), ["127.0.0.1"], "{line}");
            assert_eq!(echo.folded("x-forwarded-proto"), ["http"], "{line}");
            assert_eq!(echo.folded("x-band"), ["ada"], "{line}");
        }
    }
}

#[tokio::test]
async fn blank_or_odd_byte_at_a_header_name_is_refused_or_dropped() {
    let gate = TOWN.gate().await;
    let lines: [&[u8]; 14] = [
        b"Remote-User : forged",
        b"Remote-User\t: forged",
        b"Remote-User\xa0: forged",
        b" Remote-User: forged",
        b"\tRemote-User: forged",
        b"\x0bRemote-User: forged",
        b"Remote-User\x00: forged",
        b"Remote User: forged",
        b"X-A: b\r\n Remote-User: forged",
        b"X-A: b\r\n\tRemote-User: forged",
        b"X-A: b\nRemote-User: forged",
        b"X-A: b\rRemote-User: forged",
        b": forged\r\nRemote-User: forged",
        b"Remote-User: a\0forged",
    ];
    for line in lines {
        let mut bytes = b"GET /public/ HTTP/1.1\r\nHost: localhost\r\n".to_vec();
        bytes.extend_from_slice(line);
        bytes.extend_from_slice(b"\r\nConnection: close\r\n\r\n");
        for answer in gate.hears(bytes).await.answers {
            let shown = String::from_utf8_lossy(line).into_owned();
            if answer.came_from_upstream() {
                let echo = answer.is_forwarded_anonymously();
                nothing_forged(&echo, &shown);
            } else {
                assert_eq!(answer.status, 400, "{shown:?}: {answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn trailers_never_become_identity() {
    let gate = TOWN.gate().await;
    let ada = gate.sign_in("ada").await;
    for name in OURS {
        for spelling in spellings(name) {
            let mut wire = gate.connect().await;
            let head = format!(
                "POST /private/ HTTP/1.1\r\nHost: localhost\r\n{}TE: trailers\r\nTrailer: {spelling}\r\nTransfer-Encoding: chunked\r\n\r\n",
                ada.cookie_line()
            );
            wire.send(format!("{head}1\r\nx\r\n0\r\n{spelling}: forged\r\nX-Fine: 1\r\n\r\n"))
                .await;
            let echo = wire.answer().await.is_forwarded_as("ada");
            nothing_forged(&echo, &spelling);
            assert_eq!(echo.folded(name).len(), 1, "`{spelling}`: {:?}", echo.headers());
        }
    }
}

#[tokio::test]
async fn every_preset_removes_its_own_headers() {
    let presets: [(&str, &[&str]); 4] = [
        (
            "oauth2-proxy",
            &[
                "X-Forwarded-User",
                "X-Forwarded-Email",
                "X-Forwarded-Groups",
                "X-Forwarded-Preferred-Username",
            ],
        ),
        (
            "authentik",
            &[
                "X-authentik-username",
                "X-authentik-groups",
                "X-authentik-email",
                "X-authentik-name",
            ],
        ),
        ("grafana", &["X-WEBAUTH-USER"]),
        ("jenkins", &["X-Forwarded-User"]),
    ];
    for (preset, names) in presets {
        let gate = Gate::start(&town_and(&format!("[identity]\npreset = \"{preset}\""))).await;
        let ada = gate.sign_in("ada").await;
        for name in names {
            for spelling in spellings(name) {
                let line = format!("{spelling}: forged\r\n");
                let stranger = gate.visitor().get_with("/public/", &line).await.is_forwarded();
                assert_eq!(stranger.folded(name), Vec::<String>::new(), "{preset}: `{spelling}`");
                let values = ada.get_with("/private/", &line).await.is_forwarded().folded(name);
                assert!(
                    values.len() <= 1 && !values.concat().contains("forged"),
                    "{preset}: `{spelling}`: {values:?}"
                );
            }
        }
        let user = ada.get("/private/").await.is_forwarded().folded(names[0]);
        assert_eq!(user, ["ada"], "{preset}: {}", names[0]);
    }
}

#[tokio::test]
async fn preset_none_still_says_nothing_of_the_visitor() {
    let gate = Gate::start(&town_and("[identity]\npreset = \"none\"")).await;
    let echo = gate.sign_in("ada").await.get("/private/").await.is_forwarded();
    assert!(echo.headers().iter().all(|(_, value)| !value.contains("ada")), "{:?}", echo.headers());
}

#[tokio::test]
async fn identity_follows_the_session_on_one_connection() {
    let gate = TOWN.gate().await;
    let (ada, bob) = (gate.sign_in("ada").await, gate.sign_in("bob").await);
    let mut wire = gate.connect().await;
    for _ in 0..3 {
        ada.asks_on(&mut wire, "/private/").await.is_forwarded_as("ada");
        bob.asks_on(&mut wire, "/private/").await.is_forwarded_as("bob");
        gate.visitor().asks_on(&mut wire, "/public/").await.is_forwarded_anonymously();
    }
}

#[tokio::test]
async fn values_cannot_carry_a_line_break_into_a_header() {
    let gate = Gate::start(&town_and("")).await;
    for (number, last_name) in
        ["x\r\nX-Admin: 1", "x\nX-Admin: 1", "x\rX-Admin: 1", "x\0X-Admin: 1"]
            .into_iter()
            .enumerate()
    {
        // A NUL cannot even stand in an argument.
        if last_name.contains('\0') {
            continue;
        }
        let name = format!("mallory{number}");
        let made = gate.try_run(
            &["user", "create", &name, "--last-name", last_name, "--password-stdin"],
            "lantern-gravel-4711\n",
        );
        if made.status.success() {
            let echo = gate.sign_in(&name).await.get("/private/").await.is_forwarded_as(&name);
            assert_eq!(echo.folded("x-admin"), Vec::<String>::new(), "{last_name:?}");
        }
    }
    let made = gate.try_run(
        &["user", "create", "bob\r\nX-Admin: 1", "--password-stdin"],
        "lantern-gravel-4711\n",
    );
    assert!(!made.status.success(), "a user name with a line break was accepted");
}
