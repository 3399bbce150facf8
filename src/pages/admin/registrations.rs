//! New accounts that wait to be let in, and what staff decide about them.

use http::StatusCode;
use minijinja::{Value, context};

use super::super::Answer;
use super::super::answer;
use super::super::refusal::Notice;
use super::desk::{Desk, Stopped, seconds};
use super::number;
use crate::accounts::{Command, RegistrationRecord, Reply};
use crate::domain::staff::{ChangeUser, DeleteUser, ViewUser};
use crate::web::refusal::Refusal;

/// How many are shown: those that wait longest.
const MOST: usize = 100;

impl Desk<'_> {
    /// GET: those that wait.
    pub(super) async fn registrations_page(&self) -> Answer {
        self.list_registrations(StatusCode::OK, None).await
    }

    /// POST: what the button says: to approve of somebody, or to turn somebody down.
    pub(super) async fn decide_registration(&self) -> Answer {
        self.allowed::<ViewUser>()?;
        let form = self.submitted()?;
        // By number, for the name may have become free and another's since the page was shown.
        let id = form.value("user").and_then(number);
        let outcome = match form.value("do") {
            Some("approve") => {
                self.allowed::<ChangeUser>()?;
                self.approve(id).await
            }
            Some("reject") => {
                self.allowed::<DeleteUser>()?;
                self.reject(id).await
            }
            Some(_) | None => return Err(Notice::from(&Refusal::NoSuchPage)),
        };
        match outcome {
            Ok(note) => Ok(self.go_to("registrations/", Some(note)).await),
            Err(Stopped::Notice(notice)) => Err(notice),
            Err(Stopped::Told(status, wrong)) => self.list_registrations(status, Some(wrong)).await,
        }
    }

    /// Lets somebody in, and says what was done.
    async fn approve(&self, id: Option<i64>) -> Result<String, Stopped> {
        let username = self.waiting(id).await?.username;
        let command = Command::RegistrationApprove { username: username.clone() };
        let when = if let Reply::Decided(decided) = self.carry_out(command).await? {
            self.pages.tell_applicant(&decided).await;
            "now"
        } else {
            "after confirming the e-mail address"
        };
        Ok(format!("“{username}” was approved, and can log in {when}."))
    }

    /// Turns somebody down, and says what was done.
    async fn reject(&self, id: Option<i64>) -> Result<String, Stopped> {
        let username = self.waiting(id).await?.username;
        let command = Command::RegistrationReject { username: username.clone() };
        if let Reply::Decided(decided) = self.carry_out(command).await? {
            self.pages.tell_applicant(&decided).await;
        }
        Ok(format!("“{username}” was rejected, and the account was deleted."))
    }

    async fn waiting(&self, id: Option<i64>) -> Result<RegistrationRecord, Stopped> {
        let found = self.registrations().await?.into_iter().find(|one| Some(one.id) == id);
        found.ok_or_else(|| {
            let message = "This account does not wait any more.";
            Stopped::Told(StatusCode::NOT_FOUND, message.to_owned())
        })
    }

    /// All that wait, the oldest first.
    pub(super) async fn registrations(&self) -> Result<Vec<RegistrationRecord>, Notice> {
        self.allowed::<ViewUser>()?;
        match self.carry_out(Command::RegistrationList {}).await {
            Ok(Reply::Registrations(list)) => Ok(list),
            Ok(_) => Err(answer::unavailable("a list of registrations had another reply")),
            Err(Stopped::Notice(notice)) => Err(notice),
            // The right was lost in between.
            Err(Stopped::Told(..)) => Err(Notice::from(&Refusal::Denied)),
        }
    }

    async fn list_registrations(&self, status: StatusCode, wrong: Option<String>) -> Answer {
        let list = self.registrations().await?;
        let row = |one: &RegistrationRecord| {
            context! {
                id => one.id,
                username => &*one.username,
                url => self.url(&format!("users/{}/", one.id)),
                email => &*one.email,
                waits_for_confirmation => one.waits_for.confirmation,
                waits_for_approval => one.waits_for.approval,
                registered => seconds(&one.registered),
                address => &*one.address,
            }
        };
        let names = context! {
            wrong,
            registrations => list.iter().take(MOST).map(row).collect::<Vec<Value>>(),
            more => list.len().saturating_sub(MOST),
            can_approve => self.may::<ChangeUser>(),
            can_reject => self.may::<DeleteUser>(),
            registrations_url => self.url("registrations/"),
        };
        self.show(status, "admin/registrations.html", names)
    }
}
