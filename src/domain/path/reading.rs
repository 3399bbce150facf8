//! The slow half of reading a path: decoding, refusing, and every reading of what is left.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization as _;

use super::{MalformedPath, Oddities, Oddity, is_lookalike};

/// Stands for an encoded slash while the other readings are made; it is a control character, so
/// no decoded path can have one of its own.
const ENCODED_SLASH: char = '\u{1}';

/// Decodes `path` once and gives all its readings, the plainest first, or why it has none.
pub(super) fn readings_of(path: &str) -> Result<(Oddities, Vec<String>), MalformedPath> {
    if !path.starts_with('/') {
        return Err(MalformedPath::NotAPath);
    }
    let decoded = decode(path)?;
    if decoded.chars().any(|c| !c.is_ascii() && is_lookalike(c)) {
        return Err(MalformedPath::Lookalike);
    }

    // Each step that two servers take differently doubles the readings: taken, and not taken.
    let mut readings = vec![decoded.to_ascii_lowercase()];
    split(&mut readings, |path| {
        path.contains(ENCODED_SLASH).then(|| path.replace(ENCODED_SLASH, "/"))
    });
    split(&mut readings, without_parameters);
    split(&mut readings, until_parameters);
    split(&mut readings, normalized);
    split(&mut readings, without_trailing_dots);
    split(&mut readings, with_merged_slashes);
    split(&mut readings, without_authority);

    if readings.iter().any(|path| path.split('/').any(is_dot_segment)) {
        return Err(MalformedPath::DotSegment);
    }
    let mut oddities = Oddities::NONE;
    for (oddity, is_present) in [
        (Oddity::EncodedSlash, decoded.contains(ENCODED_SLASH)),
        (Oddity::DoubleSlash, readings.iter().any(|path| path.contains("//"))),
        (Oddity::Semicolon, decoded.contains(';')),
    ] {
        if is_present {
            oddities = oddities.with(oddity);
        }
    }
    for path in &mut readings {
        if path.contains(ENCODED_SLASH) {
            *path = path.replace(ENCODED_SLASH, "%2f");
        }
    }
    Ok((oddities, readings))
}

/// Adds to `readings` what `step` makes of each of them, where that is something new.
fn split(readings: &mut Vec<String>, step: impl Fn(&str) -> Option<String>) {
    for index in 0..readings.len() {
        if let Some(other) = step(&readings[index])
            && !readings.contains(&other)
        {
            readings.push(other);
        }
    }
}

/// Percent-decodes once, with a slash that was encoded kept apart from one that was not.
fn decode(path: &str) -> Result<Cow<'_, str>, MalformedPath> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let escaped = hex(bytes.next())? << 4 | hex(bytes.next())?;
                match escaped {
                    0..=0x1f | 0x7f => return Err(MalformedPath::ControlCharacter),
                    b'\\' => return Err(MalformedPath::Backslash),
                    b'?' | b'#' => return Err(MalformedPath::EncodedDelimiter),
                    b'/' => decoded.push(ENCODED_SLASH as u8),
                    _ => decoded.push(escaped),
                }
            }
            0..=0x20 | 0x7f => return Err(MalformedPath::ControlCharacter),
            b'\\' => return Err(MalformedPath::Backslash),
            _ => decoded.push(byte),
        }
    }
    if has_escape(&decoded) {
        return Err(MalformedPath::EncodedTwice);
    }
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| MalformedPath::NotUtf8)
}

fn hex(digit: Option<u8>) -> Result<u8, MalformedPath> {
    digit
        .and_then(|digit| char::from(digit).to_digit(16))
        .and_then(|digit| u8::try_from(digit).ok())
        .ok_or(MalformedPath::BadEscape)
}

/// Whether what was decoded once could be decoded again, as `%2f` or as IIS's `%u002f`.
fn has_escape(decoded: &[u8]) -> bool {
    decoded.windows(3).any(|window| {
        window[0] == b'%'
            && (matches!(window[1], b'u' | b'U') && window[2].is_ascii_hexdigit()
                || window[1].is_ascii_hexdigit() && window[2].is_ascii_hexdigit())
    })
}

/// Whether a segment is `.` or `..`, or what a server that trims blanks takes for one.
fn is_dot_segment(segment: &str) -> bool {
    matches!(segment.trim_end(), "." | "..")
}

/// As servlets read it: parameters dropped from each segment.
fn without_parameters(path: &str) -> Option<String> {
    path.contains(';').then(|| {
        let segments: Vec<&str> = path
            .split('/')
            .map(|segment| segment.split_once(';').map_or(segment, |(name, _)| name))
            .collect();
        segments.join("/")
    })
}

/// As servers read it for which parameters end the path.
fn until_parameters(path: &str) -> Option<String> {
    path.split_once(';').map(|(before, _)| before.to_owned())
}

/// As a server reads it that compares names after compatibility normalisation and case folding.
fn normalized(path: &str) -> Option<String> {
    (!path.is_ascii()).then(|| path.nfkc().flat_map(char::to_lowercase).nfkc().collect())
}

/// As Windows reads it: dots and blanks at the end of a segment dropped.
fn without_trailing_dots(path: &str) -> Option<String> {
    let trim = |segment: &str| segment.trim_end_matches(['.', ' ']).len();
    path.split('/').any(|segment| trim(segment) < segment.len()).then(|| {
        let segments: Vec<&str> =
            path.split('/').map(|segment| &segment[..trim(segment)]).collect();
        segments.join("/")
    })
}

/// As nginx reads it: a run of slashes is one.
fn with_merged_slashes(path: &str) -> Option<String> {
    path.contains("//").then(|| {
        let mut merged = String::with_capacity(path.len());
        for character in path.chars() {
            if character != '/' || !merged.ends_with('/') {
                merged.push(character);
            }
        }
        merged
    })
}

/// As Node's `new URL` and PHP's `parse_url` read it: what follows `//`, or more of them, is a
/// host name.
fn without_authority(path: &str) -> Option<String> {
    let rest = path.strip_prefix("//")?.trim_start_matches('/');
    Some(rest.find('/').map_or_else(|| "/".to_owned(), |slash| rest[slash..].to_owned()))
}
