//! `mesh30k event`: start events and see how they arrived.

use std::time::Duration;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use mesh30k_core::event::{EventId, Strategy};
use mesh30k_ledger::types::{AgentClass, SectorId};
use mesh30k_node::api::types::{EventReport, PlanAnswer, ReleaseRow};
use mesh30k_node::mesh::arrival::EventKind;
use mesh30k_testnet::client::ApiClient;
use mesh30k_testnet::events::{self, EventOrder, EventsError, When};
use mesh30k_testnet::render::histogram::histogram;
use serde::Serialize;

use crate::output::{json, line, table};
use crate::session::Session;

/// How long after T the summary may take.
const SUMMARY_TIMEOUT: Duration = Duration::from_secs(15);

/// Start events and see how they arrived.
#[derive(Subcommand)]
pub(crate) enum Event {
    /// Everybody acts at one instant.
    #[command(after_help = "Example: mesh30k event cascade --strategy hold --classes A,B,C")]
    Cascade {
        #[command(flatten)]
        options: EventOptions,
        /// A release has effects: who is not armed in time does not release by itself.
        #[arg(long)]
        effects: bool,
    },
    /// Everybody is told something at one instant.
    #[command(after_help = "Example: mesh30k event broadcast \"maintenance at noon\" --sector 0")]
    Broadcast {
        /// What they are told.
        text: String,
        #[command(flatten)]
        options: EventOptions,
    },
    /// Everybody answers a question at one instant: their context hash, class or state.
    #[command(after_help = "Example: mesh30k event ask \"what is your context hash?\"")]
    Ask {
        /// The question.
        question: String,
        #[command(flatten)]
        options: EventOptions,
    },
    /// How an event arrived.
    #[command(after_help = "Example: mesh30k event show 01976f3a5c2b4d5e6f708192a3b4c5d6")]
    Show {
        /// Its id.
        id: EventId,
    },
}

/// What all kinds have in common.
#[derive(Args)]
pub(crate) struct EventOptions {
    /// How arrival at T is brought about: hold until T, or throw so that it lands at T.
    #[arg(long, value_enum, default_value_t = StrategyName::Hold)]
    strategy: StrategyName,
    /// T is so many milliseconds from now; the earliest feasible instant when not given.
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(i64).range(0..=86_400_000))]
    in_ms: Option<i64>,
    /// When T is too near, take the earliest feasible instant instead.
    #[arg(long)]
    at_best: bool,
    /// When T is too near, go all the same.
    #[arg(long, conflicts_with = "at_best", requires = "in_ms")]
    anyway: bool,
    /// Only this sector.
    #[arg(long)]
    sector: Option<SectorId>,
    /// Only these classes, A to F; all but F (people) when not given.
    #[arg(long, value_delimiter = ',')]
    classes: Vec<AgentClass>,
    /// The operator key that signs.
    #[arg(long, default_value = "operator")]
    key: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum StrategyName {
    Hold,
    Throw,
}

impl From<StrategyName> for Strategy {
    fn from(name: StrategyName) -> Self {
        match name {
            StrategyName::Hold => Self::Hold,
            StrategyName::Throw => Self::Throw,
        }
    }
}

/// What `--json` prints.
#[derive(Serialize)]
struct Output {
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<PlanAnswer>,
    report: EventReport,
    /// True release minus T by the machine's clock, where a local test network shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    true_errors_us: Option<Vec<i64>>,
}

impl Event {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::Cascade { options, effects } => start(session, &options, EventKind::Cascade, Vec::new(), effects),
            Self::Broadcast { text, options } => {
                start(session, &options, EventKind::Broadcast, text.into_bytes(), false)
            }
            Self::Ask { question, options } => {
                start(session, &options, EventKind::Ask, question_word(&question).into_bytes(), false)
            }
            Self::Show { id } => {
                let report = events::show(&session.client()?, id)?;
                print(session, None, report)
            }
        }
    }
}

/// The word that agents know for a question put in more words.
fn question_word(question: &str) -> String {
    let plain = question.to_lowercase().replace([' ', '-'], "_");
    let known = ["context_hash", "class", "state"];
    known.into_iter().find(|word| plain.contains(word)).map_or_else(|| question.to_owned(), str::to_owned)
}

fn start(session: &Session, options: &EventOptions, kind: EventKind, payload: Vec<u8>, effects: bool) -> Result<()> {
    let wallet = session.wallet(&options.key)?;
    let mut order = EventOrder {
        kind,
        strategy: options.strategy.into(),
        when: When::Best,
        sector: options.sector,
        classes: options.classes.clone(),
        payload,
        effects,
    };
    order.when = when(wallet.client(), options, &order)?;
    let (started, report) = events::run(&wallet, &order, SUMMARY_TIMEOUT)?;
    if !session.wants_json() {
        let plan = &started.plan;
        line(format!(
            "event {}: {} agents, lead {} ms, predicted within the window {}.{} %",
            started.id,
            plan.enrolled,
            started.at_us.saturating_sub(plan.now_us) / 1_000,
            plan.predicted_hit_ppm / 10_000,
            plan.predicted_hit_ppm % 10_000 / 1_000
        ));
    }
    print(session, Some(started.plan), report)
}

fn when(client: &ApiClient, options: &EventOptions, order: &EventOrder) -> Result<When, EventsError> {
    let Some(in_ms) = options.in_ms else { return Ok(When::Best) };
    let now_us = events::plan(client, order)?.now_us;
    let at_us = now_us.saturating_add(in_ms.saturating_mul(1_000));
    if options.anyway {
        return Ok(When::Anyway(at_us));
    }
    let wanted = EventOrder { when: When::At(at_us), ..order.clone() };
    if options.at_best && !events::plan(client, &wanted)?.feasible {
        return Ok(When::Best);
    }
    Ok(When::At(at_us))
}

fn print(session: &Session, plan: Option<PlanAnswer>, report: EventReport) -> Result<()> {
    let truth = events::truth(&session.testnet_nodes(), report.event)?;
    if session.wants_json() {
        let true_errors_us = truth.map(|rows| rows.iter().map(|row| row.error_us).collect());
        return json(&Output { plan, report, true_errors_us });
    }
    line(format!(
        "state {}, quorum {}{}",
        report.state,
        report.quorum,
        if report.corrected { ", corrected by late answers" } else { "" }
    ));
    line(format!(
        "enrolled {}  ready {}  conflict {}  transit {}  (standbys sent {}, released twice {})",
        report.enrolled, report.ready, report.conflict, report.transit, report.hedged, report.duplicates
    ));
    line(format!(
        "by the mesh's own estimate: {} within ±5 ms, {} within ±10 ms, {} within ±50 ms of T",
        report.estimated_within_5ms, report.estimated_within_10ms, report.estimated_within_50ms
    ));
    let rows = report.classes.iter().map(|row| {
        [
            row.class.to_string(),
            row.enrolled.to_string(),
            row.ready.to_string(),
            row.late.to_string(),
            row.conflict.to_string(),
            row.transit.to_string(),
        ]
        .to_vec()
    });
    line(table(&["class", "enrolled", "ready", "late", "conflict", "transit"], &[1, 2, 3, 4, 5], rows.collect()));
    for (answer, count) in &report.answers {
        line(format!("{count:>7}  {answer}"));
    }
    if let Some(rows) = truth {
        print_truth(&report, &rows);
    }
    Ok(())
}

/// What the test network's harness saw; agents' delays are replayed there, which is said.
fn print_truth(report: &EventReport, rows: &[ReleaseRow]) {
    let errors_us: Vec<i64> = rows.iter().map(|row| row.error_us).collect();
    let within = |us: u64| errors_us.iter().filter(|error| error.unsigned_abs() <= us).count();
    line(format!(
        "by the harness (true time, replayed delays): {} within ±5 ms, {} within ±10 ms, {} within ±50 ms",
        within(5_000),
        within(10_000),
        within(50_000)
    ));
    let missing = report.enrolled.saturating_sub(errors_us.len() as u64);
    for text in histogram(&errors_us, missing) {
        line(text);
    }
}

#[cfg(test)]
mod tests {
    use super::question_word;

    #[test]
    fn questions_in_words_become_the_word_agents_know() {
        assert_eq!(question_word("what is your context hash?"), "context_hash");
        assert_eq!(question_word("State"), "state");
        assert_eq!(question_word("why?"), "why?");
    }
}
