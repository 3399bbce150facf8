//! What was read, cut into parts that are each written at once.

use std::collections::BTreeSet;

use super::source::Placed;
use crate::accounts::{Existing, Import, Promised, Record, RecordKind, UserEntry};

/// A part, with the places of its records among all.
pub(super) struct Batch {
    pub(super) import: Import,
    permissions: Vec<usize>,
    groups: Vec<usize>,
    users: Vec<usize>,
}

/// How many permissions, groups or users a part has. Whoever logs in meanwhile waits for one.
const MOST: usize = 500;

/// How many passwords are hashed for a part: each may take a second.
const MOST_PASSWORDS: usize = 8;

/// How many bytes of profiles and permissions a part has: a command is read up to 16 MiB.
const MOST_BYTES: usize = 4 << 20;

impl Batch {
    fn new() -> Self {
        Self {
            import: Import::default(),
            permissions: Vec::new(),
            groups: Vec::new(),
            users: Vec::new(),
        }
    }

    /// The place among all records of the one that the part calls the `index`th of its `kind`.
    pub(super) fn place(&self, kind: RecordKind, index: usize) -> Option<usize> {
        let places = match kind {
            RecordKind::Permission => &self.permissions,
            RecordKind::Group => &self.groups,
            RecordKind::User => &self.users,
        };
        places.get(index).copied()
    }

    /// How many records it has.
    pub(super) fn len(&self) -> usize {
        self.permissions.len() + self.groups.len() + self.users.len()
    }
}

/// Cuts all records but those that `leaves` names: permissions first, then groups, then users.
pub(super) fn cut(
    records: &[Placed],
    leaves: &BTreeSet<usize>,
    (existing, passwords_too): (Existing, bool),
    keeps_groups: bool,
) -> Vec<Batch> {
    let mut batches = Vec::new();
    for kind in [RecordKind::Permission, RecordKind::Group, RecordKind::User] {
        // Groups that are only to be there are never changed, whoever is updated.
        let existing = match kind {
            RecordKind::Group if keeps_groups => Existing::Skip,
            RecordKind::Permission | RecordKind::Group | RecordKind::User => existing,
        };
        let mut batch = Batch::new();
        let (mut passwords, mut bytes) = (0, 0);
        let of_kind = records
            .iter()
            .enumerate()
            .filter(|(place, placed)| placed.record.kind() == kind && !leaves.contains(place));
        for (place, placed) in of_kind {
            let (password, size) = weight(&placed.record);
            let is_full = batch.len() == MOST
                || passwords + password > MOST_PASSWORDS
                || bytes + size > MOST_BYTES;
            if is_full && batch.len() > 0 {
                batches.push(std::mem::replace(&mut batch, Batch::new()));
                (passwords, bytes) = (0, 0);
            }
            passwords += password;
            bytes += size;
            batch.import.existing = existing;
            batch.import.passwords = passwords_too;
            match placed.record.clone() {
                Record::Permission(permission) => {
                    batch.permissions.push(place);
                    batch.import.permissions.push(permission);
                }
                Record::Group(group) => {
                    batch.groups.push(place);
                    batch.import.groups.push(group);
                }
                Record::User(user) => {
                    batch.users.push(place);
                    batch.import.users.push(user);
                }
            }
        }
        if batch.len() > 0 {
            batches.push(batch);
        }
    }
    batches
}

/// How many passwords and how many bytes a record has.
fn weight(record: &Record) -> (usize, usize) {
    let lengths = |names: &[String]| names.iter().map(|name| name.len() + 8).sum::<usize>();
    match record {
        Record::Permission(permission) => (0, permission.name.len() + permission.description.len()),
        Record::Group(group) => (0, group.name.len() + lengths(&group.permissions)),
        Record::User(user) => (usize::from(user.password.is_some()), size(user, lengths)),
    }
}

fn size(user: &UserEntry, lengths: impl Fn(&[String]) -> usize) -> usize {
    let profile: usize = user.profile.iter().map(|(field, value)| field.len() + value.len()).sum();
    // The fields that are always short, and the hash.
    2048 + profile
        + lengths(user.groups.as_deref().unwrap_or_default())
        + lengths(user.permissions.as_deref().unwrap_or_default())
}

/// Of the names in `made`, those that the part refers to.
pub(super) fn promised(import: &Import, made: &Promised) -> Promised {
    let of_groups = import.groups.iter().flat_map(|group| &group.permissions);
    let of_users = import.users.iter().flat_map(|user| user.permissions.iter().flatten());
    let permissions = of_groups.chain(of_users);
    let groups = import.users.iter().flat_map(|user| user.groups.iter().flatten());
    Promised {
        groups: groups.filter(|name| made.groups.contains(*name)).cloned().collect(),
        permissions: permissions.filter(|name| made.permissions.contains(*name)).cloned().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::Place;
    use super::*;
    use crate::accounts::{GroupEntry, Secret};

    fn placed(record: Record) -> Placed {
        Placed { place: Place::Line(1), record }
    }

    fn user(password: bool) -> Placed {
        let password = password.then(|| Secret::from("granite-window-9182".to_owned()));
        placed(Record::User(UserEntry { password, ..UserEntry::default() }))
    }

    #[test]
    fn parts_are_small_and_groups_come_before_users() {
        let mut records: Vec<Placed> = (0..1200).map(|_| user(false)).collect();
        records.extend((0..20).map(|_| user(true)));
        records.push(placed(Record::Group(GroupEntry {
            name: "G".to_owned(),
            permissions: Vec::new(),
        })));
        let batches = cut(&records, &BTreeSet::from([0, 1219]), (Existing::Update, false), true);
        let sizes: Vec<usize> = batches.iter().map(Batch::len).collect();
        assert_eq!(sizes, [1, 500, 500, 207, 8, 3]);
        assert_eq!(batches[0].place(RecordKind::Group, 0), Some(1220));
        assert_eq!(batches[0].import.existing, Existing::Skip);
        assert_eq!(batches[1].place(RecordKind::User, 0), Some(1));
        assert_eq!(batches[5].place(RecordKind::User, 2), Some(1218));
        assert_eq!(batches[5].import.existing, Existing::Update);
    }
}
