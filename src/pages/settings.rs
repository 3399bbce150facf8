//! What an operator can set about the gateway's own pages: `[accounts]`, `[lockout]`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::ProfileFields;

/// `[accounts]`, `[lockout]`, `server.public_url` and whether there is a `[mail]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The path below which the gateway answers itself; begins and ends with `/`, lower case.
    pub prefix: String,
    /// Where one goes after a login without `next`.
    pub login_redirect_url: String,
    /// Where one goes after logging out; the page `logged_out.html` when unset.
    pub logout_redirect_url: Option<String>,
    /// A directory whose files stand in for the built-in templates of the same name.
    pub templates: Option<PathBuf>,
    /// The address by which the outside knows the gateway: scheme and host, no path.
    pub public_url: Option<String>,
    /// Whether the file says how mail is sent.
    pub sends_mail: bool,
    /// How long the links in mail are good: Django's `PASSWORD_RESET_TIMEOUT`.
    pub password_reset_timeout: Duration,
    /// Who may make an account.
    pub registration: Registration,
    /// The fields of profiles, if the file declares any.
    pub profile: Option<Arc<ProfileFields>>,
    /// What slows down whoever guesses passwords.
    pub lockout: Lockout,
}

/// The keys of `[accounts]` that are about registration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registration {
    /// Who may make an account.
    pub who: WhoMayRegister,
    /// Whether an account can be used only after the link in a mail was followed; then there is
    /// mail.
    pub confirm_email: bool,
    /// The groups that everybody joins who does.
    pub groups: Vec<String>,
    /// The domains of addresses with which that is possible, in lower case; with all, when there
    /// are none.
    pub domains: Vec<String>,
}

/// Who may make an account at the registration page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WhoMayRegister {
    /// Nobody; operators make the accounts.
    #[default]
    Nobody,
    /// Whoever comes by.
    Everybody,
    /// The same, and then the account waits for the staff.
    Approved,
    /// Whoever was given a link.
    Invited,
}

/// `[lockout]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lockout {
    /// Whether anything is slowed down at all.
    pub enabled: bool,
    /// How many failures are free within the window.
    pub failures: u32,
    /// How long a failure counts.
    pub window: Duration,
    /// How long to wait after one failure too many; doubles with each further one.
    pub delay: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            prefix: "/accounts/".to_owned(),
            login_redirect_url: "/accounts/profile/".to_owned(),
            logout_redirect_url: None,
            templates: None,
            public_url: None,
            sends_mail: false,
            password_reset_timeout: Duration::from_secs(3 * 24 * 60 * 60),
            registration: Registration::default(),
            profile: None,
            lockout: Lockout {
                enabled: true,
                failures: 5,
                window: Duration::from_secs(15 * 60),
                delay: Duration::from_secs(30),
            },
        }
    }
}
