//! The sums of a whole chain.

use std::collections::BTreeMap;

use mesh30k_ledger::carbon::{CarbonReport, FundCheck, IntensityPoint, UseRow};
use mesh30k_ledger::genesis::GenesisPools;
use mesh30k_ledger::records::Totals;
use mesh30k_ledger::types::{AccountId, Height, TimeMs};
use mesh30k_node::api::types::CarbonPage;
use serde::{Deserialize, Serialize};

use crate::client::{ApiClient, ClientError};

/// Who used and paid what since the beginning of a chain, and what its funds hold.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CarbonBook {
    /// The last block counted.
    pub height: Height,
    /// Its block time.
    pub time: TimeMs,
    /// Blocks that nobody had: while there are some, the funds cannot be checked.
    pub missing_blocks: u64,
    /// Lines.
    pub uses: Vec<UseRow>,
    /// What oracles brought in force.
    pub intensities: Vec<IntensityPoint>,
    /// What the funds began with.
    pub opening: GenesisPools,
    /// Where all money is.
    pub totals: Totals,
    /// Names of accounts, where some are known.
    #[serde(default)]
    pub names: BTreeMap<AccountId, String>,
}

impl CarbonBook {
    /// Reads a node's history page by page, up to the block that is final when the last page is read.
    ///
    /// # Errors
    /// A node that does not answer.
    pub fn fetch(client: &ApiClient) -> Result<Self, ClientError> {
        let (mut sums, mut next, mut missing_blocks) = (CarbonReport::default(), Height(1), 0);
        loop {
            let page: CarbonPage = client.get(&format!("/v1/carbon/report?from={next}"))?;
            page.uses.iter().for_each(|row| sums.add_row(row));
            page.intensities.iter().for_each(|point| sums.add_point(*point));
            missing_blocks += page.missing_blocks;
            // A page that brings nothing although it does not reach the tip would be asked for without end.
            if page.next > page.tip || page.next <= next {
                return Ok(Self::of(&sums, page.tip, page.time, missing_blocks, page.opening, page.totals));
            }
            next = page.next;
        }
    }

    /// Puts a book together.
    #[must_use]
    pub fn of(
        sums: &CarbonReport,
        height: Height,
        time: TimeMs,
        missing_blocks: u64,
        opening: GenesisPools,
        totals: Totals,
    ) -> Self {
        let (uses, intensities) = (sums.rows().collect(), sums.points().collect());
        Self { height, time, missing_blocks, uses, intensities, opening, totals, names: BTreeMap::new() }
    }

    /// Its sums, to be grouped.
    #[must_use]
    pub fn report(&self) -> CarbonReport {
        let mut sums = CarbonReport::default();
        self.uses.iter().for_each(|row| sums.add_row(row));
        self.intensities.iter().for_each(|point| sums.add_point(*point));
        sums
    }

    /// The carbon pool and the access fund.
    #[must_use]
    pub fn funds(&self) -> (FundCheck, FundCheck) {
        self.report().funds(&self.opening, &self.totals)
    }

    /// What does not balance, in sentences; empty when everything does.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        let (pool, access) = self.funds();
        let mut failures = Vec::new();
        if self.missing_blocks > 0 {
            failures.push(format!("this node lacks {} blocks, so the funds cannot be checked", self.missing_blocks));
        }
        for (name, fund) in [("carbon pool", pool), ("access fund", access)] {
            if !fund.balances() {
                let FundCheck { opening_uftns, in_uftns, out_uftns, held_uftns } = fund;
                failures.push(format!(
                    "the {name} holds {held_uftns} uFTNS, but {opening_uftns} + {in_uftns} - {out_uftns} came to it"
                ));
            }
        }
        if !self.report().total().balances() {
            failures.push("what requesters paid is not base + carbon + premium - discount - green".to_owned());
        }
        if !self.totals.is_conserved() {
            failures.push("the ledger's supply is not where it was minted less what was burned".to_owned());
        }
        failures
    }

    /// An account as people know it.
    #[must_use]
    pub fn name(&self, account: &AccountId) -> String {
        self.names.get(account).cloned().unwrap_or_else(|| {
            let text = account.to_string();
            let tail = text.len().saturating_sub(5);
            format!("{}\u{2026}{}", text.get(..10).unwrap_or_default(), text.get(tail..).unwrap_or_default())
        })
    }
}
