//! The page of one user: everything about the account, and what can be done to it.

use http::StatusCode;
use minijinja::{Value, context};

use super::super::refusal::Notice;
use super::super::{Answer, answer};
use super::choices::of_groups;
use super::desk::{Desk, Stopped, done, unavailable};
use super::{log, messages, sessions, user_form, user_profile};
use crate::accounts::{Change, Command, LogQuery, SeenUser, UserEdit};
use crate::domain::UserId;
use crate::domain::message::MessageText;
use crate::domain::staff::{ChangeUser, DeleteSession, DeleteUser, ViewLog, ViewSession, ViewUser};
use crate::web::form::Form;
use crate::web::refusal::Refusal;
use crate::web::scope::UserScope;

/// How many changes are shown beside a user.
const CHANGES: usize = 10;

impl Desk<'_> {
    /// GET: the user.
    pub(super) async fn user_page(&self, id: UserId) -> Answer {
        let seen = self.seen_user(id).await?;
        self.show_user(&seen, StatusCode::OK, None, None).await
    }

    /// POST: what the button says: to save, to activate or deactivate, to take the password away.
    pub(super) async fn change_user(&self, id: UserId) -> Answer {
        self.allowed::<ChangeUser>()?;
        let form = self.submitted()?;
        let seen = self.seen_user(id).await?;
        let name = &seen.user.username;
        let wish = form.value("do").unwrap_or("save");
        let outcome = match wish {
            "activate" => self.set_active(&seen, &form, true).await,
            "deactivate" => self.set_active(&seen, &form, false).await,
            "no_password" => {
                let username = name.clone();
                self.order(Command::UserSetUnusablePassword { username }).await
            }
            "reset" => self.start_reset(&seen).await,
            _ => self.save(&seen, &form).await,
        };
        let what = match wish {
            "activate" => "activated",
            "deactivate" => "deactivated",
            "no_password" => {
                let note = format!("The password of “{name}” was taken away.");
                return self.after(outcome, &seen, &form, note).await;
            }
            "reset" => {
                let note = format!("“{name}” was sent a link to choose a password.");
                return self.after(outcome, &seen, &form, note).await;
            }
            _ => "changed",
        };
        let name = form.value("username").filter(|_| what == "changed").unwrap_or(name);
        self.after(outcome, &seen, &form, done("user", name.trim(), what)).await
    }

    async fn after(
        &self,
        outcome: Result<(), Stopped>,
        seen: &SeenUser,
        form: &Form,
        note: String,
    ) -> Answer {
        match outcome {
            Ok(()) => Ok(self.go_to(&format!("users/{}/", seen.user.id.0), Some(note)).await),
            Err(Stopped::Notice(notice)) => Err(notice),
            Err(Stopped::Told(status, wrong)) => {
                // Of what somebody else has changed, the newest is shown: to save it again is then
                // a decision.
                let typed = (status != StatusCode::CONFLICT).then_some(form);
                self.show_user(seen, status, typed, Some(wrong)).await
            }
        }
    }

    async fn save(&self, seen: &SeenUser, form: &Form) -> Result<(), Stopped> {
        let groups = self.group_choices().await?;
        let permissions = self.permission_choices().await?;
        let mut edit = user_form::edit(
            form,
            seen,
            self.pages.profile_fields(),
            &self.staff,
            &groups,
            &permissions,
        );
        if edit.seen != seen.version {
            // What differs now is not what the visitor has changed; the command says so.
            edit = UserEdit {
                id: edit.id,
                username: edit.username,
                seen: edit.seen,
                ..UserEdit::default()
            };
        } else if user_form::is_empty(&edit) {
            return Ok(());
        } else if user_form::is_sensitive(&edit, &seen.user, &self.staff) {
            self.confirm(form).await?;
        }
        let new = edit.changes.iter().find_map(|change| match change {
            Change::Email(new) => Some(new.clone()),
            Change::Username(_)
            | Change::FirstName(_)
            | Change::LastName(_)
            | Change::IsActive(_)
            | Change::IsStaff(_)
            | Change::IsSuperuser(_)
            | Change::Profile { .. } => None,
        });
        self.order(Command::UserEdit(edit)).await?;
        if let (Some(new), Some(letters)) = (new, self.pages.letters()) {
            // Whoever reads mail there learns of it, whoever has ordered it (OWASP ASVS 6.3.6).
            let user = &seen.user;
            let names = context! {
                user => UserScope::known(user),
                email => &*user.email,
                new_email => new,
            };
            letters.tell(&user.email, "email_changed", names).await;
        }
        Ok(())
    }

    async fn set_active(
        &self,
        seen: &SeenUser,
        form: &Form,
        is_active: bool,
    ) -> Result<(), Stopped> {
        let edit = UserEdit {
            id: seen.user.id.0,
            username: seen.user.username.clone(),
            seen: form.value("seen").unwrap_or_default().to_owned(),
            changes: vec![Change::IsActive(is_active)],
            ..UserEdit::default()
        };
        self.order(Command::UserEdit(edit)).await
    }

    /// The user with this number, or the page that says there is none.
    pub(super) async fn seen_user(&self, id: UserId) -> Result<SeenUser, Notice> {
        let allowed = self.allowed::<ViewUser>()?;
        let found = self.pages.state.directory.look_at_user(&allowed, id).await;
        found
            .map_err(|error| answer::unavailable(&error.to_string()))?
            .ok_or(Notice::from(&Refusal::NoSuchPage))
    }

    async fn group_choices(&self) -> Result<Vec<super::choices::Choice>, Notice> {
        let allowed = self.allowed::<ViewUser>()?;
        let groups = self.pages.state.directory.groups_to_choose(&allowed).await;
        Ok(of_groups(&self.staff, &groups.map_err(|error| unavailable(&error))?))
    }

    async fn show_user(
        &self,
        seen: &SeenUser,
        status: StatusCode,
        typed: Option<&Form>,
        wrong: Option<String>,
    ) -> Answer {
        let (user, details) = (&seen.user, &seen.details);
        let declared = self.pages.profile_fields();
        let has_power = self.staff.has_power_over(user);
        let can_change = has_power && self.may::<ChangeUser>();
        let (groups, permissions) = (self.group_choices().await?, self.permission_choices().await?);
        let page = format!("users/{}/", user.id.0);
        let names = context! {
            account => self.account(seen),
            wrong,
            seen => &*seen.version,
            fields => user_form::fields(user, declared, typed),
            profile => declared.map(|declared| user_profile::shown(declared, user, typed)),
            flags => user_form::flags(user, &self.staff, typed),
            groups => user_form::boxes(&groups, "groups", &user.groups, typed, !can_change),
            permissions => user_form::boxes(
                &permissions, "permissions", &details.permissions, typed, !can_change,
            ),
            group_permissions => details.group_permissions.clone(),
            can_change,
            holds_more => !has_power && self.may::<ChangeUser>(),
            can_delete => has_power && self.may::<DeleteUser>(),
            can_reset => can_change && self.can_reset(seen),
            can_choose_password => self.staff.user().is_superuser,
            user_url => self.url(&page),
            users_url => self.url("users/"),
            delete_url => self.url(&format!("{page}delete/")),
            password_url => self.url(&format!("{page}password/")),
            sessions => self.sessions_of(user.id).await?,
            can_end_sessions => self.may::<DeleteSession>(),
            lockouts_url => self.url("lockouts/"),
            admin_sessions_url => self.url("sessions/"),
            waiting => self.messages_of(&user.username).await?,
            levels => messages::levels(),
            longest => MessageText::MAX,
            messages_url => self.url("messages/"),
            changes => self.changes_of(user.id).await?,
            log_url => self.url(&format!("log/?kind=user&id={}", user.id.0)),
        };
        self.show(status, "admin/user.html", names)
    }

    /// What is shown of the account above the form. It is not called `user`: that is who looks.
    fn account(&self, seen: &SeenUser) -> Value {
        let user = &seen.user;
        context! {
            id => user.id.0,
            username => &*user.username,
            name => user.get_full_name(),
            is_active => user.is_active,
            is_staff => user.is_staff,
            is_superuser => user.is_superuser,
            is_locked_out => self.is_locked_out(user.id),
            is_own => user.id == self.staff.user().id,
            has_password => user.password.is_usable(),
            date_joined => user.date_joined.seconds(),
            last_login => user.last_login.map(|at| at.seconds()),
        }
    }

    /// The user's sessions, if this member of staff may see them.
    async fn sessions_of(&self, id: UserId) -> Result<Value, Notice> {
        if !self.may::<ViewSession>() {
            return Ok(Value::from(()));
        }
        let found = self.pages.state.sessions.of_user(id).await;
        let found = found.map_err(|error| answer::no_sessions(&error))?;
        Ok(Value::from(sessions::newest_first(self, found)))
    }

    /// The last changes of the user, if this member of staff may see them.
    async fn changes_of(&self, id: UserId) -> Result<Value, Notice> {
        let Ok(allowed) = self.staff.may::<ViewLog>() else { return Ok(Value::from(())) };
        let query = LogQuery {
            kind: Some("user".to_owned()),
            object_id: Some(id.0),
            ..LogQuery::default()
        };
        let page = self.pages.state.directory.browse_log(&allowed, query).await;
        let page = page.map_err(|error| unavailable(&error))?;
        let entries = page.entries.iter().take(CHANGES).map(|entry| log::shown(self, entry));
        Ok(Value::from(entries.collect::<Vec<_>>()))
    }
}
