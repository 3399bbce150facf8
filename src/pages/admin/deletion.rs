//! Deleting a user or a group: a page that says what goes with it, and asks for the own password
//! where somebody loses an account.

use http::StatusCode;
use minijinja::context;

use super::super::Answer;
use super::super::refusal::Notice;
use super::desk::{Desk, Stopped, done};
use crate::accounts::{Command, SeenGroup, SeenUser};
use crate::domain::UserId;
use crate::domain::staff::{DeleteGroup, DeleteUser};
use crate::web::refusal::Refusal;

/// What is asked before something is deleted.
struct Question<'q> {
    kind: &'static str,
    name: &'q str,
    consequences: Vec<String>,
    list: &'static str,
    page: String,
    asks_for_password: bool,
}

impl Desk<'_> {
    /// GET: asks.
    pub(super) async fn user_deletion_page(&self, id: UserId) -> Answer {
        self.allowed::<DeleteUser>()?;
        let seen = self.user_to_delete(id).await?;
        self.ask(&of_user(&seen), StatusCode::OK, None)
    }

    /// POST: deletes the user.
    pub(super) async fn delete_user(&self, id: UserId) -> Answer {
        self.allowed::<DeleteUser>()?;
        let form = self.submitted()?;
        let seen = self.user_to_delete(id).await?;
        let outcome = match self.confirm(&form).await {
            Ok(()) => {
                let username = seen.user.username.clone();
                self.order(Command::UserDelete { username }).await
            }
            Err(stopped) => Err(stopped),
        };
        match outcome {
            Ok(()) => {
                let note = done("user", &seen.user.username, "deleted");
                Ok(self.go_to("users/", Some(note)).await)
            }
            Err(Stopped::Notice(notice)) => Err(notice),
            Err(Stopped::Told(status, wrong)) => self.ask(&of_user(&seen), status, Some(wrong)),
        }
    }

    /// GET: asks.
    pub(super) async fn group_deletion_page(&self, id: i64) -> Answer {
        self.allowed::<DeleteGroup>()?;
        let seen = self.seen_group(id).await?;
        self.ask(&of_group(&seen), StatusCode::OK, None)
    }

    /// POST: deletes the group.
    pub(super) async fn delete_group(&self, id: i64) -> Answer {
        self.allowed::<DeleteGroup>()?;
        let _proves_the_token_alone = self.submitted()?;
        let seen = self.seen_group(id).await?;
        match self.order(Command::GroupDelete { name: seen.name.clone() }).await {
            Ok(()) => Ok(self.go_to("groups/", Some(done("group", &seen.name, "deleted"))).await),
            Err(Stopped::Notice(notice)) => Err(notice),
            Err(Stopped::Told(status, wrong)) => self.ask(&of_group(&seen), status, Some(wrong)),
        }
    }

    /// The user, if this member of staff may look at him or her and delete what is found.
    async fn user_to_delete(&self, id: UserId) -> Result<SeenUser, Notice> {
        let seen = self.seen_user(id).await?;
        match self.staff.has_power_over(&seen.user) {
            true => Ok(seen),
            false => Err(Notice::from(&Refusal::Denied)),
        }
    }

    fn ask(&self, question: &Question<'_>, status: StatusCode, wrong: Option<String>) -> Answer {
        let names = context! {
            wrong,
            kind => question.kind,
            name => question.name,
            consequences => question.consequences.clone(),
            list_title => if question.kind == "user" { "Users" } else { "Groups" },
            list_url => self.url(question.list),
            object_url => self.url(&question.page),
            delete_url => self.url(&format!("{}delete/", question.page)),
            asks_for_password => question.asks_for_password,
        };
        self.show(status, "admin/delete_confirmation.html", names)
    }
}

fn of_user(seen: &SeenUser) -> Question<'_> {
    let user = &seen.user;
    let mut consequences = vec![
        "The sessions end at once, and whatever is open in them.".to_owned(),
        "The profile, memberships and permissions go too.".to_owned(),
        "The name can be taken by somebody else, whom applications may take for the same person."
            .to_owned(),
    ];
    if user.is_active {
        consequences
            .push("To keep somebody out, it is enough to deactivate the account.".to_owned());
    }
    Question {
        kind: "user",
        name: &user.username,
        consequences,
        list: "users/",
        page: format!("users/{}/", user.id.0),
        asks_for_password: true,
    }
}

fn of_group(seen: &SeenGroup) -> Question<'_> {
    let members = match (seen.members.len(), seen.has_more_members) {
        (0, _) => "It has no members.".to_owned(),
        (1, false) => "Its one member loses what it gives.".to_owned(),
        (number, false) => format!("Its {number} members lose what it gives."),
        (number, true) => format!("Its members, more than {number}, lose what it gives."),
    };
    Question {
        kind: "group",
        name: &seen.name,
        consequences: vec![members],
        list: "groups/",
        page: format!("groups/{}/", seen.id),
        asks_for_password: false,
    }
}
