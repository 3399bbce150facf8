//! The poll: one vote for each user, who may change it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// What can be voted for.
const CHOICES: [&str; 3] = ["An oak", "A cherry tree", "A row of hazels"];

/// The votes so far.
#[derive(Debug, Default)]
pub(super) struct Poll {
    votes: Mutex<BTreeMap<String, usize>>,
}

/// One choice and what came of it, for pages.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub(super) struct Tally {
    number: usize,
    text: &'static str,
    voters: Vec<String>,
    percent: usize,
}

impl Poll {
    /// Counts the vote that a form with these bytes casts; `false` when it names no choice.
    pub(super) fn vote(&self, username: &str, form: &[u8]) -> bool {
        let choice = form_urlencoded::parse(form).find(|(name, _)| name == "choice");
        let choice = choice.and_then(|(_, value)| value.parse().ok());
        let Some(choice) = choice.filter(|&choice: &usize| choice < CHOICES.len()) else {
            return false;
        };
        self.lock().insert(username.to_owned(), choice);
        true
    }

    /// The result so far.
    pub(super) fn tallies(&self) -> Vec<Tally> {
        let votes = self.lock();
        let tally = |(number, text)| {
            let voters: Vec<String> =
                votes.iter().filter(|vote| *vote.1 == number).map(|vote| vote.0.clone()).collect();
            let percent = voters.len() * 100 / votes.len().max(1);
            Tally { number, text, voters, percent }
        };
        CHOICES.into_iter().enumerate().map(tally).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, usize>> {
        self.votes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_has_one_vote_and_may_change_it() {
        let poll = Poll::default();
        assert!(poll.vote("bob", b"choice=0"));
        assert!(poll.vote("bob", b"choice=1"));
        assert!(poll.vote("ada", b"choice=0"));
        let voters: Vec<_> = poll.tallies().into_iter().map(|tally| tally.voters).collect();
        assert_eq!(voters, [vec!["ada".to_owned()], vec!["bob".to_owned()], vec![]]);
        assert!(!poll.vote("ada", b"choice=3"));
        assert!(!poll.vote("ada", b""));
    }
}
