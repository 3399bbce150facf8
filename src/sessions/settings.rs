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
    /// Where sessions are kept; `store`. A reload does not change it.
    pub store: Store,
}

/// Where sessions are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Store {
    /// In this process's memory.
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
        }
    }
}
