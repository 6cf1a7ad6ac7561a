//! What the lead knows of all its agents at one instant, and who could stand by for whom: the base of a wave and of the
//! stage report.

use std::collections::BTreeMap;

use mesh30k_ledger::types::{AgentClass, AgentId, NodeId};

use super::super::hedge::{HedgeInputs, HedgePlan, hedge_plan};
use super::super::message::ARMED_ROUND_US;
use super::super::spec::class_index;
use super::{LeadMachine, Member};
use crate::clock::ClockEstimate;
use crate::delay::{ClassPrior, ClassTail, DelaySummary, MAX_LEAD_US, TailReading};
use crate::time::MeshTimeUs;

/// The primary's word should be in with the first, the standby ARMED with the second. 2.7 has 0.97 and 0.95; a prepare that is
/// there beforehand leaves room for more.
const PRIMARY_QUANTILE: f64 = 0.985;
const STANDBY_QUANTILE: f64 = 0.99;

/// One agent's figures for one kappa.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) clock: Option<ClockEstimate>,
    pub(super) summary: DelaySummary,
    /// How long before T its work begins, with the p of a slot that has a standby, if hedging is on.
    pub(super) start_us: f64,
    /// What its work seldom exceeds.
    work_us: f64,
    /// What it seldom exceeds as a standby, way and work.
    standby_us: f64,
}

impl Reading {
    /// What it needs from dispatch to ARMED when its work begins `start_us` before T.
    pub(super) fn lead_us(&self, start_us: f64) -> f64 {
        (self.summary.delivery_us + start_us).min(MAX_LEAD_US)
    }
}

#[derive(Clone, Copy, Debug)]
struct Standby {
    agent: AgentId,
    host: NodeId,
    standby_us: f64,
    way_us: f64,
}

/// The tails of all classes: of way and work, and of work alone.
#[derive(Debug)]
pub(super) struct TailReadings {
    pub(super) delays: [TailReading; 6],
    works: [TailReading; 6],
}

/// Readings of all agents.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) tails: TailReadings,
    pub(super) readings: BTreeMap<AgentId, Reading>,
    /// By class, the fastest first.
    standbys: [Vec<Standby>; 6],
}

impl Survey {
    /// When a standby for `agent` must be sent and the lead its primary then gets; none when nobody could stand by.
    /// `effects` adds the time in which the right changes hands.
    pub(super) fn hedge(&self, agent: AgentId, host: NodeId, class: AgentClass, effects: bool) -> Option<HedgePlan> {
        let reading = self.readings.get(&agent)?;
        let others = || self.standbys.get(class_index(class)).into_iter().flatten().filter(|s| s.agent != agent);
        // Another failure domain, where there is one.
        let standby = others().find(|s| s.host != host).or_else(|| others().next())?;
        let way_us = reading.summary.way_us;
        let round_us = ARMED_ROUND_US as f64;
        let handover_us = if effects { 2.0 * (standby.way_us + way_us) + round_us } else { 0.0 };
        Some(hedge_plan(&HedgeInputs {
            start_us: reading.start_us,
            work_us: reading.work_us,
            up_us: way_us + round_us,
            standby_us: standby.standby_us,
            handover_us,
        }))
    }
}

impl LeadMachine {
    /// Reads all agents; those that `may_stand_by` and are measured, not frozen and not down are offered as standbys.
    pub(super) fn survey(
        &self,
        now: MeshTimeUs,
        kappa: f64,
        hedged: bool,
        may_stand_by: impl Fn(&Member) -> bool,
    ) -> Survey {
        let tails = self.tail_readings();
        let mut survey = Survey { tails, readings: BTreeMap::new(), standbys: Default::default() };
        for (id, member) in &self.members {
            let reading = self.reading(member, now, kappa, hedged, &survey.tails);
            let able = reading.clock.is_some() && reading.summary.warm && !member.is_down();
            if hedged && able && !self.frozen.contains(id) && may_stand_by(member) {
                let (standby_us, way_us) = (reading.standby_us, reading.summary.way_us);
                let standby = Standby { agent: *id, host: member.link.host, standby_us, way_us };
                if let Some(list) = survey.standbys.get_mut(class_index(member.link.class)) {
                    list.push(standby);
                }
            }
            survey.readings.insert(*id, reading);
        }
        for list in &mut survey.standbys {
            list.sort_by(|a, b| a.standby_us.total_cmp(&b.standby_us).then(a.agent.cmp(&b.agent)));
        }
        survey
    }

    pub(super) fn tail_readings(&self) -> TailReadings {
        TailReadings {
            delays: self.tails.each_ref().map(ClassTail::reading),
            works: self.work_tails.each_ref().map(ClassTail::reading),
        }
    }

    pub(super) fn reading(
        &self,
        member: &Member,
        now: MeshTimeUs,
        kappa: f64,
        hedged: bool,
        tails: &TailReadings,
    ) -> Reading {
        let clock = member.clock.estimate(now);
        let summary = member.delay.summary(clock.as_ref(), &ClassPrior::of(member.link.class), kappa);
        let index = class_index(member.link.class);
        let work = |p| match tails.works.get(index) {
            Some(tail) => member.delay.start_us(&summary, tail, p),
            None => summary.work_us,
        };
        let standby_us = match tails.delays.get(index) {
            Some(tail) => member.delay.lead_us(&summary, tail, STANDBY_QUANTILE),
            None => summary.median_us,
        };
        let start_us = work(self.params.lead_probability(hedged));
        Reading { clock, summary, start_us, work_us: work(PRIMARY_QUANTILE), standby_us }
    }

    /// What an agent seldom exceeds as a standby: who is fastest stands by first.
    pub(super) fn standby_us(&self, member: &Member, now: MeshTimeUs, kappa: f64, tails: &TailReadings) -> f64 {
        self.reading(member, now, kappa, true, tails).standby_us
    }
}
