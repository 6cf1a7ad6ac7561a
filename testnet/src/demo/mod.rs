//! The main job, one step a file. A step returns what it measured; the same value is printed and reported.

pub mod cascades;
pub mod closing;
pub mod forming;
pub mod freeze;
pub mod task;
pub mod truth;
pub mod vote;

use std::thread;

use anyhow::Result;
use serde::de::DeserializeOwned;

use crate::client::{ApiClient, ClientError};
use crate::layout::{Layout, OPERATOR};
use crate::render::Console;
use crate::stop::StopFlag;
use crate::wallet::Wallet;

/// What every step works with.
pub struct Stage<'a> {
    /// The network.
    pub layout: &'a Layout,
    /// Where it prints.
    pub console: &'a Console,
    /// Whether it shall end.
    pub stop: &'a StopFlag,
    /// A client of each node, the first node's first.
    pub clients: Vec<ApiClient>,
    /// Freezes, thaws, starts events.
    pub operator: Wallet,
    /// Proposes.
    pub alice: Wallet,
    /// Pays for the task.
    pub bob: Wallet,
}

impl<'a> Stage<'a> {
    /// Unlocks the keys and finds the chain; the nodes must be up.
    ///
    /// # Errors
    /// When a key can't be unlocked or the first node can't be asked.
    pub fn open(layout: &'a Layout, console: &'a Console, stop: &'a StopFlag) -> Result<Self> {
        let clients: Vec<ApiClient> = layout.nodes.iter().map(|node| ApiClient::new(&node.api_url())).collect();
        let wallet = |name: &str, number: usize| -> Result<Wallet> {
            let node = layout.nodes.get(number % layout.nodes.len().max(1)).map(crate::layout::NodeLayout::api_url);
            Ok(Wallet::open(ApiClient::new(&node.unwrap_or_default()), layout.unlock(name)?)?)
        };
        // People ask different nodes, as people do.
        let (operator, alice, bob) = (wallet(OPERATOR, 0)?, wallet("alice", 1)?, wallet("bob", 2)?);
        Ok(Self { layout, console, stop, clients, operator, alice, bob })
    }

    /// Asks every node at once; answers in order of the nodes.
    ///
    /// # Errors
    /// The first node's that could not answer.
    pub fn ask_all<T: DeserializeOwned + Send>(&self, path: &str) -> Result<Vec<T>, ClientError> {
        thread::scope(|scope| {
            let asked: Vec<_> =
                self.clients.iter().map(|client| (client, scope.spawn(move || client.get::<T>(path)))).collect();
            let joined = asked.into_iter().map(|(client, thread)| {
                thread.join().unwrap_or_else(|_| {
                    let reason = "the asking thread ended early".to_owned();
                    Err(ClientError::Unreachable { url: client.base().to_owned(), reason })
                })
            });
            joined.collect()
        })
    }
}
