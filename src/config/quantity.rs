//! Durations and sizes as the file writes them: `"1h30m"`, `"64KiB"`.

use std::time::Duration;

/// The longest duration that is accepted; far below where adding one to a clock overflows.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Units of time, each with its length in milliseconds.
const TIME: [(&str, u64); 6] = [
    ("ms", 1),
    ("s", 1000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 604_800_000),
];

/// Units of size, each with its number of bytes.
const SIZE: [(&str, u64); 5] =
    [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

/// Reads a duration: numbers with units, the largest unit first, `"1h30m"`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let malformed =
        || format!("`{text}` is not a duration\nhint: write `30s`, `5m`, `1h30m` or `2w`");
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(malformed());
    }
    if rest.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("`{text}` has no unit\nhint: write `{rest}s` for seconds"));
    }
    let mut total: u64 = 0;
    let mut smaller_than = u64::MAX;
    while !rest.is_empty() {
        let (number, after) = leading_number(rest).ok_or_else(malformed)?;
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(letters);
        let length = TIME.iter().find(|(name, _)| *name == unit).ok_or_else(malformed)?.1;
        if length >= smaller_than {
            return Err(malformed());
        }
        smaller_than = length;
        total = number
            .checked_mul(length)
            .and_then(|part| total.checked_add(part))
            .ok_or_else(|| too_long(text))?;
        rest = after.trim_start();
    }
    let duration = Duration::from_millis(total);
    if duration > LONGEST { Err(too_long(text)) } else { Ok(duration) }
}

fn too_long(text: &str) -> String {
    format!("`{text}` is more than a hundred years")
}

/// Reads a size in bytes: a number with an optional binary unit, `"64KiB"`.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let malformed = || {
        format!(
            "`{text}` is not a size\nhint: write a number of bytes, or `64KiB`, `1MiB` or `1GiB`"
        )
    };
    let (number, unit) = leading_number(text.trim()).ok_or_else(malformed)?;
    let unit = unit.trim_start();
    let bytes = match unit {
        "" => 1,
        _ => SIZE.iter().find(|(name, _)| *name == unit).ok_or_else(malformed)?.1,
    };
    number.checked_mul(bytes).ok_or_else(|| format!("`{text}` is too large"))
}

/// How `duration` would be written in the file, for messages.
pub(super) fn written(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, length) in TIME.iter().rev() {
        if rest >= *length {
            text.push_str(&format!("{}{unit}", rest / length));
            rest %= length;
        }
    }
    text
}

fn leading_number(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    Some((number.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_from_large_to_small() {
        for (text, seconds) in [
            ("30s", 30),
            ("5m", 300),
            ("1h30m", 5400),
            ("1h 30m", 5400),
            ("2w", 1_209_600),
            ("1d", 86_400),
            ("0s", 0),
            (" 7s ", 7),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text:?}");
        }
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("1s500ms"), Ok(Duration::from_millis(1500)));
    }

    #[test]
    fn anything_else_is_no_duration() {
        for text in [
            "",
            " ",
            "30",
            "s",
            "-1s",
            "1.5h",
            "30m1h",
            "1s1s",
            "5min",
            "1S",
            "1 s",
            "∞",
            "99999999999999999999s",
            "9999999w",
            "18446744073709551615ms",
        ] {
            assert!(duration(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn sizes_are_bytes_or_have_binary_units() {
        for (text, bytes) in [
            ("0", 0),
            ("1000", 1000),
            ("512B", 512),
            ("64KiB", 65_536),
            ("19 MiB", 19 << 20),
            ("1GiB", 1 << 30),
            ("2TiB", 2 << 40),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text:?}");
        }
        for text in ["", "KiB", "1MB", "1mib", "-1", "1.5MiB", "99999999999TiB", "0x10"] {
            assert!(size(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn durations_are_shown_as_they_are_written() {
        for text in ["0s", "1s", "250ms", "1h30m", "2w", "1d12h"] {
            assert_eq!(written(duration(text).unwrap()), text);
        }
    }
}
