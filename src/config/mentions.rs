//! The permissions, groups and users that the file names, and which of them nobody knows.
//!
//! Whether a name is known is not for the file alone to say: it may have been created by command.
//! So names are noted while the file is read, and looked at when it is known what else there is.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use super::problem::{Problem, Problems, Span};
use super::report::nearest;
use super::{Configuration, reader};
use crate::domain::staff;

/// A name in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mention {
    pub(super) named: Named,
    pub(super) name: String,
    pub(super) place: Span,
}

/// Of what it is the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    Permission,
    Group,
    User,
}

/// What a database knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownNames {
    /// Names of permissions, `app.codename`.
    pub permissions: BTreeSet<String>,
    /// Names of groups.
    pub groups: BTreeSet<String>,
}

impl Configuration {
    /// A warning for each permission, group or user that the file names and nobody knows.
    ///
    /// Without a database (`known` is `None`) names are held against what the file declares, if it
    /// declares any. `missing` says what is wrong with a user's name, if there is no such user.
    pub fn unknown_names(
        &self,
        known: Option<&KnownNames>,
        missing: impl Fn(&str) -> Option<String>,
    ) -> Problems {
        let declared = &self.accounts;
        let permissions: BTreeSet<&str> =
            declared.permissions.iter().map(|(name, _)| name.as_str()).collect();
        let groups: BTreeSet<&str> = declared.groups.iter().map(|(name, _)| &**name).collect();
        let problem = |mention: &Mention| match mention.named {
            Named::Permission => unknown(mention, &permissions, known.map(|it| &it.permissions)),
            Named::Group => unknown(mention, &groups, known.map(|it| &it.groups)),
            Named::User => missing(&mention.name)
                .map(|message| Problem::warning("unknown-user", mention.place.clone(), message)),
        };
        let problems = self.mentions.iter().filter_map(problem).collect();
        Problems::new(Arc::clone(&self.source), problems)
    }
}

/// What is wrong with the name of a permission or a group, if anything is.
fn unknown(
    mention: &Mention,
    declared: &BTreeSet<&str>,
    known: Option<&BTreeSet<String>>,
) -> Option<Problem> {
    let Mention { named, name, place } = mention;
    // Those that govern staff are there without a word.
    let is_of_staff = staff::PERMISSIONS.iter().any(|(permission, _)| permission == name);
    let is_known = declared.contains(&**name)
        || known.is_some_and(|names| names.contains(name))
        || matches!(named, Named::Permission) && is_of_staff;
    // A file that declares nothing leaves that to a database, and there is none to ask.
    if is_known || (declared.is_empty() && known.is_none()) {
        return None;
    }
    let (code, what, section, hint) = match named {
        Named::Permission => (
            "undeclared-permission",
            "permission",
            "[permissions]",
            "nobody has a permission that does not exist",
        ),
        Named::Group | Named::User => {
            ("undeclared-group", "group", "[groups]", "nobody is in a group that does not exist")
        }
    };
    let shown = name.escape_debug();
    let message = match known {
        None => format!("the {what} `{shown}` is not declared in `{section}`"),
        Some(_) => {
            format!("the {what} `{shown}` is neither declared in `{section}` nor in the database")
        }
    };
    let names = declared.iter().copied().chain(known.into_iter().flatten().map(String::as_str));
    let problem = Problem::warning(code, place.clone(), message);
    Some(match nearest(name, names) {
        Some(near) => problem.hint(format!("did you mean `{near}`?")),
        None => problem.hint(hint),
    })
}

/// Notes what an expression names, the text of a `test`.
pub(super) fn in_expression(table: &reader::Table<'_>, text: &reader::At<String>) {
    note(table, text, 0..text.value.len());
}

/// Notes what the expressions in a template name.
pub(super) fn in_template(table: &reader::Table<'_>, text: &reader::At<String>) {
    let mut start = 0;
    while let Some(open) = text.value[start..].find(['{']).map(|at| start + at) {
        let rest = &text.value[open..];
        let Some(close) = ["{{", "{%"].into_iter().zip(["}}", "%}"]).find_map(|(open, close)| {
            rest.strip_prefix(open).and_then(|inner| inner.find(close)).map(|at| at + 2)
        }) else {
            start = open + 1;
            continue;
        };
        note(table, text, open + 2..open + close);
        start = open + close;
    }
}

fn note(table: &reader::Table<'_>, text: &reader::At<String>, part: Range<usize>) {
    for (named, range) in mentioned(&text.value[part.clone()]) {
        let range = part.start + range.start..part.start + range.end;
        let name = text.value[range.clone()].to_owned();
        table.report().mention(named, name, table.inside(text, Some(range)));
    }
}

/// A word of an expression, as far as names go.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// What stands between quotes, without them.
    Text(Range<usize>),
    Word(Range<usize>),
    Sign(char),
}

/// The permissions and groups that an expression names: `user.has_perm("polls.can_vote")`,
/// `user.has_perms([…])`, `perms.polls.can_vote`, `"Editors" in groups`.
fn mentioned(expression: &str) -> Vec<(Named, Range<usize>)> {
    let tokens = tokens(expression);
    let word = |at: usize, wanted: &str| match tokens.get(at) {
        Some(Token::Word(range)) => &expression[range.clone()] == wanted,
        _ => false,
    };
    let sign = |at: usize, wanted: char| tokens.get(at) == Some(&Token::Sign(wanted));
    let text = |at: usize| match tokens.get(at) {
        Some(Token::Text(range)) => Some(range.clone()),
        _ => None,
    };
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        if word(at, "has_perm") && sign(at + 1, '(') {
            found.extend(text(at + 2).map(|range| (Named::Permission, range)));
        }
        if word(at, "has_perms") && sign(at + 1, '(') {
            let list = (at + 3..).step_by(2).map_while(|at| {
                let range = text(at)?;
                Some((Named::Permission, range))
            });
            found.extend(list);
        }
        let is_name = at == 0 || !sign(at - 1, '.');
        if let (true, true, true, Some(Token::Word(app)), Some(Token::Word(codename))) = (
            is_name && word(at, "perms"),
            sign(at + 1, '.'),
            sign(at + 3, '.'),
            tokens.get(at + 2),
            tokens.get(at + 4),
        ) {
            found.push((Named::Permission, app.start..codename.end));
        }
        if let Some(range) = text(at) {
            let after = if word(at + 1, "not") { at + 2 } else { at + 1 };
            let holder = after + 1;
            let of_user =
                word(holder, "user") && sign(holder + 1, '.') && word(holder + 2, "groups");
            if word(after, "in") && (word(holder, "groups") || of_user) {
                found.push((Named::Group, range));
            }
        }
    }
    found
}

fn tokens(expression: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = expression.char_indices().peekable();
    while let Some((start, character)) = rest.next() {
        if character == '"' || character == '\'' {
            let mut end = None;
            while let Some((at, next)) = rest.next() {
                if next == '\\' {
                    rest.next();
                } else if next == character {
                    end = Some(at);
                    break;
                }
            }
            tokens.extend(end.map(|end| Token::Text(start + 1..end)));
        } else if character.is_alphanumeric() || character == '_' {
            let mut end = start + character.len_utf8();
            while let Some((at, next)) =
                rest.next_if(|(_, next)| next.is_alphanumeric() || *next == '_')
            {
                end = at + next.len_utf8();
            }
            tokens.push(Token::Word(start..end));
        } else if !character.is_whitespace() {
            tokens.push(Token::Sign(character));
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(expression: &str) -> Vec<(Named, &str)> {
        mentioned(expression)
            .into_iter()
            .map(|(named, range)| (named, &expression[range]))
            .collect()
    }

    #[test]
    fn names_are_found_in_every_way_of_asking_for_them() {
        use Named::{Group, Permission};
        for (expression, expected) in [
            ("user.has_perm('polls.can_vote')", vec![(Permission, "polls.can_vote")]),
            (
                "user.has_perms(['a.b', \"c.d\"]) or x",
                vec![(Permission, "a.b"), (Permission, "c.d")],
            ),
            (
                "perms.polls.can_vote and not perms.a.b",
                vec![(Permission, "polls.can_vote"), (Permission, "a.b")],
            ),
            ("'Site editors' in groups", vec![(Group, "Site editors")]),
            ("\"Ü\" not in user.groups", vec![(Group, "Ü")]),
            ("'a' in profile or 'groups' in session", vec![]),
            ("user.email == \"has_perm('a.b')\"", vec![]),
            ("user.has_perm(name) and session.perms.a.b", vec![]),
            ("'it\\'s' in groups and 'open", vec![(Group, "it\\'s")]),
            ("", vec![]),
        ] {
            assert_eq!(names(expression), expected, "{expression}");
        }
    }
}
