//! Child processes of a local testnet: started from this very binary, never left behind.

use std::fs::{File, OpenOptions};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};

/// How long a node may take to leave cleanly before it is killed.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);
/// Pace at which a leaving process is looked at.
const LEAVE_POLL: Duration = Duration::from_millis(20);

/// Many nodes share one machine, and each should hold only what it uses: glibc's allocator keeps one arena and gives memory back soon, and one worker
/// thread a node is enough where there are more nodes than cores.
const LEAN: [(&str, &str); 5] = [
    ("MALLOC_ARENA_MAX", "1"),
    ("MALLOC_MMAP_THRESHOLD_", "65536"),
    ("MALLOC_TRIM_THRESHOLD_", "65536"),
    ("MALLOC_TOP_PAD_", "65536"),
    ("TOKIO_WORKER_THREADS", "1"),
];

/// What a process may take of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Environment {
    /// As little as it needs: many of them share the machine.
    #[default]
    Lean,
    /// What it takes by itself, as a node that has a machine of its own.
    Roomy,
}

impl Environment {
    fn variables(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Lean => &LEAN,
            Self::Roomy => &[],
        }
    }

    /// What `node run` is told besides its configuration.
    #[must_use]
    pub fn settings(self) -> &'static [&'static str] {
        match self {
            Self::Lean => &[],
            Self::Roomy => &["--set", "ledger.memtable_mib=64", "--set", "ledger.block_cache_mib=64"],
        }
    }
}

/// A child that can't be started, or ended otherwise than asked.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The operating system refused.
    #[error("{name}: {action} failed")]
    Io {
        /// The child's name.
        name: String,
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
}

/// One running node process.
#[derive(Debug)]
pub struct NodeProcess {
    name: String,
    log: PathBuf,
    child: Child,
}

impl NodeProcess {
    /// Starts `program arguments..`, its output going to `log`.
    ///
    /// The child gets a death signal bound to this process, so that no node outlives a driver that was itself killed.
    ///
    /// # Errors
    /// [`ProcessError`] when the log can't be made or the program can't be started.
    pub fn start(name: &str, program: &Path, arguments: &[String], log: &Path) -> Result<Self, ProcessError> {
        Self::start_in(Environment::Lean, name, program, arguments, log)
    }

    /// As [`Self::start`], with so much of the machine.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_in(
        environment: Environment,
        name: &str,
        program: &Path,
        arguments: &[String],
        log: &Path,
    ) -> Result<Self, ProcessError> {
        let io = |action| move |source| ProcessError::Io { name: name.to_owned(), action, source };
        let output: File =
            OpenOptions::new().create(true).append(true).open(log).map_err(io("opening the log file"))?;
        let errors = output.try_clone().map_err(io("opening the log file"))?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(output).stderr(errors);
        for (variable, value) in environment.variables() {
            command.env(variable, value);
        }
        // Ctrl-C in the terminal is for the driver, which then stops its nodes in order.
        command.process_group(0);
        die_with_parent(&mut command);
        let child = command.spawn().map_err(io("starting the process"))?;
        Ok(Self { name: name.to_owned(), log: log.to_owned(), child })
    }

    /// Its name, for messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its output goes.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Kills it without warning (SIGKILL) and waits until it is gone: what a fault test wants.
    pub fn kill(&mut self) {
        // Both fail only when the process is gone already, which is what was asked for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // Fails only when the process is gone already.
            let _ = kill_process(pid, signal);
        }
    }

    /// Asks it to leave (SIGTERM); kills it when it has not within the bound. True when it left by itself.
    pub fn stop(&mut self) -> bool {
        self.signal(Signal::TERM);
        let mut waited = Duration::ZERO;
        while waited < LEAVE_TIMEOUT {
            if let Some(status) = self.ended() {
                return status.success() || status.signal() == Some(Signal::TERM.as_raw());
            }
            thread::sleep(LEAVE_POLL);
            waited += LEAVE_POLL;
        }
        self.kill();
        false
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        if self.ended().is_none() {
            self.kill();
        }
    }
}

#[allow(unsafe_code)]
fn die_with_parent(command: &mut Command) {
    // SAFETY: the closure runs between fork and exec and makes one async-signal-safe system call; it allocates nothing.
    unsafe {
        command.pre_exec(|| set_parent_process_death_signal(Some(Signal::KILL)).map_err(Into::into));
    }
}
