//! `mesh30k market`: content and work at a fixed price, auctions, claims.

mod auction;
mod claim;
mod offer;

use anyhow::Result;
use clap::{Args, Subcommand};
use mesh30k_ledger::ops::{
    AcceptDelivery, BuyUse, Capabilities, CollectRoyalties, Operation, OrderedWork, PlaceOrder, RateContent, RateOrder,
    RegisterContent, ReviewListing, WithdrawListing,
};
use mesh30k_ledger::records::{ContentParent, ContentRecord, ContentShare, ListingRecord, Safety};
use mesh30k_ledger::types::{EscrowId, Hash, TimeMs, Uftns};
use mesh30k_node::api::types::{ListingRow, OrderAnswer, Status};
use mesh30k_testnet::carbon::utc;
use mesh30k_testnet::client::ApiClient;
use mesh30k_testnet::work::advised_reserve;
use serde::de::DeserializeOwned;

use crate::exit::UsageError;
use crate::output::{json, line, or_dash, table};
use crate::session::Session;

/// The longest a listing or an order may be told to stand: a year, as the ledger has it.
const HOURS_MAX: u64 = 365 * 24;
/// Pages of a list that are fetched, at most.
const PAGES_MAX: usize = 20;

/// Content and work at a fixed price, auctions, claims.
#[derive(Subcommand)]
pub(crate) enum Market {
    /// What takes orders.
    #[command(after_help = "Examples:\n  mesh30k market list\n  mesh30k market list --all")]
    List {
        /// Also what is closed or unsafe.
        #[arg(long)]
        all: bool,
    },
    /// One listing.
    #[command(after_help = "Example: mesh30k market show \
                            5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e")]
    Show {
        /// Its name.
        listing: Hash,
    },
    /// Register content as yours, once: then it can be sold, and earns by the tasks it runs.
    #[command(after_help = "Example: mesh30k market publish \
                            5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e --royalty-ppm 50000 --key \
                            alice")]
    Publish(PublishArgs),
    /// What is known of content: owners, provenance, uses, ratings, what waits to be collected.
    #[command(after_help = "Example: mesh30k market content \
                            5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e")]
    Content {
        /// Its hash.
        content: Hash,
    },
    /// Pay for one use of content at its registered price.
    #[command(after_help = "Example: mesh30k market buy \
                            5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e --max-price 2 --key bob")]
    Buy {
        /// Its hash.
        content: Hash,
        /// The most it may cost, in FTNS.
        #[arg(long)]
        max_price: Uftns,
        /// The key that pays.
        #[arg(long)]
        key: String,
    },
    /// Pay out what content earned in tasks, to its owners and up its provenance.
    #[command(after_help = "Example: mesh30k market collect \
                            5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e --key alice")]
    Collect {
        /// Its hash.
        content: Hash,
        /// The key that pays the fee.
        #[arg(long)]
        key: String,
    },
    /// List something: registered content of yours, or the work of your node.
    #[command(after_help = "Examples:\n  mesh30k market offer data \"rain of Kenya, hourly\" --price 2 --content \
                      5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e --key alice\n  mesh30k market offer \
                      compute \"a quiet machine\" --price 0.01 --capability compute --key keys/account.key")]
    Offer(offer::OfferArgs),
    /// Change a listing of yours; what is not named stays, and orders keep their terms.
    #[command(after_help = "Example: mesh30k market change \
                            5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e --price 1.5 --key alice")]
    Change(offer::ChangeArgs),
    /// End a listing of yours; orders go on.
    #[command(after_help = "Example: mesh30k market withdraw \
                            5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e --key alice")]
    Withdraw {
        /// Its name.
        listing: Hash,
        /// The seller's key.
        #[arg(long)]
        key: String,
    },
    /// Say, as a reviewer, whether a listing is safe.
    #[command(after_help = "Example: mesh30k market review \
                            5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e unsafe --key alice")]
    Review {
        /// Its name.
        listing: Hash,
        /// reviewed, unsafe or unreviewed.
        safety: Safety,
        /// The reviewer's key.
        #[arg(long)]
        key: String,
    },
    /// Order what is listed; locks its price.
    #[command(after_help = "Example: mesh30k market order \
                            5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e --max-price 2 --key bob")]
    Order(OrderArgs),
    /// One order and its money.
    #[command(after_help = "Example: mesh30k market status \
                            5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e")]
    Status {
        /// Its name.
        order: EscrowId,
    },
    /// Pay content that you ordered and received.
    #[command(after_help = "Example: mesh30k market accept \
                            5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e --key bob")]
    Accept {
        /// Its name.
        order: EscrowId,
        /// The buyer's key.
        #[arg(long)]
        key: String,
    },
    /// Ask for payment without the requester, dispute that, rule on it.
    #[command(subcommand)]
    Claim(claim::Claim),
    /// Work for the lowest of sealed bids.
    #[command(subcommand)]
    Auction(auction::Auction),
    /// Rate an order you paid, once.
    #[command(after_help = "Example: mesh30k market rate \
                            5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e 5 --key bob")]
    Rate {
        /// Its name.
        order: EscrowId,
        /// 1 to 5.
        stars: u8,
        /// The buyer's key.
        #[arg(long)]
        key: String,
    },
    /// Rate content you paid a use of, once.
    #[command(after_help = "Example: mesh30k market rate-content \
                            5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e 4 --key bob")]
    RateContent {
        /// Its hash.
        content: Hash,
        /// 1 to 5.
        #[arg(value_parser = clap::value_parser!(u8).range(1..=5))]
        stars: u8,
        /// The key that paid.
        #[arg(long)]
        key: String,
    },
}

/// Content that is registered.
#[derive(Args)]
pub(crate) struct PublishArgs {
    /// Its hash.
    content: Hash,
    /// Price of one use in FTNS; not for sale without.
    #[arg(long, default_value = "0")]
    price: Uftns,
    /// Of the base of each part of a task that runs it, parts per million, at most 200000.
    #[arg(long, default_value_t = 0)]
    royalty_ppm: u32,
    /// What it was made from and that one's share of what it earns, HASH=PPM; several times for several.
    #[arg(long, value_name = "HASH=PPM")]
    parent: Vec<String>,
    /// The only owner's key.
    #[arg(long)]
    key: String,
}

/// What is ordered.
#[derive(Args)]
pub(crate) struct OrderArgs {
    /// Name of the listing.
    listing: Hash,
    /// The most that one use or one part may cost, in FTNS.
    #[arg(long)]
    max_price: Uftns,
    /// Of work: the task's name, which receipts repeat.
    #[arg(long, requires = "module")]
    task: Option<Hash>,
    /// Of work: hash of the module that runs.
    #[arg(long, requires = "task")]
    module: Option<Hash>,
    /// Of work: pieces that are done and paid one by one.
    #[arg(long, default_value_t = 1, requires = "task")]
    parts: u32,
    /// Of work: held for carbon, premium and royalty of each part, in FTNS; what the node advises, when not given.
    #[arg(long, requires = "task")]
    reserve: Option<Uftns>,
    /// What is not paid by then comes back. A seller who claims the price needs a day and an hour of it.
    #[arg(long, default_value_t = 72, value_parser = clap::value_parser!(u64).range(1..=HOURS_MAX))]
    hours: u64,
    /// The key that pays.
    #[arg(long)]
    key: String,
}

impl Market {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::List { all } => list(session, all),
            Self::Show { listing } => show(session, &listing),
            Self::Publish(args) => publish(session, args),
            Self::Content { content } => show_content(session, &content),
            Self::Buy { content, max_price, key } => {
                session.done(&key, Operation::BuyUse(BuyUse { content, max_price }), "use paid")
            }
            Self::Collect { content, key } => {
                session.done(&key, Operation::CollectRoyalties(CollectRoyalties { content }), "royalties collected")
            }
            Self::Offer(args) => offer::offer(session, args),
            Self::Change(args) => offer::change(session, args),
            Self::Withdraw { listing, key } => {
                session.done(&key, Operation::WithdrawListing(WithdrawListing { listing }), "listing withdrawn")
            }
            Self::Review { listing, safety, key } => {
                session.done(&key, Operation::ReviewListing(ReviewListing { listing, safety }), "listing reviewed")
            }
            Self::Order(args) => order(session, &args),
            Self::Status { order } => status(session, &order),
            Self::Accept { order, key } => {
                session.done(&key, Operation::AcceptDelivery(AcceptDelivery { order }), "delivery accepted and paid")
            }
            Self::Claim(command) => command.run(session),
            Self::Auction(command) => command.run(session),
            Self::Rate { order, stars, key } => {
                session.done(&key, Operation::RateOrder(RateOrder { order, stars }), "order rated")
            }
            Self::RateContent { content, stars, key } => {
                session.done(&key, Operation::RateContent(RateContent { content, stars }), "content rated")
            }
        }
    }
}

/// So many hours from the last final block.
fn hours_ahead(session: &Session, hours: u64) -> Result<TimeMs> {
    let status: Status = session.client()?.get("/v1/status")?;
    Ok(status.final_time.plus_ms(hours.saturating_mul(3_600_000)))
}

/// Rows of every page of a list that begins where `?from=` says, and whether there may be more.
fn all_pages<T: DeserializeOwned>(client: &ApiClient, path: &str, name: impl Fn(&T) -> Hash) -> Result<(Vec<T>, bool)> {
    let mut rows: Vec<T> = Vec::new();
    for _ in 0..PAGES_MAX {
        let last = rows.last().map(&name);
        let page: Vec<T> = client.get(&format!("{path}?from={}", last.unwrap_or(Hash::ZERO)))?;
        let more: Vec<T> = page.into_iter().filter(|row| last.is_none_or(|last| last != name(row))).collect();
        if more.is_empty() {
            return Ok((rows, false));
        }
        rows.extend(more);
    }
    Ok((rows, true))
}

fn list(session: &Session, all: bool) -> Result<()> {
    let client = session.client()?;
    let now = client.get::<Status>("/v1/status")?.final_time;
    let (mut rows, is_cut) = all_pages(&client, "/v1/listings", |row: &ListingRow| row.listing)?;
    rows.retain(|row| all || row.record.is_open(now));
    if session.wants_json() {
        return json(&rows);
    }
    let cells = rows.iter().map(|ListingRow { listing, record }| {
        vec![
            listing.to_string(),
            record.kind.as_str().to_owned(),
            record.terms.price.to_string(),
            record.safety.to_string(),
            or_dash(stars(record)),
            record.terms.title.clone(),
        ]
    });
    line(table(&["listing", "kind", "price", "safety", "stars", "title"], &[2, 4], cells.collect()));
    if is_cut {
        line("There are more listings than are shown here.");
    }
    Ok(())
}

fn show(session: &Session, listing: &Hash) -> Result<()> {
    let row: ListingRow = session.client()?.get(&format!("/v1/listings/{listing}"))?;
    if session.wants_json() {
        return json(&row);
    }
    let record = &row.record;
    line(format!("{} {}, {} each, of {}", record.kind.as_str(), row.listing, record.terms.price, record.seller));
    line(format!("  {}", record.terms.title));
    if !record.terms.about.is_empty() {
        line(format!("  {}", record.terms.about));
    }
    if record.terms.content != Hash::ZERO {
        line(format!("  content {}", record.terms.content));
    }
    let state = if record.closed { "closed".to_owned() } else { format!("stands until {}", utc(record.terms.until)) };
    line(format!("  {state}; {}; energy {}", record.safety, record.terms.energy));
    let stars = stars(record).map_or_else(|| "not rated".to_owned(), |mean| format!("{mean} of 5 stars"));
    line(format!(
        "  {} orders, {} of them open; {stars} by {} buyers",
        record.orders, record.open_orders, record.ratings
    ));
    Ok(())
}

/// The mean of the ratings, to a tenth; none without any.
fn stars(record: &ListingRecord) -> Option<String> {
    let tenths = record.stars.saturating_mul(10).checked_div(record.ratings)?;
    Some(format!("{}.{}", tenths / 10, tenths % 10))
}

fn show_content(session: &Session, content: &Hash) -> Result<()> {
    let record: ContentRecord = session.client()?.get(&format!("/v1/contents/{content}"))?;
    if session.wants_json() {
        return json(&record);
    }
    let price =
        if record.price.is_zero() { "not for sale by the use".to_owned() } else { format!("{} a use", record.price) };
    line(format!(
        "content {content}: {price}, {} ppm of each part that runs it, level {} of its provenance",
        record.royalty_ppm, record.depth
    ));
    for share in &record.owners {
        line(format!("  owner {} with {} ppm", share.owner, share.ppm));
    }
    for parent in &record.parents {
        line(format!("  made from {} with {} ppm", parent.content, parent.royalty_ppm));
    }
    line(format!(
        "  {} uses, {} downloads, {} citations, {} ratings; {} of {} parts to be collected",
        record.uses, record.downloads, record.cited, record.ratings, record.earned, record.earned_uses
    ));
    Ok(())
}

fn publish(session: &Session, args: PublishArgs) -> Result<()> {
    let parents = args.parent.iter().map(|text| parent(text)).collect::<Result<Vec<_>>>()?;
    let owners = vec![ContentShare { owner: session.account(&args.key)?, ppm: 1_000_000 }];
    let PublishArgs { content, price, royalty_ppm, key, .. } = args;
    let op = RegisterContent { content, owners, parents, price, royalty_ppm };
    session.done(&key, Operation::RegisterContent(op), "content registered")
}

fn parent(text: &str) -> Result<ContentParent> {
    let refused = || UsageError(format!("`{text}` is not of the form HASH=PPM"));
    let (content, ppm) = text.split_once('=').ok_or_else(refused)?;
    let royalty_ppm = ppm.parse().map_err(|_| refused())?;
    Ok(ContentParent { content: content.parse().map_err(|_| refused())?, royalty_ppm })
}

/// The capability of this name.
pub(super) fn capability(name: &str) -> Result<Capabilities> {
    let known: Vec<&str> = Capabilities::ALL.names().collect();
    let refused = || UsageError(format!("capability `{name}` is not one of {}", known.join(", ")));
    Ok(Capabilities::named(name).ok_or_else(refused)?)
}

fn order(session: &Session, args: &OrderArgs) -> Result<()> {
    let work = args.task.zip(args.module).map(|(task, module)| ordered(session, args, task, module)).transpose()?;
    let release_deadline = hours_ahead(session, args.hours)?;
    let op = PlaceOrder { listing: args.listing, max_price: args.max_price, work, release_deadline };
    session.done(&args.key, Operation::PlaceOrder(op), "ordered as")
}

fn ordered(session: &Session, args: &OrderArgs, task: Hash, module: Hash) -> Result<OrderedWork> {
    let reserve_per_part = match args.reserve {
        Some(reserve) => reserve,
        None => {
            let (client, buyer) = (session.client()?, session.account(&args.key)?);
            let row: ListingRow = client.get(&format!("/v1/listings/{}", args.listing))?;
            advised_reserve(&client, &buyer, row.record.terms.price, &module)?
        }
    };
    Ok(OrderedWork { task, module, parts: args.parts, reserve_per_part })
}

fn status(session: &Session, order: &EscrowId) -> Result<()> {
    let answer: OrderAnswer = session.client()?.get(&format!("/v1/orders/{order}"))?;
    if session.wants_json() {
        return json(&answer);
    }
    let OrderAnswer { order: terms, escrow } = &answer;
    line(format!("order {order}: {} of {} parts paid, {} locked", terms.paid_parts, escrow.parts, escrow.locked));
    line(format!("  of listing {}", terms.listing));
    line(format!("  buyer {}, seller {}", terms.buyer, terms.seller));
    line(format!("  what is not paid comes back at {}", utc(escrow.release_deadline)));
    Ok(())
}
