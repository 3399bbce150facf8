//! Messages to users and groups: sending them, and what waits for a user.

use http::StatusCode;
use minijinja::{Value, context};

use super::super::Answer;
use super::super::answer;
use super::super::refusal::Notice;
use super::desk::{Desk, Stopped, seconds, unavailable};
use super::number;
use crate::accounts::{Command, Holder, MessageRecord, Reply};
use crate::domain::message::{Level, MessageText};
use crate::domain::staff::{AddMessage, ViewUser};
use crate::web::form::Form;

impl Desk<'_> {
    /// GET: the form, for whom the address says, and what waits for a user.
    pub(super) async fn messages_page(&self) -> Answer {
        self.message_form(StatusCode::OK, None, None).await
    }

    /// POST: sends a message.
    pub(super) async fn send_message(&self) -> Answer {
        self.allowed::<AddMessage>()?;
        let form = self.submitted()?;
        let back = form.value("back").and_then(number).filter(|_| self.may::<ViewUser>());
        match self.send(&form).await {
            Ok(note) => {
                let page = back.map(|id| format!("users/{id}/"));
                Ok(self.go_to(page.as_deref().unwrap_or("messages/"), Some(note)).await)
            }
            Err(Stopped::Notice(notice)) => Err(notice),
            Err(Stopped::Told(status, wrong)) => {
                self.message_form(status, Some(&form), Some(wrong)).await
            }
        }
    }

    /// Sends the message that the form has, and says to whom.
    async fn send(&self, form: &Form) -> Result<String, Stopped> {
        let field = |name: &str| form.value(name).map(str::trim).filter(|value| !value.is_empty());
        let wrong = |message: &str| Err(Stopped::Told(StatusCode::OK, message.to_owned()));
        let (to, note) = match (field("user"), field("group")) {
            (Some(user), None) => {
                (Holder::User(user.to_owned()), format!("A message was sent to “{user}”."))
            }
            (None, Some(group)) => {
                let note = format!("A message was sent to the group “{group}”.");
                (Holder::Group(group.to_owned()), note)
            }
            (Some(_), Some(_)) => return wrong("Send it to a user or to a group, not to both."),
            (None, None) => return wrong("Say to which user or group it goes."),
        };
        let text = field("text").unwrap_or_default().to_owned();
        let level = field("level").unwrap_or(Level::default().name()).to_owned();
        self.order(Command::MessageSend { to, text, level }).await?;
        Ok(note)
    }

    /// What waits for a user; `None` if there is no such user.
    async fn messages_for(&self, username: &str) -> Result<Option<Vec<MessageRecord>>, Notice> {
        let username = username.to_owned();
        match self.carry_out(Command::MessageList { username }).await {
            Ok(Reply::Messages(list)) => Ok(Some(list)),
            Ok(_) => Err(answer::unavailable("a list of messages had another reply")),
            Err(Stopped::Notice(notice)) => Err(notice),
            Err(Stopped::Told(..)) => Ok(None),
        }
    }

    /// The same for a user's page, if this member of staff may see them.
    pub(super) async fn messages_of(&self, username: &str) -> Result<Value, Notice> {
        if !self.may::<AddMessage>() {
            return Ok(Value::from(()));
        }
        let list = self.messages_for(username).await?.unwrap_or_default();
        Ok(list.iter().map(shown).collect())
    }

    async fn message_form(
        &self,
        status: StatusCode,
        typed: Option<&Form>,
        wrong: Option<String>,
    ) -> Answer {
        self.allowed::<AddMessage>()?;
        let whose = self.asked_for("of");
        let waiting = match &whose {
            Some(name) => self.messages_for(name).await?,
            None => None,
        };
        let field = |name: &str| match typed {
            Some(form) => form.value(name).unwrap_or_default().to_owned(),
            None => self.asked_for(name).unwrap_or_default(),
        };
        let group = field("group");
        let names = context! {
            wrong,
            to_user => field("user"),
            groups => self.groups_to_tell(&group).await?,
            to_group => group,
            text => field("text"),
            level => field("level"),
            levels => levels(),
            longest => MessageText::MAX,
            back => typed.and_then(|form| form.value("back")),
            is_unknown => whose.is_some() && waiting.is_none(),
            whose,
            waiting => waiting.map(|list| list.iter().map(shown).collect::<Vec<_>>()),
            messages_url => self.url("messages/"),
        };
        self.show(status, "admin/messages.html", names)
    }

    /// The groups to choose from, for those who may know which there are; others type a name.
    async fn groups_to_tell(&self, chosen: &str) -> Result<Option<Vec<Value>>, Notice> {
        let Ok(allowed) = self.staff.may::<ViewUser>() else { return Ok(None) };
        let groups = self.pages.state.directory.groups_to_choose(&allowed).await;
        let groups = groups.map_err(|error| unavailable(&error))?;
        let one = |name: &str| context! { name, is_chosen => name == chosen };
        Ok(Some(groups.iter().map(|group| one(&group.name)).collect()))
    }
}

/// The levels to choose from.
pub(super) fn levels() -> Vec<&'static str> {
    Level::ALL.map(Level::name).to_vec()
}

/// A message as templates see it.
fn shown(message: &MessageRecord) -> Value {
    context! {
        level => &*message.level,
        text => &*message.text,
        created => seconds(&message.created),
    }
}
