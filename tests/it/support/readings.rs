//! How common servers read a request target: one model a server family, each as forgiving as its most forgiving known version.
//! A target that any of them reads as inside a protected area must never reach the application on behalf of a stranger.

use unicode_normalization::UnicodeNormalization;

/// A server's reading: the paths it may end up with. None at all means that the server refuses.
type Model = fn(&[u8]) -> Vec<Vec<u8>>;

pub(crate) const MODELS: [(&str, Model, Case); 8] = [
    ("Django under WSGI", django, Case::Exact),
    ("PHP behind nginx", php, Case::Exact),
    ("nginx", nginx, Case::Exact),
    ("Express", express, Case::Ignored),
    ("express.static", express_static, Case::Ignored),
    ("Node's new URL", node_url, Case::Ignored),
    ("Tomcat and Jetty", servlet, Case::Exact),
    ("IIS", iis, Case::Ignored),
];

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    Exact,
    Ignored,
}

/// Which servers read `target` as the area (`/admin/`), the area's own name without the slash, or something below it.
pub(crate) fn servers_that_read_inside(target: &[u8], area: &str) -> Vec<&'static str> {
    MODELS
        .iter()
        .filter(|(_, model, case)| model(target).iter().any(|path| is_inside(path, area, *case)))
        .map(|(name, _, _)| *name)
        .collect()
}

fn is_inside(path: &[u8], area: &str, case: Case) -> bool {
    let area = area.trim_end_matches('/').as_bytes();
    let Some((start, rest)) = path.split_at_checked(area.len()) else { return false };
    let same = match case {
        Case::Exact => start == area,
        Case::Ignored => start.eq_ignore_ascii_case(area),
    };
    same && (rest.is_empty() || rest[0] == b'/')
}

/// Gunicorn and wsgiref: no dot segments, one decoding, and an authority where the target looks like a URL.
fn django(target: &[u8]) -> Vec<Vec<u8>> {
    let target = cut(target, b"?");
    let whole = decode(target);
    let without_fragment = decode(cut(target, b"#"));
    let after_authority = decode(cut(after_authority(target, b"/?#"), b"#"));
    vec![whole, without_fragment, after_authority]
}

/// `REQUEST_URI` decoded once (Symfony, Laravel), `parse_url` of it, or the path that nginx handed over.
fn php(target: &[u8]) -> Vec<Vec<u8>> {
    let mut paths = nginx(target);
    let raw = cut(target, b"?#");
    paths.push(decode(raw));
    paths.push(decode(after_authority(raw, b"/?#")));
    paths.push(resolve(&merge(&decode(raw))));
    paths
}

/// Decodes once, merges slashes, resolves dot segments; a NUL is refused, and so is climbing above the root.
fn nginx(target: &[u8]) -> Vec<Vec<u8>> {
    let target = after_scheme(target);
    let decoded = decode(cut(target, b"?#"));
    if decoded.contains(&0) || !decoded.starts_with(b"/") {
        return Vec::new();
    }
    vec![resolve(&merge(&decoded)), resolve(&decoded)]
}

/// Routes are matched on the path as it came, without regard to case.
fn express(target: &[u8]) -> Vec<Vec<u8>> {
    let raw = cut(target, b"?#");
    vec![raw.to_vec(), after_scheme(raw).to_vec()]
}

/// Files: decoded once, normalised as a file name.
fn express_static(target: &[u8]) -> Vec<Vec<u8>> {
    let decoded = decode(cut(target, b"?#"));
    if decoded.contains(&0) {
        return Vec::new();
    }
    vec![resolve(&merge(&decoded)), resolve(&merge(&slashes(&decoded)))]
}

/// The WHATWG parser: tabs and line ends vanish, a backslash is a slash, two of them begin a host, `%2e` is a dot.
fn node_url(target: &[u8]) -> Vec<Vec<u8>> {
    let kept: Vec<u8> = target.iter().copied().filter(|byte| !b"\t\r\n".contains(byte)).collect();
    let raw = slashes(cut(&kept, b"?#"));
    let path = if raw.starts_with(b"//") {
        let rest: Vec<u8> = raw.iter().copied().skip_while(|&byte| byte == b'/').collect();
        rest.iter()
            .position(|&byte| byte == b'/')
            .map_or_else(|| b"/".to_vec(), |at| rest[at..].to_vec())
    } else {
        after_scheme(&raw).to_vec()
    };
    let dots = replace(&replace(&path, b"%2e", b"."), b"%2E", b".");
    vec![resolve(&dots), decode(&resolve(&dots))]
}

/// Path parameters are taken out before and after decoding, `%2f` and backslashes count as separators.
fn servlet(target: &[u8]) -> Vec<Vec<u8>> {
    let raw = cut(after_scheme(target), b"?#");
    let first = resolve(&merge(&slashes(&decode(&without_parameters(raw)))));
    let last = resolve(&merge(&slashes(&without_parameters(&decode(raw)))));
    let unmerged = resolve(&decode(&without_parameters(raw)));
    vec![first, last, unmerged]
}

/// `%u0061`, overlong UTF-8, wide look-alikes of the separators, two decodings, backslashes.
fn iis(target: &[u8]) -> Vec<Vec<u8>> {
    let raw = cut(after_scheme(target), b"?#");
    let once = narrow(&decode(&decode_percent_u(raw)));
    let twice = narrow(&decode(&once));
    [once, twice]
        .iter()
        .map(|path| resolve(&merge(&slashes(path))))
        .map(|path| cut(&path, b"\0").to_vec())
        .collect()
}

fn cut<'a>(target: &'a [u8], at: &[u8]) -> &'a [u8] {
    let end = target.iter().position(|byte| at.contains(byte)).unwrap_or(target.len());
    &target[..end]
}

/// The path of an absolute-form target; any other target as it is.
fn after_scheme(target: &[u8]) -> &[u8] {
    match memchr::memmem::find(target, b"://") {
        Some(at) if target[..at].iter().all(u8::is_ascii_alphabetic) && at > 0 => {
            let rest = &target[at + 3..];
            rest.iter()
                .position(|&byte| byte == b'/')
                .map_or(b"/".as_slice(), |slash| &rest[slash..])
        }
        _ => target,
    }
}

/// The path behind `//host`, as URL parsers see it in a target that begins so.
fn after_authority<'a>(target: &'a [u8], ends: &[u8]) -> &'a [u8] {
    match target.strip_prefix(b"//") {
        Some(rest) => rest
            .iter()
            .position(|byte| ends.contains(byte))
            .map_or(b"/".as_slice(), |at| &rest[at..]),
        None => after_scheme(target),
    }
}

fn decode(bytes: &[u8]) -> Vec<u8> {
    percent_encoding::percent_decode(bytes).collect()
}

fn decode_percent_u(bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes.get(at + 2..at + 6).and_then(|digits| std::str::from_utf8(digits).ok());
        let code =
            digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).and_then(char::from_u32);
        match (bytes[at], bytes.get(at + 1), code) {
            (b'%', Some(b'u' | b'U'), Some(character)) => {
                decoded.extend_from_slice(character.to_string().as_bytes());
                at += 6;
            }
            (byte, _, _) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    decoded
}

/// Overlong UTF-8 to what it hides, and characters that fold to a separator or a dot to that.
fn narrow(bytes: &[u8]) -> Vec<u8> {
    let mut short = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let next = |offset: usize| bytes.get(at + offset).map_or(0, |byte| byte & 0x3f);
        match bytes[at] {
            lead @ (0xc0 | 0xc1) => {
                short.push(((lead & 1) << 6) | next(1));
                at += 2;
            }
            0xe0 if bytes.get(at + 1).is_some_and(|byte| (0x80..0x82).contains(byte)) => {
                short.push((next(1) << 6) | next(2));
                at += 3;
            }
            0xf0 if bytes.get(at + 1) == Some(&0x80)
                && bytes.get(at + 2).is_some_and(|byte| (0x80..0x82).contains(byte)) =>
            {
                short.push((next(2) << 6) | next(3));
                at += 4;
            }
            byte => {
                short.push(byte);
                at += 1;
            }
        }
    }
    let Ok(text) = std::str::from_utf8(&short) else { return short };
    let separator = |character: char| {
        let folded: String = std::iter::once(character).nfkc().collect();
        if matches!(folded.as_str(), "/" | "\\" | ".") { folded } else { character.to_string() }
    };
    text.chars().map(separator).collect::<String>().into_bytes()
}

fn slashes(path: &[u8]) -> Vec<u8> {
    path.iter().map(|&byte| if byte == b'\\' { b'/' } else { byte }).collect()
}

fn merge(path: &[u8]) -> Vec<u8> {
    let mut merged: Vec<u8> = path.to_vec();
    merged.dedup_by(|next, last| *next == b'/' && *last == b'/');
    merged
}

/// Dot segments resolved as RFC 3986 says; climbing above the root stays at the root.
fn resolve(path: &[u8]) -> Vec<u8> {
    let mut segments: Vec<&[u8]> = Vec::new();
    let mut parts = path.split(|&byte| byte == b'/').skip(1).peekable();
    while let Some(segment) = parts.next() {
        let last = parts.peek().is_none();
        match segment {
            b"." | b".." => {
                if segment == b".." {
                    segments.pop();
                }
                if last {
                    segments.push(b"");
                }
            }
            other => segments.push(other),
        }
    }
    let mut resolved = b"/".to_vec();
    resolved.extend_from_slice(&segments.join(&b'/'));
    resolved
}

fn without_parameters(path: &[u8]) -> Vec<u8> {
    path.split(|&byte| byte == b'/')
        .map(|segment| cut(segment, b";"))
        .collect::<Vec<_>>()
        .join(&b'/')
}

fn replace(path: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::new();
    let mut at = 0;
    while at < path.len() {
        if path[at..].starts_with(from) {
            replaced.extend_from_slice(to);
            at += from.len();
        } else {
            replaced.push(path[at]);
            at += 1;
        }
    }
    replaced
}
