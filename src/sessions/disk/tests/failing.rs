//! Disks that fail at the n-th call, for every n: nothing that was acknowledged is lost, and all is
//! well again when the disk is.

use std::collections::BTreeSet;

use super::*;

/// What was acknowledged, and what was asked for in vain.
#[derive(Default)]
struct Told {
    alive: BTreeSet<u8>,
    ended: BTreeSet<u8>,
    refused: BTreeSet<u8>,
}

impl Told {
    async fn log_in(&mut self, sessions: &Local, number: u8) {
        match sessions.begin(key(number), login(1), None).await {
            Ok(()) => drop(self.alive.insert(number)),
            Err(_) => drop(self.refused.insert(number)),
        }
    }

    async fn log_out(&mut self, sessions: &Local, number: u8) {
        let (was_there, noted) = sessions.end(key(number));
        assert_eq!(was_there, self.alive.remove(&number));
        assert!(sessions.map().find(&key(number)).is_none(), "it has ended in any case");
        if sessions.kept(noted).await.is_ok() {
            self.ended.insert(number);
        }
    }

    /// Logins and logouts with two snapshots in between.
    async fn live(&mut self, sessions: &Local) {
        for round in 0..3_u8 {
            let first = round * 10;
            for number in first..first + 4 {
                self.log_in(sessions, number).await;
            }
            self.log_out(sessions, first + 1).await;
            // Before a second has passed since a failure, so that it stays one for the round.
            sessions.tend(NOON, &at(300 * u64::from(round)));
            self.log_in(sessions, first + 5).await;
            self.log_out(sessions, first + 2).await;
        }
    }

    fn agrees_with(&self, sessions: &Local, what: &str) {
        let map = sessions.map();
        for &number in &self.alive {
            assert!(map.find(&key(number)).is_some(), "{what}: login {number} was lost");
        }
        for &number in &self.ended {
            assert!(map.find(&key(number)).is_none(), "{what}: logout {number} was undone");
        }
    }

    fn is_in_memory(&self, sessions: &Local, what: &str) {
        self.agrees_with(sessions, what);
        assert_eq!(sessions.map().len(), self.alive.len(), "{what}: refused logins are there");
    }
}

#[tokio::test]
async fn a_disk_that_fails_at_the_nth_call_loses_nothing_that_was_acknowledged() {
    for is_lasting in [true, false] {
        let mut refusals = 0;
        for n in 1.. {
            let what = format!("call {n}, {}", if is_lasting { "and on" } else { "once" });
            let directory = temporary();
            let sessions = open(directory.path()).unwrap();
            let faults = sessions.faults();
            if is_lasting {
                faults.fail_from(n)
            } else {
                faults.fail_once(n)
            }
            let mut told = Told::default();
            told.live(&sessions).await;
            told.is_in_memory(&sessions, &what);
            let (_copy, reopened) = after_a_kill(directory.path());
            told.agrees_with(&reopened.unwrap_or_else(|error| panic!("{what}: {error}")), &what);

            sessions.faults().stop();
            sessions.tend(NOON, &at(10_000));
            assert_eq!(sessions.disk().unwrap().failure, None, "{what}: it does not heal");
            told.log_in(&sessions, 99).await;
            assert!(told.alive.contains(&99), "{what}");
            told.is_in_memory(&sessions, &what);
            let (_copy, reopened) = after_a_kill(directory.path());
            let reopened = reopened.unwrap_or_else(|error| panic!("{what}, healed: {error}"));
            assert_eq!(content(reopened.map()), content(sessions.map()), "{what}, healed");
            if told.refused.is_empty() && sessions.disk().unwrap().snapshot_failures == 0 && n > 40
            {
                break;
            }
            refusals += told.refused.len();
        }
        assert!(refusals > 0, "no call that mattered has failed");
    }
}

#[tokio::test]
async fn a_failed_disk_refuses_logins_at_once_and_a_failed_attempt_to_go_on_leaves_nothing() {
    let directory = temporary();
    let sessions = open(directory.path()).unwrap();
    sessions.begin(key(1), login(1), None).await.unwrap();
    sessions.faults().fail_from(1);
    assert!(sessions.begin(key(2), login(2), None).await.is_err());
    let before = names(directory.path());
    for second in 1..200 {
        assert!(sessions.begin(key(3), login(3), None).await.is_err());
        // Another call fails in each attempt.
        sessions.faults().fail_from(second % 12 + 1);
        if second % 12 < 8 {
            sessions.tend(NOON, &at(second * 100));
            assert!(sessions.disk().unwrap().failure.is_some(), "{second}");
        }
    }
    // The segment of an attempt whose removal failed as well is there until the next attempt.
    let left = names(directory.path());
    assert!(left.len() <= before.len() + 1, "{left:?}");
    sessions.faults().stop();
    assert_eq!(content(sessions.map()).len(), 1);
    sessions.tend(NOON, &at(100_000));
    sessions.begin(key(2), login(2), None).await.unwrap();
    assert_eq!(after_a_kill(directory.path()).1.unwrap().map().len(), 2);
}

#[tokio::test]
async fn a_logout_that_could_not_be_written_is_kept_by_the_snapshot_that_heals() {
    let directory = temporary();
    let sessions = open(directory.path()).unwrap();
    sessions.begin(key(1), login(1), None).await.unwrap();
    sessions.faults().fail_from(1);
    let (was_there, noted) = sessions.end(key(1));
    assert!(was_there);
    assert!(sessions.kept(noted).await.is_err(), "nobody is told that it is kept");
    let (was_there, noted) = sessions.end(key(1));
    assert!(!was_there);
    assert!(sessions.kept(noted).await.is_err(), "a second attempt is not told either");
    sessions.faults().stop();
    sessions.tend(NOON, &at(100));
    let (_, noted) = sessions.end(key(1));
    sessions.kept(noted).await.unwrap();
    assert_eq!(after_a_kill(directory.path()).1.unwrap().map().len(), 0);
}
