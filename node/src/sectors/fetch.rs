//! Asking voters: what changed in a sector, who leads it.

use std::time::Duration;

use futures::future::join_all;
use mesh30k_core::lead::Fencing;
use mesh30k_core::wire::Priority;
use mesh30k_ledger::types::{NodeId, SectorId};

use super::handle::{Errand, SectorHandle};
use super::members;
use super::replica::Trust;
use super::wire::{BeatAnswer, BeatQuestion, Coordinator};

/// How long one voter may take; then the next is asked.
const ASK_TIMEOUT: Duration = Duration::from_secs(2);
/// A copy of a sector that this node does not keep is good for 2 s.
pub(super) const FRESH_US: i64 = 2_000_000;
/// Sectors fetched at the same time, at most.
const FETCHES_AT_ONCE: usize = 16;

impl SectorHandle {
    /// Brings a copy of a sector up to date, unless this node votes in it or somebody is at it already.
    pub async fn refresh(&self, sector: SectorId) {
        if self.seat(sector).is_some() || !self.begin(sector, Errand::News) {
            return;
        }
        let after = self.version(sector);
        for node in self.whom_to_ask(sector) {
            if self.fetch_from(node, sector, after).await {
                break;
            }
        }
        self.end(sector, Errand::News);
    }

    /// Brings every sector that this node does not keep up to date, if its copy is older than two seconds.
    pub async fn refresh_all(&self) {
        let (now, kept) = (self.now(), self.kept());
        let is_stale = |sector: &SectorId| {
            self.refreshed(*sector).is_none_or(|at| !kept.contains(sector) && now.since_us(at) > FRESH_US)
        };
        let stale: Vec<SectorId> = self.roster().sectors.keys().copied().filter(is_stale).collect();
        for some in stale.chunks(FETCHES_AT_ONCE) {
            join_all(some.iter().map(|sector| self.refresh(*sector))).await;
        }
    }

    /// Asks voters who leads a sector, until one knows.
    pub(super) async fn ask_who_leads(&self, sector: SectorId) {
        if !self.begin(sector, Errand::Leader) {
            return;
        }
        for node in self.whom_to_ask(sector) {
            let answer = self.post().ask(node, BeatQuestion::WhoLeads(sector), Priority::Normal, ASK_TIMEOUT).await;
            if let Ok(BeatAnswer::Leads(Some(coordinator))) = answer
                && self.hear(sector, coordinator)
            {
                break;
            }
        }
        self.end(sector, Errand::Leader);
    }

    /// Answers a peer. A voter answers from its own state, others from their copy.
    pub(crate) fn answer(&self, question: BeatQuestion) -> BeatAnswer {
        match question {
            BeatQuestion::Clock => BeatAnswer::Refused("this node is not the anchor".to_owned()),
            BeatQuestion::WhoLeads(sector) => BeatAnswer::Leads(self.coordinator_of(sector)),
            BeatQuestion::News { sector, after } => match self.news(sector, after) {
                Some(news) => BeatAnswer::News { news, coordinator: self.coordinator_of(sector) },
                None => BeatAnswer::Refused(format!("this node does not know sector {sector}")),
            },
        }
    }

    async fn fetch_from(&self, node: NodeId, sector: SectorId, after: Fencing) -> bool {
        let question = BeatQuestion::News { sector, after };
        let (news, coordinator) = match self.post().ask(node, question, Priority::Normal, ASK_TIMEOUT).await {
            Ok(BeatAnswer::News { news, coordinator }) if news.sector == sector => (news, coordinator),
            Ok(_) => return false,
            Err(error) => {
                tracing::debug!(%error, %sector, "news of the sector were not fetched");
                return false;
            }
        };
        if let Some(coordinator) = coordinator {
            self.hear(sector, coordinator);
        }
        let host_key = |host| self.post().host_key(host);
        let trust = Trust::Checked { context: self.post().context(), host_key: &host_key };
        match self.follow(news, trust, self.now()) {
            Ok(_) => true,
            Err(error) => {
                tracing::debug!(%error, %sector, %node, "fetched news were not taken in");
                false
            }
        }
    }

    /// Somebody says who leads; only a voter can.
    fn hear(&self, sector: SectorId, coordinator: Coordinator) -> bool {
        members::voters(&self.roster(), sector).contains(&coordinator.node) && self.on_leader(sector, coordinator)
    }

    /// The coordinator first, if connected; then the other voters, connected ones first.
    fn whom_to_ask(&self, sector: SectorId) -> Vec<NodeId> {
        let leader = self.coordinator_of(sector).map(|coordinator| coordinator.node);
        let mut voters: Vec<NodeId> = members::voters(&self.roster(), sector).to_vec();
        voters.retain(|voter| *voter != self.me());
        voters.sort_by_key(|voter| (!self.post().reaches(*voter), Some(*voter) != leader, *voter));
        voters
    }
}
