//! A Django project: its database, or what `manage.py dumpdata` writes.

use std::collections::BTreeSet;
use std::path::Path;

use super::source::{self, Place, Source};
use super::{dumpdata, user_model};
use crate::accounts::django::DjangoDatabase;
use crate::accounts::{Record, RecordKind};
use crate::cli::Failure;
use crate::domain::Permission;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// `postgres://USER@HOST/DATABASE`, a file of SQLite's, or one of JSON that
    /// `manage.py dumpdata --natural-foreign auth` wrote; `-` for JSON on standard input
    from: String,
    /// The model of users, if it is not Django's own
    #[arg(long, value_name = "APP.MODEL")]
    user_model: Option<String>,
    /// Import users whose hash cannot be checked here without a password
    #[arg(long)]
    unusable: bool,
}

/// How a file of SQLite's begins.
const SQLITE: &[u8] = b"SQLite format 3\0";

pub(super) fn read(arguments: &Arguments) -> Result<Source, Failure> {
    let from = arguments.from.as_str();
    let model = user_model(arguments.user_model.as_deref())?;
    let mut source = if from.starts_with("postgres://") || from.starts_with("postgresql://") {
        let records = read_database(DjangoDatabase::postgres(from), arguments)?;
        // Not the URL: a password may be in it.
        from_database("the database".to_owned(), records)
    } else {
        let path = from.strip_prefix("sqlite:").unwrap_or(from);
        let path = Path::new(path.strip_prefix("//").filter(|_| path != from).unwrap_or(path));
        if is_sqlite(path) {
            let records = read_database(DjangoDatabase::file(path), arguments)?;
            from_database(path.display().to_string(), records)
        } else {
            let (name, bytes) = source::read(path)?;
            dumpdata::parse(name, &bytes, &model)
        }
    };
    without_impossible_permissions(&mut source);
    if arguments.unusable {
        for placed in &mut source.records {
            if let Record::User(user) = &mut placed.record
                && !user.has_sound_hash()
            {
                user.password_hash = None;
            }
        }
    }
    Ok(source)
}

fn is_sqlite(path: &Path) -> bool {
    use std::io::Read as _;

    let mut start = [0; SQLITE.len()];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == SQLITE
}

fn read_database(
    database: DjangoDatabase,
    arguments: &Arguments,
) -> Result<Vec<(String, Record)>, Failure> {
    let model = user_model(arguments.user_model.as_deref())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::No(format!("no runtime: {error}")))?;
    let read = runtime.block_on(database.read(&model));
    read.map_err(|error| Failure::No(error.to_string()))
}

fn from_database(name: String, records: Vec<(String, Record)>) -> Source {
    let mut source = Source::named(name);
    for (row, record) in records {
        source.add(Place::Row(row), record);
    }
    source
}

/// Takes out permissions with names that no rule can ask for, and from whoever has one. Django
/// itself does not care what a codename looks like.
fn without_impossible_permissions(source: &mut Source) {
    let is_possible = |name: &str| name.parse::<Permission>().is_ok();
    let mut impossible = BTreeSet::new();
    source.records.retain(|placed| {
        let name = placed.record.name();
        let is_kept = placed.record.kind() != RecordKind::Permission || is_possible(name);
        if !is_kept {
            impossible.insert(name.to_owned());
        }
        is_kept
    });
    for placed in &mut source.records {
        match &mut placed.record {
            Record::Group(group) => group.permissions.retain(|name| is_possible(name)),
            Record::User(user) => {
                user.permissions.iter_mut().for_each(|names| names.retain(|it| is_possible(it)));
            }
            Record::Permission(_) => {}
        }
    }
    for name in impossible {
        let name = name.escape_debug();
        source
            .warnings
            .push(format!("`{name}` is left out: no rule could ask for a permission of that name"));
    }
}
