//! `session` in expressions and templates: when it began and ends, and what applications keep in it.

use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr, Value};
use minijinja::{Error, ErrorKind, State};

use crate::domain::session::Span;
use crate::domain::{SessionData, SessionKey, Visitor};

/// `session`: `started`, `last_seen` and `expires` in seconds since 1970, `session_key`, and the
/// values that applications set, which are what their JSON says.
///
/// As in Django's templates a name that is not set is no error: `session.fav_color` is `none` then.
/// `"fav_color" in session`, `get`, `has_key`, `keys` and `items` are as Django's.
#[derive(Debug)]
pub struct SessionScope {
    span: Option<Span>,
    key: Option<SessionKey>,
    data: Option<Arc<SessionData>>,
}

impl SessionScope {
    /// The `session` of this visitor, whose key is told where somebody may know it.
    pub fn of(visitor: &Visitor, key: Option<SessionKey>) -> Value {
        let data = visitor.data().cloned();
        Value::from_object(Self { span: visitor.span(), key, data })
    }

    /// What the session itself says under `name`. An application's value of the same name is not
    /// seen: what `expires` means in a rule must not be the application's choice.
    fn own(&self, name: &str) -> Option<Value> {
        let moment = match name {
            "started" => self.span.map(|span| span.started),
            "last_seen" => self.span.map(|span| span.last_seen),
            "expires" => self.span.map(|span| span.expires),
            "session_key" => {
                return Some(self.key.map_or(Value::from(()), |key| Value::from(key.to_string())));
            }
            _ => return None,
        };
        Some(moment.map_or(Value::from(()), |moment| Value::from(moment.seconds())))
    }

    fn get(&self, key: &Value) -> Option<Value> {
        let name = key.as_str()?;
        self.own(name).or_else(|| self.kept(name))
    }

    fn kept(&self, name: &str) -> Option<Value> {
        self.data.as_ref()?.get(name).map(read)
    }

    /// What applications keep, without what cannot be seen because the session itself says it.
    fn items(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.data.iter().flat_map(|data| data.of_applications());
        all.filter(|(name, _)| self.own(name).is_none())
    }
}

/// The value of a JSON text; one that cannot be read is an error to whoever looks at it.
fn read(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_else(|error| {
        Value::from(Error::new(ErrorKind::BadSerialization, error.to_string()))
    })
}

impl Object for SessionScope {
    /// `in` asks a map whether there is a value, and here there is one for every name; of what can
    /// be iterated over it asks what is there.
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Iterable
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(self.get(key).unwrap_or(Value::from(())))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.items().map(|(name, _)| Value::from(name)).collect())
    }

    fn call_method(
        self: &Arc<Self>,
        _state: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        match (method, args) {
            ("get", [name]) => Ok(self.get(name).unwrap_or(Value::from(()))),
            ("get", [name, default]) => Ok(self.get(name).unwrap_or_else(|| default.clone())),
            ("has_key", [name]) => Ok(Value::from(self.get(name).is_some())),
            ("keys", []) => {
                Ok(self.items().map(|(name, _)| Value::from(name)).collect::<Vec<_>>().into())
            }
            ("items", []) => {
                let pair = |(name, json)| Value::from(vec![Value::from(name), read(json)]);
                Ok(self.items().map(pair).collect::<Vec<_>>().into())
            }
            _ => Err(Error::new(
                // Not `UnknownMethod`: the value of that name would be tried then.
                ErrorKind::InvalidOperation,
                format!("`session` has no method `{method}` that takes {} arguments", args.len()),
            )),
        }
    }
}
