//! Whatever happens in whatever order, with snapshots and kills in between: what is read is what
//! was there.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Event {
    LogIn { number: u8, user: i64, previous: Option<u8> },
    LogOut { number: u8 },
    Set { number: u8, name: u8, value: u16 },
    Clear { number: u8 },
    Renew { number: u8, after: u16 },
    Seen { number: u8, after: u16 },
    Minute,
    Snapshot,
    Kill,
    Stop,
}

fn event() -> impl Strategy<Value = Event> {
    let number = 0..12_u8;
    prop_oneof![
        4 => (number.clone(), 1..4_i64, proptest::option::of(number.clone()))
            .prop_map(|(number, user, previous)| Event::LogIn { number, user, previous }),
        3 => number.clone().prop_map(|number| Event::LogOut { number }),
        3 => (number.clone(), 0..4_u8, any::<u16>())
            .prop_map(|(number, name, value)| Event::Set { number, name, value }),
        1 => number.clone().prop_map(|number| Event::Clear { number }),
        2 => (number.clone(), 0..500_u16).prop_map(|(number, after)| Event::Renew { number, after }),
        2 => (number, 0..500_u16).prop_map(|(number, after)| Event::Seen { number, after }),
        1 => Just(Event::Minute),
        1 => Just(Event::Snapshot),
        2 => Just(Event::Kill),
        1 => Just(Event::Stop),
    ]
}

/// A session as simply as it can be said.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Modelled {
    user: i64,
    data: BTreeMap<String, String>,
}

fn modelled(content: &BTreeMap<SessionKey, Record>) -> BTreeMap<SessionKey, Modelled> {
    let modelled = |record: &Record| {
        let data = record.data.iter().flat_map(|data| data.iter());
        Modelled {
            user: record.login.unwrap().user().0,
            data: data.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        }
    };
    content.iter().map(|(key, record)| (*key, modelled(record))).collect()
}

async fn lives(events: Vec<Event>) {
    let mut directory = temporary();
    let mut sessions = open(directory.path()).unwrap();
    let mut model: BTreeMap<SessionKey, Modelled> = BTreeMap::new();
    let mut clock = 0;
    for event in events {
        clock += 1;
        match event {
            Event::LogIn { number, user, previous } => {
                // Ids are never given twice.
                let previous = previous.map(key).filter(|previous| *previous != key(number));
                if model.contains_key(&key(number)) {
                    continue;
                }
                let inherited = previous.and_then(|previous| model.remove(&previous));
                let data = inherited.filter(|ended| ended.user == user);
                let data = data.map(|ended| ended.data).unwrap_or_default();
                model.insert(key(number), Modelled { user, data });
                sessions.begin(key(number), login(user), previous).await.unwrap();
            }
            Event::LogOut { number } => {
                let (was_there, noted) = sessions.end(key(number));
                assert_eq!(was_there, model.remove(&key(number)).is_some());
                sessions.kept(noted).await.unwrap();
            }
            Event::Set { number, name, value } => {
                let (name, value) = (format!("name{name}"), value.to_string());
                let change = set(&name, &value);
                let changed = sessions.change_data(key(number), &change, NOON, &LIFETIME).await;
                let place = model.get_mut(&key(number));
                assert_eq!(changed.unwrap().is_some(), place.is_some());
                place.map(|session| session.data.insert(name, value));
            }
            Event::Clear { number } => {
                let change = [DataChange::Clear];
                sessions.change_data(key(number), &change, NOON, &LIFETIME).await.unwrap();
                model.entry(key(number)).and_modify(|session| session.data.clear());
            }
            Event::Renew { number, after } => {
                let now = NOON.after(Duration::from_secs(after.into()));
                sessions.map().renew(&key(number), now, &LIFETIME);
            }
            Event::Seen { number, after } => {
                let now = NOON.after(Duration::from_secs(after.into()));
                sessions.map().see(&key(number), now, |_| true);
            }
            Event::Minute => {
                clock += 60;
                sessions.tend(NOON, &at(clock));
            }
            Event::Snapshot => {
                clock += 300;
                sessions.tend(NOON, &at(clock));
            }
            Event::Kill => {
                let (copy, reopened) = after_a_kill(directory.path());
                let reopened = reopened.unwrap();
                let (before, after) = (content(sessions.map()), content(reopened.map()));
                // The disk may know of requests and renewals later, and never knows more.
                for (key, record) in &after {
                    assert!(record.span.last_seen <= before[key].span.last_seen);
                    assert!(record.span.expires <= before[key].span.expires);
                    let as_before = record.clone().with_span(before[key].span);
                    assert_eq!(as_before, before[key]);
                }
                (sessions, directory, clock) = (reopened, copy, 0);
            }
            Event::Stop => {
                sessions.close(NOON, &at(clock));
                let before = content(sessions.map());
                sessions = open(directory.path()).unwrap();
                assert_eq!(content(sessions.map()), before, "a stop writes down everything");
                clock = 0;
            }
        }
        assert_eq!(modelled(&content(sessions.map())), model);
    }
    assert_eq!(modelled(&read(directory.path()).unwrap()), model);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn what_is_read_is_what_was_there(events in proptest::collection::vec(event(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(lives(events));
    }

    /// Bytes that are no journal at all: refused, without a panic.
    #[test]
    fn noise_is_refused(noise in proptest::collection::vec(any::<u8>(), 0..400)) {
        let directory = temporary();
        for name in ["journal-00000001", "snapshot-00000001"] {
            let path = directory.path().join(name);
            io::Write::write_all(&mut fs::File::create(path).unwrap(), &noise).unwrap();
            prop_assert!(read(directory.path()).is_err());
        }
    }
}
