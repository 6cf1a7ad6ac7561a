//! An application that remembers what it was given, and makes it durable a few entries late, as the ledger does.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex};

use mesh30k_consensus::app::{AppSnapshot, Application, LogPosition, RestoreRefused};
use mesh30k_consensus::storage::{KvStore, Table, WriteBatch};
use serde::{Deserialize, Serialize};

const KEY: &[u8] = b"recorder";

/// What is durable: a position and all entries up to it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    pub position: Option<LogPosition>,
    pub entries: Vec<Vec<u8>>,
}

/// What every member saw at every index: the one history.
#[derive(Debug, Default)]
pub struct History {
    pub seen: BTreeMap<u64, (u64, Option<Vec<u8>>)>,
}

impl History {
    fn record(&mut self, at: LogPosition, entry: Option<&[u8]>) {
        let now = (at.term, entry.map(<[u8]>::to_vec));
        let first = self.seen.entry(at.index).or_insert_with(|| now.clone());
        assert_eq!(*first, now, "two histories at index {}", at.index);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    /// The state, this many entries behind what is applied.
    State { lag: usize },
    /// Nothing: relies on the group's snapshots.
    Nothing,
}

pub struct Recorder {
    kv: Arc<dyn KvStore>,
    keeps: Keeps,
    durable: Recorded,
    pending: VecDeque<(LogPosition, Option<Vec<u8>>)>,
    history: Arc<Mutex<History>>,
    /// All entries applied, readable by the test.
    pub applied: Arc<Mutex<Vec<Vec<u8>>>>,
    /// The position before the next one.
    last: Option<LogPosition>,
    /// openraft's storage suite applies positions with gaps between them; Raft never does.
    gaps: bool,
}

impl Recorder {
    pub fn open(kv: Arc<dyn KvStore>, keeps: Keeps, history: Arc<Mutex<History>>) -> Self {
        let stored = match keeps {
            Keeps::State { .. } => kv.get(Table::State, KEY).unwrap(),
            Keeps::Nothing => None,
        };
        let durable: Recorded = stored.map(|bytes| postcard::from_bytes(&bytes).unwrap()).unwrap_or_default();
        let applied = Arc::new(Mutex::new(durable.entries.clone()));
        let last = durable.position;
        Self { kv, keeps, durable, pending: VecDeque::new(), history, applied, last, gaps: false }
    }

    pub fn with_gaps(self) -> Self {
        Self { gaps: true, ..self }
    }

    fn step(&mut self, at: LogPosition, entry: Option<&[u8]>) {
        if let Some(last) = self.last.filter(|_| !self.gaps) {
            assert_eq!(at.index, last.index + 1, "each index once, in order");
            assert!(at.term >= last.term);
        }
        self.last = Some(at);
        self.history.lock().unwrap().record(at, entry);
        self.applied.lock().unwrap().extend(entry.map(<[u8]>::to_vec));
        self.pending.push_back((at, entry.map(<[u8]>::to_vec)));
        let lag = match self.keeps {
            Keeps::State { lag } => lag,
            Keeps::Nothing => 0,
        };
        while self.pending.len() > lag {
            let (position, entry) = self.pending.pop_front().unwrap();
            self.durable.position = Some(position);
            self.durable.entries.extend(entry);
        }
        self.persist();
    }

    fn persist(&self) {
        if self.keeps != Keeps::Nothing {
            let mut batch = WriteBatch::new();
            batch.put(Table::State, KEY, postcard::to_stdvec(&self.durable).unwrap());
            // A crashed disk answers nobody; the process it belonged to is gone.
            self.kv.write(&batch).ok();
        }
    }
}

impl Application for Recorder {
    fn apply(&mut self, position: LogPosition, entry: &[u8]) -> Vec<u8> {
        self.step(position, Some(entry));
        (self.applied.lock().unwrap().len() as u64).to_be_bytes().to_vec()
    }

    fn skip(&mut self, position: LogPosition) {
        self.step(position, None);
    }

    fn durable_position(&self) -> Option<LogPosition> {
        self.durable.position.filter(|_| self.keeps != Keeps::Nothing)
    }

    fn snapshot(&mut self) -> io::Result<AppSnapshot> {
        let bytes = postcard::to_stdvec(&self.durable).map_err(io::Error::other)?;
        Ok(AppSnapshot { position: self.durable.position, bytes })
    }

    fn admits(&self, position: LogPosition, bytes: &[u8]) -> Result<(), RestoreRefused> {
        let recorded = postcard::from_bytes::<Recorded>(bytes);
        let reason = "not what a recorder writes".to_owned();
        match recorded {
            Ok(recorded) if recorded.position == Some(position) => Ok(()),
            _ => Err(RestoreRefused { position, reason }),
        }
    }

    fn restore(&mut self, position: LogPosition, bytes: &[u8]) -> Result<(), RestoreRefused> {
        self.admits(position, bytes)?;
        self.durable = postcard::from_bytes(bytes).unwrap();
        self.pending.clear();
        self.last = self.durable.position;
        self.applied.lock().unwrap().clone_from(&self.durable.entries);
        self.persist();
        Ok(())
    }
}
