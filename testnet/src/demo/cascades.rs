//! Step 2: the same agents, asked to act at one instant, three times by hold and three times by throw.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use mesh30k_core::event::{EventId, MissCause, Strategy};
use mesh30k_ledger::types::AgentClass;
use mesh30k_node::api::types::{AgentRow, ReleaseRow};
use serde::Serialize;

use super::Stage;
pub use super::truth::Score;
use super::truth::{Tally, describe};
use crate::events::{self, EventOrder};
use crate::render::{grouped, histogram, millis, percent};

/// Cascades of each strategy.
const ROUNDS: usize = 3;
/// How long the summary may take after T.
const SUMMARY_TIMEOUT: Duration = Duration::from_secs(20);
/// How long stragglers may still release before the truth is collected; later than this they are misses anyway.
const GRACE_PACE: Duration = Duration::from_millis(250);
const GRACE_LOOKS: usize = 4;
/// Agents listed per class, at most.
const AGENTS_MAX: usize = 10_000;
/// What hold must reach: parts per million of everybody enrolled within ±10 ms.
const HOLD_PPM_MIN: u64 = 950_000;

/// One cascade: counts, so that whoever reads may divide.
#[derive(Clone, Debug, Serialize)]
pub struct Cascade {
    /// `hold` or `throw`.
    pub strategy: &'static str,
    /// Everybody enrolled at dispatch: the denominator of everything.
    pub enrolled: u64,
    /// Released within 5 ms of T by the harness's truth.
    pub within_5ms: u64,
    /// Within 10 ms.
    pub within_10ms: u64,
    /// Within 50 ms.
    pub within_50ms: u64,
    /// Median distance from T over everybody enrolled, microseconds; null when half of them never released.
    pub median_abs_us: Option<u64>,
    /// Contradictions, by the mesh's own count.
    pub conflicts: u64,
    /// Never answered, by the mesh's own count.
    pub transit: u64,
    /// Released at all.
    pub released: u64,
    /// From the plan to T, microseconds.
    pub lead_us: i64,
    /// Misses of ±10 ms by cause.
    pub misses: BTreeMap<String, u64>,
    #[serde(skip)]
    score: Score,
}

impl Cascade {
    /// A cascade with its score; `conflicts` and `transit` are the mesh's own counts.
    #[must_use]
    pub fn new(strategy: Strategy, score: Score, conflicts: u64, transit: u64, lead_us: i64) -> Self {
        let total = &score.total;
        Self {
            strategy: name(strategy),
            enrolled: total.enrolled,
            within_5ms: total.within(5),
            within_10ms: total.within(10),
            within_50ms: total.within(50),
            median_abs_us: total.median_abs_us(),
            conflicts,
            transit,
            released: total.errors_us.len() as u64,
            lead_us,
            misses: score.causes.iter().map(|(cause, count)| (cause_name(*cause).to_owned(), *count)).collect(),
            score,
        }
    }

    /// Its score.
    #[must_use]
    pub const fn score(&self) -> &Score {
        &self.score
    }
}

const fn name(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Hold => "hold",
        Strategy::Throw => "throw",
    }
}

const fn cause_name(cause: MissCause) -> &'static str {
    match cause {
        MissCause::LeadTooShort => "lead_too_short",
        MissCause::ClockError => "clock_error",
        MissCause::WokenLate => "woken_late",
        MissCause::DelaySpread => "delay_spread",
        MissCause::Conflict => "conflict",
        MissCause::Silent => "silent",
    }
}

/// What does not hold over all cascades.
#[must_use]
pub fn failures(cascades: &[Cascade]) -> Vec<String> {
    let (hold, throw) = (sum(cascades, Strategy::Hold).total, sum(cascades, Strategy::Throw).total);
    let mut failures = Vec::new();
    if hold.enrolled == 0 || throw.enrolled == 0 {
        failures.push("nobody was enrolled".to_owned());
        return failures;
    }
    let ppm = |tally: &Tally| u128::from(tally.within(10)) * 1_000_000 / u128::from(tally.enrolled.max(1));
    if ppm(&hold) < u128::from(HOLD_PPM_MIN) {
        let (hits, all) = (hold.within(10), hold.enrolled);
        let share = percent(hits, all);
        failures.push(format!("hold: {hits} of {all} enrolled within ±10 ms ({share}), wanted at least 95 %"));
    }
    if ppm(&hold) <= ppm(&throw) {
        failures.push(format!(
            "hold does not beat throw: {} of {} against {} of {} within ±10 ms",
            hold.within(10),
            hold.enrolled,
            throw.within(10),
            throw.enrolled
        ));
    }
    failures
}

/// All cascades of one strategy together.
fn sum(cascades: &[Cascade], strategy: Strategy) -> Score {
    let mut score = Score::default();
    cascades.iter().filter(|cascade| cascade.strategy == name(strategy)).for_each(|cascade| score.add(&cascade.score));
    score
}

/// Runs all cascades, alternating, and shows them; `done` receives each as it is complete, so that none is lost to an error.
///
/// # Errors
/// When a plan, an event or the truth can't be had.
pub fn run(stage: &Stage<'_>, done: &mut Vec<Cascade>) -> Result<()> {
    let by_class = agents_by_class(stage)?;
    stage.console.text(
        "Everybody but humans is asked to act at one instant T. Throw sends so that the message should land at T; \
                        hold arms everybody early and releases at T by each agent's own clock.",
    );
    stage.console.line("");
    stage
        .console
        .line(&line(["strategy", "T after", "enrolled", "±5 ms", "±10 ms", "±50 ms", "median"].map(str::to_owned)));
    for _ in 0..ROUNDS {
        for strategy in [Strategy::Hold, Strategy::Throw] {
            stage.stop.check()?;
            let cascade = one(stage, strategy, &by_class)?;
            show_line(stage, &cascade);
            done.push(cascade);
        }
    }
    for strategy in [Strategy::Hold, Strategy::Throw] {
        show_strategy(stage, strategy, &sum(done, strategy));
    }
    stage.console.note(
        "Counted by the harness, which alone knows the true clocks; everybody enrolled is the denominator, and whoever never \
         released is a miss. The agents' delays are replayed from measured series (Seattle, PlanetLab, cities).",
    );
    Ok(())
}

/// How many agents of each class take part.
fn agents_by_class(stage: &Stage<'_>) -> Result<BTreeMap<AgentClass, u64>> {
    let mut counts = BTreeMap::new();
    for class in AgentClass::ALL.into_iter().filter(|class| *class != AgentClass::F) {
        let path = format!("/v1/mesh/agents?class={class}&limit={AGENTS_MAX}");
        let rows: Vec<AgentRow> = stage.operator.client().get(&path)?;
        counts.insert(class, rows.len() as u64);
    }
    Ok(counts)
}

fn one(stage: &Stage<'_>, strategy: Strategy, by_class: &BTreeMap<AgentClass, u64>) -> Result<Cascade> {
    let (started, report) = events::run(&stage.operator, &EventOrder::cascade(strategy), SUMMARY_TIMEOUT)?;
    let rows = truth(stage, started.id, report.enrolled)?;
    let score = Score::of(strategy, report.enrolled, report.conflict, by_class, &rows);
    let lead_us = started.at_us.saturating_sub(started.plan.now_us);
    Ok(Cascade::new(strategy, score, report.conflict, report.transit, lead_us))
}

/// True releases from every node; waits a little for stragglers.
pub(crate) fn truth(stage: &Stage<'_>, event: EventId, enrolled: u64) -> Result<Vec<ReleaseRow>> {
    let path = format!("/v1/harness/releases?event={event}");
    let mut rows: Vec<ReleaseRow> = Vec::new();
    for _ in 0..GRACE_LOOKS {
        rows = stage.ask_all::<Vec<ReleaseRow>>(&path)?.into_iter().flatten().collect();
        if rows.len() as u64 >= enrolled {
            break;
        }
        stage.stop.pause(GRACE_PACE)?;
    }
    Ok(rows)
}

/// One row of the running list: printed as it happens, so the columns are fixed.
fn line([strategy, lead, enrolled, five, ten, fifty, median]: [String; 7]) -> String {
    format!("  {strategy:<8}{lead:>10}{enrolled:>10}{five:>10}{ten:>10}{fifty:>10}{median:>10}")
}

fn show_line(stage: &Stage<'_>, cascade: &Cascade) {
    stage.console.line(&line([
        cascade.strategy.to_owned(),
        millis(u64::try_from(cascade.lead_us).unwrap_or(0)),
        grouped(cascade.enrolled),
        percent(cascade.within_5ms, cascade.enrolled),
        percent(cascade.within_10ms, cascade.enrolled),
        percent(cascade.within_50ms, cascade.enrolled),
        cascade.median_abs_us.map_or_else(|| "-".to_owned(), millis),
    ]));
}

fn show_strategy(stage: &Stage<'_>, strategy: Strategy, score: &Score) {
    let console = stage.console;
    let mut rows: Vec<Vec<String>> =
        score.classes.iter().map(|(class, tally)| class_row(class_name(*class), tally)).collect();
    rows.push(class_row("all", &score.total));
    console.heading(&format!("{}, {ROUNDS} cascades", name(strategy)));
    console.table(&["class", "enrolled", "±5 ms", "±10 ms", "±50 ms", "median |error|"], &[1, 2, 3, 4, 5], rows);
    console.line("");
    for line in histogram(&score.total.errors_us, score.total.missing()) {
        console.line(&format!("  {line}"));
    }
    console.text(&rest(strategy, score));
}

fn class_row(label: &str, tally: &Tally) -> Vec<String> {
    let share = |ms| percent(tally.within(ms), tally.enrolled);
    let median = tally.median_abs_us().map_or_else(|| "-".to_owned(), millis);
    vec![label.to_owned(), grouped(tally.enrolled), share(5), share(10), share(50), median]
}

const fn class_name(class: AgentClass) -> &'static str {
    match class {
        AgentClass::A => "A edge",
        AgentClass::B => "B serverless",
        AgentClass::C => "C persistent",
        AgentClass::D => "D gpu",
        AgentClass::E => "E local",
        AgentClass::F => "F human",
    }
}

/// What the misses are due to, frankly.
fn rest(strategy: Strategy, score: &Score) -> String {
    let (hits, all) = (score.total.within(10), score.total.enrolled);
    let label = name(strategy);
    if score.causes.is_empty() {
        return format!("{label}: all {} within ±10 ms.", grouped(all));
    }
    let parts: Vec<String> =
        score.causes.iter().map(|(cause, count)| format!("{} {}", grouped(*count), describe(*cause))).collect();
    let missed = all.saturating_sub(hits);
    format!("{label}: {} of {} missed ±10 ms: {}.", grouped(missed), grouped(all), parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh30k_ledger::types::AgentId;

    fn cascade(strategy: Strategy, enrolled: u64, hits: u64) -> Cascade {
        let rows: Vec<ReleaseRow> = (0..hits)
            .map(|agent| ReleaseRow {
                agent: AgentId(agent),
                class: AgentClass::A,
                error_us: 1_000,
                armed_us: Some(-5),
                clock_error_us: None,
            })
            .collect();
        let score = Score::of(strategy, enrolled, 0, &BTreeMap::from([(AgentClass::A, enrolled)]), &rows);
        Cascade::new(strategy, score, 0, enrolled - hits, 0)
    }

    #[test]
    fn hold_must_reach_its_mark_and_beat_throw() {
        let good = [cascade(Strategy::Hold, 1_000, 950), cascade(Strategy::Throw, 1_000, 500)];
        assert!(failures(&good).is_empty());
        let short = [cascade(Strategy::Hold, 1_000, 949), cascade(Strategy::Throw, 1_000, 500)];
        assert_eq!(failures(&short), ["hold: 949 of 1000 enrolled within ±10 ms (94.9 %), wanted at least 95 %"]);
        let beaten = [cascade(Strategy::Hold, 1_000, 960), cascade(Strategy::Throw, 1_000, 960)];
        assert_eq!(failures(&beaten).len(), 1);
        assert_eq!(failures(&[]), ["nobody was enrolled"]);
    }

    #[test]
    fn the_frank_line_names_every_cause() {
        let text = rest(Strategy::Hold, cascade(Strategy::Hold, 1_000, 990).score());
        assert_eq!(text, "hold: 10 of 1,000 missed ±10 ms: 10 never released.");
        assert_eq!(rest(Strategy::Hold, cascade(Strategy::Hold, 10, 10).score()), "hold: all 10 within ±10 ms.");
    }

    #[test]
    fn the_running_list_lines_up() {
        let first = line(["strategy", "T after", "enrolled", "±5 ms", "±10 ms", "±50 ms", "median"].map(str::to_owned));
        let second = line(["hold", "2,345 ms", "560", "97.1 %", "99.1 %", "100.0 %", "0.94 ms"].map(str::to_owned));
        assert_eq!(first.chars().count(), second.chars().count());
        assert!(first.chars().count() <= crate::render::COLUMNS);
    }
}
