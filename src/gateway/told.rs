//! What applications are told of a visitor: identity headers, rendered once and kept.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::visitor::Caller;
use crate::domain::{SessionKey, User, UserId, Visitor};
use crate::web::identity_headers::{IdentityHeaders, Rendered};
use crate::web::refusal::Refusal;

/// How many renderings a worker keeps before it starts afresh.
const CAPACITY: usize = 65_536;

/// A worker's renderings, each good as long as its user is unchanged.
#[derive(Default)]
pub(super) struct Cache {
    kept: HashMap<Key, Kept, foldhash::fast::RandomState>,
    nothing: Rc<Rendered>,
}

/// Which templates, for whom, and in which session where that makes a difference.
type Key = (usize, UserId, Option<SessionKey>);

struct Kept {
    user: Arc<User>,
    /// Kept so that no other templates can come to stand at the address in the key.
    _templates: Arc<IdentityHeaders>,
    rendered: Rc<Rendered>,
}

impl Cache {
    /// The headers for the caller: from memory if the user is the very one they were made for.
    pub(super) fn headers(
        &mut self,
        templates: &Arc<IdentityHeaders>,
        caller: &Caller,
    ) -> Result<Rc<Rendered>, Refusal> {
        let Visitor::SignedIn(identity) = &caller.visitor else {
            return Ok(Rc::clone(&self.nothing));
        };
        let session =
            caller.session_id.as_ref().filter(|_| templates.uses_session()).map(SessionKey::of);
        let key = (Arc::as_ptr(templates).addr(), identity.user().id, session);
        if let Some(kept) = self.kept.get(&key)
            && Arc::ptr_eq(&kept.user, identity.user())
        {
            return Ok(Rc::clone(&kept.rendered));
        }
        let rendered = templates
            .render(&caller.visitor)
            .map(Rc::new)
            .map_err(|error| Refusal::Broken(error.to_string()))?;
        if self.kept.len() >= CAPACITY {
            self.kept.clear();
        }
        let kept = Kept {
            user: Arc::clone(identity.user()),
            _templates: Arc::clone(templates),
            rendered: Rc::clone(&rendered),
        };
        self.kept.insert(key, kept);
        Ok(rendered)
    }
}
