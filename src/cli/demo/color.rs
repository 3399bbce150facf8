//! The favourite colour of each visitor, which is kept in the session and not here.

use http::{HeaderMap, HeaderName, HeaderValue};

/// What can be chosen.
pub(super) const COLORS: [&str; 5] = ["red", "orange", "green", "blue", "purple"];

/// The header by which the gateway tells of the colour: its template is in the configuration.
const TOLD: HeaderName = HeaderName::from_static("x-fav-color");

const SET: HeaderName = HeaderName::from_static("vestibule-session-set");
const DELETE: HeaderName = HeaderName::from_static("vestibule-session-delete");

/// The colour of the visitor who sends these headers; what nobody can have chosen is none.
pub(super) fn of(headers: &HeaderMap) -> Option<&'static str> {
    let told = headers.get(TOLD)?;
    COLORS.into_iter().find(|color| *color == told)
}

/// The header of an answer that has the gateway remember what a form with these bytes chooses, or
/// forget it; `None` for a form that says neither.
pub(super) fn instruction(form: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let (_, chosen) = form_urlencoded::parse(form).find(|(name, _)| name == "color")?;
    if chosen.is_empty() {
        return Some((DELETE, HeaderValue::from_static("fav_color")));
    }
    let color = COLORS.into_iter().find(|color| *color == chosen)?;
    Some((SET, HeaderValue::try_from(format!("fav_color={color}")).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_of_the_list_is_set_and_an_empty_one_deletes_it() {
        let said = |form: &[u8]| {
            let (name, value) = instruction(form)?;
            Some(format!("{name}: {}", value.to_str().unwrap()))
        };
        assert_eq!(said(b"color=blue").unwrap(), "vestibule-session-set: fav_color=blue");
        assert_eq!(said(b"color=").unwrap(), "vestibule-session-delete: fav_color");
        for form in [&b"color=beige"[..], b"color=blue%0d%0aX-Evil:1", b"colour=blue", b""] {
            assert_eq!(said(form), None);
        }
    }
}
