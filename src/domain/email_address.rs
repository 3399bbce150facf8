//! E-mail addresses, as far as their form goes.

use std::fmt;

/// An address of the form `name@domain`, the domain in lower case as Django's `normalize_email`
/// has it. Whether mail arrives there is not for its form to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailAddress {
    local: String,
    domain: String,
}

/// The text is not of the form `name@domain`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not of the form `name@example.org`")]
pub struct NotAnAddress;

impl EmailAddress {
    /// Reads an address. There is one `@` in it and nothing that could make two readers see two
    /// domains: quotes, brackets, commas, blanks (CVE-2026-40574).
    pub fn parse(text: &str) -> Result<Self, NotAnAddress> {
        let is_fit = |c: char| !c.is_whitespace() && !c.is_control() && !",;<>\"()\\".contains(c);
        match text.split_once('@') {
            Some((local, domain))
                if !local.is_empty()
                    && !domain.is_empty()
                    && !domain.contains('@')
                    && text.chars().all(is_fit) =>
            {
                Ok(Self { local: local.to_owned(), domain: domain.to_lowercase() })
            }
            Some(_) | None => Err(NotAnAddress),
        }
    }

    /// What stands after the `@`, in lower case.
    pub fn domain(&self) -> &str {
        &self.domain
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_domain_whoever_reads_it() {
        let address = EmailAddress::parse("Ada@Example.ORG").unwrap();
        assert_eq!(
            (address.to_string().as_str(), address.domain()),
            ("Ada@example.org", "example.org")
        );
        for bad in [
            "",
            "ada",
            "@",
            "a@",
            "@b",
            "x@evil.tld@corp.tld",
            "\"x@evil.tld\"@corp.tld",
            "x@evil.tld,y@corp.tld",
            "x@evil.tld\0@corp.tld",
            "x@evil.tld (@corp.tld)",
            "x@evil.tld\u{2028}@corp.tld",
            "<x@evil.tld>corp.tld",
            "x@evil.tld\\@corp.tld",
            "a b@c",
            "a@b\r\nBcc: c@d",
        ] {
            assert_eq!(EmailAddress::parse(bad), Err(NotAnAddress), "{bad:?}");
        }
    }
}
