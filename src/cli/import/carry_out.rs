//! Two passes: the first looks at everything and writes nothing, the second writes.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::json;

use super::How;
use super::batches::{self, Batch};
use super::source::{Place, Problem, Source};
use crate::accounts::{Command, ImportProblem, Imported, Promised, Record, Reply, Tally};
use crate::cli::Failure;
use crate::cli::output;
use crate::cli::progress::Progress;
use crate::cli::remote::accounts::{self, Clerk};

/// How many problems a person is shown; a program is told all.
const SHOWN: usize = 100;

pub(super) fn run(mut source: Source, how: &How, file: Option<&Path>) -> Result<(), Failure> {
    let mut invalid = BTreeSet::new();
    let imported = accounts::with(file, async |clerk| {
        let mut progress = progress(&source, how);
        let would = look(clerk, &mut source, how, &mut invalid, &mut progress).await?;
        if how.dry_run || !(source.problems.is_empty() || how.skip_invalid) {
            return Ok(would);
        }
        progress.says("importing");
        write(clerk, &source, how, &invalid, &mut progress).await
    })?;
    report(&source, how, imported)
}

fn progress(source: &Source, how: &How) -> Progress {
    let records = u64::try_from(source.records.len()).unwrap_or(u64::MAX);
    let passes = if how.dry_run { 1 } else { 2 };
    let progress = Progress::start(records.saturating_mul(passes), "records");
    progress.says("checking");
    progress
}

/// Has everything looked at, and notes what is wrong.
async fn look(
    clerk: &Clerk,
    source: &mut Source,
    how: &How,
    invalid: &mut BTreeSet<usize>,
    progress: &mut Progress,
) -> Result<Imported, Failure> {
    let mut sum = Imported::default();
    let mut made = Promised::default();
    let parts = batches::cut(
        &source.records,
        invalid,
        (how.existing(), how.passwords),
        source.keeps_groups,
    );
    for mut batch in parts {
        batch.import.dry_run = true;
        batch.import.promised = batches::promised(&batch.import, &made);
        let size = batch.len();
        let (batch, imported) = order(clerk, batch).await?;
        for ImportProblem { kind, index, message } in &imported.problems {
            let Some(place) = batch.place(*kind, *index) else { continue };
            invalid.insert(place);
            if let Some(placed) = source.records.get(place) {
                let problem = Problem { place: placed.place.clone(), message: message.clone() };
                source.problems.push(problem);
            }
        }
        let groups = batch.import.groups.iter().map(|group| group.name.clone());
        made.groups.extend(groups);
        let permissions = batch.import.permissions.iter().map(|it| it.name.clone());
        made.permissions.extend(permissions);
        for place in invalid.iter() {
            match source.records.get(*place).map(|placed| &placed.record) {
                Some(Record::Group(group)) => made.groups.remove(&group.name),
                Some(Record::Permission(permission)) => made.permissions.remove(&permission.name),
                Some(Record::User(_)) | None => false,
            };
        }
        sum.add(&imported);
        progress.advance(size);
    }
    source.problems.sort_by_key(|problem| match problem.place {
        Place::Line(line) => line,
        Place::Row(_) => 0,
    });
    Ok(sum)
}

/// Has everything written that is not `invalid`.
async fn write(
    clerk: &Clerk,
    source: &Source,
    how: &How,
    invalid: &BTreeSet<usize>,
    progress: &mut Progress,
) -> Result<Imported, Failure> {
    let mut sum = Imported::default();
    for batch in
        batches::cut(&source.records, invalid, (how.existing(), how.passwords), source.keeps_groups)
    {
        let size = batch.len();
        let written = order(clerk, batch).await.and_then(|(batch, imported)| {
            let Some(problem) = imported.problems.first() else { return Ok(imported) };
            let placed = batch.place(problem.kind, problem.index);
            let placed = placed.and_then(|place| source.records.get(place));
            let place = placed.map_or(Place::Row("a record".to_owned()), |it| it.place.clone());
            let problem = Problem { place, message: problem.message.clone() };
            Err(Failure::No(format!("{} by now", problem.line(&source.name))))
        });
        let imported = written.map_err(|failure| broken_off(&failure, &sum))?;
        sum.add(&imported);
        progress.advance(size);
    }
    Ok(sum)
}

/// What was written stays: each part is whole.
fn broken_off(failure: &Failure, sum: &Imported) -> Failure {
    let done = sum.users.created + sum.users.updated;
    if done + sum.groups.created + sum.permissions.created == 0 {
        return Failure::No(format!("{failure}\nhint: nothing was imported yet"));
    }
    Failure::No(format!(
        "{failure}\nhint: {} imported by then; run the command again with `--skip-existing` or \
         `--update` for the others",
        counted(done, "user was", "users were")
    ))
}

/// Has one part carried out, and gives it back with what came of it.
async fn order(clerk: &Clerk, mut batch: Batch) -> Result<(Batch, Imported), Failure> {
    let command = Command::Import(std::mem::take(&mut batch.import));
    let reply = clerk.execute(&command).await?;
    if let Command::Import(import) = command {
        batch.import = import;
    }
    let Reply::Imported(imported) = reply else {
        return Err(Failure::No(format!("the running gateway answers something else: {reply:?}")));
    };
    Ok((batch, imported))
}

fn report(source: &Source, how: &How, imported: Imported) -> Result<(), Failure> {
    let problems = &source.problems;
    let is_refused = !problems.is_empty() && !how.skip_invalid;
    let is_written = !how.dry_run && !is_refused;
    if how.json {
        let problem = |problem: &Problem| {
            let (message, hint) = problem.parts();
            json!({ "at": problem.place, "message": message, "hint": hint })
        };
        output::json(&json!({
            "from": source.name,
            "written": is_written,
            "users": imported.users,
            "groups": imported.groups,
            "permissions": imported.permissions,
            "without_password": imported.without_password,
            "warnings": source.warnings,
            "problems": problems.iter().map(problem).collect::<Vec<_>>(),
        }))?;
        return if problems.is_empty() { Ok(()) } else { Err(Failure::Answered) };
    }
    for warning in &source.warnings {
        output::complain(&format!("warning: {warning}"));
    }
    for problem in problems.iter().take(SHOWN) {
        output::complain(&problem.line(&source.name));
    }
    if problems.len() > SHOWN {
        let more = problems.len() - SHOWN;
        output::complain(&format!("… and {more} more, which `--json` shows"));
    }
    if !is_refused {
        output::say(&summary(&imported, is_written))?;
    }
    let count = u64::try_from(problems.len()).unwrap_or(u64::MAX);
    let found = counted(count, "problem", "problems");
    match (problems.is_empty(), is_written) {
        (true, _) => Ok(()),
        (false, true) => {
            Err(Failure::No(format!("{found} in {}: those were left out", source.name)))
        }
        (false, false) => Err(Failure::No(format!(
            "nothing was imported: {found} in {}\n\
             hint: `--skip-existing` leaves users who are there as they are, `--update` makes \
             them what it says, `--skip-invalid` imports the others",
            source.name
        ))),
    }
}

/// `created 12 users, updated 3; created 2 groups`, a line for what has to be done yet.
fn summary(imported: &Imported, is_written: bool) -> String {
    let kinds = [
        (imported.users, "user", "users"),
        (imported.groups, "group", "groups"),
        (imported.permissions, "permission", "permissions"),
    ];
    let parts: Vec<String> = kinds
        .into_iter()
        .filter_map(|(tally, one, many)| sentence(tally, one, many, is_written))
        .collect();
    let mut text = match (parts.is_empty(), is_written) {
        (true, _) => "there was nothing to import".to_owned(),
        (false, true) => parts.join("\n"),
        (false, false) => format!("this would be done:\n{}", parts.join("\n")),
    };
    if imported.without_password > 0 {
        let new = counted(imported.without_password, "new user has", "new users have");
        text.push_str(&format!(
            "\n{new} no password, and cannot log in before `vestibule user set-password`"
        ));
    }
    text
}

fn sentence(tally: Tally, one: &str, many: &str, is_written: bool) -> Option<String> {
    let verbs = if is_written { ["created", "updated"] } else { ["create", "update"] };
    let parts = [
        (tally.created, format!("{} {}", verbs[0], counted(tally.created, one, many))),
        (tally.updated, format!("{} {}", verbs[1], counted(tally.updated, one, many))),
        (tally.unchanged, format!("{} just so already", counted(tally.unchanged, one, many))),
        (tally.skipped, format!("{} left as they are", counted(tally.skipped, one, many))),
    ];
    let parts: Vec<String> =
        parts.into_iter().filter_map(|(count, text)| (count > 0).then_some(text)).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn counted(count: u64, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_says_what_was_done_and_what_is_to_be_done() {
        let imported = Imported {
            users: Tally { created: 2, updated: 1, unchanged: 0, skipped: 1 },
            groups: Tally { created: 1, ..Tally::default() },
            without_password: 1,
            ..Imported::default()
        };
        assert_eq!(
            summary(&imported, true),
            "created 2 users, updated 1 user, 1 user left as they are\ncreated 1 group\n\
             1 new user has no password, and cannot log in before `vestibule user set-password`"
        );
        assert!(summary(&imported, false).starts_with("this would be done:\ncreate 2 users"));
        assert_eq!(summary(&Imported::default(), true), "there was nothing to import");
    }
}
