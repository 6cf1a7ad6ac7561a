//! Messages from other nodes: opened, judged, and handed to the machine they are for. What is refused is counted.

use mesh30k_core::event::{DownMessage, HostMessage, HostReply, SignedEvent, UpMessage};
use mesh30k_core::lead::Tenure;
use mesh30k_core::wire::{Frame, WireError};
use mesh30k_ledger::codec::encode;
use mesh30k_ledger::keys::PublicKey;
use mesh30k_ledger::types::{AgentId, ClusterId, Hash, NodeId, Scope, SectorId};

use super::answers::Groups;
use super::engine::Engine;
use super::refusal::Refusal;
use super::view::Now;
use super::wire::{AnswerCount, LedStage, Message, Opened, Said};

impl Engine {
    /// A frame that came from `from` at `arrived_us` by the machine's clock.
    pub(super) fn on_frame(&mut self, from: NodeId, arrived_us: i64, frame: &[u8]) {
        let arrived = self.clock.at(arrived_us);
        let outcome = self.open(from, &arrived, frame);
        let outcome = outcome.and_then(|opened| self.accept(from, opened.message, opened.signer, &arrived));
        if let Err(refusal) = outcome {
            if matches!(refusal, Refusal::Wire(WireError::UnknownVersion { .. })) {
                self.link.send(from, Frame::versions_answer().into());
            }
            self.refuse(from, &refusal);
        }
    }

    fn open(&mut self, from: NodeId, arrived: &Now, frame: &[u8]) -> Result<Opened, Refusal> {
        if !self.topology.has_node(from) {
            return Err(Refusal::Stranger { node: from });
        }
        self.sealer.open(arrived, frame)
    }

    pub(super) fn refuse(&self, from: NodeId, refusal: &Refusal) {
        tracing::debug!(%from, %refusal, "a message was refused");
        self.shared.count(refusal.name());
    }

    /// Hands a message to the machine it is for, if its sender may send it. `now` is when it arrived.
    pub(super) fn accept(
        &mut self,
        from: NodeId,
        message: Message,
        signer: Option<PublicKey>,
        now: &Now,
    ) -> Result<(), Refusal> {
        match message {
            Message::Down { child: Scope::Sector(sector), message } => {
                self.accept_at_sector(from, sector, &message, now)
            }
            Message::Down { child: Scope::Cluster(cluster), message } => {
                self.accept_at_lead(from, cluster, &message, now)
            }
            Message::Down { child, .. } => Err(Refusal::NotHere { scope: child }),
            Message::Up { tenure, message, answers } => {
                self.check_signer(from, signer)?;
                self.accept_up(from, tenure, message, &answers, now)
            }
            Message::Host { cluster, tenure, message } => self.accept_at_host(from, cluster, tenure, &message, now),
            Message::Reply { reply, said } => self.accept_reply(from, &reply, &said, now),
            Message::Bundle { items } => {
                self.accept_bundle(from, items, now);
                Ok(())
            }
            Message::Watch { sector, is_news } => self.on_watch(now, from, sector, is_news),
            Message::Stages { reports } => self.accept_stages(from, reports, now),
        }
    }

    pub(super) fn accept_reply(
        &mut self,
        from: NodeId,
        reply: &HostReply,
        said: &[Said],
        now: &Now,
    ) -> Result<(), Refusal> {
        if reply.host != from {
            return Err(Refusal::NotHost { node: from, host: reply.host });
        }
        self.on_reply(now, reply, said)
    }

    fn accept_at_sector(
        &mut self,
        from: NodeId,
        sector: SectorId,
        message: &DownMessage,
        now: &Now,
    ) -> Result<(), Refusal> {
        let scope = Scope::Sector(sector);
        if !self.coordinates(sector) {
            return Err(Refusal::NotHere { scope });
        }
        self.check_event_of(from, scope, message, now)?;
        self.on_down_to_sector(now, sector, message);
        Ok(())
    }

    fn accept_at_lead(
        &mut self,
        from: NodeId,
        cluster: ClusterId,
        message: &DownMessage,
        now: &Now,
    ) -> Result<(), Refusal> {
        let scope = Scope::Cluster(cluster);
        if !self.leads_now(cluster) && self.view.lead(cluster, now.mesh).is_some_and(|(lead, _)| lead == self.me) {
            // The coordinator may know of the lease before this thread looked.
            self.refresh();
        }
        if !self.leads_now(cluster) {
            return Err(Refusal::NotHere { scope });
        }
        self.check_coordinator(from, cluster.sector)?;
        self.check_event_of(from, scope, message, now)?;
        self.on_down_to_lead(now, cluster, message);
        Ok(())
    }

    /// An event must be signed by an operator and not be over; it is called off only by whom it came from.
    fn check_event_of(&mut self, from: NodeId, scope: Scope, message: &DownMessage, now: &Now) -> Result<(), Refusal> {
        match message {
            DownMessage::Prepare(prepare) => {
                self.check_event(&prepare.event, now)?;
                self.origins.insert_first((prepare.event.event.id, scope), from);
                Ok(())
            }
            DownMessage::Cancel(event) if self.origins.get(&(*event, scope)) == Some(&from) => Ok(()),
            DownMessage::Cancel(_) => Err(Refusal::NoRight { scope }),
        }
    }

    /// The same event reaches a node up to once per cluster it leads and once per cluster it hosts: one check serves all.
    fn check_event(&mut self, signed: &SignedEvent, now: &Now) -> Result<(), Refusal> {
        let event = signed.event.id;
        let late_us = now.mesh.since_us(signed.event.expires());
        if late_us >= 0 {
            return Err(Refusal::EventExpired { event, late_us });
        }
        let digest = Hash::of(&encode(signed));
        if self.verified.get(&event) != Some(&digest) {
            signed.verify(&self.context, &self.rules.operators).map_err(|source| Refusal::Event { event, source })?;
            self.verified.insert_first(event, digest);
        }
        Ok(())
    }

    /// Each report is judged by itself; the first refusal is told after the others were heard.
    fn accept_stages(&mut self, from: NodeId, reports: Vec<LedStage>, now: &Now) -> Result<(), Refusal> {
        let judged = reports
            .into_iter()
            .map(|LedStage { tenure, report }| self.accept_up(from, Some(tenure), UpMessage::Stage(report), &[], now));
        judged.fold(Ok(()), Result::and)
    }

    fn accept_up(
        &mut self,
        from: NodeId,
        tenure: Option<Tenure>,
        message: UpMessage,
        answers: &[AnswerCount],
        now: &Now,
    ) -> Result<(), Refusal> {
        let child = match &message {
            UpMessage::Fold(fold) => fold.from,
            UpMessage::Stage(report) => report.from,
        };
        match child {
            Scope::Cluster(cluster) => {
                let sector = cluster.sector;
                if !self.coordinates(sector) {
                    return Err(Refusal::NotHere { scope: Scope::Sector(sector) });
                }
                self.check_lead(from, cluster, tenure.ok_or(Refusal::NoRight { scope: child })?, now)?;
                self.note_answers(Scope::Sector(sector), &message, answers);
                self.on_up_to_sector(now, sector, message);
                Ok(())
            }
            Scope::Sector(sector) => {
                let sent_there = match &message {
                    UpMessage::Fold(fold) => self.routes.get(&(fold.event, sector)) == Some(&from),
                    UpMessage::Stage(_) => false,
                };
                if !sent_there {
                    self.check_coordinator(from, sector)?;
                }
                self.note_answers(Scope::Global, &message, answers);
                self.on_up_to_orchestrator(now, sector, message);
                Ok(())
            }
            Scope::Global | Scope::Agent(_) => Err(Refusal::NoRight { scope: child }),
        }
    }

    /// Keeps the answers that came with a summary; more than agents released are left out, the summary counts all the same.
    fn note_answers(&mut self, own: Scope, message: &UpMessage, answers: &[AnswerCount]) {
        let UpMessage::Fold(fold) = message else { return };
        let groups = Groups::from_wire(answers);
        if groups.total() > fold.tally.trinary().ready {
            self.shared.count("answers");
        } else if groups.total() > 0 {
            self.answers.replace(fold.event, own, fold.from, groups);
        }
    }

    pub(super) fn accept_at_host(
        &mut self,
        from: NodeId,
        cluster: ClusterId,
        tenure: Tenure,
        message: &HostMessage,
        now: &Now,
    ) -> Result<(), Refusal> {
        self.check_lead(from, cluster, tenure, now)?;
        let foreign = |named: ClusterId| {
            if named == cluster { Ok(()) } else { Err(Refusal::NoRight { scope: Scope::Cluster(named) }) }
        };
        match message {
            HostMessage::Stage(signed) => self.check_event(signed, now)?,
            HostMessage::Prepare(prepare) => {
                foreign(prepare.cluster)?;
                self.check_agents(cluster, prepare.entries.iter().map(|entry| entry.agent))?;
            }
            HostMessage::Probe(probe) => {
                foreign(probe.cluster)?;
                self.check_agents(cluster, probe.agents.iter().copied())?;
            }
            HostMessage::Cancel { cluster: named, .. } => foreign(*named)?,
            HostMessage::Rights(rights) => {
                foreign(rights.cluster)?;
                self.check_agents(cluster, rights.orders.iter().map(|order| order.agent))?;
            }
        }
        let acting = self.acting.entry(cluster).or_insert((from, tenure));
        if tenure >= acting.1 {
            *acting = (from, tenure);
        }
        self.on_host_message(now, message);
        Ok(())
    }

    /// By the leases known here. A newer one than those is believed, but only of a node that could have been appointed.
    pub(super) fn check_lead(
        &self,
        from: NodeId,
        cluster: ClusterId,
        tenure: Tenure,
        now: &Now,
    ) -> Result<(), Refusal> {
        if !self.topology.may_lead(from, cluster) {
            return Err(Refusal::NoRight { scope: Scope::Cluster(cluster) });
        }
        self.view.check_lead(cluster, from, tenure, now.mesh).map_err(|source| Refusal::NotLead {
            node: from,
            cluster,
            source,
        })
    }

    /// The known coordinator; before any is known, a voter of the sector.
    fn check_coordinator(&self, from: NodeId, sector: SectorId) -> Result<(), Refusal> {
        let is_it = match self.view.coordinator(sector) {
            Some(coordinator) => coordinator == from,
            None => self.topology.is_voter(from, sector),
        };
        if is_it { Ok(()) } else { Err(Refusal::NotCoordinator { node: from, sector }) }
    }

    fn check_signer(&self, from: NodeId, signer: Option<PublicKey>) -> Result<(), Refusal> {
        match signer {
            Some(key) if self.topology.host_key(from) != Some(key) => Err(Refusal::WrongSigner { node: from, key }),
            _ => Ok(()),
        }
    }

    pub(super) fn check_agents(
        &self,
        cluster: ClusterId,
        agents: impl Iterator<Item = AgentId>,
    ) -> Result<(), Refusal> {
        let mut agents = agents;
        match agents.find(|agent| self.topology.cluster_of(*agent).is_some_and(|own| own != cluster)) {
            Some(agent) => Err(Refusal::ForeignAgent { agent, cluster }),
            None => Ok(()),
        }
    }
}
