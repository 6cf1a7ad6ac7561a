//! `bench mesh`: a whole mesh of real processes, and beside it what the machine itself can do: how it forms, what it uses
//! while idle, how well cascades arrive by true error.

pub mod sleepers;
pub mod usage;
pub mod visible;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use mesh30k_core::event::Strategy;
use mesh30k_node::clock::{monotonic_us, wall_us};
use serde::Serialize;

use self::sleepers::Sleepers;
use self::usage::{Memory, Usage};
use self::visible::{Seen, Visible};
use crate::demo::Stage;
use crate::demo::cascades::{self, Cascade};
use crate::demo::truth::Score;
use crate::events::{self, EventOrder};
use crate::launcher::Fleet;
use crate::layout::Layout;
use crate::ready;
use crate::render::{Console, grouped, millis, percent, table};
use crate::size::Size;
use crate::stop::StopFlag;

/// Between forming and what is measured: a mesh that just formed still has things to tell, and is idle a minute later.
const SETTLE: Duration = Duration::from_secs(75);
/// How long the summary of a cascade may take after T.
const SUMMARY_TIMEOUT: Duration = Duration::from_secs(20);
/// Before each of the machine's own tries, and after it, for everything to come to rest.
const REST: Duration = Duration::from_millis(500);

/// What is measured.
#[derive(Clone, Debug)]
pub struct MeshOptions {
    /// Node processes.
    pub nodes: usize,
    /// Agents of all nodes together.
    pub agents: u32,
    /// How many nodes are validators.
    pub validators: usize,
    /// Cascades (hold), one after another.
    pub cascades: u32,
    /// How long the idle mesh is watched.
    pub idle: Duration,
    /// Text to standard error.
    pub json: bool,
    /// Where the network keeps its files; a temporary folder when none is given.
    pub dir: Option<PathBuf>,
}

/// One cascade and, right before it, the machine's own try: counts, not rates.
#[derive(Clone, Debug, Serialize)]
pub struct Round {
    /// The cascade.
    pub cascade: Cascade,
    /// From T until the folded summary was at whoever asked, microseconds.
    pub folded_us: i64,
    /// Bare processes that slept to one instant.
    pub bare: u64,
    /// Of those, awake within 10 ms of it.
    pub bare_within_10ms: u64,
}

/// The run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct MeshReport {
    /// Node processes.
    pub nodes: u32,
    /// Agents of all nodes.
    pub agents: u32,
    /// Sectors of the tree.
    pub sectors: usize,
    /// From the start of the first process until the mesh had formed, milliseconds.
    pub ready_ms: u64,
    /// What all nodes together used for forming.
    pub forming: Usage,
    /// What all nodes together used while idle.
    pub idle: Usage,
    /// What all nodes together held in memory at the end of the idle time.
    pub idle_memory: Memory,
    /// How soon changes of the registry were seen while idle.
    pub visible: Visible,
    /// In the order they ran.
    pub rounds: Vec<Round>,
    /// What all nodes together held at the end.
    pub memory: Memory,
}

/// Measures.
///
/// # Errors
/// The mesh does not form, an event or the truth can't be had, or somebody asks to stop.
pub fn run(options: &MeshOptions) -> Result<MeshReport> {
    let size = Size::new(options.nodes, options.validators, options.agents)?;
    let stop = StopFlag::install().context("listening to Ctrl-C")?;
    let console = Console::new(options.json);
    let folder = Folder::of(options.dir.as_deref())?;
    let layout = Layout::create(&folder.path, size)?;
    let program = std::env::current_exe().context("finding this program")?;
    let mut sleepers = Sleepers::start(&program, options.nodes)?;
    let started_us = monotonic_us();
    let mut fleet = Fleet::start(&layout, &program)?;
    let result = measure(options, &layout, &mut fleet, &mut sleepers, &console, &stop, started_us);
    fleet.stop();
    result.with_context(|| format!("the logs were in {}", layout.dir.display()))
}

/// Where the network keeps its files.
struct Folder {
    path: PathBuf,
    stays: bool,
}

impl Folder {
    /// The one that was asked for, else one that goes away at the end.
    fn of(wanted: Option<&Path>) -> Result<Self> {
        let own = std::env::temp_dir().join(format!("mesh30k-bench-mesh-{}", std::process::id()));
        let path = wanted.unwrap_or(&own);
        // Nodes read these paths from their configuration, wherever they are started.
        let path = std::path::absolute(path).with_context(|| format!("finding {}", path.display()))?;
        Ok(Self { path, stays: wanted.is_some() })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.stays
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            eprintln!("could not remove {}: {error}", self.path.display());
        }
    }
}

fn measure(
    options: &MeshOptions,
    layout: &Layout,
    fleet: &mut Fleet,
    sleepers: &mut Sleepers,
    console: &Console,
    stop: &StopFlag,
    started_us: u64,
) -> Result<MeshReport> {
    let formed = ready::wait(fleet, layout, console, stop, started_us).context("forming")?;
    let pids: Vec<u32> = fleet.processes().iter().map(crate::process::NodeProcess::pid).collect();
    let mut report = MeshReport {
        nodes: layout.size.nodes,
        agents: layout.size.agents,
        sectors: formed.tree.sectors.len(),
        ready_ms: formed.ready_ms,
        forming: Usage::since_start(&pids, Duration::from_millis(formed.ready_ms)),
        ..MeshReport::default()
    };
    console.text(&format!("formed in {} with {} of processor time", millis(formed.ready_ms * 1_000), report.forming));
    stop.pause(SETTLE)?;
    let stage = Stage::open(layout, console, stop)?;
    let seen = Seen::by(&stage.clients)?;
    report.idle = Usage::during(&pids, || stop.pause(options.idle))?;
    report.idle_memory = Memory::of(&pids);
    report.visible = Seen::by(&stage.clients)?.since(&seen);
    console.text(&format!("idle: {}; {}; changes seen: {}", report.idle, report.idle_memory, report.visible));
    for _ in 0..options.cascades {
        stop.pause(REST)?;
        let (bare, bare_within_10ms) = sleepers.wake_together()?;
        stop.pause(REST)?;
        let round = one(&stage, bare, bare_within_10ms)?;
        console.line(&format!("  {}", round_line(&round)));
        report.rounds.push(round);
        fleet.check()?;
    }
    report.memory = Memory::of(&pids);
    Ok(report)
}

fn one(stage: &Stage<'_>, bare: u64, bare_within_10ms: u64) -> Result<Round> {
    let started = events::start(&stage.operator, &EventOrder::cascade(Strategy::Hold))?;
    let report = events::wait(stage.operator.client(), &started, SUMMARY_TIMEOUT)?;
    // The first node's clock is mesh time, and all nodes of this machine have one clock.
    let folded_us = wall_us().saturating_sub(started.at_us);
    let rows = cascades::truth(stage, started.id, report.enrolled)?;
    let score = Score::of(Strategy::Hold, report.enrolled, report.conflict, &Default::default(), &rows);
    let lead_us = started.at_us.saturating_sub(started.plan.now_us);
    let cascade = Cascade::new(Strategy::Hold, score, report.conflict, report.transit, lead_us);
    Ok(Round { cascade, folded_us, bare, bare_within_10ms })
}

fn round_line(round: &Round) -> String {
    let cascade = &round.cascade;
    let share = |count| percent(count, cascade.enrolled);
    format!(
        "±5 ms {}, ±10 ms {}, ±50 ms {}; the machine itself {}; summary after {}; T after {}{}",
        share(cascade.within_5ms),
        share(cascade.within_10ms),
        share(cascade.within_50ms),
        percent(round.bare_within_10ms, round.bare),
        millis(round.folded_us.unsigned_abs()),
        millis(cascade.lead_us.unsigned_abs()),
        missed(&cascade.misses),
    )
}

/// Who was not within ±10 ms, by cause.
fn missed(misses: &BTreeMap<String, u64>) -> String {
    let causes = misses.iter().map(|(cause, count)| format!("{} {}", cause.replace('_', " "), grouped(*count)));
    let causes = causes.collect::<Vec<_>>().join(", ");
    if causes.is_empty() { causes } else { format!("; missed: {causes}") }
}

impl MeshReport {
    /// Agents enrolled and within ±10 ms over all cascades, and the same of the machine's own tries.
    #[must_use]
    pub fn shares(&self) -> [u64; 4] {
        let sum = |figure: fn(&Round) -> u64| self.rounds.iter().map(figure).sum();
        [
            sum(|round| round.cascade.enrolled),
            sum(|round| round.cascade.within_10ms),
            sum(|round| round.bare),
            sum(|round| round.bare_within_10ms),
        ]
    }

    /// The report as lines.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let [enrolled, hits, bare, bare_hits] = self.shares();
        let sum = |figure: fn(&Round) -> u64| self.rounds.iter().map(figure).sum::<u64>();
        let folded_us = self.rounds.iter().map(|round| round.folded_us.unsigned_abs()).max().unwrap_or(0);
        let row = |name: &str, figure: String| vec![name.to_owned(), figure];
        let rows = vec![
            row("nodes, agents, sectors", format!("{}, {}, {}", self.nodes, grouped(self.agents.into()), self.sectors)),
            row("formed after", millis(self.ready_ms.saturating_mul(1_000))),
            row("processor time for forming", self.forming.to_string()),
            row("idle", self.idle.to_string()),
            row("memory, idle", self.idle_memory.to_string()),
            row("changes of the registry, idle", self.visible.to_string()),
            row("memory, at the end", self.memory.to_string()),
            row(&format!("within ±10 ms, {} cascades", self.rounds.len()), percent(hits, enrolled)),
            row("within ±5 ms", percent(sum(|round| round.cascade.within_5ms), enrolled)),
            row("within ±50 ms", percent(sum(|round| round.cascade.within_50ms), enrolled)),
            row("bare processes within ±10 ms, between them", percent(bare_hits, bare)),
            row("slowest folded summary after T", millis(folded_us)),
        ];
        table(&["figure", "value"], &[1], rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(hits: u64, bare_hits: u64, folded_us: i64) -> Round {
        let rows: Vec<_> = (0..hits)
            .map(|agent| mesh30k_node::api::types::ReleaseRow {
                agent: mesh30k_ledger::types::AgentId(agent),
                class: mesh30k_ledger::types::AgentClass::A,
                error_us: 9_000,
                armed_us: Some(-5),
                clock_error_us: None,
            })
            .collect();
        let score = Score::of(Strategy::Hold, 100, 0, &Default::default(), &rows);
        Round {
            cascade: Cascade::new(Strategy::Hold, score, 0, 100 - hits, 0),
            folded_us,
            bare: 10,
            bare_within_10ms: bare_hits,
        }
    }

    #[test]
    fn shares_are_over_all_rounds_and_everybody_enrolled() {
        let report =
            MeshReport { rounds: vec![round(90, 10, 400_000), round(70, 9, 900_000)], ..MeshReport::default() };
        assert_eq!(report.shares(), [200, 160, 20, 19]);
        let lines = report.lines().join("\n");
        for part in ["80.0 %", "95.0 %", "900 ms"] {
            assert!(lines.contains(part), "{part} is missing in {lines}");
        }
        let object = serde_json::to_value(&report).unwrap();
        for pointer in ["/ready_ms", "/idle/cpu_percent", "/idle_memory/pss_mib", "/rounds/1/cascade/within_10ms"] {
            assert!(object.pointer(pointer).is_some(), "{pointer} is missing");
        }
    }
}
