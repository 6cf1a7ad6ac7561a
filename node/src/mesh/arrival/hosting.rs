//! The host's side: agents, their answers on the way out, freezes, and the truth for the harness.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::Duration;

use mesh30k_core::event::{AnswerBody, HostMessage, HostReply, Strategy};
use mesh30k_core::hosted::{HostedAction, HostedAgent};
use mesh30k_ledger::types::{AgentId, ClusterId, NodeId};

use super::bundle::BundleBook;
use super::content::{Question, SelfKnowledge};
use super::engine::{Engine, StagedEvent};
use super::pace::Pace;
use super::quiet::Spell;
use super::view::Now;
use super::wire::{Bundled, Message, Said, SaidGroup};
use crate::api::types::PauseRow;

impl Engine {
    /// Makes the hosted agents those that the ledger gives to this node.
    pub(super) fn refresh_hosted(&mut self, now: &Now) {
        let wanted: BTreeMap<AgentId, HostedAgent> = self
            .topology
            .roster()
            .hosted_by(self.me)
            .map(|agent| {
                let (class, capabilities, cluster) = (agent.class, agent.capabilities.0, agent.cluster);
                (agent.id, HostedAgent { agent: agent.id, class, capabilities, cluster })
            })
            .collect();
        for gone in self.host_list.keys().filter(|agent| !wanted.contains_key(*agent)) {
            self.hosted.remove(*gone);
        }
        for (id, spec) in &wanted {
            if self.host_list.get(id).is_some_and(|known| known != spec) {
                self.hosted.remove(*id);
            }
            self.hosted.add(now.wall_us, *spec);
        }
        self.measurements.retain(wanted.keys().copied());
        self.shared.metrics.agents.set(i64::try_from(wanted.len()).unwrap_or(i64::MAX));
        self.host_list = wanted;
    }

    /// Does what is due at the hosted agents.
    pub(super) fn poll_hosted(&mut self) {
        let now_us = self.clock.now().wall_us;
        if self.hosted.next_wakeup_us().is_some_and(|at| at <= now_us) {
            let actions = self.hosted.poll(now_us);
            self.hosted_actions(actions);
        }
    }

    /// The instants around T: agents are released, and what they have to say waits.
    pub(super) fn release_around_target(&mut self, spell: Spell) {
        let mut waiting = Vec::new();
        let mut due_us = spell.due_us;
        for (end_us, mut pace) in [(spell.released_us, Pace::Alone), (spell.end_us, Pace::Late)] {
            loop {
                let now_us = self.clock.now().wall_us;
                waiting.extend(self.hosted.poll_around_target(now_us));
                if now_us >= end_us {
                    break;
                }
                pace = pace.woken(due_us, now_us);
                let next_us = self.hosted.next_around_target_us(pace.together_us()).unwrap_or(end_us);
                due_us = next_us.max(now_us.saturating_add(pace.apart_us())).min(end_us);
                self.sleep_until(due_us);
            }
        }
        self.hosted_actions(waiting);
    }

    fn sleep_until(&self, wall_us: i64) {
        let pause_us = wall_us.saturating_sub(self.clock.now().wall_us).max(0);
        thread::sleep(Duration::from_micros(u64::try_from(pause_us).unwrap_or(0)));
    }

    fn hosted_actions(&mut self, actions: Vec<HostedAction>) {
        let mut bundles = BundleBook::new();
        for action in actions {
            match action {
                HostedAction::Reply(reply) => self.send_reply(reply, &mut bundles),
                HostedAction::Record(record) => {
                    if let Some(error_us) = record.release_error_us() {
                        self.shared.metrics.observe_release(error_us);
                    }
                    self.shared.harness.note_record(record);
                }
            }
        }
        self.send_bundles(bundles);
    }

    /// A lead's message, whose right to send it was checked.
    pub(super) fn on_host_message(&mut self, now: &Now, message: &HostMessage) {
        if let HostMessage::Stage(signed) = message {
            let event = &signed.event;
            let question = Question::of(event);
            if event.strategy == Strategy::Hold {
                self.quiet.expect(now.wall_at(event.target));
            }
            let staged = StagedEvent { target: event.target, question, weightless: event.weight_milli == 0 };
            self.staged.insert_first(event.id, staged);
        }
        if let HostMessage::Prepare(prepare) = message
            && self.shared.harness.is_enabled()
            && let Some(staged) = self.staged.get(&prepare.event)
        {
            let target_us = staged.target.0;
            for entry in &prepare.entries {
                if let Some(offset_us) = self.hosted.true_offset_us(entry.agent, target_us) {
                    let error_us = entry.target.0.saturating_sub(target_us.saturating_add(offset_us));
                    self.shared.harness.note_target(prepare.event, entry.slot, entry.agent, error_us);
                }
            }
        }
        self.hosted.on_message(now.wall_us, message);
        self.poll_hosted();
    }

    /// To whoever acts for the cluster now: by the lease table, or a newer right that was shown to this host.
    fn lead_of(&self, cluster: ClusterId) -> Option<NodeId> {
        let listed = self.view.lead(cluster, self.clock.now().mesh);
        let acting = self.acting.get(&cluster).copied();
        listed.into_iter().chain(acting).max_by_key(|(_, tenure)| *tenure).map(|(node, _)| node)
    }

    /// Answers to questions at once, others with what else goes to their lead.
    fn send_reply(&mut self, reply: HostReply, bundles: &mut BundleBook) {
        let mut said: BTreeMap<_, BTreeMap<String, Vec<AgentId>>> = BTreeMap::new();
        for answer in &reply.answers {
            let staged = match answer.body {
                AnswerBody::Armed { event, .. } | AnswerBody::Released { event, .. } => {
                    self.staged.get(&event).copied()
                }
                AnswerBody::Probe { .. } | AnswerBody::Conflict { .. } | AnswerBody::GaveUp { .. } => None,
            };
            self.measurements.on_answer(answer, staged.is_some_and(|staged| staged.weightless));
            if let AnswerBody::Released { event, .. } = answer.body
                && let Some(question) = staged.and_then(|staged| staged.question)
                && let Some(spec) = self.host_list.get(&answer.agent)
            {
                let frozen = self.paused.contains(&answer.agent);
                let known = SelfKnowledge { context: self.context_hash, class: spec.class, frozen };
                let groups = said.entry(event).or_default();
                groups.entry(question.answer(&known)).or_default().push(answer.slot);
            }
        }
        let group = |(answer, slots)| SaidGroup { answer, slots };
        let said =
            said.into_iter().map(|(event, groups)| Said { event, groups: groups.into_iter().map(group).collect() });
        let said: Vec<Said> = said.collect();
        match self.lead_of(reply.cluster) {
            Some(lead) if said.is_empty() => bundles.entry(lead).or_default().push(Bundled::Answers(reply)),
            Some(lead) => self.send(lead, Message::Reply { reply, said }),
            None => self.shared.count("no_lead"),
        }
    }

    /// Pauses and resumes hosted agents as the freezes say, and tells the leads here whom not to prepare.
    pub(super) fn apply_freezes(&mut self, now: &Now) {
        let (freezes, mesh) = (self.freezes.clone(), now.mesh);
        let change = self.hosted.set_frozen(|agent, cluster| freezes.is_frozen(agent, cluster, mesh));
        let frozen = |spec: &&HostedAgent| freezes.is_frozen(spec.agent, spec.cluster, mesh);
        self.paused = self.host_list.values().filter(frozen).map(|spec| spec.agent).collect();
        for (cluster, led) in &mut self.leads {
            let agents = self.topology.agents_of(*cluster).into_iter().map(|link| link.agent);
            let frozen: BTreeSet<AgentId> = agents.filter(|a| freezes.is_frozen(*a, *cluster, mesh)).collect();
            led.machine_mut().set_frozen(frozen);
        }
        if let Some((order, _)) = freezes.last_order
            && (change.paused > 0 || change.resumed > 0)
        {
            let paused = change.total_paused as u64;
            let in_scope = paused.max(change.resumed as u64);
            let paused_at_us = self.clock.now().wall_us;
            self.shared.harness.note_pause(PauseRow { order, in_scope, paused, paused_at_us });
        }
    }
}
