//! Standbys: when one must be sent, the lead its primary then gets, and how many a wave may use (2.7).

use crate::delay::MAX_LEAD_US;

/// Leads computed for hedging, one millisecond ahead of the standby's own (2.7), microseconds.
const HEDGE_TICK_US: f64 = 1_000.0;
/// Wave budgets that may be saved up: trouble comes in clusters, small leads round badly.
const SAVED_WAVES: i64 = 4;
/// One standby, in the budget's unit.
const ONE_PPM: i64 = 1_000_000;

/// What is known of a slot and its likely standby, microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HedgeInputs {
    /// How long before T the primary's work begins for p alone.
    pub start_us: f64,
    /// What its work seldom exceeds.
    pub work_us: f64,
    /// How long its ARMED is under way, u_up.
    pub up_us: f64,
    /// What the standby seldom exceeds, way and work.
    pub standby_us: f64,
    /// From the standby's ARMED to its grant, for events with effects; else zero.
    pub handover_us: f64,
}

/// When what happens to a slot with a standby behind it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HedgePlan {
    /// The primary's work begins this long before T.
    pub start_us: f64,
    /// If it is not known to be ARMED this long before T, the standby is sent.
    pub ahead_us: f64,
}

/// max(L_p, Q(work) + u_up + Q(D_standby)) (2.7; the prepare is there before, so the primary's own way is not in it), the
/// standby's part widened by a millisecond and the handover.
#[must_use]
pub fn hedge_plan(inputs: &HedgeInputs) -> HedgePlan {
    let ahead_us = inputs.standby_us + inputs.handover_us + HEDGE_TICK_US;
    let start_us = (inputs.work_us + inputs.up_us + ahead_us).min(MAX_LEAD_US);
    HedgePlan { start_us: inputs.start_us.max(start_us), ahead_us }
}

/// How many standbys a lead may still send: every wave adds its share, what is not used is saved for a few waves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HedgeBudget {
    saved_ppm: i64,
    most_ppm: i64,
    opened: bool,
}

impl HedgeBudget {
    /// A wave of `enrolled` agents begins.
    pub fn open_wave(&mut self, enrolled: usize, budget_ppm: u32) {
        let share = i64::try_from(enrolled).unwrap_or(i64::MAX).saturating_mul(i64::from(budget_ppm));
        self.most_ppm = if share == 0 { 0 } else { share.saturating_mul(SAVED_WAVES).max(ONE_PPM) };
        self.saved_ppm =
            if self.opened { self.saved_ppm.saturating_add(share).min(self.most_ppm) } else { self.most_ppm };
        self.opened = true;
    }

    /// Takes one standby out of the budget for a wave that has had `so_far`; false when nothing is left.
    pub fn take(&mut self, so_far: usize) -> bool {
        let left = self.saved_ppm.saturating_sub(ONE_PPM);
        // Waves may overlap: what a later one adds is not for an earlier one to spend beyond its own bound.
        let of_wave = i64::try_from(so_far).unwrap_or(i64::MAX).saturating_add(1).saturating_mul(ONE_PPM);
        if left < 0 || of_wave > self.most_ppm {
            return false;
        }
        self.saved_ppm = left;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lead_covers_the_primary_its_word_and_the_standby() {
        let inputs = HedgeInputs {
            start_us: 100_000.0,
            work_us: 80_000.0,
            up_us: 20_000.0,
            standby_us: 60_000.0,
            handover_us: 0.0,
        };
        let plan = hedge_plan(&inputs);
        assert_eq!((plan.start_us, plan.ahead_us), (161_000.0, 61_000.0));
        let plan = hedge_plan(&HedgeInputs { start_us: 900_000.0, handover_us: 50_000.0, ..inputs });
        assert_eq!((plan.start_us, plan.ahead_us), (900_000.0, 111_000.0));
    }

    #[test]
    fn a_long_run_stays_within_the_budget_and_a_burst_within_four_waves() {
        let mut budget = HedgeBudget::default();
        let mut used: u32 = 0;
        for wave in 0..200 {
            budget.open_wave(30, 50_000);
            let before = used;
            while budget.take((used - before) as usize) {
                used += 1;
            }
            assert!(used - before <= 6, "wave {wave}");
        }
        assert!((f64::from(used) - 6.0) <= 200.0 * 1.5 + 1.0, "{used}");
        assert!(f64::from(used) >= 199.0 * 1.5, "{used}");
    }

    #[test]
    fn overlapping_waves_do_not_spend_each_others_share() {
        let mut budget = HedgeBudget::default();
        budget.open_wave(30, 50_000);
        assert!((0..6).all(|n| budget.take(n)));
        budget.open_wave(30, 50_000);
        assert!(!budget.take(6), "the first has had its bound");
        assert!(budget.take(0), "the second has its own");
    }

    #[test]
    fn one_agent_alone_has_a_standby_now_and_then_and_a_budget_of_zero_has_none() {
        let mut budget = HedgeBudget::default();
        budget.open_wave(1, 50_000);
        assert!(budget.take(0) && !budget.take(1));
        budget.open_wave(1, 50_000);
        assert!(!budget.take(0));
        let mut none = HedgeBudget::default();
        none.open_wave(30_000, 0);
        assert!(!none.take(0));
    }
}
