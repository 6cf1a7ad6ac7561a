//! What falls due: processed before the transactions of a block, in order of time.

use super::{Working, dividends};
use crate::governance;
use crate::ops;
use crate::outcome::DueEvent;
use crate::records::Due;
use crate::state::{StateError, decode_record, keyspace};
use crate::types::TimeMs;

/// Entries processed by one block, at most; the rest waits for the next.
pub const MAX_DUE_PER_BLOCK: usize = 256;

/// Processes what is due at the block's time.
pub(crate) fn run(working: &mut Working<'_>) -> Result<Vec<DueEvent>, StateError> {
    let mut events = Vec::new();
    for (key, _) in working.scan(keyspace::DUE, MAX_DUE_PER_BLOCK)? {
        let (at, due) = parse(&key)?;
        if at > working.now {
            break;
        }
        working.remove(key.clone());
        let done = match due {
            Due::VotingEnds(proposal) => governance::count(working, proposal, &mut events),
            Due::Execute(proposal) => governance::execute(working, proposal, &mut events),
            Due::EscrowDeadline(escrow) => ops::refund(working, &escrow, &mut events),
            Due::FreezeEnds(scope) => ops::freeze::expire(working, &scope, &mut events),
            Due::Payment(schedule) => ops::pay_due(working, &schedule, &mut events),
            Due::ClaimEnds(escrow, part) => ops::claim::end(working, &escrow, part, &mut events),
            Due::DrawPanel(escrow, part) => ops::claim::draw_panel(working, &escrow, part, &mut events),
            Due::AuctionEnds(auction) => ops::auction::close(working, &auction, &mut events),
            Due::QuarterEnds => dividends::end_quarter(working, &mut events),
            Due::QuotaLoanEnds(offer) => ops::give_quota_back(working, &offer, &mut events),
            Due::QuotaDrawEnds(task) => ops::end_quota_draw(working, &task, &mut events),
            Due::ListingEnds(listing) => ops::end_listing(working, &listing, &mut events),
            Due::Unbonding(account) => ops::release_unbonded(working, &account, &mut events),
        };
        done.map_err(|stop| stop.into_damage(&key))?;
        working.commit();
    }
    Ok(events)
}

/// The time and the entry of a key of the due queue.
pub(crate) fn parse(key: &[u8]) -> Result<(TimeMs, Due), StateError> {
    let corrupt = || StateError::Corrupt { key: hex::encode(key), reason: "it is no entry of the due queue".into() };
    let rest = key.strip_prefix(keyspace::DUE).ok_or_else(corrupt)?;
    let (time, due) = rest.split_first_chunk::<8>().ok_or_else(corrupt)?;
    Ok((TimeMs(u64::from_be_bytes(*time)), decode_record(key, due)?))
}
