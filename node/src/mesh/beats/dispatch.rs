//! What comes in on lane "beat", and where it goes.

use std::sync::Arc;

use mesh30k_core::beat::{SignedHostBatch, VerifiedBatch};
use mesh30k_core::wire::{Frame, Priority, WireError};
use mesh30k_ledger::types::{ClusterId, NodeId, SectorId};
use mesh30k_p2p::{Inbound, Inbox};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{HostSignal, LeadDesk};
use crate::mesh::ledger::MeshLedger;
use crate::mesh::post::{LocalInbox, OpenError, Postbox, UNTIL_ANSWERED_US};
use crate::sectors::{BeatAnswer, BeatMessage, BeatNotice, BeatQuestion, SectorHandle, home_cluster};

/// Delivers notices and answers questions.
#[derive(Clone)]
pub(in crate::mesh) struct Dispatcher {
    pub(in crate::mesh) post: Postbox,
    pub(in crate::mesh) sectors: SectorHandle,
    pub(in crate::mesh) ledger: Arc<dyn MeshLedger>,
    pub(in crate::mesh) desk: LeadDesk,
    pub(in crate::mesh) host: mpsc::Sender<HostSignal>,
}

/// Serves the lane and this node's notices to itself, until cancelled or the network closes.
pub(in crate::mesh) async fn serve(
    dispatcher: Dispatcher,
    mut inbox: Inbox,
    mut local: LocalInbox,
    stop: CancellationToken,
) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            inbound = inbox.recv() => match inbound {
                Some(inbound) => dispatcher.on_inbound(inbound),
                None => return,
            },
            notice = local.recv() => match notice {
                Some((from, notice)) => dispatcher.on_notice(from, notice),
                None => return,
            },
        }
    }
}

impl Dispatcher {
    fn on_inbound(&self, inbound: Inbound) {
        let received = self.post.now();
        let Inbound { peer, body, reply } = inbound;
        match (self.post.open(&body), reply) {
            (Ok(BeatMessage::Notice(notice)), None) => {
                // A peer that this node's ledger does not have yet says nothing that could be checked.
                if let Some(from) = self.post.roster().load().node_of(&peer) {
                    self.on_notice(from, notice);
                }
            }
            (Ok(BeatMessage::Question(question)), Some(reply)) => {
                let answer = match question {
                    BeatQuestion::Clock => self.clock(received),
                    BeatQuestion::WhoLeads(_) | BeatQuestion::News { .. } => self.sectors.answer(question),
                };
                match self.post.seal(&BeatMessage::Answer(answer), Priority::High, UNTIL_ANSWERED_US) {
                    Some(bytes) => reply.send(bytes),
                    None => reply.refuse("the answer is too large for one message"),
                }
            }
            (Err(OpenError::Wire(WireError::UnknownVersion { .. })), Some(reply)) => {
                reply.send(Frame::versions_answer().into());
            }
            (Err(error), reply) => {
                tracing::debug!(%error, %peer, "a message on lane beat was refused");
                self.post.metrics().count_drops("beat-refused", 1);
                if let Some(reply) = reply {
                    reply.refuse("this is no message of lane beat");
                }
            }
            (Ok(_), reply) => {
                if let Some(reply) = reply {
                    reply.refuse("this message has no place here");
                }
            }
        }
    }

    fn clock(&self, received: mesh30k_core::time::TimeUs) -> BeatAnswer {
        match self.ledger.anchor() {
            Ok(Some(anchor)) if anchor == self.post.me() => BeatAnswer::Clock { received, answered: self.post.now() },
            _ => BeatAnswer::Refused("this node is not the anchor of mesh time".to_owned()),
        }
    }

    fn on_notice(&self, from: NodeId, notice: BeatNotice) {
        match notice {
            BeatNotice::Batch { sector, batch } => self.on_batch(from, sector, batch),
            BeatNotice::Forward { cluster, tenure, batches } => {
                let now = self.post.now();
                let holds = self.sectors.check_tenure(cluster, from, tenure, now);
                let verified: Vec<VerifiedBatch> =
                    batches.into_iter().filter_map(|batch| self.verified(batch)).collect();
                let Some(seat) = self.sectors.seat(cluster.sector) else { return };
                {
                    let duties = &mut seat.lock().duties;
                    match holds {
                        Ok(()) => duties.on_forward(from, verified, now),
                        // The batches bear their hosts' signatures, whoever brings them.
                        Err(error) => {
                            tracing::debug!(%error, "somebody passes batches on who does not lead");
                            verified.into_iter().for_each(|batch| duties.on_batch(batch, now));
                        }
                    }
                }
                seat.wake();
            }
            BeatNotice::Suspect { cluster, host } => self.on_suspicion(from, cluster, host, false),
            BeatNotice::Cleared { cluster, host } => self.on_suspicion(from, cluster, host, true),
            BeatNotice::AskFull { sector, newest } => {
                let leads = self.sectors.coordinator_of(sector).is_some_and(|coordinator| coordinator.node == from);
                if leads && self.host.try_send(HostSignal::AskFull { sector, newest }).is_err() {
                    self.post.metrics().count_drops("beat-signals", 1);
                }
            }
        }
    }

    /// To the fold if this node is the home lead, to the duties if it is the coordinator, and else once to whoever is.
    fn on_batch(&self, from: NodeId, sector: SectorId, signed: SignedHostBatch) {
        let (host, now) = (signed.batch.host, self.post.now());
        let Some(batch) = self.verified(signed) else { return };
        let home = home_cluster(&self.post.roster().load(), host, sector);
        let batch = match home {
            Some(home) => match self.desk.take(home, batch, now) {
                Some(batch) => batch,
                None => return,
            },
            None => batch,
        };
        if let Some(seat) = self.sectors.seat(sector)
            && self.sectors.coordinated().contains(&sector)
        {
            seat.lock().duties.on_batch(batch, now);
            seat.wake();
            return;
        }
        // Only the host's own message is passed on, so that none goes round.
        let coordinator = self.sectors.coordinator_of(sector).map(|coordinator| coordinator.node);
        if from == host
            && let Some(target) = coordinator.filter(|target| *target != self.post.me())
        {
            let notice = BeatNotice::Batch { sector, batch: batch.into_signed() };
            self.post.notify(target, notice, Priority::Normal);
        }
    }

    /// A lead's suspicion counts once this node sees no connection to the host either.
    fn on_suspicion(&self, from: NodeId, cluster: ClusterId, host: NodeId, is_cleared: bool) {
        let now = self.post.now();
        let leads = self.sectors.lead_of(cluster, now).is_some_and(|(lead, _)| lead == from);
        let Some(seat) = self.sectors.seat(cluster.sector).filter(|_| leads) else { return };
        if is_cleared {
            seat.lock().duties.on_seen(host, now);
        } else if !self.post.reaches(host) {
            seat.lock().duties.on_down(host);
        }
        seat.wake();
    }

    fn verified(&self, signed: SignedHostBatch) -> Option<VerifiedBatch> {
        let host = signed.batch.host;
        let key = self.post.host_key(host)?;
        match signed.verify(self.post.context(), &key) {
            Ok(batch) => Some(batch),
            Err(error) => {
                tracing::warn!(%error, "a host's batch was refused");
                self.post.metrics().count_drops("beat-unsigned", 1);
                None
            }
        }
    }
}
