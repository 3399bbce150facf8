//! What every page of the administration needs: who is there, the frame, forms, and orders.

use http::StatusCode;
use minijinja::value::merge_maps;
use minijinja::{Value, context};

use super::super::answer::sentence;
use super::super::login::Failure;
use super::super::refusal::Notice;
use super::super::{Answer, PageRequest, Pages, answer};
use crate::accounts::{AccountsError, By, Command, CommandError, Outcome, Reply};
use crate::domain::Identity;
use crate::domain::message::Level;
use crate::domain::staff::{
    Act, AddMessage, Allowed, ChangeLockout, NotAllowed, StaffMember, ViewGroup, ViewLog,
    ViewPermission, ViewRule, ViewSession, ViewUser,
};
use crate::web::form::Form;
use crate::web::refusal::Refusal;

/// A member of staff at a page of the administration.
pub(super) struct Desk<'a> {
    pub(super) pages: &'a Pages,
    pub(super) request: &'a PageRequest,
    pub(super) identity: &'a Identity,
    pub(super) staff: StaffMember,
}

/// Why something was not done, for the form to say, or in place of the page.
#[derive(Debug)]
pub(super) enum Stopped {
    /// The form is shown again, with this.
    Told(StatusCode, String),
    /// Something else is shown.
    Notice(Notice),
}

impl From<Notice> for Stopped {
    fn from(notice: Notice) -> Self {
        Self::Notice(notice)
    }
}

impl From<AccountsError> for Stopped {
    fn from(error: AccountsError) -> Self {
        Self::Notice(unavailable(&error))
    }
}

impl From<CommandError> for Stopped {
    fn from(error: CommandError) -> Self {
        let status = match &error {
            CommandError::Accounts(error) => return Self::Notice(unavailable(error)),
            // As Django: a form with a mistake in it is a page like any other.
            CommandError::Invalid(_) => StatusCode::OK,
            CommandError::NotFound(_) => StatusCode::NOT_FOUND,
            CommandError::Conflict(_) => StatusCode::CONFLICT,
            CommandError::Forbidden(_) => StatusCode::FORBIDDEN,
        };
        Self::Told(status, sentence(&error.to_string()))
    }
}

/// What the users' database cannot be asked comes to.
pub(super) fn unavailable(error: &AccountsError) -> Notice {
    answer::unavailable(&error.to_string())
}

impl<'a> Desk<'a> {
    pub(super) fn new(
        pages: &'a Pages,
        request: &'a PageRequest,
        identity: &'a Identity,
        staff: StaffMember,
    ) -> Self {
        Self { pages, request, identity, staff }
    }

    /// The evidence that `A` may be done, or the page that says it may not.
    pub(super) fn allowed<A: Act>(&self) -> Result<Allowed<A>, Notice> {
        self.staff.may::<A>().map_err(|NotAllowed { needed }| {
            tracing::info!(user = self.staff.user().username, needed, "refused to staff");
            Notice::from(&Refusal::Denied)
        })
    }

    /// Whether `A` may be done, for what a page offers.
    pub(super) fn may<A: Act>(&self) -> bool {
        self.staff.may::<A>().is_ok()
    }

    /// A page of the administration in its frame.
    pub(super) fn show(&self, status: StatusCode, template: &str, names: Value) -> Answer {
        let frame = context! {
            sections => self.sections(),
            now => self.request.now.seconds(),
        };
        self.pages.form_page(self.request, status, template, merge_maps([frame, names]))
    }

    /// The sections that this member of staff may enter.
    pub(super) fn sections(&self) -> Vec<Value> {
        let here = self.request.page.strip_prefix("admin/").unwrap_or_default();
        let section = |is_allowed: bool, page: &str, title: &str| {
            let is_here = here.starts_with(page);
            let url = self.url(page);
            is_allowed.then(|| context! { title, url, is_here, page => page.trim_end_matches('/') })
        };
        [
            section(self.may::<ViewUser>(), "users/", "Users"),
            section(self.may::<ViewUser>(), "registrations/", "Registrations"),
            section(self.may::<ViewGroup>(), "groups/", "Groups"),
            section(self.may::<ViewPermission>(), "permissions/", "Permissions"),
            section(self.may::<ViewSession>(), "sessions/", "Sessions"),
            section(self.may::<AddMessage>(), "messages/", "Messages"),
            section(self.may::<ChangeLockout>(), "lockouts/", "Lockouts"),
            section(self.may::<ViewRule>(), "rules/", "Rules"),
            section(self.may::<ViewLog>(), "log/", "Changes"),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// The address of a page of the administration.
    pub(super) fn url(&self, page: &str) -> String {
        self.pages.url(&format!("admin/{page}"))
    }

    /// The form that was sent, if a page of ours can have sent it, with this browser and session.
    pub(super) fn submitted(&self) -> Result<Form, Notice> {
        let form = self.pages.submitted(self.request)?;
        match self.pages.check_token(self.request, &form) {
            Ok(()) => Ok(form),
            Err(_) => Err(Notice::FORGED),
        }
    }

    /// A field of the query.
    pub(super) fn asked_for(&self, name: &str) -> Option<String> {
        let query = Form::of_query(self.request.query()?).ok()?;
        query.value(name).filter(|value| !value.is_empty()).map(str::to_owned)
    }

    /// Has a command carried out whose reply the page says in its own words.
    pub(super) async fn order(&self, command: Command) -> Result<(), Stopped> {
        self.carry_out(command).await.map(drop)
    }

    /// Has a command carried out, and ends the sessions that it made worthless.
    pub(super) async fn carry_out(&self, command: Command) -> Result<Reply, Stopped> {
        let by = By::User(std::sync::Arc::clone(self.staff.user()));
        let state = &self.pages.state;
        let Outcome { reply, shut_out } =
            state.directory.carry_out(command, &by, self.request.now).await?;
        for shut_out in shut_out {
            // They are refused already, so that a failure leaves nobody in.
            match state.sessions.end_all_of(shut_out.user, None).await {
                Ok(ended) => tracing::info!(
                    %by, of = shut_out.username, ended, because = shut_out.because,
                    "sessions were revoked"
                ),
                Err(error) => tracing::warn!(
                    %error, of = shut_out.username, because = shut_out.because,
                    "sessions could not be revoked"
                ),
            }
        }
        Ok(reply)
    }

    /// Has the member of staff prove with the own password that it is he or she who does something
    /// that matters, and not whoever found the browser (OWASP ASVS 7.5.3).
    pub(super) async fn confirm(&self, form: &Form) -> Result<(), Stopped> {
        let password = form.value("current_password").unwrap_or_default();
        if password.is_empty() {
            let message = "This needs your own password, in the field at the end of the form.";
            return Err(Stopped::Told(StatusCode::OK, message.to_owned()));
        }
        match self.pages.reauthenticate(self.request, self.identity, password).await? {
            Ok(_it_is_he_or_she) => Ok(()),
            Err(failure @ Failure::Throttled(_)) => {
                Err(Stopped::Told(StatusCode::TOO_MANY_REQUESTS, failure.message()))
            }
            Err(_) => {
                let message = "Your password was entered incorrectly. Please enter it again.";
                Err(Stopped::Told(StatusCode::OK, message.to_owned()))
            }
        }
    }

    /// Sends the browser to a page of the administration, where `note` is said: a message, as in
    /// Django, which waits whichever gateway the browser comes to next.
    pub(super) async fn go_to(
        &self,
        page: &str,
        note: Option<String>,
    ) -> http::Response<bytes::Bytes> {
        if let Some(note) = note {
            self.pages.tell(self.request, Level::Success, &note).await;
        }
        answer::redirect_as(StatusCode::SEE_OTHER, &self.url(page))
    }
}

/// Django's sentence after something was done: `The user “bob” was changed successfully.`
pub(super) fn done(kind: &str, name: &str, what: &str) -> String {
    format!("The {kind} “{name}” was {what} successfully.")
}

/// A moment of a command's reply, as templates show it.
pub(super) fn seconds(date_time: &str) -> Option<i64> {
    date_time.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second)
}
