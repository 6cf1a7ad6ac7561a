//! All lanes of a node: finds or starts the worker of a (peer, lane), and hands violations to the swarm task.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use libp2p::PeerId;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::outbound::Worker;
use super::queue::{Outgoing, QueueReceiver, QueueSender, queue};
use super::{Lane, inbound};
use crate::command::{Command, Report, Violation};
use crate::counters::{Live, locked};
use crate::directory::Directory;
use crate::error::{AcceptError, NotifyError, RequestError};
use crate::lane::inbound::Inbox;

/// (peer, lane) pairs that may have a worker at one time.
const MAX_WORKERS: usize = 4096;

/// Why a frame was not queued.
enum Refused {
    Full,
    Closed,
}

/// Shared by all handles and lane tasks.
pub(crate) struct Hub {
    pub(crate) runtime: Handle,
    pub(crate) streams: libp2p_stream::Control,
    pub(crate) directory: Arc<Directory>,
    pub(crate) counters: Arc<Live>,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) reports: mpsc::Sender<Report>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) local: PeerId,
    pub(crate) seed: u64,
    pub(crate) workers: Mutex<HashMap<(PeerId, &'static str), QueueSender>>,
}

impl Hub {
    pub(crate) async fn request(
        self: &Arc<Self>,
        peer: PeerId,
        lane: Lane,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Bytes, RequestError> {
        let max = lane.max_body_bytes();
        if body.len() > max {
            return Err(RequestError::TooLarge { lane: lane.name(), bytes: body.len(), max });
        }
        if peer == self.local {
            return Err(RequestError::ToSelf);
        }
        let (answer, answered) = oneshot::channel();
        self.send(peer, lane, Outgoing { body, answer: Some(answer) }).map_err(|refused| match refused {
            Refused::Full => RequestError::QueueFull { peer, lane: lane.name() },
            Refused::Closed => RequestError::Closed,
        })?;
        match tokio::time::timeout(timeout, answered).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(if self.directory.is_closed() { RequestError::Closed } else { RequestError::Lost }),
            Err(_) => Err(RequestError::Timeout { peer, lane: lane.name(), after: timeout }),
        }
    }

    pub(crate) fn notify(self: &Arc<Self>, peer: PeerId, lane: Lane, body: Bytes) -> Result<(), NotifyError> {
        let max = lane.max_body_bytes();
        if body.len() > max {
            return Err(NotifyError::TooLarge { lane: lane.name(), bytes: body.len(), max });
        }
        if peer == self.local {
            return Err(NotifyError::ToSelf);
        }
        self.send(peer, lane, Outgoing { body, answer: None }).map_err(|refused| match refused {
            Refused::Full => {
                self.counters.lane(lane.name()).notices_dropped.one();
                NotifyError::QueueFull { peer, lane: lane.name() }
            }
            Refused::Closed => NotifyError::Closed,
        })
    }

    /// Queues under the lock, so that a worker cannot retire between being found and being given work.
    fn send(self: &Arc<Self>, peer: PeerId, lane: Lane, outgoing: Outgoing) -> Result<(), Refused> {
        let mut workers = locked(&self.workers);
        if self.directory.is_closed() {
            return Err(Refused::Closed);
        }
        let key = (peer, lane.name());
        if workers.get(&key).is_none_or(QueueSender::is_closed) {
            if workers.len() >= MAX_WORKERS {
                return Err(Refused::Full);
            }
            let (sender, receiver) = queue(lane);
            workers.insert(key, sender);
            self.runtime.spawn(Worker::new(Arc::clone(self), peer, lane, receiver).run());
        }
        let Some(sender) = workers.get(&key) else { return Err(Refused::Closed) };
        sender.try_send(outgoing).map_err(|_| Refused::Full)
    }

    /// Ends a worker that has nothing to do; false when work came in meanwhile.
    pub(crate) fn retire(&self, peer: PeerId, lane: Lane, receiver: &QueueReceiver) -> bool {
        let mut workers = locked(&self.workers);
        if !receiver.is_empty() {
            return false;
        }
        workers.remove(&(peer, lane.name()));
        true
    }

    pub(crate) fn accept(self: &Arc<Self>, lane: Lane) -> Result<Inbox, AcceptError> {
        if self.directory.is_closed() {
            return Err(AcceptError::Closed);
        }
        let incoming = self
            .streams
            .clone()
            .accept(lane.protocol())
            .map_err(|_: libp2p_stream::AlreadyRegistered| AcceptError::Taken { lane: lane.name() })?;
        let (inbox, feeder) = inbound::inbox(lane);
        self.runtime.spawn(inbound::acceptor(Arc::clone(self), lane, incoming, feeder));
        Ok(inbox)
    }

    /// Counts a violation and tells the swarm task, which decides what follows.
    pub(crate) fn report(&self, peer: PeerId, violation: Violation) {
        let node = &self.counters.node;
        match violation {
            Violation::Garbage => node.garbage_frames.one(),
            Violation::Unexpected => node.unexpected_frames.one(),
            // Counted by the swarm task: a peer that was killed in the middle of a frame did nothing wrong.
            Violation::Truncated => {}
        }
        // When the queue of reports is full, the swarm task has enough to act on.
        let _ = self.reports.try_send(Report { peer, violation });
    }

    /// Ends all workers; their pending requests fail.
    pub(crate) fn close(&self) {
        self.directory.close();
        locked(&self.workers).clear();
    }
}
