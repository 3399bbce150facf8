//! What an operator can set about sessions: `[sessions]`.

use std::time::Duration;

use super::shared::SharedSettings;
use crate::domain::session::Lifetime;

/// `[sessions]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The attributes of the session cookie.
    pub cookie: CookieSettings,
    /// How long sessions live: `cookie_age`, `idle_timeout`, `absolute_timeout`.
    pub lifetime: Lifetime,
    /// Whether the cookie has no age of its own and ends with the browser.
    pub expire_at_browser_close: bool,
    /// Whether every request renews the session and sends the cookie again.
    pub save_every_request: bool,
    /// Where sessions are kept; in force from the start of the gateway to its end.
    pub store: Store,
    /// How sessions in memory are kept on disk; in force as long.
    pub keeping: Keeping,
}

/// Where sessions are kept; `store`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Store {
    /// In this process's memory, and on its disk.
    Memory,
    /// In Redis or Valkey, for several gateways.
    Shared(SharedSettings),
}

impl Store {
    /// What the names in a shared store begin with unless `store_prefix` says otherwise.
    pub const PREFIX: &str = "vestibule:";
    /// How long sessions go on without a shared store unless `store_grace` says otherwise.
    pub const GRACE: Duration = Duration::from_secs(60);
}

/// How sessions are kept on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keeping {
    /// What a change waits for before it is acknowledged; `durability`.
    pub durability: Durability,
    /// From one snapshot to the next; `snapshot_interval`.
    pub snapshot_interval: Duration,
}

/// What a login, a logout or a change of data waits for before it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The disk: nothing that was acknowledged is lost when the power fails.
    Always,
    /// The kernel, which is made to write once a second: when the power fails, what was
    /// acknowledged in the last two seconds may be lost.
    EverySecond,
    /// The kernel alone: nothing is lost when the process is killed; when the power fails, what
    /// the kernel did not write yet.
    Process,
}

impl Default for Keeping {
    fn default() -> Self {
        Self { durability: Durability::Always, snapshot_interval: Duration::from_secs(300) }
    }
}

impl Settings {
    /// How long a browser keeps the cookie; until it is closed when unset.
    pub fn max_age(&self) -> Option<Duration> {
        (!self.expire_at_browser_close).then_some(self.lifetime.age)
    }
}

/// The attributes of the session cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CookieSettings {
    /// `cookie_name`.
    pub name: String,
    /// `cookie_domain`; the host alone when unset.
    pub domain: Option<String>,
    /// `cookie_path`.
    pub path: String,
    /// `cookie_secure`; when unset, true for visitors who came by TLS.
    pub secure: Option<bool>,
    /// `cookie_samesite`.
    pub same_site: SameSite,
}

/// Which requests from other sites carry the cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// None of them.
    Strict,
    /// Navigations by GET.
    Lax,
    /// All of them; browsers demand `Secure` then.
    None,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cookie: CookieSettings {
                name: "sessionid".to_owned(),
                domain: None,
                path: "/".to_owned(),
                secure: None,
                same_site: SameSite::Lax,
            },
            lifetime: Lifetime {
                age: Duration::from_secs(14 * 24 * 3600),
                idle: None,
                absolute: None,
            },
            expire_at_browser_close: false,
            save_every_request: false,
            store: Store::Memory,
            keeping: Keeping::default(),
        }
    }
}
