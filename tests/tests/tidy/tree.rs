//! The repository as a map from path to text.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Every file by its path from the top, with `/` between folders; a file that is not UTF-8 has an empty text.
pub(crate) struct Tree {
    pub(crate) files: BTreeMap<String, String>,
}

impl Tree {
    /// A tree of planted files.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        Self { files: files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect() }
    }

    /// The repository this test was built from.
    pub(crate) fn of_repository() -> Self {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut files = BTreeMap::new();
        walk(&root, "", &mut files);
        Self { files }
    }

    /// Paths and texts of the files with this ending.
    pub(crate) fn ending<'a>(&'a self, ending: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.files.iter().filter(move |(path, _)| path.ends_with(ending)).map(|(path, text)| (&**path, &**text))
    }
}

fn walk(folder: &Path, prefix: &str, files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().expect("file names are UTF-8");
        let path = format!("{prefix}{name}");
        if entry.path().is_dir() {
            // `.git` is a folder in a clone and a file in a work tree; `target` is cargo's; `vendor` holds others' code.
            if !matches!(name.as_str(), ".git" | "target" | "vendor") {
                walk(&entry.path(), &format!("{path}/"), files);
            }
        } else if name != ".git" {
            let text = String::from_utf8(fs::read(entry.path()).unwrap()).unwrap_or_default();
            files.insert(path, text);
        }
    }
}
