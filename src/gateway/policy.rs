//! What a reload swaps: every decision and every text that the file determines.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::settings::{HostPattern, Settings, Site};
use crate::pages::Pages;
use crate::sessions;
use crate::upstream::{Application, Applications};
use crate::web::forwarding::{CookieNames, StrippedNames};
use crate::web::refusal::Refusal;

/// The file's sites and rules, compiled; a request sees one policy from its beginning to its end.
pub struct Policy {
    sites: HashMap<String, Arc<Site>, foldhash::fast::RandomState>,
    domains: Vec<(String, Arc<Site>)>,
    default_site: Option<Arc<Site>>,
    /// Applications, by the number that routes have.
    pub applications: Vec<Application>,
    /// Proxies whose `X-Forwarded-*` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Headers that no client may send to an application.
    pub stripped: Arc<StrippedNames>,
    /// The session cookie's name, and the one that an application's own is renamed to.
    pub cookies: CookieNames,
    /// How sessions live, and their cookie.
    pub sessions: sessions::Settings,
    /// The gateway's own pages.
    pub pages: Pages,
}

impl Policy {
    /// Compiles `settings`; `applications` keeps the servers' numbers over reloads.
    pub fn new(
        settings: Settings,
        sessions: sessions::Settings,
        pages: Pages,
        applications: &Applications,
    ) -> Self {
        let mut sites = HashMap::default();
        let mut domains = Vec::new();
        for (pattern, site) in settings.sites {
            match pattern {
                HostPattern::Exact(host) => {
                    sites.insert(host, Arc::new(site));
                }
                HostPattern::Below(domain) => domains.push((format!(".{domain}"), Arc::new(site))),
            }
        }
        // The narrowest domain first: `*.b.example.org` before `*.example.org`.
        domains.sort_by_key(|(domain, _)| std::cmp::Reverse(domain.len()));
        Self {
            sites,
            domains,
            default_site: settings.default_site.map(Arc::new),
            applications: settings
                .upstreams
                .into_iter()
                .map(|upstream| applications.number(upstream))
                .collect(),
            trusted_proxies: settings.trusted_proxies,
            stripped: Arc::new(StrippedNames::new(
                settings.identity_header_names.iter().map(String::as_str),
            )),
            cookies: CookieNames::new(&sessions.cookie.name),
            sessions,
            pages,
        }
    }

    /// The site that answers for `host`, which is in lower case and without a port.
    pub fn site(&self, host: &str) -> Result<&Site, Refusal> {
        let named = || self.sites.get(host);
        let below =
            || self.domains.iter().find(|(domain, _)| host.ends_with(domain)).map(|(_, site)| site);
        let found = if self.sites.is_empty() && self.domains.is_empty() {
            self.default_site.as_ref()
        } else {
            named().or_else(below).or(self.default_site.as_ref())
        };
        found.map(|site| &**site).ok_or(Refusal::UnknownSite)
    }

    /// Whether the peer at `address` is a proxy whose word is believed.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(&address))
    }
}
