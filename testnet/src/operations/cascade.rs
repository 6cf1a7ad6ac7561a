//! Cascades in steps: a wave level by level, all at once, or class by class.

use std::time::Duration;

use mesh30k_core::event::{CLASSES, class_index};
use mesh30k_core::event::{Cascade, CascadeForm, CascadeStep, ClassSet, EventId, Onward, Reach, StepResult};
use mesh30k_ledger::types::AgentClass;
use mesh30k_node::api::types::EventReport;
use serde::Serialize;

use super::{OperationError, means_nobody};
use crate::events::{self, EventOrder};
use crate::wallet::Wallet;

/// How long after T the summary of a step may take to come back.
const SUMMARY_TIMEOUT: Duration = Duration::from_secs(15);
/// Leads and coordinators confirm at once; one that has not by then is taken not to.
const CONFIRM_WITHIN: Duration = Duration::from_secs(1);

/// One step of a cascade that is over.
#[derive(Clone, Debug, Serialize)]
pub struct StepRow {
    /// How far its event went: `sectors`, `clusters` or `agents`.
    pub reach: String,
    /// Its classes.
    pub classes: Vec<AgentClass>,
    /// Everybody enrolled at its dispatch.
    pub enrolled: u64,
    /// Of those, ready; above the agents, answered for.
    pub ready: u64,
    /// The share of them, parts per million; all of nobody.
    pub ready_ppm: u32,
    /// The share wanted.
    pub threshold_ppm: u32,
    /// Whether it was reached.
    pub reached: bool,
    /// Its event; none when the mesh has nobody of its classes.
    pub event: Option<EventId>,
}

/// A cascade that is over.
#[derive(Clone, Debug, Serialize)]
pub struct CascadeResult {
    /// `wave`, `parallel` or `priority_first`.
    pub form: CascadeForm,
    /// `done`, or `stopped`: a wave does not go below a level that is not confirmed.
    pub state: String,
    /// Whether every step reached its threshold.
    pub reached: bool,
    /// Its steps in order.
    pub steps: Vec<StepRow>,
    /// The report of the last event.
    pub report: Option<EventReport>,
}

/// Runs a cascade of `order`; `tell` hears of each step as it ends.
///
/// # Errors
/// When an event is refused, or the node can't be asked.
pub fn cascade(
    wallet: &Wallet,
    form: CascadeForm,
    order: &EventOrder,
    tell: &dyn Fn(&StepRow),
) -> Result<CascadeResult, OperationError> {
    let classes = match order.classes.as_slice() {
        [] if order.agents.is_empty() => ClassSet::MACHINES,
        [] => ClassSet::ALL,
        classes => ClassSet::of(classes),
    };
    let mut machine = Cascade::new(form, classes);
    let mut result = CascadeResult { form, state: String::new(), reached: false, steps: Vec::new(), report: None };
    loop {
        let step = match machine.current() {
            Onward::Next(step) => step,
            Onward::Stopped => break "stopped".clone_into(&mut result.state),
            Onward::Done => break "done".clone_into(&mut result.state),
        };
        let report = run(wallet, order, &step)?;
        let (enrolled, ready) = report.as_ref().map_or((0, 0), |report| counts(&step, report));
        machine.on_result(enrolled, ready);
        if let Some(over) = machine.results().last() {
            let row = row(over, report.as_ref().map(|report| report.event));
            tell(&row);
            result.steps.push(row);
        }
        result.report = report.or(result.report);
    }
    result.reached = !result.steps.is_empty() && result.steps.iter().all(|step| step.reached);
    Ok(result)
}

/// The step's event and what came of it; none when it means nobody.
fn run(wallet: &Wallet, order: &EventOrder, step: &CascadeStep) -> Result<Option<EventReport>, OperationError> {
    let mut order = EventOrder { classes: classes_of(step.classes), reach: step.reach, ..order.clone() };
    if step.reach != Reach::Agents {
        order.summary_after = CONFIRM_WITHIN;
    }
    match events::run(wallet, &order, SUMMARY_TIMEOUT) {
        Ok((_, report)) => Ok(Some(report)),
        Err(error) if means_nobody(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

const fn counts(step: &CascadeStep, report: &EventReport) -> (u64, u64) {
    let ready = match step.reach {
        Reach::Agents => report.ready,
        Reach::Clusters | Reach::Sectors => report.armed_by_target,
    };
    (report.enrolled, ready)
}

fn classes_of(set: ClassSet) -> Vec<AgentClass> {
    let mut classes: Vec<AgentClass> = CLASSES.into_iter().filter(|class| set.contains(*class)).collect();
    classes.sort_by_key(|class| class_index(*class));
    classes
}

fn row(over: &StepResult, event: Option<EventId>) -> StepRow {
    let reach = match over.step.reach {
        Reach::Agents => "agents",
        Reach::Clusters => "clusters",
        Reach::Sectors => "sectors",
    };
    StepRow {
        reach: reach.to_owned(),
        classes: classes_of(over.step.classes),
        enrolled: over.enrolled,
        ready: over.ready,
        ready_ppm: over.ready_ppm,
        threshold_ppm: over.step.threshold_ppm,
        reached: over.reached,
        event,
    }
}
