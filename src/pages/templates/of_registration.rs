//! The templates of registration, and of its letters.

use minijinja::{Value, context};

/// A template's name with its text.
macro_rules! of_registration {
    ($name:literal) => {
        (concat!("registration/", $name), include_str!(concat!("registration/", $name)))
    };
}

/// A letter has a subject, `…_subject.txt`, and a text, `…_email.html`.
pub(super) const OF_REGISTRATION: [(&str, &str); 12] = [
    of_registration!("register.html"),
    of_registration!("register_done.html"),
    of_registration!("register_closed.html"),
    of_registration!("register_confirm.html"),
    of_registration!("register_confirm_subject.txt"),
    of_registration!("register_confirm_email.html"),
    of_registration!("register_taken_subject.txt"),
    of_registration!("register_taken_email.html"),
    of_registration!("register_approved_subject.txt"),
    of_registration!("register_approved_email.html"),
    of_registration!("register_rejected_subject.txt"),
    of_registration!("register_rejected_email.html"),
];

/// What these templates are tried with when they are loaded.
pub(super) fn sample() -> Value {
    context! {
        username => "ada",
        email => "ada@example.org",
        is_invited => true,
        waits_for => "confirmation",
        reason => "closed",
        confirm_url => "https://example.org/accounts/register/confirm/1/token/",
        register_url => "/accounts/register/",
    }
}
