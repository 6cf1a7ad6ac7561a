//! Where the binary under test is.

use std::path::PathBuf;

/// Names the binary when it lies elsewhere than beside the tests.
pub const PROGRAM_VARIABLE: &str = "CARGO_BIN_EXE_mesh30k";

/// The `mesh30k` binary: the one named by [`PROGRAM_VARIABLE`], else the one cargo built beside this test.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn program() -> PathBuf {
    let named = std::env::var_os(PROGRAM_VARIABLE).map(PathBuf::from);
    let found = named.unwrap_or_else(|| {
        // target/debug/deps/TEST or target/debug/HELPER
        let test = std::env::current_exe().expect("a running test has a path");
        let folders = test.ancestors().skip(1).take(2).map(|folder| folder.join("mesh30k"));
        folders.into_iter().find(|path| path.is_file()).unwrap_or_else(|| test.with_file_name("mesh30k"))
    });
    assert!(
        found.is_file(),
        "these tests start the real binary, and there is none at {}; build it first: cargo build --package mesh30k \
         (`make test` does), or name one with {PROGRAM_VARIABLE}",
        found.display()
    );
    found
}
