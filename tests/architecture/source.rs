//! Rust source as a list of words and signs, and the paths in it.

/// The path of the module that the file `name` is: `web/cookie.rs` is `crate::web::cookie`.
pub(super) fn module(name: &str) -> Vec<String> {
    let name = name.strip_suffix(".rs").unwrap_or(name);
    let name = name.strip_suffix("/mod").unwrap_or(name);
    let below = if name == "lib" { "" } else { name };
    let segments = below.split('/').filter(|segment| !segment.is_empty());
    std::iter::once("crate").chain(segments).map(str::to_owned).collect()
}

/// The words and signs of `source`, without comments, texts and lifetimes.
pub(super) fn tokens(source: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(length) = raw_text(rest) {
            length
        } else if first == '"' {
            quoted(rest, '"')
        } else if rest.starts_with("'\\") || rest.chars().nth(2) == Some('\'') && first == '\'' {
            quoted(rest, '\'')
        } else if first == '\'' {
            1 + word(&rest[1..])
        } else if word(rest) > 0 {
            let length = word(rest);
            tokens.push(rest[..length].to_owned());
            length
        } else if rest.starts_with("::") {
            tokens.push("::".to_owned());
            2
        } else {
            if !first.is_whitespace() {
                tokens.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    tokens
}

/// Whether `token` can stand in a path; the keywords named can stand right before one.
fn is_name(token: &str) -> bool {
    let keywords =
        ["use", "as", "in", "return", "impl", "for", "dyn", "mut", "else", "match", "if", "where"];
    word(token) > 0 && !keywords.contains(&token)
}

fn word(text: &str) -> usize {
    text.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(text.len())
}

fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (index, character) in text.char_indices().skip(1) {
        if character == quote && !escaped {
            return index + 1;
        }
        escaped = character == '\\' && !escaped;
    }
    text.len()
}

/// The length of a raw text at the start of `text`: `r"…"`, `r#"…"#`, `br"…"`.
fn raw_text(text: &str) -> Option<usize> {
    let after = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let start = text.len() - after.len() + hashes + 1;
    after[hashes..].starts_with('"').then_some(())?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(text[start..].find(&end).map_or(text.len(), |index| start + index + end.len()))
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    for (index, _) in text.char_indices() {
        if text[index..].starts_with("/*") {
            depth += 1;
        } else if index > 0 && text[..index].ends_with("*/") {
            depth -= 1;
            if depth == 0 {
                return index;
            }
        }
    }
    text.len()
}

/// The tokens without the items that are marked `#[cfg(test)]`.
pub(super) fn without_tests(tokens: &[String]) -> Vec<String> {
    let mark = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::new();
    let mut index = 0;
    while index < tokens.len() {
        if !tokens[index..].iter().map(String::as_str).take(mark.len()).eq(mark) {
            kept.push(tokens[index].clone());
            index += 1;
            continue;
        }
        index += mark.len();
        let mut depth = 0_i32;
        while index < tokens.len() {
            let token = &*tokens[index];
            depth += i32::from(token == "{") - i32::from(token == "}");
            index += 1;
            if depth == 0 && (token == "}" || token == ";") {
                break;
            }
        }
    }
    kept
}

/// Every path in `tokens`, with braces of `use` taken apart and `self` and `super` resolved.
pub(super) fn paths(tokens: &[String], module: &[String]) -> Vec<String> {
    let mut paths = Vec::new();
    let mut index = 0;
    while index < tokens.len() {
        let starts = is_name(&tokens[index]);
        let [before, sign] = [2, 1].map(|n| index.checked_sub(n).map_or("", |i| &tokens[i]));
        // A sign before the name makes it a part of something else, unless it opens the path.
        let opens = sign == "::" && !is_name(before) && before != ">";
        let goes_on = [".", "::"].contains(&sign) && !opens;
        let in_use = sign == "use" || opens && before == "use";
        let is_path = in_use || tokens.get(index + 1).is_some_and(|next| next == "::");
        if starts && !goes_on && is_path {
            index = tree(tokens, index, &[], &mut paths).max(index + 1);
        } else {
            index += 1;
        }
    }
    paths.iter().map(|path| resolved(path, module)).collect()
}

/// Reads a path or a tree of them at `index`, and says where it ends.
fn tree(
    tokens: &[String],
    mut index: usize,
    before: &[String],
    paths: &mut Vec<Vec<String>>,
) -> usize {
    let mut path = before.to_vec();
    loop {
        match tokens.get(index).map(String::as_str) {
            Some("{") => {
                index += 1;
                while tokens.get(index).is_some_and(|token| token != "}") {
                    let next = tree(tokens, index, &path, paths);
                    index = next.max(index + 1);
                    // What follows a name here is `as other` and a comma.
                    while tokens.get(index).is_some_and(|t| t != "," && t != "}" && t != ";") {
                        index += 1;
                    }
                    index += usize::from(tokens.get(index).is_some_and(|token| token == ","));
                }
                return index + 1;
            }
            Some(name) if word(name) > 0 => {
                if name != "self" || path.is_empty() {
                    path.push(name.to_owned());
                }
                index += 1;
            }
            Some(_) | None => break,
        }
        if tokens.get(index).is_some_and(|token| token == "::") {
            index += 1;
        } else {
            break;
        }
    }
    paths.push(path);
    index
}

fn resolved(path: &[String], module: &[String]) -> String {
    let ups = path.iter().take_while(|segment| *segment == "super").count();
    let path = match path.first().map(String::as_str) {
        Some("super") => [&module[..module.len().saturating_sub(ups)], &path[ups..]].concat(),
        Some("self") => [module, &path[1..]].concat(),
        Some(_) | None => path.to_vec(),
    };
    path.join("::")
}
