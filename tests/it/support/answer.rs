//! An answer of the gateway, read strictly: what RFC 9112 leaves to kindness is a failure here.

use std::fmt;

use serde_json::Value;

/// What may meet an attack: a redirect, a refusal, never the application. (The safe set of the security catalogue.)
pub(crate) const SAFE: [u16; 16] =
    [301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 411, 413, 414, 417, 421, 431];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    None,
    Length(u64),
    Chunked,
    UntilClose,
}

#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
    /// The statuses of the interim answers (1xx) that came before.
    pub(crate) interim: Vec<u16>,
    pub(crate) framing: Framing,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The value of one cookie that this answer sets.
    pub(crate) fn sets_cookie(&self, name: &str) -> Option<String> {
        let start = format!("{name}=");
        self.all("set-cookie").into_iter().find_map(|line| {
            line.strip_prefix(&start).map(|rest| rest.split(';').next().unwrap_or("").to_owned())
        })
    }

    pub(crate) fn came_from_upstream(&self) -> bool {
        self.header("x-echo").is_some()
    }

    /// The application answered; gives what it saw.
    #[track_caller]
    pub(crate) fn is_forwarded(&self) -> Echo {
        assert!(self.came_from_upstream(), "expected the application's answer, got {self:?}");
        Echo(
            serde_json::from_slice(&self.body)
                .unwrap_or_else(|error| panic!("no echo ({error}): {self:?}")),
        )
    }

    #[track_caller]
    pub(crate) fn is_forwarded_as(&self, name: &str) -> Echo {
        let echo = self.is_forwarded();
        assert_eq!(
            echo.folded("remote-user"),
            [name],
            "exactly one Remote-User, `{name}`, reaches the application"
        );
        echo
    }

    #[track_caller]
    pub(crate) fn is_forwarded_anonymously(&self) -> Echo {
        let echo = self.is_forwarded();
        assert_eq!(
            echo.folded("remote-user"),
            Vec::<String>::new(),
            "no Remote-User reaches the application"
        );
        echo
    }

    /// The visitor is sent to the login page and from there back to `next`.
    #[track_caller]
    pub(crate) fn asks_to_log_in(&self, next: &str) {
        assert!(!self.came_from_upstream(), "the application answered: {self:?}");
        assert!(
            matches!(self.status, 302 | 303),
            "expected a redirect to the login page, got {self:?}"
        );
        let location = self
            .header("location")
            .unwrap_or_else(|| panic!("a redirect without a Location: {self:?}"));
        let (path, query) = location.split_once('?').unwrap_or((location, ""));
        assert_eq!(path, "/accounts/login/", "{self:?}");
        let found: Vec<_> = form_urlencoded::parse(query.as_bytes())
            .filter(|(key, _)| key == "next")
            .map(|(_, value)| value)
            .collect();
        assert_eq!(found, [next], "the way back in `{location}`");
    }

    #[track_caller]
    pub(crate) fn is_refused_with(&self, status: u16) {
        assert!(!self.came_from_upstream(), "the application answered: {self:?}");
        assert_eq!(self.status, status, "{self:?}");
    }

    /// Any outcome that gives nothing away.
    #[track_caller]
    pub(crate) fn is_safe(&self) {
        assert!(!self.came_from_upstream(), "the application answered: {self:?}");
        assert!(SAFE.contains(&self.status), "not a safe outcome: {self:?}");
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "answer {} ({:?}, {} bytes, interim {:?})",
            self.status,
            self.framing,
            self.body.len(),
            self.interim
        )?;
        for (name, value) in &self.headers {
            writeln!(out, "    {name}: {value}")?;
        }
        let text = self.text();
        write!(out, "    {}", text.chars().take(600).collect::<String>())
    }
}

/// What the application saw, as it told in its answer.
pub(crate) struct Echo(Value);

impl Echo {
    pub(crate) fn method(&self) -> &str {
        self.0["method"].as_str().unwrap()
    }

    pub(crate) fn target(&self) -> &str {
        self.0["target"].as_str().unwrap()
    }

    pub(crate) fn body(&self) -> &str {
        self.0["body"].as_str().unwrap()
    }

    pub(crate) fn body_length(&self) -> u64 {
        self.0["body_length"].as_u64().unwrap()
    }

    /// Which connection of the application the request came on.
    pub(crate) fn connection(&self) -> u64 {
        self.0["connection"].as_u64().unwrap()
    }

    pub(crate) fn headers(&self) -> Vec<(String, String)> {
        let pair = |entry: &Value| {
            (entry[0].as_str().unwrap().to_owned(), entry[1].as_str().unwrap().to_owned())
        };
        self.0["headers"]
            .as_array()
            .unwrap()
            .iter()
            .chain(self.0["trailers"].as_array().unwrap())
            .map(pair)
            .collect()
    }

    pub(crate) fn trailers(&self) -> usize {
        self.0["trailers"].as_array().unwrap().len()
    }

    /// The values of every header (or trailer) that a CGI-like application could take for `name`.
    pub(crate) fn folded(&self, name: &str) -> Vec<String> {
        let wanted = fold(name);
        self.headers()
            .into_iter()
            .filter(|(known, _)| fold(known) == wanted)
            .map(|(_, value)| value)
            .collect()
    }
}

/// A header name as the most forgiving application reads it.
pub(crate) fn fold(name: &str) -> String {
    name.trim().to_ascii_lowercase().replace(['_', '.', ' '], "-")
}

/// What the bytes so far amount to.
pub(crate) enum Reading {
    More,
    Whole(Box<Answer>, usize),
}

/// Reads one answer (interim ones in front of it included) to a request with `method`. `ended`: no more bytes will come.
pub(crate) fn read(bytes: &[u8], method: &str, ended: bool) -> Result<Reading, String> {
    let mut interim = Vec::new();
    let mut start = 0;
    loop {
        let Some(length) = memchr::memmem::find(&bytes[start..], b"\r\n\r\n") else {
            return unfinished(bytes, start, ended);
        };
        let head = &bytes[start..start + length + 2];
        start += length + 4;
        let (status, headers) = read_head(head)?;
        if (100..200).contains(&status) && status != 101 {
            interim.push(status);
            continue;
        }
        let framing = framing(status, &headers, method)?;
        let mut answer =
            Answer { status, headers, body: Vec::new(), trailers: Vec::new(), interim, framing };
        let rest = &bytes[start..];
        let used = match framing {
            Framing::None => Some(0),
            Framing::Length(length) => {
                let length = usize::try_from(length).map_err(|error| error.to_string())?;
                (rest.len() >= length).then(|| {
                    answer.body = rest[..length].to_vec();
                    length
                })
            }
            Framing::UntilClose => ended.then(|| {
                answer.body = rest.to_vec();
                rest.len()
            }),
            Framing::Chunked => match read_chunked(rest)? {
                Some((body, trailers, used)) => {
                    answer.body = body;
                    answer.trailers = trailers;
                    Some(used)
                }
                None => None,
            },
        };
        return match used {
            Some(used) => Ok(Reading::Whole(Box::new(answer), start + used)),
            None if ended => Err(format!("the connection ended within the body of {answer:?}")),
            None => Ok(Reading::More),
        };
    }
}

fn unfinished(bytes: &[u8], start: usize, ended: bool) -> Result<Reading, String> {
    if ended && bytes.len() > start {
        return Err(format!(
            "the connection ended within a head: {:?}",
            String::from_utf8_lossy(bytes)
        ));
    }
    Ok(Reading::More)
}

type Fields = Vec<(String, String)>;

fn read_head(head: &[u8]) -> Result<(u16, Fields), String> {
    let text: String = head.iter().map(|&byte| char::from(byte)).collect();
    let (status_line, fields) = text.split_once("\r\n").ok_or("no status line")?;
    let rest = status_line
        .strip_prefix("HTTP/1.1 ")
        .ok_or_else(|| format!("not a status line: {status_line:?}"))?;
    let (code, _reason) = rest
        .split_once(' ')
        .ok_or_else(|| format!("no space after the status: {status_line:?}"))?;
    let status: u16 = code.parse().map_err(|_| format!("not a status: {code:?}"))?;
    if !(100..600).contains(&status) || code.len() != 3 {
        return Err(format!("not a status: {code:?}"));
    }
    Ok((status, read_fields(fields)?))
}

/// The lines of a head or of trailers, each ended by CRLF.
pub(crate) fn read_fields(text: &str) -> Result<Fields, String> {
    let mut fields = Vec::new();
    for line in text.split_terminator("\r\n") {
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| format!("a header line without a colon: {line:?}"))?;
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(format!("not a header name: {name:?}"));
        }
        if value.chars().any(|character| matches!(character, '\r' | '\n' | '\0')) {
            return Err(format!("a control character in a header: {line:?}"));
        }
        fields.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
    }
    Ok(fields)
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The length that the fields of a message promise: at most one, said once.
pub(crate) fn promised(fields: &[(String, String)]) -> Result<Option<Framing>, String> {
    let all = |wanted: &str| -> Vec<&String> {
        fields
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value)
            .collect()
    };
    let lengths = all("content-length");
    let codings = all("transfer-encoding");
    match (lengths.as_slice(), codings.as_slice()) {
        ([], []) => Ok(None),
        ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => Ok(Some(Framing::Chunked)),
        ([length], [])
            if !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            length
                .parse()
                .map(|length| Some(Framing::Length(length)))
                .map_err(|_| format!("a length beyond 64 bits: {length}"))
        }
        _ => Err(format!("ambiguous framing: {lengths:?} {codings:?}")),
    }
}

fn framing(status: u16, headers: &[(String, String)], method: &str) -> Result<Framing, String> {
    let promised = promised(headers)?;
    let bodiless = method == "HEAD" || matches!(status, 101 | 204 | 304);
    if matches!(status, 101 | 204) && promised.is_some() {
        return Err(format!("a {status} with a length: {headers:?}"));
    }
    Ok(match promised {
        _ if bodiless => Framing::None,
        Some(framing) => framing,
        None => Framing::UntilClose,
    })
}

type Chunked = (Vec<u8>, Fields, usize);

/// A chunked body with its trailers and how many bytes it took, or `None` while bytes are missing.
pub(crate) fn read_chunked(bytes: &[u8]) -> Result<Option<Chunked>, String> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let Some(length) = memchr::memmem::find(&bytes[at..], b"\r\n") else { return Ok(None) };
        let size = chunk_size(&bytes[at..at + length])?;
        at += length + 2;
        if size == 0 {
            break;
        }
        let Some(data) = bytes.get(at..at + size + 2) else { return Ok(None) };
        if &data[size..] != b"\r\n" {
            return Err("a chunk that does not end with CRLF".to_owned());
        }
        body.extend_from_slice(&data[..size]);
        at += size + 2;
    }
    if bytes[at..].starts_with(b"\r\n") {
        return Ok(Some((body, Vec::new(), at + 2)));
    }
    let Some(length) = memchr::memmem::find(&bytes[at..], b"\r\n\r\n") else { return Ok(None) };
    let text: String = bytes[at..at + length + 2].iter().map(|&byte| char::from(byte)).collect();
    Ok(Some((body, read_fields(&text)?, at + length + 4)))
}

/// Hexadecimal digits only: the gateway has no reason to send an extension.
pub(crate) fn chunk_size(line: &[u8]) -> Result<usize, String> {
    let text = std::str::from_utf8(line).map_err(|error| error.to_string())?;
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(format!("not a chunk size: {text:?}"));
    }
    usize::from_str_radix(text, 16).map_err(|error| error.to_string())
}
