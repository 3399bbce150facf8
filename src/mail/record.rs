//! A letter as it is kept on disk, and how often it was tried.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Address, Letter, Mailbox, Subject};
use crate::domain::Timestamp;

/// The name of a letter in the queue: when it came, and a random part; 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LetterId(u64);

impl LetterId {
    /// The name of a letter that came at `now`.
    pub(super) fn new(now: Timestamp, random: u32) -> Self {
        Self(now.seconds() << 32 | u64::from(random))
    }

    /// The name of a letter that is never kept.
    pub fn of_test(now: Timestamp) -> Self {
        Self::new(now, 0)
    }

    /// Reads a name; `None` for what is none.
    pub fn parse(text: &str) -> Option<Self> {
        let is_name = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_name.then(|| u64::from_str_radix(text, 16).ok()).flatten().map(Self)
    }
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Where a letter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// On its way.
    Queue,
    /// Given up, with the reason.
    Failed,
}

/// The content of a letter's file. Moments are seconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    to: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    subject: String,
    text: String,
    queued: u64,
    pub(super) attempts: u32,
    due: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) trouble: Option<String>,
}

/// A letter in a list for operators. Its text is not told: it may hold a link that is a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Its name in the queue.
    pub id: String,
    /// Where it is.
    pub place: Place,
    /// To whom.
    pub to: String,
    /// About what.
    pub subject: String,
    /// When it came, in seconds since 1970-01-01T00:00:00Z.
    pub queued: u64,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next, if it is; in seconds since 1970-01-01T00:00:00Z.
    pub due: Option<u64>,
    /// Why it has not gone yet.
    pub trouble: Option<String>,
}

/// How long after it came a letter is given up (RFC 5321, section 4.5.4.1: four to five days).
pub(super) const PATIENCE: Duration = Duration::from_secs(4 * 24 * 60 * 60);

/// How long to wait after the first attempt; three times as long after each further one.
const FIRST_PAUSE: u64 = 5;

/// The longest pause: whoever waits for a link waits no longer once the server is back.
const LONGEST_PAUSE: u64 = 15 * 60;

impl Record {
    /// A new letter, to be sent at once.
    pub(super) fn new(letter: &Letter, now: Timestamp) -> Self {
        Self {
            to: letter.to.to_string(),
            from: letter.from.as_ref().map(Mailbox::to_string),
            subject: letter.subject.as_str().to_owned(),
            text: letter.text.clone(),
            queued: now.seconds(),
            attempts: 0,
            due: now.seconds(),
            trouble: None,
        }
    }

    /// The letter; `None` if the file was changed so that it is none any more.
    pub(super) fn letter(&self) -> Option<Letter> {
        let from = self.from.as_deref().map(str::parse::<Mailbox>).transpose().ok()?;
        let to = self.to.parse::<Address>().ok()?;
        Some(Letter { to, subject: Subject::of(&self.subject), text: self.text.clone(), from })
    }

    /// When it came.
    pub(super) fn queued(&self) -> Timestamp {
        Timestamp::from_seconds(self.queued)
    }

    /// When it is to be tried next.
    pub(super) fn due(&self) -> Timestamp {
        Timestamp::from_seconds(self.due)
    }

    /// After an attempt at `now` that has not sent it, because of `trouble`.
    pub(super) fn postpone(&mut self, trouble: String, now: Timestamp) {
        self.due = now.after(pause(self.attempts)).seconds();
        self.attempts = self.attempts.saturating_add(1);
        self.trouble = Some(trouble);
    }

    /// Whether it has been tried for long enough.
    pub(super) fn is_hopeless(&self, now: Timestamp) -> bool {
        now.since(self.queued()) >= PATIENCE
    }

    /// Begins anew with it at `now`, with all the time there was at first.
    pub(super) fn begin_anew(&mut self, now: Timestamp) {
        (self.queued, self.due, self.attempts) = (now.seconds(), now.seconds(), 0);
    }

    /// The same, for a list.
    pub(super) fn listed(&self, id: LetterId, place: Place) -> Listed {
        Listed {
            id: id.to_string(),
            place,
            to: self.to.clone(),
            subject: self.subject.clone(),
            queued: self.queued,
            attempts: self.attempts,
            due: (place == Place::Queue).then_some(self.due),
            trouble: self.trouble.clone(),
        }
    }
}

/// How long to wait after so many attempts, and one.
pub(super) fn pause(attempts: u32) -> Duration {
    let seconds = FIRST_PAUSE.saturating_mul(3_u64.saturating_pow(attempts));
    Duration::from_secs(seconds.min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_until_the_letter_is_given_up() {
        let noon = Timestamp::from_seconds(1_800_000_000);
        let to = "ada@example.org".parse().unwrap();
        let letter = Letter::new(to, Subject::of("Hello"), "Hello.\n".to_owned());
        let mut record = Record::new(&letter, noon);
        assert_eq!(record.letter(), Some(letter));
        let (mut now, mut pauses) = (noon, Vec::new());
        while !record.is_hopeless(now) {
            record.postpone("no answer".to_owned(), now);
            pauses.push(record.due().since(now).as_secs());
            now = record.due();
        }
        assert_eq!(pauses[..7], [5, 15, 45, 135, 405, 900, 900]);
        assert!(
            now.since(noon) >= PATIENCE && now.since(noon) < PATIENCE + Duration::from_secs(900)
        );
        record.begin_anew(now);
        assert!(!record.is_hopeless(now) && record.due() == now);
    }

    #[test]
    fn names_are_in_the_order_of_time() {
        let id = |seconds, random| LetterId::new(Timestamp::from_seconds(seconds), random);
        assert!(id(1, u32::MAX) < id(2, 0));
        assert_eq!(id(0x1234_5678, 9).to_string(), "1234567800000009");
        assert_eq!(LetterId::parse("1234567800000009"), Some(id(0x1234_5678, 9)));
        for bad in ["", "../../etc/passwd", "123456780000000g", "+234567800000009"] {
            assert_eq!(LetterId::parse(bad), None);
        }
    }
}
