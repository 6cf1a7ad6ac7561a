//! `mesh30k event cascade --mode`: a cascade in steps, each judged by its threshold.

use anyhow::Result;
use clap::ValueEnum;
use mesh30k_core::event::CascadeForm;
use mesh30k_testnet::events::EventOrder;
use mesh30k_testnet::operations::{self, StepRow};

use super::print_report;
use crate::output::{json, line, percent};
use crate::session::Session;

/// How a cascade spreads.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Mode {
    /// All leads at once.
    Parallel,
    /// Sectors, then clusters, then agents; it stops at a level that is not confirmed.
    Wave,
    /// Classes D, C, B, A, E, one after the other; a missed threshold is noted.
    PriorityFirst,
}

impl From<Mode> for CascadeForm {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Parallel => Self::Parallel,
            Mode::Wave => Self::Wave,
            Mode::PriorityFirst => Self::PriorityFirst,
        }
    }
}

pub(super) fn run(session: &Session, key: &str, mode: Mode, order: &EventOrder) -> Result<()> {
    let quiet = session.wants_json();
    let tell = |step: &StepRow| {
        if !quiet {
            line(sentence(step));
        }
    };
    let result = operations::cascade(&session.wallet(key)?, mode.into(), order, &tell)?;
    if quiet {
        return json(&result);
    }
    let missed = result.steps.iter().filter(|step| !step.reached).count();
    let noted = if missed == 0 { String::new() } else { format!(", {missed} below the threshold") };
    line(format!("{}: {} steps{noted}", result.state, result.steps.len()));
    if let Some(report) = &result.report {
        print_report(report);
    }
    Ok(())
}

/// One step in one line.
fn sentence(step: &StepRow) -> String {
    let classes: Vec<String> = step.classes.iter().map(ToString::to_string).collect();
    let mark = if step.reached { "reached" } else { "MISSED" };
    let (reach, classes) = (&step.reach, classes.join(","));
    if step.event.is_none() {
        return format!("{reach:<8} {classes:<10} nobody of these classes is in the mesh");
    }
    format!(
        "{reach:<8} {classes:<10} {:>6} of {:>6} ready, {} ({} wanted): {mark}",
        step.ready,
        step.enrolled,
        percent(step.ready_ppm),
        percent(step.threshold_ppm)
    )
}
