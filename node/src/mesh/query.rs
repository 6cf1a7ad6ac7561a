//! Queries of the registry: the best agents for something, and statistics of clusters, sectors and the mesh.

use mesh30k_core::registry::{Query, Record, Summary};
use mesh30k_ledger::types::{ClusterId, Scope};

use super::handle::MeshHandle;
use crate::api::types::{FoundRow, StatisticsRow};

/// What statistics are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatisticsBy {
    /// Everything together.
    Mesh,
    /// Each sector.
    Sector,
    /// Each cluster.
    Cluster,
}

impl MeshHandle {
    /// The agents a query asks for, the best first.
    pub async fn found(&self, query: &Query) -> Vec<FoundRow> {
        self.find(query).await.iter().map(|record| found_row(record)).collect()
    }

    /// Statistics of everything known here, in the order of the tree.
    pub async fn statistics(&self, by: StatisticsBy) -> Vec<StatisticsRow> {
        self.refresh().await;
        let (registry, now) = (self.registry(), self.now());
        match by {
            StatisticsBy::Mesh => vec![statistics_row(Scope::Global, &registry.summary(now))],
            StatisticsBy::Sector => registry
                .sectors()
                .map(|view| statistics_row(Scope::Sector(view.sector()), &view.summary(now)))
                .collect(),
            StatisticsBy::Cluster => registry
                .sectors()
                .flat_map(|view| {
                    let sector = view.sector();
                    let cluster = move |index| Scope::Cluster(ClusterId { sector, index });
                    view.cluster_summaries(now)
                        .into_iter()
                        .map(move |(index, summary)| statistics_row(cluster(index), &summary))
                })
                .collect(),
        }
    }
}

fn found_row(record: &Record) -> FoundRow {
    FoundRow {
        agent: record.agent,
        class: record.class,
        host: record.host,
        cluster: record.cluster,
        capabilities: record.capabilities.names().map(str::to_owned).collect(),
        score: record.score,
        z_us: record.z_us,
        reliability_ppm: record.reliability_ppm,
        drift_ppm: record.drift_ppm,
        price_uftns: record.price_uftns,
        region: record.region,
        energy: record.energy,
    }
}

fn statistics_row(scope: Scope, summary: &Summary) -> StatisticsRow {
    StatisticsRow {
        scope,
        agents: summary.agents,
        active: summary.active,
        degraded: summary.degraded,
        offline: summary.offline,
        quarantined: summary.quarantined,
        frozen: summary.frozen,
        mean_score: summary.mean_score(),
        z_p50_us: summary.z_p50_us(),
        z_p95_us: summary.z_p95_us(),
        fastest: summary.fastest,
        slowest: summary.slowest,
        healthiest: summary.healthiest,
        sickest: summary.sickest,
    }
}
