//! Swapping the policy of a running gateway: all of it, or nothing.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tokio::sync::Mutex;

use crate::accounts::Directory;
use crate::domain::Timestamp;
use crate::gateway::{self, Gateway, Policy};
use crate::mail::{self, Outbox};
use crate::pages::{self, Pages, TemplateError};
use crate::sessions;
use crate::upstream::Applications;

/// What of the file can be changed while the gateway runs.
#[derive(Debug, Clone)]
pub struct Reloadable {
    /// Sites, rules and upstreams.
    pub gateway: gateway::Settings,
    /// Sessions and their cookie.
    pub sessions: sessions::Settings,
    /// The gateway's own pages.
    pub pages: pages::Settings,
    /// How mail is sent, if it is.
    pub mail: Option<mail::Settings>,
}

/// Reads the file again and runs its tests; the error is the text for the operator.
pub type Reload = Arc<dyn Fn(Arc<Directory>) -> Reloading + Send + Sync>;

/// A file being read.
pub type Reloading = Pin<Box<dyn Future<Output = Result<Reloadable, String>> + Send>>;

impl Reloadable {
    /// Compiles the policy, or says what is wrong with a template.
    pub(super) fn compile(
        self,
        state: &Arc<pages::State>,
        applications: &Applications,
    ) -> Result<Policy, TemplateError> {
        let pages = Pages::new(self.pages, self.sessions.clone(), Arc::clone(state))?;
        let pages = pages.with_rules(self.gateway.rule_book());
        Ok(Policy::new(self.gateway, self.sessions, pages, applications))
    }
}

/// The one place where a running gateway's policy is changed.
pub(super) struct Reloader {
    read: Reload,
    gateway: Arc<Gateway>,
    state: Arc<pages::State>,
    applications: Applications,
    outbox: Arc<Outbox>,
    one_at_a_time: Mutex<()>,
    succeeded: AtomicBool,
}

impl Reloader {
    pub(super) fn new(
        read: Reload,
        gateway: Arc<Gateway>,
        state: Arc<pages::State>,
        applications: Applications,
        outbox: Arc<Outbox>,
    ) -> Self {
        Self {
            read,
            gateway,
            state,
            applications,
            outbox,
            one_at_a_time: Mutex::new(()),
            succeeded: AtomicBool::new(true),
        }
    }

    /// Reads the file and swaps the policy; when anything is wrong, the old one stays, and the
    /// log and the caller are told.
    pub(super) async fn reload(&self) -> Result<(), String> {
        let _turn = self.one_at_a_time.lock().await;
        let read = (self.read)(Arc::clone(&self.gateway.directory)).await;
        let compiled = read.and_then(|reloadable| {
            let (mail, profile) = (reloadable.mail.clone(), reloadable.pages.profile.clone());
            let policy = reloadable.compile(&self.state, &self.applications);
            let policy = policy.map_err(|error| error.to_string())?;
            // Last, because it is in force at once.
            self.outbox.set_up(mail.as_ref()).map_err(|error| error.to_string())?;
            Ok((policy, profile))
        });
        self.succeeded.store(compiled.is_ok(), Relaxed);
        match compiled {
            Ok((policy, profile)) => {
                self.gateway.directory.declare_profile(profile);
                self.gateway.enforce(policy);
                tracing::info!("the configuration was read again and is in force");
                Ok(())
            }
            Err(problems) => {
                tracing::warn!("reload refused, the old configuration stays in force:\n{problems}");
                Err(problems)
            }
        }
    }

    /// Whether the last reload was taken, or none was asked for.
    pub(super) fn succeeded(&self) -> bool {
        self.succeeded.load(Relaxed)
    }

    /// Where letters wait.
    pub(super) fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// What the pages keep over a reload.
    pub(super) fn pages(&self) -> &Arc<pages::State> {
        &self.state
    }

    /// Forgets what is too old to matter.
    pub(super) fn sweep(&self, now: Timestamp) {
        self.state.sweep(now);
    }
}
