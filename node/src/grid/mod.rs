//! This machine's own grid intensity, read from a file or an HTTP address in the Electricity Maps format.
//!
//! What cannot be believed is refused with a reason; the ledger's figure is used then, and that is said.

mod book;
mod error;
mod format;
mod handle;
mod instant;

pub use book::{Basis, Chosen, GridBook};
pub use error::GridError;
pub use format::{MAX_DOCUMENT_BYTES, Reading, read_document};
pub use handle::{GridHandle, fetch, start};
pub use instant::parse_instant;
