//! What applications are told of a visitor: identity headers, rendered once and kept.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, Weak};

use super::visitor::Caller;
use crate::domain::{SessionData, SessionKey, User, UserId, Visitor};
use crate::web::identity_headers::{IdentityHeaders, Rendered};
use crate::web::refusal::Refusal;

/// How many renderings a worker keeps before it starts afresh.
const CAPACITY: usize = 65_536;

/// A worker's renderings, each good as long as its user is unchanged and, where it depends on the
/// session, what applications keep in that.
#[derive(Default)]
pub(super) struct Cache {
    kept: HashMap<Key, Kept, foldhash::fast::RandomState>,
    nothing: Rc<Rendered>,
}

/// Which templates, for whom, and in which session where that makes a difference.
type Key = (usize, Option<UserId>, Option<SessionKey>);

struct Kept {
    user: Option<Arc<User>>,
    /// Data is never changed in place: while this is held, the same address means the same data. It
    /// keeps the address taken and not the data, which may be much.
    data: Option<Weak<SessionData>>,
    /// Kept so that no other templates can come to stand at the address in the key.
    _templates: Arc<IdentityHeaders>,
    rendered: Rc<Rendered>,
}

impl Cache {
    /// The headers for the caller: from memory if user and data are the very ones they were made
    /// for.
    pub(super) fn headers(
        &mut self,
        templates: &Arc<IdentityHeaders>,
        caller: &Caller,
    ) -> Result<Rc<Rendered>, Refusal> {
        let user = match &caller.visitor {
            Visitor::SignedIn(identity) => Some(identity.user()),
            Visitor::Guest(_) if templates.uses_session() => None,
            Visitor::Guest(_) | Visitor::Anonymous => return Ok(Rc::clone(&self.nothing)),
        };
        let session =
            caller.session_id.as_ref().filter(|_| templates.uses_session()).map(SessionKey::of);
        let data = session.and_then(|_| caller.visitor.data());
        let key = (Arc::as_ptr(templates).addr(), user.map(|user| user.id), session);
        if let Some(kept) = self.kept.get(&key)
            && kept.user.as_ref().map(Arc::as_ptr) == user.map(Arc::as_ptr)
            && kept.data.as_ref().map(Weak::as_ptr) == data.map(Arc::as_ptr)
        {
            return Ok(Rc::clone(&kept.rendered));
        }
        let rendered = templates
            .render(&caller.visitor, session)
            .map(Rc::new)
            .map_err(|error| Refusal::Broken(error.to_string()))?;
        if self.kept.len() >= CAPACITY {
            self.kept.clear();
        }
        let kept = Kept {
            user: user.cloned(),
            data: data.map(Arc::downgrade),
            _templates: Arc::clone(templates),
            rendered: Rc::clone(&rendered),
        };
        self.kept.insert(key, kept);
        Ok(rendered)
    }
}
