//! What the lead knows of all its agents at one instant, and who could stand by for whom: the base of a wave and of the
//! stage report.

use std::collections::BTreeMap;

use mesh30k_ledger::types::{AgentClass, AgentId, NodeId};

use super::super::hedge::{HedgeInputs, HedgePlan, hedge_plan};
use super::super::spec::class_index;
use super::{LeadMachine, Member};
use crate::clock::ClockEstimate;
use crate::delay::{ClassPrior, ClassTail, DelaySummary, TailReading};
use crate::time::MeshTimeUs;

/// Quantiles of 2.7: the primary's word should be in with the first, the standby ARMED with the second.
const PRIMARY_QUANTILE: f64 = 0.97;
const STANDBY_QUANTILE: f64 = 0.95;

/// One agent's figures for one kappa.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) clock: Option<ClockEstimate>,
    pub(super) summary: DelaySummary,
    /// L_p, with the p of a slot that has a standby, if hedging is on.
    pub(super) lead_us: f64,
    q97_us: f64,
    q95_us: f64,
}

#[derive(Clone, Copy, Debug)]
struct Standby {
    agent: AgentId,
    host: NodeId,
    q95_us: f64,
    way_us: f64,
}

/// The tails of all classes.
pub(super) type TailReadings = [TailReading; 6];

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
        let handover_us = if effects { 2.0 * (standby.way_us + way_us) } else { 0.0 };
        Some(hedge_plan(&HedgeInputs {
            lead_us: reading.lead_us,
            q97_us: reading.q97_us,
            up_us: way_us,
            standby_q95_us: standby.q95_us,
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
            let able = reading.clock.is_some() && reading.summary.warm && !member.delay.is_down();
            if hedged && able && !self.frozen.contains(id) && may_stand_by(member) {
                let (q95_us, way_us) = (reading.q95_us, reading.summary.way_us);
                let standby = Standby { agent: *id, host: member.link.host, q95_us, way_us };
                if let Some(list) = survey.standbys.get_mut(class_index(member.link.class)) {
                    list.push(standby);
                }
            }
            survey.readings.insert(*id, reading);
        }
        for list in &mut survey.standbys {
            list.sort_by(|a, b| a.q95_us.total_cmp(&b.q95_us).then(a.agent.cmp(&b.agent)));
        }
        survey
    }

    pub(super) fn tail_readings(&self) -> TailReadings {
        self.tails.each_ref().map(ClassTail::reading)
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
        let quantile = |p| match tails.get(class_index(member.link.class)) {
            Some(tail) => member.delay.lead_us(&summary, tail, p),
            None => summary.median_us,
        };
        Reading {
            clock,
            summary,
            lead_us: quantile(self.params.lead_probability(hedged)),
            q97_us: quantile(PRIMARY_QUANTILE),
            q95_us: quantile(STANDBY_QUANTILE),
        }
    }

    /// Q.95(D) of an agent as it stands now: who is fastest stands by first.
    pub(super) fn standby_q95_us(&self, member: &Member, now: MeshTimeUs, kappa: f64, tails: &TailReadings) -> f64 {
        self.reading(member, now, kappa, true, tails).q95_us
    }
}
