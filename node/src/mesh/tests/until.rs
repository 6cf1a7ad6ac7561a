//! Waiting for what several tasks work towards and no event tells.

use std::time::Duration;

const LOOK: Duration = Duration::from_millis(20);

/// Whether something holds within a time.
pub(in crate::mesh) async fn holds_within(at_most: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let wait = async {
        while !holds() {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(at_most, wait).await.is_ok()
}

/// Waits until something holds; fails the test when it does not in time.
pub(in crate::mesh) async fn until(what: &str, at_most: Duration, holds: impl FnMut() -> bool) {
    assert!(holds_within(at_most, holds).await, "not within {at_most:?}: {what}");
}
