//! Files a database cannot have lost by itself. RocksDB does not miss the log it wrote to last: without this look, a folder that lost it would
//! come back older, and nobody would know. Where `CURRENT` is missing, it writes a new one, of an empty database, before it stumbles over
//! what else is there.

use std::path::Path;

use crate::storage::StoreError;

/// Refuses a folder in which a database was open before and which has no `CURRENT` or no log any more.
pub(super) fn refuse_incomplete(folder: &Path) -> Result<(), StoreError> {
    // A folder that is not there yet is made; one that cannot be listed is refused by the database itself.
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(()) };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    match missing(&names.collect::<Vec<_>>()) {
        None => Ok(()),
        Some(what) => Err(StoreError::Corrupt {
            reason: format!(
                "{what} is missing in {}; put it back if it was moved, else this database is lost and must not be opened",
                folder.display()
            ),
        }),
    }
}

/// What a database lacks that it had when it was last open: it writes its options after everything else that belongs to opening, its
/// first log included, and from then on is never without a log.
fn missing(names: &[String]) -> Option<&'static str> {
    let has = |is: fn(&str) -> bool| names.iter().any(|name| is(name));
    if !has(|name| name.starts_with("OPTIONS-")) {
        return None;
    }
    if !has(|name| name == "CURRENT") {
        return Some("the file CURRENT");
    }
    (!has(|name| name.ends_with(".log"))).then_some("the write-ahead log (*.log)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_was_never_open_is_new_and_one_that_was_needs_both() {
        let of = |names: &[&str]| missing(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["LOCK", "LOG", "MANIFEST-000001"]), None, "the power went while it was made");
        assert_eq!(of(&["CURRENT", "MANIFEST-000001"]), None, "likewise");
        assert_eq!(of(&["CURRENT", "MANIFEST-000005", "OPTIONS-000007", "000004.log"]), None);
        assert_eq!(of(&["MANIFEST-000005", "OPTIONS-000007", "000004.log"]), Some("the file CURRENT"));
        // `LOG` is its diary.
        assert_eq!(of(&["CURRENT", "LOG", "OPTIONS-000007", "000009.sst"]), Some("the write-ahead log (*.log)"));
    }
}
