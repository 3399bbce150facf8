//! The path of a request, read once.
//!
//! Almost every bypass of an authenticating proxy is a disagreement: the gateway judges one
//! reading of the path and the application acts on another. So a target that two common servers
//! would read differently is refused here, before any rule is looked at. Where an application
//! needs such a target, its rule allows the [`Oddity`] by name, and the path is then judged on
//! every reading that we know of.

use unicode_normalization::UnicodeNormalization as _;

mod reading;

/// A request's path, free of ambiguity, together with the very bytes that will be forwarded.
///
/// ```compile_fail
/// // There is no other maker than `parse`: the fields are private.
/// use vestibule::domain::RequestPath;
/// fn forge(judged: RequestPath) -> RequestPath {
///     RequestPath { target: "/another/path".to_owned(), ..judged }
/// }
/// ```
#[derive(Debug, Clone)]
pub struct RequestPath {
    target: String,
    path_length: usize,
    oddities: Oddities,
    readings: Readings,
}

/// The ways in which the path may be read, in ASCII lower case; the first is the plainest.
#[derive(Debug, Clone)]
enum Readings {
    /// The path as sent is the only reading.
    AsSent,
    Several(Vec<String>),
}

/// Something in a path that common servers read differently, and that a rule can allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Oddity {
    /// `%2f`: a separator to some, a character to others.
    EncodedSlash,
    /// `//`: merged by some, kept by others, the start of a host name to a third kind.
    DoubleSlash,
    /// `;` or `%3b`: the start of path parameters to servlets, a character to others.
    Semicolon,
}

impl Oddity {
    /// Every oddity, in the order of the reference file.
    pub const ALL: [Self; 3] = [Self::EncodedSlash, Self::DoubleSlash, Self::Semicolon];

    /// The name that `allow_in_path` gives it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EncodedSlash => "encoded_slash",
            Self::DoubleSlash => "double_slash",
            Self::Semicolon => "semicolon",
        }
    }
}

/// A set of [`Oddity`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Oddities(u8);

impl Oddities {
    /// The set without a member.
    pub const NONE: Self = Self(0);

    /// The set with `oddity` in it as well.
    #[must_use]
    pub const fn with(self, oddity: Oddity) -> Self {
        Self(self.0 | 1 << oddity as u8)
    }

    /// Whether `oddity` is in the set.
    pub const fn contains(self, oddity: Oddity) -> bool {
        self.0 & (1 << oddity as u8) != 0
    }

    /// Whether there is no member.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The members, in the order of [`Oddity::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Oddity> {
        Oddity::ALL.into_iter().filter(move |&oddity| self.contains(oddity))
    }
}

impl FromIterator<Oddity> for Oddities {
    fn from_iter<I: IntoIterator<Item = Oddity>>(oddities: I) -> Self {
        oddities.into_iter().fold(Self::NONE, Self::with)
    }
}

/// Why a target has no safe reading; the request is refused with 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedPath {
    /// It does not begin with `/`.
    #[error("the target does not begin with `/`")]
    NotAPath,
    /// A `%` is not followed by two hexadecimal digits.
    #[error("a `%` is not followed by two hexadecimal digits")]
    BadEscape,
    /// Decoding once leaves something that could be decoded again.
    #[error("the path is encoded twice")]
    EncodedTwice,
    /// A control character, NUL among them, plain or encoded.
    #[error("the path has a control character in it")]
    ControlCharacter,
    /// A backslash, plain or encoded, which some servers read as `/`.
    #[error("the path has a backslash in it")]
    Backslash,
    /// An encoded `?` or `#`, which would end the path behind a server that decodes first.
    #[error("the path has an encoded `?` or `#` in it")]
    EncodedDelimiter,
    /// The path is not valid UTF-8 when decoded.
    #[error("the path is not valid UTF-8")]
    NotUtf8,
    /// A segment of dots, plain or encoded, or one that becomes so in one of the readings.
    #[error("the path has a segment of dots in it")]
    DotSegment,
    /// A character that normalisation turns into `/`, `\` or a dot segment.
    #[error("the path has a character in it that folds to `/`, `\\` or `.`")]
    Lookalike,
}

impl RequestPath {
    /// Reads `target`, a path with an optional query, as it stood in the request line.
    ///
    /// The query is kept as it is and never judged.
    pub fn parse(target: impl Into<String>) -> Result<Self, MalformedPath> {
        let target = target.into();
        let path_length = memchr::memchr(b'?', target.as_bytes()).unwrap_or(target.len());
        let path = &target[..path_length];
        if is_plain(path.as_bytes()) {
            return Ok(Self {
                target,
                path_length,
                oddities: Oddities::NONE,
                readings: Readings::AsSent,
            });
        }
        let (oddities, readings) = reading::readings_of(path)?;
        Ok(Self { target, path_length, oddities, readings: Readings::Several(readings) })
    }

    /// The path as it was sent, without the query.
    pub fn as_sent(&self) -> &str {
        &self.target[..self.path_length]
    }

    /// The query as it was sent, without the `?`.
    pub fn query(&self) -> Option<&str> {
        self.target.get(self.path_length + 1..)
    }

    /// Path and query as they were sent.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Path and query as they were sent, for the request line to the application.
    pub fn into_target(self) -> String {
        self.target
    }

    /// What in the path a rule must have allowed.
    pub fn oddities(&self) -> Oddities {
        self.oddities
    }

    /// Every reading of the path, decoded once and in ASCII lower case; there is at least one.
    pub fn readings(&self) -> impl Iterator<Item = &str> {
        let (plain, several) = match &self.readings {
            Readings::AsSent => (Some(self.as_sent()), [].as_slice()),
            Readings::Several(readings) => (None, readings.as_slice()),
        };
        plain.into_iter().chain(several.iter().map(String::as_str))
    }

    /// The path below `prefix`, when the path has one single reading that lies there.
    ///
    /// `prefix` is in lower case and ends with `/`; the prefix without that slash gives `""`.
    pub fn below(&self, prefix: &str) -> Option<&str> {
        let mut readings = self.readings();
        let (Some(reading), None) = (readings.next(), readings.next()) else { return None };
        match reading.strip_prefix(prefix) {
            Some(rest) => Some(rest),
            None => (Some(reading) == prefix.strip_suffix('/')).then_some(""),
        }
    }
}

/// Whether every server reads `path` the same way, and as it stands: lower case, without escapes,
/// dot segments, empty segments or characters that mean something to somebody.
fn is_plain(path: &[u8]) -> bool {
    const PLAIN: [bool; 256] = {
        let mut plain = [false; 256];
        let mut byte = b'!';
        while byte < 0x7f {
            plain[byte as usize] =
                !byte.is_ascii_uppercase() && !matches!(byte, b'%' | b'\\' | b';' | b'#' | b'?');
            byte += 1;
        }
        plain
    };
    if path.first() != Some(&b'/') {
        return false;
    }
    let mut previous = 0;
    let mut is_plain = true;
    // Every byte is looked at: a branch for each would cost more.
    for &byte in path {
        // A dot after a slash may begin a dot segment, a dot before one may be trimmed by Windows.
        let is_suspicious = (previous == b'/') & ((byte == b'/') | (byte == b'.'))
            | (previous == b'.') & (byte == b'/');
        is_plain &= PLAIN[usize::from(byte)] & !is_suspicious;
        previous = byte;
    }
    is_plain & (previous != b'.')
}

/// Whether normalisation (NFKC) turns `character` into something that ends or climbs a segment.
fn is_lookalike(character: char) -> bool {
    let mut folded = std::iter::once(character).nfkc();
    let first = folded.next();
    let alone = folded.next().is_none();
    matches!((first, alone), (Some('.'), true))
        || std::iter::once(character).nfkc().any(|c| matches!(c, '/' | '\\'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings(target: &str) -> Vec<String> {
        RequestPath::parse(target).unwrap().readings().map(str::to_owned).collect()
    }

    #[test]
    fn a_plain_path_is_read_as_it_stands() {
        let path = RequestPath::parse("/polls/vote/?next=/a%2fb").unwrap();
        assert_eq!(path.as_sent(), "/polls/vote/");
        assert_eq!(path.query(), Some("next=/a%2fb"));
        assert_eq!(path.readings().collect::<Vec<_>>(), ["/polls/vote/"]);
        assert!(path.oddities().is_empty());
    }

    #[test]
    fn case_and_needless_escapes_are_folded() {
        assert_eq!(readings("/%61DMIN/"), ["/admin/"]);
        assert_eq!(readings("/caf%C3%A9"), ["/café"]);
        assert_eq!(readings("/.well-known/x.txt"), ["/.well-known/x.txt"]);
    }

    #[test]
    fn what_two_servers_read_differently_is_refused() {
        use MalformedPath::*;
        for (target, why) in [
            ("admin", NotAPath),
            ("*", NotAPath),
            ("/public/../admin/", DotSegment),
            ("/public/%2e%2e/admin/", DotSegment),
            ("/public/.%2e/admin/", DotSegment),
            ("/./admin", DotSegment),
            ("/admin/.", DotSegment),
            ("/public/..;/admin/", DotSegment),
            ("/public/..%2fadmin/", DotSegment),
            ("/public/.. /admin/", ControlCharacter),
            ("/public/..%20/admin/", DotSegment),
            ("/public/..%5cadmin/", Backslash),
            ("/public\\admin", Backslash),
            ("/admin%00", ControlCharacter),
            ("/admin%0a", ControlCharacter),
            ("/admin%3fx", EncodedDelimiter),
            ("/admin%23x", EncodedDelimiter),
            ("/public/..%252fadmin/", EncodedTwice),
            ("/public/%25%32%65", EncodedTwice),
            ("/public/%25u002e", EncodedTwice),
            ("/public/%u002e", BadEscape),
            ("/public/%", BadEscape),
            ("/public/%2", BadEscape),
            ("/public/%c0%ae", NotUtf8),
            ("/public/%ff", NotUtf8),
            ("/public%ef%bc%8fadmin", Lookalike),
            ("/public/%ef%bc%8e%ef%bc%8e/admin", Lookalike),
            ("/public/%e2%80%a5/admin", DotSegment),
        ] {
            assert_eq!(RequestPath::parse(target).err(), Some(why), "{target}");
        }
    }

    #[test]
    fn oddities_are_named_and_read_in_every_way() {
        let path = RequestPath::parse("/public/a%2fadmin").unwrap();
        assert!(path.oddities().contains(Oddity::EncodedSlash));
        assert_eq!(readings("/a%2fb"), ["/a%2fb", "/a/b"]);
        assert_eq!(readings("//x/admin/"), ["//x/admin/", "/x/admin/", "/admin/"]);
        assert_eq!(readings("/admin;x=y/z"), ["/admin;x=y/z", "/admin/z", "/admin"]);
    }

    #[test]
    fn a_lookalike_name_is_judged_by_what_it_folds_to_as_well() {
        assert_eq!(readings("/%ef%bd%81dmin/"), ["/ａdmin/", "/admin/"]);
        assert_eq!(readings("/admin./x"), ["/admin./x", "/admin/x"]);
    }

    #[test]
    fn own_pages_are_found_by_a_single_reading() {
        let below = |target: &str| {
            RequestPath::parse(target).unwrap().below("/accounts/").map(str::to_owned)
        };
        assert_eq!(below("/accounts/login/?next=/"), Some("login/".to_owned()));
        assert_eq!(below("/accounts"), Some(String::new()));
        assert_eq!(below("/Accounts/Login/"), Some("login/".to_owned()));
        assert_eq!(below("/accountsx/"), None);
        assert_eq!(below("/accounts/login/;x"), None);
    }
}
