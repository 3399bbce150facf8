//! The application's pages and what they are made of.

use minijinja::{Environment, Error, Value};

/// The pages by path; below any other there is nothing.
const PAGES: [(&str, &str); 11] = [
    ("/", "home.html"),
    ("/private/", "private.html"),
    ("/polls/", "polls.html"),
    ("/polls/vote/", "vote.html"),
    ("/reports/", "reports.html"),
    ("/staff/", "staff.html"),
    ("/headers/", "headers.html"),
    ("/color/", "color.html"),
    ("/socket/", "socket.html"),
    ("/events/", "events.html"),
    ("/configuration/", "configuration.html"),
];

const TEMPLATES: [(&str, &str); 14] = [
    ("base.html", include_str!("pages/base.html")),
    ("home.html", include_str!("pages/home.html")),
    ("private.html", include_str!("pages/private.html")),
    ("polls.html", include_str!("pages/polls.html")),
    ("vote.html", include_str!("pages/vote.html")),
    ("reports.html", include_str!("pages/reports.html")),
    ("staff.html", include_str!("pages/staff.html")),
    ("headers.html", include_str!("pages/headers.html")),
    ("color.html", include_str!("pages/color.html")),
    ("socket.html", include_str!("pages/socket.html")),
    ("events.html", include_str!("pages/events.html")),
    ("configuration.html", include_str!("pages/configuration.html")),
    ("problem.html", include_str!("pages/problem.html")),
    ("watch.html", include_str!("pages/watch.html")),
];

/// Files that are sent as they are: path, type, content.
const STATIC: [(&str, &str, &str); 4] = [
    ("/static/style.css", "text/css; charset=utf-8", include_str!("static/style.css")),
    ("/static/tree.svg", "image/svg+xml", include_str!("static/tree.svg")),
    ("/static/socket.js", "text/javascript; charset=utf-8", include_str!("static/socket.js")),
    ("/static/events.js", "text/javascript; charset=utf-8", include_str!("static/events.js")),
];

/// The page shown for a request that went wrong.
pub(super) const PROBLEM: &str = "problem.html";

/// The compiled templates.
pub(super) struct Pages(Environment<'static>);

impl Pages {
    /// Compiles the templates.
    pub(super) fn new() -> Result<Self, Error> {
        let mut environment = Environment::new();
        for (name, source) in TEMPLATES {
            environment.add_template(name, source)?;
        }
        Ok(Self(environment))
    }

    /// The HTML of a template.
    pub(super) fn render(&self, template: &str, scope: Value) -> Result<String, Error> {
        self.0.get_template(template)?.render(scope)
    }
}

/// The template of the page at `path`.
pub(super) fn page_at(path: &str) -> Option<&'static str> {
    PAGES.iter().find(|page| page.0 == path).map(|page| page.1)
}

/// The file at `path`: its type and its content.
pub(super) fn file_at(path: &str) -> Option<(&'static str, &'static str)> {
    STATIC.iter().find(|file| file.0 == path).map(|file| (file.1, file.2))
}
