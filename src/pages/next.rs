//! Where a visitor comes back to: `next` on the way to the login page, and on the way from it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::Pages;
use crate::domain::{NextPath, RequestPath};
use crate::web::form::Form;

/// What `next` is encoded with: everything but what Django's `urlencode(safe="/")` leaves alone.
const ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The address of a page that sends the visitor on to `next`, such as `/accounts/login/?next=/x`.
pub(super) fn address(page: &str, next: Option<&NextPath>) -> String {
    let Some(next) = next else { return page.to_owned() };
    let (page, fragment) = page.find('#').map_or((page, ""), |at| page.split_at(at));
    let separator = if page.contains('?') { '&' } else { '?' };
    format!("{page}{separator}next={}{fragment}", utf8_percent_encode(next.as_str(), ENCODED))
}

impl Pages {
    /// The `next` of a submitted form, or else of the query; none that would come back to a login
    /// or a logout.
    pub(super) fn next(&self, form: Option<&Form>, query: Option<&str>) -> Option<NextPath> {
        let query = query.and_then(|query| Form::of_query(query).ok());
        let of = |form: Option<&Form>| {
            let next = NextPath::parse(form?.value("next")?)?;
            (!self.is_way_in_or_out(next.as_str())).then_some(next)
        };
        of(form).or_else(|| of(query.as_ref()))
    }

    /// Where a visitor goes who is logged in.
    pub(super) fn after_login(&self, next: Option<&NextPath>) -> String {
        let default = &self.settings.login_redirect_url;
        match next {
            Some(next) => next.as_str().to_owned(),
            None if self.is_way_in_or_out(default) => self.url("profile/"),
            None => default.clone(),
        }
    }

    /// Whether `target` is the login or the logout page, where a visitor would go in circles.
    fn is_way_in_or_out(&self, target: &str) -> bool {
        let target = target.split('#').next().unwrap_or_default();
        let path = RequestPath::parse(target).ok();
        let page = path.as_ref().and_then(|path| path.below(&self.settings.prefix));
        matches!(page, Some("login" | "login/" | "logout" | "logout/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_is_encoded_once_and_whole() {
        let next = NextPath::parse("/polls/?q=a+b&c=%26#x").unwrap();
        let encoded = "/polls/%3Fq%3Da%2Bb%26c%3D%2526%23x";
        assert_eq!(address("/login/", Some(&next)), format!("/login/?next={encoded}"));
        assert_eq!(address("/in/?a=b#f", Some(&next)), format!("/in/?a=b&next={encoded}#f"));
        assert_eq!(address("/login/", None), "/login/");
        let query = format!("next={encoded}");
        assert_eq!(Form::of_query(&query).unwrap().value("next"), Some(next.as_str()));
    }
}
