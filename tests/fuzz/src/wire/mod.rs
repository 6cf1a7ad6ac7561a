//! What nodes say to each other, above Raft.

pub mod event;
#[allow(dead_code)]
#[path = "../../../../node/src/ledger/wire.rs"]
pub mod ledger;
#[path = "../../../../node/src/sectors/wire.rs"]
pub mod sectors;
pub mod tasks;

use mesh30k_core::lead::{SectorEntry, SectorNews};

use crate::strict::{choose, strict};

/// More than any lane takes of these.
const MAX_BYTES: usize = 1 << 20;

/// Announcements, questions, answers, transactions on their way.
pub fn ledger_wire(bytes: &[u8]) {
    let Some((kind, bytes)) = choose(bytes, 5) else { return };
    match kind {
        0 => drop(strict::<ledger::Announcement>(bytes, MAX_BYTES)),
        1 => drop(strict::<ledger::SyncRequest>(bytes, MAX_BYTES)),
        2 => drop(strict::<ledger::SyncAnswer>(bytes, MAX_BYTES)),
        3 => drop(strict::<ledger::TxMessage>(bytes, MAX_BYTES)),
        _ => drop(strict::<ledger::SponsorAnswer>(bytes, MAX_BYTES)),
    }
}

/// Heartbeats, words of coordinators, entries and news of sectors.
pub fn sector_wire(bytes: &[u8]) {
    let Some((kind, bytes)) = choose(bytes, 4) else { return };
    match kind {
        0 => {
            if let Some(sectors::BeatMessage::Notice(sectors::BeatNotice::Batch { batch, .. })) =
                strict::<sectors::BeatMessage>(bytes, MAX_BYTES)
            {
                let _ = batch.batch.check();
            }
        }
        1 => {
            if let Some(word) = strict::<sectors::SectorGossip>(bytes, MAX_BYTES) {
                let _ = (word.sector(), word.coordinator());
            }
        }
        2 => assert_eq!(strict::<SectorEntry>(bytes, MAX_BYTES), SectorEntry::decode(bytes).ok()),
        _ => {
            let news = SectorNews::decode(bytes).ok();
            assert!(news.is_none_or(|news| news.encode() == bytes));
        }
    }
}
