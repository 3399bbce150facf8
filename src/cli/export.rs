//! `vestibule export`: what `import` takes back.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::progress::Progress;
use super::remote::accounts::{self, Clerk};
use super::{Failure, output};
use crate::accounts::{Command, Exported, Record, Reply, UserEntry};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Lines of JSON with everything, or comma-separated values with users alone
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
    /// With the hashes of passwords, so that nobody needs another one
    #[arg(long)]
    passwords: bool,
    /// Where to: a new file that nobody else can read [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The same as `--format json`
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A line for each permission, group and user
    Json,
    /// A line for each user
    Csv,
}

/// A cell that begins so is a formula for a spreadsheet, which may send the others to somebody.
pub(super) const FORMULA: [char; 8] = ['=', '+', '-', '@', '\t', '\r', '\'', '|'];

pub(super) fn run(arguments: &Arguments, file: Option<&Path>) -> Result<(), Failure> {
    let format = if arguments.json { Format::Json } else { arguments.format };
    let Some(path) = &arguments.output else {
        let mut stdout = std::io::stdout().lock();
        let written = write(&mut stdout, format, arguments.passwords, file);
        return match written {
            Err(Unwritten::Io(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            Err(unwritten) => Err(unwritten.failure("standard output")),
            Ok(_) => Ok(()),
        };
    };
    // Beside the file, and in its place when it is whole; only its owner can read it.
    let name = path.display().to_string();
    let failed =
        |error: std::io::Error| Failure::No(format!("`{name}` cannot be written: {error}"));
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut whole = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    let users = write(&mut whole, format, arguments.passwords, file)
        .map_err(|unwritten| unwritten.failure(&format!("`{name}`")))?;
    whole.as_file().sync_all().map_err(failed)?;
    whole.persist(path).map_err(|error| failed(error.error))?;
    let users = if users == 1 { "1 user".to_owned() } else { format!("{users} users") };
    output::say(&format!("exported {users} to {name}"))
}

/// Why an export has no end.
enum Unwritten {
    Io(std::io::Error),
    Failed(Failure),
}

impl Unwritten {
    fn failure(self, place: &str) -> Failure {
        match self {
            Self::Io(error) => Failure::No(format!("{place} cannot be written: {error}")),
            Self::Failed(failure) => failure,
        }
    }
}

impl From<std::io::Error> for Unwritten {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Failure> for Unwritten {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Writes everything, and says how many users that were.
fn write(
    place: &mut impl Write,
    format: Format,
    passwords: bool,
    file: Option<&Path>,
) -> Result<usize, Unwritten> {
    let mut outcome = Ok(0);
    accounts::with(file, async |clerk| {
        outcome = match format {
            Format::Json => as_json(clerk, place, passwords).await,
            Format::Csv => as_csv(clerk, place, passwords).await,
        };
        Ok(())
    })?;
    outcome
}

/// The part behind the user with the number `after`.
async fn part(clerk: &Clerk, after: Option<i64>, passwords: bool) -> Result<Exported, Failure> {
    let reply = clerk.execute(&Command::Export { after, passwords }).await?;
    let Reply::Exported(exported) = reply else {
        return Err(Failure::No(format!("the running gateway answers something else: {reply:?}")));
    };
    Ok(exported)
}

async fn as_json(
    clerk: &Clerk,
    place: &mut impl Write,
    passwords: bool,
) -> Result<usize, Unwritten> {
    let mut progress = Progress::start(0, "users");
    let (mut after, mut count) = (None, 0);
    loop {
        let exported = part(clerk, after, passwords).await?;
        progress.set_length(exported.users_in_all);
        progress.advance(exported.users.len());
        count += exported.users.len();
        let permissions = exported.permissions.into_iter().map(Record::Permission);
        let groups = exported.groups.into_iter().map(Record::Group);
        let users = exported.users.into_iter().map(Record::User);
        let mut text = Vec::new();
        for record in permissions.chain(groups).chain(users) {
            serde_json::to_writer(&mut text, &record).map_err(std::io::Error::other)?;
            text.push(b'\n');
        }
        place.write_all(&text)?;
        match exported.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    place.flush()?;
    Ok(count)
}

/// Users alone. All of them are looked at before the first is written: the columns of profiles are
/// those that anybody has.
async fn as_csv(
    clerk: &Clerk,
    place: &mut impl Write,
    passwords: bool,
) -> Result<usize, Unwritten> {
    let mut progress = Progress::start(0, "users");
    let (mut after, mut users) = (None, Vec::new());
    loop {
        let exported = part(clerk, after, passwords).await?;
        progress.set_length(exported.users_in_all);
        progress.advance(exported.users.len());
        users.extend(exported.users);
        match exported.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    drop(progress);
    let count = users.len();
    let fields: BTreeSet<String> =
        users.iter().flat_map(|user| user.profile.keys().cloned()).collect();
    let mut writer = csv::Writer::from_writer(place);
    let mut header: Vec<String> = COLUMNS.map(str::to_owned).to_vec();
    if passwords {
        header.push("password_hash".to_owned());
    }
    header.extend(fields.iter().map(|field| format!("profile.{field}")));
    writer.write_record(&header).map_err(as_io)?;
    for user in users {
        let row = row(user, &fields, passwords)?;
        writer.write_record(&row).map_err(as_io)?;
    }
    writer.flush()?;
    Ok(count)
}

/// A reader that has seen enough shows as what it is.
fn as_io(error: csv::Error) -> std::io::Error {
    let kind = error.into_kind();
    if let csv::ErrorKind::Io(error) = kind {
        error
    } else {
        std::io::Error::other(format!("{kind:?}"))
    }
}

const COLUMNS: [&str; 11] = [
    "username",
    "first_name",
    "last_name",
    "email",
    "is_active",
    "is_staff",
    "is_superuser",
    "last_login",
    "date_joined",
    "groups",
    "permissions",
];

fn row(
    user: UserEntry,
    fields: &BTreeSet<String>,
    passwords: bool,
) -> Result<Vec<String>, std::io::Error> {
    let flag = |flag: Option<bool>| flag.map_or(String::new(), |flag| flag.to_string());
    let moment = |at: Option<jiff::Timestamp>| at.map_or(String::new(), |at| at.to_string());
    let text = |text: Option<String>| no_formula(text.unwrap_or_default());
    let mut row = vec![
        no_formula(user.username),
        text(user.first_name),
        text(user.last_name),
        text(user.email),
        flag(user.is_active),
        flag(user.is_staff),
        flag(user.is_superuser),
        moment(user.last_login),
        moment(user.date_joined),
        no_formula(names(&user.groups.unwrap_or_default())?),
        no_formula(names(&user.permissions.unwrap_or_default())?),
    ];
    if passwords {
        let hash = serde_json::to_value(&user.password_hash).map_err(std::io::Error::other)?;
        row.push(hash.as_str().unwrap_or_default().to_owned());
    }
    let mut profile = user.profile;
    row.extend(fields.iter().map(|field| no_formula(profile.remove(field).unwrap_or_default())));
    Ok(row)
}

/// Several names as values with `;` between them.
fn names(names: &[String]) -> Result<String, std::io::Error> {
    if names.is_empty() {
        return Ok(String::new());
    }
    let mut writer = csv::WriterBuilder::new().delimiter(b';').from_writer(Vec::new());
    writer.write_record(names).map_err(std::io::Error::other)?;
    let bytes = writer.into_inner().map_err(|error| std::io::Error::other(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(std::io::Error::other)?;
    Ok(text.trim_end_matches('\n').to_owned())
}

/// The text as a spreadsheet does not take it for a formula, which an import takes back.
fn no_formula(text: String) -> String {
    if text.starts_with(FORMULA) { format!("'{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_no_formulas_and_names_stay_apart() {
        assert_eq!(no_formula("=HYPERLINK(1)".to_owned()), "'=HYPERLINK(1)");
        assert_eq!(no_formula("'tHooft".to_owned()), "''tHooft");
        assert_eq!(no_formula("ada".to_owned()), "ada");
        assert_eq!(names(&["a;b".to_owned(), "c".to_owned()]).unwrap(), "\"a;b\";c");
        assert_eq!(names(&[]).unwrap(), "");
    }
}
