//! Choosing a password for somebody else: for superusers alone (OWASP ASVS 6.4.6 would have nobody
//! do it; somebody must be able to where there is no mail).

use http::StatusCode;
use minijinja::context;

use super::super::Answer;
use super::super::refusal::Notice;
use super::desk::{Desk, Stopped};
use crate::accounts::{Command, SeenUser};
use crate::domain::UserId;
use crate::domain::staff::ChangeUser;
use crate::web::form::Form;
use crate::web::refusal::Refusal;

impl Desk<'_> {
    /// GET: the form.
    pub(super) async fn password_page(&self, id: UserId) -> Answer {
        let seen = self.user_of_superuser(id).await?;
        self.password_form(&seen, StatusCode::OK, None)
    }

    /// POST: gives the user the password.
    pub(super) async fn choose_password(&self, id: UserId) -> Answer {
        let form = self.submitted()?;
        let seen = self.user_of_superuser(id).await?;
        match self.choose(&seen, &form).await {
            Ok(()) => {
                let name = &seen.user.username;
                let note = format!("The password of “{name}” was changed successfully.");
                Ok(self.go_to(&format!("users/{}/", id.0), Some(note)).await)
            }
            Err(Stopped::Notice(notice)) => Err(notice),
            Err(Stopped::Told(status, wrong)) => self.password_form(&seen, status, Some(wrong)),
        }
    }

    async fn user_of_superuser(&self, id: UserId) -> Result<SeenUser, Notice> {
        self.allowed::<ChangeUser>()?;
        if !self.staff.user().is_superuser {
            return Err(Notice::from(&Refusal::Denied));
        }
        self.seen_user(id).await
    }

    async fn choose(&self, seen: &SeenUser, form: &Form) -> Result<(), Stopped> {
        let password = form.value("password1").unwrap_or_default();
        if password != form.value("password2").unwrap_or_default() {
            let message = "The two password fields didn’t match.";
            return Err(Stopped::Told(StatusCode::OK, message.to_owned()));
        }
        self.confirm(form).await?;
        let (username, password) = (seen.user.username.clone(), password.to_owned().into());
        self.order(Command::UserSetPassword { username, password }).await?;
        self.pages.tell_of_new_password(&seen.user).await;
        Ok(())
    }

    fn password_form(&self, seen: &SeenUser, status: StatusCode, wrong: Option<String>) -> Answer {
        let page = format!("users/{}/", seen.user.id.0);
        let names = context! {
            wrong,
            name => &*seen.user.username,
            users_url => self.url("users/"),
            user_url => self.url(&page),
            password_url => self.url(&format!("{page}password/")),
        };
        self.show(status, "admin/password.html", names)
    }
}
