//! Accounts by their e-mail address, for letters to whoever owns it.

use super::database::Connection;
use crate::domain::UserId;

/// How many accounts of one address are found; nobody's mailbox is to be filled by registering
/// more.
const MOST: i64 = 20;

/// The active accounts whose address may be `address`: the database compares without regard to
/// case in its own way, and [`is_same`] decides.
pub(super) async fn candidates(
    connection: &mut Connection,
    address: &str,
) -> Result<Vec<UserId>, sqlx::Error> {
    let ids: Vec<i64> = sqlx::query_scalar(
        "SELECT id FROM vestibule_user WHERE lower(email) = lower($1) AND is_active
         ORDER BY id LIMIT $2",
    )
    .bind(address)
    .bind(MOST)
    .fetch_all(connection)
    .await?;
    Ok(ids.into_iter().map(UserId).collect())
}

/// Whether two addresses are the same but for case, as Django's `_unicode_ci_compare`: letters
/// that merely look alike, or that some language folds together, are different (CVE-2019-19844).
pub(super) fn is_same(one: &str, other: &str) -> bool {
    use unicode_normalization::UnicodeNormalization as _;

    let folded = |text: &str| text.nfkc().collect::<String>().to_lowercase();
    folded(one) == folded(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_the_same_but_for_case_only() {
        assert!(is_same("Ada@Example.org", "ada@example.org"));
        assert!(is_same("JÜRGEN@example.org", "jürgen@example.org"));
        for other in
            ["mıke@example.org", "mike@exаmple.org", "mike@example.org ", "mike@example.or"]
        {
            assert!(!is_same("mike@example.org", other), "{other}");
        }
    }
}
