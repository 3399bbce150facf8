//! A WebSocket through the gateway: frames out, frames in. The application behind it says everything back.

use super::{
    gate::Gate,
    script::{Script, Step},
    visitor::Visitor,
    wire::Wire,
};

/// The application's answer to a WebSocket's request.
pub(crate) const ACCEPTED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n";

pub(crate) struct Socket {
    pub(crate) wire: Wire,
}

/// A frame, whole.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) opcode: u8,
    pub(crate) payload: Vec<u8>,
}

impl Socket {
    /// Opens a WebSocket to an application that says back what it is told.
    pub(crate) async fn open(gate: &Gate, visitor: &Visitor, target: &str) -> Self {
        let steps = [Step::Send(ACCEPTED.to_vec()), Step::Tunnel];
        Self::open_to(gate, visitor, target, Script::new(steps)).await
    }

    /// Opens a WebSocket to an application that follows `script`.
    pub(crate) async fn open_to(
        gate: &Gate,
        visitor: &Visitor,
        target: &str,
        script: Script,
    ) -> Self {
        gate.upstream.on(target, script);
        let mut wire = gate.connect().await;
        wire.send(format!(
            "GET {target} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{}\r\n",
            visitor.cookie_line()
        ))
        .await;
        let answer = wire.answer().await;
        assert_eq!(answer.status, 101, "{answer:?}");
        Self { wire }
    }

    /// Sends a frame as a browser does, masked; with a mask of zeros, so that the application may turn it as it is.
    pub(crate) async fn says(&mut self, opcode: u8, payload: &[u8]) {
        let length = u8::try_from(payload.len()).unwrap();
        assert!(length < 126);
        self.wire.send([&[0x80 | opcode, 0x80 | length, 0, 0, 0, 0], payload].concat()).await;
    }

    /// The next frame, masked or not.
    pub(crate) async fn hears(&mut self) -> Frame {
        let head = self.wire.bytes(2).await;
        assert!(head[1] & 0x7f < 126, "a short frame: {head:?}");
        if head[1] & 0x80 != 0 {
            assert_eq!(self.wire.bytes(4).await, [0; 4]);
        }
        let payload = self.wire.bytes(usize::from(head[1] & 0x7f)).await;
        Frame { opcode: head[0] & 0x0f, payload }
    }

    /// Whether a word still goes through the gateway to the application and comes back.
    pub(crate) async fn is_open(&mut self) {
        self.says(1, b"STILL THERE?").await;
        assert_eq!(self.hears().await, Frame { opcode: 1, payload: b"STILL THERE?".to_vec() });
    }

    /// The gateway says why nothing more comes, and then nothing more comes.
    pub(crate) async fn is_ended_because(&mut self, reason: &str) {
        let frame = self.hears().await;
        let said = String::from_utf8_lossy(frame.payload.get(2..).unwrap_or_default()).into_owned();
        assert_eq!((frame.opcode, &*said), (8, reason), "{frame:?}");
        assert_eq!(frame.payload[..2], 1008_u16.to_be_bytes());
        self.wire.is_closed().await;
    }
}
