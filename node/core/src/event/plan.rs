//! Whether an asked T can be kept: earliest feasible T and predicted hit rate from the stage budgets (2.5).

use thiserror::Error;

use super::spec::{ClassSet, Strategy};
use super::stage::StageReport;
use crate::delay::kappa;
use crate::time::{MeshTimeUs, round_us};

/// What is asked of the mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanRequest {
    /// The asked T; none for the earliest feasible one.
    pub target: Option<MeshTimeUs>,
    /// Which classes.
    pub classes: ClassSet,
    /// Hold or throw.
    pub strategy: Strategy,
    /// Weight of the work, thousandths; budgets are for weight zero and grow with kappa at most.
    pub weight_milli: u32,
    /// Time until the event reaches the orchestrator: signing, submission. Counted against the lead.
    pub slack_us: i64,
}

/// A T that can be kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// T.
    pub target: MeshTimeUs,
    /// Earliest T at which everybody has the wanted probability.
    pub earliest: MeshTimeUs,
    /// Lead the mesh needs, A1 and slack.
    pub needs_us: i64,
    /// Mean probability of a hit at `target`, over everybody enrolled.
    pub predicted_hit: f64,
    /// Agents the figures stand for.
    pub agents: u32,
}

/// Why there is no plan.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub enum PlanError {
    /// T is too near.
    #[error(
        "insufficient lead: needs {needs_ms} ms, has {has_ms} ms; earliest T is {earliest}, predicted hit rate at the asked T is {predicted_hit:.3}"
    )]
    InsufficientLead {
        /// Lead needed.
        needs_ms: i64,
        /// Lead there is.
        has_ms: i64,
        /// Earliest feasible T.
        earliest: MeshTimeUs,
        /// Mean probability of a hit at the asked T.
        predicted_hit: f64,
    },
    /// No agent of the asked classes is known.
    #[error("no agent of the asked classes is known to this node")]
    Nobody,
}

/// Plans from the report of the whole subtree as seen at the planning node.
///
/// # Errors
/// [`PlanError`]; it carries what the caller needs to decide otherwise.
pub fn plan(now: MeshTimeUs, report: &StageReport, request: &PlanRequest) -> Result<Plan, PlanError> {
    let agents = report.agents(request.classes);
    if agents == 0 {
        return Err(PlanError::Nobody);
    }
    let slack_us = request.slack_us.max(0);
    let kappa = kappa(request.weight_milli, 0);
    let budget_us = round_us(report.budget_us(request.classes, request.strategy) as f64 * kappa);
    let needs_us = budget_us.saturating_add(slack_us);
    let earliest = now.plus_us(needs_us);
    let target = request.target.unwrap_or(earliest);
    let has_us = target.since_us(now);
    let hits: f64 = report
        .selected(request.classes)
        .map(|stage| {
            let lead_us = has_us.saturating_sub(slack_us).max(0);
            match request.strategy {
                Strategy::Hold => stage.hits(round_us(lead_us as f64 / kappa)),
                Strategy::Throw if lead_us >= stage.throw_budget_us => f64::from(stage.throw_hits_milli) / 1_000.0,
                Strategy::Throw => stage.hits(lead_us).min(f64::from(stage.throw_hits_milli) / 1_000.0),
            }
        })
        .sum();
    let predicted_hit = (hits / f64::from(agents)).clamp(0.0, 1.0);
    if target < earliest {
        let needs_ms = ceil_ms(needs_us);
        let has_ms = has_us.checked_div(1_000).unwrap_or(0);
        return Err(PlanError::InsufficientLead { needs_ms, has_ms, earliest, predicted_hit });
    }
    Ok(Plan { target, earliest, needs_us, predicted_hit, agents })
}

fn ceil_ms(us: i64) -> i64 {
    us.saturating_add(999).checked_div(1_000).unwrap_or(0)
}
