//! Forms as browsers send them: `application/x-www-form-urlencoded`, small, in UTF-8.

use std::fmt;

use http::HeaderMap;
use http::header::CONTENT_TYPE;

/// How many fields a form may have, as Django's `DATA_UPLOAD_MAX_NUMBER_FIELDS`: one with all
/// permissions to choose from has many.
pub const MAX_FIELDS: usize = 1000;

/// The fields of a submitted form, or of a query.
///
/// `Debug` shows the names alone, since there may be a password among the values.
#[derive(Clone, PartialEq, Eq)]
pub struct Form {
    fields: Vec<(String, String)>,
}

/// Why a body is not a form of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedForm {
    /// The body says that it is something else, or does not say what it is.
    #[error("the body is not `application/x-www-form-urlencoded`")]
    OtherType,
    /// More than [`MAX_FIELDS`].
    #[error("the form has more than {MAX_FIELDS} fields")]
    TooManyFields,
    /// A name or a value is not UTF-8 when decoded.
    #[error("the form is not valid UTF-8")]
    NotUtf8,
}

impl Form {
    /// Reads the body of a request.
    pub fn read(headers: &HeaderMap, body: &[u8]) -> Result<Self, MalformedForm> {
        let mut types = headers.get_all(CONTENT_TYPE).into_iter();
        let is_form = types.next().and_then(|value| value.to_str().ok()).is_some_and(|value| {
            let essence = value.split(';').next().unwrap_or_default().trim();
            essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
        });
        if !is_form || types.next().is_some() {
            return Err(MalformedForm::OtherType);
        }
        Self::decode(body)
    }

    /// Decodes the query of an address, without its `?`.
    pub fn of_query(query: &str) -> Result<Self, MalformedForm> {
        Self::decode(query.as_bytes())
    }

    /// The value of a field. Of several with one name the last counts, as in Django's `QueryDict`.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.fields.iter().rev().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// All values of the fields with this name, in their order.
    pub fn values<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        self.fields.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    fn decode(encoded: &[u8]) -> Result<Self, MalformedForm> {
        let mut fields = Vec::new();
        for (name, value) in form_urlencoded::parse(encoded) {
            if fields.len() == MAX_FIELDS {
                return Err(MalformedForm::TooManyFields);
            }
            // The decoder puts U+FFFD where the bytes are not UTF-8. Two passwords that differ
            // there would become one.
            if name.contains('\u{fffd}') || value.contains('\u{fffd}') {
                return Err(MalformedForm::NotUtf8);
            }
            fields.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self { fields })
    }
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.fields.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(content_type: &'static str, body: &str) -> Result<Form, MalformedForm> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        Form::read(&headers, body.as_bytes())
    }

    const FORM: &str = "application/x-www-form-urlencoded";

    #[test]
    fn fields_are_decoded_exactly() {
        let form = read(FORM, "username=ada&password=+a%2Bb%26%00%C3%A9+&empty=&bare").unwrap();
        assert_eq!(form.value("username"), Some("ada"));
        assert_eq!(form.value("password"), Some(" a+b&\0é "));
        assert_eq!(form.value("empty"), Some(""));
        assert_eq!(form.value("bare"), Some(""));
        assert_eq!(form.value("missing"), None);
    }

    #[test]
    fn of_several_fields_with_one_name_the_last_counts() {
        let form = read(FORM, "next=/a&next=/b&user=x").unwrap();
        assert_eq!(form.value("next"), Some("/b"));
    }

    #[test]
    fn another_type_is_no_form() {
        assert!(read("Application/X-WWW-Form-Urlencoded; charset=utf-8", "a=b").is_ok());
        for other in ["multipart/form-data; boundary=x", "application/json", "text/plain", ""] {
            assert_eq!(read(other, "a=b"), Err(MalformedForm::OtherType), "{other}");
        }
        assert_eq!(Form::read(&HeaderMap::new(), b"a=b"), Err(MalformedForm::OtherType));
    }

    #[test]
    fn a_flood_of_fields_and_broken_text_are_refused() {
        assert!(read(FORM, &"a=b&".repeat(MAX_FIELDS)).is_ok());
        assert_eq!(read(FORM, &"a=b&".repeat(MAX_FIELDS + 1)), Err(MalformedForm::TooManyFields));
        assert_eq!(read(FORM, "password=%ff"), Err(MalformedForm::NotUtf8));
    }

    #[test]
    fn debug_shows_no_value() {
        let form = read(FORM, "password=secret").unwrap();
        assert_eq!(format!("{form:?}"), r#"{"password"}"#);
    }
}
