//! What a session remembers of where it was begun: an address and a kind of browser.

use std::fmt;
use std::net::IpAddr;

/// Where a login came from, for the people who look at lists of sessions; nothing is decided by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// The address that the request came from, trusted proxies considered.
    pub address: IpAddr,
    /// What kind of program it came from.
    pub device: Device,
}

/// A browser and the system that it runs on, as far as its `User-Agent` says.
///
/// It is a choice among a few: a text of the visitor's own would be one more thing to store,
/// bound and escape for each of a million sessions, and would tell no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Device {
    browser: u8,
    system: u8,
}

/// What a `User-Agent` says, and the browser that says so. The first that is found counts: nearly
/// every browser claims to be `Safari`, and those that are more claim to be `Chrome` as well.
/// Stored by position: what is added goes to the end.
const BROWSERS: [(&str, &str); 12] = [
    ("", "an unknown browser"),
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Vivaldi/", "Vivaldi"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("CriOS/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
    ("python-", "Python"),
];

/// The same for systems. Android claims to be Linux, and an iPhone to be like Mac OS X.
const SYSTEMS: [(&str, &str); 8] = [
    ("", ""),
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
];

impl Device {
    /// What the header `User-Agent` says.
    pub fn of(user_agent: &str) -> Self {
        let find = |kinds: &[(&str, &str)]| {
            let found = kinds.iter().skip(1).position(|(mark, _)| user_agent.contains(mark));
            found.and_then(|position| u8::try_from(position + 1).ok()).unwrap_or(0)
        };
        Self { browser: find(&BROWSERS), system: find(&SYSTEMS) }
    }

    /// The device with these numbers, as a store kept them; unknown ones make an unknown device.
    pub const fn from_bytes([browser, system]: [u8; 2]) -> Self {
        Self { browser, system }
    }

    /// The numbers to store.
    pub const fn to_bytes(self) -> [u8; 2] {
        [self.browser, self.system]
    }
}

impl fmt::Display for Device {
    /// As in `Firefox on Linux`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |kinds: &[(&str, &'static str)], number: u8| {
            kinds.get(usize::from(number)).map_or(kinds[0].1, |(_, name)| name)
        };
        f.write_str(name(&BROWSERS, self.browser))?;
        match name(&SYSTEMS, self.system) {
            "" => Ok(()),
            system => write!(f, " on {system}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_told_apart_although_they_claim_to_be_each_other() {
        let safari = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Safari/605.1.15";
        let chrome = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36";
        let edge = format!("Mozilla/5.0 (Windows NT 10.0; Win64; x64) {chrome} Edg/156.0.0.0");
        for (user_agent, device) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
                "Firefox on Linux",
            ),
            (&edge, "Edge on Windows"),
            (&format!("Mozilla/5.0 (Linux; Android 10; K) {chrome}"), "Chrome on Android"),
            (
                &format!("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) {safari}"),
                "Safari on iPhone",
            ),
            (
                &format!("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {safari}"),
                "Safari on macOS",
            ),
            ("curl/8.5.0", "curl"),
            ("", "an unknown browser"),
            ("\u{1b}[31mred", "an unknown browser"),
        ] {
            assert_eq!(Device::of(user_agent).to_string(), device, "{user_agent}");
        }
    }

    #[test]
    fn numbers_of_a_later_version_are_an_unknown_device() {
        assert_eq!(Device::from_bytes([200, 200]).to_string(), "an unknown browser");
        let device = Device::of("curl/8.5.0");
        assert_eq!(Device::from_bytes(device.to_bytes()), device);
    }
}
