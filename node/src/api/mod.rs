//! The local HTTP API: JSON on a loopback address, RFC 9457 problem details for whatever goes wrong.

mod carbon;
mod events;
mod extract;
mod gov;
mod guard;
mod harness;
mod ledger;
mod market;
mod mesh;
mod problem;
mod proofs;
mod server;
mod stakes;
mod standing;
mod starting;
mod state;
mod status;
mod tasks;
mod trade;
pub mod types;
mod words;

pub use server::{ServeError, serve};
pub use starting::Starting;
pub use state::{ApiParts, ApiState, Member};
