//! Standbys at the lead: who stands by for whom, and who may release a slot (2.7; 05-decisions, 22).

use std::collections::BTreeMap;

use mesh30k_ledger::types::{AgentId, NodeId};

use super::super::id::EventId;
use super::super::message::{HostMessage, PrepareEntry, RightOrder, SlotRight, SlotRights};
use super::wave::{Dispatch, Party, StandbyParty, Wave};
use super::{LeadAction, LeadMachine};
use crate::delay::kappa;
use crate::time::{LocalTimeUs, MeshTimeUs, round_us};

/// Slots one agent stands by for in one wave, at most: more would be a queue.
const MAX_DUTIES: usize = 2;

impl LeadMachine {
    /// Sends standbys for slots that are due one.
    pub(super) fn hedge_wave(&mut self, now: MeshTimeUs, id: EventId) -> Vec<LeadAction> {
        let mut by_host: BTreeMap<NodeId, Vec<PrepareEntry>> = BTreeMap::new();
        while let Some(slots) = self.due_hedges(now, id) {
            for slot in slots {
                if let Some((host, entry)) = self.hedge_slot(now, id, slot) {
                    by_host.entry(host).or_default().push(entry);
                }
            }
        }
        self.prepares(now, id, by_host)
    }

    fn due_hedges(&mut self, now: MeshTimeUs, id: EventId) -> Option<Vec<AgentId>> {
        let wave = self.waves.get_mut(&id)?;
        let first = wave.hedges.first_entry().filter(|e| *e.key() <= now)?;
        Some(first.remove())
    }

    fn hedge_slot(&mut self, now: MeshTimeUs, id: EventId, slot: AgentId) -> Option<(NodeId, PrepareEntry)> {
        let wave = self.waves.get(&id)?;
        let dispatch = wave.agents.get(&slot)?;
        let served = dispatch.primary.armed.is_some() || dispatch.is_over() || now >= wave.target;
        if served || self.frozen.contains(&slot) {
            return None;
        }
        let (agent, host) = self.choose_standby(now, wave, slot)?;
        let target = self.members.get(&agent)?.clock.estimate(now)?.to_local(wave.target);
        // In place of one that is not asked it costs no more than that one would.
        let has_budget = dispatch.is_substituted || {
            let so_far = wave.agents.values().filter(|d| d.standby.is_some() && !d.is_substituted).count();
            self.budget.take(so_far)
        };
        // A substitute has the time that the agent itself would have; a standby begins at once.
        let start = if dispatch.is_substituted {
            target.minus_us(self.substitute_start_us(now, agent, wave)?)
        } else {
            LocalTimeUs(i64::MIN)
        };
        let dispatch = self.waves.get_mut(&id)?.agents.get_mut(&slot)?;
        if !has_budget {
            dispatch.unhedged = true;
            return None;
        }
        let party = Party { sent_at: Some(now), target, ..Party::default() };
        dispatch.standby = Some(StandbyParty { agent, party, granted: false });
        Some((host, PrepareEntry { agent, slot, target, start }))
    }

    /// Of the same class and enrolled in the same wave; in another failure domain where there is one, then who already
    /// showed in this wave that it is there, then the least burdened, then the fastest.
    fn choose_standby(&self, now: MeshTimeUs, wave: &Wave, slot: AgentId) -> Option<(AgentId, NodeId)> {
        let class = wave.agents.get(&slot)?.class;
        let own_host = self.members.get(&slot).map(|m| m.link.host);
        let kappa = kappa(wave.weight_milli, 0);
        let tails = self.tail_readings();
        let duties = |agent: AgentId| {
            wave.agents.values().filter(|d| d.standby.as_ref().is_some_and(|s| s.agent == agent)).count()
        };
        let candidates = wave.agents.iter().filter(|(id, d)| **id != slot && d.class == class && d.conflict.is_none());
        let ranked = candidates.filter_map(|(id, dispatch)| {
            let member = self.members.get(id)?;
            let able = !self.frozen.contains(id) && !member.is_down() && member.clock.estimate(now).is_some();
            let burden = duties(*id);
            if !able || burden >= MAX_DUTIES {
                return None;
            }
            let same_domain = own_host == Some(member.link.host);
            let standby_us = round_us(self.standby_us(member, now, kappa, &tails));
            Some((same_domain, dispatch.primary.armed.is_none(), burden, standby_us, *id, member.link.host))
        });
        ranked.min().map(|(.., agent, host)| (agent, host))
    }

    /// How long before T the work of an agent begins that takes the place of another.
    fn substitute_start_us(&self, now: MeshTimeUs, agent: AgentId, wave: &Wave) -> Option<i64> {
        let member = self.members.get(&agent)?;
        let reading = self.reading(member, now, kappa(wave.weight_milli, 0), false, &self.tail_readings());
        Some(round_us(reading.start_us).saturating_add(self.params.hold_margin_us))
    }

    /// What follows for the rights in `slot` after something was heard of it.
    pub(super) fn settle_rights(&mut self, event: EventId, slot: AgentId) -> Vec<LeadAction> {
        let Some(wave) = self.waves.get_mut(&event) else { return Vec::new() };
        let effects = wave.effects;
        let Some(dispatch) = wave.agents.get_mut(&slot) else { return Vec::new() };
        let order = next_order(effects, slot, dispatch);
        let Some(order) = order else { return Vec::new() };
        let Some(host) = self.members.get(&order.agent).map(|m| m.link.host) else { return Vec::new() };
        let rights = SlotRights { cluster: self.cluster, event, orders: vec![order] };
        vec![LeadAction::ToHost { host, message: HostMessage::Rights(rights) }]
    }
}

/// The one order that follows from a slot's state; it is noted as given.
fn next_order(effects: bool, slot: AgentId, dispatch: &mut Dispatch) -> Option<RightOrder> {
    let primary = &mut dispatch.primary;
    let standby = dispatch.standby.as_mut().filter(|s| s.party.is_awaited())?;
    let order = |agent, right| Some(RightOrder { agent, slot, right });
    let served = primary.released.is_some() || dispatch.conflict.is_some() || primary.holds() && !primary.dismissed;
    if served && !standby.party.dismissed {
        standby.party.dismissed = true;
        return order(standby.agent, SlotRight::GiveUp);
    }
    if !effects || served || standby.granted {
        return None;
    }
    // A primary that was never sent, or said that it never will, leaves the right to its standby.
    if primary.ended || primary.sent_at.is_none() {
        standby.granted = true;
        return order(standby.agent, SlotRight::Grant);
    }
    if standby.party.holds() && !primary.dismissed {
        primary.dismissed = true;
        return order(slot, SlotRight::GiveUp);
    }
    None
}
