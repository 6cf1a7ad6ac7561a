//! The folder of a node that does not run.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use mesh30k_chain::LedgerStore;
use mesh30k_consensus::storage::{KvStore, RocksStore, StoreError, abort_on_fatal};
use mesh30k_ledger::genesis::Genesis;

use crate::config::Config;
use crate::datadir::DataDir;
use crate::node::{NodeError, open_data, read_genesis};

/// Why the folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StoppedError {
    /// Folder or genesis.
    #[error(transparent)]
    Node(Box<NodeError>),
    /// The database, for example because the node still runs.
    #[error("the node's database can't be opened; the node has to be stopped")]
    Store(#[from] StoreError),
}

/// A node's folder, taken while the node does not run.
pub(crate) struct Stopped {
    pub(crate) genesis: Genesis,
    pub(crate) data: DataDir,
    pub(crate) kv: Arc<dyn KvStore>,
    pub(crate) store: LedgerStore,
}

impl Stopped {
    pub(crate) fn open(config: &Config) -> Result<Self, StoppedError> {
        let node = |error| StoppedError::Node(Box::new(error));
        let genesis = read_genesis(&config.network.genesis).map_err(node)?;
        let data = open_data(config, &genesis).map_err(node)?;
        let kv: Arc<dyn KvStore> =
            Arc::new(RocksStore::open_with(&data.db(), config.ledger.memory(), abort_on_fatal())?);
        let store = LedgerStore::new(Arc::clone(&kv));
        store.take_back_import()?;
        Ok(Self { genesis, data, kv, store })
    }

    /// Returns once everything written is on disk.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        let (synced, on_disk) = sync_channel(1);
        // Nobody waits any more if the receiver is gone, which it is not before this returns.
        self.kv.flush(Box::new(move |result| drop(synced.send(result))));
        on_disk.recv().unwrap_or(Err(StoreError::Closed))
    }
}
