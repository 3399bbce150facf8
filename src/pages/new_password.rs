//! What forms say of a new password: beforehand, and when it is not taken.

use super::Pages;
use crate::accounts::{Attributes, Weakness};
use crate::domain::User;

impl Pages {
    /// What is wrong with a new password of this user, in Django's words; nothing if it is taken.
    pub(super) fn weaknesses(&self, password: &str, user: &User) -> Vec<String> {
        let found = self.state.directory.check_new_password(password, &Attributes::from(user));
        found.err().iter().flatten().map(Weakness::to_string).collect()
    }

    /// What stands beside the field, as Django's `password_validators_help_texts`.
    pub(super) fn new_password_help(&self) -> String {
        self.state.directory.validators().help_texts().join(" ")
    }
}
