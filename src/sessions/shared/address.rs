//! Where a shared store is: a URL, whose password is shown to nobody.

use std::fmt;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _};

/// The address of a Redis or Valkey server: `redis://[user][:password@]host[:port][/database]`, or
/// `unix:///path`.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl(String);

/// The schemes of addresses in plain text; `valkey` is another word for `redis`.
const SCHEMES: [&str; 5] = ["redis", "valkey", "unix", "redis+unix", "valkey+unix"];

/// Those of addresses by TLS.
const TLS_SCHEMES: [&str; 2] = ["rediss", "valkeys"];

/// Why a text is not the address of a store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAnAddress {
    /// It is one, and this version cannot go there.
    #[error("this version speaks to Redis without TLS alone")]
    Tls,
    /// It is none; the text says why, and has nothing of the address in it.
    #[error("{0}")]
    Malformed(String),
}

impl StoreUrl {
    /// Whether `text` is meant to be the address of a shared store, well-formed or not.
    pub fn is_meant(text: &str) -> bool {
        let scheme = text.split_once(':').map(|(scheme, _)| scheme);
        scheme.is_some_and(|scheme| SCHEMES.contains(&scheme) || TLS_SCHEMES.contains(&scheme))
    }

    /// Reads an address.
    pub fn parse(text: &str) -> Result<Self, NotAnAddress> {
        let malformed = |why: &str| Err(NotAnAddress::Malformed(why.to_owned()));
        let Some((scheme, rest)) = text.split_once("://") else {
            return malformed("it has no `://`");
        };
        if TLS_SCHEMES.contains(&scheme) {
            return Err(NotAnAddress::Tls);
        }
        if !SCHEMES.contains(&scheme) {
            return malformed("its scheme is none of a store");
        }
        // The one option that an address needs is the number of a database on a Unix socket; what
        // else the crate knows is set by us, or would show a password.
        if let Some((_, query)) = rest.split_once('?')
            && !(scheme.contains("unix") && query.starts_with("db=") && !query.contains('&'))
        {
            return malformed("it has options; there is but `db`, for a Unix socket");
        }
        if rest.contains('#') {
            return malformed("it has a `#`; a password needs that as `%23`");
        }
        match text.into_connection_info() {
            Ok(info) if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) => {
                Err(NotAnAddress::Tls)
            }
            Ok(_) => Ok(Self(text.to_owned())),
            // The error itself may have a part of the address in it.
            Err(_) => malformed("its host, its port or its database is wrong"),
        }
    }

    /// What the crate connects with.
    pub(super) fn connection_info(&self) -> redis::RedisResult<ConnectionInfo> {
        let info = self.0.as_str().into_connection_info()?;
        let settings = info.redis_settings().clone();
        Ok(info.set_redis_settings(settings.set_protocol(redis::ProtocolVersion::RESP3)))
    }
}

impl fmt::Display for StoreUrl {
    /// The address, with `***` for the user and the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.split_once("://"), self.0.rfind('@')) {
            (Some((scheme, _)), Some(at)) => write!(f, "{scheme}://***{}", &self.0[at..]),
            _ => f.write_str(&self.0),
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown_without_their_password() {
        for (text, shown) in [
            ("redis://127.0.0.1", "redis://127.0.0.1"),
            ("redis://:hunter2@redis.example.org:6380/3", "redis://***@redis.example.org:6380/3"),
            ("valkey://me:hunter2@[::1]/", "valkey://***@[::1]/"),
            ("unix:///run/redis/redis.sock?db=2", "unix:///run/redis/redis.sock?db=2"),
        ] {
            let url = StoreUrl::parse(text).unwrap();
            assert_eq!(url.to_string(), shown);
            assert!(!format!("{url:?}").contains("hunter2"));
            assert!(url.connection_info().is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_without_being_repeated() {
        for text in [
            "redis",
            "redis:",
            "redis://",
            "redis:///0",
            "redis://host:hunter2",
            "redis://:hunter2@host/database",
            "redis://host/?protocol=resp2",
            "unix:///run/redis.sock?db=1&pass=hunter2",
            "redis://:hunter2#@host",
            "http://host",
        ] {
            let error = StoreUrl::parse(text).unwrap_err();
            assert!(matches!(&error, NotAnAddress::Malformed(_)), "{text}");
            assert!(!error.to_string().contains("hunter2"), "{text}: {error}");
        }
        for text in ["rediss://host", "valkeys://:hunter2@host"] {
            assert_eq!(StoreUrl::parse(text), Err(NotAnAddress::Tls));
            assert!(StoreUrl::is_meant(text));
        }
        assert!(!StoreUrl::is_meant("memory") && !StoreUrl::is_meant("var/sessions"));
    }
}
