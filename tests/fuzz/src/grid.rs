//! Documents of a grid's carbon intensity, as a stranger's server sends them.

#[allow(dead_code, unreachable_pub)]
#[path = "../../../node/src/grid/error.rs"]
mod error;
#[allow(dead_code, unreachable_pub)]
#[path = "../../../node/src/grid/format.rs"]
mod format;
#[allow(dead_code, unreachable_pub)]
#[path = "../../../node/src/grid/instant.rs"]
mod instant;

use mesh30k_ledger::ops::MAX_INTENSITY_MG_PER_KWH;
use mesh30k_ledger::types::TimeMs;

/// A document: a figure that is taken is one a grid can have, and not of the future.
pub fn grid_document(bytes: &[u8]) {
    let now = TimeMs(1_796_000_000_000);
    let Ok(reading) = format::read_document(bytes, "DE", now) else { return };
    assert!(reading.mg_per_kwh <= MAX_INTENSITY_MG_PER_KWH, "{reading:?}");
    assert!(reading.at <= now.plus_ms(60_000), "{reading:?}");
}
