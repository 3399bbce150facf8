//! Lines of JSON, as `vestibule export` writes them.

use std::path::Path;

use super::source::{self, Source};
use crate::accounts::Record;
use crate::cli::Failure;

pub(super) fn read(path: &Path) -> Result<Source, Failure> {
    let (name, bytes) = source::read(path)?;
    Ok(parse(name, &bytes))
}

fn parse(name: String, bytes: &[u8]) -> Source {
    let mut source = Source::named(name);
    for (place, line) in source::lines(bytes, &mut source) {
        if line.trim().is_empty() {
            continue;
        }
        match serde_json::from_str::<Record>(line) {
            Ok(record) => source.add(place, record),
            Err(error) => source.refuse(place, complaint(&error)),
        }
    }
    source
}

/// What is wrong with a line. Where a value is of a wrong type, serde shows the value, and that
/// may be a password.
fn complaint(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if text.starts_with("unknown field") || text.starts_with("unknown variant") {
        return text.split(" at line ").next().unwrap_or_default().to_owned();
    }
    let what = if error.is_data() { "no record" } else { "no JSON" };
    let column = error.column();
    format!(
        "the line is {what}: see column {column}\n\
         hint: write `{{\"user\":{{\"username\":\"ada\"}}}}`"
    )
}

#[cfg(test)]
mod tests {
    use super::super::source::Place;
    use super::*;

    #[test]
    fn each_line_is_a_record_or_a_problem() {
        let text = "{\"permission\":{\"name\":\"a.b\",\"description\":\"\"}}\n\n\
                    {\"group\":{\"name\":\"G\"}}\nnonsense\n{\"user\":{\"usrname\":\"ada\"}}\n\
                    {\"user\":{\"username\":\"ada\",\"is_staff\":\"hunter2\"}}\n";
        let source = parse("f".to_owned(), text.as_bytes());
        assert_eq!(source.records.len(), 2);
        let places: Vec<&Place> = source.problems.iter().map(|problem| &problem.place).collect();
        assert_eq!(places, [&Place::Line(4), &Place::Line(5), &Place::Line(6)]);
        assert!(source.problems[1].message.contains("unknown field `usrname`"));
        assert!(!format!("{:?}", source.problems).contains("hunter2"));
    }

    #[test]
    fn what_stands_there_twice_is_told_with_the_first_place() {
        let text = "{\"user\":{\"username\":\"fiona\"}}\n{\"user\":{\"username\":\"ﬁona\"}}\n\
                    {\"group\":{\"name\":\"fiona\"}}\n";
        let source = parse("f".to_owned(), text.as_bytes()).without_repeated();
        assert_eq!(source.records.len(), 2);
        assert_eq!(
            source.problems[0].line("f"),
            "f:2: the user `fiona` stands here again, first at line 1"
        );
    }
}
