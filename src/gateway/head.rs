//! What a request's head says before anything is decided: the path, and where it comes from.

use std::borrow::Cow;
use std::net::IpAddr;
use std::ops::Range;

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, Request, Version};
use ipnet::IpNet;

use super::Policy;
use crate::domain::RequestPath;
use crate::domain::rule::Circumstances;
use crate::web::forwarding::{self, Forwarded};
use crate::web::glance::{Glance, Seen};
use crate::web::refusal::Refusal;

/// The other end of a connection, known once for all its requests.
#[derive(Debug)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// Its address as `X-Forwarded-For` has it.
    pub address_header: HeaderValue,
    /// The port that it connected to, as `X-Forwarded-Port` has it.
    pub port_header: HeaderValue,
    /// Whether it came by TLS.
    pub is_secure: bool,
}

/// A request's head, read.
pub(super) struct Head {
    pub(super) path: RequestPath,
    pub(super) origin: Origin,
}

/// Where a request comes from and which host it asks for.
pub(super) struct Origin {
    pub(super) address: IpAddr,
    pub(super) is_secure: bool,
    pub(super) host: Host,
    /// What the head has in it.
    pub(super) glance: Glance,
    forwarded_for: HeaderValue,
    /// The host that a trusted proxy was asked for, for the application only: rules and sites go
    /// by `Host`.
    forwarded_host: Option<HeaderValue>,
    port: HeaderValue,
}

/// The host asked for, as sent and as compared.
#[derive(Clone)]
pub(super) struct Host {
    sent: Option<HeaderValue>,
    name: Name,
}

/// A name in lower case: mostly a part of what was sent.
#[derive(Clone)]
enum Name {
    Sent(Range<usize>),
    Folded(String),
}

impl Peer {
    /// The peer at `address`, connected to `port`.
    pub fn new(address: IpAddr, port: u16, is_secure: bool) -> Self {
        let address = address.to_canonical();
        let text = |text: String| {
            HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
        };
        Self {
            address,
            address_header: text(address.to_string()),
            port_header: HeaderValue::from(port),
            is_secure,
        }
    }
}

impl Head {
    /// Reads the head of `request`, or refuses what has no single meaning.
    pub(super) fn read<B>(
        request: &Request<B>,
        glance: Glance,
        peer: &Peer,
        policy: &Policy,
    ) -> Result<Self, Refusal> {
        refuse_method(request.method())?;
        if glance.saw(Seen::Expect) && !forwarding::expectation_is_known(request.headers()) {
            return Err(Refusal::Expectation);
        }
        if glance.saw(Seen::TransferEncoding) {
            refuse_ambiguous_framing(request.headers())?;
        }
        let host = Host::read(request, glance)?;
        let target = request.uri().path_and_query().map_or("", |target| target.as_str());
        let path = RequestPath::parse(target).map_err(Refusal::MalformedPath)?;
        let origin = if policy.trusts(peer.address) {
            Origin::behind_proxy(request.headers(), glance, peer, host, &policy.trusted_proxies)
        } else {
            Origin {
                address: peer.address,
                is_secure: peer.is_secure,
                host,
                glance,
                forwarded_for: peer.address_header.clone(),
                forwarded_host: None,
                port: peer.port_header.clone(),
            }
        };
        Ok(Self { path, origin })
    }
}

/// Refuses methods that no rule is about. CONNECT would make a tunnel and TRACE would show the
/// identity headers; `get` is another method than GET to rules, and the same to some servers.
fn refuse_method(method: &Method) -> Result<(), Refusal> {
    let is_refused = *method == Method::CONNECT
        || *method == Method::TRACE
        || method.as_str().bytes().any(|byte| byte.is_ascii_lowercase());
    if is_refused { Err(Refusal::Method) } else { Ok(()) }
}

/// Refuses a body whose length two servers could read differently: the only coding is `chunked`,
/// said once (RFC 9112, section 6.1), and beside it there is no `Content-Length`.
fn refuse_ambiguous_framing(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => {
            if headers.contains_key(CONTENT_LENGTH) {
                return Err(Refusal::MalformedRequest("there are two lengths of the body"));
            }
            Ok(())
        }
        (Some(_), _) => Err(Refusal::MalformedRequest("the body's coding is not `chunked` alone")),
    }
}

impl Host {
    /// The one host that the request asks for.
    fn read<B>(request: &Request<B>, glance: Glance) -> Result<Self, Refusal> {
        if glance.saw(Seen::SecondHost) {
            return Err(Refusal::MalformedRequest("there is more than one `Host`"));
        }
        let Some(sent) = request.headers().get(HOST) else {
            return if request.version() == Version::HTTP_11 {
                Err(Refusal::MalformedRequest("there is no `Host`"))
            } else {
                Ok(Self { sent: None, name: Name::Folded(String::new()) })
            };
        };
        let text = sent.to_str().map_err(|_| Refusal::MalformedRequest("`Host` is not a name"))?;
        // A target in absolute form overrides `Host` (RFC 9112, section 3.2.2): to be read in one
        // way only, they must say the same.
        if let Some(authority) = request.uri().authority()
            && !authority.as_str().eq_ignore_ascii_case(text)
        {
            return Err(Refusal::MalformedRequest("the target and `Host` name different hosts"));
        }
        let name = match name_of(text) {
            Some(Cow::Borrowed(name)) => Name::Sent(0..name.len()),
            Some(Cow::Owned(name)) => Name::Folded(name),
            None => return Err(Refusal::MalformedRequest("`Host` is not a name")),
        };
        Ok(Self { sent: Some(sent.clone()), name })
    }

    /// The same, without a part in the buffer that the request was read into.
    pub(super) fn to_owned_copy(&self) -> Self {
        let copy = |sent: &HeaderValue| HeaderValue::from_bytes(sent.as_bytes()).ok();
        Self { sent: self.sent.as_ref().and_then(copy), name: self.name.clone() }
    }

    /// The host in lower case, without a port and without a dot at the end; empty when not sent.
    pub(super) fn name(&self) -> &str {
        match &self.name {
            Name::Sent(range) => self.as_sent().get(range.clone()).unwrap_or_default(),
            Name::Folded(name) => name,
        }
    }

    /// The header as sent.
    pub(super) fn as_sent(&self) -> &str {
        self.sent.as_ref().and_then(|sent| sent.to_str().ok()).unwrap_or_default()
    }
}

/// The name in `host[:port]`, folded for comparison; `None` when it is neither name nor address.
fn name_of(host: &str) -> Option<Cow<'_, str>> {
    let (name, port) = match host.strip_prefix('[') {
        Some(bracketed) => {
            let end = bracketed.find(']')? + 2;
            (&host[..end], &host[end..])
        }
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let port_is_fine = match port.strip_prefix(':') {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_digit()),
        None => port.is_empty(),
    };
    let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || b".-_[]:".contains(&byte);
    if !port_is_fine || name.is_empty() || !name.bytes().all(is_name_byte) {
        return None;
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_folded = !name.bytes().any(|byte| byte.is_ascii_uppercase());
    Some(if is_folded { Cow::Borrowed(name) } else { Cow::Owned(name.to_ascii_lowercase()) })
}

impl Origin {
    /// What a trusted proxy says about the visitor: read from the right, as far as it is trusted.
    fn behind_proxy(
        headers: &HeaderMap,
        glance: Glance,
        peer: &Peer,
        host: Host,
        trusted: &[IpNet],
    ) -> Self {
        let chain: Vec<IpAddr> = headers
            .get_all("x-forwarded-for")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|hop| parse_address(hop.trim()))
            // What stands left of something unreadable was not written by anybody we trust.
            .fold(Vec::new(), |mut chain, hop| {
                match hop {
                    Some(address) => chain.push(address),
                    None => chain.clear(),
                }
                chain
            });
        let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
        let visitor = chain.iter().rposition(|hop| !is_trusted(hop)).unwrap_or(0);
        let believed = chain.get(visitor..).unwrap_or_default();
        let address = believed.first().copied().unwrap_or(peer.address);
        let forwarded_for: Vec<String> =
            believed.iter().chain([&peer.address]).map(IpAddr::to_string).collect();
        let last = |name: &str| {
            let value = headers.get_all(name).iter().next_back()?.to_str().ok()?;
            value.rsplit(',').next().map(str::trim)
        };
        let forwarded_host = last("x-forwarded-host")
            .filter(|host| name_of(host).is_some())
            .and_then(|host| HeaderValue::from_str(host).ok());
        let proto = last("x-forwarded-proto");
        let is_secure = proto.map_or(peer.is_secure, |proto| proto.eq_ignore_ascii_case("https"));
        let port = last("x-forwarded-port")
            .and_then(|port| port.parse::<u16>().ok())
            .map_or_else(|| peer.port_header.clone(), HeaderValue::from);
        Self {
            address,
            is_secure,
            host,
            glance,
            forwarded_for: HeaderValue::try_from(forwarded_for.join(", "))
                .unwrap_or_else(|_| peer.address_header.clone()),
            forwarded_host,
            port,
        }
    }

    /// What rules may ask about the request.
    pub(super) fn circumstances<'o>(&'o self, method: &'o Method) -> Circumstances<'o> {
        Circumstances {
            method: method.as_str(),
            host: self.host.name(),
            is_secure: self.is_secure,
            address: self.address,
        }
    }

    /// The headers that tell the application about the visitor's connection.
    pub(super) fn into_forwarded(self) -> Forwarded {
        Forwarded {
            addresses: self.forwarded_for,
            is_secure: self.is_secure,
            host: self.forwarded_host.or(self.host.sent),
            port: self.port,
        }
    }
}

/// An address of `X-Forwarded-For`; some proxies write a port behind it.
fn parse_address(hop: &str) -> Option<IpAddr> {
    let address = hop.parse::<IpAddr>().ok();
    let with_port = || hop.parse::<std::net::SocketAddr>().ok().map(|socket| socket.ip());
    let bracketed = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    address.or_else(with_port).or_else(bracketed).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_compared_without_case_port_or_final_dot() {
        for host in ["localhost", "LOCALHOST", "localhost.", "localhost:8000", "LocalHost.:80"] {
            assert_eq!(name_of(host).as_deref(), Some("localhost"), "{host}");
        }
        assert_eq!(name_of("[::1]:8000").as_deref(), Some("[::1]"));
        for host in ["", ":80", "a:b", "a@b", "a b", "a/b", "localhost:x@evil", "[::1", "a,b"] {
            assert_eq!(name_of(host), None, "{host}");
        }
    }

    fn origin(chain: &[&str]) -> (String, String) {
        let mut headers = HeaderMap::new();
        for value in chain {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        let peer = Peer::new("10.0.0.1".parse().unwrap(), 80, false);
        let host = Host { sent: None, name: Name::Folded(String::new()) };
        let (glance, trusted) = (Glance::over(&headers), ["10.0.0.0/8".parse().unwrap()]);
        let origin = Origin::behind_proxy(&headers, glance, &peer, host, &trusted);
        (origin.address.to_string(), origin.forwarded_for.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_chain_is_believed_from_right_to_left_as_far_as_it_is_trusted() {
        let expect = |chain: &[&str], address: &str, forwarded: &str| {
            assert_eq!(origin(chain), (address.to_owned(), forwarded.to_owned()), "{chain:?}");
        };
        expect(&[], "10.0.0.1", "10.0.0.1");
        expect(&["192.0.2.7"], "192.0.2.7", "192.0.2.7, 10.0.0.1");
        expect(&["127.0.0.1, 192.0.2.7"], "192.0.2.7", "192.0.2.7, 10.0.0.1");
        expect(&["127.0.0.1", "192.0.2.7, 10.1.1.1"], "192.0.2.7", "192.0.2.7, 10.1.1.1, 10.0.0.1");
        expect(&["10.9.9.9"], "10.9.9.9", "10.9.9.9, 10.0.0.1");
        expect(&["192.0.2.7, nonsense, 10.1.1.1"], "10.1.1.1", "10.1.1.1, 10.0.0.1");
        expect(&["192.0.2.7:4711"], "192.0.2.7", "192.0.2.7, 10.0.0.1");
    }
}
