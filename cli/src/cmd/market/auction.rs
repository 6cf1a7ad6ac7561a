//! `mesh30k market auction`: work for the lowest of sealed bids.

use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use mesh30k_ledger::ops::{OpenAuction, Operation};
use mesh30k_ledger::records::{AuctionRecord, EscrowStatus};
use mesh30k_ledger::types::{AccountId, Hash, TimeMs, Uftns};
use mesh30k_node::api::types::{AuctionAnswer, AuctionRow, BidRow, Status};
use mesh30k_testnet::carbon::{self as units, CarbonMass};
use mesh30k_testnet::client::ClientError;
use mesh30k_testnet::wallet::{Wallet, WalletError};
use mesh30k_testnet::work::{TaskOrder, advised_reserve};

use super::{HOURS_MAX, all_pages};
use crate::bids::{BidFolder, KeptBid};
use crate::cmd::task;
use crate::exit::UsageError;
use crate::output::{from_now, json, line, or_dash, percent, table};
use crate::session::{FINAL_TIMEOUT, Names, Session};

/// The longest a phase may be told to last: 30 days.
const PHASE_SECONDS_MAX: u64 = 30 * 24 * 3_600;
/// Pace at which the ledger's clock is looked at while a bid waits to be opened.
const LOOK_PAUSE: Duration = Duration::from_millis(200);

/// Work for the lowest of sealed bids.
#[derive(Subcommand)]
pub(crate) enum Auction {
    /// Ask for sealed bids on a task of one part; locks the most it may cost.
    #[command(
        after_help = "Example: mesh30k market auction open hello --max-price 2 --bid-seconds 600 --open-seconds 600 \
                            --key alice"
    )]
    Open(OpenArgs),
    /// What takes bids, or has them opened.
    #[command(after_help = "Examples:\n  mesh30k market auction list\n  mesh30k market auction list --all")]
    List {
        /// Also those that are over.
        #[arg(long)]
        all: bool,
    },
    /// One auction: its phases, its bids, who won.
    #[command(after_help = "Example: mesh30k market auction show \
                            5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e")]
    Show {
        /// Its name.
        auction: Hash,
    },
    /// Bid, sealed: nobody sees the price until you open it. The bid is kept beside the key, and lost with that file.
    #[command(after_help = "Example: mesh30k market auction bid \
                            5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e --price 0.5 --carbon 2g --key \
                            keys/account.key")]
    Bid(BidArgs),
    /// Open your bid, as it is kept beside the key. A bid that is not opened loses its bond.
    #[command(after_help = "Examples:\n  mesh30k market auction reveal \
                            5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e --key keys/account.key\n  \
                            mesh30k market auction reveal \
                            5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e --wait --key keys/account.key")]
    Reveal {
        /// Name of the auction.
        auction: Hash,
        /// Wait until bids may be opened.
        #[arg(long)]
        wait: bool,
        /// The key that bid.
        #[arg(long)]
        key: String,
    },
    /// The bids kept beside a key that are still to be opened.
    #[command(after_help = "Example: mesh30k market auction kept --key keys/account.key")]
    Kept {
        /// The key, or any other of its folder.
        #[arg(long)]
        key: String,
    },
}

/// What is asked for.
#[derive(Args)]
pub(crate) struct OpenArgs {
    /// What runs: a .wasm file, or the name of a module that ships with the node.
    module: String,
    /// Its input; empty when none is given.
    #[arg(long, value_name = "FILE")]
    input: Option<std::path::PathBuf>,
    /// The most that is paid for it, in FTNS; higher bids are not fit.
    #[arg(long)]
    max_price: Uftns,
    /// Held for carbon charge, premium and royalty, in FTNS; what the node advises, when not given.
    #[arg(long)]
    reserve: Option<Uftns>,
    /// How long sealed bids are taken.
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=PHASE_SECONDS_MAX))]
    bid_seconds: u64,
    /// How long they may be opened afterwards.
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=PHASE_SECONDS_MAX))]
    open_seconds: u64,
    /// How long the winner has for the work, once bids are opened; what is not paid by then comes back.
    #[arg(long, default_value_t = 48, value_parser = clap::value_parser!(u64).range(1..=HOURS_MAX))]
    hours: u64,
    /// The key that pays.
    #[arg(long)]
    key: String,
}

/// What is bid.
#[derive(Args)]
pub(crate) struct BidArgs {
    /// Name of the auction.
    auction: Hash,
    /// For the whole task, in FTNS.
    #[arg(long)]
    price: Uftns,
    /// The footprint you expect: a number with t, kg, g, mg or ug. It counts into the score, and how near the receipt comes to it
    /// counts into later ones.
    #[arg(long)]
    carbon: CarbonMass,
    /// The key of the node's account that will do the work.
    #[arg(long)]
    key: String,
}

impl Auction {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::Open(args) => open(session, &args),
            Self::List { all } => list(session, all),
            Self::Show { auction } => show(session, &auction),
            Self::Bid(args) => bid(session, &args),
            Self::Reveal { auction, wait, key } => reveal(session, &auction, wait, &key),
            Self::Kept { key } => kept(session, &key),
        }
    }
}

fn open(session: &Session, args: &OpenArgs) -> Result<()> {
    let order = TaskOrder::new(task::read_module(&args.module)?, task::read_inputs(args.input.as_deref(), 1)?);
    let (client, module) = (session.client()?, order.module.hash()?);
    let reserve = match args.reserve {
        Some(reserve) => reserve,
        None => advised_reserve(&client, &session.account(&args.key)?, args.max_price, &module)?,
    };
    let now = client.get::<Status>("/v1/status")?.final_time;
    // A block of now may be a little later than the last final one: the first phase is not cut by that.
    let commit_until = now.plus_ms(args.bid_seconds.saturating_add(BLOCK_SECONDS).saturating_mul(1_000));
    let reveal_until = commit_until.plus_ms(args.open_seconds.saturating_mul(1_000));
    let op = OpenAuction {
        task: order.task()?,
        module,
        max_price: args.max_price,
        reserve,
        commit_until,
        reveal_until,
        release_deadline: reveal_until.plus_ms(args.hours.saturating_mul(3_600_000)),
    };
    session.done(&args.key, Operation::OpenAuction(op), "auction opened as")
}

/// How far block time may be ahead of the last final block's when nothing happens.
const BLOCK_SECONDS: u64 = 5;

/// Where an auction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Takes sealed bids.
    Sealing,
    /// Has them opened.
    Opening,
    /// Over.
    Over,
}

fn phase(record: &AuctionRecord, now: TimeMs) -> Phase {
    if record.closed || now > record.reveal_until {
        Phase::Over
    } else if now > record.commit_until {
        Phase::Opening
    } else {
        Phase::Sealing
    }
}

/// The phase in words, with what is left of it.
fn phase_words(record: &AuctionRecord, now: TimeMs) -> String {
    match phase(record, now) {
        Phase::Sealing => format!("takes bids, ends {}", from_now(now, record.commit_until)),
        Phase::Opening => format!("bids are opened, ends {}", from_now(now, record.reveal_until)),
        Phase::Over if record.winner.is_some() => "over, won".to_owned(),
        Phase::Over => "over, no fit bid".to_owned(),
    }
}

fn list(session: &Session, all: bool) -> Result<()> {
    let client = session.client()?;
    let now = client.get::<Status>("/v1/status")?.final_time;
    let (mut rows, is_cut) = all_pages(&client, "/v1/auctions", |row: &AuctionRow| row.auction)?;
    rows.retain(|row| all || phase(&row.record, now) != Phase::Over);
    if session.wants_json() {
        return json(&rows);
    }
    if rows.is_empty() {
        line(if all { "There was no auction yet." } else { "No auction runs; --all shows those that are over." });
        return Ok(());
    }
    let names = session.names();
    let cells = rows.iter().map(|AuctionRow { auction, record }| {
        let opened = record.bids.values().filter(|bid| bid.opened.is_some()).count();
        let bids = if record.closed { "-".to_owned() } else { format!("{} ({opened} open)", record.bids.len()) };
        let phase = phase_words(record, now);
        vec![auction.to_string(), phase, bids, record.max_price.to_string(), names.of(&record.opener)]
    });
    line(table(&["auction", "phase", "bids", "at most", "opener"], &[3], cells.collect()));
    if is_cut {
        line("There are more auctions than are shown here.");
    }
    Ok(())
}

fn answer(session: &Session, auction: &Hash) -> Result<AuctionAnswer> {
    Ok(session.client()?.get(&format!("/v1/auctions/{auction}"))?)
}

fn show(session: &Session, auction: &Hash) -> Result<()> {
    let answer = answer(session, auction)?;
    if session.wants_json() {
        return json(&answer);
    }
    let names = session.names();
    let AuctionAnswer { record, time, .. } = &answer;
    line(format!("auction {auction} of {}: {}", names.of(&record.opener), phase_words(record, *time)));
    line(format!("  task {}", record.task));
    line(format!("  module {}", record.module));
    line(format!(
        "  at most {}, and {} for carbon and premium; a bidder answers with {}",
        record.max_price, record.reserve, record.bid_bond
    ));
    for (what, then) in [
        ("sealed bids until", record.commit_until),
        ("opened until", record.reveal_until),
        ("work until", record.release_deadline),
    ] {
        line(format!("  {what:<17} {}, {}", units::utc(then), from_now(*time, then)));
    }
    if !answer.bids.is_empty() {
        line(bid_table(&answer.bids, &names));
    }
    outcome_lines(&answer, &names).iter().for_each(line);
    Ok(())
}

fn bid_table(bids: &[BidRow], names: &Names) -> comfy_table::Table {
    let cells = bids.iter().enumerate().map(|(place, bid)| {
        let opened = |show: fn(&mesh30k_ledger::records::OpenedBid) -> String| {
            bid.opened.as_ref().map_or_else(|| "sealed".to_owned(), show)
        };
        vec![
            if bid.opened.is_some() { (place + 1).to_string() } else { "-".to_owned() },
            opened(|bid| bid.price.to_string()),
            opened(|bid| units::carbon(bid.carbon_ug)),
            bid.reputation.to_string(),
            percent(bid.confidence_ppm),
            or_dash(bid.score_uftns),
            names.of(&bid.bidder),
        ]
    });
    let headings = ["place", "price", "carbon", "reputation", "confidence", "counts as", "bidder"];
    table(&headings, &[0, 1, 2, 3, 4, 5], cells.collect())
}

fn outcome_lines(answer: &AuctionAnswer, names: &Names) -> Vec<String> {
    let AuctionAnswer { auction, record, time, escrow, .. } = answer;
    match (phase(record, *time), record.winner, escrow) {
        (Phase::Over, Some(winner), Some(escrow)) => {
            let expected =
                record.won.map_or_else(String::new, |bid| format!(", expecting {}", units::carbon(bid.carbon_ug)));
            let won = format!("won by {} for at most {}{expected}", names.of(&winner), escrow.amount_per_part);
            let next = if escrow.status == EscrowStatus::Open {
                format!("  the opener has it done: mesh30k task work {auction} MODULE --key KEY")
            } else {
                format!("  escrow of the same name: {} of 1 parts paid", escrow.released_parts)
            };
            vec![won, next]
        }
        (Phase::Over, ..) => vec!["nobody's bid was opened in time; what was locked went back".to_owned()],
        (Phase::Opening, ..) if answer.bids.iter().any(|bid| bid.opened.is_none()) => {
            vec!["a bid that is still sealed at the end loses its bond".to_owned()]
        }
        _ => Vec::new(),
    }
}

fn bid(session: &Session, args: &BidArgs) -> Result<()> {
    let BidArgs { auction, price, carbon, key } = args;
    let seen = answer(session, auction)?;
    if price.is_zero() || *price > seen.record.max_price {
        let most = seen.record.max_price;
        return Err(UsageError(format!("--price is {price}, this auction takes 0.000001 FTNS to {most}")).into());
    }
    let wallet = session.wallet(key)?;
    let folder = BidFolder::beside(&session.key_folder(key)?);
    let bidder = wallet.account();
    let path = folder.path(auction, &bidder);
    let (kept, is_new) = match folder.find(auction, &bidder)? {
        // Sent before, and perhaps never final: the same bid is sealed again.
        Some(kept) if (kept.price, kept.carbon_ug) == (*price, carbon.0) => (kept, false),
        Some(kept) => {
            let file = path.display();
            let text =
                format!("a bid of {} on this auction is kept in {file}; a sealed bid can't be changed", kept.price);
            return Err(UsageError(text).into());
        }
        None => (KeptBid::new(*auction, bidder, *price, carbon.0)?, true),
    };
    if is_new {
        folder.keep(&kept)?;
    }
    let row = match wallet.execute(Operation::SealBid(kept.seal()), FINAL_TIMEOUT) {
        Ok(row) => row,
        Err(error) => {
            if is_new && is_refused(&error) && !is_sealed(&wallet, &kept)? {
                folder.forget(&kept)?;
            }
            return Err(error.into());
        }
    };
    if session.wants_json() {
        return json(&row);
    }
    line(format!("bid of {price} sealed: final in block {}", or_dash(row.height)));
    line(format!("  kept in {}; keep that file until the bid is opened", path.display()));
    let from = from_now(seen.time, seen.record.commit_until);
    line(format!("  open it {from}, within {} s: mesh30k market auction reveal {auction} --wait --key {key}", {
        seen.record.reveal_until.since_ms(seen.record.commit_until) / 1_000
    }));
    Ok(())
}

/// Whether a transaction certainly did nothing.
const fn is_refused(error: &WalletError) -> bool {
    matches!(error, WalletError::Rejected { .. } | WalletError::Client(ClientError::Refused(_)))
}

/// Whether the ledger has this very bid.
fn is_sealed(wallet: &Wallet, kept: &KeptBid) -> Result<bool> {
    let answer: AuctionAnswer = wallet.client().get(&format!("/v1/auctions/{}", kept.auction))?;
    Ok(answer.record.bids.get(&kept.bidder).is_some_and(|bid| bid.sealed == kept.seal().sealed))
}

fn reveal(session: &Session, auction: &Hash, wait: bool, key: &str) -> Result<()> {
    let (folder, bidder) = (BidFolder::beside(&session.key_folder(key)?), session.account(key)?);
    let kept = folder.find(auction, &bidder)?.ok_or_else(|| missing(&folder, auction, &bidder))?;
    let seen = answer(session, auction)?;
    if wait {
        wait_until_opening(session, &seen.record)?;
    }
    let row = session.wallet(key)?.execute(Operation::OpenBid(kept.open()), FINAL_TIMEOUT)?;
    folder.forget(&kept)?;
    if session.wants_json() {
        return json(&row);
    }
    line(format!("bid of {} opened: final in block {}", kept.price, or_dash(row.height)));
    let now = session.client()?.get::<Status>("/v1/status")?.final_time;
    line(format!("  who wins is known {}", from_now(now, seen.record.reveal_until)));
    Ok(())
}

fn missing(folder: &BidFolder, auction: &Hash, bidder: &AccountId) -> UsageError {
    let path = folder.path(auction, bidder);
    UsageError(format!("no bid of this key on this auction is kept: {} is not there", path.display()))
}

/// Waits for a block in which the bid may be opened.
fn wait_until_opening(session: &Session, record: &AuctionRecord) -> Result<()> {
    let client = session.client()?;
    loop {
        let now = client.get::<Status>("/v1/status")?.final_time;
        match phase(record, now) {
            Phase::Sealing => thread::sleep(LOOK_PAUSE),
            Phase::Opening => return Ok(()),
            Phase::Over => bail!("this auction is over; bids were opened until {}", units::utc(record.reveal_until)),
        }
    }
}

fn kept(session: &Session, key: &str) -> Result<()> {
    let bids = BidFolder::beside(&session.key_folder(key)?).list()?;
    if session.wants_json() {
        return json(&bids.iter().map(KeptBid::open).collect::<Vec<_>>());
    }
    if bids.is_empty() {
        line("No bid is kept beside this key.");
        return Ok(());
    }
    let names = session.names();
    let cells = bids.iter().map(|bid| {
        vec![bid.auction.to_string(), bid.price.to_string(), units::carbon(bid.carbon_ug), names.of(&bid.bidder)]
    });
    line(table(&["auction", "price", "carbon", "bidder"], &[1, 2], cells.collect()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh30k_ledger::charges::ChargeTerms;
    use std::collections::BTreeMap;

    #[test]
    fn an_auction_goes_through_its_phases_by_the_ledgers_clock() {
        let mut record = AuctionRecord {
            opener: AccountId([1; 20]),
            task: Hash([2; 32]),
            module: Hash([3; 32]),
            max_price: Uftns::ftns(2),
            reserve: Uftns::ZERO,
            terms: ChargeTerms::default(),
            commit_until: TimeMs(10_000),
            reveal_until: TimeMs(20_000),
            release_deadline: TimeMs(90_000),
            bids: BTreeMap::new(),
            bid_bond: Uftns(1),
            closed: false,
            winner: None,
            won: None,
        };
        let at = |record: &AuctionRecord, ms| phase(record, TimeMs(ms));
        assert_eq!([at(&record, 10_000), at(&record, 10_001)], [Phase::Sealing, Phase::Opening]);
        assert_eq!([at(&record, 20_000), at(&record, 20_001)], [Phase::Opening, Phase::Over]);
        assert_eq!(phase_words(&record, TimeMs(4_000)), "takes bids, ends in 6 s");
        record.closed = true;
        assert_eq!(at(&record, 0), Phase::Over);
    }
}
