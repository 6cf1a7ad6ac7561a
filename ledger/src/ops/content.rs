//! Content for sale, with royalties up its provenance.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, VecDeque};

use super::{Call, MAX_TASK_ROYALTY_PPM, within};
use crate::execute::{Stop, Working};
use crate::outcome::Effect;
use crate::records::{ContentParent, ContentRecord, ContentShare, Impact, ImpactKind, PurchaseRecord};
use crate::rejection::Rejection;
use crate::state::keyspace;
use crate::types::{AccountId, Hash, Uftns};
use crate::unit_price::period_of;

/// Owners of one content, at most.
pub const MAX_OWNERS: usize = 16;
/// Parents of one content, at most.
pub const MAX_PARENTS: usize = 8;
/// Levels of provenance, at most.
pub const MAX_LEVELS: u32 = 8;
/// Royalties of one content together, at most: half of what it earns.
pub const MAX_ROYALTY_PPM: u64 = 500_000;
/// Contents one payment reaches, at most; the owners of the last ones keep what would go further up.
pub const MAX_REACHED: usize = 16;
const ALL_PPM: u64 = 1_000_000;

/// Registers content once. Parents are registered before it, so provenance has no circles.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct RegisterContent {
    /// Names it.
    pub content: Hash,
    /// 1 to [`MAX_OWNERS`], each once, the sender among them; shares above nothing, together a million ppm.
    pub owners: Vec<ContentShare>,
    /// At most [`MAX_PARENTS`], each once; royalties together at most [`MAX_ROYALTY_PPM`].
    pub parents: Vec<ContentParent>,
    /// For one use; nothing when it is not for sale.
    pub price: Uftns,
    /// Of the base of each part of a task whose module it is, at most [`MAX_TASK_ROYALTY_PPM`].
    pub royalty_ppm: u32,
}

/// Pays for one use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct BuyUse {
    /// Of which content.
    pub content: Hash,
    /// The most the buyer pays; refused when it costs more.
    pub max_price: Uftns,
}

/// Rates content, once, by whoever paid for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct RateContent {
    /// Which.
    pub content: Hash,
    /// 1 to 5.
    pub stars: u8,
}

impl RegisterContent {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        within("owners", self.owners.len() as u64, 1, MAX_OWNERS as u64)?;
        within("parents", self.parents.len() as u64, 0, MAX_PARENTS as u64)?;
        within("royalty in tasks (ppm)", u64::from(self.royalty_ppm), 0, MAX_TASK_ROYALTY_PPM)?;
        let mut seen = BTreeSet::new();
        let mut shares = 0_u64;
        for share in &self.owners {
            within("share (ppm)", u64::from(share.ppm), 1, ALL_PPM)?;
            if !seen.insert(share.owner) {
                return Err(Rejection::AlreadyDone("an owner stands in the list".into()).into());
            }
            shares = shares.saturating_add(u64::from(share.ppm));
        }
        within("shares together (ppm)", shares, ALL_PPM, ALL_PPM)?;
        if !seen.contains(&call.account) {
            return Err(Rejection::NotOwner { what: "the content".into(), owner: self.first_owner(call) }.into());
        }
        let key = keyspace::content(&self.content);
        if working.get(&key)?.is_some() {
            return Err(Rejection::AlreadyDone("this content was registered".into()).into());
        }
        let depth = self.check_parents(working)?;
        let record = ContentRecord {
            owners: self.owners.clone(),
            parents: self.parents.clone(),
            depth,
            price: self.price,
            royalty_ppm: self.royalty_ppm,
            uses: 0,
            downloads: 0,
            cited: 0,
            stars: 0,
            ratings: 0,
            impact: Impact::default(),
            earned: Uftns::ZERO,
            earned_uses: 0,
            earned_by_others: 0,
        };
        working.write(key, &record);
        Ok(Effect::ContentRegistered { content: self.content, depth })
    }

    fn first_owner(&self, call: &Call<'_>) -> AccountId {
        self.owners.first().map_or(call.account, |share| share.owner)
    }

    /// The content's depth in the provenance of its parents.
    fn check_parents(&self, working: &Working<'_>) -> Result<u32, Stop> {
        let (mut seen, mut royalties, mut depth) = (BTreeSet::new(), 0_u64, 1_u32);
        for parent in &self.parents {
            within("royalty (ppm)", u64::from(parent.royalty_ppm), 1, MAX_ROYALTY_PPM)?;
            if !seen.insert(parent.content) {
                return Err(Rejection::AlreadyDone("a parent stands in the list".into()).into());
            }
            royalties = royalties.saturating_add(u64::from(parent.royalty_ppm));
            depth = depth.max(content(working, &parent.content)?.depth.saturating_add(1));
        }
        within("royalties together (ppm)", royalties, 0, MAX_ROYALTY_PPM)?;
        within("levels of provenance", u64::from(depth), 1, u64::from(MAX_LEVELS))?;
        Ok(depth)
    }
}

/// The content of this name.
pub(super) fn content(working: &Working<'_>, id: &Hash) -> Result<ContentRecord, Stop> {
    let unknown = || Rejection::Unknown { what: "content".into(), id: id.to_string() };
    Ok(working.read(&keyspace::content(id))?.ok_or_else(unknown)?)
}

impl BuyUse {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        let record = content(working, &self.content)?;
        if record.price.is_zero() {
            return Err(Rejection::ZeroAmount.into());
        }
        within("price (uFTNS)", record.price.0, 0, self.max_price.0)?;
        let price = record.price;
        working.debit(&call.account, price)?;
        count_use(working, &self.content, &call.account, ImpactKind::Use, true)?;
        let earned = Earned::by_one(&record, price, &call.account);
        let reached = pay_royalties(working, &self.content, &earned)?;
        Ok(Effect::UseBought { content: self.content, price, reached })
    }
}

/// Counts a use or a download of content; whoever paid for it may rate it.
pub(super) fn count_use(
    working: &mut Working<'_>,
    id: &Hash,
    user: &AccountId,
    kind: ImpactKind,
    paid: bool,
) -> Result<ContentRecord, Stop> {
    let mut record = content(working, id)?;
    let count = if kind == ImpactKind::Download { &mut record.downloads } else { &mut record.uses };
    *count = count.saturating_add(1);
    // Owners who use their own prove nothing.
    if !record.is_owned_by(user) {
        record.impact = record.impact.counted(kind, period_of(working.now), 1);
    }
    working.write(keyspace::content(id), &record);
    if paid {
        let key = keyspace::purchase(id, user);
        let mut purchase: PurchaseRecord = working.read(&key)?.unwrap_or(PurchaseRecord { uses: 0, rated: false });
        purchase.uses = purchase.uses.saturating_add(1);
        working.write(key, &purchase);
    }
    Ok(record)
}

/// What a content earned.
pub(super) struct Earned {
    /// How much; the money is the caller's to have taken.
    pub(super) amount: Uftns,
    /// By so many uses.
    pub(super) uses: u64,
    /// Those of them that were not its owners' own: what its sources are cited by.
    pub(super) by_others: u64,
    /// Whose use it was, if it was one.
    pub(super) user: Option<AccountId>,
}

impl Earned {
    /// By one use or download.
    pub(super) fn by_one(record: &ContentRecord, amount: Uftns, user: &AccountId) -> Self {
        Self { amount, uses: 1, by_others: u64::from(!record.is_owned_by(user)), user: Some(*user) }
    }
}

/// Pays what a content earned: royalties to its parents, level by level, the rest to its owners, what rounding leaves to the treasury.
/// Gives how many contents it reached.
pub(super) fn pay_royalties(working: &mut Working<'_>, id: &Hash, earned: &Earned) -> Result<u32, Stop> {
    let mut open = VecDeque::from([(*id, earned.amount)]);
    let (mut reached, mut left_over) = (0_u32, 0_u64);
    while let Some((id, amount)) = open.pop_front() {
        let mut record = content(working, &id)?;
        reached = reached.saturating_add(1);
        if reached > 1 {
            record.cited = record.cited.saturating_add(earned.uses);
            // Who pays for a use of what was made from one's own cites oneself.
            if earned.user.is_none_or(|user| !record.is_owned_by(&user)) {
                let period = period_of(working.now);
                record.impact = record.impact.counted(ImpactKind::Citation, period, earned.by_others);
            }
            working.write(keyspace::content(&id), &record);
        }
        let mut rest = amount.0;
        for parent in &record.parents {
            let royalty = part(amount, parent.royalty_ppm);
            let room = usize::try_from(reached).unwrap_or(usize::MAX).saturating_add(open.len()) < MAX_REACHED;
            if royalty > 0 && room {
                rest = rest.saturating_sub(royalty);
                open.push_back((parent.content, Uftns(royalty)));
            }
        }
        let own = Uftns(rest);
        for share in &record.owners {
            let due = part(own, share.ppm);
            rest = rest.saturating_sub(due);
            working.credit(&share.owner, Uftns(due))?;
        }
        left_over = left_over.saturating_add(rest);
    }
    let totals = &mut working.globals_mut().totals;
    totals.treasury = totals.treasury.checked_add(Uftns(left_over)).ok_or(Rejection::AmountOverflow)?;
    Ok(reached)
}

/// A share, rounded down.
fn part(of: Uftns, ppm: u32) -> u64 {
    let scaled = u128::from(of.0).saturating_mul(u128::from(ppm)).checked_div(u128::from(ALL_PPM)).unwrap_or(0);
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

impl RateContent {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        within("stars", u64::from(self.stars), 1, 5)?;
        let mut record = content(working, &self.content)?;
        let key = keyspace::purchase(&self.content, &call.account);
        let unknown = || Rejection::Unknown { what: "purchase by".into(), id: call.account.to_string() };
        let mut purchase: PurchaseRecord = working.read(&key)?.ok_or_else(unknown)?;
        if purchase.rated {
            return Err(Rejection::AlreadyDone("this account rated the content".into()).into());
        }
        purchase.rated = true;
        working.write(key, &purchase);
        record.stars = record.stars.saturating_add(u64::from(self.stars));
        record.ratings = record.ratings.saturating_add(1);
        working.write(keyspace::content(&self.content), &record);
        Ok(Effect::ContentRated { content: self.content, stars: self.stars })
    }
}
