//! `vestibule session recover`: what of damaged files is saved.

use super::super::{salvage, start_anew};
use super::*;

/// Two snapshots with a journal before, between and after them; sessions 1 to 6, of which 2 and 5
/// have ended.
async fn town() -> (TempDir, BTreeMap<SessionKey, Record>) {
    let directory = temporary();
    let sessions = open(directory.path()).unwrap();
    for number in 1..=2 {
        sessions.begin(key(number), login(1), None).await.unwrap();
    }
    sessions.tend(NOON, &at(300));
    for number in 3..=4 {
        sessions.begin(key(number), login(1), None).await.unwrap();
    }
    let (_, noted) = sessions.end(key(2));
    sessions.kept(noted).await.unwrap();
    sessions.tend(NOON, &at(600));
    for number in 5..=6 {
        sessions.begin(key(number), login(1), None).await.unwrap();
    }
    let (_, noted) = sessions.end(key(5));
    sessions.kept(noted).await.unwrap();
    let content = content(sessions.map());
    assert_eq!(content.len(), 4);
    (directory, content)
}

fn spoil(path: &Path, offset: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[offset] ^= 0x40;
    io::Write::write_all(&mut fs::File::create(path).unwrap(), &bytes).unwrap();
}

#[tokio::test]
async fn what_is_whole_stays_as_it_is() {
    let (directory, content) = town().await;
    let before = names(directory.path());
    let saved = salvage(directory.path(), NOON, &LIFETIME).unwrap();
    assert_eq!((saved.sessions, saved.damages.len(), saved.is_whole), (4, 0, true));
    assert_eq!(names(directory.path()), before);
    assert_eq!(read(directory.path()).unwrap(), content);
}

#[tokio::test]
async fn with_a_damaged_snapshot_nothing_is_lost_when_the_one_before_it_is_whole() {
    let (directory, content) = town().await;
    let last = directory.path().join("snapshot-00000003");
    let length = usize::try_from(last.metadata().unwrap().len()).unwrap();
    for offset in 0..length {
        let copy = temporary();
        copy_files(directory.path(), copy.path());
        spoil(&copy.path().join("snapshot-00000003"), offset);
        assert!(read(copy.path()).is_err());
        let saved = salvage(copy.path(), NOON, &LIFETIME).unwrap();
        assert!(saved.is_whole, "{offset}: {saved:?}");
        assert_eq!(saved.damages[0].path, copy.path().join("snapshot-00000003"));
        assert_eq!(saved.set_aside, [copy.path().join("snapshot-00000003.damaged")]);
        assert_eq!(read(copy.path()).unwrap(), content, "{offset}");
    }
}

#[tokio::test]
async fn with_a_damaged_journal_what_is_around_the_damage_is_saved() {
    let (directory, content) = town().await;
    let last = directory.path().join("journal-00000003");
    // The login of session 5, whose end is still there.
    spoil(&last, 40 + 30);
    let error = read(directory.path()).unwrap_err().to_string();
    assert!(error.contains("journal-00000003` is damaged at offset 40"), "{error}");
    let saved = salvage(directory.path(), NOON, &LIFETIME).unwrap();
    assert!(!saved.is_whole);
    assert_eq!(saved.damages.len(), 1, "{saved:?}");
    assert!(saved.lost_bytes > 60, "{saved:?}");
    assert_eq!(read(directory.path()).unwrap(), content);
    assert!(last.with_extension("damaged").exists());
    // And it goes on from there.
    let sessions = open(directory.path()).unwrap();
    sessions.begin(key(7), login(1), None).await.unwrap();
    sessions.tend(NOON, &at(300));
    assert_eq!(after_a_kill(directory.path()).1.unwrap().map().len(), 5);
}

#[tokio::test]
async fn whatever_single_byte_is_wrong_only_its_own_frame_is_lost() {
    let (directory, content) = town().await;
    for name in ["journal-00000002", "journal-00000003", "snapshot-00000002", "snapshot-00000003"] {
        let length = directory.path().join(name).metadata().unwrap().len();
        for offset in 0..usize::try_from(length).unwrap() {
            let copy = temporary();
            copy_files(directory.path(), copy.path());
            spoil(&copy.path().join(name), offset);
            let saved = salvage(copy.path(), NOON, &LIFETIME).unwrap();
            let read = read(copy.path()).unwrap();
            let what = format!("{name} at {offset}: {saved:?}");
            // One login is missing, or one session is there that had ended.
            let wrong = content.keys().filter(|key| !read.contains_key(key)).count()
                + read.keys().filter(|key| !content.contains_key(key)).count();
            assert!(wrong <= 1, "{what}");
            if saved.is_whole && !saved.damages.is_empty() {
                assert_eq!(wrong, 0, "{what}");
            }
            for (key, record) in &read {
                assert!(content.get(key).is_none_or(|expected| expected == record), "{what}");
            }
        }
    }
}

#[tokio::test]
async fn a_missing_segment_is_passed_over_and_said() {
    let (directory, _) = town().await;
    fs::remove_file(directory.path().join("journal-00000003")).unwrap();
    let saved = salvage(directory.path(), NOON, &LIFETIME).unwrap();
    assert_eq!(saved.damages[0].what, "it is missing");
    assert!(!saved.is_whole);
    assert_eq!(saved.sessions, 3);
    assert_eq!(read(directory.path()).unwrap().len(), 3);
}

#[tokio::test]
async fn one_can_start_anew_and_nothing_is_deleted() {
    let (directory, _) = town().await;
    let before = names(directory.path());
    for round in 1..=2 {
        start_anew(directory.path()).unwrap();
        assert_eq!(open(directory.path()).unwrap().map().len(), 0);
        let damaged = names(directory.path()).iter().filter(|n| n.contains("damaged")).count();
        assert_eq!(damaged, before.len() + round - 1);
    }
}
