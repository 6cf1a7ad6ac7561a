//! Pipelines: what one event gathers is the payload of the next.

use mesh30k_core::event::{EventId, Pipeline, PipelineNext, gathered_text};
use mesh30k_core::time::MeshTimeUs;
use mesh30k_node::api::types::GatherAnswer;
use mesh30k_node::clock::wall_us;
use serde::Serialize;

use super::OperationError;
use super::gather::{GatherOrder, gather};
use crate::events::{self, EVENT_SLACK_US};
use crate::wallet::Wallet;

/// One stage as somebody wants it.
#[derive(Clone, Debug)]
pub struct StageOrder {
    /// What its agents are asked about what the stage before gathered.
    pub question: String,
    /// Whom, and how many must be ready.
    pub gather: GatherOrder,
}

/// One stage that is over.
#[derive(Clone, Debug, Serialize)]
pub struct StageRow {
    /// What was asked.
    pub question: String,
    /// Its event.
    pub event: EventId,
    /// T as foreseen before the first stage, mesh time in microseconds.
    pub first_forecast_us: i64,
    /// T as foreseen when the stage before was over.
    pub forecast_us: i64,
    /// T as it was.
    pub at_us: i64,
    /// What it gathered: the payload of the next.
    pub gathered: String,
    /// The judgement.
    pub judged: GatherAnswer,
}

/// A pipeline that is over.
#[derive(Clone, Debug, Serialize)]
pub struct PipelineResult {
    /// `done`, or `stopped` at a stage whose gather was partial.
    pub state: String,
    /// Its stages in order.
    pub stages: Vec<StageRow>,
}

/// Runs the stages one after the other; `go_on` hands on a partial result, too. `tell` hears of each stage as it ends.
///
/// # Errors
/// When a stage is refused, or the node can't be asked.
pub fn pipeline(
    wallet: &Wallet,
    orders: &[StageOrder],
    go_on: bool,
    tell: &dyn Fn(&StageRow),
) -> Result<PipelineResult, OperationError> {
    let mut needs_us = Vec::with_capacity(orders.len());
    let mut offset_us = 0;
    for order in orders {
        let plan = events::plan(wallet.client(), &order.gather.event)?;
        offset_us = plan.now_us.saturating_sub(wall_us());
        needs_us.push(plan.needs_us.saturating_add(EVENT_SLACK_US));
    }
    let now = || MeshTimeUs(wall_us().saturating_add(offset_us));
    let mut machine = Pipeline::new(now(), &needs_us)?;
    let first = machine.forecast();
    let mut stages: Vec<StageRow> = Vec::with_capacity(orders.len());
    let state = loop {
        let stage = match machine.next() {
            PipelineNext::Start(stage) => stage,
            PipelineNext::Stopped => break "stopped",
            PipelineNext::Done => break "done",
        };
        let Some(order) = orders.get(stage) else { break "done" };
        let at = |forecast: &[MeshTimeUs]| forecast.get(stage).map_or(0, |at| at.0);
        let forecast_us = at(&machine.forecast());
        let mut wanted = order.gather.clone();
        let before = stages.last().map(|row| row.gathered.as_str()).unwrap_or_default();
        wanted.event.payload = format!("{}\n{before}", order.question).into_bytes();
        let (started, judged) = gather(wallet, &wanted)?;
        machine.on_started(MeshTimeUs(started.at_us));
        machine.on_gathered(now(), go_on || judged.outcome == "SUCCESS");
        let report = &judged.report;
        let row = StageRow {
            question: order.question.clone(),
            event: started.id,
            first_forecast_us: at(&first),
            forecast_us,
            at_us: started.at_us,
            gathered: gathered_text(report.enrolled, report.ready, &report.answers),
            judged,
        };
        tell(&row);
        stages.push(row);
    };
    Ok(PipelineResult { state: state.to_owned(), stages })
}
