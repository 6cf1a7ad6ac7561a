//! The node processes of a local network: started a few at a time, watched, stopped together.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use rustix::process::Signal;

use crate::layout::{Layout, NodeLayout};
pub use crate::process::Environment;
use crate::process::NodeProcess;

/// Nodes that are started and have not joined, at most: a hundred that all start at one instant on two cores keep each other
/// from joining for minutes.
pub const STARTING_MAX: usize = 12;
/// Lines of a dead node's log that are shown.
const TAIL_LINES: usize = 12;
/// Bytes of it that are read.
const TAIL_BYTES: u64 = 16 * 1_024;

/// All nodes, in order of their number. Dropping it kills them.
#[derive(Debug)]
pub struct Fleet {
    processes: Vec<NodeProcess>,
    program: PathBuf,
    /// Nodes that are not started yet, the next one first.
    waiting: VecDeque<NodeLayout>,
    environment: Environment,
}

impl Fleet {
    /// Starts the first nodes of `layout`, at most [`STARTING_MAX`], with `program node run --config FILE`; the others wait for
    /// [`Self::start_waiting`]. Call both on the main thread: the nodes die with the thread that started them.
    ///
    /// # Errors
    /// When a process can't be started; those already started are stopped.
    pub fn start(layout: &Layout, program: &Path) -> Result<Self> {
        Self::start_in(layout, program, Environment::Lean)
    }

    /// As [`Self::start`], each node with so much of the machine.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_in(layout: &Layout, program: &Path, environment: Environment) -> Result<Self> {
        let processes = Vec::with_capacity(layout.nodes.len());
        let waiting = layout.nodes.iter().cloned().collect();
        let mut fleet = Self { processes, program: program.to_owned(), waiting, environment };
        fleet.start_waiting(0)?;
        Ok(fleet)
    }

    /// Starts nodes that wait, as long as no more than [`STARTING_MAX`] are on their way into the mesh; `joined` are in it.
    ///
    /// # Errors
    /// When a process can't be started.
    pub fn start_waiting(&mut self, joined: usize) -> Result<()> {
        while self.processes.len() < joined.saturating_add(STARTING_MAX)
            && let Some(node) = self.waiting.pop_front()
        {
            self.processes.push(self.run(&node)?);
        }
        Ok(())
    }

    /// Starts a node again that ended or was killed.
    ///
    /// # Errors
    /// There is no such node, or it can't be started.
    pub fn restart(&mut self, node: &NodeLayout) -> Result<()> {
        let process = self.run(node)?;
        let place = (node.number as usize).checked_sub(1).and_then(|at| self.processes.get_mut(at));
        *place.with_context(|| format!("{} was never started", node.name))? = process;
        Ok(())
    }

    fn run(&self, node: &NodeLayout) -> Result<NodeProcess> {
        let config = node.config.to_str().ok_or_else(|| anyhow!("{:?} is not UTF-8", node.config))?;
        let base = ["node", "run", "--config", config];
        let arguments: Vec<String> =
            base.iter().chain(self.environment.settings()).map(|argument| (*argument).to_owned()).collect();
        NodeProcess::start_in(self.environment, &node.name, &self.program, &arguments, &node.log)
            .with_context(|| format!("starting {}", self.program.display()))
    }

    /// The processes.
    #[must_use]
    pub fn processes(&self) -> &[NodeProcess] {
        &self.processes
    }

    /// The process of node `number` (from 1), for fault tests.
    pub fn process_mut(&mut self, number: u32) -> Option<&mut NodeProcess> {
        self.processes.get_mut((number as usize).checked_sub(1)?)
    }

    /// Names of the nodes that ended by themselves.
    pub fn ended(&mut self) -> Vec<String> {
        self.processes.iter_mut().filter_map(|node| node.ended().map(|_| node.name().to_owned())).collect()
    }

    /// Nothing as long as every node runs.
    ///
    /// # Errors
    /// The first node that ended, how, and the last lines of its log.
    pub fn check(&mut self) -> Result<()> {
        for node in &mut self.processes {
            if let Some(status) = node.ended() {
                let tail = tail(node.log()).unwrap_or_default();
                let log = node.log().display();
                return Err(anyhow!("{} ended ({status}); the last lines of {log}:\n{tail}", node.name()));
            }
        }
        Ok(())
    }

    /// Asks all to leave and waits; true when all left by themselves within the bound.
    pub fn stop(&mut self) -> bool {
        for node in &self.processes {
            node.signal(Signal::TERM);
        }
        let mut all_left = true;
        for node in &mut self.processes {
            all_left &= node.ended().is_some() || node.stop();
        }
        all_left
    }

    /// Peak resident memory of each node, KiB; a process that is gone has none.
    #[must_use]
    pub fn peak_rss_kib(&self) -> Vec<Option<u64>> {
        self.processes.iter().map(|node| peak_rss_kib(node.pid())).collect()
    }
}

/// `VmHWM` of a process, KiB.
fn peak_rss_kib(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The last lines of a file, indented.
fn tail(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let shown = lines.get(lines.len().saturating_sub(TAIL_LINES)..).unwrap_or_default();
    Ok(shown.iter().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::size::Size;
    use std::time::Duration;

    #[test]
    fn a_node_that_dies_early_is_named_with_its_log() {
        let home = tempfile::tempdir().unwrap();
        let layout = Layout::create(home.path(), Size::new(2, 1, 2).unwrap()).unwrap();
        // `sh node run --config FILE` finds no script called `node`, says so and ends.
        let mut fleet = Fleet::start(&layout, Path::new("/bin/sh")).unwrap();
        let mut refusal = None;
        for _ in 0..500 {
            refusal = fleet.check().err();
            if refusal.is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let text = refusal.expect("the shell ended").to_string();
        assert!(text.contains("node-") && text.contains("log:"), "{text}");
        assert!(text.lines().count() > 1, "{text}");
    }

    #[test]
    fn nodes_start_a_few_at_a_time_and_all_of_them_in_the_end() {
        let home = tempfile::tempdir().unwrap();
        let nodes = STARTING_MAX + 3;
        let size = Size::new(nodes, 1, u32::try_from(nodes).unwrap()).unwrap();
        let layout = Layout::create(home.path(), size).unwrap();
        let mut fleet = Fleet::start(&layout, Path::new("/bin/sh")).unwrap();
        let mut started = vec![fleet.processes().len()];
        for joined in [0, 2, 3, nodes] {
            fleet.start_waiting(joined).unwrap();
            started.push(fleet.processes().len());
        }
        assert_eq!(started, [STARTING_MAX, STARTING_MAX, STARTING_MAX + 2, nodes, nodes]);
    }

    #[test]
    fn only_the_last_lines_are_shown() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("log");
        let lines: Vec<String> = (0..5_000).map(|number| format!("line {number}")).collect();
        std::fs::write(&path, lines.join("\n")).unwrap();
        let shown = tail(&path).unwrap();
        assert_eq!(shown.lines().count(), TAIL_LINES);
        assert!(shown.ends_with("line 4999"));
    }

    #[test]
    fn this_process_has_a_peak() {
        assert!(peak_rss_kib(std::process::id()).unwrap() > 0);
    }
}
