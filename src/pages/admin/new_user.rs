//! Adding a user.
//!
//! Superusers may give a password. Others create an account without one: whoever it is for gets a
//! password by mail, so that nobody else ever knows it.

use http::StatusCode;
use minijinja::context;

use super::super::Answer;
use super::super::refusal::Notice;
use super::choices::{Choice, of_groups, shown};
use super::desk::{Desk, Stopped, done, unavailable};
use crate::accounts::{Command, NewUser};
use crate::domain::staff::{AddUser, ViewUser};
use crate::web::form::Form;

impl Desk<'_> {
    /// GET: the empty form.
    pub(super) async fn new_user_page(&self) -> Answer {
        self.allowed::<AddUser>()?;
        self.new_user_form(StatusCode::OK, None, None).await
    }

    /// POST: creates the user.
    pub(super) async fn add_user(&self) -> Answer {
        self.allowed::<AddUser>()?;
        let form = self.submitted()?;
        match self.create(&form).await {
            Ok(username) => self.after_adding(&username).await,
            Err(Stopped::Notice(notice)) => Err(notice),
            Err(Stopped::Told(status, wrong)) => {
                self.new_user_form(status, Some(&form), Some(wrong)).await
            }
        }
    }

    async fn create(&self, form: &Form) -> Result<String, Stopped> {
        let text = |name: &str| form.value(name).unwrap_or_default().trim().to_owned();
        let list = |name: &str| form.values(name).map(str::to_owned).collect::<Vec<_>>();
        let password = form.value("password1").unwrap_or_default();
        if password != form.value("password2").unwrap_or_default() {
            let message = "The two password fields didn’t match.";
            return Err(Stopped::Told(StatusCode::OK, message.to_owned()));
        }
        let new = NewUser {
            username: text("username"),
            first_name: text("first_name"),
            last_name: text("last_name"),
            email: text("email"),
            password: password.to_owned().into(),
            unusable_password: password.is_empty(),
            is_staff: form.value("is_staff").is_some(),
            is_superuser: form.value("is_superuser").is_some(),
            groups: list("groups"),
            permissions: list("permissions"),
            ..NewUser::default()
        };
        if new.is_superuser && self.staff.user().is_superuser {
            self.confirm(form).await?;
        }
        let username = new.username.clone();
        self.order(Command::UserCreate(new)).await?;
        Ok(username)
    }

    /// The page of the new user, for whoever may see it.
    async fn after_adding(&self, username: &str) -> Answer {
        let note = Some(done("user", username, "added"));
        if self.may::<ViewUser>()
            && let Ok((id, _)) = self.pages.state.directory.find(username).await
        {
            return Ok(self.go_to(&format!("users/{}/", id.0), note).await);
        }
        Ok(self.go_to("", note).await)
    }

    async fn new_user_form(
        &self,
        status: StatusCode,
        typed: Option<&Form>,
        wrong: Option<String>,
    ) -> Answer {
        let groups = self.groups_for_new_user().await?;
        let permissions = self.permission_choices().await?;
        let ticked =
            |field: &'static str| typed.into_iter().flat_map(|form| form.values(field)).collect();
        let value = |name: &str| typed.and_then(|form| form.value(name)).unwrap_or_default();
        let field = |name: &str, label: &str, kind: &str| {
            let limit = if kind == "email" { 254 } else { 150 };
            let is_required = name == "username";
            context! { name, label, kind, value => value(name), limit, is_required }
        };
        let is_superuser = self.staff.user().is_superuser;
        let flag = |name: &str, label: &str, about: &str| {
            let is_ticked = is_superuser && typed.is_some_and(|form| form.value(name).is_some());
            context! { name, label, about, is_ticked, is_locked => !is_superuser }
        };
        let names = context! {
            wrong,
            fields => [
                field("username", "Username", "text"),
                field("first_name", "First name", "text"),
                field("last_name", "Last name", "text"),
                field("email", "E-mail address", "email"),
            ],
            flags => [
                flag("is_staff", "Staff", "May enter this administration."),
                flag("is_superuser", "Superuser", "Has every permission without being given any."),
            ],
            groups => shown(&groups, &ticked("groups"), false),
            permissions => shown(&permissions, &ticked("permissions"), false),
            is_superuser,
            users_url => self.url("users/"),
        };
        self.show(status, "admin/add_user.html", names)
    }

    /// Groups to put a new user into; nothing is told of them to whoever may not see users.
    async fn groups_for_new_user(&self) -> Result<Vec<Choice>, Notice> {
        let Ok(allowed) = self.staff.may::<ViewUser>() else { return Ok(Vec::new()) };
        let groups = self.pages.state.directory.groups_to_choose(&allowed).await;
        Ok(of_groups(&self.staff, &groups.map_err(|error| unavailable(&error))?))
    }
}
