//! Statements taken apart, as far as it takes to say them in another way.

/// A part of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// A name or a word of SQL.
    Word(&'a str),
    /// What stands between two of them; also a text in quotes, which is never one.
    Other(&'a str),
}

/// The parts of a statement, which make it again when they are put together.
pub(super) fn pieces(sql: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = sql;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let length = if is_word(first) {
            rest.find(|c| !is_word(c))
        } else if first == '\'' || first == '"' {
            rest[1..].find(first).map(|at| at + 2)
        } else {
            rest.find(|c| is_word(c) || c == '\'' || c == '"')
        };
        let (piece, after) = rest.split_at(length.unwrap_or(rest.len()));
        rest = after;
        Some(if is_word(first) { Piece::Word(piece) } else { Piece::Other(piece) })
    })
}

/// The statement with each call of `name` said in another way, given what is called with; that has
/// no parentheses in it.
pub(super) fn replace_calls(sql: &str, name: &str, say: impl Fn(&str) -> String) -> String {
    let mut parts = sql.split(name);
    let mut statement = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.strip_prefix('(').and_then(|part| part.split_once(')')) {
            Some((argument, rest)) => statement += &(say(argument) + rest),
            None => statement += &format!("{name}{part}"),
        }
    }
    statement
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_words_and_what_is_between_them() {
        let sql = "SELECT a_b.c || 'it''s a_b' FROM \"a_b\" WHERE x=$1";
        let all: Vec<_> = pieces(sql).collect();
        let whole: String =
            all.iter().map(|(Piece::Word(text) | Piece::Other(text))| *text).collect();
        assert_eq!(whole, sql);
        assert_eq!(all.iter().filter(|piece| **piece == Piece::Word("a_b")).count(), 1);
        assert_eq!(pieces("").count(), 0);
        assert_eq!(pieces("'never closed").count(), 1);
    }

    #[test]
    fn calls_are_said_in_another_way() {
        let shout = |argument: &str| argument.to_uppercase();
        assert_eq!(replace_calls("a f(x) f(y), g(x)", "f", shout), "a X Y, g(x)");
        assert_eq!(replace_calls("f", "f", shout), "f");
    }
}
