//! The names that expressions and templates may use: `user`, `groups`, `profile`, `request`, with
//! the methods of the Django Book's Table 12-4 under their own names; `session` has a file of its
//! own.

use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr, Value};
use minijinja::{Error, ErrorKind, State};

use super::messages::MessagesScope;
use crate::domain::rule::Circumstances;
use crate::domain::{Permission, RequestPath, User, Visitor};

/// `user`: the visitor's account, or Django's `AnonymousUser`; and the messages that were taken out
/// for the visitor, where they can be shown.
#[derive(Debug)]
pub struct UserScope(Option<Arc<User>>, Option<MessagesScope>);

impl UserScope {
    /// The `user` of this visitor.
    pub fn of(visitor: &Visitor) -> Value {
        Self::with_messages(visitor, None)
    }

    /// The `user` of this visitor, with `get_and_delete_messages`.
    pub fn with_messages(visitor: &Visitor, messages: Option<&MessagesScope>) -> Value {
        let user = match visitor {
            Visitor::Anonymous | Visitor::Guest(_) => None,
            Visitor::SignedIn(identity) => Some(Arc::clone(identity.user())),
        };
        Value::from_object(Self(user, messages.cloned()))
    }

    /// The `user` for an account.
    pub fn known(user: &Arc<User>) -> Value {
        Value::from_object(Self(Some(Arc::clone(user)), None))
    }

    /// What of Table 12-4 gives a value of its own, whoever the visitor is.
    fn collection(&self, name: &str) -> Option<Value> {
        let names = |held: &mut dyn Iterator<Item = &Permission>| {
            Value::from(held.map(|held| held.as_str().to_owned()).collect::<Vec<_>>())
        };
        let user = self.0.as_deref();
        Some(match name {
            "get_group_permissions" => {
                names(&mut user.into_iter().flat_map(User::get_group_permissions))
            }
            "get_all_permissions" => {
                names(&mut user.into_iter().flat_map(User::get_all_permissions))
            }
            "get_profile" => Value::from_object(ProfileScope(self.0.clone())),
            "get_and_delete_messages" => self.1.as_ref()?.value(),
            _ => return None,
        })
    }
}

impl Object for UserScope {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let name = key.as_str()?;
        if let Some(collection) = self.collection(name) {
            return Some(collection);
        }
        let Some(user) = &self.0 else {
            return Some(match name {
                "username" | "first_name" | "last_name" | "email" | "get_full_name"
                | "get_short_name" => Value::from(""),
                "is_authenticated" | "is_staff" | "is_active" | "is_superuser" => {
                    Value::from(false)
                }
                "is_anonymous" => Value::from(true),
                "id" | "last_login" | "date_joined" => Value::from(()),
                _ => return None,
            });
        };
        Some(match name {
            "id" => Value::from(user.id.0),
            "username" => Value::from(&*user.username),
            "first_name" => Value::from(&*user.first_name),
            "last_name" => Value::from(&*user.last_name),
            "email" => Value::from(&*user.email),
            "get_full_name" => Value::from(user.get_full_name()),
            "get_short_name" => Value::from(user.get_short_name()),
            "is_authenticated" => Value::from(true),
            "is_anonymous" => Value::from(false),
            "is_staff" => Value::from(user.is_staff),
            "is_active" => Value::from(user.is_active),
            "is_superuser" => Value::from(user.is_superuser),
            "last_login" => Value::from(user.last_login.map(|at| at.seconds())),
            "date_joined" => Value::from(user.date_joined.seconds()),
            _ => return None,
        })
    }

    fn call_method(
        self: &Arc<Self>,
        _state: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let user = self.0.as_ref();
        match (method, args) {
            (
                "get_full_name"
                | "get_short_name"
                | "is_authenticated"
                | "is_anonymous"
                | "get_group_permissions"
                | "get_all_permissions"
                | "get_profile",
                [],
            ) => Ok(self.get_value(&Value::from(method)).unwrap_or_default()),
            ("get_and_delete_messages", []) if self.1.is_some() => {
                Ok(self.collection(method).unwrap_or_default())
            }
            ("has_perm", [permission]) => {
                let permission = text(permission).unwrap_or_default();
                Ok(Value::from(user.is_some_and(|user| user.has_perm(&permission))))
            }
            ("has_perms", permissions) => {
                let names: Vec<String> = match permissions {
                    [list] if list.as_str().is_none() => {
                        list.try_iter()?.filter_map(|value| text(&value)).collect()
                    }
                    several => several.iter().filter_map(text).collect(),
                };
                let has_all = |user: &Arc<User>| names.iter().all(|name| user.has_perm(name));
                Ok(Value::from(user.is_some_and(has_all)))
            }
            ("has_module_perms", [app]) => {
                let app = text(app).unwrap_or_default();
                Ok(Value::from(user.is_some_and(|user| user.has_module_perms(&app))))
            }
            _ => Err(Error::new(
                ErrorKind::UnknownMethod,
                format!("`user` has no method `{method}` that takes {} arguments", args.len()),
            )),
        }
    }
}

/// `groups`: the names of the visitor's groups, sorted.
pub fn groups(visitor: &Visitor) -> Value {
    visitor
        .user()
        .map_or_else(|| Value::from(Vec::<String>::new()), |user| Value::from(user.groups.clone()))
}

/// `perms`: `perms.polls.can_vote` says whether the visitor has that permission, as in Django's
/// templates; `perms.polls` is true for whoever has any permission in `polls`.
#[derive(Debug)]
pub struct PermsScope(Option<Arc<User>>);

impl PermsScope {
    /// The `perms` of this visitor.
    pub fn of(visitor: &Visitor) -> Value {
        Value::from_object(match visitor {
            Visitor::Anonymous | Visitor::Guest(_) => Self(None),
            Visitor::SignedIn(identity) => Self(Some(Arc::clone(identity.user()))),
        })
    }
}

impl Object for PermsScope {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let app = key.as_str()?.to_owned();
        Some(Value::from_object(AppPermsScope { app, user: self.0.clone() }))
    }
}

#[derive(Debug)]
struct AppPermsScope {
    app: String,
    user: Option<Arc<User>>,
}

impl Object for AppPermsScope {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let name = format!("{}.{}", self.app, key.as_str()?);
        Some(Value::from(self.user.as_ref().is_some_and(|user| user.has_perm(&name))))
    }

    fn is_true(self: &Arc<Self>) -> bool {
        self.user.as_ref().is_some_and(|user| user.has_module_perms(&self.app))
    }
}

/// `profile`: the user's profile, where a field that is not filled in is `none`.
#[derive(Debug)]
pub struct ProfileScope(Option<Arc<User>>);

impl ProfileScope {
    /// The `profile` of this visitor.
    pub fn of(visitor: &Visitor) -> Value {
        Value::from_object(match visitor {
            Visitor::Anonymous | Visitor::Guest(_) => Self(None),
            Visitor::SignedIn(identity) => Self(Some(Arc::clone(identity.user()))),
        })
    }
}

impl Object for ProfileScope {
    /// `in` asks a map whether there is a value, and here there is one for every name; of what can
    /// be iterated over it asks what is there.
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Iterable
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let field = self.0.as_ref().and_then(|user| user.profile.get(key.as_str()?));
        Some(field.map_or(Value::from(()), |value| Value::from(&**value)))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let fields = self
            .0
            .as_ref()
            .map(|user| user.profile.keys().map(|key| Value::from(&**key)).collect());
        Enumerator::Values(fields.unwrap_or_default())
    }
}

/// `request`: `method`, `path` and `query` as sent, `host`, `address`, `is_secure`.
pub fn request(path: &RequestPath, circumstances: &Circumstances<'_>) -> Value {
    minijinja::context! {
        method => circumstances.method,
        path => path.as_sent(),
        query => path.query().unwrap_or_default(),
        host => circumstances.host,
        address => circumstances.address.to_string(),
        is_secure => circumstances.is_secure,
    }
}
