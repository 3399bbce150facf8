//! The headers by which an application learns who is asking.
//!
//! Templates are compiled with the file and rendered when an identity is loaded. What a client
//! sends under any spelling of one of these names is removed on every route, in
//! [`forwarding`](super::forwarding); what is set here is set last.

use std::fmt;

use http::{HeaderName, HeaderValue};
use minijinja::{Environment, UndefinedBehavior, context};

use super::messages::MessagesScope;
use super::scope;
use super::session_scope::SessionScope;
use crate::domain::message::{Level, Message, MessageText};
use crate::domain::{SessionKey, Timestamp, Visitor};

/// The identity headers of a rule: names and compiled templates.
#[derive(Clone)]
pub struct IdentityHeaders {
    headers: Vec<Header>,
    environment: std::sync::Arc<Environment<'static>>,
    separator: String,
    encoding: Encoding,
    uses_session: bool,
    uses_messages: bool,
}

#[derive(Debug, Clone)]
struct Header {
    name: HeaderName,
    /// Whether it tells of the session alone, and so may be told of a visitor who is not signed in.
    is_of_session: bool,
    /// Whether it tells of messages, which are told once, and so is rendered for each telling.
    is_of_messages: bool,
}

/// Ready values for one visitor, to be set as they are.
pub type Rendered = Box<[(HeaderName, HeaderValue)]>;

/// How characters outside ASCII are written in a header's value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Encoding {
    /// As the bytes of UTF-8, which most applications expect.
    #[default]
    Utf8,
    /// Percent-encoded, for applications that read Latin-1 (`%` itself included).
    Percent,
}

/// A set of names that some kind of application expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// `Remote-User`, `Remote-Name`, `Remote-Email`, `Remote-Groups`.
    Remote,
    /// What oauth2-proxy sends: `X-Forwarded-User`, `-Email`, `-Preferred-Username`, `-Groups`.
    Oauth2Proxy,
    /// What authentik's outpost sends: `X-authentik-username` and so on; groups separated by `|`.
    Authentik,
    /// Grafana's auth proxy: `X-WEBAUTH-USER` and so on.
    Grafana,
    /// Jenkins' reverse-proxy plugin: `X-Forwarded-User` and so on; groups separated by `|`.
    Jenkins,
    /// Nothing.
    None,
}

const USERNAME: &str = "{{ user.username }}";
const NAME: &str = "{{ user.get_full_name }}";
const EMAIL: &str = "{{ user.email }}";
const GROUPS: &str = "{{ groups | join(separator) }}";

/// The header by which an application may learn the key of the session, to speak about it over the
/// admin socket, with its template. Nobody can come in by a key: it is a digest.
pub const SESSION_KEY: (&str, &str) = ("Session-Key", "{{ session.session_key }}");

impl Preset {
    /// Every preset.
    pub const ALL: [Self; 6] = [
        Self::Remote,
        Self::Oauth2Proxy,
        Self::Authentik,
        Self::Grafana,
        Self::Jenkins,
        Self::None,
    ];

    /// The name that `identity.preset` gives it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Remote => "remote",
            Self::Oauth2Proxy => "oauth2-proxy",
            Self::Authentik => "authentik",
            Self::Grafana => "grafana",
            Self::Jenkins => "jenkins",
            Self::None => "none",
        }
    }

    /// The names of its headers, with a template for each.
    pub const fn headers(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Remote => &[
                ("Remote-User", USERNAME),
                ("Remote-Name", NAME),
                ("Remote-Email", EMAIL),
                ("Remote-Groups", GROUPS),
            ],
            Self::Oauth2Proxy => &[
                ("X-Forwarded-User", USERNAME),
                ("X-Forwarded-Email", EMAIL),
                ("X-Forwarded-Preferred-Username", USERNAME),
                ("X-Forwarded-Groups", GROUPS),
            ],
            Self::Authentik => &[
                ("X-Authentik-Username", USERNAME),
                ("X-Authentik-Name", NAME),
                ("X-Authentik-Email", EMAIL),
                ("X-Authentik-Groups", GROUPS),
                ("X-Authentik-Uid", "{{ user.id }}"),
            ],
            Self::Grafana => &[
                ("X-Webauth-User", USERNAME),
                ("X-Webauth-Name", NAME),
                ("X-Webauth-Email", EMAIL),
                ("X-Webauth-Groups", GROUPS),
            ],
            Self::Jenkins => &[
                ("X-Forwarded-User", USERNAME),
                ("X-Forwarded-Displayname", NAME),
                ("X-Forwarded-Mail", EMAIL),
                ("X-Forwarded-Groups", GROUPS),
            ],
            Self::None => &[],
        }
    }

    /// What stands between two groups unless the file says otherwise.
    pub const fn group_separator(self) -> &'static str {
        match self {
            Self::Authentik | Self::Jenkins => "|",
            Self::Remote | Self::Oauth2Proxy | Self::Grafana | Self::None => ",",
        }
    }
}

/// Why a header cannot be an identity header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedHeader {
    /// It is not a header's name.
    #[error("`{0}` is not the name of a header")]
    Name(String),
    /// The gateway or HTTP itself writes it.
    #[error("`{0}` is written by the gateway itself")]
    Reserved(String),
    /// Its template is wrong.
    #[error("the template of `{name}` is wrong: {message}")]
    Template {
        /// The header.
        name: String,
        /// What is wrong.
        message: String,
    },
}

/// The headers of HTTP and of the gateway, whose values no template may write.
const RESERVED: [&str; 18] = [
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-connection",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
];

impl IdentityHeaders {
    /// Compiles `headers`, names and templates in which no name stands twice.
    pub fn compile<'a>(
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
        separator: &str,
        encoding: Encoding,
    ) -> Result<Self, MalformedHeader> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_fuel(Some(20_000));
        // What is not set sends no header: the word `none` would be a value like any other.
        environment.set_formatter(|out, state, value| match value.is_none() {
            true => Ok(()),
            false => minijinja::escape_formatter(out, state, value),
        });
        let mut compiled = Vec::new();
        let (mut uses_session, mut uses_messages) = (false, false);
        for (name, template) in headers {
            let header =
                HeaderName::try_from(name).map_err(|_| MalformedHeader::Name(name.to_owned()))?;
            if RESERVED.contains(&header.as_str()) {
                return Err(MalformedHeader::Reserved(name.to_owned()));
            }
            let malformed = |error: minijinja::Error| MalformedHeader::Template {
                name: name.to_owned(),
                message: error.detail().map_or_else(|| error.kind().to_string(), str::to_owned),
            };
            environment
                .add_template_owned(header.as_str().to_owned(), template.to_owned())
                .map_err(malformed)?;
            let template = environment.get_template(header.as_str()).map_err(malformed)?;
            let mut names = template.undeclared_variables(false);
            let (names_session, names_messages) =
                (names.remove("session"), names.remove("messages"));
            let is_of_messages = names_messages
                || template.undeclared_variables(true).contains("user.get_and_delete_messages");
            names.remove("separator");
            let is_of_session = (names_session || names_messages) && names.is_empty();
            uses_session |= names_session;
            uses_messages |= is_of_messages;
            compiled.push(Header { name: header, is_of_session, is_of_messages });
        }
        let compiled = Self {
            headers: compiled,
            environment: std::sync::Arc::new(environment),
            separator: separator.to_owned(),
            encoding,
            uses_session,
            uses_messages,
        };
        compiled.try_render(&Visitor::Anonymous, None, None)?;
        let sample = sample().into_iter().collect::<Vec<_>>();
        compiled.try_render(&Visitor::Anonymous, None, Some(&MessagesScope::new(&sample)))?;
        Ok(compiled)
    }

    /// The names, in lower case.
    pub fn names(&self) -> impl Iterator<Item = &HeaderName> {
        self.headers.iter().map(|header| &header.name)
    }

    /// Whether two sessions of one user may differ in what is rendered.
    pub fn uses_session(&self) -> bool {
        self.uses_session
    }

    /// Whether there are headers that [`Self::render`] leaves out because they tell of messages.
    pub fn uses_messages(&self) -> bool {
        self.uses_messages
    }

    /// The headers for `visitor`, whose session has this key: none for an anonymous one, for a guest
    /// those alone whose templates name `session` and nothing else, and none with an empty value. What
    /// tells of messages is not among them.
    pub fn render(
        &self,
        visitor: &Visitor,
        key: Option<SessionKey>,
    ) -> Result<Rendered, MalformedHeader> {
        match visitor {
            Visitor::Anonymous => Ok(Box::default()),
            Visitor::Guest(_) | Visitor::SignedIn(_) => self.try_render(visitor, key, None),
        }
    }

    /// The headers that tell `visitor`'s messages, which were taken out for this one request.
    pub fn render_messages(
        &self,
        visitor: &Visitor,
        key: Option<SessionKey>,
        messages: &[Message],
    ) -> Result<Rendered, MalformedHeader> {
        self.try_render(visitor, key, Some(&MessagesScope::new(messages)))
    }

    /// Renders the headers that tell of `messages`, or without any those that do not.
    fn try_render(
        &self,
        visitor: &Visitor,
        key: Option<SessionKey>,
        messages: Option<&MessagesScope>,
    ) -> Result<Rendered, MalformedHeader> {
        // A group whose name holds the separator would arrive as two groups.
        let groups: Vec<String> = visitor
            .user()
            .into_iter()
            .flat_map(|user| user.groups.iter())
            .filter(|group| self.separator.is_empty() || !group.contains(&self.separator))
            .cloned()
            .collect();
        let names = context! {
            user => scope::UserScope::with_messages(visitor, messages),
            groups => groups,
            messages => messages.map(MessagesScope::value),
            profile => scope::ProfileScope::of(visitor),
            session => SessionScope::of(visitor, key),
            separator => self.separator.as_str(),
        };
        let mut rendered = Vec::with_capacity(self.headers.len());
        let is_guest = matches!(visitor, Visitor::Guest(_));
        for Header { name: header, is_of_session, is_of_messages } in &self.headers {
            if is_guest && !is_of_session || *is_of_messages != messages.is_some() {
                continue;
            }
            let text = self
                .environment
                .get_template(header.as_str())
                .and_then(|template| template.render(names.clone()))
                .map_err(|error| MalformedHeader::Template {
                    name: header.to_string(),
                    message: error.detail().map_or_else(|| error.kind().to_string(), str::to_owned),
                })?;
            if let Some(value) = self.encoding.value(&text) {
                rendered.push((header.clone(), value));
            }
        }
        Ok(rendered.into_boxed_slice())
    }
}

/// A message with which templates are tried.
fn sample() -> Option<Message> {
    let text = MessageText::parse("Hello").ok()?;
    Some(Message { level: Level::Info, text, created: Timestamp::from_seconds(0) })
}

impl Encoding {
    /// The value of a header; `None` when nothing is left of `text`.
    fn value(self, text: &str) -> Option<HeaderValue> {
        use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
        const OUTSIDE: &AsciiSet = &CONTROLS.add(b'%');
        // A control character could end the header or the request (SECURITY.md, property 34).
        let clean: String = text.chars().filter(|c| !c.is_control()).collect();
        let encoded = match self {
            Self::Utf8 => clean,
            Self::Percent => utf8_percent_encode(&clean, OUTSIDE).to_string(),
        };
        let trimmed = encoded.trim();
        (!trimmed.is_empty()).then(|| HeaderValue::from_bytes(trimmed.as_bytes()).ok()).flatten()
    }
}

impl fmt::Debug for IdentityHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("IdentityHeaders").field(&self.headers).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    #[test]
    fn every_preset_compiles() {
        for preset in Preset::ALL {
            let headers = preset.headers().iter().copied();
            IdentityHeaders::compile(headers, preset.group_separator(), Encoding::Utf8).unwrap();
        }
    }

    #[test]
    fn misspelt_templates_and_reserved_names_are_refused() {
        for (name, template) in [
            ("X-A", "{{ usr.email }}"),
            ("X-A", "{{ user.emial }}"),
            ("Host", "x"),
            ("X-Forwarded-Port", "x"),
            ("X A", "x"),
            ("X-A", "{{"),
        ] {
            assert!(
                IdentityHeaders::compile([(name, template)], ",", Encoding::Utf8).is_err(),
                "{name}: {template}"
            );
        }
    }

    fn guest(pairs: &[(&str, &str)]) -> Visitor {
        let pairs = pairs.iter().map(|&(key, json)| (key.into(), json.into()));
        let data = std::sync::Arc::new(pairs.collect());
        Visitor::Guest(crate::domain::Guest::assumed(data, Timestamp::from_seconds(7)))
    }

    fn told(template: &str, visitor: &Visitor) -> Option<String> {
        let one = [("X-A", template)];
        let headers = IdentityHeaders::compile(one, ",", Encoding::Utf8).unwrap();
        let rendered = headers.render(visitor, None).unwrap();
        rendered.first().map(|(_, value)| String::from_utf8(value.as_bytes().to_vec()).unwrap())
    }

    #[test]
    fn a_guest_is_told_of_by_templates_of_the_session_alone() {
        let guest = guest(&[("color", r#""blå""#), ("n", "3"), ("l", "[1,2]")]);
        for (template, expected) in [
            ("{{ session.n + 1 if session.n }}", Some("4")),
            ("{{ session.l | join(separator) }}", Some("1,2")),
            ("{{ session['n'] }}{{ session.get('m', 'x') }}", Some("3x")),
            ("{{ 'a' if 'n' in session }}{{ 'b' if 'm' in session }}", Some("a")),
            ("{% for key in session %}{{ key }} {% endfor %}", Some("color l n")),
            ("{{ session.started }}", Some("7")),
            ("{{ session.other }}", None),
            ("{{ session.session_key }}", None),
            ("{{ session.n }}{{ user.username }}", None),
            ("constant", None),
        ] {
            assert_eq!(told(template, &guest).as_deref(), expected, "{template}");
            assert_eq!(told(template, &Visitor::Anonymous), None, "{template}");
        }
    }

    #[test]
    fn messages_are_told_when_they_were_taken_out_and_never_kept_with_the_rest() {
        let headers = [
            ("X-Messages", "{{ messages }}"),
            ("X-First", "{% for m in user.get_and_delete_messages() %}{{ m.text }}{% endfor %}"),
            ("X-Color", "{{ session.color }}"),
        ];
        let headers = IdentityHeaders::compile(headers, ",", Encoding::Utf8).unwrap();
        let guest = guest(&[("color", "1")]);
        let names = |rendered: &Rendered| {
            rendered.iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>()
        };
        assert!(headers.uses_messages());
        assert_eq!(names(&headers.render(&guest, None).unwrap()), ["x-color"]);
        // Of a guest's user nothing is told, not even by a method.
        let told = headers.render_messages(&guest, None, &[sample().unwrap()]).unwrap();
        assert_eq!(names(&told), ["x-messages"]);
        assert_eq!(told[0].1, r#"[{"level":"info","text":"Hello","created":0}]"#);
        assert_eq!(
            names(&headers.render_messages(&guest, None, &[]).unwrap()),
            Vec::<String>::new()
        );
        let misspelt = [("X-A", "{% for m in messages %}{{ m.txt }}{% endfor %}")];
        assert!(IdentityHeaders::compile(misspelt, ",", Encoding::Utf8).is_err());
    }

    #[test]
    fn what_an_application_keeps_can_end_no_header_and_stand_for_nothing_of_the_session() {
        let guest = guest(&[("a", r#""blue\r\nX-Admin: 1\u0007""#), ("expires", "99")]);
        assert_eq!(told("{{ session.a }}", &guest).as_deref(), Some("blueX-Admin: 1"));
        assert_eq!(told("{{ session.expires }}", &guest).as_deref(), Some("7"));
    }

    #[test]
    fn values_hold_no_control_characters() {
        assert_eq!(Encoding::Utf8.value("bob\r\nX-Admin: 1").unwrap(), "bobX-Admin: 1");
        assert_eq!(Encoding::Percent.value("zoë 5%").unwrap(), "zo%C3%AB 5%25");
        assert_eq!(Encoding::Utf8.value(" \n "), None);
    }
}
