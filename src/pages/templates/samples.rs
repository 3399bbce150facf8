//! What templates are tried with when they are loaded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use minijinja::value::merge_maps;
use minijinja::{Value, context};

use super::{of_mail, of_registration};
use crate::domain::{PasswordHash, Timestamp, User, UserId, Visitor};
use crate::pages::bound_form::BoundForm;
use crate::web::scope::{PermsScope, UserScope};

/// What every template is tried with when it is loaded, so that most mistakes are found then and
/// not by a visitor: as somebody sees it who is not logged in, and again with everything that can
/// be wrong, by somebody who is.
pub(super) fn samples() -> [Value; 2] {
    let nobody = Visitor::Anonymous;
    let perms = PermsScope::of(&nobody);
    let rest = context! {
        site => context! { name => "example.org", domain => "example.org" },
        groups => Vec::<String>::new(),
        permissions => Vec::<String>::new(),
        sessions => [context! { key => "0", device => "curl", address => "::1" }],
        fixed_fields => [context! { label => "Room", value => "7", kind => "number" }],
        status => 500,
        ..merge_maps([of_mail::sample(), of_registration::sample()])
    };
    let none = Vec::<String>::new();
    [
        context! {
            user => UserScope::of(&nobody), perms => perms.clone(),
            form => BoundForm::sample(&[]), messages => none, ..rest.clone()
        },
        context! {
            user => UserScope::known(&Arc::new(ada())), perms,
            form => BoundForm::sample(&["This field is required."]),
            messages => ["A message"], ..rest
        },
    ]
}

/// A user to try templates with.
fn ada() -> User {
    User {
        id: UserId(1),
        username: "ada".to_owned(),
        first_name: "Ada".to_owned(),
        last_name: "Lovelace".to_owned(),
        email: "ada@example.org".to_owned(),
        password: PasswordHash::from_encoded("!"),
        is_staff: true,
        is_active: true,
        is_superuser: true,
        last_login: Some(Timestamp::from_seconds(0)),
        date_joined: Timestamp::from_seconds(0),
        groups: Vec::new(),
        permissions: BTreeSet::new(),
        group_permissions: BTreeSet::new(),
        profile: BTreeMap::new(),
        has_messages: true,
    }
}
