//! Registration: a visitor makes an account, as with Django's `UserCreationForm`.

mod confirmation;
mod draft;

use std::time::Duration;

use http::StatusCode;
use minijinja::context;

use super::login::{self, Failure};
use super::refusal::Notice;
use super::settings::WhoMayRegister;
use super::throttle::network;
use super::{Answer, PageRequest, Pages, answer, next};
use crate::accounts::{
    By, Command, CommandError, Invitation, NewRegistration, Registered, Reply, Waiting,
};
use crate::domain::NextPath;
use crate::domain::audit::{Entry, Event, Outcome};
use draft::Draft;

/// How a visitor came to the form: evidence that there may be one.
enum WayIn {
    /// Everybody may.
    Open,
    /// By a link that is good.
    Invited(Invitation),
}

/// Why there is no form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closed {
    /// Nobody may register.
    ForAll,
    /// Only who has a link may.
    WithoutInvitation,
    /// The link is not, or no longer, good.
    NotInvited,
    /// The same of one that confirms an address.
    BadLink,
}

impl Pages {
    /// GET: the form, for the bearer of an invitation if there is a token.
    pub(super) async fn registration_page(
        &self,
        request: &PageRequest,
        token: Option<&str>,
    ) -> Answer {
        match self.way_in(request, token).await? {
            Ok(way_in) => self.registration_form(
                request,
                &Draft::new(&way_in, &self.settings.registration),
                None,
            ),
            Err(closed) => self.registration_closed(request, closed),
        }
    }

    /// POST: makes the account, and says what comes next.
    pub(super) async fn register(&self, request: &PageRequest, token: Option<&str>) -> Answer {
        let form = self.submitted(request)?;
        let way_in = match self.way_in(request, token).await? {
            Ok(way_in) => way_in,
            Err(closed) => return self.registration_closed(request, closed),
        };
        let rules = &self.settings.registration;
        let mut draft = Draft::of(&form, &way_in, rules);
        if let Err(failure) = self.check_token(request, &form) {
            return self.registration_form(request, &draft, Some(failure));
        }
        // That a name is taken is told, as it must be; so it is told only so often.
        if let Err(wait) = self.may_register(request, &draft) {
            let entry = Entry::new(Event::Registered, request.now).from(request.address);
            let entry = entry.outcome(Outcome::Throttled).with("wait", wait.as_secs());
            self.state.directory.note(&entry);
            let failure = Failure::Throttled(wait);
            return self.registration_form(request, &draft, Some(failure));
        }
        let directory = &self.state.directory;
        draft.check_name(directory.username_rule());
        if draft.has_password()
            && let Err(weaknesses) = directory.check_new_password(draft.password(), &draft.about())
        {
            weaknesses.iter().for_each(|weakness| draft.password_is_bad(weakness.to_string()));
        }
        if let Some(name) = draft.name_to_look_for()
            && self.is_taken(name).await?
        {
            draft.name_is_taken();
        }
        if draft.is_wrong() {
            return self.registration_form(request, &draft, None);
        }
        let letters = self.confirmation(&draft)?;
        let waits_for = Waiting {
            confirmation: letters.is_some(),
            approval: match way_in {
                WayIn::Open => rules.who == WhoMayRegister::Approved,
                WayIn::Invited(_) => false,
            },
        };
        // Before there is one more account with it.
        let owner = self.owner_of_address(draft.email()).await?;
        match self.create_account(request, &draft, &way_in, waits_for).await? {
            Ok(Registered::Created) => {
                if let Some(letters) = letters {
                    self.ask_for_confirmation(request, &draft, &letters, owner).await?;
                }
                let next = self.next(Some(&form), request.query());
                Ok(answer::redirect(&self.registration_done_url(waits_for, next.as_ref())))
            }
            Ok(Registered::NameTaken) => {
                draft.name_is_taken();
                self.registration_form(request, &draft, None)
            }
            Ok(Registered::NotInvited) => self.registration_closed(request, Closed::NotInvited),
            Err(complaint) => {
                draft.password_is_bad(complaint);
                self.registration_form(request, &draft, None)
            }
        }
    }

    /// GET: says what comes next for an account that was made.
    pub(super) fn registration_done_page(&self, request: &PageRequest) -> Answer {
        let query = request.query().and_then(|query| crate::web::form::Form::of_query(query).ok());
        let waits_for = query.as_ref().and_then(|query| query.value("waits_for"));
        let next = self.next(None, request.query());
        let names = context! {
            // Nothing that somebody wrote into the address gets into the page.
            waits_for => match waits_for {
                Some("confirmation") => "confirmation",
                Some("approval") => "approval",
                Some(_) | None => "",
            },
            login_url => next::address(&self.url("login/"), next.as_ref()),
        };
        self.form_page(request, StatusCode::OK, "registration/register_done.html", names)
    }

    /// Where the form is, for who may find it without a link; empty when nobody may.
    pub(super) fn registration_url(&self) -> String {
        match self.settings.registration.who {
            WhoMayRegister::Everybody | WhoMayRegister::Approved => self.url("register/"),
            WhoMayRegister::Nobody | WhoMayRegister::Invited => String::new(),
        }
    }

    /// The same with the way back, for whoever finds no account at the login page.
    pub(super) fn registration_link(&self, next: Option<&NextPath>) -> String {
        let url = self.registration_url();
        if url.is_empty() { url } else { next::address(&url, next) }
    }

    async fn way_in(
        &self,
        request: &PageRequest,
        token: Option<&str>,
    ) -> Result<Result<WayIn, Closed>, Notice> {
        let Some(token) = token else {
            return Ok(match self.settings.registration.who {
                WhoMayRegister::Nobody => Err(Closed::ForAll),
                WhoMayRegister::Invited => Err(Closed::WithoutInvitation),
                WhoMayRegister::Everybody | WhoMayRegister::Approved => Ok(WayIn::Open),
            });
        };
        if self.settings.registration.who == WhoMayRegister::Nobody {
            return Ok(Err(Closed::ForAll));
        }
        let invitation = self.state.directory.invitation(token, request.now).await;
        let invitation = invitation.map_err(|error| answer::unavailable(&error.to_string()))?;
        Ok(invitation.map(WayIn::Invited).ok_or(Closed::NotInvited))
    }

    /// Whether there were not too many from this network, or for this address: nobody's mailbox is
    /// to be filled.
    fn may_register(&self, request: &PageRequest, draft: &Draft) -> Result<(), Duration> {
        if !self.settings.lockout.enabled {
            return Ok(());
        }
        let (state, now) = (&self.state, request.now);
        state.registrations.take(network(request.address), now)?;
        if draft.is_wrong() || draft.email().is_empty() {
            return Ok(());
        }
        state.letters_to.take(("registration", draft.email().to_lowercase()), now)
    }

    async fn is_taken(&self, username: &str) -> Result<bool, Notice> {
        let is_taken = self.state.directory.is_taken(username).await;
        is_taken.map_err(|error| answer::unavailable(&error.to_string()))
    }

    async fn create_account(
        &self,
        request: &PageRequest,
        draft: &Draft,
        way_in: &WayIn,
        waits_for: Waiting,
    ) -> Result<Result<Registered, String>, Notice> {
        let invitation = match way_in {
            WayIn::Open => None,
            WayIn::Invited(invitation) => Some(invitation.digest.clone()),
        };
        let new = NewRegistration {
            username: draft.username().to_owned(),
            email: draft.email().to_owned(),
            password: draft.password().to_owned().into(),
            groups: self.settings.registration.groups.clone(),
            address: request.address.to_string(),
            waits_for,
            invitation,
        };
        let (directory, by) = (&self.state.directory, By::Visitor(request.address));
        match directory.execute(Command::Register(new), &by, request.now).await {
            Ok(Reply::Registered(outcome)) => Ok(Ok(outcome)),
            Ok(_) => Err(answer::unavailable("a registration had another reply")),
            Err(CommandError::Invalid(complaint)) => Ok(Err(answer::sentence(&complaint))),
            // A group that the operator named is not there, or the name was taken just now.
            Err(CommandError::NotFound(cause) | CommandError::Forbidden(cause)) => {
                Err(answer::unavailable(&cause))
            }
            Err(CommandError::Conflict(_)) => Ok(Ok(Registered::NameTaken)),
            Err(CommandError::Accounts(error)) => Err(answer::unavailable(&error.to_string())),
        }
    }

    fn registration_form(
        &self,
        request: &PageRequest,
        draft: &Draft,
        failure: Option<Failure>,
    ) -> Answer {
        let next = self.next(self.submitted(request).ok().as_ref(), request.query());
        let names = context! {
            form => draft.form(failure),
            next => next.as_ref().map(NextPath::as_str).unwrap_or_default(),
            is_invited => draft.is_invited(),
        };
        let status = failure.map_or(StatusCode::OK, Failure::status);
        let mut response = self.form_page(request, status, "registration/register.html", names)?;
        if let Some(Failure::Throttled(delay)) = failure {
            login::retry_after(&mut response, delay);
        }
        Ok(response)
    }

    fn registration_closed(&self, request: &PageRequest, closed: Closed) -> Answer {
        let (status, reason) = match closed {
            Closed::ForAll => (StatusCode::FORBIDDEN, "closed"),
            Closed::WithoutInvitation => (StatusCode::FORBIDDEN, "invited"),
            Closed::NotInvited => (StatusCode::NOT_FOUND, "invitation"),
            Closed::BadLink => (StatusCode::NOT_FOUND, "confirmation"),
        };
        let names = context! { reason };
        self.form_page(request, status, "registration/register_closed.html", names)
    }

    fn registration_done_url(&self, waits_for: Waiting, next: Option<&NextPath>) -> String {
        let page = self.url("register/done/");
        let page = match waits_for {
            Waiting { confirmation: true, .. } => format!("{page}?waits_for=confirmation"),
            Waiting { approval: true, .. } => format!("{page}?waits_for=approval"),
            Waiting { .. } => page,
        };
        next::address(&page, next)
    }
}
