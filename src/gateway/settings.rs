//! The policy as resolved from the file: sites, their rules, and what each rule leads to.

use std::sync::Arc;

use ipnet::IpNet;

use crate::domain::Rules;
pub use crate::domain::host::HostPattern;
use crate::pages::{RuleBook, RulesOfSite};
use crate::upstream;
use crate::web::identity_headers::IdentityHeaders;

/// Everything that a reload swaps about who may go where.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The sites with a name of their own, `[sites."…"]`.
    pub sites: Vec<(HostPattern, Site)>,
    /// The site for every other host; `None` when the file's top level has no `upstream`.
    pub default_site: Option<Site>,
    /// The applications; [`ApplicationId`](crate::domain::rule::ApplicationId) counts into it.
    pub upstreams: Vec<upstream::Settings>,
    /// Proxies whose `X-Forwarded-*` is believed; `server.trusted_proxies`.
    pub trusted_proxies: Vec<IpNet>,
    /// Every name that an identity header has anywhere in the file, to be removed everywhere.
    pub identity_header_names: Vec<String>,
}

/// One site: its rules and what they lead to.
#[derive(Debug, Clone)]
pub struct Site {
    /// Who may pass where.
    pub rules: Rules,
    /// What a rule's [`RouteId`](crate::domain::rule::RouteId) stands for.
    pub routes: Vec<Route>,
}

/// What a rule leads to, with everything inherited already filled in.
#[derive(Debug, Clone)]
pub struct Route {
    /// The rule's key, for logs.
    pub rule: String,
    /// Which of [`Settings::upstreams`] permitted requests go to.
    pub application: usize,
    /// Where visitors are sent to log in: a path of this site or an absolute URL, without `next`.
    pub login_url: String,
    /// The largest body a request may have, in bytes; `None` for any.
    pub max_body_size: Option<u64>,
    /// The headers that tell the application who is asking.
    pub identity: Arc<IdentityHeaders>,
}

impl Settings {
    /// The sites and rules, for the administration to show.
    pub fn rule_book(&self) -> RuleBook {
        let upstream = |route: &Route| {
            let upstream = self.upstreams.get(route.application);
            upstream.map(|upstream| upstream.name.clone()).unwrap_or_default()
        };
        let of_site = |hosts: Option<&HostPattern>, site: &Site| RulesOfSite {
            hosts: hosts.cloned(),
            rules: site.rules.clone(),
            upstreams: site.routes.iter().map(upstream).collect(),
        };
        let named = self.sites.iter().map(|(hosts, site)| of_site(Some(hosts), site));
        let top = self.default_site.iter().map(|site| of_site(None, site));
        RuleBook { sites: named.chain(top).collect() }
    }
}
