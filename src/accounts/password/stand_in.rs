//! Whose password stands in for that of a user who is not there.
//!
//! Hashes of other schemes than ours take another time, and some of Django's take much longer than
//! a new one. So that the time of a failed login says nothing about a name, a name that nobody has
//! costs what the password of some user costs, always of the same one: among names, slow and quick
//! ones are as frequent whether users have them or not.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::super::AccountsError;
use super::super::database::{Connection, Database};
use super::bcrypt::hex;
use crate::domain::PasswordHash;

/// Decides who stands in for whom. Whoever knew it could tell which names should cost alike.
pub(in super::super) struct StandIns {
    secret: String,
}

impl StandIns {
    /// Reads the secret, or makes it when the database has none yet.
    pub(in super::super) async fn open(database: &Database) -> Result<Self, AccountsError> {
        let mut reading = database.read().await?;
        let secret = secret(&mut reading).await?;
        reading.commit().await?;
        if let Some(secret) = secret {
            return Ok(Self { secret });
        }
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|error| AccountsError::Hashing(error.to_string()))?;
        let mut writing = database.write().await?;
        // Of two gateways that start at the same time, the first one's counts for both.
        sqlx::query(
            "INSERT INTO vestibule_stand_in (id, secret) VALUES (1, $1) ON CONFLICT (id) DO NOTHING",
        )
        .bind(hex(&random))
        .execute(&mut *writing)
        .await?;
        let kept = self::secret(&mut writing).await?;
        writing.commit().await?;
        Ok(Self { secret: kept.unwrap_or_else(|| hex(&random)) })
    }

    /// The password of the user who stands in for this name; `None` when there is no user at all.
    ///
    /// It is asked for every name, so that asking tells nothing either.
    pub(in super::super) async fn find(
        &self,
        connection: &mut Connection,
        username: &str,
    ) -> Result<Option<PasswordHash>, sqlx::Error> {
        let last: Option<i64> = sqlx::query_scalar("SELECT MAX(id) FROM vestibule_user")
            .fetch_one(&mut *connection)
            .await?;
        let place = self.place(username, last.unwrap_or(0));
        let encoded: Option<String> = sqlx::query_scalar(
            "SELECT password FROM vestibule_user WHERE id >= $1 ORDER BY id LIMIT 1",
        )
        .bind(place)
        .fetch_optional(connection)
        .await?;
        Ok(encoded.map(PasswordHash::from_encoded))
    }

    /// A number from 1 to `last` that follows from the name and the secret.
    fn place(&self, username: &str, last: i64) -> i64 {
        let last = u64::try_from(last).unwrap_or(0).max(1);
        // A key of any length will do.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()) else { return 1 };
        mac.update(username.as_bytes());
        let digest = mac.finalize().into_bytes();
        let number =
            digest.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        i64::try_from(number % last + 1).unwrap_or(1)
    }
}

async fn secret(connection: &mut Connection) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT secret FROM vestibule_stand_in WHERE id = 1")
        .fetch_optional(connection)
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_spread_over_all_users_and_stay_where_they_are() {
        let stand_ins = StandIns { secret: "x".to_owned() };
        let place = |name: usize| stand_ins.place(&name.to_string(), 10);
        let mut counts = [0; 10];
        for name in 0..1000 {
            assert_eq!(place(name), place(name));
            counts[usize::try_from(place(name)).unwrap() - 1] += 1;
        }
        assert!(counts.iter().all(|count| (60..140).contains(count)), "{counts:?}");
        assert_ne!(
            StandIns { secret: "y".to_owned() }.place("ada", 1 << 40),
            stand_ins.place("ada", 1 << 40)
        );
        for last in [-1, 0, 1] {
            assert_eq!(stand_ins.place("ada", last), 1);
        }
    }
}
