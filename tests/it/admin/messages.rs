//! Messages that staff send to users and groups, and see waiting.

use super::{follows, gate, page_of, says, sends, sends_to};
use crate::support::{gate::Gate, visitor::form_token};

const PAGE: &str = "/accounts/admin/messages/";

/// Whether somebody is told `text` at the profile page now.
async fn is_told(gate: &Gate, name: &str, text: &str) -> bool {
    let page = gate.sign_in(name).await.get("/accounts/profile/").await;
    assert_eq!(page.status, 200, "{page:?}");
    page.text().contains(text)
}

#[tokio::test]
async fn messages_reach_a_user_and_every_member_of_a_group_once() {
    let gate = gate(&["vestibule.add_message"]).await;
    let mut stella = gate.sign_in("stella").await;
    // Which groups there are is for those to know who may see users.
    let page = stella.get(PAGE).await;
    assert!(!page.text().contains("Site editors"), "{}", page.text());

    let fields = [("user", " bob "), ("text", "Meet <Ada> at noon"), ("level", "warning")];
    let answer = sends(&mut stella, PAGE, &fields).await;
    says(&follows(&stella, &answer).await, "A message was sent to “bob”.");
    let waiting = stella.get(&format!("{PAGE}?of=bob")).await;
    says(says(&waiting, "Meet &lt;Ada&gt; at noon"), ">Warning<");
    // To look does not take it away.
    says(&stella.get(&format!("{PAGE}?of=bob")).await, "at noon");
    assert!(is_told(&gate, "bob", "<p class=\"note warning\"").await);
    assert!(!is_told(&gate, "bob", "at noon").await, "it is shown once");
    says(&stella.get(&format!("{PAGE}?of=bob")).await, "No message waits for “bob”.");
    says(&stella.get(&format!("{PAGE}?of=nobody")).await, "There is no user “nobody”.");

    let answer =
        sends(&mut stella, PAGE, &[("group", "Site editors"), ("text", "All hands")]).await;
    says(&follows(&stella, &answer).await, "A message was sent to the group “Site editors”.");
    for (name, is_member) in [("ada", true), ("carl", true), ("bob", false)] {
        assert_eq!(is_told(&gate, name, "All hands").await, is_member, "{name}");
    }
}

#[tokio::test]
async fn message_is_sent_from_the_pages_of_a_user_and_a_group() {
    let gate = gate(&["vestibule.add_message", "auth.view_user", "auth.view_group"]).await;
    let mut stella = gate.sign_in("stella").await;
    // Also to somebody who holds more: to tell is not to change.
    let root = page_of(&gate, "root");
    let id = root.rsplit('/').nth(1).unwrap();
    says(&stella.get(&root).await, "No message waits.");
    let fields = [("user", "root"), ("back", id), ("text", "Tea?"), ("level", "success")];
    let answer = sends_to(&mut stella, &root, PAGE, &fields).await;
    assert_eq!(answer.header("location"), Some(&*root), "{answer:?}");
    let page = follows(&stella, &answer).await;
    says(says(&page, "A message was sent to “root”."), ">Success<");
    assert!(is_told(&gate, "root", "Tea?").await);

    let list = stella.get("/accounts/admin/groups/").await.text();
    let group = list
        .split("href=\"")
        .find_map(|rest| rest.split_once("\">Site editors</a>").map(|(url, _)| url.to_owned()))
        .unwrap();
    let page = stella.get(&group).await;
    let link = format!("{PAGE}?group=Site+editors");
    says(&page, &format!("href=\"{link}\""));
    let form = stella.get(&link).await;
    says(&form, "<option value=\"Site editors\" selected>");
}

#[tokio::test]
async fn message_that_cannot_be_sent_is_kept_in_the_form() {
    let gate = gate(&["vestibule.add_message"]).await;
    let mut stella = gate.sign_in("stella").await;
    let long = "ä".repeat(501);
    for (status, wrong, fields) in [
        (200, "Say to which user or group", [("user", ""), ("text", "Hello"), ("level", "info")]),
        (200, "message is empty", [("user", "bob"), ("text", "  "), ("level", "info")]),
        (200, "has 501 characters", [("user", "bob"), ("text", &*long), ("level", "info")]),
        (200, "control character", [("user", "bob"), ("text", "a\nb"), ("level", "info")]),
        (200, "Loud is not a level", [("user", "bob"), ("text", "Hello"), ("level", "loud")]),
        (200, "not to both", [("user", "bob"), ("text", "Hello"), ("group", "Site editors")]),
        (404, "no user bobb", [("user", "bobb"), ("text", "Hello"), ("level", "info")]),
        (404, "no group Sites", [("group", "Sites"), ("text", "Hello"), ("level", "info")]),
    ] {
        let answer = sends(&mut stella, PAGE, &fields).await;
        let text = answer.text();
        assert_eq!(answer.status, status, "{wrong}: {text}");
        let alert = text.split("role=\"alert\">").nth(1).and_then(|it| it.split('<').next());
        let alert = alert.unwrap_or_else(|| panic!("{text}")).to_lowercase();
        assert!(alert.contains(&wrong.to_lowercase()), "`{wrong}` is not in `{alert}`");
        if fields[1].1 == "Hello" {
            assert!(text.contains("value=\"Hello\""), "{wrong}: {text}");
        }
    }
    for name in ["bob", "ada"] {
        assert_eq!(gate.run(&["message", "list", "--user", name, "--json"]).trim(), "[]");
    }
}

#[tokio::test]
async fn sending_takes_the_permission_and_the_token() {
    let gate = gate(&["auth.change_user", "auth.view_user"]).await;
    let mut stella = gate.sign_in("stella").await;
    gate.run(&["message", "send", "--user", "bob", "for bob alone"]);
    let page = stella.get(&page_of(&gate, "bob")).await;
    stella.keeps(&page);
    assert!(!page.text().contains("for bob alone"), "{}", page.text());
    stella.get(&format!("{PAGE}?of=bob")).await.is_refused_with(403);
    let token = form_token(&page.text());
    let fields = |token| [("csrfmiddlewaretoken", token), ("user", "bob"), ("text", "forged")];
    stella.posts(PAGE, &fields(&*token)).await.is_refused_with(403);
    gate.run(&["permission", "grant", "vestibule.add_message", "--user", "stella"]);
    for forged in ["", "x"] {
        stella.posts(PAGE, &fields(forged)).await.is_refused_with(403);
    }
    let from = "Origin: http://evil.example\r\n";
    stella.posts_with(PAGE, &fields(&*token), from).await.is_refused_with(403);
    assert!(!gate.run(&["message", "list", "--user", "bob"]).contains("forged"));
    says(&stella.get(&page_of(&gate, "bob")).await, "for bob alone");
}
