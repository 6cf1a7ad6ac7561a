//! One stream cut into frames, both directions polled from one task so that neither can hold up the other.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::{AsyncRead, AsyncWrite};

use super::frame::{Decoder, Encoder, Frame, FrameError, Kind};

/// While more than this waits to be written, nothing more is taken in: the peer is made to wait, not our memory.
pub(crate) const HIGH_WATER_BYTES: usize = 64 << 10;
/// Least and most bytes read at once. A peer's announced length alone never allocates more than the latter.
const READ_BYTES_MIN: usize = 4 << 10;
const READ_BYTES_MAX: usize = 16 << 10;

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("stream failed")]
    Io(#[source] io::Error),
    #[error("stream ended between frames")]
    Ended,
    #[error("stream ended within a frame")]
    Truncated,
    #[error("bytes are no frame")]
    Garbage(#[source] FrameError),
}

/// A framed stream.
pub(crate) struct Link<S> {
    stream: S,
    decoder: Decoder,
    encoder: Encoder,
    unflushed: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    pub(crate) fn new(stream: S, max_body_bytes: usize) -> Self {
        Self { stream, decoder: Decoder::new(max_body_bytes), encoder: Encoder::default(), unflushed: false }
    }

    pub(crate) fn push(&mut self, kind: Kind, id: u64, body: Bytes) {
        self.encoder.push(kind, id, body);
    }

    /// True while more may be taken in.
    pub(crate) fn has_room(&self) -> bool {
        self.encoder.bytes() < HIGH_WATER_BYTES
    }

    /// Writes and flushes what was pushed; ready when nothing is left.
    pub(crate) fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(chunk) = self.encoder.chunk() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, chunk))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.encoder.advance(written);
            self.unflushed = true;
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// The next frame.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Frame, LinkError>> {
        loop {
            match self.decoder.decode() {
                Ok(Some(frame)) => return Poll::Ready(Ok(frame)),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Err(LinkError::Garbage(error))),
            }
            let want = self.decoder.missing().clamp(READ_BYTES_MIN, READ_BYTES_MAX);
            let buffer = self.decoder.buffer_mut();
            let start = buffer.len();
            buffer.resize(start.saturating_add(want), 0);
            let space = buffer.get_mut(start..).unwrap_or_default();
            let read = Pin::new(&mut self.stream).poll_read(cx, space);
            let got = match &read {
                Poll::Ready(Ok(got)) => *got,
                _ => 0,
            };
            buffer.truncate(start.saturating_add(got));
            match ready!(read) {
                Ok(0) if self.decoder.is_empty() => return Poll::Ready(Err(LinkError::Ended)),
                Ok(0) => return Poll::Ready(Err(LinkError::Truncated)),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(LinkError::Io(error))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::poll_fn;
    use tokio_util::compat::TokioAsyncReadCompatExt;

    #[tokio::test]
    async fn large_and_small_frames_pass_a_narrow_pipe_in_order() {
        let (left, right) = tokio::io::duplex(300);
        let (mut left, mut right) = (Link::new(left.compat(), 1 << 20), Link::new(right.compat(), 1 << 20));
        let sizes = [0_usize, 1, 5000, 100_000, 3, 1 << 20];
        for (id, size) in (0_u64..).zip(sizes) {
            left.push(Kind::Request, id, Bytes::from(vec![1; size]));
        }
        let write = async { poll_fn(|cx| left.poll_drain(cx)).await.unwrap() };
        let read = async {
            for (id, size) in (0_u64..).zip(sizes) {
                let frame = poll_fn(|cx| right.poll_frame(cx)).await.unwrap();
                assert_eq!((frame.id, frame.body.len()), (id, size));
            }
        };
        futures::future::join(write, read).await;
    }

    #[tokio::test]
    async fn an_end_within_a_frame_is_told_from_an_end_between_frames() {
        let (mut left, right) = tokio::io::duplex(300);
        tokio::io::AsyncWriteExt::write_all(&mut left, &[0, 0, 0, 20, 1]).await.unwrap();
        drop(left);
        let mut right = Link::new(right.compat(), 100);
        assert!(matches!(poll_fn(|cx| right.poll_frame(cx)).await, Err(LinkError::Truncated)));

        let (left, right) = tokio::io::duplex(300);
        drop(left);
        let mut right = Link::new(right.compat(), 100);
        assert!(matches!(poll_fn(|cx| right.poll_frame(cx)).await, Err(LinkError::Ended)));
    }
}
