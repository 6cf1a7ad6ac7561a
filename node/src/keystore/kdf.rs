//! From a passphrase to a key of the cipher: Argon2id.

use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Most memory a key file may demand, KiB: a hostile file must not exhaust the machine.
const MAX_MEMORY_KIB: u32 = 1 << 20;
/// Most passes a key file may demand.
const MAX_PASSES: u32 = 64;
/// Most lanes a key file may demand.
const MAX_LANES: u32 = 16;

/// Cost of one guess at a passphrase; recorded in each key file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kdf {
    /// Memory, KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Kdf {
    /// For people's keys: OWASP's first recommendation for Argon2id (19 MiB, two passes, one lane).
    #[must_use]
    pub fn standard() -> Self {
        Self { memory_kib: 19_456, passes: 2, lanes: 1 }
    }

    /// For keys of a local testnet, whose passphrase lies in a file beside them: a dozen keys must not cost seconds.
    #[must_use]
    pub fn local_testnet() -> Self {
        Self { memory_kib: 64, passes: 1, lanes: 1 }
    }

    /// Stretches a passphrase; the reason, if the parameters are out of bounds.
    pub(super) fn derive(self, passphrase: &[u8], salt: &[u8]) -> Result<Zeroizing<[u8; 32]>, String> {
        if self.memory_kib > MAX_MEMORY_KIB || self.passes > MAX_PASSES || self.lanes > MAX_LANES {
            return Err(format!("it demands {} KiB, {} passes, {} lanes", self.memory_kib, self.passes, self.lanes));
        }
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(32)).map_err(|e| e.to_string())?;
        let mut key = Zeroizing::new([0_u8; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase, salt, &mut key[..])
            .map_err(|error| error.to_string())?;
        Ok(key)
    }
}
