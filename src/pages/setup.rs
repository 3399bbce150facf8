//! The first account: a link with a one-time token, printed when there is no user at all.

use std::sync::{Mutex, PoisonError};

use http::StatusCode;
use minijinja::{Value, context};
use subtle::ConstantTimeEq as _;

use super::bound_form::{BoundField, BoundForm};
use super::refusal::Notice;
use super::{Answer, PageRequest, Pages, State, answer};
use crate::accounts::{AccountsError, Attributes, NewUser, Weakness};
use crate::domain::audit::{Entry, Event};
use crate::domain::user::{UsernameError, normalize_username};
use crate::web::form::Form;
use crate::web::refusal::Refusal;

/// The token of the link, while it is good.
#[derive(Default)]
pub(super) struct Offer(Mutex<Option<String>>);

/// What was typed, and what is wrong with it.
#[derive(Default)]
struct Draft {
    username: String,
    email: String,
    password: String,
    repeated: String,
    wrong: Wrong,
}

#[derive(Default)]
struct Wrong {
    username: Vec<String>,
    repeated: Vec<String>,
    other: Vec<String>,
}

impl State {
    /// Makes the link to the page that creates the first superuser, if there is no user yet:
    /// its path below the prefix. `token` is random; the link is good until somebody used it.
    pub async fn offer_setup(&self, token: [u8; 32]) -> Result<Option<String>, AccountsError> {
        if self.directory.has_users().await? {
            return Ok(None);
        }
        let token: String = token.iter().map(|byte| format!("{byte:02x}")).collect();
        let path = format!("setup/{token}/");
        self.setup.replace(Some(token));
        Ok(Some(path))
    }
}

impl Offer {
    fn replace(&self, token: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = token;
    }

    fn is_for(&self, token: &str) -> bool {
        let offered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        offered.as_ref().is_some_and(|offered| offered.as_bytes().ct_eq(token.as_bytes()).into())
    }
}

impl Pages {
    /// GET and POST: the form, and the making of the account. A token that is not, or no longer,
    /// good has no page, as any other address that does not exist.
    pub(super) async fn set_up(&self, request: &PageRequest, token: &str, is_post: bool) -> Answer {
        if !self.state.setup.is_for(token) {
            return Err(Notice::from(&Refusal::NoSuchPage));
        }
        let directory = &self.state.directory;
        if directory.has_users().await.map_err(|error| answer::unavailable(&error.to_string()))? {
            self.state.setup.replace(None);
            return Err(Notice::from(&Refusal::NoSuchPage));
        }
        if !is_post {
            return self.setup_form(request, StatusCode::OK, &Draft::default());
        }
        let form = self.submitted(request)?;
        let mut draft = Draft::of(&form);
        if let Err(failure) = self.check_token(request, &form) {
            draft.wrong.other.push(failure.message());
            return self.setup_form(request, StatusCode::FORBIDDEN, &draft);
        }
        draft.check();
        if let Err(weaknesses) = directory.check_new_password(&draft.password, &draft.about()) {
            draft.wrong.repeated.extend(weaknesses.iter().map(Weakness::to_string));
        }
        if draft.is_wrong() {
            return self.setup_form(request, StatusCode::OK, &draft);
        }
        match directory.create_first_superuser(draft.new_user(), request.now).await {
            Ok(user) => {
                self.state.setup.replace(None);
                let entry = Entry::new(Event::Setup, request.now).from(request.address).of(&*user);
                self.state.directory.note(&entry);
                Ok(answer::redirect(&self.url("login/")))
            }
            Err(error) => {
                draft.wrong.other.push(answer::objection(&error)?);
                self.setup_form(request, StatusCode::OK, &draft)
            }
        }
    }

    fn setup_form(&self, request: &PageRequest, status: StatusCode, draft: &Draft) -> Answer {
        self.form_page(request, status, "setup.html", context! { form => draft.scope() })
    }
}

impl Draft {
    fn of(form: &Form) -> Self {
        let text = |name| form.value(name).unwrap_or_default().to_owned();
        Self {
            username: text("username").trim().to_owned(),
            email: text("email").trim().to_owned(),
            password: text("password1"),
            repeated: text("password2"),
            wrong: Wrong::default(),
        }
    }

    /// Finds what is wrong without asking anybody; how good the password is, the directory knows.
    fn check(&mut self) {
        match normalize_username(&self.username) {
            Ok(_) => {}
            Err(UsernameError::Empty) => {
                self.wrong.username.push("This field is required.".to_owned());
            }
            Err(error @ (UsernameError::TooLong(_) | UsernameError::Character(_))) => {
                self.wrong.username.push(answer::sentence(&error.to_string()));
            }
        }
        if self.password != self.repeated {
            self.wrong.repeated.push("The two passwords are not the same.".to_owned());
        }
    }

    fn is_wrong(&self) -> bool {
        !self.wrong.username.is_empty() || !self.wrong.repeated.is_empty()
    }

    fn new_user(&self) -> NewUser {
        NewUser {
            username: self.username.clone(),
            email: self.email.clone(),
            password: self.password.clone().into(),
            ..NewUser::default()
        }
    }

    fn about(&self) -> Attributes {
        Attributes {
            username: self.username.clone(),
            email: self.email.clone(),
            ..Attributes::default()
        }
    }

    fn scope(&self) -> Value {
        let wrong = &self.wrong;
        BoundForm::new(vec![
            BoundField::username(&self.username).with_errors(wrong.username.clone()),
            BoundField::email("email", "E-mail (optional)", &self.email).optional(),
            BoundField::new_password("password1", "Password"),
            BoundField::new_password("password2", "Password, once more")
                .with_errors(wrong.repeated.clone()),
        ])
        .with_errors(wrong.other.clone())
        .into_value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_offered_token_opens_the_page() {
        let offer = Offer::default();
        assert!(!offer.is_for(""));
        offer.replace(Some("abc".to_owned()));
        assert!(offer.is_for("abc"));
        for bad in ["", "ab", "abcd", "abd", "ABC"] {
            assert!(!offer.is_for(bad), "{bad}");
        }
        offer.replace(None);
        assert!(!offer.is_for("abc"));
    }

    #[test]
    fn a_draft_says_what_is_wrong_with_it() {
        let form = Form::of_query("username=a/b&password1=x&password2=y").unwrap();
        let mut draft = Draft::of(&form);
        draft.check();
        assert_eq!(draft.wrong.repeated, ["The two passwords are not the same."]);
        assert!(draft.wrong.username[0].starts_with("The username has the character '/' in it. "));
        let form = Form::of_query("username=+ada+&password1=x&password2=x").unwrap();
        let mut draft = Draft::of(&form);
        draft.check();
        assert!(!draft.is_wrong());
        assert_eq!(draft.new_user().username, "ada");
    }
}
