//! What a bench says: progress on stderr, tables and verdicts on stdout.

use comfy_table::presets::{ASCII_MARKDOWN, UTF8_HORIZONTAL_ONLY};
use comfy_table::{CellAlignment, Table};

use super::machine;

/// How the tables are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Terminal,
    Markdown,
}

/// One ratio or size that was promised.
pub(crate) struct Target {
    pub(crate) name: String,
    /// `None` when it could not be measured.
    pub(crate) value: Option<f64>,
    pub(crate) at_most: f64,
    pub(crate) unit: &'static str,
}

impl Target {
    pub(crate) fn met(&self) -> bool {
        self.value.is_none_or(|value| value <= self.at_most)
    }
}

/// Says something that is no result.
#[expect(clippy::print_stderr, reason = "a bench reports to whoever started it")]
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}

/// Prints a line of the result.
#[expect(clippy::print_stdout, reason = "a bench reports to whoever started it")]
pub(crate) fn say(text: &str) {
    println!("{text}");
}

/// Prints where and when the numbers were taken, which a table in a README cannot do without.
pub(crate) fn heading(title: &str, format: Format) {
    let place = machine::description();
    match format {
        Format::Terminal => say(&format!("\n{title}\n{place}\n")),
        Format::Markdown => say(&format!("\n### {title}\n\n{place}.\n")),
    }
}

/// Prints a table whose first column is a name and whose others are numbers.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>], format: Format) {
    let mut table = Table::new();
    table.load_style(match format {
        Format::Terminal => UTF8_HORIZONTAL_ONLY,
        Format::Markdown => ASCII_MARKDOWN,
    });
    table.set_header(header.iter().copied());
    table.add_rows(rows.iter().cloned());
    for number in 1..header.len() {
        if let Some(column) = table.column_mut(number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    say(&format!("{table}\n"));
}

/// Prints each target with what was measured, and says whether all were met.
pub(crate) fn verdict(targets: &[Target], format: Format) -> bool {
    let rows: Vec<Vec<String>> = targets
        .iter()
        .map(|target| {
            let shown = |value: f64| format!("{value:.2}{}", target.unit);
            let (value, verdict) = match target.value {
                None => ("–".to_owned(), "not measured"),
                Some(value) if target.met() => (shown(value), "met"),
                Some(value) => (shown(value), "MISSED"),
            };
            vec![
                target.name.clone(),
                value,
                format!("≤ {}", shown(target.at_most)),
                verdict.to_owned(),
            ]
        })
        .collect();
    table(&["target", "measured", "limit", "verdict"], &rows, format);
    targets.iter().all(Target::met)
}
