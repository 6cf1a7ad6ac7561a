//! Writing configuration files: the explained one with all defaults, and short ones for generated nodes.

use std::fmt::Write as _;

use super::error::{ConfigError, Origin};
use super::schema::{self, KEYS, SECTIONS, Value};

/// The whole configuration file, every key with its meaning, range, unit and default. It is itself a valid file.
#[must_use]
pub fn explain() -> String {
    let mut text = String::from(
        "# Configuration of a mesh30k node. Every key is optional and shown with its default.\n\
         # MESH30K_<SECTION>_<KEY> in the environment overrides a key (lists by commas), a flag overrides both.\n",
    );
    for (section, about) in SECTIONS {
        let _ = write!(text, "\n# {about}\n[{section}]\n");
        for key in KEYS.iter().filter(|key| key.split().0 == section) {
            let unit = if key.unit.is_empty() { String::new() } else { format!(" Unit: {}.", key.unit) };
            let _ = writeln!(text, "# {} ({}.{unit})", key.doc, key.expects());
            let _ = writeln!(text, "{} = {}", key.split().1, key.default);
        }
    }
    text
}

/// A short file with just these keys (`section.key`), checked as if it were read.
///
/// # Errors
/// [`ConfigError`] for an unknown key or a refused value.
pub fn compose(settings: &[(&str, Value)]) -> Result<String, ConfigError> {
    let origin = Origin::Flag("compose".to_owned());
    let mut table = toml::Table::new();
    for (name, value) in settings {
        let key = schema::find(name).ok_or_else(|| schema::unknown(&origin, name))?;
        let value = key.check(&origin, value.clone())?.to_toml();
        let (section, short) = key.split();
        let entry = table.entry(section).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        if let Some(section) = entry.as_table_mut() {
            section.insert(short.to_owned(), value);
        }
    }
    Ok(table.to_string())
}
