//! Resetting a password by mail: the same answer for everybody, links that only the configuration can make, tokens that are good once.

use std::time::{Duration, Instant};

use crate::support::{
    answer::Answer,
    config::town_and,
    eventually,
    gate::Gate,
    people::PASSWORD,
    visitor::{Visitor, form_token},
};

const SITE: &str = "http://gate.example";

const NEW: &str = "granite-lantern-2038";

fn with_mail(more: &str) -> String {
    town_and(&format!(
        "[server]\npublic_url = \"{SITE}\"\n[mail]\nsmtp = \"file:out\"\nfrom = \"Town <town@example.org>\"\n{more}"
    ))
}

impl Visitor {
    /// Fetches a page with a form and sends it in; gives the answer and keeps its cookies.
    async fn fills_in(&mut self, page: &str, fields: &[(&str, &str)]) -> Answer {
        let form = self.get(page).await;
        assert_eq!(form.status, 200, "{page}: {form:?}");
        self.keeps(&form);
        let token = form_token(&form.text());
        let all: Vec<_> =
            [("csrfmiddlewaretoken", token.as_str())].iter().chain(fields).copied().collect();
        let answer = self.posts(page, &all).await;
        self.keeps(&answer);
        answer
    }

    async fn forgets_the_password(&mut self, email: &str) -> Answer {
        self.fills_in("/accounts/password_reset/", &[("email", email)]).await
    }

    /// Opens a link from a letter, and follows it to the page without the token.
    async fn opens(&mut self, path: &str) -> (String, Answer) {
        let answer = self.get(path).await;
        self.keeps(&answer);
        let Some(location) = answer.header("location").map(str::to_owned) else {
            return (path.to_owned(), answer);
        };
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        let page = self.get(&location).await;
        (location, page)
    }
}

fn is_spent(page: &Answer) -> bool {
    page.text().contains("The password reset link was invalid, possibly because it has already")
}

#[tokio::test]
async fn letter_leads_to_a_new_password_once() {
    let gate = Gate::start(&with_mail("")).await;
    let signed_in = gate.sign_in("ada").await;
    let mut ada = gate.visitor();
    let answer = ada.forgets_the_password("Ada@Example.ORG").await;
    assert_eq!(answer.header("location"), Some("/accounts/password_reset/done/"), "{answer:?}");
    let letter = gate.gets_letters(1).await.remove(0);
    assert_eq!(letter.to, "ada@example.org");
    assert_eq!(letter.subject, "Password reset on gate.example");
    assert!(letter.text.contains("you are: ada\n"), "{letter:?}");
    let path = letter.path(SITE);
    assert!(path.starts_with("/accounts/reset/"), "{path}");

    let (page, form) = ada.opens(&path).await;
    assert!(page.ends_with("/set-password/"), "{page}");
    assert!(form.text().contains("Enter new password"), "{form:?}");
    assert!(!form.text().contains(path.split('/').nth(4).unwrap()), "the token is in the page");
    let both = |first, second| [("new_password1", first), ("new_password2", second)];
    let again = ada.fills_in(&page, &both(NEW, "other")).await;
    assert!(again.text().contains("The two password fields didn’t match."), "{again:?}");
    let again = ada.fills_in(&page, &both("short", "short")).await;
    assert!(
        again.status == 200 && again.text().contains("This password is too short"),
        "{again:?}"
    );
    let done = ada.fills_in(&page, &both(NEW, NEW)).await;
    assert_eq!(done.header("location"), Some("/accounts/reset/done/"), "{done:?}");
    assert_eq!(ada.cookie("linktoken"), None);

    signed_in.get("/private/").await.asks_to_log_in("/private/");
    assert!(is_spent(&gate.visitor().opens(&path).await.1));
    gate.visitor().logs_in("ada", NEW).await;
    let refused = gate.visitor().tries_to_log_in("ada", PASSWORD, "/private/").await;
    assert_eq!(refused.status, 200);
    let notice = gate.gets_letters(2).await.remove(1);
    assert_eq!(notice.subject, "Your password on gate.example was changed");
}

#[tokio::test]
async fn of_two_who_send_the_same_link_at_once_one_sets_the_password() {
    let gate = Gate::start(&with_mail("")).await;
    gate.visitor().forgets_the_password("ada@example.org").await;
    let path = gate.gets_letters(1).await.remove(0).path(SITE);
    let mut ada = gate.visitor();
    let (page, form) = ada.opens(&path).await;
    ada.keeps(&form);
    let token = form_token(&form.text());
    let fields = |password| {
        [
            ("csrfmiddlewaretoken", token.as_str()),
            ("new_password1", password),
            ("new_password2", password),
        ]
    };
    let (one, other) = (fields(NEW), fields("another-granite-99"));
    let (one, other) = tokio::join!(ada.posts(&page, &one), ada.posts(&page, &other));
    let done = [&one, &other].map(|answer| answer.status == 302);
    assert_ne!(done[0], done[1], "{one:?} {other:?}");
    assert!(is_spent(if done[0] { &other } else { &one }));
    gate.visitor().logs_in("ada", if done[0] { NEW } else { "another-granite-99" }).await;
}

#[tokio::test]
async fn nothing_tells_whether_there_is_an_account() {
    let gate = Gate::start(&with_mail("")).await;
    gate.run(&["user", "set", "ivy", "email=ivy@example.org"]);
    gate.run(&["user", "set", "bob", "email=mike@example.org"]);
    let addresses =
        ["ada@example.org", "nobody@example.org", "ivy@example.org", "mıke@example.org"];
    let look = |answer: &Answer| {
        let headers = answer.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("date"));
        (answer.status, headers.cloned().collect::<Vec<_>>(), answer.body.clone())
    };
    let mut quickest = addresses.map(|address| (address, Duration::MAX));
    let mut looks = Vec::new();
    for round in 0..40 {
        for (address, least) in &mut quickest {
            let mut visitor = gate.visitor();
            let form = visitor.get("/accounts/password_reset/").await;
            visitor.keeps(&form);
            let token = form_token(&form.text());
            let fields = [("csrfmiddlewaretoken", token.as_str()), ("email", *address)];
            let start = Instant::now();
            let answer = visitor.posts("/accounts/password_reset/", &fields).await;
            *least = start.elapsed().min(*least);
            looks.push(look(&answer));
        }
        let times = quickest.iter().map(|row| row.1);
        let (most, least) = (times.clone().max().unwrap(), times.min().unwrap());
        // What the system itself is late by is no sign.
        if round >= 4 && most < least * 2 + Duration::from_millis(1) {
            break;
        }
        assert!(round < 39, "the time of an answer tells who exists: {quickest:?}");
    }
    assert!(looks.iter().all(|look| *look == looks[0]), "{:?}", looks[0]);
    // Of all who were asked for one gets letters, and not without end.
    eventually("the letters are written", || gate.letters().len() >= 3).await;
    let letters = gate.letters();
    assert!(letters.iter().all(|letter| letter.to == "ada@example.org"), "{letters:?}");
    assert_eq!(letters.len(), 3);
}

#[tokio::test]
async fn links_have_their_host_from_the_configuration() {
    let gate = Gate::start(&with_mail("")).await;
    let mut evil = gate.visitor().at("evil.example");
    let answer = evil.forgets_the_password("ada@example.org").await;
    assert_eq!(answer.status, 302, "{answer:?}");
    let page = gate.visitor().get("/accounts/password_reset/").await;
    let mut forwarded = gate.visitor();
    forwarded.keeps(&page);
    let token = form_token(&page.text());
    let fields = [("csrfmiddlewaretoken", token.as_str()), ("email", "ada@example.org")];
    let lines = format!(
        "Origin: http://{}\r\nX-Forwarded-Host: evil.example\r\nForwarded: host=evil.example\r\n",
        gate.address
    );
    forwarded.posts_with("/accounts/password_reset/", &fields, &lines).await;
    for letter in gate.gets_letters(2).await {
        assert!(letter.link().starts_with(&format!("{SITE}/accounts/reset/")), "{letter:?}");
        assert!(!letter.text.contains("evil") && !letter.head.contains("evil"), "{letter:?}");
    }
    let stranger = gate.visitor().at("localhost:x@evil.example");
    stranger.get("/accounts/password_reset/").await.is_refused_with(400);
}

#[tokio::test]
async fn what_is_no_address_adds_no_recipient() {
    let gate = Gate::start(&with_mail("")).await;
    for address in [
        "ada@example.org\r\nBcc: eve@example.org",
        "ada@example.org,eve@example.org",
        "ada@example.org eve@example.org",
        "\"ada\r\nX: y\"@example.org",
        "ada",
    ] {
        let answer = gate.visitor().forgets_the_password(address).await;
        assert!(answer.status == 200 && answer.text().contains("Enter a valid email address."));
    }
    let answer = gate.visitor().forgets_the_password("").await;
    assert!(answer.text().contains("This field is required."), "{answer:?}");
    assert!(gate.letters().is_empty());
}

#[tokio::test]
async fn link_is_bad_when_it_was_tampered_with_or_the_account_has_changed() {
    let gate = Gate::start(&with_mail("")).await;
    gate.run(&["user", "set", "bob", "email=bob@example.org"]);
    gate.visitor().forgets_the_password("ada@example.org").await;
    let path = gate.gets_letters(1).await.remove(0).path(SITE);
    let parts: Vec<&str> = path.split('/').collect();
    let (uid, token) = (parts[3], parts[4]);
    let (made, mac) = token.split_once('-').unwrap();
    let other = if mac.starts_with('0') { "1" } else { "0" };
    for bad in [
        format!("{uid}/{made}-{other}{}/", &mac[1..]),
        format!("{uid}/{made}-{}/", &mac[1..]),
        format!("{uid}/{made}-/"),
        format!("{uid}/1{made}-{mac}/"),
        format!("MTI/{token}/"),
        format!("{}/{token}/", uid.to_lowercase()),
        format!("{uid}%3D/{token}/"),
        format!("{uid}/{token}/x/"),
        format!("{uid}/set-password/"),
        "set-password/".to_owned(),
    ] {
        let (_, page) = gate.visitor().opens(&format!("/accounts/reset/{bad}")).await;
        // The lower case of a number is the number itself in some cases.
        if bad != format!("{uid}/{token}/") {
            assert!(is_spent(&page), "{bad}: {page:?}");
        }
    }
    // Somebody else's form with this token, and this form with somebody else's cookie.
    let mut visitor = gate.visitor();
    let (page, _) = visitor.opens(&path).await;
    visitor.set_cookie("linktoken", "x-0");
    assert!(is_spent(&visitor.get(&page).await));

    assert!(!is_spent(&gate.visitor().opens(&path).await.1), "it was good until now");
    gate.sign_in("ada").await;
    eventually_spent(&gate, &path).await;
}

async fn eventually_spent(gate: &Gate, path: &str) {
    let started = Instant::now();
    while !is_spent(&gate.visitor().opens(path).await.1) {
        assert!(started.elapsed().as_secs() < 20, "the link is good for ever");
    }
}

#[tokio::test]
async fn link_is_good_for_some_time_only() {
    let gate = Gate::start(&with_mail("[accounts]\npassword_reset_timeout = \"1s\"")).await;
    gate.visitor().forgets_the_password("ada@example.org").await;
    let path = gate.gets_letters(1).await.remove(0).path(SITE);
    eventually_spent(&gate, &path).await;
}

#[tokio::test]
async fn asking_too_often_has_to_wait() {
    let gate = Gate::start(&with_mail("[lockout]\nenabled = true")).await;
    let mut last = None;
    for index in 0..21 {
        let address = format!("nobody-{index}@example.org");
        last = Some(gate.visitor().forgets_the_password(&address).await);
    }
    let last = last.unwrap();
    assert_eq!(last.status, 429);
    assert!(last.header("retry-after").is_some(), "{last:?}");
}

#[tokio::test]
async fn without_mail_the_page_says_whom_to_ask() {
    let gate = Gate::start(&town_and("")).await;
    let page = gate.visitor().get("/accounts/password_reset/").await;
    assert!(page.text().contains("ask the person who runs it"), "{page:?}");
    assert!(!gate.visitor().get("/accounts/login/").await.text().contains("password_reset"));
}

#[tokio::test]
async fn address_is_changed_with_the_password_and_a_link_and_the_old_one_is_told() {
    let gate = Gate::start(&with_mail("")).await;
    let mut ada = gate.sign_in("ada").await;
    gate.visitor().get("/accounts/email_change/").await.asks_to_log_in("/accounts/email_change/");
    let fields = |password| [("new_email", "lovelace@example.com"), ("password", password)];
    let refused = ada.fills_in("/accounts/email_change/", &fields("wrong")).await;
    assert!(refused.text().contains("Your password was entered incorrectly."), "{refused:?}");
    let asked = ada.fills_in("/accounts/email_change/", &fields(PASSWORD)).await;
    assert_eq!(asked.header("location"), Some("/accounts/email_change/done/"), "{asked:?}");
    let letter = gate.gets_letters(1).await.remove(0);
    assert_eq!(letter.to, "lovelace@example.com");
    let path = letter.path(SITE);

    // Opening it changes nothing, in whatever browser.
    let mut elsewhere = gate.visitor();
    let (page, form) = elsewhere.opens(&path).await;
    assert!(form.text().contains("lovelace@example.com"), "{form:?}");
    assert!(gate.run(&["user", "show", "ada"]).contains("ada@example.org"));
    let done = elsewhere.fills_in(&page, &[]).await;
    assert_eq!(done.header("location"), Some("/accounts/email_change/complete/"), "{done:?}");
    assert!(gate.run(&["user", "show", "ada"]).contains("lovelace@example.com"));
    let notice = gate.gets_letters(2).await.remove(1);
    assert_eq!(notice.to, "ada@example.org");
    assert!(notice.text.contains("was changed to lovelace@example.com."), "{notice:?}");
    let (_, again) = gate.visitor().opens(&path).await;
    assert!(again.text().contains("The link was invalid"), "{again:?}");
}
