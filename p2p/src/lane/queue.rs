//! The bounded way from callers to the worker of one (peer, lane): bounded in frames and in bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::{Lane, OUTBOUND_QUEUE_FRAMES};
use crate::error::RequestError;

/// Where an answer goes.
pub(crate) type Answer = oneshot::Sender<Result<Bytes, RequestError>>;

/// What a caller wants written.
pub(crate) struct Outgoing {
    pub(crate) body: Bytes,
    /// `None` for a notice.
    pub(crate) answer: Option<Answer>,
}

/// Bytes in a queue, against a limit.
#[derive(Clone, Debug)]
pub(crate) struct ByteBudget {
    used: Arc<AtomicUsize>,
    max: usize,
}

impl ByteBudget {
    pub(crate) fn new(max: usize) -> Self {
        Self { used: Arc::default(), max }
    }

    /// Takes `bytes`, if they are left.
    pub(crate) fn take(&self, bytes: usize) -> bool {
        let add = |used: usize| used.checked_add(bytes).filter(|&sum| sum <= self.max);
        self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, add).is_ok()
    }

    pub(crate) fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::AcqRel);
    }
}

/// The callers' end.
pub(crate) struct QueueSender {
    sender: mpsc::Sender<Outgoing>,
    budget: ByteBudget,
}

/// The worker's end.
pub(crate) struct QueueReceiver {
    receiver: mpsc::Receiver<Outgoing>,
    budget: ByteBudget,
}

pub(crate) fn queue(lane: Lane) -> (QueueSender, QueueReceiver) {
    let (sender, receiver) = mpsc::channel(OUTBOUND_QUEUE_FRAMES);
    let budget = ByteBudget::new(lane.queue_bytes());
    (QueueSender { sender, budget: budget.clone() }, QueueReceiver { receiver, budget })
}

impl QueueSender {
    /// Queues without waiting; gives the frame back when there is no room.
    pub(crate) fn try_send(&self, outgoing: Outgoing) -> Result<(), Outgoing> {
        let bytes = outgoing.body.len();
        if !self.budget.take(bytes) {
            return Err(outgoing);
        }
        self.sender.try_send(outgoing).map_err(|refused| {
            self.budget.give_back(bytes);
            refused.into_inner()
        })
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

impl QueueReceiver {
    pub(crate) async fn recv(&mut self) -> Option<Outgoing> {
        let outgoing = self.receiver.recv().await?;
        self.budget.give_back(outgoing.body.len());
        Some(outgoing)
    }

    /// As [`mpsc::Receiver::poll_recv_many`]: 0 means closed.
    pub(crate) fn poll_recv_many(&mut self, cx: &mut Context<'_>, into: &mut Vec<Outgoing>, max: usize) -> Poll<usize> {
        let start = into.len();
        let poll = self.receiver.poll_recv_many(cx, into, max);
        let bytes = into.iter().skip(start).map(|o| o.body.len()).sum();
        self.budget.give_back(bytes);
        poll
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.receiver.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(bytes: usize) -> Outgoing {
        Outgoing { body: Bytes::from(vec![0; bytes]), answer: None }
    }

    #[tokio::test]
    async fn a_queue_is_bounded_in_frames_and_in_bytes() {
        let (sender, mut receiver) = queue(Lane::new("test"));
        for _ in 0..OUTBOUND_QUEUE_FRAMES {
            assert!(sender.try_send(notice(1)).is_ok());
        }
        assert!(sender.try_send(notice(1)).is_err());
        while !receiver.is_empty() {
            receiver.recv().await.unwrap();
        }

        let lane = Lane::new("test");
        let whole = lane.queue_bytes() / lane.max_body_bytes();
        for _ in 0..whole {
            assert!(sender.try_send(notice(lane.max_body_bytes())).is_ok());
        }
        assert!(sender.try_send(notice(1)).is_err());
        receiver.recv().await.unwrap();
        assert!(sender.try_send(notice(1)).is_ok());
    }
}
