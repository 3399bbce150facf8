//! The page of one group: its name, what it gives, and who is in it.

use http::StatusCode;
use minijinja::{Value, context};

use super::super::Answer;
use super::super::refusal::Notice;
use super::choices::{Chosen, shown};
use super::desk::{Desk, Stopped, done, unavailable};
use crate::accounts::{Command, GroupEdit, Named, SeenGroup};
use crate::domain::staff::{AddMessage, ChangeGroup, ChangeUser, DeleteGroup, ViewGroup, ViewUser};
use crate::web::form::Form;
use crate::web::refusal::Refusal;

impl Desk<'_> {
    /// GET: the group.
    pub(super) async fn group_page(&self, id: i64) -> Answer {
        let seen = self.seen_group(id).await?;
        self.show_group(&seen, StatusCode::OK, None, None).await
    }

    /// POST: what the button says: to save, to add a member or to remove one.
    pub(super) async fn change_group(&self, id: i64) -> Answer {
        let form = self.submitted()?;
        let seen = self.seen_group(id).await?;
        let name = &seen.name;
        let user = form.value("user").unwrap_or_default().trim();
        let (outcome, note) = match form.value("do").unwrap_or("save") {
            "add" => {
                let (name, users) = (name.clone(), vec![user.to_owned()]);
                let note = format!("“{user}” was added to the group “{name}”.");
                (self.order(Command::GroupAdd { name, users }).await, note)
            }
            "remove" => {
                let (name, users) = (name.clone(), vec![user.to_owned()]);
                let note = format!("“{user}” was removed from the group “{name}”.");
                (self.order(Command::GroupRemove { name, users }).await, note)
            }
            _ => {
                let new_name = form.value("name").unwrap_or(name).trim().to_owned();
                let note = done("group", &new_name, "changed");
                (self.save_group(&seen, &form, new_name).await, note)
            }
        };
        match outcome {
            Ok(()) => Ok(self.go_to(&format!("groups/{id}/"), Some(note)).await),
            Err(Stopped::Notice(notice)) => Err(notice),
            Err(Stopped::Told(status, wrong)) => {
                let typed = (status != StatusCode::CONFLICT).then_some(&form);
                self.show_group(&seen, status, typed, Some(wrong)).await
            }
        }
    }

    async fn save_group(
        &self,
        seen: &SeenGroup,
        form: &Form,
        new_name: String,
    ) -> Result<(), Stopped> {
        self.allowed::<ChangeGroup>()?;
        let choices = self.permission_choices().await?;
        let chosen = Chosen::of(form, "permissions", &choices, &seen.permissions);
        let edit = GroupEdit {
            name: seen.name.clone(),
            seen: form.value("seen").unwrap_or_default().to_owned(),
            new_name,
            grant: chosen.added,
            revoke: chosen.removed,
        };
        self.order(Command::GroupEdit(edit)).await
    }

    /// The group with this number, or the page that says there is none.
    pub(super) async fn seen_group(&self, id: i64) -> Result<SeenGroup, Notice> {
        let allowed = self.allowed::<ViewGroup>()?;
        let found = self.pages.state.directory.look_at_group(&allowed, id).await;
        found.map_err(|error| unavailable(&error))?.ok_or(Notice::from(&Refusal::NoSuchPage))
    }

    async fn show_group(
        &self,
        seen: &SeenGroup,
        status: StatusCode,
        typed: Option<&Form>,
        wrong: Option<String>,
    ) -> Answer {
        let choices = self.permission_choices().await?;
        let holds_all = seen.permissions.iter().all(|name| self.staff.may_give(name));
        let can_change = holds_all && self.may::<ChangeGroup>();
        let gives = seen.permissions.iter().filter_map(|name| name.parse().ok()).collect();
        let can_give = self.staff.may_give_group(&seen.name, &gives);
        let ticked = match typed.filter(|form| form.value("do").is_none()) {
            Some(form) => form.values("permissions").collect(),
            None => seen.permissions.iter().map(String::as_str).collect(),
        };
        let member = |member: &Named| {
            let url = self.may::<ViewUser>().then(|| self.url(&format!("users/{}/", member.id)));
            context! { name => &*member.name, url => url.map_or(Value::from(()), Value::from) }
        };
        let page = format!("groups/{}/", seen.id);
        let members = form_urlencoded::Serializer::new(String::new())
            .append_pair("group", &seen.name)
            .finish();
        let names = context! {
            wrong,
            seen => &*seen.version,
            group => &*seen.name,
            name => typed.and_then(|form| form.value("name")).unwrap_or(&seen.name),
            permissions => shown(&choices, &ticked, !can_change),
            members => seen.members.iter().map(member).collect::<Vec<_>>(),
            has_more_members => seen.has_more_members,
            members_url => self.url(&format!("users/?{members}")),
            can_change,
            gives_more => !holds_all,
            can_change_members => can_give && self.may::<ChangeUser>(),
            message_url => self.may::<AddMessage>().then(|| self.url(&format!("messages/?{members}"))),
            can_delete => holds_all && self.may::<DeleteGroup>(),
            group_url => self.url(&page),
            groups_url => self.url("groups/"),
            delete_url => self.url(&format!("{page}delete/")),
        };
        self.show(status, "admin/group.html", names)
    }
}
