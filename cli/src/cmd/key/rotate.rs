//! `mesh30k key rotate`: an account gets a new key, on the ledger and in the keystore, and nothing can get lost between the two.

use anyhow::{Context as _, Result};
use mesh30k_ledger::key_policy::KeyPolicy;
use mesh30k_ledger::keys::{PublicKey, SecretKey};
use mesh30k_ledger::ops::{Operation, RotateKey};
use mesh30k_ledger::types::{AccountId, Height};
use mesh30k_node::api::types::KeysAnswer;
use mesh30k_node::keystore::{KeyName, Keystore};
use mesh30k_testnet::wallet::Wallet;
use serde::Serialize;

use crate::exit::RefusedError;
use crate::output::{json, line};
use crate::session::{FINAL_TIMEOUT, Session};

/// What is to be done, given which keys the ledger goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The old key counts: tell the ledger of the new one.
    Tell,
    /// The new key counts: it takes over the name.
    TakeOver,
    /// Neither does alone.
    Neither,
}

/// Where a rotation stands: `policy` is the ledger's word, nothing while the account has never signed.
fn step(policy: Option<&KeyPolicy>, old: PublicKey, new: Option<PublicKey>) -> Step {
    let is_only = |key: PublicKey| policy.is_some_and(|policy| *policy == KeyPolicy::single(key));
    match new {
        Some(new) if is_only(new) => Step::TakeOver,
        _ if policy.is_none() || is_only(old) => Step::Tell,
        _ => Step::Neither,
    }
}

#[derive(Serialize)]
struct Rotated {
    name: String,
    account: AccountId,
    public_key: PublicKey,
    old_key: String,
    /// Of the block in which the ledger was told; none when it knew already.
    height: Option<Height>,
}

pub(super) fn rotate(session: &Session, keystore: &Keystore, name: &KeyName) -> Result<()> {
    let entry = keystore.show(name)?;
    let (client, old) = (session.client()?, PublicKey(entry.public));
    let lock = keystore.lock_rotation()?;
    let keys: KeysAnswer = client.get(&format!("/v1/accounts/{}/keys", entry.account))?;
    if keys.operators.contains(&old) {
        return Err(RefusedError(format!(
            "key {name} is an operator's, and operators are known by their keys: with a new one it could freeze nothing"
        ))
        .into());
    }
    let waiting = keystore.waiting(name)?.map(|next| PublicKey(next.public));
    let step = step(keys.policy.as_ref(), old, waiting);
    if step == Step::Neither {
        return Err(RefusedError(format!(
            "account {} is signed for by other keys than {name}, as the ledger has it at block {}",
            keys.account, keys.height
        ))
        .into());
    }
    let passphrase = session.passphrase(&format!("Passphrase of key {name}: "))?;
    // On the disk before anybody hears of it.
    let next = keystore.next(&lock, name, &passphrase)?;
    let mut height = None;
    if step == Step::Tell {
        let key = SecretKey::from_seed(*keystore.unlock(name, &passphrase)?.seed());
        let wallet = Wallet::of_account(client, key, entry.account)?;
        let op = RotateKey::Account(KeyPolicy::single(PublicKey(next.public())));
        let told = wallet.execute(Operation::RotateKey(op), FINAL_TIMEOUT);
        let again =
            || format!("{name} is not replaced yet and both keys are kept; `mesh30k key rotate {name}` goes on");
        height = told.with_context(again)?.height;
    }
    let old_name = keystore.take_over(&lock, name)?;
    let rotated = Rotated {
        name: name.to_string(),
        account: entry.account,
        public_key: PublicKey(next.public()),
        old_key: old_name.to_string(),
        height,
    };
    if session.wants_json() {
        return json(&rotated);
    }
    let told = height.map_or_else(|| "the ledger knew".to_owned(), |height| format!("final in block {height}"));
    line(format!("{name} is a new key of the same account: {told}"));
    line(format!("  account     {}", rotated.account));
    line(format!("  public key  {}", rotated.public_key));
    line(format!("  old key     kept as {old_name}, signs for the account no longer; make a backup of both"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_next_follows_from_the_keys_the_ledger_goes_by() {
        let key = |seed: u8| SecretKey::from_seed([seed; 32]).public();
        let only = |seed: u8| KeyPolicy::single(key(seed));
        let (old, new, other) = (key(1), key(2), only(3));
        let both = KeyPolicy::new(2, vec![old, new]);
        for (policy, waiting, expected) in [
            (None, None, Step::Tell),
            (None, Some(new), Step::Tell),
            (Some(&only(1)), None, Step::Tell),
            (Some(&only(1)), Some(new), Step::Tell),
            (Some(&only(2)), Some(new), Step::TakeOver),
            (Some(&only(2)), None, Step::Neither),
            (Some(&other), Some(new), Step::Neither),
            (Some(&both), Some(new), Step::Neither),
        ] {
            assert_eq!(step(policy, old, waiting), expected, "{policy:?}, {waiting:?}");
        }
    }
}
