//! Whom the gateway says is asking.

use http::HeaderMap;
use serde::Serialize;

/// The signed-in user of a request, as its headers tell.
///
/// The application may believe them because nobody reaches it but through the gateway, which
/// removes whatever a browser sends under these names.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub(super) struct Visitor {
    pub(super) username: String,
    pub(super) name: String,
    pub(super) groups: Vec<String>,
    pub(super) is_staff: bool,
}

impl Visitor {
    /// Reads the headers; `None` for a visitor who is not signed in.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
        let username = Some(text("remote-user")).filter(|username| !username.is_empty())?;
        let name = Some(text("remote-name")).filter(|name| !name.is_empty()).unwrap_or(username);
        let groups = text("remote-groups").split(',').filter(|group| !group.is_empty());
        Some(Self {
            username: username.to_owned(),
            name: name.to_owned(),
            groups: groups.map(str::to_owned).collect(),
            is_staff: text("remote-staff") == "yes",
        })
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_visitor_is_who_the_headers_say() {
        let mut headers = HeaderMap::new();
        assert_eq!(Visitor::of(&headers), None);
        headers.insert("remote-user", HeaderValue::from_static("carol"));
        headers.insert("remote-groups", HeaderValue::from_static("Board,Site editors"));
        let carol = Visitor::of(&headers).unwrap();
        assert_eq!((carol.name.as_str(), carol.is_staff), ("carol", false));
        assert_eq!(carol.groups, ["Board", "Site editors"]);
    }
}
