//! Several host names, each with its own application and rules.

use crate::support::{gate::Gate, recorder::Recorder};

struct Sites {
    gate: Gate,
    wiki: Recorder,
    any: Recorder,
}

async fn sites(top: &str) -> Sites {
    let (wiki, any) = (Recorder::start(), Recorder::start());
    let text = format!(
        r#"
        {top}
        [sites."wiki.example.org"]
        upstream = "{}"
        [sites."wiki.example.org".paths]
        "/" = {{ login_required = false }}
        "/edit/" = {{ login_required = true }}
        [sites."*.example.org"]
        upstream = "{}"
        [sites."*.example.org".paths]
        "/" = {{ login_required = true }}
        "/open/" = {{ login_required = false }}
        "#,
        wiki.url(),
        any.url()
    );
    Sites { gate: Gate::start(&text).await, wiki, any }
}

#[tokio::test]
async fn host_chooses_application_and_rules() {
    let sites = sites("upstream = \"{upstream}\"").await;
    let visitor = sites.gate.visitor();
    visitor.at("wiki.example.org").get("/page").await.is_forwarded_anonymously();
    visitor.at("wiki.example.org").get("/edit/").await.asks_to_log_in("/edit/");
    visitor.at("blog.example.org").get("/open/").await.is_forwarded_anonymously();
    visitor.at("blog.example.org").get("/page").await.asks_to_log_in("/page");
    visitor.at("elsewhere.example").get("/page").await.asks_to_log_in("/page");
    assert_eq!((sites.wiki.count(), sites.any.count(), sites.gate.upstream.count()), (1, 1, 0));
}

#[tokio::test]
async fn host_is_compared_without_case_port_and_final_dot() {
    let sites = sites("").await;
    for host in
        ["WIKI.EXAMPLE.ORG", "Wiki.Example.Org:8000", "wiki.example.org.", "wiki.example.org:80"]
    {
        let visitor = sites.gate.visitor().at(host);
        let answer = visitor.get("/edit/").await;
        assert!(matches!(answer.status, 302 | 303 | 400 | 421), "{host}: {answer:?}");
        let answer = visitor.get("/page").await;
        assert!(
            answer.came_from_upstream() || matches!(answer.status, 400 | 421),
            "{host}: {answer:?}"
        );
    }
    assert_eq!(sites.any.count(), 0, "the wildcard's rules never judge the named site");
}

#[tokio::test]
async fn unknown_site_is_421() {
    let sites = sites("").await;
    for host in [
        "elsewhere.example",
        "example.org",
        "wiki.example.org.evil.example",
        "127.0.0.1",
        "localhost",
        "xexample.org",
    ] {
        let visitor = sites.gate.visitor().at(host);
        visitor.get("/").await.is_refused_with(421);
        visitor.get("/open/").await.is_refused_with(421);
    }
    assert_eq!(sites.wiki.count() + sites.any.count(), 0);
}

#[tokio::test]
async fn absolute_target_and_host_cannot_disagree_to_advantage() {
    let sites = sites("").await;
    let bytes = "GET http://wiki.example.org/open/x HTTP/1.1\r\nHost: blog.example.org\r\nConnection: close\r\n\r\n";
    drop(sites.gate.hears(bytes).await);
    let bytes = "GET http://wiki.example.org/secret HTTP/1.1\r\nHost: blog.example.org\r\nConnection: close\r\n\r\n";
    drop(sites.gate.hears(bytes).await);
    // Whichever name counts, rules, application and the Host that it sees are of the same site.
    assert!(sites.any.requests_for("/secret").is_empty(), "the rules of one site opened another");
    for request in sites.wiki.requests() {
        assert!(
            request
                .headers
                .iter()
                .any(|(name, value)| name.eq_ignore_ascii_case("host")
                    && value == "wiki.example.org"),
            "{request:?}"
        );
    }
}
