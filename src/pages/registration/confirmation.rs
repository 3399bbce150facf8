//! The letter to the address that somebody registered with, and what its link leads to.

use std::sync::Arc;

use http::StatusCode;
use minijinja::context;

use super::draft::Draft;
use super::{Answer, Closed, Notice, PageRequest, Pages, answer};
use crate::accounts::{By, Command, CommandError, Decided, Waiting};
use crate::domain::link::Purpose;
use crate::domain::{User, UserId};
use crate::pages::letters::Letters;
use crate::pages::login::Failure;

impl Pages {
    /// What writes the letter that an account waits for, if it is to wait for one. An address that
    /// stands in an invitation is known to be right.
    pub(super) fn confirmation(&self, draft: &Draft) -> Result<Option<Letters>, Notice> {
        if !self.settings.registration.confirm_email || draft.is_settled() {
            return Ok(None);
        }
        let letters = self.letters();
        let missing = || answer::unavailable("addresses are to be confirmed, and there is no mail");
        letters.map(Some).ok_or_else(missing)
    }

    /// Who has the address already.
    pub(super) async fn owner_of_address(&self, email: &str) -> Result<Option<String>, Notice> {
        if email.is_empty() {
            return Ok(None);
        }
        let owner = self.state.directory.owner_of_address(email).await;
        owner.map_err(|error| answer::unavailable(&error.to_string()))
    }

    /// Writes to the address of a new account. If it belongs to another account, its owner is told,
    /// and nobody else: the letter has no link, and the new account is forgotten after some days as
    /// if nobody had followed one. So the page is the same, and so are the names that are free
    /// afterwards.
    pub(super) async fn ask_for_confirmation(
        &self,
        request: &PageRequest,
        draft: &Draft,
        letters: &Letters,
        owner: Option<String>,
    ) -> Result<(), Notice> {
        let unavailable = |error: &dyn std::fmt::Display| answer::unavailable(&error.to_string());
        let (directory, now) = (&self.state.directory, request.now);
        let user = directory.user_by_name(draft.username(), now).await;
        let Some(user) = user.map_err(|error| unavailable(&error))? else {
            return Err(unavailable(&"a new account is gone"));
        };
        let token = self.state.links.token(Purpose::EmailConfirmation(&user), now);
        let page = format!("register/confirm/{}/{token}/", user.id.0);
        let (name, names) = match owner {
            None => {
                let confirm_url = letters.url(&page);
                ("register_confirm", context! { confirm_url, username => &*user.username })
            }
            Some(username) => ("register_taken", context! { username }),
        };
        let written = letters.write(&user.email, name, names).await;
        let Err(error) = written else { return Ok(()) };
        // Without its letter the account would only be in the way of whoever tries again.
        let command = Command::RegistrationReject { username: user.username.clone() };
        if let Err(error) = directory.execute(command, &By::Visitor(request.address), now).await {
            tracing::warn!(%error, "an account that nobody can confirm stays");
        }
        Err(unavailable(&error))
    }

    /// GET and POST: asks whether to confirm the address, and does it. A link alone does not:
    /// programs that look after mail open what they find in it.
    pub(in super::super) async fn confirm_registration(
        &self,
        request: &PageRequest,
        user: &str,
        token: &str,
        is_post: bool,
    ) -> Answer {
        let Some(user) = self.bearer(request, user, token).await? else {
            return self.registration_closed(request, Closed::BadLink);
        };
        if !is_post {
            return self.confirmation_form(request, &user, None);
        }
        let form = self.submitted(request)?;
        if let Err(failure) = self.check_token(request, &form) {
            return self.confirmation_form(request, &user, Some(failure));
        }
        let directory = &self.state.directory;
        let command = Command::RegistrationConfirm { username: user.username.clone() };
        let by = By::User(Arc::clone(&user));
        match directory.execute(command, &by, request.now).await {
            Ok(_) => {
                let user = directory.user(user.id, request.now).await;
                let user = user.map_err(|error| answer::unavailable(&error.to_string()))?;
                let approval = user.is_none_or(|user| !user.is_active);
                let waits_for = Waiting { approval, confirmation: false };
                Ok(answer::redirect(&self.registration_done_url(waits_for, None)))
            }
            Err(CommandError::Accounts(error)) => Err(answer::unavailable(&error.to_string())),
            Err(
                CommandError::NotFound(_)
                | CommandError::Invalid(_)
                | CommandError::Conflict(_)
                | CommandError::Forbidden(_),
            ) => self.registration_closed(request, Closed::BadLink),
        }
    }

    /// The user whose address the link confirms, if it is good.
    async fn bearer(
        &self,
        request: &PageRequest,
        user: &str,
        token: &str,
    ) -> Result<Option<Arc<User>>, Notice> {
        let Ok(id) = user.parse::<i64>() else { return Ok(None) };
        let user = self.state.directory.user(UserId(id), request.now).await;
        let user = user.map_err(|error| answer::unavailable(&error.to_string()))?;
        let timeout = self.settings.password_reset_timeout;
        Ok(user.filter(|user| {
            let purpose = Purpose::EmailConfirmation(user);
            !user.is_active && self.state.links.check(purpose, token, timeout, request.now).is_ok()
        }))
    }

    fn confirmation_form(
        &self,
        request: &PageRequest,
        user: &User,
        failure: Option<Failure>,
    ) -> Answer {
        let status = failure.map_or(StatusCode::OK, Failure::status);
        let errors: Vec<String> = failure.map(Failure::message).into_iter().collect();
        let names = context! {
            username => &*user.username,
            email => &*user.email,
            form => context! { errors => errors.clone(), non_field_errors => errors },
        };
        self.form_page(request, status, "registration/register_confirm.html", names)
    }

    /// Tells an applicant what the staff decided, where there is mail.
    pub async fn tell_applicant(&self, decided: &Decided) {
        let Some(letters) = self.letters() else { return };
        let name = if decided.is_approved { "register_approved" } else { "register_rejected" };
        letters.tell(&decided.email, name, context! { username => &*decided.username }).await;
    }
}
