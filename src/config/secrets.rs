//! Secrets in what is shown of the file: masked, with every byte kept in its place.
//!
//! The text is masked and not the parsed file, since a line that is shown may well be one that
//! could not be parsed. What is masked too much costs a glance into the file; what is masked too
//! little ends in a log.

use std::ops::Range;

/// Parts of a key's name that make its value a secret.
const SECRET_WORDS: [&str; 8] = [
    "password",
    "passwd",
    "secret",
    "token",
    "api_key",
    "private_key",
    "credential",
    "authorization",
];

/// `[passwords]` holds the cost of hashing, `password_…` conditions of no secret either.
const NOT_SECRET: [&str; 1] = ["passwords"];

/// `text` with `*` for each byte of a secret: values of keys such as `password`, and what stands
/// before the `@` of a URL.
pub(super) fn masked(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    mask_values(text, &mut bytes);
    mask_urls(text, &mut bytes);
    String::from_utf8(bytes).unwrap_or_else(|_| "*".repeat(text.len()))
}

/// `message` without the passwords of URLs, for texts that quote a value.
pub(super) fn masked_urls(message: &str) -> String {
    let mut bytes = message.as_bytes().to_vec();
    mask_urls(message, &mut bytes);
    String::from_utf8(bytes).unwrap_or_default()
}

fn mask_values(text: &str, bytes: &mut [u8]) {
    let source = text.as_bytes();
    for (at, _) in text.match_indices('=') {
        if !is_secret(&key_before(&text[..at])) {
            continue;
        }
        let blanks = source[at + 1..].iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
        let start = at + 1 + blanks;
        blot(bytes, inside_of_value(text, start));
    }
}

/// The key whose `=` follows `before`: the last part of a dotted one, without quotes.
fn key_before(before: &str) -> String {
    let trimmed = before.trim_end_matches([' ', '\t']);
    let key = match trimmed.chars().last() {
        Some(quote @ ('"' | '\'')) => {
            let inner = &trimmed[..trimmed.len() - 1];
            inner.rfind(quote).map_or(inner, |start| &inner[start + 1..])
        }
        _ => {
            let is_key = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
            trimmed.rfind(|c| !is_key(c)).map_or(trimmed, |start| {
                let width = trimmed[start..].chars().next().map_or(1, char::len_utf8);
                &trimmed[start + width..]
            })
        }
    };
    key.to_ascii_lowercase().replace('-', "_")
}

fn is_secret(key: &str) -> bool {
    !NOT_SECRET.contains(&key) && SECRET_WORDS.iter().any(|word| key.contains(word))
}

/// What is in the value that begins at `start`, without the quotes or brackets around it; a
/// value that is not finished ends with its line.
fn inside_of_value(text: &str, start: usize) -> Range<usize> {
    let line = start + text[start..].find('\n').unwrap_or(text.len() - start);
    match text[start..].chars().next() {
        Some('"' | '\'') => inside_of_quotes(text, start),
        Some('[' | '{') => {
            let mut depth = 0_usize;
            let mut at = start;
            while let Some(character) = text.get(at..).and_then(|rest| rest.chars().next()) {
                match character {
                    '[' | '{' => depth += 1,
                    ']' | '}' => depth -= 1,
                    '"' | '\'' => at = inside_of_quotes(text, at).end,
                    _ => {}
                }
                if depth == 0 {
                    return start + 1..at;
                }
                at += text[at..].chars().next().map_or(1, char::len_utf8);
            }
            start + 1..text.len()
        }
        // Not a value that TOML knows; what follows may all be a secret without its quotes.
        Some(_) | None => start..line,
    }
}

/// What is between the quotes that begin at `start`.
fn inside_of_quotes(text: &str, start: usize) -> Range<usize> {
    for quotes in ["\"\"\"", "'''"] {
        if text[start..].starts_with(quotes) {
            let inner = start + 3;
            return inner..text[inner..].find(quotes).map_or(text.len(), |end| inner + end);
        }
    }
    let (quote, inner) = (text.as_bytes()[start], start + 1);
    let mut is_escaped = false;
    for (offset, byte) in text[inner..].bytes().enumerate() {
        match byte {
            b'\n' => return inner..inner + offset,
            _ if is_escaped => is_escaped = false,
            b'\\' if quote == b'"' => is_escaped = true,
            _ if byte == quote => return inner..inner + offset,
            _ => {}
        }
    }
    inner..text.len()
}

fn mask_urls(text: &str, bytes: &mut [u8]) {
    for (at, _) in text.match_indices("://") {
        let start = at + 3;
        let is_end = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | ',' | '<' | '>');
        let end = text[start..].find(is_end).map_or(text.len(), |length| start + length);
        if let Some(sign) = text[start..end].rfind('@') {
            blot(bytes, start..start + sign);
        }
        // Where there is no host to stand before, passwords stand among the options.
        for (option, _) in text[start..end].match_indices("pass=") {
            let value = start + option + "pass=".len();
            let length = text[value..end].find('&').unwrap_or(end - value);
            blot(bytes, value..value + length);
        }
    }
}

/// Puts `*` over everything but line ends.
fn blot(bytes: &mut [u8], range: Range<usize>) {
    for byte in &mut bytes[range] {
        if !matches!(byte, b'\n' | b'\r') {
            *byte = b'*';
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_secret_keys_are_masked_where_they_stand() {
        for (text, shown) in [
            (r#"password = "hunter2" # x"#, r#"password = "*******" # x"#),
            (
                r#"smtp = { user = "me", password = 'a"b' }"#,
                r#"smtp = { user = "me", password = '***' }"#,
            ),
            (r#"mail.smtp-password="a\"b""#, r#"mail.smtp-password="****""#),
            (r#""X-Api-Token" = "abc""#, r#""X-Api-Token" = "***""#),
            ("client_secret = \"never closed", "client_secret = \"************"),
            ("token = bare word", "token = *********"),
            ("secret = \"\"\"a\nb\"\"\"\nx = 1", "secret = \"\"\"*\n*\"\"\"\nx = 1"),
            (r#"tokens = ["]a", "c"] # x"#, r#"tokens = [*********] # x"#),
            (r#"password = "}\"{""#, r#"password = "****""#),
            ("secret = {a = 'b'}", "secret = {*******}"),
            ("secret = [\"a", "secret = [**"),
            (r#"tokens = ["ab", "c"]"#, r#"tokens = [*********]"#),
        ] {
            assert_eq!(masked(text), shown, "{text}");
        }
    }

    #[test]
    fn passwords_of_urls_are_masked() {
        assert_eq!(masked("\"redis://me:hunter2@host/0\""), "\"redis://**********@host/0\"");
        assert_eq!(masked("\"postgres://u:p/w@d@h\""), "\"postgres://*******@h\"");
        let socket = "\"unix:///run/redis.sock?pass=hunter2&db=1\"";
        assert_eq!(masked(socket), "\"unix:///run/redis.sock?pass=*******&db=1\"");
        assert_eq!(masked_urls("`http://a:b@c` is wrong"), "`http://***@c` is wrong");
    }

    #[test]
    fn nothing_else_is_touched_and_every_byte_keeps_its_place() {
        for text in [
            "passwords = { memory = \"8KiB\" }",
            "[passwords]\nmemory = \"8KiB\"\n",
            "upstream = \"http://127.0.0.1:3000\"",
            "users = [\"ada@example.org\"]",
            "# über = alles",
        ] {
            assert_eq!(masked(text), text);
        }
        let text = "password = \"pässwörd\"";
        assert_eq!(masked(text).len(), text.len());
    }
}
