//! Words of coordinators that come by gossip.

use mesh30k_core::registry::RegistryError;
use mesh30k_p2p::Verdict;

use super::handle::SectorHandle;
use super::members;
use super::replica::{NewsRefusal, Trust};
use super::wire::SectorGossip;
use crate::mesh::OpenError;
use mesh30k_core::wire::WireError;

impl SectorHandle {
    /// Takes in a word; the verdict says whether to relay it. A gap it shows is closed in the background.
    pub(crate) fn on_gossip(&self, data: &[u8]) -> Verdict {
        let (word, signer) = match self.post().open_gossip(data) {
            Ok(opened) => opened,
            Err(OpenError::Wire(WireError::Expired { .. } | WireError::UnknownVersion { .. })) => {
                return Verdict::Ignore;
            }
            Err(error) => {
                tracing::debug!(%error, "a gossiped word was refused");
                return Verdict::Reject;
            }
        };
        let (sector, coordinator) = (word.sector(), word.coordinator());
        if !members::voters(&self.roster(), sector).contains(&coordinator.node) {
            // Perhaps this node's ledger is behind.
            return Verdict::Ignore;
        }
        if self.post().host_key(coordinator.node) != Some(signer) {
            return Verdict::Reject;
        }
        match word {
            SectorGossip::Leads { .. } => relay_if(self.on_leader(sector, coordinator)),
            SectorGossip::Summary { summary, .. } => {
                let is_ahead = summary.version > self.version(sector);
                let accepted = self.on_summary(coordinator, summary);
                if accepted && is_ahead && self.kept().contains(&sector) {
                    self.refresh_soon(sector);
                }
                relay_if(accepted)
            }
            SectorGossip::News { news, .. } => {
                if !self.on_leader(sector, coordinator) {
                    return Verdict::Ignore;
                }
                // A voter has it from its group, and first-hand.
                if self.seat(sector).is_none() {
                    self.on_news(news);
                }
                Verdict::Accept
            }
        }
    }

    fn on_news(&self, news: mesh30k_core::lead::SectorNews) {
        let sector = news.sector;
        let host_key = |host| self.post().host_key(host);
        let trust = Trust::Checked { context: self.post().context(), host_key: &host_key };
        match self.follow(news, trust, self.now()) {
            Ok(_) => {}
            Err(NewsRefusal::Registry(RegistryError::Gap { .. })) => self.refresh_soon(sector),
            Err(error) => tracing::debug!(%error, %sector, "gossiped news were not taken in"),
        }
    }

    pub(super) fn refresh_soon(&self, sector: mesh30k_ledger::types::SectorId) {
        let handle = self.clone();
        tokio::spawn(async move { handle.refresh(sector).await });
    }
}

const fn relay_if(is_news: bool) -> Verdict {
    if is_news { Verdict::Accept } else { Verdict::Ignore }
}
