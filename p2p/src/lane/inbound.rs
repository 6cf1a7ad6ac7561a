//! The serving side of a lane: accepts streams, reads frames into the inbox, writes answers back.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use libp2p::{PeerId, Stream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::frame::{Frame, Kind};
use super::hub::Hub;
use super::link::{Link, LinkError};
use super::queue::ByteBudget;
use super::{INBOX_FRAMES, Inbound, Lane, MAX_IN_FLIGHT, MAX_REASON_BYTES};
use crate::command::Violation;
use crate::counters::{LiveLane, locked};
use crate::directory::Reach;

/// Streams of one lane a peer may have open: one, and some more while old ones are being noticed as dead.
const MAX_STREAMS_PER_PEER: usize = 4;
/// Of the inbox, what one stream may fill: one noisy peer leaves room for the others.
const INBOX_FRAMES_PER_STREAM: usize = INBOX_FRAMES / 2;
/// How long a stream may wait for its peer to be verified.
const VERIFY_TIMEOUT: Duration = Duration::from_secs(5);
/// Steps before other tasks of the thread get a turn.
const BUDGET_STEPS: u32 = 64;

/// The receiving end of a served lane. Dropping it ends the service.
#[derive(Debug)]
pub struct Inbox {
    receiver: mpsc::Receiver<Queued>,
    budget: ByteBudget,
}

#[derive(Debug)]
struct Queued {
    inbound: Inbound,
    of_stream: Arc<AtomicUsize>,
}

/// The filling end of an inbox.
#[derive(Clone)]
pub(crate) struct Feeder {
    sender: mpsc::Sender<Queued>,
    budget: ByteBudget,
}

pub(crate) fn inbox(lane: Lane) -> (Inbox, Feeder) {
    let (sender, receiver) = mpsc::channel(INBOX_FRAMES);
    let budget = ByteBudget::new(lane.queue_bytes().saturating_mul(2));
    (Inbox { receiver, budget: budget.clone() }, Feeder { sender, budget })
}

impl Inbox {
    /// The next frame; `None` once the node was shut down.
    pub async fn recv(&mut self) -> Option<Inbound> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// As [`Self::recv`], for hand-written loops.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Inbound>> {
        let queued = ready!(self.receiver.poll_recv(cx));
        Poll::Ready(queued.map(|queued| self.taken(queued)))
    }

    /// The next frame if it is there.
    pub fn try_recv(&mut self) -> Option<Inbound> {
        let queued = self.receiver.try_recv().ok()?;
        Some(self.taken(queued))
    }

    /// As [`Self::recv`], for threads outside the runtime.
    pub fn blocking_recv(&mut self) -> Option<Inbound> {
        let queued = self.receiver.blocking_recv()?;
        Some(self.taken(queued))
    }

    fn taken(&self, queued: Queued) -> Inbound {
        self.budget.give_back(queued.inbound.body.len());
        queued.of_stream.fetch_sub(1, Ordering::AcqRel);
        queued.inbound
    }
}

impl Feeder {
    /// Puts a frame into the inbox; what comes back had no room.
    fn refused(&self, inbound: Inbound, of_stream: &Arc<AtomicUsize>) -> Option<Inbound> {
        let bytes = inbound.body.len();
        if of_stream.load(Ordering::Acquire) >= INBOX_FRAMES_PER_STREAM || !self.budget.take(bytes) {
            return Some(inbound);
        }
        of_stream.fetch_add(1, Ordering::AcqRel);
        let refused = self.sender.try_send(Queued { inbound, of_stream: Arc::clone(of_stream) }).err()?;
        self.budget.give_back(bytes);
        of_stream.fetch_sub(1, Ordering::AcqRel);
        Some(refused.into_inner().inbound)
    }
}

/// What is written back for a request.
#[derive(Debug)]
enum Response {
    Body(Bytes),
    Refused(String),
}

/// The way back of a request. Dropping it answers with a refusal, so that nobody waits in vain.
#[derive(Debug)]
pub struct Reply {
    id: u64,
    lane: Lane,
    back: Option<mpsc::Sender<(u64, Response)>>,
}

impl Reply {
    /// Answers. A body the lane does not carry becomes a refusal that says so. The caller may be gone; that shows
    /// nowhere, as it would not if the answer were lost on the way.
    pub fn send(mut self, body: Bytes) {
        let max = self.lane.max_body_bytes();
        let response = if body.len() > max {
            let reason = format!("answer of {} bytes exceeds the {max} bytes lane {} carries", body.len(), self.lane);
            Response::Refused(reason)
        } else {
            Response::Body(body)
        };
        self.answer(response);
    }

    /// Refuses, in at most [`MAX_REASON_BYTES`] bytes of words.
    pub fn refuse(mut self, reason: &str) {
        self.answer(Response::Refused(reason.to_owned()));
    }

    /// Never finds the channel full: it has room for all requests in flight.
    fn answer(&mut self, response: Response) {
        if let Some(back) = self.back.take() {
            let _ = back.try_send((self.id, response));
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.answer(Response::Refused("no answer was given".to_owned()));
    }
}

/// Open streams by peer.
type Open = Arc<Mutex<HashMap<PeerId, usize>>>;

/// One open stream's place among those of its peer.
struct Slot {
    open: Open,
    peer: PeerId,
}

impl Slot {
    fn take(open: &Open, peer: PeerId) -> Option<Self> {
        let mut counts = locked(open);
        let count = counts.entry(peer).or_default();
        if *count >= MAX_STREAMS_PER_PEER {
            return None;
        }
        *count = count.saturating_add(1);
        Some(Self { open: Arc::clone(open), peer })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut counts = locked(&self.open);
        if let Some(count) = counts.get_mut(&self.peer) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.peer);
            }
        }
    }
}

/// Accepts and spawns, nothing else: a stream that finds the acceptor busy is dropped by `libp2p_stream`.
pub(crate) async fn acceptor(hub: Arc<Hub>, lane: Lane, mut incoming: libp2p_stream::IncomingStreams, feeder: Feeder) {
    let open = Open::default();
    let counters = hub.counters.lane(lane.name());
    loop {
        let (peer, stream) = tokio::select! {
            biased;
            next = incoming.next() => match next {
                Some(next) => next,
                None => return,
            },
            () = hub.shutdown.cancelled() => return,
            () = feeder.sender.closed() => return,
        };
        let Some(slot) = Slot::take(&open, peer) else {
            counters.streams_refused.one();
            continue;
        };
        let server = Server {
            hub: Arc::clone(&hub),
            lane,
            peer,
            feeder: feeder.clone(),
            counters: Arc::clone(&counters),
            in_inbox: Arc::default(),
        };
        tokio::spawn(async move {
            server.run(stream).await;
            drop(slot);
        });
    }
}

enum Step {
    Responses(usize),
    Frame(Frame),
    Ended(LinkError),
    Closed,
}

/// Serves one inbound stream.
struct Server {
    hub: Arc<Hub>,
    lane: Lane,
    peer: PeerId,
    feeder: Feeder,
    counters: Arc<LiveLane>,
    in_inbox: Arc<AtomicUsize>,
}

impl Server {
    async fn run(self, stream: Stream) {
        let mut reach = self.hub.directory.watch(self.peer);
        let up = |reach: &Reach| matches!(reach, Reach::Up | Reach::Closed);
        let verified = matches!(timeout(VERIFY_TIMEOUT, reach.wait_for(up)).await, Ok(Ok(seen)) if *seen == Reach::Up);
        self.hub.directory.release(self.peer, reach);
        if !verified {
            self.counters.streams_refused.one();
            return;
        }
        let error = self.serve(Link::new(stream, self.lane.max_body_bytes())).await;
        let shown = error.as_ref().map(tracing::field::display);
        tracing::debug!(peer = %self.peer, lane = %self.lane, error = shown, "inbound stream ended");
        match error {
            Some(LinkError::Garbage(_)) => self.hub.report(self.peer, Violation::Garbage),
            Some(LinkError::Truncated) => self.hub.report(self.peer, Violation::Truncated),
            _ => {}
        }
    }

    /// Reads and answers until the stream ends; `None` when nobody serves the lane any more or the peer broke a rule
    /// that was reported here.
    async fn serve(&self, mut link: Link<Stream>) -> Option<LinkError> {
        let (back, mut responses) = mpsc::channel(MAX_IN_FLIGHT);
        let mut batch = Vec::new();
        let mut in_flight = 0_usize;
        let mut steps = 0_u32;
        link.push(Kind::Ready, 0, Bytes::new());
        loop {
            let step = poll_fn(|cx| {
                if let Poll::Ready(Err(error)) = link.poll_drain(cx) {
                    return Poll::Ready(Step::Ended(LinkError::Io(error)));
                }
                if let Poll::Ready(taken) = responses.poll_recv_many(cx, &mut batch, MAX_IN_FLIGHT) {
                    return Poll::Ready(Step::Responses(taken));
                }
                if !link.has_room() {
                    return Poll::Pending;
                }
                match link.poll_frame(cx) {
                    Poll::Ready(Ok(_)) if self.feeder.sender.is_closed() => Poll::Ready(Step::Closed),
                    Poll::Ready(frame) => Poll::Ready(frame.map_or_else(Step::Ended, Step::Frame)),
                    Poll::Pending => Poll::Pending,
                }
            })
            .await;
            match step {
                Step::Closed => return None,
                Step::Ended(error) => return Some(error),
                Step::Responses(taken) => {
                    in_flight = in_flight.saturating_sub(taken);
                    for (id, response) in batch.drain(..) {
                        self.write(&mut link, id, response);
                    }
                }
                Step::Frame(frame) => {
                    if !self.take_in(&mut link, frame, &mut in_flight, &back) {
                        self.hub.report(self.peer, Violation::Unexpected);
                        return None;
                    }
                }
            }
            steps = steps.wrapping_add(1);
            if steps.is_multiple_of(BUDGET_STEPS) {
                tokio::task::yield_now().await;
            }
        }
    }

    fn write(&self, link: &mut Link<Stream>, id: u64, response: Response) {
        let (kind, body) = match response {
            Response::Body(body) => (Kind::Response, body),
            Response::Refused(reason) => {
                let mut bytes = reason.into_bytes();
                bytes.truncate(MAX_REASON_BYTES);
                (Kind::Refused, Bytes::from(bytes))
            }
        };
        self.counters.frames_out.one();
        self.counters.bytes_out.add(body.len());
        link.push(kind, id, body);
    }

    /// Puts a frame into the inbox; false when it is out of place.
    fn take_in(
        &self,
        link: &mut Link<Stream>,
        frame: Frame,
        in_flight: &mut usize,
        back: &mpsc::Sender<(u64, Response)>,
    ) -> bool {
        self.counters.frames_in.one();
        self.counters.bytes_in.add(frame.body.len());
        match frame.kind {
            Kind::Notice => {
                let inbound = Inbound { peer: self.peer, body: frame.body, reply: None };
                if self.feeder.refused(inbound, &self.in_inbox).is_some() {
                    self.counters.inbox_dropped.one();
                }
                true
            }
            Kind::Request => {
                let reply = Reply { id: frame.id, lane: self.lane, back: Some(back.clone()) };
                let inbound = Inbound { peer: self.peer, body: frame.body, reply: Some(reply) };
                let refused = if *in_flight < MAX_IN_FLIGHT {
                    self.feeder.refused(inbound, &self.in_inbox)
                } else {
                    Some(inbound)
                };
                match refused {
                    None => *in_flight = in_flight.saturating_add(1),
                    Some(mut inbound) => {
                        // Disarmed, or it would answer a second time.
                        if let Some(reply) = inbound.reply.as_mut() {
                            reply.back = None;
                        }
                        self.counters.busy_answers.one();
                        link.push(Kind::Busy, frame.id, Bytes::new());
                    }
                }
                true
            }
            Kind::Response | Kind::Busy | Kind::Refused | Kind::Ready => false,
        }
    }
}
