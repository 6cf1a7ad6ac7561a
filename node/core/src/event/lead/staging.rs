//! What the cluster needs: stage budget A3 = max L_i + g and the hit curve, for the parent (2.5).

use super::super::spec::{ClassSet, class_index};
use super::super::stage::{HIT_GRID_MS, StageReport};
use super::probing::{IDLE_PERIOD_US, on_grid};
use super::survey::TailReadings;
use super::wave::TICK_US;
use super::{AgentView, LeadMachine, Member};
use crate::delay::within_probability;
use crate::time::{MeshTimeUs, round_us};

/// How often a stage report goes up while agents are being measured or events are under way, and for a while after.
const STAGE_PERIOD_US: i64 = 1_000_000;
const BUSY_US: i64 = 10_000_000;
/// How often otherwise, until the cluster is idle: then a probe each five seconds is all that changes it.
const STAGE_CALM_PERIOD_US: i64 = 5_000_000;
/// So long after the last event, or the last agent that had to be measured, a cluster is idle.
const IDLE_AFTER_US: i64 = 60_000_000;
/// How long one may be sent again while all that comes in are usual probes of agents known for long.
const STAGE_KEPT_US: i64 = 5_000_000;
/// (u90 - u50) of a normal distribution with standard deviation one.
const NORMAL_Q90: f64 = 1.281_551_6;
/// A standby is sent its own Q.99 before T (2.7).
const STANDBY_SAVES: f64 = 0.99;

impl LeadMachine {
    /// When the next report is due: clusters of one sector report at the same instants, which are instants of their probes as well, so
    /// that a node wakes once for all it leads and says it in one message.
    pub(super) fn next_stage_after(&mut self, now: MeshTimeUs) -> MeshTimeUs {
        let period_us = self.stage_period_us(now);
        on_grid(now.plus_us(1), period_us, self.cluster.sector)
    }

    fn stage_period_us(&mut self, now: MeshTimeUs) -> i64 {
        // One whose path changed is looked at closely, but that alone makes no cluster busy: among thirty there is always one.
        let measures = |m: &Member| m.is_unmeasured() && !m.is_down();
        if !self.waves.is_empty() || self.members.values().any(measures) {
            self.busy_at = now;
        }
        match now.since_us(self.busy_at) {
            ..BUSY_US => STAGE_PERIOD_US,
            BUSY_US..IDLE_AFTER_US => STAGE_CALM_PERIOD_US,
            IDLE_AFTER_US.. => IDLE_PERIOD_US,
        }
    }

    /// Nothing happened here for long.
    #[must_use]
    pub fn is_idle(&self, now: MeshTimeUs) -> bool {
        now.since_us(self.busy_at) >= IDLE_AFTER_US
    }

    /// An event came.
    pub(super) fn be_busy(&mut self, now: MeshTimeUs) {
        if self.is_idle(now) {
            self.wake_probes(now);
        }
        self.busy_at = now;
        self.next_stage = self.next_stage.min(self.next_stage_after(now));
    }

    /// The report of this cluster, computed anew when something weighty was learned, else now and then.
    pub(super) fn stage_again(&mut self, now: MeshTimeUs) -> StageReport {
        let kept = self.staged.take().filter(|(at, _)| (0..STAGE_KEPT_US).contains(&now.since_us(*at)));
        let (at, report) = kept.unwrap_or_else(|| (now, self.stage_report(now)));
        self.staged = Some((at, report.clone()));
        StageReport { sent_at: now, ..report }
    }

    /// The report of this cluster.
    #[must_use]
    pub fn stage_report(&self, now: MeshTimeUs) -> StageReport {
        let mut report = StageReport::empty(self.scope(), now);
        let survey = self.survey(now, 1.0, self.params.hedge, |_| true);
        for (id, member) in &self.members {
            let index = class_index(member.link.class);
            let (Some(stage), Some(tail)) = (report.classes.get_mut(index), survey.tails.delays.get(index)) else {
                continue;
            };
            let Some(reading) = survey.readings.get(id) else { continue };
            let (summary, down) = (reading.summary, member.is_down());
            stage.agents = stage.agents.saturating_add(1);
            let is_machine = ClassSet::MACHINES.contains(member.link.class);
            report.warm = report.warm.saturating_add(u32::from(summary.warm && is_machine));
            report.down = report.down.saturating_add(u32::from(down));
            let Some(clock) = reading.clock.filter(|_| !down && !self.frozen.contains(id)) else { continue };
            let g = self.params.hold_margin_us.saturating_add(TICK_US);
            let hedge = survey.hedge(*id, member.link.host, member.link.class, false);
            let lead_us = reading.lead_us(hedge.map_or(reading.start_us, |h| h.start_us));
            stage.budget_us = stage.budget_us.max(round_us(lead_us).saturating_add(g));
            let throw_us = round_us(summary.median_us).saturating_add(TICK_US);
            stage.throw_budget_us = stage.throw_budget_us.max(throw_us);
            let omega = self.params.omega_us as f64;
            let in_window = within_probability(clock.sigma_us, omega);
            for (slot, at_ms) in stage.hits_milli.iter_mut().zip(HIT_GRID_MS) {
                let given_us = f64::from(at_ms) * 1_000.0 - g as f64;
                let alone = member.delay.armed_probability(&summary, tail, given_us);
                let saved = if hedge.is_some() && given_us >= lead_us { STANDBY_SAVES } else { 0.0 };
                let hit = in_window * (alone + (1.0 - alone) * saved);
                *slot = slot.saturating_add((hit * 1_000.0) as u32);
            }
            let deviation = (summary.spread_us / NORMAL_Q90).hypot(clock.sigma_us);
            let thrown = within_probability(deviation, omega);
            stage.throw_hits_milli = stage.throw_hits_milli.saturating_add((thrown * 1_000.0) as u32);
        }
        report
    }

    pub(super) fn view(&self, member: &Member, now: MeshTimeUs, tails: &TailReadings) -> AgentView {
        let reading = self.reading(member, now, 1.0, self.params.hedge, tails);
        AgentView {
            agent: member.link.agent,
            clock: reading.clock,
            median_us: reading.summary.median_us,
            spread_us: reading.summary.spread_us,
            lead_us: reading.lead_us(reading.start_us),
            warm: reading.summary.warm,
            down: member.is_down(),
            faults: member.faults,
        }
    }
}
