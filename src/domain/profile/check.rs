//! What may stand in a field of each kind, and what is kept of it.

use super::{FieldError, FieldKind, ProfileField};

/// What is kept of `text`; nothing of blanks.
pub(super) fn clean(kind: &FieldKind, text: &str) -> Result<String, FieldError> {
    // Browsers end the lines of a form with `\r\n`.
    let text = text.replace("\r\n", "\n");
    let text = text.trim();
    let length = text.chars().count();
    if length > ProfileField::MAX {
        return Err(FieldError::TooLong(ProfileField::MAX, length));
    }
    let is_line_break = |c| c == '\n' && *kind == FieldKind::TextArea;
    // Values go into headers, logs and terminals.
    let is_hidden = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    if text.chars().any(|c| is_hidden(c) && !is_line_break(c)) {
        return Err(FieldError::Control);
    }
    if text.is_empty() {
        return Ok(String::new());
    }
    match kind {
        FieldKind::Text | FieldKind::TextArea => Ok(text.to_owned()),
        FieldKind::Email => email(text).ok_or(FieldError::Email),
        FieldKind::Url => url(text).ok_or(FieldError::Url),
        FieldKind::Number => number(text).ok_or(FieldError::Number),
        FieldKind::Boolean => boolean(text).ok_or(FieldError::Boolean),
        FieldKind::Date => is_date(text).then(|| text.to_owned()).ok_or(FieldError::Date),
        FieldKind::Choice(choices) if choices.iter().any(|choice| choice == text) => {
            Ok(text.to_owned())
        }
        FieldKind::Choice(_) => Err(FieldError::Choice(text.to_owned())),
    }
}

fn email(text: &str) -> Option<String> {
    let (local, domain) = text.split_once('@')?;
    let is_fit = |c: char| !c.is_whitespace() && !",;<>\"@".contains(c);
    let is_good = !local.is_empty()
        && !domain.is_empty()
        && text.chars().count() <= 254
        && local.chars().all(is_fit)
        && domain.chars().all(is_fit);
    is_good.then(|| format!("{local}@{}", domain.to_lowercase()))
}

/// A page that a browser can open and that runs no script: nothing but `http` and `https`. As in
/// Django's forms, `https` is taken for granted.
fn url(text: &str) -> Option<String> {
    let text = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let (scheme, rest) = text.split_once("://")?;
    if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return None;
    }
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port),
        Some(_) | None => (host, "0"),
    };
    let is_name = |c: char| c.is_alphanumeric() || "-._".contains(c);
    let is_address = |name: &str| {
        let inner = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        inner.is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok())
    };
    let is_host = !name.is_empty()
        && (is_address(name)
            || name.chars().all(is_name) && !name.starts_with(['.', '-']) && !name.contains(".."));
    let is_fit = |c: char| !c.is_whitespace() && !"<>\"\\^`{|}".contains(c);
    (is_host && port.parse::<u16>().is_ok() && text.chars().all(is_fit)).then_some(text)
}

/// Digits with one point among them at most, and a sign; without the `+` and what it says nothing of.
fn number(text: &str) -> Option<String> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let are_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let is_number = digits.len() <= 40
        && are_digits(whole)
        && are_digits(fraction)
        && digits.bytes().any(|byte| byte.is_ascii_digit());
    is_number.then(|| format!("{sign}{digits}"))
}

/// `true`, or nothing for false: every template and test takes the word `false` for true.
fn boolean(text: &str) -> Option<String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some("true".to_owned()),
        "false" | "no" | "off" | "0" => Some(String::new()),
        _ => None,
    }
}

/// A day of the calendar, as a browser's field sends it.
fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_form = bytes.len() == 10
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    if !is_form {
        return false;
    }
    let part = |range: std::ops::Range<usize>| text[range].parse::<u32>().unwrap_or(0);
    let (year, month, day) = (part(0..4), part(5..7), part(8..10));
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => 0,
    };
    year > 0 && (1..=days).contains(&day)
}
