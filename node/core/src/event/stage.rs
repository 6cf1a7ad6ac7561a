//! Stage budgets and hit curves: what a subtree needs, reported upward so that its parent knows without asking (2.5).

use borsh::{BorshDeserialize, BorshSerialize};
use mesh30k_ledger::types::Scope;

use super::spec::{CLASSES, ClassSet, Strategy};
use crate::time::MeshTimeUs;

/// Leads at which the hit curve is given, milliseconds.
pub const HIT_GRID_MS: [u32; 16] =
    [5, 10, 20, 40, 80, 150, 250, 400, 600, 900, 1_400, 2_000, 3_000, 5_000, 8_000, 15_000];

/// What the agents of one class below a parent need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ClassStage {
    /// Agents, whatever their state.
    pub agents: u32,
    /// Lead with which all of them that are up reach the wanted probability, microseconds.
    pub budget_us: i64,
    /// Lead with which all of them that are up can be thrown to: their largest median, microseconds.
    pub throw_budget_us: i64,
    /// Expected hits in thousandths of an agent, by lead, at [`HIT_GRID_MS`].
    pub hits_milli: [u32; 16],
    /// Expected hits of a throw in thousandths, given enough lead.
    pub throw_hits_milli: u32,
}

/// The report of one subtree.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct StageReport {
    /// Which subtree.
    pub from: Scope,
    /// When it was sent, mesh time: the parent learns the stage delay from it.
    pub sent_at: MeshTimeUs,
    /// By class.
    pub classes: [ClassStage; 6],
    /// Machine agents (humans take hours to measure) with enough samples of their own.
    pub warm: u32,
    /// Agents taken to be down.
    pub down: u32,
}

impl ClassStage {
    /// Expected hits (agents) with `lead_us`, linear between the grid's points.
    #[must_use]
    pub fn hits(&self, lead_us: i64) -> f64 {
        let lead_ms = lead_us as f64 / 1_000.0;
        let mut below = (0.0, 0.0);
        for (at_ms, hits) in HIT_GRID_MS.iter().zip(&self.hits_milli) {
            let above = (f64::from(*at_ms), f64::from(*hits));
            if lead_ms < above.0 {
                let share = ((lead_ms - below.0) / (above.0 - below.0)).clamp(0.0, 1.0);
                return (below.1 + (above.1 - below.1) * share) / 1_000.0;
            }
            below = above;
        }
        below.1 / 1_000.0
    }

    /// Adds a child's class, which needs `stage_us` more from here.
    pub fn merge_shifted(&mut self, child: &Self, stage_us: i64) {
        self.agents = self.agents.saturating_add(child.agents);
        if child.agents > 0 {
            self.budget_us = self.budget_us.max(child.budget_us.saturating_add(stage_us));
            self.throw_budget_us = self.throw_budget_us.max(child.throw_budget_us.saturating_add(stage_us));
        }
        for (own, at_ms) in self.hits_milli.iter_mut().zip(HIT_GRID_MS) {
            let lead_us = i64::from(at_ms).saturating_mul(1_000).saturating_sub(stage_us);
            let hits = if lead_us > 0 { child.hits(lead_us) } else { 0.0 };
            *own = own.saturating_add((hits * 1_000.0) as u32);
        }
        self.throw_hits_milli = self.throw_hits_milli.saturating_add(child.throw_hits_milli);
    }
}

impl StageReport {
    /// An empty report.
    #[must_use]
    pub fn empty(from: Scope, sent_at: MeshTimeUs) -> Self {
        Self { from, sent_at, classes: [ClassStage::default(); 6], warm: 0, down: 0 }
    }

    /// The selected classes.
    pub fn selected(&self, classes: ClassSet) -> impl Iterator<Item = &ClassStage> {
        CLASSES.iter().zip(&self.classes).filter(move |(class, _)| classes.contains(**class)).map(|(_, stage)| stage)
    }

    /// Largest budget among the selected classes.
    #[must_use]
    pub fn budget_us(&self, classes: ClassSet, strategy: Strategy) -> i64 {
        let of = |s: &ClassStage| match strategy {
            Strategy::Hold => s.budget_us,
            Strategy::Throw => s.throw_budget_us,
        };
        self.selected(classes).filter(|s| s.agents > 0).map(of).max().unwrap_or(0)
    }

    /// Agents of the selected classes.
    #[must_use]
    pub fn agents(&self, classes: ClassSet) -> u32 {
        self.selected(classes).map(|s| s.agents).fold(0, u32::saturating_add)
    }

    /// Adds a child's report, which needs `stage_us` more from here.
    pub fn merge_shifted(&mut self, child: &Self, stage_us: i64) {
        for (own, theirs) in self.classes.iter_mut().zip(&child.classes) {
            own.merge_shifted(theirs, stage_us);
        }
        self.warm = self.warm.saturating_add(child.warm);
        self.down = self.down.saturating_add(child.down);
    }
}
