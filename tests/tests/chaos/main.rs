//! Nodes that are killed, wiped or missing while they work. Every test starts real processes; each guards one promise:
//!
//! - `archive`: a new node begins with the exported ledger of one that is gone, history and all;
//! - `full_disk`: a node without room stops writing, says so, and goes on by itself; a stopped leader hands on;
//! - `leader`: the ledger goes on, and what was acknowledged stays (how to see it fail: `tests/README.md`);
//! - `members`: a sector re-elects, a cascade counts the missing as missing, an observer catches up;
//! - `recovery`: the documented commands let a mesh go on that lost two of four validators for good;
//! - `seats`: a newcomer's votes count, a founder's no more, and no block is missing in between;
//! - `wiped`: who forgot what it signed does not come back under its old id (how to see it fail: `tests/README.md`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod archive;
mod full_disk;
mod leader;
mod members;
mod recovery;
mod seats;
mod wiped;
