//! The forms of a cascade: all at once, level by level, or class by class; and what a step's result means for the next.

use mesh30k_ledger::types::AgentClass;
use serde::{Deserialize, Serialize};

use super::spec::{ClassSet, Reach};

/// How an event spreads (20-arrival, operations).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CascadeForm {
    /// Down the tree, each level confirmed.
    Wave,
    /// All leads at once, for urgent broadcasts.
    Parallel,
    /// One class after the other.
    PriorityFirst,
}

/// Share of a step's agents that must be ready, parts per million.
const WAVE_PPM: u32 = 980_000;
const PARALLEL_PPM: u32 = 900_000;
/// The levels of [`CascadeForm::Wave`], from the top.
const LEVELS: [Reach; 3] = [Reach::Sectors, Reach::Clusters, Reach::Agents];
/// The order of [`CascadeForm::PriorityFirst`], with its thresholds.
const PRIORITY: [(AgentClass, u32); 5] = [
    (AgentClass::D, 990_000),
    (AgentClass::C, 980_000),
    (AgentClass::B, 950_000),
    (AgentClass::A, 900_000),
    (AgentClass::E, 850_000),
];

/// One event of a cascade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CascadeStep {
    /// Who takes part.
    pub classes: ClassSet,
    /// How far down the event goes; above the agents it only asks for confirmation.
    pub reach: Reach,
    /// Share of those enrolled that must be ready, parts per million.
    pub threshold_ppm: u32,
}

/// A step that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepResult {
    /// The step.
    pub step: CascadeStep,
    /// Everybody enrolled at its dispatch.
    pub enrolled: u64,
    /// Of those, ready: released, or above the agents answered for.
    pub ready: u64,
    /// Share that was ready, parts per million; all of nobody.
    pub ready_ppm: u32,
    /// Whether the threshold was reached.
    pub reached: bool,
}

/// What follows a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Onward {
    /// Start this one.
    Next(CascadeStep),
    /// A wave does not go below a level that is not confirmed.
    Stopped,
    /// All steps are over.
    Done,
}

/// A cascade under way. Pure: the caller starts an event a step and hands in what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cascade {
    form: CascadeForm,
    steps: Vec<CascadeStep>,
    results: Vec<StepResult>,
}

impl Cascade {
    /// A cascade to `classes`. Priority first goes through the machine classes in its own order; people are asked ahead and
    /// never waited for, and without any class of its order it has no step.
    #[must_use]
    pub fn new(form: CascadeForm, classes: ClassSet) -> Self {
        let steps = match form {
            CascadeForm::Wave => LEVELS.map(|reach| CascadeStep { classes, reach, threshold_ppm: WAVE_PPM }).to_vec(),
            CascadeForm::Parallel => {
                vec![CascadeStep { classes, reach: Reach::Agents, threshold_ppm: PARALLEL_PPM }]
            }
            CascadeForm::PriorityFirst => PRIORITY
                .into_iter()
                .filter(|(class, _)| classes.contains(*class))
                .map(|(class, threshold_ppm)| {
                    let classes = ClassSet::of(&[class]);
                    CascadeStep { classes, reach: Reach::Agents, threshold_ppm }
                })
                .collect(),
        };
        Self { form, steps, results: Vec::new() }
    }

    /// The step to start now.
    #[must_use]
    pub fn current(&self) -> Onward {
        let stopped = self.form == CascadeForm::Wave && self.results.last().is_some_and(|r| !r.reached);
        match self.steps.get(self.results.len()) {
            _ if stopped => Onward::Stopped,
            Some(step) => Onward::Next(*step),
            None => Onward::Done,
        }
    }

    /// What came of the current step: so many of those enrolled at its dispatch are ready. A threshold that was missed is
    /// noted; a wave stops there, the others go on.
    pub fn on_result(&mut self, enrolled: u64, ready: u64) -> Onward {
        if let Onward::Next(step) = self.current() {
            let share = ready.min(enrolled).saturating_mul(1_000_000).checked_div(enrolled).unwrap_or(1_000_000);
            let ready_ppm = u32::try_from(share).unwrap_or(u32::MAX);
            let reached = ready_ppm >= step.threshold_ppm;
            self.results.push(StepResult { step, enrolled, ready, ready_ppm, reached });
        }
        self.current()
    }

    /// What came of the steps so far, in order.
    #[must_use]
    pub fn results(&self) -> &[StepResult] {
        &self.results
    }
}
