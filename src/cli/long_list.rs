//! Lists of which nobody knows how long they are when they begin.

use std::ops::ControlFlow;

use serde::Serialize;

use super::{Failure, output};

/// How many rows are waited for, to see how wide columns are.
const LOOKED_AT: usize = 1000;

/// How much text is printed at once.
const PRINTED_AT_ONCE: usize = 64 * 1024;

/// Rows under a header. A list that is not long is the table that every command prints; of one that
/// is, the first rows make the columns, and the others are printed as they come.
pub(super) struct LongTable<const N: usize> {
    header: [&'static str; N],
    first: Vec<[String; N]>,
    /// Of the columns, once they are known.
    widths: Option<[usize; N]>,
    text: Text,
}

/// An array of JSON, a line for each of its values.
pub(super) struct LongJson {
    is_empty: bool,
    text: Text,
}

/// Text on its way out.
#[derive(Default)]
struct Text(String);

impl<const N: usize> LongTable<N> {
    pub(super) fn new(header: [&'static str; N]) -> Self {
        Self { header, first: Vec::new(), widths: None, text: Text::default() }
    }

    /// Adds a row; breaks when nobody reads any more.
    pub(super) fn add(&mut self, row: [String; N]) -> Result<ControlFlow<()>, Failure> {
        let row = row.map(|cell| output::printable(&cell));
        if let Some(widths) = self.widths {
            return self.text.add(&aligned(&row, widths));
        }
        self.first.push(row);
        if self.first.len() < LOOKED_AT {
            return Ok(ControlFlow::Continue(()));
        }
        let width = |column: usize| {
            let cells = self.first.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or(0).max(self.header[column].len())
        };
        let widths: [usize; N] = std::array::from_fn(width);
        self.widths = Some(widths);
        let mut text = aligned(&self.header.map(str::to_owned), widths);
        for row in std::mem::take(&mut self.first) {
            text += &aligned(&row, widths);
        }
        self.text.add(&text)
    }

    /// Prints what is left.
    pub(super) fn end(self) -> Result<(), Failure> {
        match self.widths {
            Some(_) => self.text.end(),
            None => output::table(self.header, self.first),
        }
    }

    /// Prints what is left of a table that has no end; of one that has not begun, nothing.
    pub(super) fn break_off(self) -> Result<(), Failure> {
        if self.widths.is_none() && self.first.is_empty() { Ok(()) } else { self.end() }
    }
}

fn aligned<const N: usize>(row: &[String; N], widths: [usize; N]) -> String {
    let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}  "));
    cells.collect::<String>().trim_end().to_owned() + "\n"
}

impl LongJson {
    pub(super) fn new() -> Self {
        Self { is_empty: true, text: Text::default() }
    }

    /// Adds a value; breaks when nobody reads any more.
    pub(super) fn add(&mut self, value: &impl Serialize) -> Result<ControlFlow<()>, Failure> {
        let json = serde_json::to_string(value).map_err(|error| Failure::No(error.to_string()))?;
        let before = if self.is_empty { "[\n" } else { ",\n" };
        self.is_empty = false;
        self.text.add(&format!("{before}{json}"))
    }

    /// Ends the array. One that breaks off must not be ended, so that no program takes it for whole.
    pub(super) fn end(mut self) -> Result<(), Failure> {
        let end = if self.is_empty { "[]\n" } else { "\n]\n" };
        if self.text.add(end)?.is_break() {
            return Ok(());
        }
        self.text.end()
    }
}

impl Text {
    fn add(&mut self, text: &str) -> Result<ControlFlow<()>, Failure> {
        self.0 += text;
        if self.0.len() < PRINTED_AT_ONCE {
            return Ok(ControlFlow::Continue(()));
        }
        output::write(&std::mem::take(&mut self.0))
    }

    fn end(self) -> Result<(), Failure> {
        // Whoever does not read any more has seen enough.
        let _enough = output::write(&self.0)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rows_make_the_columns_and_the_others_keep_to_them() {
        let mut table = LongTable::new(["KEY", "USER"]);
        for number in 0..LOOKED_AT {
            assert!(table.text.0.is_empty());
            let more = table.add([number.to_string(), "ada\u{1b}".to_owned()]).unwrap();
            assert!(more.is_continue());
        }
        assert!(table.add(["12345678".to_owned(), "grace".to_owned()]).unwrap().is_continue());
        let lines: Vec<&str> = table.text.0.lines().collect();
        assert_eq!(lines.len(), LOOKED_AT + 2);
        assert_eq!(lines[..2], ["KEY  USER", "0    ada\\u{1b}"]);
        assert_eq!(lines[LOOKED_AT..], ["999  ada\\u{1b}", "12345678  grace"]);
        assert!(table.first.is_empty());
    }

    #[test]
    fn an_array_is_json_however_long_it_is() {
        for length in 0..3 {
            let mut list = LongJson::new();
            for number in 0..length {
                assert!(list.add(&number).unwrap().is_continue());
            }
            let whole = if list.is_empty { "[]".to_owned() } else { list.text.0 + "\n]" };
            let numbers: Vec<usize> = serde_json::from_str(&whole).unwrap();
            assert_eq!(numbers, (0..length).collect::<Vec<_>>());
        }
    }
}
