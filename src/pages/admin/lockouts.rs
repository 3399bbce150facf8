//! Who is locked out after failures, and letting them in again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use http::StatusCode;
use minijinja::{Value, context};
use serde_json::json;

use super::super::login::in_words;
use super::super::{Answer, Lift, LockedOut, Scope};
use super::desk::{Desk, Stopped};
use super::number;
use crate::accounts::{By, Deed};
use crate::domain::UserId;
use crate::domain::staff::{Allowed, ChangeLockout, ViewUser};
use crate::web::form::Form;

/// How many are shown: those that wait longest.
const MOST: usize = 200;

impl Desk<'_> {
    /// GET: who is locked out at this gateway.
    pub(super) fn lockouts_page(&self) -> Answer {
        self.list_lockouts(StatusCode::OK, None)
    }

    /// POST: lets those in again whom the button names.
    pub(super) async fn lift_lockout(&self) -> Answer {
        let allowed = self.allowed::<ChangeLockout>()?;
        let form = self.submitted()?;
        match self.lift(&allowed, &form).await {
            Ok(note) => Ok(self.go_to("lockouts/", Some(note)).await),
            Err(Stopped::Notice(notice)) => Err(notice),
            Err(Stopped::Told(status, wrong)) => self.list_lockouts(status, Some(wrong)),
        }
    }

    /// Who is locked out, for the page and for the number on the first one.
    pub(super) fn locked_out(&self, _allowed: &Allowed<ChangeLockout>) -> Vec<LockedOut> {
        self.pages.state.locked_out(self.request.now)
    }

    /// Whether this user is locked out somewhere, as far as this member of staff may know.
    pub(super) fn is_locked_out(&self, user: UserId) -> bool {
        let is_of = |one: &LockedOut| one.user.as_ref().is_some_and(|(id, _)| *id == user);
        self.staff.may().is_ok_and(|allowed| self.locked_out(&allowed).iter().any(is_of))
    }

    async fn lift(&self, allowed: &Allowed<ChangeLockout>, form: &Form) -> Result<String, Stopped> {
        let Some(lift) = self.meant(allowed, form).await? else {
            let message = "There is no such lockout. It may be over already.";
            return Err(Stopped::Told(StatusCode::NOT_FOUND, message.to_owned()));
        };
        let (by, now) = (By::User(Arc::clone(self.staff.user())), self.request.now);
        let lifted = self.pages.state.lift(&lift, &by, now).len();
        let (id, whom) = match lift {
            Lift::User(id, name) => (Some(id.0), name),
            Lift::Address(address) => (None, address.to_string()),
            Lift::All => (None, "everybody".to_owned()),
        };
        let note = match lifted {
            0 => format!("“{whom}” was not locked out any more. The failures are forgotten."),
            1 => format!("One lockout of “{whom}” was lifted."),
            number => format!("{number} lockouts of “{whom}” were lifted."),
        };
        if lifted > 0 {
            let deed = Deed {
                action: "lift",
                kind: "lockout",
                object_id: id,
                object: whom,
                changes: BTreeMap::from([("lockouts".to_owned(), [json!(lifted), json!(0)])]),
            };
            self.pages.state.directory.write_down(allowed, &by, deed, now).await?;
        }
        Ok(note)
    }

    /// Whom the form means; `None` if there is nobody of that kind.
    async fn meant(
        &self,
        allowed: &Allowed<ChangeLockout>,
        form: &Form,
    ) -> Result<Option<Lift>, Stopped> {
        if form.value("do") == Some("all") {
            return Ok(Some(Lift::All));
        }
        if let Some(address) = form.value("address") {
            let address = address.strip_suffix("/64").unwrap_or(address);
            return Ok(address.parse().ok().map(Lift::Address));
        }
        let Some(id) = form.value("user").and_then(number).map(UserId) else { return Ok(None) };
        // Failures are counted by the name that was typed, which may have been changed since.
        let counted = self.locked_out(allowed).into_iter().filter_map(|one| one.user);
        if let Some((id, name)) = counted.into_iter().find(|(of, _)| *of == id) {
            return Ok(Some(Lift::User(id, name)));
        }
        let mut names = self.pages.state.directory.usernames(BTreeSet::from([id])).await?;
        Ok(names.remove(&id).map(|name| Lift::User(id, name)))
    }

    fn list_lockouts(&self, status: StatusCode, wrong: Option<String>) -> Answer {
        let list = self.locked_out(&self.allowed::<ChangeLockout>()?);
        let names = context! {
            wrong,
            lockouts => list.iter().take(MOST).map(|one| self.lockout(one)).collect::<Vec<_>>(),
            more => list.len().saturating_sub(MOST),
            lockouts_url => self.url("lockouts/"),
        };
        self.show(status, "admin/lockouts.html", names)
    }

    /// A lockout as the template sees it.
    fn lockout(&self, one: &LockedOut) -> Value {
        let user = one.user.as_ref();
        let url = user.filter(|_| self.may::<ViewUser>());
        context! {
            user => user.map(|(_, name)| &**name),
            user_id => user.map(|(id, _)| id.0),
            user_url => url.map(|(id, _)| self.url(&format!("users/{}/", id.0))),
            nobody => match one.scope {
                Scope::Address => "every account",
                Scope::AccountFromAddress | Scope::Account | Scope::KnownBrowser => {
                    "a name that nobody has"
                }
            },
            address => one.shown_address(),
            place => match one.scope {
                Scope::KnownBrowser => "a browser that is known",
                Scope::AccountFromAddress | Scope::Address | Scope::Account => {
                    "browsers that are not known"
                }
            },
            failures => one.failures,
            failed_at => one.failed_at.seconds(),
            wait => in_words(one.until.since(self.request.now)),
        }
    }
}
