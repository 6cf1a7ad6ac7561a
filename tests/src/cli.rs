//! The binary as a person at a shell uses it, away from whatever else runs on this machine.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::mesh::TestMesh;
use crate::program::program;
use crate::wait::wait_until;

/// How long a command may take.
const COMMAND_MAX: Duration = Duration::from_secs(60);

/// What a command said.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// A shell with a home of its own, so that no running testnet and no key of this machine is found.
#[derive(Debug)]
pub struct Shell {
    home: PathBuf,
    program: PathBuf,
    variables: Vec<(String, String)>,
}

impl Shell {
    /// A shell whose home is `home`.
    ///
    /// # Panics
    /// When there is no binary.
    #[must_use]
    pub fn new(home: &Path) -> Self {
        Self { home: home.to_owned(), program: program(), variables: Vec::new() }
    }

    /// A shell whose home is `home` and whose commands talk to the first node of `mesh`, with its keys.
    ///
    /// # Panics
    /// When there is no binary, or the mesh's passphrase can't be read.
    #[must_use]
    pub fn of(home: &Path, mesh: &TestMesh) -> Self {
        let layout = mesh.layout();
        let passphrase = fs::read_to_string(layout.passphrase_file()).expect("the mesh has a passphrase");
        Self::new(home)
            .with("MESH30K_API", &layout.nodes.first().expect("a mesh has a node").api_url())
            .with("MESH30K_KEYS", layout.keys_dir().to_str().expect("its folder is UTF-8"))
            .with("MESH30K_PASSPHRASE", passphrase.trim())
    }

    /// Where its commands run.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Sets a variable for all commands.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs `mesh30k arguments..` to its end.
    ///
    /// # Panics
    /// When it can't be started or does not end.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Answer {
        let (out, err) = (self.home.join("stdout"), self.home.join("stderr"));
        let mut command = Command::new(&self.program);
        let file = |path: &Path| File::create(path).expect("a file for the command's output");
        command.args(arguments).stdin(Stdio::null()).stdout(file(&out)).stderr(file(&err)).current_dir(&self.home);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MESH30K_")) {
            command.env_remove(name);
        }
        command.env("HOME", &self.home).env("XDG_DATA_HOME", self.home.join("data")).env_remove("RUST_LOG");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        let mut child = command.spawn().expect("the binary starts");
        let what = format!("`mesh30k {}` ends", arguments.join(" "));
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_until(&what, COMMAND_MAX, || child.try_wait().expect("own child").ok_or_else(|| read(&err)))
        }));
        let status = ended.unwrap_or_else(|late| {
            // Nothing may go on in the background of a test that failed.
            let _ = child.kill();
            let _ = child.wait();
            std::panic::resume_unwind(late)
        });
        Answer { code: status.code(), stdout: read(&out), stderr: read(&err) }
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}
