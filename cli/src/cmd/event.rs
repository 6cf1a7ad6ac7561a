//! `mesh30k event`: start events and see how they arrived.

mod delegate;
mod gather;
mod pipeline;
mod steps;

use std::time::Duration;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use mesh30k_core::event::{Agreement, EventId, Session as EventSession, Strategy};
use mesh30k_ledger::types::{AgentClass, AgentId, Hash, SectorId};
use mesh30k_node::api::types::{EventReport, PlanAnswer, ReleaseRow};
use mesh30k_node::mesh::arrival::EventKind;
use mesh30k_testnet::client::ApiClient;
use mesh30k_testnet::events::{self, EventOrder, EventsError, When};
use mesh30k_testnet::render::histogram::histogram;
use serde::Serialize;

use crate::output::{json, line, percent, table};
use crate::session::Session;

/// How long after T the summary may take.
const SUMMARY_TIMEOUT: Duration = Duration::from_secs(15);

/// Start events and see how they arrived.
#[derive(Subcommand)]
pub(crate) enum Event {
    /// Everybody acts at one instant.
    #[command(after_help = "Examples: mesh30k event cascade --strategy hold --classes A,B,C\n          \
                            mesh30k event cascade --mode wave --sector 0\n          \
                            mesh30k event cascade --mode priority-first")]
    Cascade {
        #[command(flatten)]
        options: EventOptions,
        /// In steps, each judged by its threshold: all at once (0.90), down the tree level by level (0.98), or class by
        /// class (D 0.99, C 0.98, B 0.95, A 0.90, E 0.85).
        #[arg(long, value_enum, conflicts_with_all = ["in_ms", "at_best", "anyway"])]
        mode: Option<steps::Mode>,
        /// A release has effects: who is not armed in time does not release by itself.
        #[arg(long)]
        effects: bool,
    },
    /// Everybody works on a question at one instant; enough of them must be ready in a window.
    #[command(after_help = "Examples: mesh30k event gather --window-ms 10 --min-ready 0.95\n          \
                            mesh30k event gather state --agents 3,17,204 --timeout-ms 5000\n          \
                            mesh30k event gather digest --input \"plan 7\" --classes D --capability infer")]
    Gather(gather::Gather),
    /// Events one after the other: what one gathers is what the next is given.
    #[command(after_help = "Examples: mesh30k event pipeline class digest\n          \
                            mesh30k event pipeline A,B:state C:digest D:digest --min-ready 0.9 --go-on")]
    Pipeline(pipeline::PipelineArgs),
    /// Everybody is told something at one instant, and acknowledges what it was told.
    #[command(after_help = "Example: mesh30k event broadcast \"maintenance at noon\" --sector 0")]
    Broadcast {
        /// What they are told.
        text: String,
        #[command(flatten)]
        options: EventOptions,
    },
    /// Everybody, or a sample, answers a question at one instant: their context hash, class or state.
    #[command(after_help = "Examples: mesh30k event ask \"what is your context hash?\"\n          \
                            mesh30k event ask state --sample 100 --classes C,D")]
    Ask {
        /// The question.
        question: String,
        /// Ask only so many, drawn at random from all who are meant.
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=4_096))]
        sample: Option<u32>,
        #[command(flatten)]
        options: EventOptions,
    },
    /// A task to the best agent for it, found in the registry; paid and proven as every task.
    #[command(after_help = "Examples: mesh30k event delegate hello --key alice\n          \
                            mesh30k event delegate carbon_aggregate --input hours.csv --class D --max-score 500 --key bob")]
    Delegate(delegate::Delegate),
    /// Let another key start events for a while, without the operator's key at hand; prints the session.
    #[command(after_help = "Example: mesh30k event session --for alice --minutes 60 > alice.session")]
    Session {
        /// Name of the key that may sign.
        #[arg(long = "for", value_name = "KEY")]
        holder: String,
        /// How long.
        #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=10_080))]
        minutes: u64,
        /// The operator key that grants it.
        #[arg(long, default_value = "operator")]
        key: String,
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
    /// Only agents with this capability; several are all needed.
    #[arg(long, value_name = "NAME")]
    capability: Vec<String>,
    /// Only these agents, by number.
    #[arg(long, value_delimiter = ',', value_name = "AGENTS")]
    agents: Vec<AgentId>,
    /// The key that signs: an operator's, or that of a session.
    #[arg(long, default_value = "operator")]
    key: String,
    /// The session by which the key signs, as `mesh30k event session` printed it.
    #[arg(long, value_name = "FILE", value_parser = read_session)]
    session: Option<EventSession>,
}

fn read_session(path: &str) -> Result<EventSession, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    serde_json::from_str(&text).map_err(|error| format!("{path} holds no session: {error}"))
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
    /// Whether those who answered agree; none when nobody was asked anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    agreement: Option<Agreement>,
    /// True release minus T by the machine's clock, where a local test network shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    true_errors_us: Option<Vec<i64>>,
}

impl Event {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::Cascade { options, mode: Some(mode), effects } => {
                let order = EventOrder { effects, ..options.order(EventKind::Cascade, Vec::new()) };
                steps::run(session, &options.key, mode, &order)
            }
            Self::Cascade { options, mode: None, effects } => {
                let order = EventOrder { effects, ..options.order(EventKind::Cascade, Vec::new()) };
                start(session, &options, order)
            }
            Self::Gather(gather) => gather.run(session),
            Self::Pipeline(pipeline) => pipeline.run(session),
            Self::Delegate(delegate) => delegate.run(session),
            Self::Broadcast { text, options } => {
                let order = options.order(EventKind::Broadcast, text.into_bytes());
                start(session, &options, order)
            }
            Self::Ask { question, sample, options } => {
                let order = options.order(EventKind::Ask, question_word(&question).into_bytes());
                start(session, &options, EventOrder { sample, ..order })
            }
            Self::Session { holder, minutes, key } => {
                let holder = session.public(&holder)?;
                let lasts = Duration::from_secs(minutes.saturating_mul(60));
                json(&events::open_session(&session.wallet(&key)?, holder, lasts))
            }
            Self::Show { id } => {
                let report = events::show(&session.client()?, id)?;
                print(session, None, report, None)
            }
        }
    }
}

/// The word that agents know for a question put in more words.
fn question_word(question: &str) -> String {
    let plain = question.to_lowercase().replace([' ', '-'], "_");
    let known = ["context_hash", "class", "state", "digest"];
    known.into_iter().find(|word| plain.contains(word)).map_or_else(|| question.to_owned(), str::to_owned)
}

impl EventOptions {
    /// The event these options want, at the earliest instant.
    fn order(&self, kind: EventKind, payload: Vec<u8>) -> EventOrder {
        EventOrder {
            kind,
            sector: self.sector,
            classes: self.classes.clone(),
            capabilities: self.capability.clone(),
            agents: self.agents.clone(),
            payload,
            session: self.session,
            ..EventOrder::cascade(self.strategy.into())
        }
    }
}

fn start(session: &Session, options: &EventOptions, mut order: EventOrder) -> Result<()> {
    let wallet = session.wallet(&options.key)?;
    order.when = when(wallet.client(), options, &order)?;
    let (started, report) = events::run(&wallet, &order, SUMMARY_TIMEOUT)?;
    if !session.wants_json() {
        let plan = &started.plan;
        line(format!(
            "event {}: {} agents, lead {} ms, predicted within the window {}",
            started.id,
            plan.enrolled,
            started.at_us.saturating_sub(plan.now_us) / 1_000,
            percent(plan.predicted_hit_ppm)
        ));
    }
    let told = (order.kind == EventKind::Broadcast).then(|| Hash::of(&order.payload));
    print(session, Some(started.plan), report, told)
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

/// `told` is the hash of what a broadcast told, by which its acknowledgements are judged.
fn print(session: &Session, plan: Option<PlanAnswer>, report: EventReport, told: Option<Hash>) -> Result<()> {
    let truth = events::truth(&session.testnet_nodes(), report.event)?;
    if session.wants_json() {
        let true_errors_us = truth.map(|rows| rows.iter().map(|row| row.error_us).collect());
        let agreement = agreement_of(&report);
        return json(&Output { plan, report, agreement, true_errors_us });
    }
    print_report(&report);
    print_answers(&report, told);
    if let Some(rows) = truth {
        print_truth(&report, &rows);
    }
    Ok(())
}

/// What the mesh itself knows of an event.
pub(super) fn print_report(report: &EventReport) {
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
}

fn agreement_of(report: &EventReport) -> Option<Agreement> {
    (!report.answers.is_empty()).then(|| Agreement::of(&report.answers, report.enrolled))
}

/// Answers by how many gave them, and whether they agree; of a broadcast, who acknowledged it.
pub(super) fn print_answers(report: &EventReport, told: Option<Hash>) {
    let Some(agreement) = agreement_of(report) else { return };
    if let Some(told) = told.map(|hash| hash.to_string()) {
        let acked = report.answers.iter().find(|(answer, _)| *answer == told).map_or(0, |(_, count)| *count);
        let other = agreement.agreeing.saturating_add(agreement.differing).saturating_sub(acked);
        line(format!(
            "acknowledged: {acked} of {} were told the same, {other} something else, {} are silent",
            report.enrolled, agreement.silent
        ));
        return;
    }
    for (answer, count) in &report.answers {
        line(format!("{count:>7}  {answer}"));
    }
    line(format!(
        "agreement: {} say the same, {} differ ({} of those who answered), {} are silent",
        agreement.agreeing,
        agreement.differing,
        percent(agreement.divergence_ppm),
        agreement.silent
    ));
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
