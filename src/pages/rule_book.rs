//! The rules in force, as the administration shows them and asks them.

use crate::domain::Rules;
use crate::domain::host::HostPattern;

/// Every site with its rules.
#[derive(Debug, Clone, Default)]
pub struct RuleBook {
    /// In the order of the file; the top level comes last.
    pub sites: Vec<RulesOfSite>,
}

/// One site.
#[derive(Debug, Clone)]
pub struct RulesOfSite {
    /// The hosts that it answers for; `None` for every other host.
    pub hosts: Option<HostPattern>,
    /// Who may pass where.
    pub rules: Rules,
    /// Where permitted requests go, by the number of a rule's route.
    pub upstreams: Vec<String>,
}

impl RuleBook {
    /// The site that answers for `host`: one of that name, else the longest `*.` that fits, else
    /// the top level.
    pub(super) fn site_for(&self, host: &str) -> Option<&RulesOfSite> {
        self.sites
            .iter()
            .filter_map(|site| {
                let fit = site.hosts.as_ref().map_or(Some(0), |pattern| pattern.fits(host))?;
                Some((fit, site))
            })
            .max_by_key(|(fit, _)| *fit)
            .map(|(_, site)| site)
    }
}

impl RulesOfSite {
    /// What the site is called.
    pub(super) fn name(&self) -> String {
        self.hosts.as_ref().map_or_else(|| "every other host".to_owned(), ToString::to_string)
    }
}
