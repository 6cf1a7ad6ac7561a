//! Money that is set aside: locked for a purpose, bonded, or taken as a penalty. Totals follow with every move.

use super::{Stop, Working};
use crate::rejection::Rejection;
use crate::types::{AccountId, Uftns};

impl Working<'_> {
    /// Takes from a free balance into a record of the caller's.
    pub(crate) fn lock(&mut self, from: &AccountId, amount: Uftns) -> Result<(), Stop> {
        self.debit(from, amount)?;
        self.count_locked(amount)
    }

    /// Gives back what a record of the caller's held.
    pub(crate) fn unlock(&mut self, to: &AccountId, amount: Uftns) -> Result<(), Stop> {
        self.uncount_locked(amount)?;
        self.credit(to, amount)
    }

    /// Counts money that a record takes over from a pool.
    pub(crate) fn count_locked(&mut self, amount: Uftns) -> Result<(), Stop> {
        let totals = &mut self.globals_mut().totals;
        totals.escrows = totals.escrows.checked_add(amount).ok_or(Rejection::AmountOverflow)?;
        Ok(())
    }

    /// Counts money that leaves a record for a pool.
    pub(crate) fn uncount_locked(&mut self, amount: Uftns) -> Result<(), Stop> {
        let totals = &mut self.globals_mut().totals;
        totals.escrows = totals.escrows.checked_sub(amount).ok_or(Rejection::AmountOverflow)?;
        Ok(())
    }

    /// Moves from free to bonded; the account's voting weight stays.
    pub(crate) fn bond(&mut self, id: &AccountId, amount: Uftns) -> Result<(), Stop> {
        let account = self.account_mut(id)?;
        let overdrawn = Rejection::Overdrawn { needed: amount, balance: account.balance };
        account.balance = account.balance.checked_sub(amount).ok_or(overdrawn)?;
        account.stake = account.stake.checked_add(amount).ok_or(Rejection::AmountOverflow)?;
        let totals = &mut self.globals_mut().totals;
        totals.balances = totals.balances.checked_sub(amount).ok_or(Rejection::AmountOverflow)?;
        totals.stakes = totals.stakes.checked_add(amount).ok_or(Rejection::AmountOverflow)?;
        Ok(())
    }

    /// Moves from bonded to free.
    pub(crate) fn unbond(&mut self, id: &AccountId, amount: Uftns) -> Result<(), Stop> {
        let account = self.account_mut(id)?;
        account.stake = account.stake.checked_sub(amount).ok_or(Rejection::AmountOverflow)?;
        account.balance = account.balance.checked_add(amount).ok_or(Rejection::AmountOverflow)?;
        let totals = &mut self.globals_mut().totals;
        totals.stakes = totals.stakes.checked_sub(amount).ok_or(Rejection::AmountOverflow)?;
        totals.balances = totals.balances.checked_add(amount).ok_or(Rejection::AmountOverflow)?;
        Ok(())
    }

    /// Takes from what is bonded: `reward` of it to whoever proved the offence, the rest is burned.
    pub(crate) fn slash(&mut self, id: &AccountId, amount: Uftns, reward: Uftns, to: &AccountId) -> Result<(), Stop> {
        let (height, (oldest, newest)) = (self.height, self.globals().snapshots());
        let account = self.account_mut(id)?;
        account.checkpoint(height, oldest, newest);
        account.stake = account.stake.checked_sub(amount).ok_or(Rejection::AmountOverflow)?;
        let burned = amount.checked_sub(reward).ok_or(Rejection::AmountOverflow)?;
        let totals = &mut self.globals_mut().totals;
        totals.stakes = totals.stakes.checked_sub(amount).ok_or(Rejection::AmountOverflow)?;
        totals.burned = totals.burned.checked_add(burned).ok_or(Rejection::AmountOverflow)?;
        self.credit(to, reward)
    }
}
