//! Messages of the mesh as bytes: the envelope around every body, its clock, its ids and the filter of duplicates.

mod envelope;
mod extensions;
mod hlc;
mod message_id;
mod seen;
#[cfg(test)]
mod tests;

pub use envelope::{
    Envelope, EnvelopeSignature, Frame, MAX_BODY_BYTES, MAX_ENVELOPE_BYTES, PROTOCOL_VERSION, PROTOCOL_VERSIONS_KNOWN,
    Priority, WireError, context_digest,
};
pub use extensions::{Extensions, ExtensionsError, MAX_EXTENSION_BYTES, MAX_EXTENSIONS};
pub use hlc::{Hlc, HlcClock, HlcError, MAX_AHEAD_US};
pub use message_id::{MessageId, MessageIdSource};
pub use seen::{Seen, SeenIds};
