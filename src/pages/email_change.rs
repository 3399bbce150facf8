//! Another e-mail address for one's account: asked for with the password, and confirmed by a link
//! to the new address. The old one is told.

use std::sync::Arc;

use http::{StatusCode, header};
use minijinja::{Value, context};

use super::bound_form::{BoundField, BoundForm};
use super::link::Arrival;
use super::login::{self, Failure};
use super::password_change::REQUIRED;
use super::password_reset::NOT_AN_ADDRESS;
use super::refusal::Notice;
use super::{Answer, PageRequest, Pages, answer};
use crate::accounts::{By, Change, Command, CommandError};
use crate::domain::audit::{Entry, Event};
use crate::domain::{Purpose, User, link};
use crate::mail::Address;
use crate::web::refusal::Refusal;
use crate::web::scope::UserScope;

/// What stands in the token's place once it was moved.
const WORD: &str = "confirm";

/// The password is not the one of the account.
const INCORRECT: &str = "Your password was entered incorrectly. Please enter it again.";

/// What is wrong with what was typed.
#[derive(Default)]
struct Wrong {
    email: Vec<String>,
    password: Vec<String>,
    other: Option<Failure>,
}

/// A link that is good: whose address is to become which.
struct ChangeLink {
    user: Arc<User>,
    new: Address,
    arrival: Arrival,
}

impl Pages {
    /// GET: the form; a login is needed to see it.
    pub(super) fn email_change_page(&self, request: &PageRequest) -> Answer {
        self.email_change_form(request, "", Wrong::default())
    }

    /// POST: sends a link to the new address, to whoever gives the password too.
    pub(super) async fn change_email(&self, request: &PageRequest) -> Answer {
        let Some(identity) = request.identity() else {
            return Ok(self.refuse(&Refusal::LogIn, &self.asked(request)));
        };
        let form = self.submitted(request)?;
        let text = |name| form.value(name).unwrap_or_default();
        let typed = text("new_email").trim();
        let again = |wrong| self.email_change_form(request, typed, wrong);
        if let Err(failure) = self.check_token(request, &form) {
            return again(Wrong { other: Some(failure), ..Wrong::default() });
        }
        let Some(letters) = self.letters() else { return again(Wrong::default()) };
        let mut wrong = Wrong::default();
        let address = typed.parse::<Address>();
        if address.is_err() {
            let message = if typed.is_empty() { REQUIRED } else { NOT_AN_ADDRESS };
            wrong.email.push(message.to_owned());
        } else if typed == identity.user().email {
            wrong.email.push("This is the address of your account already.".to_owned());
        }
        if text("password").is_empty() {
            wrong.password.push(REQUIRED.to_owned());
            return again(wrong);
        }
        let proof = match self.reauthenticate(request, identity, text("password")).await? {
            Ok(proof) => proof,
            Err(Failure::Wrong) => {
                wrong.password.push(INCORRECT.to_owned());
                return again(wrong);
            }
            Err(failure) => return again(Wrong { other: Some(failure), ..wrong }),
        };
        let new = match address {
            Ok(address) if wrong.email.is_empty() => address,
            Ok(_) | Err(_) => return again(wrong),
        };
        let (user, now) = (proof.user(), request.now);
        // Nobody can have letters sent to strangers without end.
        let to_stranger = self.state.letters_to.take((new.as_str(), "change"), now);
        if let Err(wait) = to_stranger.and(self.state.letter_requests.take(user.id, now)) {
            return again(Wrong { other: Some(Failure::Throttled(wait)), ..wrong });
        }
        let token = self.state.links.token(Purpose::EmailChange(user, new.as_str()), now);
        let (uid, address) = (link::uid(user.id), link::segment(new.as_str()));
        let page = format!("email_change/{uid}/{address}/{token}/");
        let names = context! {
            user => UserScope::known(user),
            new_email => new.as_str(),
            confirm_url => letters.url(&page),
        };
        let written = letters.write(new.as_str(), "email_change", names).await;
        written.map_err(|error| answer::unavailable(&error.to_string()))?;
        let entry = Entry::new(Event::EmailChangeRequested, now).from(request.address);
        self.state.directory.note(&entry.of(&**user).with("email", new.as_str()));
        Ok(answer::redirect(&self.url("email_change/done/")))
    }

    /// GET: says what happens now.
    pub(super) fn email_change_done_page(&self, request: &PageRequest) -> Answer {
        let template = "registration/email_change_done.html";
        self.form_page(request, StatusCode::OK, template, context! {})
    }

    /// GET: moves the token out of the address, and then asks once more, if the link is good. It
    /// changes nothing: programs that look at mail open links too.
    pub(super) async fn email_change_link_page(&self, request: &PageRequest) -> Answer {
        let Some(link) = self.email_change_link(request).await? else {
            return self.email_change_confirm_form(request, None, None);
        };
        match &link.arrival {
            Arrival::WithToken(token) => {
                let (uid, new) = (link::uid(link.user.id), link::segment(link.new.as_str()));
                let page = format!("email_change/{uid}/{new}/{WORD}/");
                Ok(self.move_token(request, &page, token))
            }
            Arrival::Moved(_) => self.email_change_confirm_form(request, Some(&link), None),
        }
    }

    /// POST: changes the address, once, and tells the old one.
    pub(super) async fn confirm_email_change(&self, request: &PageRequest) -> Answer {
        let form = self.submitted(request)?;
        let turn = self.state.spending_links.lock().await;
        let link = self.email_change_link(request).await?;
        let Some(link) = link.filter(|link| matches!(link.arrival, Arrival::Moved(_))) else {
            return self.email_change_confirm_form(request, None, None);
        };
        if let Err(failure) = self.check_token(request, &form) {
            return self.email_change_confirm_form(request, Some(&link), Some(failure));
        }
        let user = &link.user;
        let command = Command::UserSet {
            username: user.username.clone(),
            changes: vec![Change::Email(link.new.to_string())],
        };
        let by = By::User(Arc::clone(user));
        match self.state.directory.execute(command, &by, request.now).await {
            Ok(_) => {}
            Err(CommandError::Accounts(error)) => {
                return Err(answer::unavailable(&error.to_string()));
            }
            // The account is gone by now, or the address is none to the directory.
            Err(
                CommandError::NotFound(_)
                | CommandError::Invalid(_)
                | CommandError::Conflict(_)
                | CommandError::Forbidden(_),
            ) => {
                return self.email_change_confirm_form(request, None, None);
            }
        }
        drop(turn);
        let entry = Entry::new(Event::EmailChanged, request.now).from(request.address);
        self.state.directory.note(&entry.of(&**user).with("email", link.new.as_str()));
        if let Some(letters) = self.letters() {
            let names = context! {
                user => UserScope::known(user),
                email => &*user.email,
                new_email => link.new.as_str(),
            };
            letters.tell(&user.email, "email_changed", names).await;
        }
        let mut response = answer::redirect(&self.url("email_change/complete/"));
        response.headers_mut().append(header::SET_COOKIE, self.forget_token(request));
        Ok(response)
    }

    /// GET: says that it was done.
    pub(super) fn email_change_complete_page(&self, request: &PageRequest) -> Answer {
        let template = "registration/email_change_complete.html";
        self.form_page(request, StatusCode::OK, template, context! {})
    }

    /// What the link is for, if it is good now.
    async fn email_change_link(&self, request: &PageRequest) -> Result<Option<ChangeLink>, Notice> {
        let Some(([uid, address], arrival)) = request.link("email_change/", WORD) else {
            return Ok(None);
        };
        let new = link::text_of(address).and_then(|text| text.parse::<Address>().ok());
        let (Some(new), Arrival::WithToken(token) | Arrival::Moved(Some(token))) = (new, &arrival)
        else {
            return Ok(None);
        };
        let Some(user) = self.user_of_link(request, link::user_of(uid)).await? else {
            return Ok(None);
        };
        let (timeout, now) = (self.settings.password_reset_timeout, request.now);
        let purpose = Purpose::EmailChange(&user, new.as_str());
        let is_good = self.state.links.check(purpose, token, timeout, now).is_ok();
        Ok(is_good.then_some(ChangeLink { user, new, arrival }))
    }

    fn email_change_form(&self, request: &PageRequest, typed: &str, wrong: Wrong) -> Answer {
        if request.identity().is_none() {
            return Ok(self.refuse(&Refusal::LogIn, &self.asked(request)));
        }
        let failure = wrong.other;
        let status = failure.map_or(StatusCode::OK, Failure::status);
        let form = self.letters().map(|_| wrong.form(typed));
        let names = context! { form };
        let template = "registration/email_change_form.html";
        let mut response = self.form_page(request, status, template, names)?;
        if let Some(Failure::Throttled(delay)) = failure {
            login::retry_after(&mut response, delay);
        }
        Ok(response)
    }

    fn email_change_confirm_form(
        &self,
        request: &PageRequest,
        link: Option<&ChangeLink>,
        failure: Option<Failure>,
    ) -> Answer {
        let status = failure.map_or(StatusCode::OK, Failure::status);
        let errors = failure.map(Failure::message).into_iter().collect();
        let names = context! {
            validlink => link.is_some(),
            form => BoundForm::new(Vec::new()).with_errors(errors).into_value(),
            username => link.map(|link| &*link.user.username),
            new_email => link.map(|link| link.new.as_str()),
        };
        self.form_page(request, status, "registration/email_change_confirm.html", names)
    }
}

impl Wrong {
    fn form(self, typed: &str) -> Value {
        BoundForm::new(vec![
            BoundField::email("new_email", "New email address", typed).with_errors(self.email),
            BoundField::current_password("password", "Password").with_errors(self.password),
        ])
        .with_errors(self.other.map(Failure::message).into_iter().collect())
        .into_value()
    }
}
