//! Addresses as letters need them: nothing in one can end a header or name a second recipient.

use std::fmt;
use std::str::FromStr;

/// One e-mail address, `name@example.org`, of 254 bytes at most (RFC 5321, section 4.5.3.1.3).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address(lettre::Address);

/// An address with the name that mail programs show, `Site <noreply@example.org>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox(lettre::message::Mailbox);

/// The text is not an e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not an e-mail address\nhint: write `name@example.org`")]
pub struct NotAnAddress;

const MAX_LENGTH: usize = 254;

impl Address {
    /// The part behind the `@`.
    pub fn domain(&self) -> &str {
        self.0.domain()
    }

    /// The address as it is written.
    pub fn as_str(&self) -> &str {
        self.0.as_ref()
    }

    pub(super) fn inner(&self) -> &lettre::Address {
        &self.0
    }
}

impl FromStr for Address {
    type Err = NotAnAddress;

    /// Reads one address. Quoted local parts, which nobody has, are none: they can hold anything.
    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let is_odd = |c: char| c.is_control() || c.is_whitespace() || "\"(),:;<>[]\\".contains(c);
        if text.len() > MAX_LENGTH || text.contains(is_odd) {
            return Err(NotAnAddress);
        }
        text.parse().map(Self).map_err(|_| NotAnAddress)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Mailbox {
    /// Its address.
    pub fn address(&self) -> Address {
        Address(self.0.email.clone())
    }

    pub(super) fn inner(&self) -> &lettre::message::Mailbox {
        &self.0
    }
}

impl From<Address> for Mailbox {
    fn from(address: Address) -> Self {
        Self(address.0.into())
    }
}

impl FromStr for Mailbox {
    type Err = NotAnAddress;

    /// Reads `name@example.org` or `Name <name@example.org>`.
    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let text = text.trim();
        let Some((name, address)) = text.strip_suffix('>').and_then(|text| text.rsplit_once('<'))
        else {
            return Ok(Self::from(text.parse::<Address>()?));
        };
        let Address(address) = address.parse()?;
        let name = name.trim();
        let inner = name.strip_prefix('"').and_then(|name| name.strip_suffix('"'));
        let name = inner.unwrap_or(name);
        if name.contains(|c: char| c.is_control() || "\"<>\\".contains(c)) {
            return Err(NotAnAddress);
        }
        let name = (!name.is_empty()).then(|| name.to_owned());
        Ok(Self(lettre::message::Mailbox::new(name, address)))
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.name {
            Some(name) => write!(f, "{name} <{}>", self.0.email),
            None => self.0.email.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_one_address_is_an_address() {
        for good in
            ["ada@example.org", "a.b+c@x.example", "o'hara@example.org", "jürgen@example.org"]
        {
            assert_eq!(good.parse::<Address>().unwrap().as_str(), good);
        }
        let long = format!("{}@example.org", "a".repeat(250));
        for bad in [
            "",
            "ada",
            "@example.org",
            "ada@",
            "ada@example.org\r\nBcc: eve@example.org",
            "ada@example.org\nX: y",
            "ada@example.org, eve@example.org",
            "ada@example.org eve@example.org",
            "\"ada\r\nBcc: eve\"@example.org",
            "<ada@example.org>",
            "ada@exa mple.org",
            "ada@evil.example@example.org",
            "ada@example.org\0",
            "ada@example.org\u{2028}",
            &long,
        ] {
            assert!(bad.parse::<Address>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_sender_may_have_a_name() {
        for (text, shown) in [
            ("Site <noreply@example.org>", "Site <noreply@example.org>"),
            ("\"The Site, Ltd\" <noreply@example.org>", "The Site, Ltd <noreply@example.org>"),
            (" noreply@example.org ", "noreply@example.org"),
            ("<noreply@example.org>", "noreply@example.org"),
        ] {
            let mailbox: Mailbox = text.parse().unwrap();
            assert_eq!(mailbox.to_string(), shown);
            assert_eq!(mailbox.to_string().parse::<Mailbox>().unwrap(), mailbox, "it is read back");
            assert_eq!(mailbox.address().as_str(), "noreply@example.org");
        }
        for bad in
            ["Site\r\nBcc: x@y.example <a@example.org>", "a\"b <a@example.org>", "Site", "<>"]
        {
            assert!(bad.parse::<Mailbox>().is_err(), "{bad:?}");
        }
    }
}
