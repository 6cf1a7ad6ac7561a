//! Offers at a fixed price: listed, changed, withdrawn by their seller; looked at by reviewers.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::{Call, Capabilities, within};
use crate::execute::{Stop, Working};
use crate::outcome::{DueEvent, Effect};
use crate::parameters::Parameter;
use crate::records::{
    AgentRecord, ContentRecord, Due, EnergySource, ListingKind, ListingRecord, NodeRecord, Office, Safety,
};
use crate::rejection::Rejection;
use crate::state::keyspace;
use crate::types::{AccountId, Hash, NodeId, Region, TimeMs, Uftns};

/// Bytes of a title, at most.
pub const MAX_LISTING_TITLE_BYTES: usize = 80;
/// Bytes of what else is said about an offer, at most.
pub const MAX_LISTING_ABOUT_BYTES: usize = 1_024;
/// The longest an offer stands without being renewed: a year.
pub const MAX_LISTING_MS: u64 = 365 * 24 * 3_600 * 1_000;
/// Offers of one account that stand, at most.
pub const MAX_LISTINGS: u32 = 64;

/// What a seller says of its offer.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct ListingTerms {
    /// One line, 1 to [`MAX_LISTING_TITLE_BYTES`].
    pub title: String,
    /// What else there is to say, at most [`MAX_LISTING_ABOUT_BYTES`]: a licence, an address, a form of data.
    pub about: String,
    /// Of models and data the registered content, of work the hash of a description.
    pub content: Hash,
    /// What it can do; work must say one.
    pub capability: Option<Capabilities>,
    /// Where it is; of work, where the seller's node is.
    pub region: Option<Region>,
    /// Where its energy comes from.
    pub energy: EnergySource,
    /// For one use of content or one part of work, more than nothing.
    pub price: Uftns,
    /// It takes orders until then, at most [`MAX_LISTING_MS`] ahead.
    pub until: TimeMs,
}

/// Offers something. Named by this transaction's id.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct CreateListing {
    /// What.
    pub kind: ListingKind,
    /// At what terms.
    pub terms: ListingTerms,
}

/// Offers the same at other terms. Orders that were made keep theirs. Other content is unreviewed again.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct ChangeListing {
    /// Which.
    pub listing: Hash,
    /// From now on.
    pub terms: ListingTerms,
}

/// Ends an offer. Orders that were made go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct WithdrawListing {
    /// Which.
    pub listing: Hash,
}

/// A reviewer's word on the safety of an offer. Enough that say the same put it in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct ReviewListing {
    /// Which.
    pub listing: Hash,
    /// What the reviewer found.
    pub safety: Safety,
}

impl ListingTerms {
    fn check(&self, working: &Working<'_>, seller: &AccountId, kind: ListingKind) -> Result<(), Stop> {
        within("title (bytes)", self.title.len() as u64, 1, MAX_LISTING_TITLE_BYTES as u64)?;
        within("about (bytes)", self.about.len() as u64, 0, MAX_LISTING_ABOUT_BYTES as u64)?;
        if self.price.is_zero() {
            return Err(Rejection::ZeroAmount.into());
        }
        let (deadline, time, latest) = (self.until, working.now, working.now.plus_ms(MAX_LISTING_MS));
        if deadline <= time {
            return Err(Rejection::DeadlinePassed { deadline, time }.into());
        }
        if deadline > latest {
            return Err(Rejection::DeadlineTooFar { deadline, latest }.into());
        }
        if self.capability.is_some() || kind.is_work() {
            self.capability.unwrap_or_default().must_be_one()?;
        }
        let node: Option<NodeId> = working.read(&keyspace::node_of_account(seller))?;
        let node: Option<NodeRecord> = node.map(|node| working.must_read(&keyspace::node(node))).transpose()?;
        if kind.is_work() {
            self.check_work(working, node.as_ref().ok_or(Rejection::NodeMissing(*seller))?, kind)?;
        } else {
            self.check_content(working, seller)?;
        }
        let attested = node.is_some_and(|node| node.renewable_ppm > 0);
        if matches!(self.energy, EnergySource::Contracted | EnergySource::OnSite) && !attested {
            return Err(mismatch("energy source", &self.energy, &"no attested share of renewable energy").into());
        }
        Ok(())
    }

    fn check_work(&self, working: &Working<'_>, node: &NodeRecord, kind: ListingKind) -> Result<(), Stop> {
        if let ListingKind::Agent(id) = kind {
            let agent: AgentRecord = working.read(&keyspace::agent(id))?.ok_or(Rejection::UnknownAgent(id))?;
            if agent.node != node.id {
                return Err(Rejection::WrongHost { agent: id, host: agent.node, found: node.id }.into());
            }
            if !agent.capabilities.contains(self.capability.unwrap_or_default()) {
                return Err(Rejection::NotCapable { agent: id }.into());
            }
        }
        match self.region {
            Some(region) if region != node.region => Err(mismatch("region", &region, &node.region).into()),
            _ => Ok(()),
        }
    }

    /// Content that is sold is registered, so that its royalties cannot be sold past.
    fn check_content(&self, working: &Working<'_>, seller: &AccountId) -> Result<(), Stop> {
        let unknown = || Rejection::Unknown { what: "content".into(), id: self.content.to_string() };
        let record: ContentRecord = working.read(&keyspace::content(&self.content))?.ok_or_else(unknown)?;
        if record.owners.iter().any(|share| share.owner == *seller) {
            return Ok(());
        }
        let owner = record.owners.first().map_or(*seller, |share| share.owner);
        Err(Rejection::NotOwner { what: "the content".into(), owner }.into())
    }
}

fn mismatch(field: &str, found: &dyn std::fmt::Display, expected: &dyn std::fmt::Display) -> Rejection {
    Rejection::ListingMismatch { field: field.into(), found: found.to_string(), expected: expected.to_string() }
}

/// The offer of this name.
pub(super) fn listing(working: &Working<'_>, id: &Hash) -> Result<ListingRecord, Stop> {
    let unknown = || Rejection::Unknown { what: "listing".into(), id: id.to_string() };
    Ok(working.read(&keyspace::listing(id))?.ok_or_else(unknown)?)
}

/// As [`listing`], while it stands and belongs to the transaction's account.
fn own_listing(working: &Working<'_>, call: &Call<'_>, id: &Hash) -> Result<ListingRecord, Stop> {
    let record = listing(working, id)?;
    if record.seller != call.account {
        return Err(Rejection::NotOwner { what: "listing".into(), owner: record.seller }.into());
    }
    if record.closed {
        return Err(Rejection::AlreadyDone("this listing was closed".into()).into());
    }
    Ok(record)
}

/// Offers of an account that stand.
fn standing(working: &Working<'_>, seller: &AccountId) -> Result<u32, Stop> {
    Ok(working.read(&keyspace::standing_listings(seller))?.unwrap_or_default())
}

impl CreateListing {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        self.terms.check(working, &call.account, self.kind)?;
        let standing = standing(working, &call.account)?;
        if standing >= MAX_LISTINGS {
            let (found, max) = (u64::from(standing), u64::from(MAX_LISTINGS));
            return Err(Rejection::TooMany { what: "listings of this account".into(), found, max }.into());
        }
        let record = ListingRecord {
            seller: call.account,
            kind: self.kind,
            terms: self.terms.clone(),
            safety: Safety::Unreviewed,
            words: BTreeMap::new(),
            since: working.now,
            closed: false,
            open_orders: 0,
            orders: 0,
            stars: 0,
            ratings: 0,
        };
        working.write(keyspace::listing(&call.id), &record);
        working.write(keyspace::standing_listings(&call.account), &standing.saturating_add(1));
        working.schedule(self.terms.until, &Due::ListingEnds(call.id));
        Ok(Effect::Listed { listing: call.id, price: self.terms.price, until: self.terms.until })
    }
}

impl ChangeListing {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        let mut record = own_listing(working, call, &self.listing)?;
        self.terms.check(working, &call.account, record.kind)?;
        if self.terms.content != record.terms.content {
            record.safety = Safety::Unreviewed;
            record.words.clear();
        }
        // One entry of the queue a listing, however often it is changed.
        working.remove(keyspace::due(record.terms.until, &Due::ListingEnds(self.listing)));
        record.terms = self.terms.clone();
        working.write(keyspace::listing(&self.listing), &record);
        working.schedule(self.terms.until, &Due::ListingEnds(self.listing));
        Ok(Effect::Listed { listing: self.listing, price: self.terms.price, until: self.terms.until })
    }
}

impl WithdrawListing {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        let record = own_listing(working, call, &self.listing)?;
        let open_orders = record.open_orders;
        working.remove(keyspace::due(record.terms.until, &Due::ListingEnds(self.listing)));
        close(working, &self.listing, record)?;
        Ok(Effect::ListingWithdrawn { listing: self.listing, open_orders })
    }
}

impl ReviewListing {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        working.must_hold(Office::Reviewer, &call.account)?;
        let mut record = listing(working, &self.listing)?;
        if record.seller == call.account {
            return Err(Rejection::SelfReference("reviewed seller".into()).into());
        }
        if record.safety == self.safety || record.words.get(&call.account) == Some(&self.safety) {
            return Err(Rejection::AlreadyDone("this was said".into()).into());
        }
        // A reviewer's later word replaces its earlier one.
        record.words.insert(call.account, self.safety);
        let alike = record.words.values().filter(|word| **word == self.safety).count() as u64;
        if alike >= working.parameter(Parameter::CreditReviewers) {
            record.safety = self.safety;
            record.words.clear();
        }
        let safety = record.safety;
        working.write(keyspace::listing(&self.listing), &record);
        Ok(Effect::ListingReviewed { listing: self.listing, words: alike, safety })
    }
}

fn close(working: &mut Working<'_>, id: &Hash, mut record: ListingRecord) -> Result<(), Stop> {
    record.closed = true;
    working.write(keyspace::listing(id), &record);
    let standing = standing(working, &record.seller)?.saturating_sub(1);
    working.write(keyspace::standing_listings(&record.seller), &standing);
    Ok(())
}

/// Ends an offer whose time is over.
pub(crate) fn end_listing(working: &mut Working<'_>, id: &Hash, events: &mut Vec<DueEvent>) -> Result<(), Stop> {
    let record = listing(working, id)?;
    let seller = record.seller;
    close(working, id, record)?;
    events.push(DueEvent::ListingEnded { listing: *id, seller });
    Ok(())
}
