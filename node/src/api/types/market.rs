//! Market and quota over the API: the ledger's own records with their names.

use mesh30k_ledger::records::{Escrow, ListingRecord, OrderRecord, QuotaOffer, QuotaRecord};
use mesh30k_ledger::types::{Hash, Uftns};
use serde::{Deserialize, Serialize};

/// `GET /v1/listings/{id}` and one row of `GET /v1/listings?from=`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListingRow {
    /// Its name.
    pub listing: Hash,
    /// What it is.
    pub record: ListingRecord,
}

/// `GET /v1/orders/{id}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OrderAnswer {
    /// What was ordered of whom.
    pub order: OrderRecord,
    /// Where its money is.
    pub escrow: Escrow,
}

/// One row of `GET /v1/quotas`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct QuotaOfferRow {
    /// Its name.
    pub offer: Hash,
    /// What is offered or lent.
    pub record: QuotaOffer,
}

/// One capability of `GET /v1/quotas/{account}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct QuotaRow {
    /// Its name.
    pub capability: String,
    /// As last written; what was used counts in its period only.
    pub record: QuotaRecord,
}

/// `GET /v1/reserve`: what has to be set aside beside the price of a part.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ReserveAnswer {
    /// In all, at least: less is refused.
    pub needed_uftns: Uftns,
    /// In all, so that hosts whose energy is dirtier than is reckoned with are paid as well.
    pub advised_uftns: Uftns,
    /// Of it, for the premium on the whole price.
    pub premium_uftns: Uftns,
    /// For the royalty of the module.
    pub royalty_uftns: Uftns,
    /// For the footprint that so much work is reckoned to have.
    pub carbon_uftns: Uftns,
}
