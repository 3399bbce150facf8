//! The pages' templates: Jinja, built in, and each replaceable by a file of the same name.

mod of_mail;
mod of_registration;
mod samples;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};
use sha2::{Digest as _, Sha256};

use super::bound_form;
use crate::domain::Timestamp;
use samples::samples;

/// The templates that every gateway has, under Django's names where Django has them.
const BUILT_IN: [(&str, &str); 12] = [
    ("base.html", include_str!("templates/base.html")),
    ("forms.html", include_str!("templates/forms.html")),
    ("registration/login.html", include_str!("templates/registration/login.html")),
    ("registration/logged_out.html", include_str!("templates/registration/logged_out.html")),
    ("registration/logout.html", include_str!("templates/registration/logout.html")),
    (
        "registration/password_change_form.html",
        include_str!("templates/registration/password_change_form.html"),
    ),
    (
        "registration/password_change_done.html",
        include_str!("templates/registration/password_change_done.html"),
    ),
    ("registration/sessions.html", include_str!("templates/registration/sessions.html")),
    ("profile_fields.html", include_str!("templates/profile_fields.html")),
    ("profile.html", include_str!("templates/profile.html")),
    ("setup.html", include_str!("templates/setup.html")),
    ("refusal.html", include_str!("templates/refusal.html")),
];

/// All of them.
fn built_in() -> impl Iterator<Item = (&'static str, &'static str)> {
    BUILT_IN
        .into_iter()
        .chain(of_mail::OF_MAIL)
        .chain(of_registration::OF_REGISTRATION)
        .chain(super::admin::TEMPLATES)
}

/// The stylesheet's name in the directory of templates.
const STYLESHEET: &str = "style.css";

/// How many files are read from the directory, and how deep: it may be the wrong one.
const MAX_FILES: usize = 500;
const MAX_DEPTH: usize = 8;

/// How many steps a template may take; the built-in ones need a few hundred.
const FUEL: u64 = 1_000_000;

/// Every template, compiled, and the stylesheet.
pub(super) struct Templates {
    environment: Environment<'static>,
    files: Files,
    stylesheet: String,
}

/// Which templates came from where.
#[derive(Default)]
struct Files(BTreeMap<String, PathBuf>);

/// A template that cannot be used; the gateway does not start with it, and a reload is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError {
    /// The file, or the name of a built-in template.
    pub file: PathBuf,
    /// The line, counted from one, if the error is on one.
    pub line: Option<usize>,
    /// What is wrong, in a sentence.
    pub message: String,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.line.map(|line| format!(":{line}")).unwrap_or_default();
        write!(f, "`{}{line}`: {}", self.file.display(), self.message)
    }
}

impl std::error::Error for TemplateError {}

impl Templates {
    /// Reads and compiles the built-in templates and those in `directory`, and tries each.
    pub(super) fn load(directory: Option<&Path>) -> Result<Self, TemplateError> {
        let mut templates = Self {
            environment: environment(),
            files: Files::default(),
            stylesheet: include_str!("templates/style.css").to_owned(),
        };
        for (name, source) in built_in() {
            templates.add(name, source.to_owned())?;
        }
        if let Some(directory) = directory {
            templates.add_directory(directory, "", 0)?;
        }
        let of_statuses = templates.files.0.keys().map(String::as_str);
        let of_statuses = of_statuses.filter(|name| status_of(name).is_some());
        for name in built_in().map(|(name, _)| name).chain(of_statuses) {
            for sample in samples() {
                templates.render(name, sample)?;
            }
        }
        Ok(templates)
    }

    /// Renders a template; an error names its file and line.
    pub(super) fn render(&self, name: &str, context: Value) -> Result<String, TemplateError> {
        self.environment
            .get_template(name)
            .and_then(|template| template.render(context))
            .map_err(|error| self.files.locate(name, &error))
    }

    /// The template for refusals with this status: `403.html`, if the operator has one.
    pub(super) fn for_status(&self, status: u16) -> Option<&str> {
        self.files.0.keys().find(|name| status_of(name) == Some(status)).map(String::as_str)
    }

    /// The stylesheet, and a word that changes when it does.
    pub(super) fn stylesheet(&self) -> (&str, String) {
        let digest = Sha256::digest(self.stylesheet.as_bytes());
        let version = digest[..6].iter().map(|byte| format!("{byte:02x}")).collect();
        (&self.stylesheet, version)
    }

    fn add(&mut self, name: &str, source: String) -> Result<(), TemplateError> {
        self.environment
            .add_template_owned(name.to_owned(), with_csrf_input(source))
            .map_err(|error| self.files.locate(name, &error))
    }

    /// Adds the `.html` files in a directory, and the texts of letters, under their paths below it.
    fn add_directory(
        &mut self,
        directory: &Path,
        prefix: &str,
        depth: usize,
    ) -> Result<(), TemplateError> {
        let unreadable = |error: io::Error| TemplateError::unreadable(directory, &error);
        for entry in fs::read_dir(directory).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            let name = format!("{prefix}{name}");
            if path.is_dir() && depth < MAX_DEPTH {
                self.add_directory(&path, &format!("{name}/"), depth + 1)?;
            } else if name == STYLESHEET {
                self.stylesheet = read(&path)?;
            } else if name.ends_with(".html") || built_in().any(|(known, _)| known == name) {
                if self.files.0.len() == MAX_FILES {
                    let message = format!(
                        "there are more than {MAX_FILES} templates in it\n\
                         hint: name a directory that holds nothing else"
                    );
                    let file = directory.to_owned();
                    return Err(TemplateError { file, line: None, message });
                }
                let source = read(&path)?;
                self.files.0.insert(name.clone(), path);
                self.add(&name, source)?;
            }
        }
        Ok(())
    }
}

impl Files {
    /// Where in which file an error happened while `name` was compiled or rendered.
    fn locate(&self, name: &str, error: &minijinja::Error) -> TemplateError {
        let name = error.name().unwrap_or(name);
        let file = self.0.get(name).cloned().unwrap_or_else(|| PathBuf::from(name));
        let message = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
        TemplateError { file, line: error.line(), message }
    }
}

impl TemplateError {
    fn unreadable(path: &Path, error: &io::Error) -> Self {
        Self { file: path.to_owned(), line: None, message: format!("cannot be read: {error}") }
    }
}

/// The status in a name such as `403.html`.
fn status_of(name: &str) -> Option<u16> {
    name.strip_suffix(".html").filter(|status| status.len() == 3)?.parse().ok()
}

fn read(path: &Path) -> Result<String, TemplateError> {
    fs::read_to_string(path).map_err(|error| TemplateError::unreadable(path, &error))
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    // Django shows nothing where a name is missing; so do we, all the way down.
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.set_auto_escape_callback(|name| match of_mail::is_letter(name) {
        true => AutoEscape::None,
        false => AutoEscape::Html,
    });
    environment.set_formatter(|output, state, value| match value.as_str() {
        Some(text) if !value.is_safe() && *state.auto_escape() == AutoEscape::Html => {
            Ok(escape(text, output)?)
        }
        None if let Some(html) = bound_form::html(value) => Ok(output.write_str(&html)?),
        // A message is written as its text.
        None if value.kind() == ValueKind::Plain && *state.auto_escape() == AutoEscape::Html => {
            Ok(escape(&value.to_string(), output)?)
        }
        Some(_) | None => minijinja::escape_formatter(output, state, value),
    });
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.unwrap_or_default());
    environment.set_fuel(Some(FUEL));
    environment.add_filter("date", date);
    environment.add_filter("ago", ago);
    environment.add_filter("capfirst", capfirst);
    environment.add_filter("escape", escaped);
    environment.add_filter("e", escaped);
    environment
}

/// Django's `{% csrf_token %}` is `{{ csrf_input }}` in Jinja, as Django's own Jinja backend has it.
/// Nothing moves to another line.
fn with_csrf_input(source: String) -> String {
    let mut rest = source.as_str();
    let mut translated = String::new();
    while let Some((before, tag)) = rest.split_once("{%") {
        let Some((inside, after)) = tag.split_once("%}") else { break };
        translated.push_str(before);
        match inside.trim_matches(|c: char| c.is_whitespace() || c == '-') {
            "csrf_token" => translated.push_str("{{ csrf_input }}"),
            _ => {
                translated.push_str("{%");
                translated.push_str(inside);
                translated.push_str("%}");
            }
        }
        rest = after;
    }
    if translated.is_empty() {
        return source;
    }
    translated.push_str(rest);
    translated
}

/// `text|escape`: what may stand in a page; nothing is escaped twice.
fn escaped(value: &Value) -> Result<Value, minijinja::Error> {
    if value.is_safe() {
        return Ok(value.clone());
    }
    let mut text = String::new();
    let shown = if value.is_undefined() { String::new() } else { value.to_string() };
    escape(&shown, &mut text)?;
    Ok(Value::from_safe_string(text))
}

/// Escapes as Django does. The engine's own way escapes `/` too, which is safe and makes every
/// address in a page illegible.
pub(super) fn escape(text: &str, output: &mut impl fmt::Write) -> fmt::Result {
    let mut rest = text;
    while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
        output.write_str(&rest[..at])?;
        output.write_str(match rest.as_bytes()[at] {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'"' => "&quot;",
            _ => "&#x27;",
        })?;
        rest = &rest[at + 1..];
    }
    output.write_str(rest)
}

/// `seconds|date`: a day, in English and UTC; `seconds|date("%Y")` in another form (strftime).
fn date(seconds: Option<i64>, form: Option<&str>) -> String {
    let day = seconds.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    let form = form.unwrap_or("%-d %B %Y");
    day.and_then(|day| jiff::fmt::strtime::format(form, day).ok()).unwrap_or_default()
}

/// `seconds|ago(now)`: how long ago that was, as in `3 minutes ago`.
fn ago(seconds: Option<u64>, now: Option<u64>) -> String {
    let moments = seconds
        .zip(now)
        .map(|(then, now)| (Timestamp::from_seconds(then), Timestamp::from_seconds(now)));
    moments.map(|(then, now)| then.ago(now).to_string()).unwrap_or_default()
}

/// `text|capfirst`: with a large first letter, and the others as they are; Django's.
fn capfirst(text: String) -> String {
    let mut letters = text.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

#[cfg(test)]
mod tests {

    use super::super::bound_form::BoundForm;
    use super::*;
    use minijinja::context;

    fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, source) in files {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            io::Write::write_all(&mut fs::File::create(path).unwrap(), source.as_bytes()).unwrap();
        }
        directory
    }

    fn load(files: &[(&str, &str)]) -> Result<Templates, TemplateError> {
        Templates::load(Some(directory(files).path()))
    }

    #[test]
    fn the_built_in_templates_are_right() {
        assert!(Templates::load(None).is_ok());
    }

    #[test]
    fn a_file_stands_in_for_one_template_and_the_others_stay() {
        let mine = "{% extends 'mine/base.html' %}{% block content %}{{ next }}{% endblock %}";
        let templates = load(&[
            ("registration/login.html", mine),
            ("mine/base.html", "<b>{% block content %}{% endblock %}</b>"),
            ("style.css", "body { color: red }"),
            ("notes.txt", "{% no template"),
        ])
        .unwrap();
        let page = templates.render("registration/login.html", context! { next => "</x'\"&>" });
        assert_eq!(page.unwrap(), "<b>&lt;/x&#x27;&quot;&amp;&gt;</b>");
        assert!(
            templates.render("profile.html", samples()[1].clone()).unwrap().contains("</html>")
        );
        assert_eq!(templates.stylesheet().0, "body { color: red }");
        assert_ne!(templates.stylesheet().1, Templates::load(None).unwrap().stylesheet().1);
    }

    #[test]
    fn an_error_has_its_file_and_line() {
        for (source, line) in [
            ("<p>\n{% if %}\n</p>", 2),
            ("<p>\n\n{{ user.username|nonsense }}", 3),
            ("\n{% include 'missing.html' %}", 2),
            ("{% for x in [1] %}", 1),
        ] {
            let error = load(&[("registration/login.html", source)]).err().unwrap();
            assert!(error.file.ends_with("registration/login.html"), "{error}");
            assert_eq!(error.line, Some(line), "{error}");
            assert!(error.to_string().contains(&format!("login.html:{line}`: ")), "{error}");
        }
    }

    #[test]
    fn a_missing_directory_is_an_error_and_a_missing_name_is_nothing() {
        let error = Templates::load(Some(Path::new("/nonexistent/templates"))).err().unwrap();
        assert!(error.to_string().starts_with("`/nonexistent/templates`: cannot be read"));
        let templates = load(&[("x.html", "[{{ nothing.at.all }}{{ user.shoe_size }}]")]).unwrap();
        assert_eq!(templates.render("x.html", samples()[0].clone()).unwrap(), "[]");
    }

    #[test]
    fn a_status_may_have_a_template_of_its_own() {
        let templates = load(&[("403.html", "x"), ("40.html", "{{ 1|nonsense }}")]).unwrap();
        assert_eq!(templates.for_status(403), Some("403.html"));
        assert_eq!(templates.for_status(404), None);
        assert!(load(&[("404.html", "{{ title|nonsense }}")]).is_err(), "it is tried");
    }

    #[test]
    fn a_template_cannot_run_forever() {
        let endless =
            "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
        assert!(load(&[("profile.html", endless)]).is_err());
    }

    /// The template of the Django Book's chapter 12, with Django's token in it, and what today's
    /// tutorials write.
    #[test]
    fn templates_of_django_are_understood() {
        let book = r#"{% block content %}
{% if form.errors %}
  <p class="error">Sorry, that's not a valid username or password</p>
{% endif %}
<form action="" method="post">{% csrf_token %}
  <label for="username">User name:</label>
  <input type="text" name="username" value="" id="username">
  <input type="hidden" name="next" value="{{ next|escape }}" />
</form>
{% if perms.polls.can_vote %}may vote{% endif %}
{% endblock %}"#;
        let today = "{% for field in form %}{{ field.label_tag }} {{ field }}{{ field.errors }}\n\
                     {% endfor %}{{ form.username.errors }}{{ form.non_field_errors }}\n\
                     {{ form.username.id_for_label }} {{ form.as_p() }}";
        let templates = load(&[("registration/login.html", book), ("today.html", today)]).unwrap();
        let form = |errors: &[&str]| {
            let errors: Vec<_> = errors.iter().map(|&error| error.to_owned()).collect();
            BoundForm::new(vec![
                bound_form::BoundField::username("<x>").with_errors(errors.clone()),
            ])
            .with_errors(errors)
            .into_value()
        };
        let input = Value::from_safe_string("<input name=t>".to_owned());
        let names = context! { form => form(&["No"]), next => "/a/?b=<c>", csrf_input => input };
        let page = templates.render("registration/login.html", names.clone()).unwrap();
        assert!(page.contains("Sorry") && page.contains("<input name=t>"), "{page}");
        assert!(
            page.contains(r#"value="/a/?b=&lt;c&gt;" />"#) && !page.contains("may vote"),
            "{page}"
        );
        let page = templates.render("today.html", names).unwrap();
        let list = r#"<ul class="errorlist" id="id_username_error" role="alert"><li>No</li></ul>"#;
        let label =
            r#"<label for="id_username">Username:</label> <input type="text" name="username""#;
        for part in [list, label, "value=\"&lt;x&gt;\"", "errorlist nonfield", "id_username <ul"] {
            assert!(page.contains(part), "{part} in {page}");
        }
        let fine = context! { form => form(&[]), next => "" };
        let page = templates.render("registration/login.html", fine).unwrap();
        assert!(!page.contains("Sorry"), "{page}");
    }

    #[test]
    fn a_translated_token_moves_no_line() {
        let source = "{%csrf_token%}\n{%- csrf_token -%}\n{{ 1|nonsense }}";
        let error = load(&[("profile.html", source)]).err().unwrap();
        assert_eq!(error.line, Some(3), "{error}");
    }

    #[test]
    fn dates_are_days() {
        assert_eq!(date(Some(0), None), "1 January 1970");
        assert_eq!(date(Some(86_400), Some("%Y-%m-%d")), "1970-01-02");
        assert_eq!(date(None, None), "");
        assert_eq!(ago(Some(1000), Some(1180)), "3 minutes ago");
        assert_eq!(ago(None, Some(1180)), "");
        assert_eq!(capfirst("an iPhone".to_owned()), "An iPhone");
        assert_eq!(capfirst(String::new()), "");
    }
}
