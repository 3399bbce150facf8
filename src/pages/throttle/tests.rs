use super::*;
use crate::domain::{User, UserId};
use crate::pages::known_browser::KnownBrowsers;

const NOON: Timestamp = Timestamp::from_seconds(1_000_000);
const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

const LOCKOUT: Lockout = Lockout {
    enabled: true,
    failures: 5,
    window: Duration::from_secs(900),
    delay: Duration::from_secs(30),
};

fn throttle() -> Throttle {
    Throttle::new(&[7; 32])
}

fn after(seconds: u64) -> Timestamp {
    NOON.after(Duration::from_secs(seconds))
}

fn elsewhere(number: u32) -> IpAddr {
    IpAddr::V4(std::net::Ipv4Addr::from_bits(0x0a00_0000 + number))
}

fn whose(username: &str) -> Whose {
    Whose { id: UserId(1), username: username.to_owned() }
}

fn ada() -> User {
    User {
        id: UserId(1),
        username: "ada".to_owned(),
        first_name: String::new(),
        last_name: String::new(),
        email: String::new(),
        password: crate::domain::PasswordHash::from_encoded("argon2$x"),
        is_staff: false,
        is_active: true,
        is_superuser: false,
        last_login: None,
        date_joined: NOON,
        groups: Vec::new(),
        permissions: std::collections::BTreeSet::new(),
        group_permissions: std::collections::BTreeSet::new(),
        profile: std::collections::BTreeMap::new(),
        has_messages: false,
    }
}

/// Where ada has logged in before; each `nonce` is another browser.
fn her_browser(nonce: u8) -> KnownBrowser {
    let browsers = KnownBrowsers::new(&[7; 32]);
    let ada = ada();
    let session = crate::sessions::Settings::default().cookie;
    let place = ("/accounts/", &session, false);
    let cookie = browsers.cookie(&ada, &[], [nonce; 16], NOON, place);
    let pair = cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
    let mut headers = http::HeaderMap::new();
    headers.insert("cookie", http::HeaderValue::try_from(pair).unwrap());
    browsers.confirm(&browsers.entries(&headers, NOON)[0], &ada).unwrap()
}

fn caller(account: &str, address: IpAddr) -> Caller<'_> {
    Caller { account, address, browser: None }
}

/// What keeps an attempt of `caller` from being made, which fails if nothing does: for how many
/// seconds, or none for a turn.
fn fail_as(throttle: &Throttle, caller: Caller<'_>, now: Timestamp) -> Option<Option<u64>> {
    match throttle.begin(&LOCKOUT, caller, now) {
        Ok(attempt) => {
            attempt.failed((caller.account == "ada").then(|| whose("ada")));
            None
        }
        Err(refused) => Some(refused.map(|refused| refused.wait.as_secs())),
    }
}

fn fail(
    throttle: &Throttle,
    account: &str,
    address: IpAddr,
    now: Timestamp,
) -> Option<Option<u64>> {
    fail_as(throttle, caller(account, address), now)
}

const TURN: Option<Option<u64>> = Some(None);

fn wait(seconds: u64) -> Option<Option<u64>> {
    Some(Some(seconds))
}

#[test]
fn the_delay_begins_after_the_free_failures_and_doubles_up_to_the_window() {
    let throttle = throttle();
    for _ in 0..5 {
        assert_eq!(fail(&throttle, "ada", HOME, NOON), None);
    }
    let mut now = NOON;
    for delay in [30, 60, 120, 240, 480, 900, 900] {
        assert_eq!(fail(&throttle, "ada", HOME, now), wait(delay));
        now = now.after(Duration::from_secs(delay));
        assert_eq!(fail(&throttle, "ada", HOME, now), None, "after {delay}");
    }
}

#[test]
fn a_refused_attempt_does_not_prolong_the_delay() {
    let throttle = throttle();
    (0..5).for_each(|_| assert!(fail(&throttle, "ada", HOME, NOON).is_none()));
    (0..50).for_each(|_| assert_eq!(fail(&throttle, "ada", HOME, after(10)), wait(20)));
    assert!(throttle.begin(&LOCKOUT, caller("ada", HOME), after(30)).is_ok());
}

#[test]
fn failures_are_forgotten_after_the_window_and_those_of_an_account_after_a_day() {
    let throttle = throttle();
    (0..5).for_each(|_| assert!(fail(&throttle, "ada", HOME, NOON).is_none()));
    (0..5).for_each(|_| assert!(fail(&throttle, "ada", HOME, after(30 + 900)).is_none()));
    throttle.sweep(after(30 + 900));
    assert_eq!(throttle.records().len(), 3);
    throttle.sweep(after(5000));
    let only_the_account = |(subject, _): (&Subject, _)| matches!(subject, Subject::Account(_));
    assert!(throttle.records().iter().all(only_the_account));
    assert_eq!(throttle.records().len(), 1);
    throttle.sweep(after(930 + 24 * 60 * 60));
    assert!(throttle.records().is_empty());
}

#[test]
fn a_success_clears_the_pair_and_not_the_address() {
    let throttle = throttle();
    for round in 0..4 {
        for _ in 0..4 {
            assert_eq!(fail(&throttle, "ada", HOME, NOON), None, "round {round}");
        }
        let attempt = throttle.begin(&LOCKOUT, caller("ada", HOME), NOON);
        attempt.map(Attempt::succeeded).ok().unwrap();
    }
    (16..20).for_each(|_| assert!(fail(&throttle, "bob", HOME, NOON).is_none()));
    assert_eq!(fail(&throttle, "carol", HOME, NOON), wait(30));
    assert_eq!(fail(&throttle, "carol", elsewhere(1), NOON), None);
}

#[test]
fn strangers_from_many_addresses_come_to_wait_and_the_owner_does_not() {
    let throttle = throttle();
    for number in 0..100 {
        assert_eq!(fail(&throttle, "ada", elsewhere(number), NOON), None);
    }
    assert_eq!(fail(&throttle, "ada", elsewhere(1000), NOON), wait(30));
    let mut now = NOON;
    for number in 1000..1900 {
        // Each comes from an address of its own, as soon as one may come.
        now = now.after(Duration::from_secs(900));
        fail(&throttle, "ada", elsewhere(number), now);
    }
    assert_eq!(fail(&throttle, "ada", HOME, now), wait(900), "a browser that nobody knows");
    let known = Caller { browser: Some(her_browser(1)), ..caller("ada", HOME) };
    assert!(throttle.begin(&LOCKOUT, known, now).is_ok());
    assert_eq!(fail(&throttle, "bob", HOME, now), None, "others are let alone");
}

#[test]
fn a_known_browser_has_a_counter_of_its_own() {
    let throttle = throttle();
    let known = |nonce| Caller { browser: Some(her_browser(nonce)), ..caller("ada", HOME) };
    // Whoever has failed from the very address, for this account and for others, is not counted.
    (0..5).for_each(|_| assert!(fail(&throttle, "ada", HOME, NOON).is_none()));
    for number in 0..15 {
        assert_eq!(fail(&throttle, &number.to_string(), HOME, NOON), None);
    }
    assert_eq!(fail(&throttle, "bob", HOME, NOON), wait(30), "the address has failed too often");
    for _ in 0..5 {
        assert_eq!(fail_as(&throttle, known(1), NOON), None);
    }
    assert_eq!(fail_as(&throttle, known(1), NOON), wait(30), "its own failures are");
    assert_eq!(fail_as(&throttle, known(2), NOON), None, "another browser's are not");
    let later = after(30);
    throttle.begin(&LOCKOUT, known(1), later).map(Attempt::succeeded).ok().unwrap();
    (0..5).for_each(|_| assert_eq!(fail_as(&throttle, known(1), later), None));
}

#[test]
fn attempts_under_way_count_as_failures() {
    let throttle = throttle();
    let begin = || throttle.begin(&LOCKOUT, caller("ada", HOME), NOON).ok().unwrap();
    let mut attempts: Vec<_> = (0..5).map(|_| begin()).collect();
    assert_eq!(fail(&throttle, "ada", HOME, NOON), TURN);
    attempts.pop().unwrap().abandoned();
    assert_eq!(fail(&throttle, "ada", HOME, NOON), None);
    assert_eq!(fail(&throttle, "ada", HOME, NOON), TURN);
    drop(attempts);
    assert_eq!(fail(&throttle, "ada", HOME, NOON), wait(30), "hanging up is a failure");
}

#[test]
fn after_a_delay_one_attempt_is_let_through_at_a_time() {
    let throttle = throttle();
    (0..5).for_each(|_| assert!(fail(&throttle, "ada", HOME, NOON).is_none()));
    let attempt = throttle.begin(&LOCKOUT, caller("ada", HOME), after(30)).ok().unwrap();
    assert_eq!(fail(&throttle, "ada", HOME, after(30)), TURN);
    attempt.failed(None);
    assert_eq!(fail(&throttle, "ada", HOME, after(30)), wait(60));
}

#[test]
fn an_ipv6_network_is_one_address() {
    let at = |address: &str| subject::network(address.parse().unwrap());
    assert_eq!(at("2001:db8:1:2:3::4"), at("2001:db8:1:2:ffff::"));
    assert_ne!(at("2001:db8:1:2::1"), at("2001:db8:1:3::1"));
    assert_eq!(at("::ffff:192.0.2.1"), HOME);
    let shown = |address: &str| lockouts::ShownAddress(address.parse().unwrap()).to_string();
    assert_eq!(shown("2001:db8:1:2:3::4"), "2001:db8:1:2::/64");
    assert_eq!(shown("::ffff:192.0.2.1"), "192.0.2.1");
}

#[test]
fn memory_is_bounded_and_lockouts_and_the_latest_failures_are_kept() {
    let throttle = throttle();
    (0..5).for_each(|_| assert!(fail(&throttle, "ada", HOME, NOON).is_none()));
    for number in 0..u32::try_from(MAX_RECORDS).unwrap() {
        let account = number.to_string();
        let now = after(u64::from(number) / 5000);
        assert_eq!(fail(&throttle, &account, elsewhere(number), now), None);
    }
    assert!(throttle.records().len() <= MAX_RECORDS);
    let last = u32::try_from(MAX_RECORDS).unwrap() - 1;
    let bounds = throttle.bounds(&LOCKOUT, caller(&last.to_string(), elsewhere(last)));
    assert!(bounds.iter().all(|bound| throttle.records().contains_key(&bound.subject)));
    assert_eq!(throttle.locked_out(after(20)).len(), 1, "a flood of others frees nobody");
}

#[test]
fn a_clock_that_was_set_back_locks_nobody_out() {
    let throttle = throttle();
    (0..5).for_each(|_| assert!(fail(&throttle, "ada", HOME, after(86_400)).is_none()));
    assert!(throttle.begin(&LOCKOUT, caller("ada", HOME), NOON).is_ok());
}

#[test]
fn nothing_is_slowed_down_when_it_is_switched_off() {
    let (throttle, off) = (throttle(), Lockout { enabled: false, ..LOCKOUT });
    for _ in 0..100 {
        let attempt = throttle.begin(&off, caller("ada", HOME), NOON).ok().unwrap();
        assert!(attempt.failed(None).is_empty());
    }
    assert!(throttle.records().is_empty());
}

#[test]
fn who_is_locked_out_is_told_and_seen() {
    let throttle = throttle();
    let address = "2001:db8:1:2:3::4".parse().unwrap();
    for number in 1..=5 {
        let attempt = throttle.begin(&LOCKOUT, caller("ada", address), NOON).ok().unwrap();
        let told = attempt.failed(Some(whose("ada")));
        assert_eq!(told.len(), usize::from(number == 5), "{told:?}");
        assert_eq!(throttle.locked_out(NOON), told);
    }
    let locked_out = &throttle.locked_out(NOON)[0];
    assert_eq!(locked_out.scope, Scope::AccountFromAddress);
    assert_eq!(locked_out.user, Some((UserId(1), "ada".to_owned())));
    assert_eq!(locked_out.shown_address().as_deref(), Some("2001:db8:1:2::/64"));
    assert_eq!((locked_out.failures, locked_out.failed_at), (5, NOON));
    assert_eq!(locked_out.until, after(30));
    let refused = throttle.begin(&LOCKOUT, caller("ada", address), NOON).err().flatten().unwrap();
    assert_eq!(refused.scope, Some(Scope::AccountFromAddress));
    assert_eq!(refused.whose.as_deref(), Some(&whose("ada")));
    assert!(throttle.locked_out(after(30)).is_empty(), "who may try again is not locked out");
}

#[test]
fn a_name_that_nobody_has_is_locked_out_and_not_told() {
    let throttle = throttle();
    (0..5).for_each(|_| assert!(fail(&throttle, "hunter2", HOME, NOON).is_none()));
    let locked_out = throttle.locked_out(NOON);
    assert_eq!((locked_out.len(), &locked_out[0].user), (1, &None));
    assert!(!format!("{locked_out:?}").contains("hunter2"));
}

#[test]
fn lifting_frees_those_who_are_named_and_no_others() {
    let locked = || {
        let throttle = throttle();
        for account in ["ada", "bob"] {
            for address in [HOME, elsewhere(1)] {
                (0..5).for_each(|_| assert!(fail(&throttle, account, address, NOON).is_none()));
            }
        }
        let known = Caller { browser: Some(her_browser(1)), ..caller("ada", HOME) };
        (0..5).for_each(|_| assert!(fail_as(&throttle, known, NOON).is_none()));
        assert_eq!(throttle.locked_out(NOON).len(), 5);
        throttle
    };
    let by_user = locked();
    let lifted = by_user.lift(&Lift::User(UserId(1), "ada".to_owned()), NOON);
    assert_eq!(lifted.len(), 3, "both addresses and the browser: {lifted:?}");
    assert_eq!(by_user.locked_out(NOON).len(), 2);
    assert_eq!(fail(&by_user, "ada", HOME, NOON), None);
    assert_eq!(fail(&by_user, "bob", HOME, NOON), wait(30));

    let by_address = locked();
    assert_eq!(by_address.lift(&Lift::Address(HOME), NOON).len(), 2);
    assert_eq!(fail(&by_address, "bob", HOME, NOON), None);
    assert_eq!(fail(&by_address, "bob", elsewhere(1), NOON), wait(30));

    let all = locked();
    assert_eq!(all.lift(&Lift::All, NOON).len(), 5);
    assert!(all.records().is_empty());
}

#[test]
fn an_attempt_under_way_outlives_the_lifting() {
    let throttle = throttle();
    (0..4).for_each(|_| assert!(fail(&throttle, "ada", HOME, NOON).is_none()));
    let attempt = throttle.begin(&LOCKOUT, caller("ada", HOME), NOON).ok().unwrap();
    assert!(throttle.lift(&Lift::All, NOON).is_empty(), "nobody was locked out yet");
    assert!(attempt.failed(None).is_empty());
    (0..4).for_each(|_| assert_eq!(fail(&throttle, "ada", HOME, NOON), None));
    assert_eq!(fail(&throttle, "ada", HOME, NOON), wait(30));
}

#[test]
fn lockouts_outlast_a_restart_and_single_failures_are_not_kept() {
    let before = throttle();
    assert_eq!(before.to_keep(NOON), None, "nothing has changed");
    let known = Caller { browser: Some(her_browser(1)), ..caller("ada", HOME) };
    (0..5).for_each(|_| assert!(fail_as(&before, known, NOON).is_none()));
    for account in ["ada", "nobody", "bob", "carol"] {
        (0..5).for_each(|_| assert!(fail(&before, account, HOME, NOON).is_none()));
    }
    assert!(fail(&before, "hunter2", elsewhere(1), NOON).is_none());
    let text = before.to_keep(NOON).unwrap();
    assert_eq!(text.lines().count(), 6, "{text}");
    assert!(!text.contains("10.0.0.1"), "a single failure: {text}");
    assert_eq!(before.to_keep(NOON), None, "nothing has changed since");

    let afterwards = throttle();
    assert_eq!(afterwards.take_up(&format!("{text}nonsense\n"), after(10)), 1);
    assert_eq!(afterwards.locked_out(after(10)), before.locked_out(after(10)));
    assert_eq!(fail(&afterwards, "ada", HOME, after(10)), wait(20));
    assert_eq!(fail(&afterwards, "nobody", HOME, after(10)), wait(20), "as one that exists");
    assert_eq!(fail(&afterwards, "ada", elsewhere(1), after(10)), None);
    assert_eq!(fail_as(&afterwards, known, after(10)), wait(20));
    assert_eq!(fail_as(&afterwards, known, after(30)), None);
    assert_eq!(fail_as(&afterwards, known, after(30)), wait(60), "it grows on");

    let much_later = throttle();
    assert_eq!(much_later.take_up(&text, after(24 * 60 * 60 * 2)), 0);
    assert!(much_later.records().is_empty());
    let other_key = Throttle::new(&[8; 32]);
    other_key.take_up(&text, NOON);
    assert_eq!(fail(&other_key, "ada", elsewhere(2), NOON), None);
}

#[tokio::test]
async fn many_at_once_take_turns_and_all_get_through() {
    let throttle = std::sync::Arc::new(throttle());
    let logins: Vec<_> = (0..200)
        .map(|_| {
            let throttle = std::sync::Arc::clone(&throttle);
            tokio::spawn(async move {
                let attempt = throttle.admit(&LOCKOUT, caller("ada", HOME), NOON).await.ok();
                tokio::task::yield_now().await;
                attempt.unwrap().succeeded();
            })
        })
        .collect();
    for login in logins {
        login.await.unwrap();
    }
    assert!(throttle.records().is_empty());
}
