//! `mesh30k market offer | change`: what a seller says of what it lists.

use anyhow::Result;
use clap::Args;
use mesh30k_ledger::ops::{ChangeListing, CreateListing, ListingTerms, Operation};
use mesh30k_ledger::records::{EnergySource, ListingKind};
use mesh30k_ledger::types::{AgentId, Hash, Region, Uftns};
use mesh30k_node::api::types::ListingRow;

use super::{HOURS_MAX, capability, hours_ahead};
use crate::exit::UsageError;
use crate::session::Session;

/// What is offered.
#[derive(Args)]
pub(crate) struct OfferArgs {
    /// model, data, compute, or agent:N.
    kind: String,
    /// One line of at most 80 bytes.
    title: String,
    /// For one use or one part, in FTNS.
    #[arg(long)]
    price: Uftns,
    /// Registered content that is sold, or the hash of a description of the work.
    #[arg(long, default_value_t = Hash::ZERO)]
    content: Hash,
    /// What it can do; work names one.
    #[arg(long)]
    capability: Option<String>,
    /// Where it is (ISO 3166 alpha-2).
    #[arg(long)]
    region: Option<Region>,
    /// unstated, grid, contracted or on-site.
    #[arg(long, default_value = "unstated")]
    energy: EnergySource,
    /// What else there is to say, at most 1,024 bytes.
    #[arg(long, default_value = "")]
    about: String,
    /// How long it stands.
    #[arg(long, default_value_t = 30 * 24, value_parser = clap::value_parser!(u64).range(1..=HOURS_MAX))]
    hours: u64,
    /// The seller's key; of work, that of the node's account.
    #[arg(long)]
    key: String,
}

/// What becomes different of which listing.
#[derive(Args)]
pub(crate) struct ChangeArgs {
    /// Name of the listing.
    listing: Hash,
    #[command(flatten)]
    changes: Changes,
    /// The seller's key.
    #[arg(long)]
    key: String,
}

/// What is different from now on, at least one thing.
#[derive(Args)]
#[group(required = true, multiple = true)]
struct Changes {
    /// One line of at most 80 bytes.
    #[arg(long)]
    title: Option<String>,
    /// For one use or one part, in FTNS.
    #[arg(long)]
    price: Option<Uftns>,
    /// Other registered content, or the hash of another description; reviewed anew.
    #[arg(long)]
    content: Option<Hash>,
    /// What it can do.
    #[arg(long)]
    capability: Option<String>,
    /// Where it is (ISO 3166 alpha-2).
    #[arg(long)]
    region: Option<Region>,
    /// unstated, grid, contracted or on-site.
    #[arg(long)]
    energy: Option<EnergySource>,
    /// What else there is to say, at most 1,024 bytes.
    #[arg(long)]
    about: Option<String>,
    /// How long it stands, from now.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=HOURS_MAX))]
    hours: Option<u64>,
}

fn kind(text: &str) -> Result<ListingKind> {
    let agent = text.strip_prefix("agent:").and_then(|id| id.parse::<AgentId>().ok());
    match (text, agent) {
        ("model", _) => Ok(ListingKind::Model),
        ("data", _) => Ok(ListingKind::Data),
        ("compute", _) => Ok(ListingKind::Compute),
        (_, Some(agent)) => Ok(ListingKind::Agent(agent)),
        _ => Err(UsageError(format!("`{text}` is not one of model, data, compute, agent:N")).into()),
    }
}

pub(super) fn offer(session: &Session, args: OfferArgs) -> Result<()> {
    let kind = kind(&args.kind)?;
    let capability = args.capability.as_deref().map(capability).transpose()?;
    let until = hours_ahead(session, args.hours)?;
    let OfferArgs { title, about, content, region, energy, price, key, .. } = args;
    let terms = ListingTerms { title, about, content, capability, region, energy, price, until };
    session.done(&key, Operation::CreateListing(CreateListing { kind, terms }), "listed as")
}

pub(super) fn change(session: &Session, args: ChangeArgs) -> Result<()> {
    let ChangeArgs { listing, changes, key } = args;
    let Changes { title, price, content, capability: named, region, energy, about, hours } = changes;
    let row: ListingRow = session.client()?.get(&format!("/v1/listings/{listing}"))?;
    let before = row.record.terms;
    let terms = ListingTerms {
        title: title.unwrap_or(before.title),
        about: about.unwrap_or(before.about),
        content: content.unwrap_or(before.content),
        capability: named.as_deref().map(capability).transpose()?.or(before.capability),
        region: region.or(before.region),
        energy: energy.unwrap_or(before.energy),
        price: price.unwrap_or(before.price),
        until: hours.map(|hours| hours_ahead(session, hours)).transpose()?.unwrap_or(before.until),
    };
    session.done(&key, Operation::ChangeListing(ChangeListing { listing, terms }), "listing changed")
}
