//! What this host knows of its agents' delays: their own processing times, and how their leads see the rest. Pure.

use std::collections::BTreeMap;

use mesh30k_core::delay::QuantileRing;
use mesh30k_core::event::{AgentAnswer, AnswerBody};
use mesh30k_core::registry::Impedance;
use mesh30k_ledger::types::AgentId;

use super::wire::Estimate;

/// From the 90th to the 95th percentile of a normal distribution, both counted from the median, thousandths.
const Q95_OF_Q90_MILLI: u64 = 1_284;

#[derive(Clone, Debug, Default)]
struct Measured {
    work: QuantileRing,
    /// The lead's: median and spread of delay and work together.
    seen: Option<(u64, u64)>,
    /// What follows from both, until one of them changes: a host asks twice a second, and little changed by then.
    impedance: Option<Impedance>,
}

/// The figures of all hosted agents.
#[derive(Debug, Default)]
pub(super) struct Measurements {
    agents: BTreeMap<AgentId, Measured>,
}

impl Measurements {
    /// Forgets agents that are not hosted any more and makes room for new ones.
    pub(super) fn retain(&mut self, agents: impl Iterator<Item = AgentId>) {
        let mut old = std::mem::take(&mut self.agents);
        self.agents = agents.map(|agent| (agent, old.remove(&agent).unwrap_or_default())).collect();
    }

    /// A hosted agent's answer on its way out. `weightless` says that its work was of weight zero.
    pub(super) fn on_answer(&mut self, answer: &AgentAnswer, weightless: bool) {
        let work_us = match answer.body {
            AnswerBody::Probe { work_us: Some(work_us), .. } => i64::from(work_us),
            AnswerBody::Armed { started, armed, .. } if weightless => armed.since_us(started),
            _ => return,
        };
        if let Some(measured) = self.agents.get_mut(&answer.agent) {
            measured.work.push(work_us.max(0) as f64);
            measured.impedance = None;
        }
    }

    /// A lead said how it sees an agent.
    pub(super) fn on_estimate(&mut self, estimate: &Estimate) {
        if let Some(measured) = self.agents.get_mut(&estimate.agent) {
            measured.seen = Some((u64::from(estimate.median_us), u64::from(estimate.spread_us)));
            measured.impedance = None;
        }
    }

    /// The figures for the heartbeat. The one-way delay is what the lead's figures leave after the agent's own work.
    pub(super) fn impedances(&mut self) -> BTreeMap<AgentId, Impedance> {
        let known = |measured: &mut Measured| {
            let impedance = measured.impedance.unwrap_or_else(|| measured.impedance());
            measured.impedance = Some(impedance);
            impedance
        };
        self.agents.iter_mut().map(|(agent, measured)| (*agent, known(measured))).collect()
    }
}

impl Measured {
    fn impedance(&self) -> Impedance {
        let work = self.work.sorted();
        let at = |ppm: usize| work.get(work.len().saturating_mul(ppm) / 1_000_000).map_or(0, |us| *us as u64);
        let (processing_p50_us, processing_p95_us) = (at(500_000), at(950_000));
        let (one_way_p50_us, one_way_p95_us) = self.seen.map_or((0, 0), |(median_us, spread_us)| {
            let p50 = median_us.saturating_sub(processing_p50_us);
            let spread95_us = spread_us.saturating_mul(Q95_OF_Q90_MILLI) / 1_000;
            (p50, p50.saturating_add(spread95_us.saturating_sub(processing_p95_us.saturating_sub(processing_p50_us))))
        });
        Impedance { one_way_p50_us, one_way_p95_us, processing_p50_us, processing_p95_us, queue_depth: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh30k_core::event::EventId;
    use mesh30k_core::time::{LocalTimeUs, TimeUs};

    #[test]
    fn own_work_is_measured_and_the_leads_view_gives_the_way() {
        let agent = AgentId(4);
        let mut measurements = Measurements::default();
        measurements.retain([agent].into_iter());
        let event = EventId::new(TimeUs(1), &[1; 32]);
        for work_us in 1..=20 {
            let (received, armed) = (LocalTimeUs(0), LocalTimeUs(work_us * 1_000));
            let body = AnswerBody::Armed { event, received, started: received, armed };
            measurements.on_answer(&AgentAnswer { agent, slot: agent, body }, true);
            measurements.on_answer(&AgentAnswer { agent: AgentId(9), slot: AgentId(9), body }, true);
        }
        assert_eq!(measurements.impedances()[&agent].one_way_p50_us, 0, "not seen by a lead yet");
        measurements.on_estimate(&Estimate { agent, median_us: 51_000, spread_us: 20_000 });
        let seen = measurements.impedances()[&agent];
        assert_eq!((seen.processing_p50_us, seen.processing_p95_us), (11_000, 20_000));
        assert_eq!((seen.one_way_p50_us, seen.one_way_p95_us), (40_000, 56_680));
        assert_eq!(measurements.impedances().len(), 1);
    }
}
