//! Files that are cut at every byte, and wrong in every bit.

use std::collections::BTreeMap;

use super::super::frame::{FRAME, HEADER};
use super::*;

type Content = BTreeMap<SessionKey, Record>;

/// A directory with one journal of several frames, and what is there after each of them, with
/// where each ends.
async fn journal() -> (TempDir, PathBuf, Vec<(usize, Content)>) {
    let directory = temporary();
    let sessions = open(directory.path()).unwrap();
    let path = directory.path().join("journal-00000001");
    let length = || usize::try_from(path.metadata().unwrap().len()).unwrap();
    let mut states = vec![(length(), content(sessions.map()))];
    let mut remember = |sessions: &Local| states.push((length(), content(sessions.map())));
    sessions.begin(key(1), login(1), None).await.unwrap();
    remember(&sessions);
    sessions.begin(key(2), login(2), None).await.unwrap();
    remember(&sessions);
    sessions.change_data(key(1), &set("cart", "[1,2]"), NOON, &LIFETIME).await.unwrap();
    remember(&sessions);
    let (_, noted) = sessions.end(key(2));
    sessions.kept(noted).await.unwrap();
    remember(&sessions);
    sessions.begin(key(3), login(3), None).await.unwrap();
    remember(&sessions);
    (directory, path, states)
}

fn write(path: &Path, bytes: &[u8]) {
    io::Write::write_all(&mut fs::File::create(path).unwrap(), bytes).unwrap();
}

#[tokio::test]
async fn a_journal_that_ends_anywhere_loses_what_is_behind_and_nothing_else() {
    let (directory, path, states) = journal().await;
    let whole = fs::read(&path).unwrap();
    assert_eq!(states.last().unwrap().0, whole.len());
    for length in 0..=whole.len() {
        write(&path, &whole[..length]);
        let outcome = read(directory.path());
        let Some((end, expected)) = states.iter().rev().find(|(end, _)| *end <= length) else {
            let damage = outcome.unwrap_err().to_string();
            assert!(damage.contains("journal-00000001` is damaged at offset 0"), "{damage}");
            continue;
        };
        assert_eq!(outcome.unwrap(), *expected, "cut at {length}");
        assert_eq!(path.metadata().unwrap().len(), *end as u64, "the torn tail is cut off");
    }
}

#[tokio::test]
async fn a_wrong_bit_in_a_journal_is_found_and_never_makes_another_session() {
    let (directory, path, states) = journal().await;
    let whole = fs::read(&path).unwrap();
    let (last_frame, before_the_last) = &states[states.len() - 2];
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        write(&path, &bytes);
        match read(directory.path()) {
            Ok(found) => {
                assert!(bit / 8 >= *last_frame, "bit {bit} was not noticed");
                assert_eq!(found, *before_the_last, "bit {bit}");
            }
            Err(OpenError::Damaged(damage)) => {
                assert!(bit / 8 < *last_frame, "bit {bit} is in a torn tail");
                let frame = states.iter().rev().map(|(end, _)| *end).find(|end| *end <= bit / 8);
                assert_eq!(damage.offset, frame.unwrap_or(0) as u64, "bit {bit}: {damage}");
                assert_eq!(damage.path, path);
            }
            Err(error) => panic!("bit {bit}: {error}"),
        }
    }
}

#[tokio::test]
async fn a_snapshot_that_is_cut_or_wrong_anywhere_is_refused() {
    let directory = temporary();
    let sessions = open(directory.path()).unwrap();
    for number in 1..=5 {
        sessions.begin(key(number), login(1), None).await.unwrap();
    }
    sessions.change_data(key(1), &set("cart", "[1,2]"), NOON, &LIFETIME).await.unwrap();
    sessions.close(NOON, &at(0));
    let path = directory.path().join("snapshot-00000002");
    let whole = fs::read(&path).unwrap();
    assert_eq!(read(directory.path()).unwrap(), content(sessions.map()));
    let refused = |what: &str| match read(directory.path()) {
        Err(OpenError::Damaged(damage)) => assert_eq!(damage.path, path, "{what}"),
        other => panic!("{what}: {other:?}"),
    };
    for length in 0..whole.len() {
        write(&path, &whole[..length]);
        refused(&format!("cut at {length}"));
    }
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        write(&path, &bytes);
        refused(&format!("bit {bit}"));
    }
    let mut longer = whole.clone();
    longer.push(0);
    write(&path, &longer);
    refused("a byte more");
    longer.pop();
    longer.extend_from_slice(&whole[HEADER..]);
    write(&path, &longer);
    refused("its frames twice");
}

#[tokio::test]
async fn a_missing_file_is_refused() {
    let directory = temporary();
    let sessions = open(directory.path()).unwrap();
    sessions.begin(key(1), login(1), None).await.unwrap();
    sessions.tend(NOON, &at(300));
    sessions.begin(key(2), login(2), None).await.unwrap();
    drop(sessions);
    drop(open(directory.path()).unwrap());
    assert_eq!(
        names(directory.path()),
        ["journal-00000001", "journal-00000002", "journal-00000003", "snapshot-00000002"]
    );
    for missing in ["journal-00000002", "snapshot-00000002"] {
        let copy = temporary();
        copy_files(directory.path(), copy.path());
        fs::remove_file(copy.path().join(missing)).unwrap();
        match (missing, read(copy.path())) {
            ("journal-00000002", Err(OpenError::Missing(path))) => {
                assert_eq!(path, copy.path().join(missing));
            }
            // The journal goes back to the beginning, and has everything.
            ("snapshot-00000002", Ok(found)) => assert_eq!(found.len(), 2),
            (_, other) => panic!("{missing}: {other:?}"),
        }
    }
    fs::remove_file(directory.path().join("snapshot-00000002")).unwrap();
    fs::remove_file(directory.path().join("journal-00000001")).unwrap();
    let error = read(directory.path()).unwrap_err().to_string();
    assert!(error.contains("journal-00000001` is missing"), "{error}");
    assert!(error.contains("\nhint: `vestibule session recover`"), "{error}");
}

#[tokio::test]
async fn a_segment_is_known_to_be_whole_by_the_one_after_it() {
    let (directory, path, states) = journal().await;
    drop(open(directory.path()).unwrap());
    let whole = fs::read(&path).unwrap();
    for length in [whole.len() - 1, states[2].0, states[0].0] {
        write(&path, &whole[..length]);
        let error = read(directory.path()).unwrap_err();
        assert!(matches!(&error, OpenError::Damaged(damage) if damage.path == path), "{error}");
        assert_eq!(path.metadata().unwrap().len(), length as u64, "nothing is cut off");
    }
}

#[tokio::test]
async fn a_frame_of_another_file_or_of_a_visitor_s_making_is_none_of_this_file() {
    let (directory, path, states) = journal().await;
    let mut bytes = fs::read(&path).unwrap();
    let salt = Header::read(&bytes, Kind::Journal).unwrap().salt;
    let last = states[states.len() - 2].0;
    // A torn last frame, in whose place a frame stands that claims to know it was synced.
    bytes.truncate(last + FRAME);
    bytes[last] ^= 1;
    let mut forged = Vec::new();
    frame::open(&mut forged);
    frame::seal(&mut forged, [9; 8], 6, u64::MAX);
    bytes.extend_from_slice(&forged);
    write(&path, &bytes);
    assert_eq!(read(directory.path()).unwrap(), states[states.len() - 2].1);
    // With the salt of this file it would be believed.
    let end = bytes.len() - FRAME;
    bytes.truncate(end);
    frame::seal(&mut forged, salt, 6, u64::MAX);
    bytes.extend_from_slice(&forged);
    write(&path, &bytes);
    assert!(matches!(read(directory.path()), Err(OpenError::Damaged(_))));
}

#[test]
fn a_later_version_is_told_from_damage() {
    let directory = temporary();
    drop(open(directory.path()).unwrap());
    let path = directory.path().join("journal-00000001");
    let mut bytes = fs::read(&path).unwrap();
    bytes[8] = 2;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[..12]);
    hasher.update(&bytes[16..]);
    bytes[12..16].copy_from_slice(&hasher.finalize().to_le_bytes());
    write(&path, &bytes);
    let error = read(directory.path()).unwrap_err().to_string();
    assert!(error.contains("has version 2 of the format"), "{error}");
    let salvaged = super::super::salvage(directory.path(), NOON, &LIFETIME);
    assert!(matches!(salvaged, Err(OpenError::Newer { version: 2, .. })));
}
