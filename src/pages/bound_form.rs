//! Forms as templates see them, under the names of Django's `Form`, `BoundField` and `ErrorList`.
//!
//! `{{ form.username }}` is the input, `{{ form.username.errors }}` the list of what is wrong with
//! it, `{{ form.as_p }}` all of it; a template of the operator's may also write every part itself.

mod error_list;

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr};
use minijinja::{Error, ErrorKind, State, Value};

use super::templates::escape;
use error_list::{ErrorList, write_errors};

/// The fields of a form with what was typed, and what is wrong with it.
#[derive(Debug, Clone, Default)]
pub(super) struct BoundForm {
    fields: Vec<Arc<BoundField>>,
    other_errors: Vec<String>,
    /// What the form says besides, under names that are not Django's.
    flags: Vec<(&'static str, bool)>,
}

/// One field of a form.
#[derive(Debug, Clone)]
pub(super) struct BoundField {
    name: &'static str,
    label: &'static str,
    kind: Kind,
    autocomplete: &'static str,
    help_text: String,
    value: String,
    errors: Vec<String>,
    is_required: bool,
    is_read_only: bool,
    is_focused: bool,
}

/// What is typed into a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Username,
    Email,
    Password,
}

impl BoundField {
    /// A field for the name of a user.
    pub(super) fn username(value: &str) -> Self {
        let field = Self::new("username", "Username", Kind::Username, "username");
        Self { value: value.to_owned(), ..field }
    }

    /// A field for an address.
    pub(super) fn email(name: &'static str, label: &'static str, value: &str) -> Self {
        Self { value: value.to_owned(), ..Self::new(name, label, Kind::Email, "email") }
    }

    /// A field for the password that the account has.
    pub(super) fn current_password(name: &'static str, label: &'static str) -> Self {
        Self::new(name, label, Kind::Password, "current-password")
    }

    /// A field for the password that the account is to have.
    pub(super) fn new_password(name: &'static str, label: &'static str) -> Self {
        Self::new(name, label, Kind::Password, "new-password")
    }

    fn new(
        name: &'static str,
        label: &'static str,
        kind: Kind,
        autocomplete: &'static str,
    ) -> Self {
        Self {
            name,
            label,
            kind,
            autocomplete,
            help_text: String::new(),
            value: String::new(),
            errors: Vec::new(),
            is_required: true,
            is_read_only: false,
            is_focused: false,
        }
    }

    /// The field with a text that explains it.
    #[must_use]
    pub(super) fn explained(self, help_text: impl Into<String>) -> Self {
        Self { help_text: help_text.into(), ..self }
    }

    /// The field with what is wrong with it.
    #[must_use]
    pub(super) fn with_errors(self, errors: Vec<String>) -> Self {
        Self { errors, ..self }
    }

    /// The field, which may stay empty.
    #[must_use]
    pub(super) fn optional(self) -> Self {
        Self { is_required: false, ..self }
    }

    /// The field, whose value is settled.
    #[must_use]
    pub(super) fn read_only(self) -> Self {
        Self { is_read_only: true, ..self }
    }

    fn id(&self) -> String {
        format!("id_{}", self.name)
    }

    fn error_list(&self) -> Value {
        ErrorList::value(&self.errors, Some(&self.id()))
    }

    /// The `<label>`, with the colon that Django puts behind it.
    fn write_label(&self, out: &mut impl Write) -> fmt::Result {
        write!(out, "<label for=\"{}\">", self.id())?;
        escape(self.label, out)?;
        out.write_str(":</label>")
    }

    /// The `<input>`. A password that was typed is never sent back.
    fn write_input(&self, out: &mut impl Write) -> fmt::Result {
        let id = self.id();
        let (kind, value) = match self.kind {
            Kind::Username => ("text", Some(&self.value)),
            Kind::Email => ("email", Some(&self.value)),
            Kind::Password => ("password", None),
        };
        write!(out, "<input type=\"{kind}\" name=\"{}\" id=\"{id}\"", self.name)?;
        if let Some(value) = value {
            out.write_str(" value=\"")?;
            escape(value, out)?;
            out.write_char('"')?;
        }
        match self.kind {
            Kind::Username => out.write_str(
                " maxlength=\"150\" autocapitalize=\"none\" autocorrect=\"off\" spellcheck=\"false\"",
            )?,
            Kind::Email => out.write_str(" maxlength=\"254\"")?,
            Kind::Password => {}
        }
        write!(out, " autocomplete=\"{}\"", self.autocomplete)?;
        for (applies, attribute) in [
            (self.is_required, " required"),
            (self.is_read_only, " readonly"),
            (self.is_focused, " autofocus"),
            (!self.errors.is_empty(), " aria-invalid=\"true\""),
        ] {
            out.write_str(if applies { attribute } else { "" })?;
        }
        let parts = [
            (!self.help_text.is_empty(), format!("{id}_helptext")),
            (!self.errors.is_empty(), format!("{id}_error")),
        ];
        let described: Vec<_> =
            parts.into_iter().filter_map(|(is_there, id)| is_there.then_some(id)).collect();
        if !described.is_empty() {
            write!(out, " aria-describedby=\"{}\"", described.join(" "))?;
        }
        out.write_char('>')
    }

    /// Label, help, errors and input in Django's order.
    fn write_row(&self, tag: &str, out: &mut impl Write) -> fmt::Result {
        let id = self.id();
        // A list cannot stand in a paragraph.
        if tag == "p" {
            write_errors(&self.errors, Some(&id), out)?;
        }
        write!(out, "<{tag}>")?;
        self.write_label(out)?;
        if tag != "p" {
            self.write_help("div", out)?;
            write_errors(&self.errors, Some(&id), out)?;
        }
        self.write_input(out)?;
        if tag == "p" {
            self.write_help("span", out)?;
        }
        write!(out, "</{tag}>")
    }

    fn write_help(&self, tag: &str, out: &mut impl Write) -> fmt::Result {
        if self.help_text.is_empty() {
            return Ok(());
        }
        write!(out, "<{tag} class=\"helptext\" id=\"{}_helptext\">", self.id())?;
        escape(&self.help_text, out)?;
        write!(out, "</{tag}>")
    }
}

impl BoundForm {
    /// A form with these fields. The first that is wrong, or else the first that is empty, has the
    /// cursor.
    pub(super) fn new(mut fields: Vec<BoundField>) -> Self {
        let is_wrong = |field: &BoundField| !field.errors.is_empty();
        let is_empty = |field: &BoundField| field.value.is_empty() && !field.is_read_only;
        let first = fields.iter().position(is_wrong).or_else(|| fields.iter().position(is_empty));
        if let Some(field) = first.and_then(|at| fields.get_mut(at)) {
            field.is_focused = true;
        }
        let fields = fields.into_iter().map(Arc::new).collect();
        Self { fields, other_errors: Vec::new(), flags: Vec::new() }
    }

    /// The form with what is wrong with it as a whole.
    #[must_use]
    pub(super) fn with_errors(self, other_errors: Vec<String>) -> Self {
        Self { other_errors, ..self }
    }

    /// The form with another name that is true or not.
    #[must_use]
    pub(super) fn saying(mut self, name: &'static str, applies: bool) -> Self {
        self.flags.push((name, applies));
        self
    }

    /// The `form` of a template.
    pub(super) fn into_value(self) -> Value {
        Value::from_object(self)
    }

    /// A form with every field that a page of ours has, to try templates with.
    pub(super) fn sample(errors: &[&str]) -> Value {
        let errors: Vec<_> = errors.iter().map(|&error| error.to_owned()).collect();
        let username = BoundField::username("ada");
        let email = BoundField::email("email", "E-mail address", "ada@example.org");
        let passwords = ["password", "old_password"]
            .map(|name| BoundField::current_password(name, "Password"))
            .into_iter()
            .chain(
                ["password1", "password2", "new_password1", "new_password2"]
                    .map(|name| BoundField::new_password(name, "Password").explained("Help.")),
            );
        let fields = [username, email].into_iter().chain(passwords);
        let fields = fields.map(|field| field.with_errors(errors.clone())).collect();
        Self::new(fields).with_errors(errors).into_value()
    }

    fn write_all(&self, tag: &str, out: &mut impl Write) -> fmt::Result {
        write_errors(&self.other_errors, None, out)?;
        self.fields.iter().try_for_each(|field| field.write_row(tag, out))
    }

    fn errors(&self) -> Value {
        let others = (!self.other_errors.is_empty())
            .then(|| ("__all__".to_owned(), ErrorList::value(&self.other_errors, None)));
        let wrong = self.fields.iter().filter(|field| !field.errors.is_empty());
        let wrong = wrong.map(|field| (field.name.to_owned(), field.error_list()));
        Value::from_object(others.into_iter().chain(wrong).collect::<BTreeMap<String, Value>>())
    }
}

/// The HTML of a form or a part of one; `None` for any other value.
pub(super) fn html(value: &Value) -> Option<String> {
    let mut html = String::new();
    let written = if let Some(form) = value.downcast_object_ref::<BoundForm>() {
        form.write_all("div", &mut html)
    } else if let Some(field) = value.downcast_object_ref::<BoundField>() {
        field.write_input(&mut html)
    } else if let Some(list) = value.downcast_object_ref::<ErrorList>() {
        list.write(&mut html)
    } else {
        return None;
    };
    written.ok().map(|()| html)
}

fn safe(write: impl FnOnce(&mut String) -> fmt::Result) -> Option<Value> {
    let mut html = String::new();
    write(&mut html).ok().map(|()| Value::from_safe_string(html))
}

/// Django's templates call what they find; these may be written with and without `()`.
fn called(value: Option<Value>, method: &str) -> Result<Value, Error> {
    value.ok_or_else(|| Error::new(ErrorKind::UnknownMethod, format!("there is no `{method}`")))
}

impl Object for BoundForm {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Iterable
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let name = key.as_str()?;
        match name {
            "errors" => return Some(self.errors()),
            "non_field_errors" => return Some(ErrorList::value(&self.other_errors, None)),
            "as_p" => return safe(|out| self.write_all("p", out)),
            "as_div" => return safe(|out| self.write_all("div", out)),
            "as_ul" => return safe(|out| self.write_all("li", out)),
            "visible_fields" => {
                return Some(self.fields.iter().cloned().map(Value::from_dyn_object).collect());
            }
            "hidden_fields" => return Some(Value::from(Vec::<Value>::new())),
            _ => {}
        }
        if let Some((_, applies)) = self.flags.iter().find(|(known, _)| *known == name) {
            return Some(Value::from(*applies));
        }
        let field = self.fields.iter().find(|field| field.name == name)?;
        Some(Value::from_dyn_object(Arc::clone(field)))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.fields.iter().cloned().map(Value::from_dyn_object).collect())
    }

    fn call_method(
        self: &Arc<Self>,
        _state: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        called(self.get_value(&Value::from(method)).filter(|_| args.is_empty()), method)
    }
}

impl Object for BoundField {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(match key.as_str()? {
            "name" | "html_name" => Value::from(self.name),
            "label" => Value::from(self.label),
            "id" | "id_for_label" | "auto_id" => Value::from(self.id()),
            "value" => Value::from(&*self.value),
            "errors" => self.error_list(),
            "help_text" => Value::from(&*self.help_text),
            "required" => Value::from(self.is_required),
            "field" => minijinja::context! { required => self.is_required, label => self.label },
            "is_hidden" => Value::from(false),
            "label_tag" => return safe(|out| self.write_label(out)),
            "as_widget" => return safe(|out| self.write_input(out)),
            _ => return None,
        })
    }

    fn call_method(
        self: &Arc<Self>,
        _state: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        called(self.get_value(&Value::from(method)).filter(|_| args.is_empty()), method)
    }
}
