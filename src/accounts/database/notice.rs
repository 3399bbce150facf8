//! What gateways on one PostgreSQL server tell each other of: users who are another.

use crate::domain::UserId;

/// Where notices are told; a database of PostgreSQL has channels of its own.
pub(super) const CHANNEL: &str = "vestibule_users";

/// The longest text that PostgreSQL passes on is 8000 bytes.
const LONGEST: usize = 7_000;

/// A change of users, as told on the channel: `WRITER QUIET IDS`, with `-` for a writer who is none
/// of us and `*` for everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Notice {
    /// The gateway that wrote.
    pub(super) writer: String,
    /// Whether everybody concerned keeps every right.
    pub(in super::super) is_quiet: bool,
    /// Who is concerned; `None` is everybody.
    pub(in super::super) whom: Option<Vec<UserId>>,
}

/// The second half of a notice, which the gateway that wrote puts its name before.
pub(super) fn told(is_quiet: bool, whom: &[UserId]) -> String {
    let ids: Vec<String> = whom.iter().map(|UserId(id)| id.to_string()).collect();
    let ids = ids.join(",");
    if ids.len() > LONGEST {
        return "0 *".to_owned();
    }
    format!("{} {ids}", u8::from(is_quiet))
}

impl From<&str> for Notice {
    /// What cannot be read may concern everybody.
    fn from(text: &str) -> Self {
        let mut parts = text.splitn(3, ' ');
        let writer = parts.next().unwrap_or_default().to_owned();
        let is_quiet = parts.next() == Some("1");
        let ids = parts.next().and_then(|ids| {
            ids.split(',').map(|id| id.parse().ok().map(UserId)).collect::<Option<Vec<_>>>()
        });
        Self { writer, is_quiet: is_quiet && ids.is_some(), whom: ids }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_are_read_as_they_were_told() {
        for (is_quiet, ids) in [(true, vec![7]), (false, vec![1, 2, 3])] {
            let ids: Vec<UserId> = ids.into_iter().map(UserId).collect();
            let text = format!("a1b2 {}", told(is_quiet, &ids));
            let notice = Notice { writer: "a1b2".to_owned(), is_quiet, whom: Some(ids) };
            assert_eq!(Notice::from(text.as_str()), notice);
        }
        let many: Vec<UserId> = (0..10_000).map(UserId).collect();
        assert_eq!(told(true, &many), "0 *");
    }

    #[test]
    fn what_cannot_be_read_concerns_everybody_and_is_not_quiet() {
        for text in ["", "- 0 *", "- 1 *", "- 1", "x 1 1,two"] {
            let notice = Notice::from(text);
            assert_eq!((notice.whom, notice.is_quiet), (None, false), "{text}");
        }
    }
}
