//! The profile page: who one is to this gateway, and what one may do.

use http::StatusCode;
use minijinja::context;

use super::{Answer, PageRequest, Pages};
use crate::domain::Permission;
use crate::web::refusal::Refusal;
use crate::web::scope;

impl Pages {
    /// GET: the visitor's account; a login is needed to see it.
    pub(super) fn profile_page(&self, request: &PageRequest) -> Answer {
        let Some(user) = request.visitor.user() else {
            return Ok(self.refuse(&Refusal::LogIn, &self.asked(request)));
        };
        let permissions: Vec<String> = user.permissions.iter().map(Permission::to_string).collect();
        let names = context! {
            groups => scope::groups(&request.visitor),
            permissions => permissions,
            profile => scope::ProfileScope::of(&request.visitor),
        };
        self.form_page(request, StatusCode::OK, "profile.html", names)
    }
}
