//! Messages as they are written: in a session, in a header, and in templates as `messages`.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use minijinja::value::{Enumerator, Object, ObjectRepr, Value};
use serde::{Deserialize, Serialize};

use crate::domain::message::{Level, Message, MessageText};
use crate::domain::{SessionData, Timestamp, Visitor};

/// The key under which the messages of a session are kept in it.
pub const KEY: &str = "_messages";

/// The most bytes that the messages of a session take in it; the oldest are dropped for more.
const MOST_IN_SESSION: usize = 8 * 1024;

/// The most bytes that messages take in a header, where common servers take 8 KiB in a line; the
/// others wait for the next request. One message always fits.
pub const MOST_IN_HEADER: usize = 4 * 1024;

/// A message as JSON has it.
#[derive(Serialize, Deserialize)]
struct Written {
    level: String,
    text: String,
    created: u64,
}

impl Written {
    fn of(message: &Message) -> Self {
        Self {
            level: message.level.name().to_owned(),
            text: message.text.as_str().to_owned(),
            created: message.created.seconds(),
        }
    }

    fn read(self) -> Option<Message> {
        let (level, text) =
            (self.level.parse::<Level>().ok()?, MessageText::parse(&self.text).ok()?);
        Some(Message { level, text, created: Timestamp::from_seconds(self.created) })
    }
}

/// The JSON of a list of messages: objects with `level`, `text` and `created`, in seconds since 1970.
pub fn to_json(messages: &[Message]) -> String {
    let written: Vec<Written> = messages.iter().map(Written::of).collect();
    // Numbers and strings cannot fail to be written.
    serde_json::to_string(&written).unwrap_or_else(|_| "[]".to_owned())
}

/// The same in ASCII alone, as a header carries it for certain: JSON has its own way to write every
/// other character.
pub fn to_ascii_json(messages: &[Message]) -> String {
    let json = to_json(messages);
    if json.is_ascii() {
        return json;
    }
    let mut ascii = String::with_capacity(json.len() * 2);
    let mut units = [0; 2];
    for c in json.chars() {
        if c.is_ascii() {
            ascii.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut units) {
            // To write to a string cannot fail.
            let _written = write!(ascii, "\\u{unit:04x}");
        }
    }
    ascii
}

/// How many bytes a message takes in a header, what stands between two included.
pub fn size_in_header(message: &Message) -> usize {
    to_ascii_json(std::slice::from_ref(message)).len()
}

/// The messages that a session keeps. What cannot be read is as good as none.
pub fn in_session(data: Option<&SessionData>) -> Vec<Message> {
    let json = data.and_then(|data| data.own(KEY));
    let written = json.and_then(|json| serde_json::from_str::<Vec<Written>>(json).ok());
    written.into_iter().flatten().filter_map(Written::read).collect()
}

/// The JSON of messages to be kept in a session, without the oldest of too many; `None` for none.
pub fn for_session(messages: &[Message]) -> Option<Box<str>> {
    let room = |from: usize| to_json(&messages[from..]).len() <= MOST_IN_SESSION;
    let first = messages.len().saturating_sub(Message::MOST);
    let first = (first..=messages.len()).find(|&from| room(from))?;
    (first < messages.len()).then(|| to_json(&messages[first..]).into())
}

/// Whether messages wait for this visitor, as far as is known without asking anybody.
pub fn wait_for(visitor: &Visitor) -> bool {
    visitor.user().is_some_and(|user| user.has_messages)
        || visitor.data().is_some_and(|data| data.own(KEY).is_some())
}

/// `messages` in templates: a list, of which is known whether anybody looked at it.
///
/// As in Django, that is what counts as shown. Written as a whole it is JSON, and nothing where there
/// is no message.
#[derive(Debug, Clone, Default)]
pub struct MessagesScope {
    messages: Arc<[Message]>,
    were_shown: Arc<AtomicBool>,
}

impl MessagesScope {
    /// The `messages` of a page.
    pub fn new(messages: &[Message]) -> Self {
        Self { messages: messages.into(), were_shown: Arc::default() }
    }

    /// The value for a template.
    pub fn value(&self) -> Value {
        Value::from_object(self.clone())
    }

    /// Whether a template looked at them.
    pub fn were_shown(&self) -> bool {
        self.were_shown.load(Relaxed)
    }
}

impl Object for MessagesScope {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let message = self.messages.get(key.as_usize()?)?;
        self.were_shown.store(true, Relaxed);
        Some(Value::from_object(MessageScope(message.clone())))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.messages.len())
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.were_shown.store(true, Relaxed);
        if self.messages.is_empty() { Ok(()) } else { f.write_str(&to_ascii_json(&self.messages)) }
    }
}

/// One message: written, it is its text. `level`, `level_tag` and `tags` are the name of its level,
/// `message` and `text` the text, `created` the seconds since 1970.
#[derive(Debug)]
struct MessageScope(Message);

impl Object for MessageScope {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(match key.as_str()? {
            "level" | "level_tag" | "tags" => Value::from(self.0.level.name()),
            "message" | "text" => Value::from(self.0.text.as_str()),
            "extra_tags" => Value::from(""),
            "created" => Value::from(self.0.created.seconds()),
            _ => return None,
        })
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.text.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(level: Level, text: &str) -> Message {
        let text = MessageText::parse(text).unwrap();
        Message { level, text, created: Timestamp::from_seconds(7) }
    }

    #[test]
    fn a_header_is_ascii_and_says_the_same() {
        let messages = [message(Level::Success, "Zo\u{eb} \"x\" \u{1f600}\u{202e}")];
        let ascii = to_ascii_json(&messages);
        let expected =
            r#"[{"level":"success","text":"Zo\u00eb \"x\" \ud83d\ude00\u202e","created":7}]"#;
        assert_eq!(ascii, expected);
        let read: serde_json::Value = serde_json::from_str(&ascii).unwrap();
        assert_eq!(read[0]["text"], messages[0].text.as_str());
        let longest = message(Level::Warning, &"\u{1f600}".repeat(500));
        assert!(size_in_header(&longest) < 8000, "common servers take 8 KiB in a line");
    }

    #[test]
    fn a_session_keeps_messages_and_drops_the_oldest_of_too_many() {
        assert_eq!(for_session(&[]), None);
        let few = [message(Level::Info, "a"), message(Level::Error, "b")];
        let data: SessionData = [(KEY.into(), for_session(&few).unwrap())].into_iter().collect();
        assert_eq!(in_session(Some(&data)), few);
        let many: Vec<_> =
            (0..60).map(|n| message(Level::Info, &format!("{n} {}", "x".repeat(300)))).collect();
        let json = for_session(&many).unwrap();
        assert!(json.len() <= MOST_IN_SESSION, "{}", json.len());
        let data: SessionData = [(KEY.into(), json)].into_iter().collect();
        let kept = in_session(Some(&data));
        assert!(kept.len() > 10 && many.ends_with(&kept), "{}", kept.len());
        let broken: SessionData = [(KEY.into(), "[1]".into())].into_iter().collect();
        assert_eq!(in_session(Some(&broken)), []);
        assert_eq!(in_session(None), []);
    }

    #[test]
    fn whoever_looks_at_messages_was_shown_them() {
        let mut environment = minijinja::Environment::new();
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        for (template, expected, is_shown) in [
            ("{% for m in messages %}{{ m }} {{ m.tags }};{% endfor %}", "a info;b error;", true),
            ("{{ messages[1].message }}", "b", true),
            ("{{ messages | length }}{% if messages %}!{% endif %}", "2!", false),
            ("nothing", "nothing", false),
        ] {
            let scope =
                MessagesScope::new(&[message(Level::Info, "a"), message(Level::Error, "b")]);
            let context = minijinja::context! { messages => scope.value() };
            assert_eq!(environment.render_str(template, context).unwrap(), expected);
            assert_eq!(scope.were_shown(), is_shown, "{template}");
        }
        let none = MessagesScope::default();
        let context = minijinja::context! { messages => none.value() };
        assert_eq!(environment.render_str("[{{ messages }}]", context).unwrap(), "[]");
    }
}
