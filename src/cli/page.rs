//! Text for a terminal: fields and tables.

/// Lines of text for a terminal, without control characters that came from the question.
#[derive(Default)]
pub(super) struct Page(String);

impl Page {
    pub(super) fn into_text(self) -> String {
        self.0
    }

    pub(super) fn line(&mut self, text: &str) {
        for character in text.trim_end().chars() {
            if character.is_control() {
                self.0.extend(character.escape_debug());
            } else {
                self.0.push(character);
            }
        }
        self.0.push('\n');
    }

    pub(super) fn field(&mut self, name: &str, text: &str) {
        self.line(&format!("  {name:<11} {text}"));
    }

    /// Columns as wide as what is in them.
    pub(super) fn table<const N: usize>(&mut self, rows: &[[&str; N]]) {
        let width = |column: usize| {
            rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
        };
        let widths: [usize; N] = std::array::from_fn(width);
        for row in rows {
            let cells: Vec<String> =
                row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            self.line(&format!("    {}", cells.join("   ")));
        }
    }
}
