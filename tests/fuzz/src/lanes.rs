//! The bytes of a lane between nodes; and, for the source of the task lane's messages, that lane's bound.

#[allow(dead_code, unreachable_pub)]
#[path = "../../../p2p/src/lane/frame.rs"]
mod frame;

use bytes::Bytes;
use frame::{Decoder, Encoder, Frame, FrameError, Kind};

/// The task lane.
pub const TASK: Bound = Bound;

/// A lane, as far as its messages ask for it.
pub struct Bound;

impl Bound {
    /// As the lane itself has it.
    pub const fn max_body_bytes(&self) -> usize {
        1 << 20
    }
}

/// A stream: two bytes choose the largest body and how the rest is cut. However it is cut, the same frames come out and the same
/// error ends them, and the frames write themselves as the bytes they came from.
pub fn lane_frame(bytes: &[u8]) {
    let Some((&[limit, step], stream)) = bytes.split_first_chunk::<2>() else { return };
    let max = usize::from(limit) * 64;
    let whole = read(stream, max, stream.len().max(1));
    let cut = read(stream, max, usize::from(step % 32) + 1);
    assert_eq!(whole, cut, "cut every {} bytes", step % 32 + 1);
    let (frames, _) = whole;
    let mut encoder = Encoder::default();
    for frame in &frames {
        assert!(frame.body.len() <= max);
        encoder.push(frame.kind, frame.id, frame.body.clone());
    }
    let mut written = Vec::new();
    while let Some(chunk) = encoder.chunk().cloned() {
        written.extend_from_slice(&chunk);
        encoder.advance(chunk.len());
    }
    assert_eq!(encoder.bytes(), 0);
    assert!(stream.starts_with(&written), "frames write themselves as other bytes");
}

fn read(stream: &[u8], max: usize, step: usize) -> (Vec<Frame>, Option<FrameError>) {
    let (mut decoder, mut frames) = (Decoder::new(max), Vec::new());
    for part in stream.chunks(step) {
        decoder.buffer_mut().extend_from_slice(part);
        loop {
            match decoder.decode() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
        assert!(decoder.missing() >= 1);
    }
    (frames, None)
}

/// A stream of some frames, for the corpus.
pub fn sample() -> Vec<u8> {
    let mut encoder = Encoder::default();
    let frames = [
        (Kind::Ready, 0, &b""[..]),
        (Kind::Notice, 0, b"a notice"),
        (Kind::Request, 7, b"a question"),
        (Kind::Response, 7, b"an answer"),
        (Kind::Busy, 8, b""),
        (Kind::Refused, 9, b"no"),
    ];
    for (kind, id, body) in frames {
        encoder.push(kind, id, Bytes::from_static(body));
    }
    let mut bytes = vec![16, 3];
    while let Some(chunk) = encoder.chunk().cloned() {
        bytes.extend_from_slice(&chunk);
        encoder.advance(chunk.len());
    }
    bytes
}
