//! The blocks of a node as others see them, through its API.

use std::collections::BTreeMap;

use mesh30k_ledger::types::{Hash, Height, TxId};
use mesh30k_node::api::types::{BlockRow, Status};
use mesh30k_testnet::client::{ApiClient, ClientError};

/// Final blocks of one node. A block's id covers the state root before it, so equal ids are equal states.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    /// By height; a node that took a snapshot lacks what lies before.
    pub blocks: BTreeMap<Height, BlockRow>,
}

impl Chain {
    /// All final blocks that a node has.
    ///
    /// # Errors
    /// When the node can't be asked.
    pub fn fetch(client: &ApiClient) -> Result<Self, ClientError> {
        let tip = client.get::<Status>("/v1/status")?.final_height;
        let mut blocks = BTreeMap::new();
        for height in (1..=tip.0).map(Height) {
            match block(client, height) {
                Ok(row) => {
                    blocks.insert(height, row);
                }
                Err(ClientError::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self { blocks })
    }

    /// In which blocks each transaction is.
    #[must_use]
    pub fn places(&self) -> BTreeMap<TxId, Vec<Height>> {
        let mut places: BTreeMap<TxId, Vec<Height>> = BTreeMap::new();
        for (height, block) in &self.blocks {
            for id in &block.transactions {
                places.entry(*id).or_default().push(*height);
            }
        }
        places
    }

    /// The first block whose parent is not the block before it. Where there is none, the last id vouches for all.
    #[must_use]
    pub fn gap(&self) -> Option<Height> {
        let broken = |((_, below), (_, above)): &((&Height, &BlockRow), (&Height, &BlockRow))| above.parent != below.id;
        self.blocks.iter().zip(self.blocks.iter().skip(1)).find(broken).map(|(_, (height, _))| *height)
    }
}

/// One final block of a node.
///
/// # Errors
/// When the node can't be asked or has no such block.
pub fn block(client: &ApiClient, height: Height) -> Result<BlockRow, ClientError> {
    client.get(&format!("/v1/blocks/{height}"))
}

/// The id of a final block of a node.
///
/// # Errors
/// When the node can't be asked or has no such block.
pub fn block_id(client: &ApiClient, height: Height) -> Result<Hash, ClientError> {
    block(client, height).map(|row| row.id)
}
