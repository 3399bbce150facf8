//! The profile page: who one is to this gateway, what one may do, and the changing of what is one's
//! own to change.

use http::StatusCode;
use minijinja::value::merge_maps;
use minijinja::{Value, context};

use super::profile_form::{NameForm, ProfileForm};
use super::{Answer, PageRequest, Pages, answer, next};
use crate::accounts::{By, Command};
use crate::domain::message::Level;
use crate::domain::{Identity, NextPath, Permission, ProfileFields, User};
use crate::web::refusal::Refusal;
use crate::web::scope;

/// What is shown in the form besides its fields.
struct State<'s> {
    status: StatusCode,
    error: Option<String>,
    next: Option<&'s NextPath>,
}

impl Pages {
    /// GET: the visitor's account; a login is needed to see it.
    pub(super) fn profile_page(&self, request: &PageRequest) -> Answer {
        let Some(user) = request.visitor.user() else {
            return Ok(self.refuse(&Refusal::LogIn, &self.asked(request)));
        };
        let next = self.next(None, request.query());
        let declared = self.profile_fields();
        let fields = ProfileForm::of(editable(declared), &user.profile);
        let state = State { status: StatusCode::OK, error: None, next: next.as_ref() };
        self.profile_form(request, user, &NameForm::of(user), &fields, &state)
    }

    /// POST: changes names and the fields of the profile, all or none.
    pub(super) async fn change_profile(&self, request: &PageRequest) -> Answer {
        let Some(user) = request.identity().map(Identity::user) else {
            return Ok(self.refuse(&Refusal::LogIn, &self.asked(request)));
        };
        let form = self.submitted(request)?;
        let next = self.next(Some(&form), request.query());
        let declared = self.profile_fields();
        let (names, fields) = (NameForm::read(&form), ProfileForm::read(editable(declared), &form));
        let again = |status, error| {
            let state = State { status, error, next: next.as_ref() };
            self.profile_form(request, user, &names, &fields, &state)
        };
        if let Err(failure) = self.check_token(request, &form) {
            return again(StatusCode::FORBIDDEN, Some(failure.message()));
        }
        if !names.is_valid() || !fields.is_valid() {
            return again(StatusCode::OK, None);
        }
        let changes = [names.changes(user), fields.changes(&user.profile)].concat();
        if !changes.is_empty() {
            let command = Command::UserSet { username: user.username.clone(), changes };
            let by = By::User(user.clone());
            match self.state.directory.execute(command, &by, request.now).await {
                Ok(_) => {}
                Err(error) => {
                    return again(StatusCode::OK, Some(answer::objection(&error)?));
                }
            }
            self.tell(request, Level::Success, "Your profile was changed.").await;
        }
        Ok(answer::redirect(next.as_ref().map_or(&self.url("profile/"), |next| next.as_str())))
    }

    /// Where somebody goes who has logged in: to `next`, by way of the profile if something in it has
    /// to be filled in. That is asked for at each login and keeps nobody from going elsewhere: an
    /// application that cannot do without says so in a rule's `test`.
    pub(super) fn after_login_of(&self, user: &User, next: Option<&NextPath>) -> String {
        let place = self.after_login(next);
        match self.profile_fields() {
            Some(declared) if declared.lacks(&user.profile) => {
                next::address(&self.url("profile/"), NextPath::parse(&place).as_ref())
            }
            Some(_) | None => place,
        }
    }

    /// The fields that the file declares.
    pub(super) fn profile_fields(&self) -> Option<&ProfileFields> {
        self.settings.profile.as_deref()
    }

    fn profile_form(
        &self,
        request: &PageRequest,
        user: &User,
        names: &NameForm,
        fields: &ProfileForm<'_>,
        state: &State<'_>,
    ) -> Answer {
        let declared = self.profile_fields();
        let permissions: Vec<String> = user.permissions.iter().map(Permission::to_string).collect();
        // What staff fill in is shown all the same: it is about the user.
        let fixed: Vec<Value> = declared
            .into_iter()
            .flat_map(ProfileFields::iter)
            .filter(|field| !field.is_editable)
            .filter_map(|field| Some((field, user.profile.get(&field.name)?)))
            .map(|(field, value)| {
                let (label, kind) = (field.label.as_str(), field.kind.name());
                context! { label, value => value.as_str(), kind }
            })
            .collect();
        let form = context! {
            profile_fields => fields.scope(),
            errors => !names.is_valid() || !fields.is_valid() || state.error.is_some(),
            non_field_errors => state.error.iter().cloned().collect::<Vec<String>>(),
        };
        let names = context! {
            groups => scope::groups(&request.visitor),
            permissions => permissions,
            profile => scope::ProfileScope::of(&request.visitor),
            fixed_fields => fixed,
            is_incomplete => declared.is_some_and(|declared| declared.lacks(&user.profile)),
            next => state.next.map(NextPath::as_str).unwrap_or_default(),
            form => merge_maps([names.scope(), form]),
        };
        self.form_page(request, state.status, "profile.html", names)
    }
}

fn editable(
    declared: Option<&ProfileFields>,
) -> impl Iterator<Item = &crate::domain::ProfileField> {
    declared.into_iter().flat_map(ProfileFields::iter).filter(|field| field.is_editable)
}
