//! Finished runs, a file each.

use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::BenchError;
use super::jobs::ArrivalBench;
use crate::config::SimConfig;

/// What a file must have been made with to be used again; seed, scenario and strategy are in its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MadeWith {
    agents: u32,
    waves: u32,
    warm_up_us: i64,
    interval_us: i64,
    fingerprint: String,
}

impl MadeWith {
    pub(super) fn new(bench: &ArrivalBench, fingerprint: String) -> Self {
        let SimConfig { agents, waves, warm_up_us, interval_us, .. } = bench.base;
        Self { agents, waves, warm_up_us, interval_us, fingerprint }
    }
}

#[derive(Serialize, Deserialize)]
struct Stored<T> {
    made_with: MadeWith,
    result: T,
}

/// The folder.
#[derive(Debug)]
pub(super) struct Store {
    folder: PathBuf,
    made_with: MadeWith,
}

impl Store {
    pub(super) fn open(folder: &Path, made_with: MadeWith) -> Result<Self, BenchError> {
        fs::create_dir_all(folder).map_err(|source| file_error(folder, source))?;
        Ok(Self { folder: folder.to_owned(), made_with })
    }

    /// A result of an earlier bench of the same arguments and the same build; whatever else lies there is not used.
    pub(super) fn load<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let text = fs::read_to_string(self.path(name)).ok()?;
        let stored: Stored<T> = serde_json::from_str(&text).ok()?;
        (stored.made_with == self.made_with).then_some(stored.result)
    }

    /// Whole or not at all: a killed bench leaves no half of a file under this name. Gives back what [`Self::load`] will read: the
    /// last digit of a fraction may differ, and a bench that goes on has to report what it would have in one go.
    pub(super) fn save<T: Serialize + DeserializeOwned>(&self, name: &str, result: &T) -> Result<T, BenchError> {
        let text = serde_json::to_string(&Stored { made_with: self.made_with.clone(), result })?;
        let (path, partial) = (self.path(name), self.folder.join(format!("{name}.partial")));
        fs::write(&partial, &text).map_err(|source| file_error(&partial, source))?;
        fs::rename(&partial, &path).map_err(|source| file_error(&path, source))?;
        Ok(serde_json::from_str::<Stored<T>>(&text)?.result)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }
}

pub(super) fn file_error(path: &Path, source: std::io::Error) -> BenchError {
    BenchError::File { path: path.display().to_string(), source }
}
