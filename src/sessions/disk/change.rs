//! What may happen to a session, as it is written down.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};

use super::super::record::Record;
use crate::domain::password::PasswordMark;
use crate::domain::session::Span;
use crate::domain::{Client, Device, Session, SessionData, SessionKey, Timestamp, UserId};

/// One thing that happened. Each says all that it changes, so that one which is read twice, or
/// which a snapshot has already, does no harm.
///
/// The wire format counts the variants and fields, so their order is part of it. Whoever adds one
/// raises the version of the format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::sessions) enum Change<'a> {
    /// A session was begun, or is there: this one.
    Kept {
        key: Key,
        #[serde(borrow)]
        session: Kept<'a>,
    },
    /// A session ended.
    Ended { key: Key },
    /// A session has this data from now on.
    Data {
        key: Key,
        #[serde(borrow)]
        data: Data<'a>,
        last_seen: u32,
        expires: u32,
    },
    /// A session was seen, and perhaps renewed.
    Seen { key: Key, last_seen: u32, expires: u32 },
    /// The end of a snapshot with so many sessions.
    Complete { sessions: u64 },
}

type Key = [u8; 16];
type Data<'a> = Vec<(&'a str, &'a str)>;

/// A [`Record`]. Moments are seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::sessions) struct Kept<'a> {
    /// The user's number and the mark of the password.
    login: Option<(i64, [u8; 8])>,
    started: u32,
    last_seen: u32,
    expires: u32,
    address: IpAddr,
    device: [u8; 2],
    #[serde(borrow)]
    data: Data<'a>,
}

impl<'a> Change<'a> {
    /// A session is there, as this record says.
    pub(in crate::sessions) fn kept(key: SessionKey, record: &'a Record) -> Self {
        let span = record.span;
        let session = Kept {
            login: record.login.map(|login| (login.user().0, *login.password().as_bytes())),
            started: seconds(span.started),
            last_seen: seconds(span.last_seen),
            expires: seconds(span.expires),
            address: record.client.address,
            device: record.client.device.to_bytes(),
            data: pairs(record.data.as_deref()),
        };
        Self::Kept { key: *key.as_bytes(), session }
    }

    /// A session ended.
    pub(in crate::sessions) fn ended(key: SessionKey) -> Self {
        Self::Ended { key: *key.as_bytes() }
    }

    /// A session has the data of this record, and its span.
    pub(in crate::sessions) fn data(key: SessionKey, record: &'a Record) -> Self {
        Self::Data {
            key: *key.as_bytes(),
            data: pairs(record.data.as_deref()),
            last_seen: seconds(record.span.last_seen),
            expires: seconds(record.span.expires),
        }
    }

    /// A session was seen and renewed as this span says.
    pub(in crate::sessions) fn seen(key: SessionKey, span: Span) -> Self {
        let (last_seen, expires) = (seconds(span.last_seen), seconds(span.expires));
        Self::Seen { key: *key.as_bytes(), last_seen, expires }
    }

    /// The session that it is about, if it is about one.
    pub(super) fn key(&self) -> Option<SessionKey> {
        match self {
            Self::Kept { key, .. }
            | Self::Ended { key }
            | Self::Data { key, .. }
            | Self::Seen { key, .. } => Some(SessionKey::from_bytes(*key)),
            Self::Complete { .. } => None,
        }
    }

    /// Does to the session in `place` what happened to it. Nothing but [`Change::Kept`] makes one,
    /// so whatever is read after an end leaves it ended.
    pub(super) fn apply(self, place: &mut Option<Record>) {
        match self {
            Self::Kept { session, .. } => *place = Some(session.into_record()),
            Self::Ended { .. } => *place = None,
            Self::Data { data, last_seen, expires, .. } => {
                *place = place.take().map(|record| {
                    let mut record = seen(record, last_seen, expires);
                    record.data = restored(&data);
                    record
                });
            }
            Self::Seen { last_seen, expires, .. } => {
                *place = place.take().map(|record| seen(record, last_seen, expires));
            }
            Self::Complete { .. } => {}
        }
    }

    /// Appends it to `buffer`.
    pub(super) fn write(&self, buffer: &mut Vec<u8>) {
        let start = buffer.len();
        if let Err(error) = postcard::serialize_with_flavor(self, Appending(buffer)) {
            // Only a value that does not know its own length is refused, and none here is.
            tracing::error!(%error, "a change of a session could not be encoded");
            buffer.truncate(start);
        }
    }

    /// Reads the first of the changes in `bytes`, and gives the rest.
    pub(super) fn read(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), postcard::Error> {
        postcard::take_from_bytes(bytes)
    }
}

/// What postcard writes to: a buffer that may have something in it already.
struct Appending<'b>(&'b mut Vec<u8>);

impl Flavor for Appending<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

impl Kept<'_> {
    pub(super) fn into_record(self) -> Record {
        let span = Span {
            started: moment(self.started),
            last_seen: moment(self.last_seen),
            expires: moment(self.expires),
        };
        let login = self.login.map(|(user, mark)| {
            Session::restore(UserId(user), PasswordMark::from_bytes(mark), span)
        });
        // An address of IPv4 is never kept as one that is mapped into IPv6.
        let address = match self.address {
            IpAddr::V6(address) => Ipv6Addr::to_canonical(&address),
            IpAddr::V4(_) => self.address,
        };
        let client = Client { address, device: Device::from_bytes(self.device) };
        Record { login, span, client, data: restored(&self.data) }
    }
}

/// The record, seen and renewed: both only ever grow, in whatever order they are read.
fn seen(record: Record, last_seen: u32, expires: u32) -> Record {
    let span = Span {
        started: record.span.started,
        last_seen: record.span.last_seen.max(moment(last_seen)),
        expires: record.span.expires.max(moment(expires)),
    };
    record.with_span(span)
}

fn pairs(data: Option<&SessionData>) -> Data<'_> {
    data.into_iter().flat_map(SessionData::iter).collect()
}

fn restored(data: &[(&str, &str)]) -> Option<Arc<SessionData>> {
    let pairs = data.iter().map(|&(key, value)| (key.into(), value.into()));
    (!data.is_empty()).then(|| Arc::new(pairs.collect()))
}

fn moment(seconds: u32) -> Timestamp {
    Timestamp::from_seconds(u64::from(seconds))
}

fn seconds(moment: Timestamp) -> u32 {
    u32::try_from(moment.seconds()).unwrap_or(u32::MAX)
}
