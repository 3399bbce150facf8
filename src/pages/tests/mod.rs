//! The pages over a directory in a temporary file, asked by a browser that keeps its cookies.

mod account;
mod login;
mod refusal;
mod sessions;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use http::StatusCode;
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};

use super::*;
use crate::accounts::settings::{Database, Hashing};
use crate::accounts::{self, NewUser};
use crate::domain::{Identity, User};

const NOON: Timestamp = Timestamp::from_seconds(1_800_000_000);

const PASSWORD: &str = "correct horse battery";

struct Gate {
    pages: Pages,
    state: Arc<State>,
    ada: Option<Arc<User>>,
    _directory: tempfile::TempDir,
}

/// A browser at a page of the gateway.
struct Browser<'g> {
    gate: &'g Gate,
    cookies: BTreeMap<String, String>,
    headers: HeaderMap,
    address: IpAddr,
}

struct Page {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Gate {
    /// Pages with the default settings, for a directory with one user, a superuser called ada.
    async fn with_ada() -> Self {
        let mut gate = Self::empty(Settings::default()).await;
        let ada = NewUser {
            username: "ada".to_owned(),
            email: "ada@example.org".to_owned(),
            password: PASSWORD.to_owned().into(),
            ..NewUser::default()
        };
        gate.ada = Some(gate.state.directory.create_first_superuser(ada, NOON).await.unwrap());
        gate
    }

    async fn empty(settings: Settings) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let accounts = accounts::Settings {
            database: Database::Sqlite(directory.path().join("users.db")),
            hashing: Hashing { memory_kib: 8, iterations: 1, parallelism: 1 },
            ..accounts::Settings::default()
        };
        let users = Arc::new(accounts::Directory::open(&accounts).await.unwrap());
        let outbox = Arc::new(Outbox::open(directory.path().join("mail"), || NOON).unwrap());
        let state = Arc::new(State::new(users, Arc::new(Sessions::default()), [7; 32], outbox));
        let sessions = crate::sessions::Settings::default();
        let pages = Pages::new(settings, sessions, Arc::clone(&state)).unwrap();
        Self { pages, state, ada: None, _directory: directory }
    }

    fn browser(&self) -> Browser<'_> {
        let mut headers = HeaderMap::new();
        headers.insert("accept", HeaderValue::from_static("text/html,*/*;q=0.8"));
        headers.insert("sec-fetch-mode", HeaderValue::from_static("navigate"));
        let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        Browser { gate: self, cookies: BTreeMap::new(), headers, address }
    }

    /// A browser in which ada has logged in.
    async fn signed_in(&self) -> Browser<'_> {
        let mut browser = self.browser();
        browser.get("login/").await;
        let page = browser.log_in("ada", PASSWORD).await;
        assert_eq!(page.status, StatusCode::FOUND, "{}", page.body);
        browser
    }
}

impl Browser<'_> {
    async fn get(&mut self, page: &str) -> Page {
        self.send(Method::GET, page, String::new()).await
    }

    /// Posts fields, with the token of the form that the page shows.
    async fn post(&mut self, page: &str, fields: &[(&str, &str)]) -> Page {
        let shown = self.get(page).await;
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.append_pair(csrf::FIELD, shown.token().unwrap_or_default());
        body.extend_pairs(fields);
        self.send(Method::POST, page, body.finish()).await
    }

    async fn log_in(&mut self, username: &str, password: &str) -> Page {
        self.post("login/", &[("username", username), ("password", password)]).await
    }

    async fn send(&mut self, method: Method, target: &str, body: String) -> Page {
        let mut headers = self.headers.clone();
        let cookies: Vec<_> =
            self.cookies.iter().map(|(name, it)| format!("{name}={it}")).collect();
        if !cookies.is_empty() {
            headers.insert(COOKIE, HeaderValue::try_from(cookies.join("; ")).unwrap());
        }
        if method == Method::POST && !headers.contains_key(CONTENT_TYPE) {
            let form = HeaderValue::from_static("application/x-www-form-urlencoded");
            headers.insert(CONTENT_TYPE, form);
        }
        let request = PageRequest {
            method,
            page: target.split('?').next().unwrap_or_default().to_owned(),
            target: format!("/accounts/{target}"),
            host: "site.example".to_owned(),
            is_secure: false,
            headers,
            body: Bytes::from(body),
            address: self.address,
            visitor: self.visitor(),
            session_id: self.session_id(),
            now: NOON,
            messages: MessagesScope::default(),
        };
        let response = sendable(self.gate.pages.answer(request)).await;
        let (parts, body) = response.into_parts();
        for cookie in parts.headers.get_all(SET_COOKIE) {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        let body = String::from_utf8(body.to_vec()).unwrap();
        Page { status: parts.status, headers: parts.headers, body }
    }

    fn session_id(&self) -> Option<SessionId> {
        SessionId::parse(self.cookies.get("sessionid")?.as_bytes())
    }

    fn visitor(&self) -> Visitor {
        let lifetime = &self.gate.pages.sessions.lifetime;
        let identity = self.session_id().and_then(|id| {
            let session = self.gate.state.sessions.load(&id, NOON, lifetime).live()?.login?;
            Identity::confirm(session, self.gate.ada.clone()?, NOON, lifetime).ok()
        });
        identity.map_or(Visitor::Anonymous, Visitor::SignedIn)
    }
}

/// The gateway's workers hand pages over to another runtime.
fn sendable<F: Future + Send>(future: F) -> F {
    future
}

impl Page {
    fn header(&self, name: impl http::header::AsHeaderName) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    fn location(&self) -> &str {
        self.header(LOCATION)
    }

    /// The value of the token field in the page's form.
    fn token(&self) -> Option<&str> {
        let (_, field) = self.body.split_once("name=\"csrfmiddlewaretoken\" value=\"")?;
        field.split('"').next()
    }
}
