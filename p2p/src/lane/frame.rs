//! The bytes of a lane: `length u32 BE | kind u8 | id u64 BE | body`, where the length counts what follows it.

use std::collections::VecDeque;

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Bytes before the body.
pub(crate) const HEADER_BYTES: usize = 13;
/// Of these, what the length field counts.
const COUNTED_HEADER_BYTES: usize = 9;
/// Bodies up to this length are copied, so that neighbours share one write and no small body pins a large buffer.
const COPIED_BODY_BYTES: usize = 4096;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One way; its id is 0.
    Notice,
    /// Wants an answer of the same id.
    Request,
    /// The answer.
    Response,
    /// Instead of an answer: no room.
    Busy,
    /// Instead of an answer: a reason in words.
    Refused,
    /// First frame of the accepting side: the stream is served.
    Ready,
}

impl Kind {
    const fn to_u8(self) -> u8 {
        match self {
            Self::Notice => 0,
            Self::Request => 1,
            Self::Response => 2,
            Self::Busy => 3,
            Self::Refused => 4,
            Self::Ready => 5,
        }
    }

    const fn from_u8(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Notice,
            1 => Self::Request,
            2 => Self::Response,
            3 => Self::Busy,
            4 => Self::Refused,
            5 => Self::Ready,
            _ => return None,
        })
    }
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    pub(crate) id: u64,
    pub(crate) body: Bytes,
}

/// Bytes that are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("frame length {bytes} exceeds the limit of {max}")]
    Oversized { bytes: usize, max: usize },
    #[error("frame length {bytes} is shorter than its header")]
    Undersized { bytes: usize },
    #[error("frame kind {kind} is unknown")]
    UnknownKind { kind: u8 },
}

/// Cuts a byte stream into frames.
#[derive(Debug)]
pub(crate) struct Decoder {
    buffer: BytesMut,
    max_body_bytes: usize,
}

impl Decoder {
    pub(crate) fn new(max_body_bytes: usize) -> Self {
        Self { buffer: BytesMut::new(), max_body_bytes }
    }

    /// Where read bytes are appended.
    pub(crate) fn buffer_mut(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// True between two frames.
    pub(crate) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// How many bytes the frame under way still lacks, as far as is known; at least 1.
    pub(crate) fn missing(&self) -> usize {
        let whole = self.length().map_or(HEADER_BYTES, |n| n.saturating_add(4));
        whole.saturating_sub(self.buffer.len()).max(1)
    }

    fn length(&self) -> Option<usize> {
        let bytes: [u8; 4] = self.buffer.get(..4)?.try_into().ok()?;
        usize::try_from(u32::from_be_bytes(bytes)).ok()
    }

    /// The next whole frame, if it is there. A refused length is refused before its body is waited for.
    pub(crate) fn decode(&mut self) -> Result<Option<Frame>, FrameError> {
        let Some(length) = self.length() else { return Ok(None) };
        let max = self.max_body_bytes.saturating_add(COUNTED_HEADER_BYTES);
        if length > max {
            return Err(FrameError::Oversized { bytes: length, max });
        }
        let Some(body_bytes) = length.checked_sub(COUNTED_HEADER_BYTES) else {
            return Err(FrameError::Undersized { bytes: length });
        };
        if let Some(&byte) = self.buffer.get(4)
            && Kind::from_u8(byte).is_none()
        {
            return Err(FrameError::UnknownKind { kind: byte });
        }
        if self.buffer.len() < HEADER_BYTES.saturating_add(body_bytes) {
            return Ok(None);
        }
        self.buffer.advance(4);
        let byte = self.buffer.get_u8();
        let kind = Kind::from_u8(byte).ok_or(FrameError::UnknownKind { kind: byte })?;
        let id = self.buffer.get_u64();
        let body = if body_bytes <= COPIED_BODY_BYTES {
            let body = self.buffer.get(..body_bytes).map_or_else(Bytes::new, Bytes::copy_from_slice);
            self.buffer.advance(body_bytes);
            body
        } else {
            self.buffer.split_to(body_bytes).freeze()
        };
        Ok(Some(Frame { kind, id, body }))
    }
}

/// Collects frames to be written together.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    ready: VecDeque<Bytes>,
    tail: BytesMut,
    bytes: usize,
}

impl Encoder {
    /// Appends a frame. The caller has checked the body against the lane's limit.
    pub(crate) fn push(&mut self, kind: Kind, id: u64, body: Bytes) {
        let length = u32::try_from(body.len().saturating_add(COUNTED_HEADER_BYTES)).unwrap_or(u32::MAX);
        self.tail.put_u32(length);
        self.tail.put_u8(kind.to_u8());
        self.tail.put_u64(id);
        self.bytes = self.bytes.saturating_add(HEADER_BYTES).saturating_add(body.len());
        if body.len() <= COPIED_BODY_BYTES {
            self.tail.put_slice(&body);
        } else {
            self.seal();
            self.ready.push_back(body);
        }
    }

    fn seal(&mut self) {
        if !self.tail.is_empty() {
            self.ready.push_back(self.tail.split().freeze());
        }
    }

    /// Bytes not yet written.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The next bytes to write.
    pub(crate) fn chunk(&mut self) -> Option<&Bytes> {
        if self.ready.is_empty() {
            self.seal();
        }
        self.ready.front()
    }

    /// Forgets the first `written` bytes of the chunk.
    pub(crate) fn advance(&mut self, written: usize) {
        let Some(front) = self.ready.front_mut() else { return };
        let written = written.min(front.len());
        front.advance(written);
        if front.is_empty() {
            self.ready.pop_front();
        }
        self.bytes = self.bytes.saturating_sub(written);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAX: usize = 20_000;

    fn frames() -> impl Strategy<Value = Vec<Frame>> {
        let body = prop_oneof![0_usize..100, 4090_usize..4100, 0..=MAX];
        let one = (0_u8..6, any::<u64>(), body).prop_map(|(kind, id, bytes)| Frame {
            kind: Kind::from_u8(kind).unwrap(),
            id,
            body: Bytes::from(vec![kind; bytes]),
        });
        prop::collection::vec(one, 0..12)
    }

    fn wire(frames: &[Frame]) -> Vec<u8> {
        let mut encoder = Encoder::default();
        for f in frames {
            encoder.push(f.kind, f.id, f.body.clone());
        }
        let mut out = Vec::new();
        while let Some(chunk) = encoder.chunk() {
            // Write in uneven steps, as a socket would.
            let step = chunk.len().min(1 + out.len() % 977);
            out.extend_from_slice(&chunk[..step]);
            encoder.advance(step);
        }
        assert_eq!(encoder.bytes(), 0);
        out
    }

    proptest! {
        #[test]
        fn frames_survive_any_cutting_of_the_stream(frames in frames(), cut in 1_usize..5000) {
            let bytes = wire(&frames);
            let mut decoder = Decoder::new(MAX);
            let mut got = Vec::new();
            for part in bytes.chunks(cut) {
                decoder.buffer_mut().extend_from_slice(part);
                while let Some(frame) = decoder.decode().unwrap() {
                    got.push(frame);
                }
            }
            prop_assert_eq!(got, frames);
            prop_assert!(decoder.is_empty());
        }

        #[test]
        fn any_bytes_are_decoded_or_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut decoder = Decoder::new(64);
            decoder.buffer_mut().extend_from_slice(&bytes);
            while let Ok(Some(frame)) = decoder.decode() {
                prop_assert!(frame.body.len() <= 64);
            }
        }
    }

    #[test]
    fn the_bytes_of_a_frame_are_fixed() {
        let frame = Frame { kind: Kind::Request, id: 0x0102, body: Bytes::from_static(b"hi") };
        assert_eq!(wire(&[frame]), [0, 0, 0, 11, 1, 0, 0, 0, 0, 0, 0, 1, 2, b'h', b'i']);
    }

    #[test]
    fn lengths_and_kinds_are_refused_from_the_first_bytes() {
        let refused = |bytes: &[u8]| {
            let mut decoder = Decoder::new(64);
            decoder.buffer_mut().extend_from_slice(bytes);
            decoder.decode().unwrap_err()
        };
        assert_eq!(refused(&74_u32.to_be_bytes()), FrameError::Oversized { bytes: 74, max: 73 });
        assert_eq!(refused(&8_u32.to_be_bytes()), FrameError::Undersized { bytes: 8 });
        assert_eq!(refused(&[0, 0, 0, 9, 6]), FrameError::UnknownKind { kind: 6 });
    }
}
