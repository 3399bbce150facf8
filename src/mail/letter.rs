//! A letter: to whom, about what, and its text.

use std::fmt;

use super::{Address, Mailbox};

/// A letter that nobody has tried to send yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// To whom.
    pub to: Address,
    /// About what.
    pub subject: Subject,
    /// What it says: plain text, its lines ended by `\n`.
    pub text: String,
    /// From whom, if not from `mail.from`.
    pub from: Option<Mailbox>,
}

impl Letter {
    /// A letter from `mail.from`.
    pub fn new(to: Address, subject: Subject, text: String) -> Self {
        Self { to, subject, text, from: None }
    }
}

/// What a letter is about: one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject(String);

/// Mail programs show less.
const MAX_LENGTH: usize = 200;

impl Subject {
    /// The subject that a text makes: its lines become one, and what is too long is cut.
    ///
    /// Django joins the lines of `password_reset_subject.txt` too; a template ends with one.
    pub fn of(text: &str) -> Self {
        let is_end = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
        let words = text.split(|c: char| is_end(c) || c.is_whitespace());
        let line: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        Self(line.join(" ").chars().take(MAX_LENGTH).collect())
    }

    /// The line.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_one_line() {
        for (text, line) in [
            ("Password reset on example.org\n", "Password reset on example.org"),
            ("a\r\nBcc: eve@example.org\r\n\r\nbody", "a Bcc: eve@example.org body"),
            ("a\u{2028}b\0c\u{85}d", "a b c d"),
            ("", ""),
        ] {
            assert_eq!(Subject::of(text).as_str(), line);
        }
        assert_eq!(Subject::of(&"ä".repeat(1000)).as_str().chars().count(), MAX_LENGTH);
    }
}
