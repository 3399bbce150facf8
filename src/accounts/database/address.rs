//! Where a PostgreSQL server is: a URL, whose password is shown to nobody.

use std::fmt;

use sqlx::postgres::PgConnectOptions;

/// The address of a database on a PostgreSQL server:
/// `postgres://user:password@host:port/database?sslmode=verify-full`.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl(String);

/// The schemes of such an address.
const SCHEMES: [&str; 2] = ["postgres", "postgresql"];

/// What may stand behind the `?`, as libpq names it. A password may not: it would be shown where
/// nobody looks for one.
const OPTIONS: [&str; 8] =
    ["sslmode", "sslrootcert", "sslcert", "sslkey", "host", "port", "application_name", "options"];

/// Why a text is not the address of a database; nothing of the text is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAnAddress(String);

impl PostgresUrl {
    /// Whether `text` is meant to be the address of a server, well-formed or not.
    pub fn is_meant(text: &str) -> bool {
        text.split_once(':').is_some_and(|(scheme, _)| SCHEMES.contains(&scheme))
    }

    /// Reads an address.
    pub fn parse(text: &str) -> Result<Self, NotAnAddress> {
        let malformed = |why: &str| Err(NotAnAddress(why.to_owned()));
        let Some((scheme, rest)) = text.split_once("://") else {
            return malformed("it has no `://`");
        };
        if !SCHEMES.contains(&scheme) {
            return malformed("it does not begin with `postgres://`");
        }
        if rest.contains('#') {
            return malformed("it has a `#`; a password needs that as `%23`");
        }
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        if place.matches('@').count() > 1 {
            return malformed("it has more than one `@`; a password needs that as `%40`");
        }
        let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
        if place.split_once('/').is_none_or(|(_, database)| database.is_empty()) {
            return malformed("it names no database; that stands behind the host, `host/database`");
        }
        for (name, _) in form_urlencoded::parse(query.as_bytes()) {
            if name == "password" {
                return malformed("a password stands before the `@`, `user:password@host`");
            }
            if !OPTIONS.contains(&&*name) {
                return Err(NotAnAddress(format!(
                    "it has an option that is unknown; there are {}",
                    OPTIONS.map(|option| format!("`{option}`")).join(", ")
                )));
            }
        }
        let url = Self(text.to_owned());
        match url.options() {
            Ok(_) => Ok(url),
            // The error itself may have a part of the address in it.
            Err(_) => malformed("its host, its port or one of its options is wrong"),
        }
    }

    /// What to connect with.
    pub(super) fn options(&self) -> Result<PgConnectOptions, sqlx::Error> {
        let options: PgConnectOptions = self.0.parse()?;
        Ok(match options.get_application_name() {
            Some(_) => options,
            None => options.application_name("vestibule"),
        })
    }
}

impl fmt::Display for PostgresUrl {
    /// The address, with `***` for the user and the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.split_once("://"), self.0.rfind('@')) {
            (Some((scheme, _)), Some(at)) => write!(f, "{scheme}://***{}", &self.0[at..]),
            _ => f.write_str(&self.0),
        }
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown_without_their_password() {
        for (text, shown) in [
            ("postgres://127.0.0.1/users", "postgres://127.0.0.1/users"),
            (
                "postgresql://me:hunter2@db.example.org:5433/users?sslmode=verify-full",
                "postgresql://***@db.example.org:5433/users?sslmode=verify-full",
            ),
            ("postgres:///users?host=/run/postgresql", "postgres:///users?host=/run/postgresql"),
            ("postgres://me:hunt%40er2@[::1]/users", "postgres://***@[::1]/users"),
        ] {
            let url = PostgresUrl::parse(text).unwrap();
            assert_eq!(url.to_string(), shown);
            assert!(!format!("{url:?}").contains("hunt"));
        }
    }

    #[test]
    fn what_is_no_address_is_refused_without_being_repeated() {
        for text in [
            "postgres:",
            "postgres://hunter2",
            "postgres://host/",
            "postgres://me:hunter2@host",
            "postgres://me:hunter2@host:port/users",
            "postgres://me:hun@ter2@host/users",
            "postgres://me:hunter2#@host/users",
            "postgres://host/users?password=hunter2",
            "postgres://host/users?pasword=hunter2",
            "postgres://host/users?sslmode=hunter2",
            "mysql://me:hunter2@host/users",
        ] {
            let error = PostgresUrl::parse(text).unwrap_err().to_string();
            assert!(!error.contains("hunter2") && !error.contains("ter2"), "{text}: {error}");
        }
        assert!(PostgresUrl::is_meant("postgresql:") && !PostgresUrl::is_meant("sqlite:x"));
    }
}
