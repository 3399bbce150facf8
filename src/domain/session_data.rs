//! What applications keep in a session: Django's session dictionary, for any language.

use std::collections::BTreeMap;

/// The values of a session by key. A value is the text of one JSON value; what it means is the
/// application's business.
///
/// It is never changed in place: a session that is changed gets another one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionData(BTreeMap<Box<str>, Box<str>>);

/// One change of a session's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataChange {
    /// Sets a key to the text of a JSON value.
    Set(Box<str>, Box<str>),
    /// Deletes a key; nothing happens when it is not there.
    Delete(Box<str>),
    /// Deletes everything that applications keep.
    Clear,
    /// The gateway's own: gives a key that begins with `_` another value, or takes it away, if it
    /// still is what it was. Of two who change it at once one comes too late.
    Swap {
        /// The key.
        key: &'static str,
        /// The JSON that it has now, if any.
        from: Option<Box<str>>,
        /// The JSON that it shall have.
        to: Option<Box<str>>,
    },
}

/// Why data cannot be changed so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    /// The key is empty or too long, or has something in it that no header could carry.
    #[error(
        "a session key has 1 to {} printable characters without blanks and `=`",
        SessionData::MAX_KEY
    )]
    Key,
    /// The key begins with `_`.
    #[error("session keys that begin with `_` are the gateway's own")]
    Reserved,
    /// A key of the gateway's own is not what it was any more.
    #[error("the session was changed by somebody else meanwhile")]
    Changed,
    /// The session would become too large.
    #[error(
        "a session holds at most {} bytes in {} keys",
        SessionData::MAX_SIZE,
        SessionData::MAX_KEYS
    )]
    TooLarge,
}

impl SessionData {
    /// The longest key, in bytes.
    pub const MAX_KEY: usize = 128;
    /// How many keys a session may have.
    pub const MAX_KEYS: usize = 256;
    /// How many bytes the keys and values of a session may have together.
    pub const MAX_SIZE: usize = 32 * 1024;

    /// The text of the JSON value of a key that an application set.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.own(key).filter(|_| !is_own(key))
    }

    /// The same, for the gateway's own keys as well.
    pub fn own(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(|value| &**value)
    }

    /// What applications keep, sorted by key.
    pub fn of_applications(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter().filter(|(key, _)| !is_own(key))
    }

    /// All keys and values, sorted by key.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The data after these changes, in their order; all of them or none.
    pub fn changed(&self, changes: &[DataChange]) -> Result<Self, DataError> {
        self.with(changes, true)
    }

    /// Whether there is any session that could be changed so.
    pub fn check(changes: &[DataChange]) -> Result<(), DataError> {
        Self::default().with(changes, false).map(drop)
    }

    fn with(&self, changes: &[DataChange], compares: bool) -> Result<Self, DataError> {
        let mut data = self.clone();
        for change in changes {
            match change {
                DataChange::Set(key, value) => {
                    check_key(key)?;
                    data.0.insert(key.clone(), value.clone());
                }
                DataChange::Delete(key) => {
                    check_key(key)?;
                    data.0.remove(key);
                }
                DataChange::Clear => data.0.retain(|key, _| is_own(key)),
                DataChange::Swap { key, from, to } => {
                    if compares && data.own(key) != from.as_deref() {
                        return Err(DataError::Changed);
                    }
                    match to {
                        Some(value) => drop(data.0.insert((*key).into(), value.clone())),
                        None => drop(data.0.remove(*key)),
                    }
                }
            }
        }
        let size: usize = data.iter().map(|(key, value)| key.len() + value.len()).sum();
        if size > Self::MAX_SIZE || data.0.len() > Self::MAX_KEYS {
            return Err(DataError::TooLarge);
        }
        Ok(data)
    }
}

impl FromIterator<(Box<str>, Box<str>)> for SessionData {
    /// The data that a store kept.
    fn from_iter<I: IntoIterator<Item = (Box<str>, Box<str>)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

/// Whether a key is the gateway's own.
fn is_own(key: &str) -> bool {
    key.starts_with('_')
}

fn check_key(key: &str) -> Result<(), DataError> {
    if is_own(key) {
        return Err(DataError::Reserved);
    }
    let is_fit = |c: char| !c.is_control() && !c.is_whitespace() && c != '=';
    if key.is_empty() || key.len() > SessionData::MAX_KEY || !key.chars().all(is_fit) {
        return Err(DataError::Key);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(key: &str, value: &str) -> DataChange {
        DataChange::Set(key.into(), value.into())
    }

    #[test]
    fn changes_are_made_in_order_and_all_or_none() {
        let data = SessionData::default();
        let data = data.changed(&[set("a", "1"), set("b", "2"), set("a", "3")]).unwrap();
        assert_eq!(data.iter().collect::<Vec<_>>(), [("a", "3"), ("b", "2")]);
        assert_eq!(data.changed(&[set("c", "4"), set("_x", "5")]), Err(DataError::Reserved));
        let data = data.changed(&[DataChange::Delete("a".into()), set("c", "4")]).unwrap();
        assert_eq!(data.iter().collect::<Vec<_>>(), [("b", "2"), ("c", "4")]);
        assert!(data.changed(&[DataChange::Clear]).unwrap().is_empty());
    }

    #[test]
    fn what_is_the_gateways_own_is_swapped_and_neither_seen_nor_cleared_by_applications() {
        let swap = |from: Option<&str>, to: Option<&str>| DataChange::Swap {
            key: "_messages",
            from: from.map(Into::into),
            to: to.map(Into::into),
        };
        let data = SessionData::default();
        let data = data.changed(&[set("a", "1"), swap(None, Some("[1]"))]).unwrap();
        assert_eq!(data.changed(&[swap(None, Some("[2]"))]), Err(DataError::Changed));
        assert_eq!(SessionData::check(&[swap(Some("[1]"), None)]), Ok(()));
        assert_eq!((data.get("_messages"), data.own("_messages")), (None, Some("[1]")));
        assert_eq!(data.of_applications().collect::<Vec<_>>(), [("a", "1")]);
        let data = data.changed(&[DataChange::Clear]).unwrap();
        assert_eq!(data.iter().collect::<Vec<_>>(), [("_messages", "[1]")]);
        assert!(data.changed(&[swap(Some("[1]"), None)]).unwrap().is_empty());
    }

    #[test]
    fn keys_and_sizes_are_bounded() {
        let data = SessionData::default();
        for bad in ["", "a b", "a=b", "a\n", &"x".repeat(129)] {
            assert_eq!(data.changed(&[set(bad, "1")]), Err(DataError::Key), "{bad}");
        }
        let large = "x".repeat(SessionData::MAX_SIZE);
        assert_eq!(data.changed(&[set("a", &large)]), Err(DataError::TooLarge));
        let many: Vec<_> = (0..257).map(|number| set(&number.to_string(), "1")).collect();
        assert_eq!(data.changed(&many), Err(DataError::TooLarge));
        assert!(data.changed(&many[1..]).is_ok());
    }
}
