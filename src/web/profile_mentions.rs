//! Which fields of a profile a template or an expression names, so that a misspelt one is found before
//! it is nothing to everybody.

use std::collections::BTreeSet;

use minijinja::Environment;

/// The fields that the template of a header names; none if it is not a template.
pub fn in_template(source: &str) -> BTreeSet<String> {
    let environment = Environment::new();
    let template = environment.template_from_str(source);
    template.map(|template| fields(template.undeclared_variables(true))).unwrap_or_default()
}

/// The fields that the expression of a `test` names; none if it is not an expression.
pub fn in_expression(source: &str) -> BTreeSet<String> {
    let environment = Environment::new();
    let expression = environment.compile_expression(source);
    expression.map(|expression| fields(expression.undeclared_variables(true))).unwrap_or_default()
}

/// Of `profile.band.x` it is `band`; `profile` and its methods name none.
fn fields(names: impl IntoIterator<Item = String>) -> BTreeSet<String> {
    let field = |name: String| {
        let rest = name.strip_prefix("user.get_profile.").or_else(|| name.strip_prefix("profile."));
        let field = rest?.split('.').next()?;
        (!field.is_empty()).then(|| field.to_owned())
    };
    names.into_iter().filter_map(field).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_wherever_they_are_named() {
        let names = |set: BTreeSet<String>| set.into_iter().collect::<Vec<_>>().join(" ");
        for (source, expected) in [
            ("{{ profile.band | upper }}{% if profile.age %}x{% endif %}", "age band"),
            ("{{ user.get_profile.band }}{{ user.email }}", "band"),
            ("{{ session.profile }}{{ user.profile }}", ""),
            ("{% for key in profile %}{{ key }}{% endfor %}", ""),
            ("{{", ""),
        ] {
            assert_eq!(names(in_template(source)), expected, "{source}");
        }
        let source = "profile.age == '7' or 'x' in groups and not profile.band.startswith('B')";
        assert_eq!(names(in_expression(source)), "age band");
        assert_eq!(names(in_expression("1 +")), "");
    }
}
