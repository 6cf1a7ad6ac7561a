//! Clock exchanges: a burst on joining and after a change, then every few seconds (2.2).

use std::collections::{BTreeMap, VecDeque};

use mesh30k_ledger::types::{AgentId, NodeId, SectorId};

use super::super::message::{HostMessage, MAX_BATCH, Probe};
use super::super::spec::class_index;
use super::{LeadAction, LeadCounters, LeadMachine};
use crate::clock::Exchange;
use crate::delay::ClassPrior;
use crate::time::{LocalTimeUs, MeshTimeUs, next_multiple};

/// Probes of a newly joined agent and their distance. The paper's 8 at 250 ms leave a restless link's minimum to luck;
/// 40 at 150 ms see it within six seconds.
pub(super) const JOIN_BURST: u16 = 40;
const BURST_PERIOD_US: i64 = 150_000;
/// Probes after a change-point (2.8).
const CHANGE_BURST: u16 = 8;
/// Probes after an exchange that contradicts the rest: as many as it takes to believe it.
const DOUBT_BURST: u16 = 8;
/// Every how many burst probes also run the calibration work.
const WORK_EVERY: u16 = 2;
/// Distance of probes of an agent whose burst went by without enough answers: they were lost on a mesh still forming, or the
/// host did not know yet who leads. Without it such an agent would stay unmeasured for good, for only a burst runs the
/// calibration work.
pub(super) const CATCH_UP_PERIOD_US: i64 = 1_000_000;
/// An agent that left so many probes in a row unanswered is caught up with in the usual rhythm until it is heard again, so that
/// the dead cost little and nobody counts as down within the few seconds that an answer may take.
const CATCH_UP_UNHEARD: u8 = 2;
/// Distance of probes otherwise: of a cluster that events come to, and of one that none came to for long (2.2).
const PERIOD_US: i64 = 5_000_000;
pub(super) const IDLE_PERIOD_US: i64 = 15_000_000;
/// Agents have their turns together: all agents of a sector in the usual rhythm, those whose turns are this near to each other
/// before. Who leads or hosts several clusters of a sector is woken once for all of them.
const CATCH_UP_GRID_US: i64 = 250_000;
const BURST_GRID_US: i64 = 50_000;
/// A host that says it kept an answer for longer is not believed.
pub(super) const MAX_WAITED_US: u32 = 1_000_000;
/// Probe rounds whose answers are still awaited.
const MAX_OUTSTANDING: usize = 256;

/// Send times of the probe rounds: the lead's own memory, so that no answer can claim another.
#[derive(Debug, Default)]
pub(super) struct Outstanding {
    /// Of the rounds up to `next`, consecutively.
    rounds: VecDeque<MeshTimeUs>,
    next: u32,
}

impl Outstanding {
    fn open(&mut self, now: MeshTimeUs) -> u32 {
        if self.rounds.len() >= MAX_OUTSTANDING {
            self.rounds.pop_front();
        }
        let seq = self.next;
        self.next = self.next.wrapping_add(1);
        self.rounds.push_back(now);
        seq
    }

    pub(super) fn correct(&mut self, by_us: i64) {
        self.rounds.iter_mut().for_each(|sent| *sent = sent.plus_us(by_us));
    }

    fn set_sent(&mut self, seq: u32, now: MeshTimeUs) {
        if let Some(sent) = self.index_of(seq).and_then(|index| self.rounds.get_mut(index)) {
            *sent = now;
        }
    }

    fn sent_at(&self, seq: u32) -> Option<MeshTimeUs> {
        self.rounds.get(self.index_of(seq)?).copied()
    }

    fn index_of(&self, seq: u32) -> Option<usize> {
        let back = self.next.wrapping_sub(seq);
        self.rounds.len().checked_sub(usize::try_from(back).ok()?)
    }
}

/// The first instant from `at` on that is a multiple of `grid_us` in the rhythm of the sector. The golden ratio keeps the rhythms
/// of any number of sectors apart.
pub(super) fn on_grid(at: MeshTimeUs, grid_us: i64, sector: SectorId) -> MeshTimeUs {
    let place = i64::from(sector.0.wrapping_mul(0x9E37_79B9) >> 16);
    let shift_us = place.saturating_mul(grid_us) >> 16;
    MeshTimeUs(next_multiple(at.0.saturating_sub(shift_us), grid_us).saturating_add(shift_us))
}

impl LeadMachine {
    /// Probes that are due, one message per host and kind.
    pub(super) fn probe_due(&mut self, now: MeshTimeUs) -> Vec<LeadAction> {
        let period_us = if self.is_idle(now) { IDLE_PERIOD_US } else { PERIOD_US };
        let mut batches: BTreeMap<(bool, NodeId), Vec<AgentId>> = BTreeMap::new();
        for (id, member) in self.members.iter_mut().filter(|(_, m)| m.next_probe <= now) {
            let burst = member.burst_left > 0;
            let catches_up = !burst && member.is_unmeasured();
            let work = catches_up || burst && member.burst_left.checked_rem(WORK_EVERY) == Some(0);
            member.burst_left = member.burst_left.saturating_sub(1);
            let (earliest_us, grid_us) = match (burst, catches_up) {
                (true, _) => (BURST_PERIOD_US, BURST_GRID_US),
                (false, true) if member.unheard < CATCH_UP_UNHEARD => (CATCH_UP_PERIOD_US, CATCH_UP_GRID_US),
                (false, true) => (PERIOD_US, CATCH_UP_GRID_US),
                // The turn nearest to one period from now.
                (false, false) => (period_us / 2, period_us),
            };
            member.unheard = member.unheard.saturating_add(u8::from(!burst));
            // After a stall of the caller the rhythm starts anew instead of catching up in one go.
            member.next_probe = on_grid(now.plus_us(earliest_us), grid_us, self.cluster.sector);
            batches.entry((work, member.link.host)).or_default().push(*id);
        }
        if batches.is_empty() {
            return Vec::new();
        }
        let seq = self.outstanding.open(now);
        let mut actions = Vec::new();
        for ((work, host), agents) in batches {
            for part in agents.chunks(MAX_BATCH) {
                let probe = Probe { cluster: self.cluster, seq, work, agents: part.to_vec() };
                actions.push(LeadAction::ToHost { host, message: HostMessage::Probe(probe) });
            }
        }
        actions
    }

    /// Something happens again: the next turn is that of a busy cluster.
    pub(super) fn wake_probes(&mut self, now: MeshTimeUs) {
        let next = on_grid(now, PERIOD_US, self.cluster.sector);
        self.members.values_mut().for_each(|member| member.next_probe = member.next_probe.min(next));
    }

    /// Probe round `seq` left at `now` only, not when [`Self::poll`] decided on it: it waited for those of other clusters.
    pub fn on_probe_sent(&mut self, seq: u32, now: MeshTimeUs) {
        self.outstanding.set_sent(seq, now);
    }

    /// A clock that may have been set is measured again at once.
    pub(super) fn probe_in_doubt(&mut self, now: MeshTimeUs, agent: AgentId) {
        if let Some(member) = self.members.get_mut(&agent)
            && member.clock.is_in_doubt()
            && member.burst_left == 0
        {
            member.burst_left = DOUBT_BURST;
            member.next_probe = now.plus_us(BURST_PERIOD_US);
        }
    }

    /// An agent answered a probe: one exchange, one delay, perhaps one processing sample, one z for the class.
    pub(super) fn on_probe_answer(
        &mut self,
        now: MeshTimeUs,
        agent: AgentId,
        seq: u32,
        (received, answered): (LocalTimeUs, LocalTimeUs),
        work_us: Option<u32>,
    ) {
        let (Some(t1), Some(member)) = (self.outstanding.sent_at(seq), self.members.get_mut(&agent)) else {
            LeadCounters::bump(&mut self.counters.unknown);
            return;
        };
        let prior = ClassPrior::of(member.link.class);
        let before = member.clock.estimate(now).map(|c| member.delay.summary(Some(&c), &prior, 1.0));
        let exchange = Exchange { t1, t2: received, t3: answered, t4: now };
        if member.clock.record(self.anchor, exchange).is_err() {
            LeadCounters::bump(&mut self.counters.absurd);
            return;
        }
        let Some(clock) = member.clock.estimate(now) else { return };
        member.delay.record_delay(t1, received, Some(&clock));
        member.answers = member.answers.saturating_add(1);
        if let Some(work_us) = work_us.filter(|w| i64::from(*w) <= answered.since_us(received)) {
            let work_us = f64::from(work_us);
            if let (Some(before), Some(works)) =
                (before.filter(|b| b.warm), self.work_tails.get_mut(class_index(member.link.class)))
            {
                works.record((work_us - before.work_us) / before.work_spread_us);
            }
            member.delay.record_work(work_us, 1.0);
        }
        let sample = member.delay.paired_sample_us(&clock, member.answers);
        if let (Some(before), Some(d)) = (before.filter(|b| b.warm), sample)
            && let Some(tail) = self.tails.get_mut(class_index(member.link.class))
        {
            tail.record((d - before.median_us) / before.spread_us);
        }
        let changed = member.burst_left == 0 && member.delay.detect_change(&clock);
        if changed {
            member.burst_left = CHANGE_BURST;
            member.next_probe = now;
        }
        let is_settled = before.is_some_and(|b| b.warm) && member.burst_left == 0;
        if !is_settled {
            self.staged = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_of_one_sector_fall_together_and_none_comes_early_or_a_grid_late() {
        for sector in [0, 1, 35, 36, 999].map(SectorId) {
            let mut turns = Vec::new();
            for at in (1_000_000..1_500_000).step_by(7_919).map(MeshTimeUs) {
                let turn = on_grid(at, CATCH_UP_GRID_US, sector);
                assert!((0..CATCH_UP_GRID_US).contains(&turn.since_us(at)), "{sector}: {at:?} became {turn:?}");
                turns.push(turn);
            }
            turns.dedup();
            assert!(turns.len() <= 3, "half a second has at most three turns: {turns:?}");
        }
    }

    #[test]
    fn the_turns_of_a_hundred_sectors_lie_apart() {
        let turn = |sector| on_grid(MeshTimeUs(0), PERIOD_US, SectorId(sector)).0;
        let mut turns: Vec<i64> = (0..100).map(turn).collect();
        turns.sort_unstable();
        assert!(turns.windows(2).all(|pair| (10_000..120_000).contains(&(pair[1] - pair[0]))), "{turns:?}");
    }

    #[test]
    fn a_round_that_left_later_is_measured_from_then() {
        let mut rounds = Outstanding::default();
        let seqs: Vec<u32> = (0..3).map(|at| rounds.open(MeshTimeUs(at))).collect();
        rounds.set_sent(seqs[1], MeshTimeUs(70));
        rounds.set_sent(9, MeshTimeUs(80));
        assert_eq!(
            seqs.iter().map(|seq| rounds.sent_at(*seq)).collect::<Vec<_>>(),
            [0, 70, 2].map(|at| Some(MeshTimeUs(at)))
        );
    }
}
