//! What is said after an act, on the page that the browser is sent to: Django's messages.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::domain::SessionKey;

/// How many notes wait at one time; the oldest goes when one more comes.
const MOST: usize = 256;

/// Notes that wait for their session's next page.
#[derive(Debug, Default)]
pub(in super::super) struct Notes(Mutex<VecDeque<(SessionKey, String)>>);

impl Notes {
    /// Leaves a note for a session.
    pub(super) fn leave(&self, session: SessionKey, note: String) {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.len() == MOST {
            notes.pop_front();
        }
        notes.push_back((session, note));
    }

    /// Takes the notes for a session, which are then gone.
    pub(super) fn take(&self, session: SessionKey) -> Vec<String> {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = notes.iter().filter(|(of, _)| *of == session).map(|(_, note)| note.clone());
        let taken = taken.collect();
        notes.retain(|(of, _)| *of != session);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_once_and_by_its_session_alone() {
        let (notes, [one, other]) = (
            Notes::default(),
            ["1", "2"].map(|digit| SessionKey::parse(&digit.repeat(32)).unwrap()),
        );
        notes.leave(one, "a".to_owned());
        notes.leave(other, "b".to_owned());
        assert_eq!(notes.take(one), ["a"]);
        assert!(notes.take(one).is_empty());
        for number in 0..MOST {
            notes.leave(one, number.to_string());
        }
        assert!(notes.take(other).is_empty(), "the oldest had to go");
        assert_eq!(notes.take(one).len(), MOST);
    }
}
