//! The frames of a WebSocket (RFC 6455, section 5.2), as far as one must know them to say a last
//! word between two: where each begins and ends, and whether it carries a message.

/// How many bytes the longest reason in a close frame has (RFC 6455, sections 5.5 and 5.5.1).
const MAX_REASON: usize = 123;

/// The code of a connection that ends because it violates a policy (RFC 6455, section 7.4.1).
const POLICY_VIOLATION: u16 = 1008;

/// The close frame of a server whose policy the connection violates, with a reason for people,
/// which is cut when it is too long.
pub fn policy_violation(reason: &str) -> Vec<u8> {
    const FINAL_CLOSE: u8 = 0x88;
    let mut end = reason.len().min(MAX_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let mut frame = vec![FINAL_CLOSE, u8::try_from(2 + end).unwrap_or(2)];
    frame.extend_from_slice(&POLICY_VIOLATION.to_be_bytes());
    frame.extend_from_slice(&reason.as_bytes()[..end]);
    frame
}

/// Where in the frames of one direction its bytes have come to. Payload is not looked at.
#[derive(Debug, Clone, Default)]
pub struct Frames {
    place: Place,
    opcode: u8,
}

/// What the next byte is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    /// The first of a frame.
    #[default]
    First,
    /// The second, with the length in it or the length of the length.
    Second,
    /// One of the length; so many are left.
    Length { left: u8, length: u64, is_masked: bool },
    /// One of the mask or the payload; so many are left of both.
    Payload(u64),
}

impl Frames {
    const CLOSE: u8 = 0x8;
    /// From this opcode on a frame is about the connection and carries no message.
    const FIRST_CONTROL: u8 = 0x8;

    /// Goes on over `bytes`; says whether any of them belong to a message. A browser answers pings
    /// by itself, whether anybody sits in front of it or not.
    pub fn pass(&mut self, mut bytes: &[u8]) -> bool {
        let mut is_message = false;
        while !bytes.is_empty() {
            bytes = &bytes[self.pass_to_boundary(bytes)..];
            is_message |= self.opcode < Self::FIRST_CONTROL;
        }
        is_message
    }

    /// Goes on over `bytes` to the end of the frame, or of the bytes; says how many that were.
    pub fn pass_to_boundary(&mut self, bytes: &[u8]) -> usize {
        let mut passed = 0;
        while let Some(&byte) = bytes.get(passed) {
            if let Place::Payload(left) = self.place {
                let rest = u64::try_from(bytes.len() - passed).unwrap_or(u64::MAX);
                let skipped = left.min(rest);
                passed += usize::try_from(skipped).unwrap_or(usize::MAX);
                self.place = payload(left - skipped);
            } else {
                passed += 1;
                self.place = self.read(byte);
            }
            if self.is_at_boundary() {
                break;
            }
        }
        passed
    }

    /// What comes after `byte` of a frame's head.
    fn read(&mut self, byte: u8) -> Place {
        match self.place {
            Place::First => {
                self.opcode = byte & 0x0f;
                Place::Second
            }
            Place::Second => {
                let is_masked = byte & 0x80 != 0;
                match byte & 0x7f {
                    126 => Place::Length { left: 2, length: 0, is_masked },
                    127 => Place::Length { left: 8, length: 0, is_masked },
                    length => masked(u64::from(length), is_masked),
                }
            }
            Place::Length { left, length, is_masked } => {
                let length = length << 8 | u64::from(byte);
                match left {
                    1 => masked(length, is_masked),
                    _ => Place::Length { left: left - 1, length, is_masked },
                }
            }
            Place::Payload(left) => payload(left.saturating_sub(1)),
        }
    }

    /// Whether the bytes so far are whole frames. A frame about the connection may stand there,
    /// in the middle of a message as well (RFC 6455, section 5.4).
    pub fn is_at_boundary(&self) -> bool {
        self.place == Place::First
    }

    /// Whether the last frame, or the one that has begun, is a close frame: nothing may follow it.
    pub fn has_closed(&self) -> bool {
        self.opcode == Self::CLOSE
    }
}

/// The place behind a frame's length.
fn masked(length: u64, is_masked: bool) -> Place {
    payload(if is_masked { length.saturating_add(4) } else { length })
}

/// The place before `left` bytes, or behind the frame when there are none.
fn payload(left: u64) -> Place {
    if left == 0 { Place::First } else { Place::Payload(left) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(opcode: u8, length: usize, is_masked: bool) -> Vec<u8> {
        let mask = if is_masked { 0x80 } else { 0 };
        let mut frame = vec![0x80 | opcode];
        match length {
            0..126 => frame.push(mask | u8::try_from(length).unwrap()),
            126..65_536 => {
                frame.push(mask | 126);
                frame.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
            }
            _ => {
                frame.push(mask | 127);
                frame.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        frame.extend(std::iter::repeat_n(0x81, length + if is_masked { 4 } else { 0 }));
        frame
    }

    #[test]
    fn every_boundary_is_found_in_however_many_pieces_the_bytes_come() {
        for is_masked in [false, true] {
            let lengths = [0, 1, 125, 126, 127, 65_535, 65_536, 70_000];
            let frames: Vec<_> = lengths.map(|length| frame(1, length, is_masked)).into();
            let whole = frames.concat();
            let mut ends = Vec::new();
            for frame in &frames {
                ends.push(ends.last().unwrap_or(&0) + frame.len());
            }
            for size in [1, 2, 3, 7, 1000, whole.len()] {
                let (mut tracker, mut at, mut found) = (Frames::default(), 0, Vec::new());
                for piece in whole.chunks(size) {
                    let mut rest = piece;
                    while !rest.is_empty() {
                        let passed = tracker.pass_to_boundary(rest);
                        rest = &rest[passed..];
                        at += passed;
                        if tracker.is_at_boundary() {
                            found.push(at);
                        }
                    }
                }
                assert_eq!(found, ends, "in pieces of {size}");
            }
        }
    }

    #[test]
    fn pings_and_their_answers_are_no_messages() {
        let mut frames = Frames::default();
        assert!(!frames.pass(&[frame(0x9, 5, true), frame(0xa, 5, true)].concat()));
        assert!(frames.pass(&[frame(0xa, 0, true), frame(0x1, 5, true)].concat()));
        assert!(frames.pass(&frame(0x2, 300, true)[..100]));
        assert!(frames.pass(&frame(0x2, 300, true)[100..]), "the rest of a message is one too");
        assert!(frames.is_at_boundary() && !frames.has_closed());
        assert!(!frames.pass(&frame(0x8, 2, true)));
        assert!(frames.has_closed());
    }

    #[test]
    fn a_length_beyond_all_measure_has_no_end() {
        let mut frames = Frames::default();
        frames.pass(&[0x82, 0xff, 255, 255, 255, 255, 255, 255, 255, 255]);
        frames.pass(&[0; 4096]);
        assert!(!frames.is_at_boundary());
    }

    #[test]
    fn the_last_frame_is_one_that_browsers_take() {
        assert_eq!(policy_violation("gone"), *b"\x88\x06\x03\xf0gone");
        let long = policy_violation(&"é".repeat(100));
        assert_eq!((long.len(), usize::from(long[1])), (126, 124));
        assert!(std::str::from_utf8(&long[4..]).is_ok());
    }
}
