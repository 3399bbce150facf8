//! What was typed into the registration form, and what is wrong with it, in Django's words.

use minijinja::Value;

use super::WayIn;
use crate::accounts::Attributes;
use crate::domain::email_address::EmailAddress;
use crate::domain::reserved::is_reserved;
use crate::domain::user::{NotByTheBook, UsernameError, UsernameRule, normalize_username};
use crate::pages::bound_form::{BoundField, BoundForm};
use crate::pages::login::Failure;
use crate::pages::password_change::{MISMATCH, REQUIRED, VERIFICATION};
use crate::pages::settings::Registration;
use crate::web::form::Form;

/// Django's `UnicodeUsernameValidator`.
const BAD_USERNAME: &str = "Enter a valid username. This value may contain only letters, numbers, \
                            and @/./+/-/_ characters.";
/// The same under the rule of the Django Book.
const BY_THE_BOOK: &str =
    "Enter a valid username. This value may contain only letters, numbers and underscores.";
/// Django's `unique` of the user name.
const TAKEN: &str = "A user with that username already exists.";
/// As `django-registration` has it.
const RESERVED: &str = "This name is reserved and cannot be registered.";
/// Django's `EmailValidator`.
const BAD_EMAIL: &str = "Enter a valid email address.";

/// No `Debug`, for there is a password in it.
#[derive(Default)]
pub(super) struct Draft {
    /// Normalized, or as it was typed when it cannot be a user name.
    username: String,
    email: String,
    password: String,
    /// The address is that of the invitation.
    is_settled: bool,
    is_invited: bool,
    needs_email: bool,
    wrong: Wrong,
}

#[derive(Default)]
struct Wrong {
    username: Vec<String>,
    email: Vec<String>,
    password: Vec<String>,
    repeated: Vec<String>,
}

impl Draft {
    /// An empty form.
    pub(super) fn new(way_in: &WayIn, rules: &Registration) -> Self {
        let invitation = match way_in {
            WayIn::Open => None,
            WayIn::Invited(invitation) => Some(invitation),
        };
        let email = invitation.map(|invitation| invitation.email.clone()).unwrap_or_default();
        let is_settled = !email.is_empty();
        Self {
            email,
            is_settled,
            is_invited: invitation.is_some(),
            needs_email: !is_settled && (rules.confirm_email || !rules.domains.is_empty()),
            ..Self::default()
        }
    }

    /// What was sent, with all that is wrong with it without asking anybody.
    pub(super) fn of(form: &Form, way_in: &WayIn, rules: &Registration) -> Self {
        let text = |name| form.value(name).unwrap_or_default();
        let mut draft = Self::new(way_in, rules);
        draft.read_username(text("username").trim());
        if !draft.is_settled {
            draft.read_email(text("email").trim(), &rules.domains);
        }
        draft.read_passwords(text("password1"), text("password2"));
        draft
    }

    fn read_username(&mut self, typed: &str) {
        let (username, wrong) = match normalize_username(typed) {
            Ok(name) if is_reserved(&name) => (name, Some(RESERVED.to_owned())),
            Ok(name) => (name, None),
            Err(UsernameError::Empty) => (String::new(), Some(REQUIRED.to_owned())),
            Err(UsernameError::TooLong(length)) => {
                let wrong =
                    format!("Ensure this value has at most 150 characters (it has {length}).");
                (typed.to_owned(), Some(wrong))
            }
            Err(UsernameError::Character(_)) => (typed.to_owned(), Some(BAD_USERNAME.to_owned())),
        };
        self.username = username;
        self.wrong.username.extend(wrong);
    }

    /// The domain is compared as a whole, after the address was taken apart: whatever else may
    /// stand in it does not make it another's (CVE-2026-40574).
    fn read_email(&mut self, typed: &str, domains: &[String]) {
        typed.clone_into(&mut self.email);
        if typed.is_empty() {
            self.wrong.email.extend(self.needs_email.then(|| REQUIRED.to_owned()));
            return;
        }
        if typed.chars().count() > 254 {
            self.wrong.email.push(BAD_EMAIL.to_owned());
            return;
        }
        match EmailAddress::parse(typed) {
            Ok(address)
                if domains.is_empty() || domains.iter().any(|it| it == address.domain()) =>
            {
                self.email = address.to_string();
            }
            Ok(_) => {
                let wrong = format!("Use an address at {}.", domains.join(" or "));
                self.wrong.email.push(wrong);
            }
            Err(_) => self.wrong.email.push(BAD_EMAIL.to_owned()),
        }
    }

    fn read_passwords(&mut self, first: &str, second: &str) {
        let required = |text: &str| text.is_empty().then(|| REQUIRED.to_owned());
        self.wrong.password.extend(required(first));
        self.wrong.repeated.extend(required(second));
        if !first.is_empty() && !second.is_empty() && first != second {
            self.wrong.repeated.push(MISMATCH.to_owned());
        }
        first.clone_into(&mut self.password);
    }

    pub(super) fn username(&self) -> &str {
        &self.username
    }

    pub(super) fn email(&self) -> &str {
        &self.email
    }

    pub(super) fn password(&self) -> &str {
        &self.password
    }

    /// Whether the address is that of the invitation, and not one that was typed.
    pub(super) fn is_settled(&self) -> bool {
        self.is_settled
    }

    pub(super) fn is_invited(&self) -> bool {
        self.is_invited
    }

    /// The user name, if it could be one.
    pub(super) fn name_to_look_for(&self) -> Option<&str> {
        self.wrong.username.is_empty().then_some(&*self.username)
    }

    /// The same, if such names are given to users at all.
    pub(super) fn check_name(&mut self, rule: UsernameRule) {
        if let Some(Err(error)) = self.name_to_look_for().map(|name| rule.allows(name)) {
            let wrong = match error {
                NotByTheBook::TooLong(length) => {
                    format!("Ensure this value has at most 30 characters (it has {length}).")
                }
                NotByTheBook::Character(_) => BY_THE_BOOK.to_owned(),
            };
            self.wrong.username.push(wrong);
        }
    }

    /// What a password may not be like.
    pub(super) fn about(&self) -> Attributes {
        let (username, email) = (self.username.clone(), self.email.clone());
        Attributes { username, email, ..Attributes::default() }
    }

    pub(super) fn name_is_taken(&mut self) {
        self.wrong.username.push(TAKEN.to_owned());
    }

    pub(super) fn password_is_bad(&mut self, complaint: String) {
        self.wrong.repeated.push(complaint);
    }

    /// Whether the two passwords are there and the same.
    pub(super) fn has_password(&self) -> bool {
        self.wrong.password.is_empty() && self.wrong.repeated.is_empty()
    }

    pub(super) fn is_wrong(&self) -> bool {
        let Wrong { username, email, password, repeated } = &self.wrong;
        [username, email, password, repeated].into_iter().any(|errors| !errors.is_empty())
    }

    /// Django's `UserCreationForm`, with the address.
    pub(super) fn form(&self, failure: Option<Failure>) -> Value {
        let wrong = &self.wrong;
        let email = BoundField::email("email", "E-mail address", &self.email)
            .with_errors(wrong.email.clone());
        let email = match (self.is_settled, self.needs_email) {
            (true, _) => email.read_only(),
            (false, true) => email,
            (false, false) => email.optional().explained("Optional."),
        };
        BoundForm::new(vec![
            BoundField::username(&self.username)
                .explained("150 characters or fewer. Letters, digits and @/./+/-/_ only.")
                .with_errors(wrong.username.clone()),
            email,
            BoundField::new_password("password1", "Password").with_errors(wrong.password.clone()),
            BoundField::new_password("password2", "Password confirmation")
                .explained(VERIFICATION)
                .with_errors(wrong.repeated.clone()),
        ])
        .with_errors(failure.map(Failure::message).into_iter().collect())
        .into_value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(query: &str, domains: &[&str]) -> Draft {
        let domains = domains.iter().map(|&domain| domain.to_owned()).collect();
        let rules = Registration { domains, ..Registration::default() };
        Draft::of(&Form::of_query(query).unwrap(), &WayIn::Open, &rules)
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let empty = draft("", &[]);
        assert_eq!(empty.wrong.username, [REQUIRED]);
        assert_eq!(empty.wrong.password, [REQUIRED]);
        assert_eq!(empty.wrong.repeated, [REQUIRED]);
        assert!(empty.wrong.email.is_empty());
        let wrong = draft("username=a/b&email=x&password1=a&password2=b", &[]);
        assert_eq!(wrong.wrong.username, [BAD_USERNAME]);
        assert_eq!(wrong.wrong.email, [BAD_EMAIL]);
        assert_eq!(wrong.wrong.repeated, [MISMATCH]);
        assert_eq!(draft("username=Admin", &[]).wrong.username, [RESERVED]);
    }

    #[test]
    fn user_names_are_normalized_before_anybody_is_asked() {
        let typed = draft("username=+%EF%AC%81ona+", &[]);
        assert_eq!(typed.name_to_look_for(), Some("fiona"));
    }

    #[test]
    fn only_an_address_of_the_very_domain_is_one_of_it() {
        let ours = ["corp.example", "example.org"];
        let good = draft("email=Ada@Example.ORG", &ours);
        assert_eq!((good.email(), good.wrong.email.len()), ("Ada@example.org", 0));
        assert_eq!(draft("", &ours).wrong.email, [REQUIRED]);
        for bad in [
            "x@evil.example",
            "x@notexample.org",
            "x@sub.example.org",
            "x@example.org.evil.example",
            "x@evil.example@example.org",
            "\"x@evil.example\"@example.org",
            "x@evil.example,y@example.org",
            "x@evil.example%00@example.org",
            "x@ex%EF%BD%81mple.org",
            "x@example.org.",
        ] {
            let draft = draft(&format!("email={bad}"), &ours);
            assert!(!draft.wrong.email.is_empty(), "{bad}");
        }
    }
}
