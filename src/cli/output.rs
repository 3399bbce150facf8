//! What commands print: sentences, tables for people, JSON for programs.

use std::io::{self, IsTerminal as _, Write as _};
use std::ops::ControlFlow;

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use super::Failure;

/// Prints a sentence.
pub(super) fn say(sentence: &str) -> Result<(), Failure> {
    show(&format!("{}\n", printable(sentence)))
}

/// Prints a line about what is wrong, beside the result.
#[expect(clippy::print_stderr, reason = "the command line is where problems are shown")]
pub(super) fn complain(line: &str) {
    eprintln!("{}", printable(line));
}

/// Prints a value for programs.
pub(super) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value);
    show(&format!("{}\n", text.map_err(|error| Failure::No(error.to_string()))?))
}

/// Prints rows under a header: ruled on a terminal, bare columns elsewhere.
pub(super) fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> Result<(), Failure> {
    let width = io::stdout().is_terminal().then(terminal_width);
    show(&table_text(header, rows, width))
}

/// Prints what is known of one thing, a line for each of its sides.
pub(super) fn card(lines: &[(&str, String)]) -> Result<(), Failure> {
    let longest = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let line = |(name, value): &(&str, String)| {
        format!("{:longest$}  {}", name, printable(value)).trim_end().to_owned() + "\n"
    };
    show(&lines.iter().map(line).collect::<String>())
}

fn table_text<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    width: Option<u16>,
) -> String {
    let mut table = Table::new();
    match width {
        Some(width) => {
            table.load_style(presets::UTF8_BORDERS_ONLY).set_width(width);
            table.set_content_arrangement(ContentArrangement::Dynamic);
        }
        None => {
            table.load_style(presets::NOTHING);
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
    }
    table.set_header(header);
    for row in rows {
        table.add_row(row.map(|cell| printable(&cell)));
    }
    if width.is_none() {
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
    }
    table.trim_fmt() + "\n"
}

/// As the terminal says; 80 when it does not know, and never too narrow for a word in a column.
fn terminal_width() -> u16 {
    let known = rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| size.ws_col);
    known.filter(|&columns| columns > 0).unwrap_or(80).max(60)
}

/// The text without control characters, which a terminal would obey.
pub(super) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\n' {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Prints text that is all there is. A reader that has seen enough, such as `head`, is no failure.
fn show(text: &str) -> Result<(), Failure> {
    write(text).map(drop)
}

/// Prints text, and breaks when nobody reads it.
pub(super) fn write(text: &str) -> Result<ControlFlow<()>, Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(ControlFlow::Continue(())),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
        Err(error) => Err(Failure::No(format!("standard output: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> [[String; 2]; 2] {
        [["ada".to_owned(), "Ada \u{1b}[2J".to_owned()], ["grace".to_owned(), String::new()]]
    }

    #[test]
    fn columns_are_bare_where_no_terminal_is() {
        let text = table_text(["user", "name"], rows(), None);
        assert_eq!(text, "user   name\nada    Ada \\u{1b}[2J\ngrace\n");
    }

    #[test]
    fn a_terminal_gets_rules_and_no_control_characters() {
        let text = table_text(["user", "name"], rows(), Some(60));
        assert!(text.contains('│') && text.contains("grace"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
}
