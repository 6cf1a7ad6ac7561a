//! The worker of one (peer, lane): opens the stream when there is work, writes, matches answers to requests.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use libp2p::{PeerId, Stream, StreamProtocol};
use libp2p_stream::OpenStreamError;
use tokio::sync::watch;
use tokio::time::timeout;

use super::frame::{Frame, Kind};
use super::hub::Hub;
use super::link::{Link, LinkError};
use super::queue::{Answer, Outgoing, QueueReceiver};
use super::{Lane, MAX_IN_FLIGHT, MAX_REASON_BYTES};
use crate::backoff::Backoff;
use crate::clock;
use crate::command::{Command, Violation};
use crate::counters::LiveLane;
use crate::directory::Reach;
use crate::error::RequestError;

/// How long a connection may take before requests waiting for it fail.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long opening a stream may take, greeting included; `libp2p_stream` alone may wait for ever.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);
/// A worker without a stream and without work ends after this.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// A stream that lived shorter than this counts as a failed attempt.
const SHORT_LIFE: Duration = Duration::from_secs(1);
/// First and longest delay before a stream is opened again.
const REOPEN_FIRST: Duration = Duration::from_millis(50);
const REOPEN_MAX: Duration = Duration::from_secs(5);
/// Frames taken from the queue between two writes.
const BATCH_FRAMES: usize = 64;
/// Steps before other tasks of the thread get a turn.
const BUDGET_STEPS: u32 = 64;

/// How a stream ended.
enum End {
    /// It broke; it may be opened again.
    Broken,
    /// Nobody can send any more: the node shuts down.
    Closed,
}

enum Step {
    Work(usize),
    Frame(Frame),
    Broken(LinkError),
}

/// Requests that were written and wait for their answers.
#[derive(Default)]
struct Pending {
    answers: HashMap<u64, Answer>,
    last_id: u64,
}

impl Pending {
    /// Room for one more, counting out those whose caller gave up.
    fn has_room(&mut self) -> bool {
        if self.answers.len() >= MAX_IN_FLIGHT {
            self.answers.retain(|_, answer| !answer.is_closed());
        }
        self.answers.len() < MAX_IN_FLIGHT
    }

    fn add(&mut self, answer: Answer) -> u64 {
        self.last_id = self.last_id.wrapping_add(1);
        self.answers.insert(self.last_id, answer);
        self.last_id
    }
}

pub(crate) struct Worker {
    hub: Arc<Hub>,
    peer: PeerId,
    lane: Lane,
    protocol: StreamProtocol,
    queue: QueueReceiver,
    reach: watch::Receiver<Reach>,
    counters: Arc<LiveLane>,
    backoff: Backoff,
}

impl Worker {
    pub(crate) fn new(hub: Arc<Hub>, peer: PeerId, lane: Lane, queue: QueueReceiver) -> Self {
        let peer_bytes = peer.to_bytes();
        let salt = peer_bytes.iter().chain(lane.name().as_bytes()).fold(hub.seed, |seed, &byte| {
            (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3) // FNV-1a
        });
        Self {
            reach: hub.directory.watch(peer),
            counters: hub.counters.lane(lane.name()),
            protocol: lane.protocol(),
            backoff: Backoff::new(REOPEN_FIRST, REOPEN_MAX, salt),
            hub,
            peer,
            lane,
            queue,
        }
    }

    pub(crate) async fn run(mut self) {
        while let Some(first) = self.next_work().await {
            match self.open().await {
                Ok(link) => {
                    let opened = clock::now();
                    self.counters.streams_opened.one();
                    if matches!(self.serve(link, first).await, End::Closed) {
                        break;
                    }
                    self.counters.streams_lost.one();
                    if clock::now().saturating_duration_since(opened) < SHORT_LIFE {
                        tokio::time::sleep(self.backoff.next_delay()).await;
                    } else {
                        self.backoff.reset();
                    }
                }
                Err(error) => {
                    self.fail(first, &error);
                    if !self.refuse_for_a_while(&error).await {
                        break;
                    }
                }
            }
        }
        self.hub.directory.release(self.peer, self.reach);
    }

    /// The next frame to send; `None` when the worker is to end.
    async fn next_work(&mut self) -> Option<Outgoing> {
        loop {
            match timeout(IDLE_TIMEOUT, self.queue.recv()).await {
                Ok(work) => return work,
                Err(_) if self.hub.retire(self.peer, self.lane, &self.queue) => return None,
                Err(_) => {}
            }
        }
    }

    async fn open(&mut self) -> Result<Link<Stream>, RequestError> {
        let unreachable = RequestError::Unreachable { peer: self.peer };
        timeout(CONNECT_TIMEOUT, self.connected()).await.map_err(|_| unreachable.clone())??;
        let opened = timeout(OPEN_TIMEOUT, async {
            let mut streams = self.hub.streams.clone();
            let stream = streams.open_stream(self.peer, self.protocol.clone()).await.map_err(|error| match error {
                OpenStreamError::UnsupportedProtocol(_) => {
                    RequestError::Unsupported { peer: self.peer, lane: self.lane.name() }
                }
                _ => unreachable.clone(),
            })?;
            let mut link = Link::new(stream, self.lane.max_body_bytes());
            // The other side drops streams it has no room for without a word; only its greeting shows that it serves.
            match poll_fn(|cx| link.poll_frame(cx)).await {
                Ok(Frame { kind: Kind::Ready, .. }) => Ok(link),
                Ok(_) => {
                    self.hub.report(self.peer, Violation::Unexpected);
                    Err(unreachable.clone())
                }
                Err(error) => {
                    self.complain(&error);
                    Err(unreachable.clone())
                }
            }
        });
        opened.await.map_err(|_| unreachable.clone())?
    }

    /// Waits until the peer is connected and verified, asking for a dial if it is not.
    async fn connected(&self) -> Result<(), RequestError> {
        let mut reach = self.reach.clone();
        let seen = *reach.borrow_and_update();
        if let Reach::Down { .. } = seen {
            // A full command queue means the swarm task is behind; the timeout above bounds the wait.
            let _ = self.hub.commands.send(Command::Connect(self.peer)).await;
        }
        loop {
            match (seen, *reach.borrow_and_update()) {
                (_, Reach::Up) => return Ok(()),
                (_, Reach::Closed) => return Err(RequestError::Closed),
                (Reach::Down { failures: before }, Reach::Down { failures: now }) if now > before => {
                    return Err(RequestError::Unreachable { peer: self.peer });
                }
                _ => {}
            }
            if reach.changed().await.is_err() {
                return Err(RequestError::Closed);
            }
        }
    }

    /// Fails what is queued and what comes until the next attempt is due or the peer comes by itself.
    /// False when the worker is to end.
    async fn refuse_for_a_while(&mut self, error: &RequestError) -> bool {
        if matches!(error, RequestError::Closed) {
            return false;
        }
        let pause = tokio::time::sleep(self.backoff.next_delay());
        tokio::pin!(pause);
        let was_up = *self.reach.borrow_and_update() == Reach::Up;
        loop {
            tokio::select! {
                biased;
                () = &mut pause => return true,
                changed = self.reach.changed(), if !was_up => {
                    if changed.is_err() {
                        return false;
                    }
                    if *self.reach.borrow_and_update() == Reach::Up {
                        return true;
                    }
                }
                work = self.queue.recv() => match work {
                    Some(work) => self.fail(work, error),
                    None => return false,
                },
            }
        }
    }

    fn fail(&self, work: Outgoing, error: &RequestError) {
        match work.answer {
            Some(answer) => {
                self.counters.requests_failed.one();
                // A caller that gave up does not listen any more.
                let _ = answer.send(Err(error.clone()));
            }
            None => self.counters.notices_dropped.one(),
        }
    }

    async fn serve(&mut self, mut link: Link<Stream>, first: Outgoing) -> End {
        let mut pending = Pending::default();
        let mut batch = vec![first];
        let mut steps = 0_u32;
        let end = loop {
            for work in batch.drain(..) {
                self.write(&mut link, &mut pending, work);
            }
            match poll_step(&mut link, &mut self.queue, &mut batch).await {
                Step::Work(0) => break End::Closed,
                Step::Work(_) => {}
                Step::Frame(frame) => {
                    if !self.answered(&mut pending, frame) {
                        self.hub.report(self.peer, Violation::Unexpected);
                        break End::Broken;
                    }
                }
                Step::Broken(error) => {
                    self.complain(&error);
                    break End::Broken;
                }
            }
            steps = steps.wrapping_add(1);
            if steps.is_multiple_of(BUDGET_STEPS) {
                tokio::task::yield_now().await;
            }
        };
        for (_, answer) in pending.answers.drain() {
            self.counters.requests_failed.one();
            let _ = answer.send(Err(RequestError::Lost));
        }
        end
    }

    fn write(&self, link: &mut Link<Stream>, pending: &mut Pending, work: Outgoing) {
        let (kind, id) = match work.answer {
            None => (Kind::Notice, 0),
            // Nobody waits for the answer any more: not worth the bytes.
            Some(answer) if answer.is_closed() => return,
            Some(answer) if !pending.has_room() => {
                let full = RequestError::QueueFull { peer: self.peer, lane: self.lane.name() };
                return self.fail(Outgoing { body: Bytes::new(), answer: Some(answer) }, &full);
            }
            Some(answer) => (Kind::Request, pending.add(answer)),
        };
        self.counters.frames_out.one();
        self.counters.bytes_out.add(work.body.len());
        link.push(kind, id, work.body);
    }

    /// Hands an answer to its caller; false when the frame is out of place.
    fn answered(&self, pending: &mut Pending, frame: Frame) -> bool {
        self.counters.frames_in.one();
        self.counters.bytes_in.add(frame.body.len());
        let result = match frame.kind {
            Kind::Response => Ok(frame.body),
            Kind::Busy => Err(RequestError::Busy),
            Kind::Refused => {
                let reason = frame.body.get(..frame.body.len().min(MAX_REASON_BYTES)).unwrap_or_default();
                Err(RequestError::Refused { reason: String::from_utf8_lossy(reason).into_owned() })
            }
            Kind::Notice | Kind::Request | Kind::Ready => return false,
        };
        match pending.answers.remove(&frame.id) {
            Some(answer) => {
                let _ = answer.send(result);
                true
            }
            // Late: its caller gave up and was counted out.
            None => frame.id != 0 && frame.id <= pending.last_id,
        }
    }

    fn complain(&self, error: &LinkError) {
        tracing::debug!(peer = %self.peer, lane = %self.lane, %error, "outbound stream ended");
        match error {
            LinkError::Garbage(_) => self.hub.report(self.peer, Violation::Garbage),
            LinkError::Truncated => self.hub.report(self.peer, Violation::Truncated),
            LinkError::Io(_) | LinkError::Ended => {}
        }
    }
}

/// Writes what there is, then waits for a frame or for work; work only while there is room for it.
async fn poll_step(link: &mut Link<Stream>, queue: &mut QueueReceiver, batch: &mut Vec<Outgoing>) -> Step {
    poll_fn(|cx| {
        if let Poll::Ready(Err(error)) = link.poll_drain(cx) {
            return Poll::Ready(Step::Broken(LinkError::Io(error)));
        }
        if let Poll::Ready(frame) = link.poll_frame(cx) {
            return Poll::Ready(frame.map_or_else(Step::Broken, Step::Frame));
        }
        if link.has_room()
            && let Poll::Ready(taken) = queue.poll_recv_many(cx, batch, BATCH_FRAMES)
        {
            return Poll::Ready(Step::Work(taken));
        }
        Poll::Pending
    })
    .await
}
