use super::*;

const NOON: Timestamp = Timestamp::from_seconds(1_000_000);
const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

const LOCKOUT: Lockout = Lockout {
    enabled: true,
    failures: 5,
    window: Duration::from_secs(900),
    delay: Duration::from_secs(30),
};

fn after(seconds: u64) -> Timestamp {
    NOON.after(Duration::from_secs(seconds))
}

fn elsewhere(number: u32) -> IpAddr {
    IpAddr::V4(std::net::Ipv4Addr::from_bits(0x0a00_0000 + number))
}

fn fail(throttle: &Throttle, account: &str, address: IpAddr, now: Timestamp) -> Option<Wait> {
    throttle.begin(&LOCKOUT, account, address, now).map(Attempt::failed).err()
}

fn wait(seconds: u64) -> Option<Wait> {
    Some(Wait::For(Duration::from_secs(seconds)))
}

#[test]
fn the_delay_begins_after_the_free_failures_and_doubles_up_to_the_window() {
    let throttle = Throttle::default();
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
    let throttle = Throttle::default();
    (0..5).for_each(|_| assert!(fail(&throttle, "ada", HOME, NOON).is_none()));
    (0..50).for_each(|_| assert_eq!(fail(&throttle, "ada", HOME, after(10)), wait(20)));
    assert!(throttle.begin(&LOCKOUT, "ada", HOME, after(30)).is_ok());
}

#[test]
fn failures_are_forgotten_after_the_window() {
    let throttle = Throttle::default();
    (0..5).for_each(|_| assert!(fail(&throttle, "ada", HOME, NOON).is_none()));
    (0..5).for_each(|_| assert!(fail(&throttle, "ada", HOME, after(30 + 900)).is_none()));
    throttle.sweep(after(30 + 900));
    assert!(!throttle.records().is_empty());
    throttle.sweep(after(5000));
    assert!(throttle.records().is_empty());
}

#[test]
fn a_success_clears_the_pair_and_not_the_address() {
    let throttle = Throttle::default();
    for round in 0..4 {
        for _ in 0..4 {
            assert_eq!(fail(&throttle, "ada", HOME, NOON), None, "round {round}");
        }
        throttle.begin(&LOCKOUT, "ada", HOME, NOON).map(Attempt::succeeded).ok().unwrap();
    }
    (16..20).for_each(|_| assert!(fail(&throttle, "bob", HOME, NOON).is_none()));
    assert_eq!(fail(&throttle, "carol", HOME, NOON), wait(30));
    assert_eq!(fail(&throttle, "carol", elsewhere(1), NOON), None);
}

#[test]
fn strangers_cannot_lock_the_owner_out() {
    let throttle = Throttle::default();
    for number in 0..1000 {
        // Each comes from an address of its own, and has to wait a second for its turn.
        let now = after(u64::from(number) * 2);
        assert_eq!(fail(&throttle, "ada", elsewhere(number), now), None);
    }
    let last = after(999 * 2);
    assert_eq!(fail(&throttle, "ada", HOME, last).unwrap(), Wait::Turn);
    let second_later = last.after(Duration::from_secs(1));
    assert!(throttle.begin(&LOCKOUT, "ada", HOME, second_later).is_ok());
}

#[test]
fn attempts_under_way_count_as_failures() {
    let throttle = Throttle::default();
    let mut attempts: Vec<_> =
        (0..5).map(|_| throttle.begin(&LOCKOUT, "ada", HOME, NOON).ok().unwrap()).collect();
    assert_eq!(fail(&throttle, "ada", HOME, NOON), Some(Wait::Turn));
    attempts.pop().unwrap().abandoned();
    assert_eq!(fail(&throttle, "ada", HOME, NOON), None);
    assert_eq!(fail(&throttle, "ada", HOME, NOON), Some(Wait::Turn));
    drop(attempts);
    assert_eq!(fail(&throttle, "ada", HOME, NOON), wait(30), "hanging up is a failure");
}

#[test]
fn after_a_delay_one_attempt_is_let_through_at_a_time() {
    let throttle = Throttle::default();
    (0..5).for_each(|_| assert!(fail(&throttle, "ada", HOME, NOON).is_none()));
    let attempt = throttle.begin(&LOCKOUT, "ada", HOME, after(30)).ok().unwrap();
    assert_eq!(fail(&throttle, "ada", HOME, after(30)), Some(Wait::Turn));
    attempt.failed();
    assert_eq!(fail(&throttle, "ada", HOME, after(30)), wait(60));
}

#[test]
fn an_ipv6_network_is_one_address() {
    let at = |address: &str| network(address.parse().unwrap());
    assert_eq!(at("2001:db8:1:2:3::4"), at("2001:db8:1:2:ffff::"));
    assert_ne!(at("2001:db8:1:2::1"), at("2001:db8:1:3::1"));
    assert_eq!(at("::ffff:192.0.2.1"), HOME);
}

#[test]
fn memory_is_bounded_and_the_latest_failures_are_kept() {
    let throttle = Throttle::default();
    for number in 0..u32::try_from(MAX_RECORDS).unwrap() {
        let account = number.to_string();
        let now = after(u64::from(number) / 1000);
        assert_eq!(fail(&throttle, &account, elsewhere(number), now), None);
    }
    assert!(throttle.records().len() <= MAX_RECORDS);
    let last = u32::try_from(MAX_RECORDS).unwrap() - 1;
    let bounds = throttle.bounds(&LOCKOUT, &last.to_string(), elsewhere(last));
    assert!(bounds.iter().all(|bound| throttle.records().contains_key(&bound.key)));
}

#[test]
fn a_clock_that_was_set_back_locks_nobody_out() {
    let throttle = Throttle::default();
    (0..5).for_each(|_| assert!(fail(&throttle, "ada", HOME, after(86_400)).is_none()));
    assert!(throttle.begin(&LOCKOUT, "ada", HOME, NOON).is_ok());
}

#[test]
fn nothing_is_slowed_down_when_it_is_switched_off() {
    let (throttle, off) = (Throttle::default(), Lockout { enabled: false, ..LOCKOUT });
    for _ in 0..100 {
        assert!(throttle.begin(&off, "ada", HOME, NOON).map(Attempt::failed).is_ok());
    }
    assert!(throttle.records().is_empty());
}

#[tokio::test]
async fn many_at_once_take_turns_and_all_get_through() {
    let throttle = std::sync::Arc::new(Throttle::default());
    let logins: Vec<_> = (0..200)
        .map(|_| {
            let throttle = std::sync::Arc::clone(&throttle);
            tokio::spawn(async move {
                let attempt = throttle.admit(&LOCKOUT, "ada", HOME, NOON).await.ok().unwrap();
                tokio::task::yield_now().await;
                attempt.succeeded();
            })
        })
        .collect();
    for login in logins {
        login.await.unwrap();
    }
    assert!(throttle.records().is_empty());
}
