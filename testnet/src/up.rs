//! `mesh30k testnet up`: a local mesh, the main job before your eyes, and then it keeps running.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use mesh30k_node::clock::{monotonic_us, wall_ms};

use crate::demo::{Stage, cascades, closing, forming, freeze, task, vote};
use crate::launcher::Fleet;
use crate::layout::{Layout, user_of};
use crate::ready::{self, Ready};
use crate::render::{COLUMNS, Console, grouped, wrap};
use crate::report::Report;
use crate::running::{self, Announced, RunningNode, RunningTestnet};
use crate::size::Size;
use crate::stop::{StopFlag, Stopped};

/// Folders of ended runs that are kept, newest first, for their logs.
const KEPT_RUNS: usize = 2;
/// Pace at which a running mesh is looked at.
const WATCH_PACE: Duration = Duration::from_secs(1);

/// What `testnet up` was asked for.
#[derive(Clone, Debug)]
pub struct UpOptions {
    /// Node processes.
    pub nodes: usize,
    /// Agents of all nodes together.
    pub agents: u32,
    /// How many nodes are validators.
    pub validators: usize,
    /// End after the main job; an error unless every step held.
    pub once: bool,
    /// Text to standard error; the last line of standard output is the report as one JSON object.
    pub json: bool,
    /// Folder of the network, empty or new; none makes a fresh one under the user's data folder.
    pub dir: Option<PathBuf>,
    /// Keep the folder of a `once` run that held; one that did not is always kept.
    pub keep: bool,
}

/// Lays a network out, starts it, does the main job and, unless `once`, keeps it running until Ctrl-C.
///
/// # Errors
/// Options that can't be, a mesh that does not form, and with `once` the first step that did not hold.
pub fn run(options: &UpOptions) -> Result<()> {
    let size = Size::new(options.nodes, options.validators, options.agents)?;
    let other = running::find();
    if let Some(other) = other.as_ref().filter(|_| options.dir.is_none() && !options.once) {
        let (pid, dir) = (other.pid, other.dir.display());
        bail!(
            "a testnet is running already (pid {pid}, {dir}); stop it with `mesh30k testnet down`, or give this one a --dir"
        );
    }
    let stop = StopFlag::install().context("listening to Ctrl-C")?;
    let console = Console::new(options.json);
    let dir = options.dir.clone().map_or_else(fresh_dir, Ok)?;
    // Nodes read these paths from their configuration, wherever they are started.
    let dir = std::path::absolute(&dir).with_context(|| format!("finding {}", dir.display()))?;
    let layout = Layout::create_for_people(&dir, size)?;
    let program = std::env::current_exe().context("finding this program")?;
    introduce(&console, &layout);
    let started_us = monotonic_us();
    let mut fleet = Fleet::start(&layout, &program)?;
    let announced = other.is_none().then(|| running::announce(&about(&layout, &fleet))).transpose()?;
    let result = drive(options, &layout, &mut fleet, &console, &stop, (started_us, announced.as_ref()));
    drop(announced);
    if !fleet.stop() {
        console.note("Some nodes did not leave by themselves in time and were ended.");
    }
    finish(options, &layout, &console, result)
}

/// Tidies up and decides how the command ends.
fn finish(options: &UpOptions, layout: &Layout, console: &Console, result: Result<Vec<String>>) -> Result<()> {
    let failures = match result {
        Ok(failures) => failures,
        Err(error) if error.is::<Stopped>() && !options.once => {
            console.text("Stopped.");
            return Ok(());
        }
        Err(error) => return Err(error.context(format!("the logs are in {}", layout.dir.display()))),
    };
    if !options.once {
        console.text("Stopped.");
        return Ok(());
    }
    if failures.is_empty() {
        if options.dir.is_none() && !options.keep {
            remove(&layout.dir);
        }
        return Ok(());
    }
    Err(anyhow!("{}; the logs are in {}", failures.join("; "), layout.dir.display()))
}

fn introduce(console: &Console, layout: &Layout) {
    let size = layout.size;
    console.heading("A mesh on this machine");
    console.text(&format!(
        "{} node processes, {} of them validators, hosting {} agents. Real processes, sockets, consensus and ledger; the agents' \
         network delays are replayed from measurements of the real internet.",
        size.nodes,
        size.validators,
        grouped(u64::from(size.agents))
    ));
    console.note(&layout.dir.display().to_string());
}

fn about(layout: &Layout, fleet: &Fleet) -> RunningTestnet {
    let nodes = layout.nodes.iter().zip(fleet.processes()).map(|(node, process)| RunningNode {
        name: node.name.clone(),
        pid: process.pid(),
        api: node.api_url(),
    });
    RunningTestnet {
        pid: std::process::id(),
        dir: layout.dir.clone(),
        api: layout.nodes.first().map(crate::layout::NodeLayout::api_url).unwrap_or_default(),
        keys: layout.keys_dir(),
        passphrase_file: layout.passphrase_file(),
        genesis: layout.genesis_file(),
        nodes: nodes.collect(),
    }
}

/// The main job, then the wait for Ctrl-C; what did not hold.
fn drive(
    options: &UpOptions,
    layout: &Layout,
    fleet: &mut Fleet,
    console: &Console,
    stop: &StopFlag,
    (started_us, announced): (u64, Option<&Announced>),
) -> Result<Vec<String>> {
    console.heading("1  The mesh forms");
    let ready = ready::wait(fleet, layout, console, stop, started_us).context("forming")?;
    announced.map(|announced| announced.update(&about(layout, fleet))).transpose()?;
    let stage = Stage::open(layout, console, stop)?;
    let report = main_job(&stage, fleet, &ready)?;
    if options.json {
        println!("{}", serde_json::to_string(&report)?);
    }
    if !report.failures.is_empty() {
        console.heading("Not everything held");
        report.failures.iter().for_each(|failure| console.text(failure));
    }
    if !options.once {
        invite(console, layout);
        watch(fleet, console, stop)?;
    }
    Ok(report.failures)
}

/// All steps. A step that fails is noted and the next one begins; only a dead node or Ctrl-C ends the job.
fn main_job(stage: &Stage<'_>, fleet: &mut Fleet, ready: &Ready) -> Result<Report> {
    let size = stage.layout.size;
    let mut report = Report {
        ready_ms: ready.ready_ms,
        nodes: size.nodes,
        agents: size.agents,
        sectors: ready.tree.sectors.len(),
        validators: size.validators,
        ..Report::default()
    };
    let console = stage.console;
    console.text(&format!("Formed in {}.{} s.", report.ready_ms / 1_000, report.ready_ms % 1_000 / 100));
    let formed = step(stage, fleet, &mut report, "forming", forming::Forming::failures, || forming::run(stage, ready))?;
    report.replay = formed.map(|formed| formed.replay).unwrap_or_default();

    console.heading("2  Everybody acts at one instant");
    let mut cascades = Vec::new();
    step(
        stage,
        fleet,
        &mut report,
        "cascades",
        |all: &Vec<_>| cascades::failures(all),
        || {
            cascades::run(stage, &mut cascades)?;
            Ok(cascades.clone())
        },
    )?;
    report.cascades = cascades;

    console.heading("3  A task, done and paid");
    // Voting takes its time; it runs while the agents work.
    let open = vote::open(stage);
    report.task = step(stage, fleet, &mut report, "task", task::TaskRun::failures, || task::run(stage))?;

    console.heading("4  A vote that changes behaviour");
    report.vote = step(stage, fleet, &mut report, "vote", vote::VoteRun::failures, || vote::close(stage, &open?))?;

    console.heading("5  Freeze and thaw");
    report.freeze = step(stage, fleet, &mut report, "freeze", freeze::FreezeDrill::failures, || freeze::run(stage))?;

    console.heading("6  Where it stands");
    let closing = closing::run(stage, fleet);
    let closed = step(stage, fleet, &mut report, "closing", closing::Closing::failures, || closing)?;
    if let Some(closing) = closed {
        report.close(&closing);
    }
    Ok(report)
}

/// Runs one step, shows and notes what did not hold.
fn step<T>(
    stage: &Stage<'_>,
    fleet: &mut Fleet,
    report: &mut Report,
    name: &str,
    failures: impl Fn(&T) -> Vec<String>,
    run: impl FnOnce() -> Result<T>,
) -> Result<Option<T>> {
    stage.stop.check()?;
    let (result, reasons) = match run() {
        Ok(result) => {
            let reasons = failures(&result);
            (Some(result), reasons)
        }
        // Nodes that leave on Ctrl-C make errors that are none.
        Err(error) => {
            stage.stop.check()?;
            fleet.check()?;
            (None, vec![format!("{error:#}")])
        }
    };
    stage.console.verdict(&reasons);
    report.fail(name, &reasons);
    Ok(result)
}

/// Three commands to try.
fn invite(console: &Console, layout: &Layout) {
    let program = std::env::args().next().unwrap_or_else(|| "mesh30k".to_owned());
    console.heading("It keeps running. In another terminal, try");
    for command in [
        "mesh tree".to_owned(),
        "event cascade --strategy hold".to_owned(),
        "ledger send 12.5 bob --from alice --memo lunch".to_owned(),
    ] {
        console.line(&format!("  {program} {command}"));
    }
    let join = format!("{program} up --network {}", layout.network_file().display());
    console.note("Join it with a node of your own:");
    wrap(&join, "  ", COLUMNS).iter().for_each(|line| console.line(line));
    console.note("Ctrl-C stops everything.");
}

/// Keeps a mesh running until somebody asks to stop; names nodes that end meanwhile.
fn watch(fleet: &mut Fleet, console: &Console, stop: &StopFlag) -> Result<()> {
    let mut known = 0;
    while stop.pause(WATCH_PACE).is_ok() {
        let ended = fleet.ended();
        if ended.len() != known {
            console.text(&format!("Ended by themselves: {}; the others go on.", ended.join(", ")));
            known = ended.len();
        }
        if ended.len() == fleet.processes().len() {
            bail!("every node has ended");
        }
    }
    Ok(())
}

/// A folder that is not there yet, beside those of earlier runs, of which only the newest stay.
fn fresh_dir() -> Result<PathBuf> {
    let runs = running::data_home()?.join("testnet");
    prune(&runs, KEPT_RUNS);
    Ok(runs.join(format!("{}-{}", wall_ms(), std::process::id())))
}

/// Removes ended runs but for the newest `kept`. Names begin with the time, so that their order is that of the runs.
fn prune(runs: &Path, kept: usize) {
    let Ok(entries) = fs::read_dir(runs) else { return };
    let mut ended: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|dir| dir.join("driver.pid").is_file() && user_of(dir).is_none())
        .collect();
    ended.sort();
    let surplus = ended.len().saturating_sub(kept);
    ended.iter().take(surplus).for_each(|dir| remove(dir));
}

fn remove(dir: &Path) {
    if let Err(error) = fs::remove_dir_all(dir) {
        tracing::warn!(dir = %dir.display(), %error, "a folder of an ended testnet could not be removed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ended_runs_are_pruned_and_the_newest_stay() {
        let home = tempfile::tempdir().unwrap();
        let run = |name: &str, pid: Option<u32>| {
            let dir = home.path().join(name);
            fs::create_dir(&dir).unwrap();
            if let Some(pid) = pid {
                fs::write(dir.join("driver.pid"), pid.to_string()).unwrap();
            }
        };
        // Far above any limit of process ids: nobody has it.
        let nobody = Some(2_000_000_000);
        run("1", Some(std::process::id()));
        run("2", nobody);
        run("3", nobody);
        run("4", nobody);
        run("5-no-run-of-ours", None);
        prune(home.path(), 2);
        let mut left: Vec<String> =
            fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        assert_eq!(left, ["1", "3", "4", "5-no-run-of-ours"]);
    }

    #[test]
    fn options_that_cannot_be_are_refused_before_anything_is_written() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("net");
        let options = UpOptions {
            nodes: 2,
            agents: 4,
            validators: 3,
            once: true,
            json: true,
            dir: Some(dir.clone()),
            keep: false,
        };
        let refusal = run(&options).unwrap_err().to_string();
        assert_eq!(refusal, "--validators is 3; of 2 nodes 1 to 2 can be validators");
        assert!(!dir.exists());
    }
}
