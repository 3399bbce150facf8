//! Somebody with a browser: keeps cookies, navigates, fills in forms.

use std::{net::SocketAddr, time::Instant};

use sha2::{Digest as _, Sha256};

use super::{
    DEADLINE,
    answer::Answer,
    wire::{Conversation, Wire},
};

#[derive(Clone)]
pub(crate) struct Visitor {
    address: SocketAddr,
    host: String,
    cookies: Vec<(String, String)>,
}

impl Visitor {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, host: address.to_string(), cookies: Vec::new() }
    }

    /// The same person at another host name.
    pub(crate) fn at(&self, host: &str) -> Self {
        Self { host: host.to_owned(), ..self.clone() }
    }

    /// The same browser at another address: of a gateway that was started again, or of another
    /// one with a balancer in front of both.
    pub(crate) fn through(&self, address: SocketAddr) -> Self {
        Self { address, host: address.to_string(), ..self.clone() }
    }

    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn session(&self) -> String {
        self.cookie("sessionid").unwrap_or_else(|| panic!("no session")).to_owned()
    }

    /// What lists and logs call the session.
    pub(crate) fn key(&self) -> String {
        let digest = Sha256::digest(self.session());
        digest[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(crate) fn set_cookie(&mut self, name: &str, value: &str) {
        self.cookies.retain(|(known, _)| known != name);
        self.cookies.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn cookie_line(&self) -> String {
        if self.cookies.is_empty() {
            return String::new();
        }
        let pairs: Vec<_> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("Cookie: {}\r\n", pairs.join("; "))
    }

    /// Navigates, as by a click.
    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.sends("GET", target, "Accept: text/html\r\nSec-Fetch-Mode: navigate\r\n", b"").await
    }

    /// Asks as a script does.
    pub(crate) async fn fetch(&self, target: &str) -> Answer {
        self.sends("GET", target, "Accept: application/json\r\n", b"").await
    }

    pub(crate) async fn get_with(&self, target: &str, lines: &str) -> Answer {
        self.sends("GET", target, &format!("Accept: text/html\r\n{lines}"), b"").await
    }

    /// Sends a form, as a browser does: with the origin of the page it stood on.
    pub(crate) async fn posts(&self, target: &str, fields: &[(&str, &str)]) -> Answer {
        let origin = format!("Origin: http://{}\r\n", self.host);
        self.posts_with(target, fields, &origin).await
    }

    pub(crate) async fn posts_with(
        &self,
        target: &str,
        fields: &[(&str, &str)],
        lines: &str,
    ) -> Answer {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let lines = format!(
            "Accept: text/html\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n{lines}",
            body.len()
        );
        self.sends("POST", target, &lines, body.as_bytes()).await
    }

    /// One request on a connection of its own.
    pub(crate) async fn sends(
        &self,
        method: &str,
        target: &str,
        lines: &str,
        body: &[u8],
    ) -> Answer {
        let mut bytes = format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\n{}{lines}Connection: close\r\n\r\n",
            self.host,
            self.cookie_line()
        )
        .into_bytes();
        bytes.extend_from_slice(body);
        if method == "HEAD" {
            let mut wire = Wire::connect(self.address).await;
            wire.send(bytes).await;
            return wire.answer_to("HEAD").await;
        }
        Conversation::hold(self.address, bytes).await.only()
    }

    /// A request on a connection that stays open.
    pub(crate) async fn asks_on(&self, wire: &mut Wire, target: &str) -> Answer {
        wire.send(format!(
            "GET {target} HTTP/1.1\r\nHost: {}\r\nAccept: text/html\r\n{}\r\n",
            self.host,
            self.cookie_line()
        ))
        .await;
        wire.answer().await
    }

    /// Asks on a connection that stays open, unless the right to what is asked for ends meanwhile: then the answer may be cut.
    pub(crate) async fn tries_on(&self, wire: &mut Wire, target: &str) -> Option<Answer> {
        wire.send(format!(
            "GET {target} HTTP/1.1\r\nHost: {}\r\nAccept: text/html\r\n{}\r\n",
            self.host,
            self.cookie_line()
        ))
        .await;
        let answer = wire.try_answer("GET").await.ok().flatten();
        if answer.is_none() {
            *wire = Wire::connect(self.address).await;
        }
        answer
    }

    /// Asks until the session is out, and the answer is what strangers get; nothing else comes in between but what was asked for.
    pub(crate) async fn comes_to_be_out(&self) {
        let (mut wire, started) = (Wire::connect(self.address).await, Instant::now());
        loop {
            match self.tries_on(&mut wire, "/private/").await {
                Some(answer) if !answer.came_from_upstream() => {
                    answer.asks_to_log_in("/private/");
                    break;
                }
                Some(_) | None => assert!(started.elapsed() < DEADLINE, "the session lives on"),
            }
        }
        self.get("/private/").await.asks_to_log_in("/private/");
    }

    /// Keeps the cookies of an answer, and drops those it takes back.
    pub(crate) fn keeps(&mut self, answer: &Answer) {
        for line in answer.all("set-cookie") {
            let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let attributes = attributes.to_ascii_lowercase();
            if value.is_empty() || attributes.contains("max-age=0") || attributes.contains("1970") {
                self.cookies.retain(|(known, _)| known != name);
            } else {
                self.set_cookie(name, value);
            }
        }
    }

    /// Fetches the login page and sends it in, with the way back; gives the answer and keeps its cookies.
    pub(crate) async fn tries_to_log_in(
        &mut self,
        name: &str,
        password: &str,
        next: &str,
    ) -> Answer {
        let page = self.get("/accounts/login/").await;
        assert_eq!(page.status, 200, "the login page: {page:?}");
        self.keeps(&page);
        let token = form_token(&page.text());
        let answer = self
            .posts(
                "/accounts/login/",
                &[
                    ("csrfmiddlewaretoken", &token),
                    ("username", name),
                    ("password", password),
                    ("next", next),
                ],
            )
            .await;
        self.keeps(&answer);
        answer
    }

    pub(crate) async fn logs_in(&mut self, name: &str, password: &str) {
        let answer = self.tries_to_log_in(name, password, "/private/").await;
        assert!(matches!(answer.status, 302 | 303), "`{name}` could not log in: {answer:?}");
        assert_eq!(answer.header("location"), Some("/private/"), "{answer:?}");
        assert!(self.cookie("sessionid").is_some(), "a login sets a session cookie: {answer:?}");
    }

    /// Confirms the logout page; the browser forgets what it is told to forget.
    pub(crate) async fn logs_out(&mut self) -> Answer {
        let page = self.get("/accounts/logout/").await;
        assert_eq!(page.status, 200, "the logout page: {page:?}");
        self.keeps(&page);
        let token = form_token(&page.text());
        let answer = self.posts("/accounts/logout/", &[("csrfmiddlewaretoken", &token)]).await;
        assert!(matches!(answer.status, 200 | 302 | 303), "could not log out: {answer:?}");
        self.keeps(&answer);
        answer
    }
}

/// The hidden field that every form carries.
pub(crate) fn form_token(page: &str) -> String {
    let tag = page
        .split('<')
        .find(|tag| tag.starts_with("input") && tag.contains("csrfmiddlewaretoken"))
        .unwrap_or_else(|| panic!("no form token in the page:\n{page}"));
    let value =
        tag.split_once("value=").unwrap_or_else(|| panic!("a form token without a value: {tag}")).1;
    let quote = value.chars().next().filter(|quote| ['"', '\''].contains(quote));
    match quote {
        Some(quote) => value[1..].split(quote).next().unwrap_or("").to_owned(),
        None => value.split([' ', '>', '/']).next().unwrap_or("").to_owned(),
    }
}
