//! Where to go after logging in: a path of this site, or nothing.

/// A path on this site that a browser may be sent to.
///
/// It is never an absolute URL, and no browser takes it for one: WHATWG's parser reads `\` as `/`,
/// drops tabs and newlines, and takes what follows `//` for a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextPath(String);

impl NextPath {
    /// Reads the value of a `next` field or parameter, already form-decoded.
    pub fn parse(text: &str) -> Option<Self> {
        let path_end = text.find(['?', '#']).unwrap_or(text.len());
        let path = &text[..path_end];
        let stays = text.len() <= 4096
            && path.starts_with('/')
            && !path.starts_with("//")
            && !text.contains('\\')
            && !text.chars().any(|c| c.is_control() || c.is_whitespace() && c != ' ')
            && !path.split('/').any(is_dot_segment);
        stays.then(|| Self(encode(text)))
    }

    /// The path with its query, in ASCII, for a `Location` header or a form field.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Dot segments can leave a `//` at the front when they are resolved.
fn is_dot_segment(segment: &str) -> bool {
    let plain = segment.to_ascii_lowercase().replace("%2e", ".");
    plain == "." || plain == ".."
}

/// Percent-encodes what may not stand in a header: everything but printable ASCII.
fn encode(text: &str) -> String {
    use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
    const UNSAFE: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>');
    utf8_percent_encode(text, UNSAFE).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_this_site_is_kept_exactly() {
        for path in ["/", "/polls/?a=b&c=/d#e", "/a%2fb", "/x?next=http://example.com/", "/a//b"] {
            assert_eq!(NextPath::parse(path).map(|next| next.0).as_deref(), Some(path));
        }
        assert_eq!(NextPath::parse("/café x").unwrap().as_str(), "/caf%C3%A9%20x");
    }

    #[test]
    fn whatever_could_leave_the_site_is_refused() {
        for path in [
            "",
            "polls/",
            "http://example.com/",
            "//example.com/",
            "///example.com",
            "/\\example.com",
            "\\\\example.com",
            "/\t/example.com",
            "\t//example.com",
            "/\n/example.com",
            " //example.com",
            "javascript:alert(1)",
            "/.//example.com",
            "/..//example.com",
            "/%2e%2e//example.com",
            "/ok\r\nSet-Cookie: a=b",
            "/a\u{0}",
            "?next=/",
            "#x",
            "/x\\..\\..//example.com",
        ] {
            assert_eq!(NextPath::parse(path), None, "{path:?}");
        }
    }
}
