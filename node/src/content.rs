//! Content is named by its hash.

use std::fs::File;
use std::io;
use std::path::Path;

use mesh30k_ledger::types::Hash;

/// The hash of a file, however large; the same as [`Hash::of`] its bytes.
///
/// # Errors
/// A file that can't be read.
pub fn hash_file(path: &Path) -> io::Result<Hash> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path)?)?;
    Ok(Hash(*hasher.finalize().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_the_hash_of_its_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        for length in [0, 1, 1_024, 1_000_003] {
            let bytes: Vec<u8> = (0..length).map(|at: u32| at.to_le_bytes()[0]).collect();
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(hash_file(&path).unwrap(), Hash::of(&bytes), "{length}");
        }
        assert!(hash_file(dir.path()).is_err());
    }
}
