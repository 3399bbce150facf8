//! What is wrong with a field or a form, as Django's `ErrorList`.

use std::fmt::{self, Write};
use std::sync::Arc;

use minijinja::Value;
use minijinja::value::{Enumerator, Object, ObjectRepr};

use crate::pages::templates::escape;

/// What is wrong with a field, or with a form as a whole.
#[derive(Debug)]
pub(super) struct ErrorList {
    errors: Vec<String>,
    /// Of the field.
    id: Option<String>,
}

impl ErrorList {
    /// The list for templates; `id` is the field's.
    pub(super) fn value(errors: &[String], id: Option<&str>) -> Value {
        Value::from_object(Self { errors: errors.to_vec(), id: id.map(str::to_owned) })
    }

    /// Writes it as HTML.
    pub(super) fn write(&self, out: &mut impl Write) -> fmt::Result {
        write_errors(&self.errors, self.id.as_deref(), out)
    }
}

/// Writes the list of what is wrong with the field that has this `id`, or with the form.
pub(super) fn write_errors(
    errors: &[String],
    id: Option<&str>,
    out: &mut impl Write,
) -> fmt::Result {
    if errors.is_empty() {
        return Ok(());
    }
    match id {
        Some(id) => write!(out, "<ul class=\"errorlist\" id=\"{id}_error\" role=\"alert\">")?,
        None => out.write_str("<ul class=\"errorlist nonfield\" role=\"alert\">")?,
    }
    for error in errors {
        out.write_str("<li>")?;
        escape(error, out)?;
        out.write_str("</li>")?;
    }
    out.write_str("</ul>")
}

impl Object for ErrorList {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.errors.get(key.as_usize()?).map(|error| Value::from(&**error))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.errors.len())
    }
}
