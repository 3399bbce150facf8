//! Which hosts a site answers for.

use std::fmt;

/// The hosts that a site answers for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// One host, in lower case, without a port or a dot at the end.
    Exact(String),
    /// Every host below a domain: `example.org` for `*.example.org`.
    Below(String),
}

impl HostPattern {
    /// How well the pattern fits `host`, which is in lower case and without a port: the best fit
    /// answers. `None` when it does not fit.
    pub fn fits(&self, host: &str) -> Option<usize> {
        match self {
            Self::Exact(name) => (name == host).then_some(usize::MAX),
            Self::Below(domain) => host
                .strip_suffix(domain.as_str())
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
                .then_some(domain.len()),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => f.write_str(host),
            Self::Below(domain) => write!(f, "*.{domain}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_best_and_a_domain_fits_what_is_below_it() {
        let below = HostPattern::Below("example.org".to_owned());
        assert_eq!(below.fits("a.example.org"), Some(11));
        assert_eq!(below.fits("example.org"), None);
        assert_eq!(below.fits(".example.org"), None);
        assert_eq!(below.fits("badexample.org"), None);
        let exact = HostPattern::Exact("a.example.org".to_owned());
        assert!(exact.fits("a.example.org") > below.fits("a.example.org"));
        assert_eq!(below.to_string(), "*.example.org");
    }
}
