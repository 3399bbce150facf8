use super::*;

fn field(kind: FieldKind, is_required: bool) -> ProfileField {
    ProfileField {
        name: "x".to_owned(),
        label: "X".to_owned(),
        kind,
        is_required,
        help: String::new(),
        on_registration: false,
        is_editable: true,
    }
}

/// What is kept of each text; `None` where it is refused.
fn kept<const N: usize>(kind: FieldKind, texts: [(&str, Option<&str>); N]) {
    let field = field(kind, false);
    for (text, expected) in texts {
        assert_eq!(field.clean(text).ok().as_deref(), expected, "{text:?}");
    }
}

#[test]
fn lines_and_addresses_are_kept_without_blanks_around_them() {
    kept(
        FieldKind::Text,
        [(" The Beatles ", Some("The Beatles")), ("a\nb", None), (" ", Some(""))],
    );
    kept(FieldKind::TextArea, [("a\r\nb\n", Some("a\nb")), ("a\u{1b}b", None), ("a\rb", None)]);
    kept(
        FieldKind::Email,
        [
            ("Ada@Example.ORG", Some("Ada@example.org")),
            ("ada", None),
            ("a@b@c", None),
            ("@b", None),
        ],
    );
}

#[test]
fn a_page_is_one_that_a_browser_can_open_without_running_a_script() {
    kept(
        FieldKind::Url,
        [
            ("https://example.org/a?b#c", Some("https://example.org/a?b#c")),
            ("HTTP://[::1]:8000/", Some("HTTP://[::1]:8000/")),
            ("example.org", Some("https://example.org")),
            ("https://bücher.example/", Some("https://bücher.example/")),
            ("javascript:alert(1)", None),
            ("javascript://example.org/%0aalert(1)", None),
            ("data://x", None),
            ("https://", None),
            ("https:///x", None),
            ("https://user@example.org/", None),
            ("https://example.org:x/", None),
            ("https://example.org/\"onclick=", None),
            ("https://a..b/", None),
            ("https://exa mple.org/", None),
        ],
    );
}

#[test]
fn numbers_days_and_choices_are_told_from_what_is_none() {
    kept(
        FieldKind::Number,
        [
            ("42", Some("42")),
            ("-3.50", Some("-3.50")),
            ("+7", Some("7")),
            (".5", Some(".5")),
            ("1e9", None),
            ("NaN", None),
            ("1.2.3", None),
            (".", None),
            ("-", None),
            ("１", None),
        ],
    );
    kept(
        FieldKind::Date,
        [
            ("2024-02-29", Some("2024-02-29")),
            ("2023-02-29", None),
            ("1900-02-29", None),
            ("2000-02-29", Some("2000-02-29")),
            ("2024-13-01", None),
            ("2024-04-31", None),
            ("2024-1-01", None),
            ("0000-01-01", None),
            ("01.02.2024", None),
        ],
    );
    let colors = FieldKind::Choice(vec!["red".to_owned(), "blue".to_owned()]);
    kept(colors, [("red", Some("red")), ("Red", None), ("", Some(""))]);
}

#[test]
fn false_is_nothing() {
    kept(
        FieldKind::Boolean,
        [("on", Some("true")), ("True", Some("true")), ("false", Some("")), ("maybe", None)],
    );
}

#[test]
fn what_is_wrong_is_said_in_djangos_words() {
    let error = |kind, text: &str| field(kind, true).clean_required(text).unwrap_err().to_string();
    assert_eq!(error(FieldKind::Text, " "), "This field is required.");
    assert_eq!(error(FieldKind::Boolean, "off"), "This field is required.");
    assert_eq!(
        error(FieldKind::Text, &"ä".repeat(4097)),
        "Ensure this value has at most 4096 characters (it has 4097)."
    );
    assert_eq!(error(FieldKind::Url, "x y"), "Enter a valid URL.");
    assert_eq!(
        error(FieldKind::Choice(vec!["a".to_owned()]), "b"),
        "Select a valid choice. b is not one of the available choices."
    );
    assert_eq!(field(FieldKind::Text, true).clean(""), Ok(String::new()));
}

#[test]
fn a_profile_lacks_what_its_owner_must_and_can_fill_in() {
    let mut band = field(FieldKind::Text, true);
    let with = |field: &ProfileField| ProfileFields::new(vec![field.clone()]);
    let (empty, full) = (BTreeMap::new(), [("x".to_owned(), "y".to_owned())].into());
    assert!(with(&band).lacks(&empty) && !with(&band).lacks(&full));
    band.is_editable = false;
    assert!(!with(&band).lacks(&empty));
    band = field(FieldKind::Text, false);
    assert!(!with(&band).lacks(&empty));
}
