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
    /// Deletes everything.
    Clear,
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

    /// The text of the JSON value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(|value| &**value)
    }

    /// Keys and values, sorted by key.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The data after these changes, in their order; all of them or none.
    pub fn changed(&self, changes: &[DataChange]) -> Result<Self, DataError> {
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
                DataChange::Clear => data.0.clear(),
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

fn check_key(key: &str) -> Result<(), DataError> {
    if key.starts_with('_') {
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
