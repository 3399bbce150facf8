//! The pages that the gateway answers itself: login, logout, profile, sessions, setup, refusals.
//!
//! Here belongs what a person sees of Vestibule: forms, their protection, templates. Who may see
//! an application's page is decided elsewhere; these pages are shown to everybody and say for
//! themselves when they need a login.

mod admin;
mod allowance;
mod answer;
mod bound_form;
mod credentials;
mod csrf;
mod email_change;
mod form;
mod known_browser;
mod letters;
mod link;
mod lockouts;
mod login;
mod logout;
pub mod messages;
mod new_password;
mod next;
mod own_sessions;
mod page;
mod page_request;
mod password_change;
mod password_reset;
mod password_reset_confirm;
mod profile;
mod profile_form;
mod reauthentication;
mod refusal;
mod registration;
mod rule_book;
pub mod settings;
mod setup;
mod shown_messages;
mod templates;
mod throttle;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Response};
use minijinja::{Value, context};
use tokio::sync::Mutex;

use crate::accounts::Directory;
use crate::domain::{Links, Timestamp, Visitor};
use crate::mail::Outbox;
use crate::sessions::{self, Sessions};
use crate::web::glance::Glance;
use crate::web::refusal::Refusal;
use crate::web::scope::{PermsScope, UserScope};

use allowance::Allowance;
use credentials::Checks;
use csrf::Csrf;
use known_browser::KnownBrowsers;
use page::Page;
use refusal::Notice;
use templates::Templates;
use throttle::Throttle;

pub use answer::refusal_of;
pub use credentials::Checked;
pub use page_request::PageRequest;
pub use refusal::{Asked, Audience};
pub use rule_book::{RuleBook, RulesOfSite};
pub use settings::{Lockout, Settings};
pub use templates::TemplateError;
pub use throttle::{Lift, LockedOut, Scope};

/// The gateway's own pages as one configuration makes them.
pub struct Pages {
    settings: Settings,
    sessions: sessions::Settings,
    state: Arc<State>,
    templates: Arc<Templates>,
    stylesheet: String,
    policy: HeaderValue,
    rules: RuleBook,
}

/// How long it counts that somebody asked for a letter: 20 by one network, 3 to one address.
const LETTER_WINDOW: Duration = Duration::from_secs(60 * 60);

/// How many registrations one network may try in the same time: each tells whether a name is taken.
const MOST_REGISTRATIONS: u32 = 30;

/// What the pages keep over a reload of the configuration.
pub struct State {
    directory: Arc<Directory>,
    sessions: Arc<Sessions>,
    csrf: Csrf,
    throttle: Throttle,
    known_browsers: KnownBrowsers,
    checks: Checks,
    registrations: Allowance,
    setup: setup::Offer,
    links: Links,
    outbox: Arc<Outbox>,
    writing: letters::Writing,
    letter_requests: Allowance,
    letters_to: Allowance,
    /// Held while a link is looked at and spent.
    spending_links: Mutex<()>,
}

impl State {
    /// The state at the start of the gateway; `csrf_key` is random, and the same in all gateways
    /// of a site: forms are signed with it, and the links in letters.
    pub fn new(
        directory: Arc<Directory>,
        sessions: Arc<Sessions>,
        csrf_key: [u8; 32],
        outbox: Arc<Outbox>,
    ) -> Self {
        Self {
            directory,
            sessions,
            csrf: Csrf::new(csrf_key),
            throttle: Throttle::new(&csrf_key),
            registrations: Allowance::new(MOST_REGISTRATIONS, LETTER_WINDOW),
            known_browsers: KnownBrowsers::new(&csrf_key),
            checks: Checks::default(),
            setup: setup::Offer::default(),
            links: Links::new(&csrf_key),
            outbox,
            writing: letters::Writing::default(),
            letter_requests: Allowance::new(20, LETTER_WINDOW),
            letters_to: Allowance::new(3, LETTER_WINDOW),
            spending_links: Mutex::default(),
        }
    }

    /// Where messages wait.
    fn message_queue(&self) -> messages::MessageQueue {
        messages::MessageQueue::new(Arc::clone(&self.directory), Arc::clone(&self.sessions))
    }

    /// Forgets failed logins that no longer count, to free memory; nothing depends on it.
    pub fn sweep(&self, now: Timestamp) {
        self.throttle.sweep(now);
        self.letter_requests.sweep(now);
        self.letters_to.sweep(now);
        self.registrations.sweep(now);
    }
}

/// An answer, or what stands in the way of one.
type Answer = Result<Response<Bytes>, Notice>;

impl Pages {
    /// The largest body that a form may have.
    pub const MAX_FORM: usize = 64 * 1024;

    /// Compiles the templates; one that is wrong is an error that names its file and line.
    pub fn new(
        settings: Settings,
        sessions: sessions::Settings,
        state: Arc<State>,
    ) -> Result<Self, TemplateError> {
        let templates = Arc::new(Templates::load(settings.templates.as_deref())?);
        let (_, version) = templates.stylesheet();
        let stylesheet = format!("{}static/style.css?v={version}", settings.prefix);
        let policy = answer::content_security_policy(&settings);
        let rules = RuleBook::default();
        Ok(Self { settings, sessions, state, templates, stylesheet, policy, rules })
    }

    /// The same, with the rules that the administration shows.
    #[must_use]
    pub fn with_rules(self, rules: RuleBook) -> Self {
        Self { rules, ..self }
    }

    /// The path below which the pages are.
    pub fn prefix(&self) -> &str {
        &self.settings.prefix
    }

    /// Answers a request to one of the pages. The answer to HEAD has the body of that to GET.
    ///
    /// It may take as long as a password's hash: run it on the control runtime.
    pub async fn answer(&self, mut request: PageRequest) -> Response<Bytes> {
        let name = std::mem::take(&mut request.page);
        let page = Page::find(&name);
        let handed = self.messages_for(page.as_ref(), &mut request).await;
        request.page.clone_from(&name);
        let answer = match page {
            None => Err(Notice::from(&Refusal::NoSuchPage)),
            Some(page) if !page.methods().split(", ").any(|one| one == request.method.as_str()) => {
                Err(Notice { allow: page.methods(), ..Notice::from(&Refusal::Method) })
            }
            Some(_) if request.body.len() > Self::MAX_FORM => {
                Err(Notice::from(&Refusal::BodyTooLarge))
            }
            Some(page) => self.open(page, &request).await,
        };
        let answer = answer.unwrap_or_else(|notice| self.notify(&notice, &self.asked(&request)));
        Self::settle(&request, handed, &answer).await;
        self.dress(answer)
    }

    async fn open(&self, page: Page<'_>, request: &PageRequest) -> Answer {
        let is_post = request.method == Method::POST;
        match page {
            Page::Admin(page) => self.administer(request, page, is_post).await,
            Page::Home => Ok(answer::redirect(&self.url("profile/"))),
            Page::Login if is_post => self.log_in(request).await,
            Page::Login => self.login_page(request),
            Page::Logout if is_post => self.log_out(request).await,
            Page::Logout => self.logout_page(request),
            Page::PasswordChange if is_post => self.change_password(request).await,
            Page::PasswordChange => self.password_change_page(request),
            Page::PasswordChangeDone => self.password_change_done_page(request),
            Page::PasswordReset if is_post => self.reset_password(request),
            Page::PasswordReset => self.password_reset_page(request),
            Page::PasswordResetDone => self.password_reset_done_page(request),
            Page::PasswordResetLink if is_post => self.set_password_by_link(request).await,
            Page::PasswordResetLink => self.reset_link_page(request).await,
            Page::PasswordResetComplete => self.password_reset_complete_page(request),
            Page::EmailChange if is_post => self.change_email(request).await,
            Page::EmailChange => self.email_change_page(request),
            Page::EmailChangeDone => self.email_change_done_page(request),
            Page::EmailChangeLink if is_post => self.confirm_email_change(request).await,
            Page::EmailChangeLink => self.email_change_link_page(request).await,
            Page::EmailChangeComplete => self.email_change_complete_page(request),
            Page::Messages => self.messages_as_json(request).await,
            Page::Profile if is_post => self.change_profile(request).await,
            Page::Profile => self.profile_page(request),
            Page::Register if is_post => self.register(request, None).await,
            Page::Register => self.registration_page(request, None).await,
            Page::RegisterDone => self.registration_done_page(request),
            Page::RegisterConfirm(user, token) => {
                self.confirm_registration(request, user, token, is_post).await
            }
            Page::Invitation(token) if is_post => self.register(request, Some(token)).await,
            Page::Invitation(token) => self.registration_page(request, Some(token)).await,
            Page::Sessions if is_post => self.end_sessions(request).await,
            Page::Sessions => self.sessions_page(request).await,
            Page::Setup(token) => self.set_up(request, token, is_post).await,
            Page::Stylesheet => Ok(self.stylesheet(request)),
            Page::Unfinished => {
                let query = request.query().map(|query| format!("?{query}")).unwrap_or_default();
                Ok(answer::redirect(&self.url(&format!("{}/{query}", request.page))))
            }
        }
    }

    /// The address of a page below the prefix.
    fn url(&self, page: &str) -> String {
        format!("{}{page}", self.settings.prefix)
    }

    /// The request as refusals see it.
    fn asked<'a>(&'a self, request: &'a PageRequest) -> Asked<'a> {
        Asked {
            method: &request.method,
            audience: Audience::of(Glance::over(&request.headers)),
            referer: request.headers.get(http::header::REFERER),
            target: &request.target,
            host: &request.host,
            login_url: None,
            visitor: &request.visitor,
        }
    }

    /// The names that every template may use.
    fn scope(&self, visitor: &Visitor, host: &str) -> Value {
        context! {
            site => context! { name => answer::host_name(host), domain => host },
            user => UserScope::of(visitor),
            perms => PermsScope::of(visitor),
            stylesheet => &*self.stylesheet,
            login_url => self.url("login/"),
            logout_url => self.url("logout/"),
            password_change_url => self.url("password_change/"),
            password_reset_url => self.password_reset_url(),
            email_change_url => self.letters().map(|_| self.url("email_change/")),
            profile_url => self.url("profile/"),
            register_url => self.registration_url(),
            sessions_url => self.url("sessions/"),
            admin_url => self.url("admin/"),
        }
    }
}

#[cfg(test)]
mod tests;
