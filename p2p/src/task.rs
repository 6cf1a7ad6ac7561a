//! The swarm task: the only owner of the swarm. Takes commands, reports and network events one at a time and passes
//! each to whoever decides.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use libp2p::metrics::{Metrics, Recorder};
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::backoff::SplitMix;
use crate::behaviour::{Behaviour, BehaviourEvent};
use crate::book::{Book, split_peer};
use crate::clock::{self, Instant};
use crate::command::{Command, Report, Violation};
use crate::config::{Config, Timing};
use crate::counters::LiveNode;
use crate::error::CommandError;
use crate::events::{Event, Refusal};
use crate::gossip::{self, ChainTopics, STRIKE_SCORE, Verdicts};
use crate::lane::hub::Hub;
use crate::redial::{Redial, Target};
use crate::strikes::Strikes;
use crate::table::Table;

/// Steps before other tasks of the thread get a turn.
const BUDGET_STEPS: u32 = 64;
/// How long connections get to close at shutdown.
const SHUTDOWN_GRACE: Duration = Duration::from_millis(500);
/// Peers dialled at one look for more peers.
const DISCOVERY_DIALS: usize = 3;
/// Where nothing is due, the task wakes this often all the same.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);

pub(crate) type DialOutcome = oneshot::Sender<Result<(), CommandError>>;

/// What a dial under way was for.
#[derive(Default)]
pub(crate) struct Purpose {
    /// The address target of the redial plan.
    pub(crate) target: Option<Multiaddr>,
    /// Who waits for the outcome.
    pub(crate) outcome: Option<DialOutcome>,
}

/// Everything the swarm task owns.
pub(crate) struct Task {
    pub(crate) swarm: Swarm<Behaviour>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) table: Table,
    pub(crate) redial: Redial,
    pub(crate) book: Book,
    pub(crate) strikes: Strikes,
    pub(crate) verdicts: Verdicts,
    pub(crate) topics: ChainTopics,
    pub(crate) protocol_version: String,
    pub(crate) kad_protocol: libp2p::StreamProtocol,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) dials: HashMap<ConnectionId, Purpose>,
    pub(crate) timing: Timing,
    commands: mpsc::Receiver<Command>,
    reports: mpsc::Receiver<Report>,
    metrics: Metrics,
    rng: SplitMix,
    pub(crate) wanted_peers: usize,
    next_discovery: Instant,
    shutdown: CancellationToken,
    _ended: DropGuard,
}

/// The other ends of the task's channels, and what it shares.
pub(crate) struct Wiring {
    pub(crate) hub: Arc<Hub>,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) reports: mpsc::Receiver<Report>,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) metrics: Metrics,
    pub(crate) ended: CancellationToken,
}

impl Task {
    pub(crate) fn new(config: &Config, swarm: Swarm<Behaviour>, wiring: Wiring) -> Self {
        let (timing, now) = (config.timing, clock::now());
        let patience = timing.handshake.saturating_mul(2).saturating_add(timing.identify);
        let mut task = Self {
            table: Table::new(*swarm.local_peer_id(), timing.handshake, timing.identify),
            redial: Redial::new(timing.redial_first, timing.redial_max, patience, config.seed),
            book: Book::default(),
            strikes: Strikes::new(timing.refusal),
            verdicts: Verdicts::new(timing.verdict),
            topics: ChainTopics::new(&config.chain),
            protocol_version: config.protocol_version(),
            kad_protocol: crate::behaviour::kad_protocol(&config.chain),
            dials: HashMap::new(),
            rng: SplitMix::new(config.seed),
            wanted_peers: config.wanted_peers,
            next_discovery: now + timing.discovery,
            shutdown: wiring.hub.shutdown.clone(),
            _ended: wiring.ended.drop_guard(),
            timing,
            swarm,
            hub: wiring.hub,
            commands: wiring.commands,
            reports: wiring.reports,
            events: wiring.events,
            metrics: wiring.metrics,
        };
        for address in &config.bootstrap {
            task.add_bootstrap(now, address.clone());
        }
        task
    }

    fn add_bootstrap(&mut self, now: Instant, address: Multiaddr) {
        let target = match split_peer(address.clone()) {
            (_, Some(peer)) if peer == *self.swarm.local_peer_id() => return,
            (address, Some(peer)) => {
                self.book.add(peer, address);
                Target::Peer(peer)
            }
            (address, None) => Target::Address(address),
        };
        if !self.redial.add(now, target, None, false) {
            tracing::warn!(%address, "too many bootstrap addresses: this one is left out");
        }
    }

    pub(crate) fn count(&self) -> &LiveNode {
        &self.hub.counters.node
    }

    /// Runs until shut down.
    pub(crate) async fn run(mut self) {
        let sleep = tokio::time::sleep(Duration::ZERO);
        tokio::pin!(sleep);
        let mut steps = 0_u32;
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_event(event),
                Some(command) = self.commands.recv() => self.on_command(command),
                Some(report) = self.reports.recv() => self.on_report(report),
                () = &mut sleep => {}
                () = self.shutdown.cancelled() => break,
            }
            let now = clock::now();
            self.on_time(now);
            let wakeup = self.next_wakeup(now);
            if sleep.deadline().into_std() != wakeup {
                sleep.as_mut().reset(wakeup.into());
            }
            steps = steps.wrapping_add(1);
            if steps.is_multiple_of(BUDGET_STEPS) {
                tokio::task::yield_now().await;
            }
        }
        self.close().await;
    }

    /// Ends the lanes, then gives the connections a moment to close in order.
    async fn close(mut self) {
        self.hub.close();
        let peers: Vec<_> = self.swarm.connected_peers().copied().collect();
        for peer in peers {
            // Already gone is as good.
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        let drained = async {
            while self.swarm.connected_peers().next().is_some() {
                self.swarm.select_next_some().await;
            }
        };
        if tokio::time::timeout(SHUTDOWN_GRACE, drained).await.is_err() {
            tracing::debug!("connections were cut at shutdown");
        }
    }

    fn next_wakeup(&self, now: Instant) -> Instant {
        let discovery = (self.table.verified_count() < self.wanted_peers).then_some(self.next_discovery);
        let due = [
            self.redial.next_wakeup(),
            self.strikes.next_wakeup(),
            self.verdicts.next_wakeup(),
            self.table.next_wakeup(),
            discovery,
        ];
        due.into_iter().flatten().min().unwrap_or(now + LONGEST_SLEEP)
    }

    fn on_time(&mut self, now: Instant) {
        for target in self.redial.due(now) {
            self.dial_target(target);
        }
        for pending in self.verdicts.overdue(now) {
            self.count().verdicts_missing.one();
            self.report_verdict(&pending.message, &pending.from, gossip::Verdict::Ignore);
        }
        for peer in self.strikes.pardoned(now) {
            self.swarm.behaviour_mut().refused.unblock_peer(peer);
            self.swarm.behaviour_mut().gossip.set_application_score(&peer, 0.0);
        }
        for peer in self.strikes.truncated(now) {
            self.count().truncated_frames.one();
            self.strike(now, peer);
        }
        for peer in self.table.unidentified(now) {
            self.count().unidentified.one();
            self.strikes.refuse_silent(now, peer, self.timing.identify);
            self.disconnect(peer, Refusal::Unidentified);
        }
        if self.next_discovery <= now {
            self.discover(now);
        }
    }

    /// Dials some peers that discovery has heard of, while there are fewer than wanted.
    fn discover(&mut self, now: Instant) {
        let period = u64::try_from(self.timing.discovery.as_millis()).unwrap_or(u64::MAX);
        let pause_ms = (period / 2).saturating_add(self.rng.below(period));
        self.next_discovery = now + Duration::from_millis(pause_ms);
        if self.table.verified_count() >= self.wanted_peers {
            return;
        }
        // With nobody known there is nobody to ask; bootstrap is being dialled all the while.
        let _ = self.swarm.behaviour_mut().kad.bootstrap();
        let mut known = Vec::new();
        for bucket in self.swarm.behaviour_mut().kad.kbuckets() {
            known.extend(bucket.iter().map(|entry| *entry.node.key.preimage()));
        }
        known.retain(|peer| !self.table.is_connected(peer));
        for _ in 0..DISCOVERY_DIALS.min(known.len()) {
            let bound = u64::try_from(known.len()).unwrap_or(u64::MAX);
            let pick = usize::try_from(self.rng.below(bound)).unwrap_or(0);
            let peer = known.swap_remove(pick);
            self.dial_peer(peer);
        }
    }

    fn dial_target(&mut self, target: Target) {
        match target {
            Target::Peer(peer) => self.dial_peer(peer),
            Target::Address(address) => {
                let options = DialOpts::unknown_peer_id().address(address.clone()).build();
                let purpose = Purpose { target: Some(address), outcome: None };
                self.dial(options, purpose);
            }
        }
    }

    /// Dials a peer at all addresses that are known of it, unless it is connected or being dialled.
    pub(crate) fn dial_peer(&mut self, peer: PeerId) {
        let options = DialOpts::peer_id(peer)
            .condition(PeerCondition::DisconnectedAndNotDialing)
            .addresses(self.book.of(&peer))
            .extend_addresses_through_behaviour()
            .build();
        self.dial(options, Purpose::default());
    }

    pub(crate) fn dial(&mut self, options: DialOpts, purpose: Purpose) {
        let (id, peer) = (options.connection_id(), options.get_peer_id());
        match self.swarm.dial(options) {
            Ok(()) => {
                self.dials.insert(id, purpose);
            }
            // The dial or connection in the way will have an outcome of its own.
            Err(DialError::DialPeerConditionFalse(_)) => {
                if let Some(outcome) = purpose.outcome {
                    let _ = outcome.send(Ok(()));
                }
            }
            Err(error) => self.dial_failed(peer, purpose, &error),
        }
    }

    pub(crate) fn dial_failed(&mut self, peer: Option<PeerId>, purpose: Purpose, error: &DialError) {
        tracing::debug!(?peer, %error, "dial failed");
        self.count().dial_failures.one();
        let now = clock::now();
        if let Some(address) = purpose.target {
            self.redial.failed(now, &Target::Address(address));
        }
        if let Some(peer) = peer {
            self.redial.failed(now, &Target::Peer(peer));
            if !self.table.is_connected(&peer) {
                self.hub.directory.dial_failed(peer);
            }
        }
        if let Some(outcome) = purpose.outcome {
            let _ = outcome.send(Err(CommandError::Dial { reason: error.to_string() }));
        }
    }

    fn on_report(&mut self, report: Report) {
        let now = clock::now();
        match report.violation {
            Violation::Garbage | Violation::Unexpected => self.strike(now, report.peer),
            Violation::Truncated if self.table.is_connected(&report.peer) => self.strikes.review(now, report.peer),
            Violation::Truncated => {}
        }
    }

    fn strike(&mut self, now: Instant, peer: PeerId) {
        let (count, enough) = self.strikes.strike(now, peer);
        self.swarm.behaviour_mut().gossip.set_application_score(&peer, STRIKE_SCORE * f64::from(count));
        if enough {
            self.count().peers_refused.one();
            self.refuse(now, peer, Refusal::Strikes { count });
        }
    }

    /// Disconnects a peer and refuses it for a while.
    pub(crate) fn refuse(&mut self, now: Instant, peer: PeerId, reason: Refusal) {
        self.strikes.refuse(now, peer);
        self.disconnect(peer, reason);
    }

    fn disconnect(&mut self, peer: PeerId, reason: Refusal) {
        tracing::info!(%peer, ?reason, "peer is disconnected and refused for a while");
        self.swarm.behaviour_mut().refused.block_peer(peer);
        self.tell(Event::PeerRefused { peer, reason });
    }

    /// Tells the application, if it keeps up.
    pub(crate) fn tell(&self, event: Event) {
        if self.events.try_send(event).is_err() {
            self.count().events_dropped.one();
        }
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        self.metrics.record(&event);
        match event {
            SwarmEvent::Behaviour(event) => {
                match &event {
                    BehaviourEvent::Identify(e) => self.metrics.record(e),
                    BehaviourEvent::Ping(e) => self.metrics.record(e),
                    BehaviourEvent::Kad(e) => self.metrics.record(e),
                    BehaviourEvent::Gossip(e) => self.metrics.record(e),
                    _ => {}
                }
                self.on_behaviour(event);
            }
            other => self.on_connection(other),
        }
    }
}
