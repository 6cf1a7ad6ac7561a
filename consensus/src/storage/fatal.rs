//! What happens when the disk lets us down.

use std::sync::Arc;

/// Called with a sentence when an fsync failed; it is expected to end the process.
pub type FatalHandler = Arc<dyn Fn(&str) + Send + Sync>;

/// The handler for real processes: after a failed fsync nobody knows what is on disk, so nothing may go on.
#[must_use]
pub fn abort_on_fatal() -> FatalHandler {
    Arc::new(|sentence| {
        tracing::error!(sentence, "storage failed for good");
        // The log may be buffered or filtered; the last words must not be.
        #[allow(clippy::print_stderr)]
        {
            eprintln!("mesh30k: {sentence}");
        }
        std::process::abort();
    })
}
