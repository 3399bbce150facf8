//! The templates of letters, and of the pages that send them.

use minijinja::{Value, context};

/// A template's name with its text.
macro_rules! of_mail {
    ($name:literal) => {
        (concat!("registration/", $name), include_str!(concat!("registration/", $name)))
    };
}

/// Under Django's names where Django has them. A letter has a subject, `…_subject.txt`, and a text,
/// `…_email.html`.
pub(super) const OF_MAIL: [(&str, &str); 16] = [
    of_mail!("password_reset_form.html"),
    of_mail!("password_reset_done.html"),
    of_mail!("password_reset_confirm.html"),
    of_mail!("password_reset_complete.html"),
    of_mail!("password_reset_subject.txt"),
    of_mail!("password_reset_email.html"),
    of_mail!("password_changed_subject.txt"),
    of_mail!("password_changed_email.html"),
    of_mail!("email_change_form.html"),
    of_mail!("email_change_done.html"),
    of_mail!("email_change_confirm.html"),
    of_mail!("email_change_complete.html"),
    of_mail!("email_change_subject.txt"),
    of_mail!("email_change_email.html"),
    of_mail!("email_changed_subject.txt"),
    of_mail!("email_changed_email.html"),
];

/// Whether a template is a letter's: plain text, in which nothing is escaped. Django's
/// `password_reset_email.html` switches that off itself, and is plain text in spite of its name.
pub(super) fn is_letter(name: &str) -> bool {
    name.ends_with("_email.html") || name.ends_with(".txt")
}

/// What these templates are tried with when they are loaded.
pub(super) fn sample() -> Value {
    context! {
        email => "ada@example.org",
        new_email => "ada@example.com",
        username => "ada",
        validlink => true,
        reset_url => "https://example.org/accounts/reset/MQ/token/",
        confirm_url => "https://example.org/accounts/email_change/MQ/YQ/token/",
        password_reset_url => "https://example.org/accounts/password_reset/",
        uid => "MQ",
        token => "token",
        site_name => "example.org",
        domain => "example.org",
        protocol => "https",
    }
}
