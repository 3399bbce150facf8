//! Where a request came from is the gateway's to say: forwarding headers are written anew, and continued only from trusted proxies.

use crate::support::{
    config::{TOWN, town_and},
    gate::{Gate, Shared},
};

static STRICT: Shared = Shared::new(|| TOWN.to_owned());

/// Each address that may be taken for the client's has a path that opens for it alone.
static TRUSTING: Shared = Shared::new(|| {
    town_and(
        r#"
        [server]
        trusted_proxies = ["127.0.0.1", "10.0.0.0/8"]
        [paths]
        "/127.0.0.1/" = { login_required = true, networks = ["127.0.0.1/32"] }
        "/10.1.2.3/" = { login_required = true, networks = ["10.1.2.3/32"] }
        "/203.0.113.9/" = { login_required = true, networks = ["203.0.113.9/32"] }
        "/198.51.100.1/" = { login_required = true, networks = ["198.51.100.1/32"] }
        "#,
    )
});

#[tokio::test]
async fn forwarding_headers_are_written_from_the_socket() {
    let gate = STRICT.gate().await;
    let port = gate.address.port().to_string();
    let forged = "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-Port: 1\r\n";
    for lines in [
        "",
        forged,
        "x_forwarded_for: 203.0.113.9\r\nX_Forwarded_Host: evil.example\r\nX.Forwarded.Proto: https\r\nX_FORWARDED_PORT: 1\r\n",
    ] {
        let echo = gate.visitor().get_with("/public/", lines).await.is_forwarded();
        assert_eq!(echo.folded("x-forwarded-for"), ["127.0.0.1"], "{lines}");
        assert_eq!(echo.folded("x-forwarded-proto"), ["http"], "{lines}");
        assert_eq!(echo.folded("x-forwarded-host"), [gate.address.to_string()], "{lines}");
        assert_eq!(echo.folded("x-forwarded-port"), [port.as_str()], "{lines}");
        assert_eq!(echo.folded("host"), [gate.address.to_string()], "the Host is kept");
        assert_eq!(echo.folded("via"), Vec::<String>::new());
    }
}

#[tokio::test]
async fn headers_that_override_the_request_are_dropped() {
    let gate = STRICT.gate().await;
    let names = [
        "Proxy",
        "X-Original-URL",
        "X-Original-Uri",
        "X-Rewrite-URL",
        "X-Forwarded-Uri",
        "X-Forwarded-Method",
        "X-Forwarded-Prefix",
        "X-Forwarded-Server",
        "X-Real-IP",
        "Forwarded",
        "X-HTTP-Method-Override",
        "X-HTTP-Method",
        "X-Method-Override",
    ];
    for name in names {
        for spelling in [
            name.to_owned(),
            name.to_ascii_lowercase(),
            name.replace('-', "_"),
            name.to_ascii_uppercase(),
        ] {
            let echo = gate
                .visitor()
                .get_with("/public/", &format!("{spelling}: forged\r\n"))
                .await
                .is_forwarded();
            assert!(
                !echo.folded(name).concat().contains("forged"),
                "`{spelling}` arrives: {:?}",
                echo.headers()
            );
        }
    }
}

#[tokio::test]
async fn no_header_opens_a_protected_path() {
    let gate = STRICT.gate().await;
    let names = [
        "X-Forwarded-Uri",
        "X-Original-URL",
        "X-Original-Uri",
        "X-Rewrite-URL",
        "X-Forwarded-Path",
        "X-Forwarded-Prefix",
        "X-Script-Name",
        "X-Envoy-Original-Path",
        "X-Replaced-Path",
        "X-Forwarded-Url",
        "X-Request-Uri",
        "X-Accel-Redirect",
        "X-Sendfile",
        "Destination",
        "Referer",
        "X-Wap-Profile",
        "Content-Location",
    ];
    let mut tricks: Vec<String> =
        names.iter().map(|name| format!("{name}: /public/ok\r\n")).collect();
    for line in [
        "X-Forwarded-Method: OPTIONS",
        "X-HTTP-Method-Override: OPTIONS",
        "X-Forwarded-For: 127.0.0.1",
        "X-Real-IP: 127.0.0.1",
        "Client-IP: 127.0.0.1",
        "True-Client-IP: 127.0.0.1",
        "CF-Connecting-IP: 127.0.0.1",
        "Forwarded: for=127.0.0.1",
        "X-Forwarded-Host: localhost",
        "X-Forwarded-User: root",
        "Remote-User: root",
        "X-Remote-User: root",
        "Authorization: Basic cm9vdDpyb290",
        "Authorization: Bearer x",
        "X-Authenticated: 1",
        "X-Vestibule-User: root",
        "Vestibule-User: root",
        "User-Agent: GoogleHC/1.0",
        "User-Agent: kube-probe/1.29",
        "User-Agent: ELB-HealthChecker/2.0",
        "x-middleware-subrequest: middleware:middleware:middleware:middleware:middleware",
        "Purpose: prefetch",
        "X-Auth-Request-Redirect: /public/",
        "Access-Control-Request-Method: GET\r\nOrigin: http://x",
        "Upgrade: websocket\r\nConnection: Upgrade",
        "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
    ] {
        tricks.push(format!("{line}\r\n"));
    }
    assert!(tricks.len() >= 43, "{} tricks", tricks.len());
    for line in tricks {
        for target in ["/private/", "/admin/"] {
            gate.visitor().get_with(target, &line).await.is_safe();
        }
    }
}

#[tokio::test]
async fn addresses_are_believed_from_the_right_as_far_as_trust_goes() {
    let gate = TRUSTING.gate().await;
    let ada = gate.sign_in("ada").await;
    let rows = [
        ("", "127.0.0.1", "nobody claims anything"),
        ("X-Forwarded-For: 203.0.113.9\r\n", "203.0.113.9", "one trusted proxy"),
        (
            "X-Forwarded-For: 198.51.100.1, 203.0.113.9\r\n",
            "203.0.113.9",
            "what the client wrote itself is not believed",
        ),
        ("X-Forwarded-For: 203.0.113.9, 10.1.2.3\r\n", "203.0.113.9", "two trusted proxies"),
        (
            "X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: 203.0.113.9, 10.1.2.3\r\n",
            "203.0.113.9",
            "two lines are one list",
        ),
        (
            "X-Forwarded-For: 198.51.100.1, garbage, 10.1.2.3\r\n",
            "10.1.2.3",
            "trust ends at what is no address",
        ),
    ];
    for (lines, client, why) in rows {
        for address in ["127.0.0.1", "10.1.2.3", "203.0.113.9", "198.51.100.1"] {
            let answer = ada.get_with(&format!("/{address}/"), lines).await;
            assert_eq!(
                answer.came_from_upstream(),
                address == client,
                "{why}: taken for {address}? {answer:?}"
            );
            if address == client {
                let seen = answer.is_forwarded().folded("x-forwarded-for");
                assert!(seen.len() == 1 && seen[0].contains(client), "{why}: {seen:?}");
            }
        }
    }
}

#[tokio::test]
async fn scheme_and_host_are_continued_from_a_trusted_proxy() {
    let gate = TRUSTING.gate().await;
    let echo = gate.visitor().get_with("/public/", "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: www.example.org\r\n").await.is_forwarded();
    assert_eq!(echo.folded("x-forwarded-proto"), ["https"]);
    assert_eq!(echo.folded("x-forwarded-host"), ["www.example.org"]);
}

#[tokio::test]
async fn networks_in_a_rule_judge_the_true_client() {
    let text = town_and(
        "[server]\ntrusted_proxies = [\"127.0.0.1\"]\n[paths]\n\"/office/\" = { login_required = true, networks = [\"203.0.113.0/24\"] }",
    );
    let gate = Gate::start(&text).await;
    let ada = gate.sign_in("ada").await;
    ada.get_with("/office/", "X-Forwarded-For: 203.0.113.9\r\n").await.is_forwarded_as("ada");
    ada.get_with("/office/", "X-Forwarded-For: 203.0.113.9, 198.51.100.1\r\n")
        .await
        .is_refused_with(403);
    ada.get("/office/").await.is_refused_with(403);
}
