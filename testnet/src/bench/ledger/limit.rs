//! What this machine's cores could do at most: signatures made and verified, with nothing else to do.

use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use mesh30k_ledger::keys::{PublicKey, SecretKey, Signature, verify_batch};
use mesh30k_ledger::types::Hash;
use serde::Serialize;

use crate::bench::tools::now;

/// Signatures verified in one go: as many as a full block holds.
const BATCH: u32 = 1_000;
/// How long each core verifies.
const DURATION: Duration = Duration::from_secs(2);

/// Signatures a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Limit {
    /// Cores that verified at once.
    pub cores: usize,
    /// Verified in batches by all of them together.
    pub verified_per_s: f64,
    /// Made by one core.
    pub signed_per_s: f64,
}

impl Limit {
    /// Transfers a second that a client could sign and so many replicas verify on these cores if nobody did anything else.
    #[must_use]
    pub fn transfers_per_s(&self, replicas: usize) -> f64 {
        let cores = self.cores as f64;
        let busy_s = replicas as f64 * cores / self.verified_per_s + 1.0 / self.signed_per_s;
        cores / busy_s
    }

    /// Measures.
    ///
    /// # Errors
    /// A signature made here does not hold.
    pub fn measure() -> Result<Self> {
        let start = now();
        let batch: Vec<(PublicKey, Hash, Signature)> = (0..BATCH).map(one).collect();
        let signed_per_s = f64::from(BATCH) / (now() - start).as_secs_f64();
        let cores = thread::available_parallelism()?.get();
        let counts = thread::scope(|scope| {
            let workers: Vec<_> = (0..cores).map(|_| scope.spawn(|| verify_for(&batch, DURATION))).collect();
            let ended = workers.into_iter().map(|worker| worker.join().map_err(|_| anyhow!("a verifier ended badly")));
            ended.map(|rate| rate?).collect::<Result<Vec<f64>>>()
        })?;
        Ok(Self { cores, verified_per_s: counts.iter().sum(), signed_per_s })
    }
}

/// A key of its own, a message and the signature over it.
fn one(number: u32) -> (PublicKey, Hash, Signature) {
    let key = SecretKey::from_seed(Hash::derive("mesh30k bench limit v1", &[&number.to_be_bytes()]).0);
    let message = Hash::of(&number.to_be_bytes());
    (key.public(), message, key.sign(message.as_bytes()))
}

fn verify_for(batch: &[(PublicKey, Hash, Signature)], duration: Duration) -> Result<f64> {
    let items: Vec<_> =
        batch.iter().map(|(key, message, signature)| (*key, message.0.as_slice(), *signature)).collect();
    let (start, mut verified) = (now(), 0_usize);
    while now() - start < duration {
        if !verify_batch(&items) {
            bail!("a signature made here does not hold");
        }
        verified += items.len();
    }
    Ok(verified as f64 / (now() - start).as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_shared_by_the_replicas_and_the_client() {
        // 25 us of a core to verify one, 50 us to sign one.
        let limit = Limit { cores: 2, verified_per_s: 80_000.0, signed_per_s: 20_000.0 };
        assert!((limit.transfers_per_s(2) - 20_000.0).abs() < 1e-6);
        assert!((limit.transfers_per_s(4) - 2e6 / 150.0).abs() < 1e-6);
        let few: Vec<_> = (0..3).map(one).collect();
        assert!(verify_for(&few, Duration::from_millis(1)).unwrap() > 0.0);
        let mut wrong = few;
        wrong[1].2 = wrong[0].2;
        assert!(verify_for(&wrong, Duration::from_millis(1)).is_err());
    }
}
