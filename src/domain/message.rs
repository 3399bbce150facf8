//! Messages to a visitor, each shown once: the levels of Django's `contrib.messages`, for the queue
//! of the Django Book's Table 12-4.

use std::fmt;
use std::str::FromStr;

use super::Timestamp;

/// What kind of message it is.
///
/// Source: `django/contrib/messages/constants.py`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For whoever develops the application.
    Debug,
    /// Something that the visitor may want to know.
    #[default]
    Info,
    /// What the visitor wanted was done.
    Success,
    /// Something may go wrong soon.
    Warning,
    /// What the visitor wanted was not done.
    Error,
}

/// There is no such level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a level\nhint: it may be `debug`, `info`, `success`, `warning` or `error`", .0.escape_debug())]
pub struct UnknownLevel(pub String);

impl Level {
    /// Every level, the least first.
    pub const ALL: [Self; 5] = [Self::Debug, Self::Info, Self::Success, Self::Warning, Self::Error];

    /// Its name, which Django calls `level_tag`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Success => "success",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl FromStr for Level {
    type Err = UnknownLevel;

    fn from_str(name: &str) -> Result<Self, UnknownLevel> {
        let level = Self::ALL.into_iter().find(|level| level.name() == name);
        level.ok_or_else(|| UnknownLevel(name.to_owned()))
    }
}

/// A message to a visitor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What kind it is.
    pub level: Level,
    /// What it says.
    pub text: MessageText,
    /// When it was sent.
    pub created: Timestamp,
}

impl Message {
    /// How many messages wait for one user; the oldest are dropped for more.
    pub const MOST: usize = 50;
}

/// What a message says: plain text on one line, of 1 to 500 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageText(Box<str>);

/// Why a text cannot be a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedMessage {
    /// There is nothing in it.
    #[error("the message is empty")]
    Empty,
    /// It is too long to go into a header beside others.
    #[error("the message has {0} characters\nhint: {max} or fewer", max = MessageText::MAX)]
    TooLong(usize),
    /// It could end a line of a header, a log or a terminal.
    #[error("the message has the control character {0:?} in it\nhint: send one line of text")]
    Control(char),
}

impl MessageText {
    /// The most characters that a message may have.
    pub const MAX: usize = 500;

    /// The text of a message, without blanks around it.
    pub fn parse(text: &str) -> Result<Self, MalformedMessage> {
        let text = text.trim();
        let length = text.chars().count();
        if length == 0 {
            return Err(MalformedMessage::Empty);
        }
        if length > Self::MAX {
            return Err(MalformedMessage::TooLong(length));
        }
        match text.chars().find(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
            Some(character) => Err(MalformedMessage::Control(character)),
            None => Ok(Self(text.into())),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MessageText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_of_bounded_length() {
        assert_eq!(MessageText::parse("  Zoë voted ").unwrap().as_str(), "Zoë voted");
        assert_eq!(MessageText::parse(" \n "), Err(MalformedMessage::Empty));
        assert!(MessageText::parse(&"ä".repeat(500)).is_ok());
        let long = MessageText::parse(&"ä".repeat(501));
        assert_eq!(long, Err(MalformedMessage::TooLong(501)));
        for bad in ['\r', '\n', '\0', '\u{1b}', '\u{85}', '\u{2028}'] {
            let text = format!("a{bad}b");
            assert_eq!(MessageText::parse(&text), Err(MalformedMessage::Control(bad)));
        }
    }

    #[test]
    fn levels_are_djangos_by_name_and_in_order() {
        for level in Level::ALL {
            assert_eq!(level.name().parse(), Ok(level));
        }
        assert!("Info".parse::<Level>().is_err());
        assert!(Level::Debug < Level::Info && Level::Warning < Level::Error);
        assert_eq!(Level::default(), Level::Info);
    }
}
