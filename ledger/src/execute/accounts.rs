//! The accounts of a block while it is carried out: each is read and decoded once, changed in place, and put back when the
//! transaction that changed it is refused.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::codec::encode_into;
use crate::records::Account;
use crate::state::{ChangeSet, StateError, StateRead, decode_record, keyspace, read};
use crate::types::{AccountId, Uftns};

/// An account that was read or made in this block.
#[derive(Debug, Clone)]
struct Held {
    id: AccountId,
    /// Nothing when there is none.
    account: Option<Account>,
    /// Free and bonded before the block.
    before: [Uftns; 2],
    /// The transaction that changed it last; nothing while it is as it was before the block.
    changed_by: Option<u64>,
}

impl Held {
    fn new(id: AccountId, account: Option<Account>) -> Self {
        let before = account.as_ref().map_or([Uftns::ZERO; 2], amounts);
        Self { id, account, before, changed_by: None }
    }
}

/// Free and bonded.
const fn amounts(account: &Account) -> [Uftns; 2] {
    [account.balance, account.stake]
}

/// Accounts at hand. Most of a block's work is on them, and mostly on the one that was asked for just before.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    places: BTreeMap<AccountId, usize>,
    held: Vec<Held>,
    /// Where the running transaction's account stands, which is asked for again and again.
    own: Option<(AccountId, usize)>,
    /// What accounts were before the running transaction, in the order it changed them; nothing for those that are as they were
    /// before the block, which are read anew when they are needed again.
    undo: Vec<(usize, Option<Held>)>,
    /// Counts transactions and whatever else is kept or forgotten as a whole.
    serial: u64,
}

impl Accounts {
    /// Reads those of these accounts that are not at hand, all at once.
    pub(super) fn fetch(&mut self, base: &dyn StateRead, mut ids: Vec<AccountId>) -> Result<(), StateError> {
        ids.sort_unstable();
        ids.dedup();
        ids.retain(|id| !self.places.contains_key(id));
        let keys: Vec<[u8; 21]> = ids.iter().map(keyspace::account).collect();
        let views: Vec<&[u8]> = keys.iter().map(<[u8; 21]>::as_slice).collect();
        let first = self.held.len();
        self.held.extend(ids.iter().map(|id| Held::new(*id, None)));
        let mut damaged = Ok(());
        base.view_many(&views, &mut |at, bytes| {
            let (Some(key), Some(held)) = (keys.get(at), self.held.get_mut(first.saturating_add(at))) else { return };
            match decode_record(key, bytes) {
                Ok(account) => *held = Held::new(held.id, Some(account)),
                Err(error) => damaged = Err(error),
            }
        })?;
        self.places.extend(ids.into_iter().zip(first..));
        damaged
    }

    fn find(&self, id: &AccountId) -> Option<usize> {
        match self.own {
            Some((own, place)) if own == *id => Some(place),
            _ => self.places.get(id).copied(),
        }
    }

    fn place(&mut self, base: &dyn StateRead, id: &AccountId) -> Result<usize, StateError> {
        if let Some((own, place)) = self.own
            && own == *id
        {
            return Ok(place);
        }
        match self.places.entry(*id) {
            Entry::Occupied(place) => Ok(*place.get()),
            Entry::Vacant(place) => {
                let account = read(base, &keyspace::account(id))?;
                let at = *place.insert(self.held.len());
                self.held.push(Held::new(*id, account));
                Ok(at)
            }
        }
    }

    /// Has a transaction's account at hand from now on.
    pub(super) fn begin(&mut self, base: &dyn StateRead, own: &AccountId) -> Result<(), StateError> {
        self.own = Some((*own, self.place(base, own)?));
        Ok(())
    }

    /// An account as it is now, without a copy where it is at hand.
    pub(super) fn look<'a>(
        &'a self,
        base: &dyn StateRead,
        id: &AccountId,
    ) -> Result<Option<Cow<'a, Account>>, StateError> {
        match self.find(id).and_then(|place| self.held.get(place)) {
            Some(held) => Ok(held.account.as_ref().map(Cow::Borrowed)),
            None => Ok(read(base, &keyspace::account(id))?.map(Cow::Owned)),
        }
    }

    /// An account to be changed in place; made when missing.
    pub(super) fn change(&mut self, base: &dyn StateRead, id: &AccountId) -> Result<&mut Account, StateError> {
        self.change_at(base, id, true)
    }

    /// As [`Accounts::change`], for what is kept whatever becomes of the transaction: what was before is not remembered, so nothing
    /// may be forgotten between this and the next [`Accounts::keep`].
    pub(super) fn change_for_good(&mut self, base: &dyn StateRead, id: &AccountId) -> Result<&mut Account, StateError> {
        self.change_at(base, id, false)
    }

    fn change_at(&mut self, base: &dyn StateRead, id: &AccountId, undo: bool) -> Result<&mut Account, StateError> {
        let place = self.place(base, id)?;
        let lost =
            || StateError::Corrupt { key: hex::encode(keyspace::account(id)), reason: "its place is lost".into() };
        let held = self.held.get_mut(place).ok_or_else(lost)?;
        if held.changed_by != Some(self.serial) {
            if undo {
                self.undo.push((place, held.changed_by.is_some().then(|| held.clone())));
            }
            held.changed_by = Some(self.serial);
        }
        Ok(held.account.get_or_insert_default())
    }

    /// Keeps what was done since the last time.
    pub(super) fn keep(&mut self) {
        self.undo.clear();
        self.serial = self.serial.saturating_add(1);
    }

    /// Forgets it.
    pub(super) fn forget(&mut self) {
        self.own = None;
        while let Some((place, before)) = self.undo.pop() {
            let Some(held) = self.held.get_mut(place) else { continue };
            if let Some(before) = before {
                *held = before;
            } else {
                held.changed_by = None;
                self.places.remove(&held.id);
            }
        }
        self.serial = self.serial.saturating_add(1);
    }

    /// The accounts the block changed, in the order it first met them.
    pub(super) fn changed(&mut self) -> impl Iterator<Item = (&AccountId, &mut Account)> {
        let changed = self.held.iter_mut().filter(|held| held.changed_by.is_some());
        changed.filter_map(|held| Some((&held.id, held.account.as_mut()?)))
    }

    /// How much more is free and bonded in all of them than before the block.
    pub(super) fn moved(&self) -> [i128; 2] {
        let changed = self.held.iter().filter(|held| held.changed_by.is_some());
        changed.fold([0; 2], |moved, held| {
            let after = held.account.as_ref().map_or([Uftns::ZERO; 2], amounts);
            let mut sums = moved.into_iter().zip(held.before).zip(after);
            let mut next = || {
                let ((sum, before), after) = sums.next().unwrap_or_default();
                sum.saturating_add(i128::from(after.0)).saturating_sub(i128::from(before.0))
            };
            [next(), next()]
        })
    }

    /// Their records as they are to be written.
    pub(super) fn records(&self) -> ChangeSet {
        let in_order = self.places.values().filter_map(|place| self.held.get(*place));
        let changed = in_order.filter(|held| held.changed_by.is_some());
        let mut bytes = Vec::new();
        let record = |held: &Held| {
            bytes.clear();
            encode_into(held.account.as_ref()?, &mut bytes);
            // A copy has the size of the record; they live as long as the block is not final.
            Some((keyspace::account(&held.id).to_vec(), Some(bytes.clone())))
        };
        changed.filter_map(record).collect()
    }
}
