//! `mesh30k testnet sim`: the mesh's own machines under a virtual clock, and what came of each strategy.

use std::path::PathBuf;
use std::thread::available_parallelism;

use anyhow::{Context as _, Result, bail};
use mesh30k_sim::{Cause, Counts, Miss, SimConfig, SimReport, StrategyReport};
pub use mesh30k_sim::{Scenario, StrategyKind};

use crate::render::{Console, grouped, millis, percent};

/// From this size on strategies run one after the other, for memory.
const LARGE_MESH: u32 = 200_000;
/// Misses told one by one.
const MISSES_TOLD: usize = 24;

/// What `testnet sim` was asked for.
#[derive(Clone, Debug)]
pub struct SimOptions {
    /// Agents.
    pub agents: u32,
    /// Events.
    pub waves: u32,
    /// Seed of everything random.
    pub seed: u64,
    /// What goes wrong.
    pub scenario: Scenario,
    /// Files of delays that replace embedded ones; they imply the replayed scenario.
    pub delays: Vec<PathBuf>,
    /// What is compared; empty for everything.
    pub strategies: Vec<StrategyKind>,
    /// Wanted probability of being armed by T.
    pub target_p: Option<f64>,
    /// Tell who missed and why.
    pub explain: bool,
    /// Text to standard error; the last line of standard output is the report as one JSON object.
    pub json: bool,
}

/// Simulates and prints.
///
/// # Errors
/// Options or delays that cannot be used, and rules of the mesh that did not hold.
pub fn run(options: &SimOptions) -> Result<()> {
    let config = config(options)?;
    let console = Console::new(options.json);
    console.heading("A simulated mesh");
    console.text(&format!(
        "{} agents, {} events, scenario {}, seed {}: the machines of a node under a virtual clock, each strategy in a mesh of \
         its own, on the same events, paths and faults.",
        grouped(u64::from(config.agents)),
        grouped(u64::from(config.waves)),
        config.scenario,
        config.seed
    ));
    let bar = console.progress(u64::from(config.waves) * config.strategies.len() as u64);
    let report = mesh30k_sim::run_with(&config, &|kind, counted| {
        bar.set_message(format!("{kind}: event {counted}"));
        bar.inc(if kind == StrategyKind::FirstDraft { u64::from(config.waves) } else { 1 });
    });
    bar.finish_and_clear();
    let report = report.context("simulating")?;
    show(&console, &report, options.explain);
    if options.json {
        println!("{}", serde_json::to_string(&report)?);
    }
    let breaches = report.breaches();
    if !breaches.is_empty() {
        bail!("{}; replay it with --seed {} --scenario {}", breaches.join("; "), report.seed, report.scenario);
    }
    Ok(())
}

fn config(options: &SimOptions) -> Result<SimConfig> {
    let scenario = match options.scenario {
        Scenario::Mixed if !options.delays.is_empty() => Scenario::Replayed,
        other => other,
    };
    if !options.delays.is_empty() && scenario != Scenario::Replayed {
        bail!("--delays goes with --scenario replayed, not with {scenario}");
    }
    let replay = if options.delays.is_empty() { None } else { Some(mesh30k_sim::replay_with(&options.delays)?) };
    let strategies =
        if options.strategies.is_empty() { StrategyKind::ALL.to_vec() } else { options.strategies.clone() };
    let cores = available_parallelism().map_or(1, usize::from);
    Ok(SimConfig {
        seed: options.seed,
        waves: options.waves,
        scenario,
        strategies,
        target_p: options.target_p,
        replay,
        threads: if options.agents >= LARGE_MESH { 1 } else { cores },
        ..SimConfig::of_size(options.agents)
    })
}

fn show(console: &Console, report: &SimReport, explain: bool) {
    console.heading("Arrival, by true time, of everybody enrolled (silence is a miss)");
    let headings =
        ["strategy", "±2 ms", "±5 ms", "±10 ms", "±50 ms", "median", "95 % in", "armed by T", "held", "standbys"];
    let rows = report.strategies.iter().map(|(kind, strategy)| row(*kind, strategy)).collect();
    console.table(&headings, &[1, 2, 3, 4, 5, 6, 7, 8, 9], rows);
    if report.scenario == Scenario::Slowdown.to_string() {
        after_change(console, report);
    }
    causes(console, report);
    for (kind, strategy) in report.strategies.iter().filter(|_| explain) {
        if !strategy.examples.is_empty() {
            console.heading(&format!("Who missed under {kind}, some of each cause"));
            let rows = strategy.examples.iter().take(MISSES_TOLD).map(miss_row).collect();
            console.table(
                &["event", "agent", "class", "error", "sent before T", "standby before T", "clock off by", "why"],
                &[0, 1, 3, 4, 5, 6],
                rows,
            );
        }
    }
    console.verdict(&report.breaches());
    console.note(&format!(
        "trace {}; the same again: mesh30k testnet sim --agents {} --waves {} --seed {} --scenario {} --explain",
        report.trace_hash, report.agents, report.waves, report.seed, report.scenario
    ));
}

fn row(kind: StrategyKind, strategy: &StrategyReport) -> Vec<String> {
    let Counts { enrolled, within_2ms, within_5ms, within_10ms, within_50ms, armed_by_t, .. } = strategy.counts;
    let or_dash = |us: Option<i64>| us.map_or_else(|| "-".to_owned(), |us| millis(us.unsigned_abs()));
    vec![
        kind.name().to_owned(),
        share(within_2ms, enrolled),
        share(within_5ms, enrolled),
        share(within_10ms, enrolled),
        share(within_50ms, enrolled),
        or_dash(strategy.median_abs_us),
        or_dash(strategy.width95_us),
        share(armed_by_t, enrolled),
        format!("{:.0} ms", strategy.mean_hold_ms),
        percent(strategy.duplicates, enrolled),
    ]
}

/// A share with two decimals, rounded down: here the hundredths are what is fought for.
fn share(part: u64, whole: u64) -> String {
    let Some(parts) = part.saturating_mul(10_000).checked_div(whole) else { return "-".to_owned() };
    format!("{}.{:02} %", parts / 100, parts % 100)
}

fn after_change(console: &Console, report: &SimReport) {
    console.heading("The five events after half of the agents became 1.5 times slower");
    let rows = report.strategies.iter().map(|(kind, strategy)| {
        let Counts { enrolled, within_50ms, .. } = strategy.after_change();
        vec![kind.name().to_owned(), share(within_50ms, enrolled)]
    });
    console.table(&["strategy", "±50 ms"], &[1], rows.collect());
}

fn causes(console: &Console, report: &SimReport) {
    let held = |kind: &StrategyKind| matches!(kind, StrategyKind::Hold | StrategyKind::HoldHedge);
    let strategies: Vec<_> = report.strategies.iter().filter(|(kind, _)| held(kind)).collect();
    let mut all: Vec<Cause> = strategies.iter().flat_map(|(_, s)| s.misses.keys().copied()).collect();
    all.sort_unstable();
    all.dedup();
    if all.is_empty() {
        return;
    }
    console.heading("Why the rest is outside ±10 ms (slots)");
    let headings: Vec<&str> = std::iter::once("why").chain(strategies.iter().map(|(kind, _)| kind.name())).collect();
    let rows = all.iter().map(|cause| {
        let counts = strategies.iter().map(|(_, s)| grouped(s.misses.get(cause).copied().unwrap_or(0)));
        std::iter::once(cause.name().replace('_', " ")).chain(counts).collect()
    });
    console.table(&headings, &[1, 2], rows.collect());
}

fn miss_row(miss: &Miss) -> Vec<String> {
    let signed = |us: i64| {
        let sign = if us < 0 { "-" } else { "+" };
        format!("{sign}{}", millis(us.unsigned_abs()))
    };
    vec![
        miss.wave.to_string(),
        miss.agent.to_string(),
        miss.class.to_string(),
        miss.error_us.map_or_else(|| "silent".to_owned(), signed),
        miss.lead_us.map_or_else(|| "never".to_owned(), |us| millis(us.unsigned_abs())),
        miss.standby_us.map_or_else(|| "none".to_owned(), |us| millis(us.unsigned_abs())),
        signed(miss.aim_us),
        miss.cause.name().replace('_', " "),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> SimOptions {
        SimOptions {
            agents: 60,
            waves: 1,
            seed: 1,
            scenario: Scenario::Mixed,
            delays: Vec::new(),
            strategies: Vec::new(),
            target_p: None,
            explain: false,
            json: true,
        }
    }

    #[test]
    fn delays_imply_the_replay_and_fit_nothing_else() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "src,dst,p50_ms,p90_ms\na,a,2,3\na,b,20,30\nb,a,40,50\n").unwrap();
        let with = SimOptions { delays: vec![file.path().to_owned()], ..options() };
        assert_eq!(config(&with).unwrap().scenario, Scenario::Replayed);
        assert!(config(&SimOptions { scenario: Scenario::Liars, ..with }).is_err());
    }

    #[test]
    fn the_object_has_every_promised_field() {
        let report = mesh30k_sim::run(&config(&options()).unwrap()).unwrap();
        let object = serde_json::to_value(&report).unwrap();
        let counts = "enrolled within_2ms within_5ms within_10ms within_50ms within_250ms median_abs_us width95_us \
                      armed_by_t target_p mean_hold_ms duplicates";
        for strategy in ["first_draft", "learned_throw", "hold", "hold_hedge"] {
            for field in counts.split_whitespace() {
                let pointer = format!("/strategies/{strategy}/{field}");
                assert!(object.pointer(&pointer).is_some(), "{pointer} is missing in {object}");
            }
        }
        for field in ["seed", "agents", "waves", "trace_hash"] {
            assert!(object.get(field).is_some(), "{field}");
        }
    }

    #[test]
    fn shares_never_flatter() {
        assert_eq!([share(99_999, 100_000), share(1, 1), share(0, 0)], ["99.99 %", "100.00 %", "-"]);
    }
}
