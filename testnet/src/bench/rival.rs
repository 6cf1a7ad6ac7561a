//! A server that somebody would take instead, from Debian's packages: started by the bench, ended with it.

use std::io::ErrorKind;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How long it may take to listen: this many looks, and the pause between two.
const START_TRIES: u32 = 200;
const START_PAUSE: Duration = Duration::from_millis(25);

/// A running server.
pub(super) struct Rival {
    child: Child,
}

impl Rival {
    /// Runs `command` and waits until `is_up`; nothing if the program is not installed.
    ///
    /// # Errors
    /// It is there and does not come up.
    pub(super) fn start(command: &mut Command, is_up: impl Fn() -> bool) -> Result<Option<Self>> {
        let name = command.get_program().to_string_lossy().into_owned();
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut rival = match spawned {
            Ok(child) => Self { child },
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("{name} can't be started")),
        };
        for _ in 0..START_TRIES {
            if is_up() {
                return Ok(Some(rival));
            }
            if let Some(status) = rival.child.try_wait()? {
                bail!("{name} ended at once: {status}");
            }
            thread::sleep(START_PAUSE);
        }
        bail!("{name} does not listen after {:?}", START_PAUSE * START_TRIES)
    }

    /// Asks it to end with `signal` and waits as long as it may take to start; what is left then is killed when it is dropped.
    pub(super) fn ask_to_end(&mut self, signal: Signal) {
        let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) else { return };
        // What fails here fails for a process that is gone already.
        let _ = kill_process(pid, signal);
        for _ in 0..START_TRIES {
            if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return;
            }
            thread::sleep(START_PAUSE);
        }
    }

    /// Its process.
    #[must_use]
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Rival {
    fn drop(&mut self) {
        // What fails here fails for a process that is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
