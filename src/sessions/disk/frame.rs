//! Headers and frames: the parts of every file that have a checksum. The format stands in
//! [`super`].

/// The length of a file's header.
pub(super) const HEADER: usize = 40;

/// The length of a frame without its payload.
pub(super) const FRAME: usize = 28;

/// A buffer that had to grow beyond this gives the memory back.
const LARGE: usize = 1024 * 1024;

const VERSION: u32 = 1;
const MARK: [u8; 4] = [0xF6, 0x56, 0x46, 0x0A];

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Journal,
    Snapshot,
}

/// The first bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) number: u64,
    /// Of a journal: bytes of the segment before that are synced. Of a snapshot: sessions, about.
    pub(super) before: u64,
    pub(super) salt: [u8; 8],
}

/// A frame whose checksum is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) place: u64,
    pub(super) synced: u64,
    pub(super) payload: &'a [u8],
}

/// Why a header or a frame cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Flaw {
    #[error("the file ends in the middle of its header")]
    ShortHeader,
    #[error("the header is not one of this kind of file")]
    Header,
    #[error("it has version {0} of the format, and this program reads version {VERSION}")]
    Version(u32),
    #[error("the file ends in the middle of a frame")]
    ShortFrame,
    #[error("no frame begins where one should")]
    NoFrame,
    #[error("a checksum is wrong")]
    Checksum,
    #[error("a frame is not the one that should stand there")]
    Place,
    #[error("a frame has something in it that this program does not know")]
    Content,
    #[error("the end of the snapshot is missing")]
    Incomplete,
    #[error("the snapshot holds {found} sessions instead of {stated}")]
    Count { found: u64, stated: u64 },
    #[error("something follows the end of the snapshot")]
    Trailing,
}

impl Header {
    pub(super) fn to_bytes(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(self.kind.magic());
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.number.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.before.to_le_bytes());
        bytes[32..].copy_from_slice(&self.salt);
        let checksum = header_checksum(&bytes).to_le_bytes();
        bytes[12..16].copy_from_slice(&checksum);
        bytes
    }

    /// Reads the header of a file of this kind.
    pub(super) fn read(file: &[u8], kind: Kind) -> Result<Self, Flaw> {
        let bytes: &[u8; HEADER] = file.first_chunk().ok_or(Flaw::ShortHeader)?;
        if bytes[..8] != *kind.magic() || u32_at(bytes, 12) != header_checksum(bytes) {
            return Err(Flaw::Header);
        }
        match u32_at(bytes, 8) {
            VERSION => {}
            other => return Err(Flaw::Version(other)),
        }
        let mut salt = [0; 8];
        salt.copy_from_slice(&bytes[32..]);
        Ok(Self { kind, number: u64_at(bytes, 16), before: u64_at(bytes, 24), salt })
    }
}

impl Kind {
    fn magic(self) -> &'static [u8; 8] {
        match self {
            Self::Journal => b"VESTJRNL",
            Self::Snapshot => b"VESTSNAP",
        }
    }
}

/// Begins a frame in an empty buffer: the payload is appended, and [`seal`] fills in the rest.
pub(super) fn open(buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.shrink_to(LARGE);
    buffer.resize(FRAME, 0);
}

/// Completes a frame that [`open`] began.
pub(super) fn seal(buffer: &mut [u8], salt: [u8; 8], place: u64, synced: u64) {
    let Some((head, payload)) = buffer.split_first_chunk_mut::<FRAME>() else { return };
    head[..4].copy_from_slice(&MARK);
    // The writer never lets a payload grow to 4 GiB: the queue is bounded.
    head[4..8].copy_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
    head[12..20].copy_from_slice(&place.to_le_bytes());
    head[20..].copy_from_slice(&synced.to_le_bytes());
    let checksum = frame_checksum(salt, head, payload).to_le_bytes();
    head[8..12].copy_from_slice(&checksum);
}

/// How long the payload after this head is.
pub(super) fn payload_length(head: &[u8; FRAME]) -> Result<usize, Flaw> {
    if head[..4] != MARK {
        return Err(Flaw::NoFrame);
    }
    usize::try_from(u32_at(head, 4)).map_err(|_| Flaw::NoFrame)
}

/// The frame with this head and payload, if it is whole.
pub(super) fn check<'a>(
    head: &[u8; FRAME],
    payload: &'a [u8],
    salt: [u8; 8],
) -> Result<Frame<'a>, Flaw> {
    if u32_at(head, 8) != frame_checksum(salt, head, payload) {
        return Err(Flaw::Checksum);
    }
    Ok(Frame { place: u64_at(head, 12), synced: u64_at(head, 20), payload })
}

/// The frame that begins with the first of these bytes.
pub(super) fn first(bytes: &[u8], salt: [u8; 8]) -> Result<Frame<'_>, Flaw> {
    let (head, rest) = bytes.split_first_chunk::<FRAME>().ok_or(Flaw::ShortFrame)?;
    let length = payload_length(head)?;
    let payload = rest.get(..length).ok_or(Flaw::ShortFrame)?;
    check(head, payload, salt)
}

/// The next whole frame at or after `offset`, with where it begins; for files that are damaged.
pub(super) fn next_whole(
    file: &[u8],
    mut offset: usize,
    salt: [u8; 8],
) -> Option<(usize, Frame<'_>)> {
    loop {
        offset += memchr::memmem::find(file.get(offset..)?, &MARK)?;
        if let Ok(frame) = first(&file[offset..], salt) {
            return Some((offset, frame));
        }
        offset += 1;
    }
}

fn header_checksum(header: &[u8; HEADER]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&header[..12]);
    hasher.update(&header[16..]);
    hasher.finalize()
}

fn frame_checksum(salt: [u8; 8], head: &[u8; FRAME], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt);
    hasher.update(&head[4..8]);
    hasher.update(&head[12..]);
    hasher.update(payload);
    hasher.finalize()
}

fn u32_at<const N: usize>(bytes: &[u8; N], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number)
}

fn u64_at<const N: usize>(bytes: &[u8; N], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}
