//! The lead's doubt about its own time: its agents' time services outvote it together (2.9), and refine each other's
//! estimate alone (2.2).

use mesh30k_ledger::types::AgentId;

use super::{LeadCounters, LeadMachine};
use crate::clock::{HostClock, check_anchor};
use crate::time::{MeshTimeUs, round_us};

/// How often the agents are asked together.
const CHECK_PERIOD_US: i64 = 2_000_000;

impl LeadMachine {
    /// An agent's time service said how far the agent's clock is off.
    pub(super) fn on_host_clock(&mut self, now: MeshTimeUs, agent: AgentId, says: Option<HostClock>) {
        if let Some(member) = self.members.get_mut(&agent)
            && let Some(says) = says
        {
            member.clock.record_host(now, says);
        }
        self.probe_in_doubt(now, agent);
    }

    /// Compares what this lead measured with what its agents' services say.
    pub(super) fn check_own_time(&mut self, now: MeshTimeUs) {
        if now < self.next_anchor_check {
            return;
        }
        self.next_anchor_check = now.plus_us(CHECK_PERIOD_US);
        let samples: Vec<_> = self.members.values().filter_map(|m| m.clock.anchor_sample(now)).collect();
        let verdict = check_anchor(&samples);
        if verdict.alarm && !self.anchor_verdict.alarm {
            LeadCounters::bump(&mut self.counters.anchor_alarms);
        }
        self.anchor_verdict = verdict;
        for member in self.members.values_mut() {
            member.clock.set_anchor_error(verdict.error_us);
        }
    }

    /// This node's mesh time was corrected by `by_us`. All that was measured on it follows: exchanges of before would contradict
    /// those to come, and on a long path the old ones would be believed for minutes.
    pub fn correct_time(&mut self, by_us: i64) {
        if self.anchor_verdict.alarm {
            self.anchor_verdict.error_us += by_us as f64;
        }
        let error_us = self.anchor_verdict.error_us;
        for member in self.members.values_mut() {
            member.clock.correct(by_us);
            member.clock.set_anchor_error(error_us);
        }
        self.outstanding.correct(by_us);
    }

    /// T on this lead's own clock.
    pub(super) fn own_target(&self, target: MeshTimeUs) -> MeshTimeUs {
        target.plus_us(round_us(self.anchor_verdict.error_us))
    }
}
