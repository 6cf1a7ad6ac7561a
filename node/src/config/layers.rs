//! Defaults, file, variables and flags, each over the one before.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::error::{ConfigError, Origin};
use super::schema::{self, KEYS, SECTIONS, Value};
use super::settings::{Config, NodeSettings};

/// Largest configuration file, bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// How variables that set a key begin; the section follows.
const PREFIX: &str = "MESH30K_";

/// A configuration being put together.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    values: BTreeMap<&'static str, (Value, Origin)>,
}

impl Layers {
    /// Only the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file.
    ///
    /// # Errors
    /// [`ConfigError`] when it can't be read, is no TOML, or holds a key or value that is refused.
    pub fn file(self, path: &Path) -> Result<Self, ConfigError> {
        let read = |source| ConfigError::Read { path: path.to_owned(), source };
        let mut text = String::new();
        let file = File::open(path).map_err(read)?;
        let length = file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(read)?;
        if length as u64 > MAX_FILE_BYTES {
            return Err(ConfigError::TooLarge { path: path.to_owned(), limit: MAX_FILE_BYTES });
        }
        self.text(path, &text)
    }

    /// Adds the text of a file; `path` is for messages.
    ///
    /// # Errors
    /// As [`Self::file`].
    pub fn text(mut self, path: &Path, text: &str) -> Result<Self, ConfigError> {
        let origin = Origin::File(path.to_owned());
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| ConfigError::Syntax {
            path: path.to_owned(),
            message: error.to_string().trim_end().to_owned(),
        })?;
        for (section, content) in &table {
            let Some(keys) = content.as_table().filter(|_| is_section(section)) else {
                return Err(unknown_section(&origin, section));
            };
            for (name, value) in keys {
                let name = format!("{section}.{name}");
                let key = schema::find(&name).ok_or_else(|| schema::unknown(&origin, &name))?;
                self.values.insert(key.name, (key.take_toml(&origin, value)?, origin.clone()));
            }
        }
        Ok(self)
    }

    /// Adds variables: of those given, `MESH30K_<SECTION>_<KEY>` for a section there is. Others are not ours to judge.
    ///
    /// # Errors
    /// [`ConfigError`] for an unknown key of a known section, or a refused value.
    pub fn variables(mut self, all: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        for (variable, text) in all {
            let Some(name) = variable_key(&variable) else { continue };
            let origin = Origin::Variable(variable);
            let key = schema::find(&name).ok_or_else(|| schema::unknown(&origin, &name))?;
            self.values.insert(key.name, (key.take_text(&origin, &text)?, origin));
        }
        Ok(self)
    }

    /// Sets one key as a flag does.
    ///
    /// # Errors
    /// [`ConfigError`] for an unknown key or a refused value.
    pub fn flag(mut self, flag: &str, name: &str, text: &str) -> Result<Self, ConfigError> {
        let origin = Origin::Flag(flag.to_owned());
        let key = schema::find(name).ok_or_else(|| schema::unknown(&origin, name))?;
        self.values.insert(key.name, (key.take_text(&origin, text)?, origin));
        Ok(self)
    }

    /// Where a key's value comes from.
    #[must_use]
    pub fn origin(&self, name: &str) -> Origin {
        self.values.get(name).map_or(Origin::Default, |(_, origin)| origin.clone())
    }

    /// Puts the configuration together.
    ///
    /// # Errors
    /// [`ConfigError::Assembly`] only if table and settings disagree, which a test rules out.
    pub fn finish(self) -> Result<Config, ConfigError> {
        let mut table = toml::Table::new();
        for key in KEYS {
            let value = match self.values.get(key.name) {
                Some((value, _)) => value.to_toml(),
                None => default_of(key.default)?,
            };
            let (section, name) = key.split();
            let entry = table.entry(section).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            if let Some(section) = entry.as_table_mut() {
                section.insert(name.to_owned(), value);
            }
        }
        let built = table.try_into();
        let config: Config =
            built.map_err(|error: toml::de::Error| ConfigError::Assembly { message: error.to_string() })?;
        self.check_disk(&config.node)?;
        Ok(config)
    }

    /// Two keys that only make sense together.
    fn check_disk(&self, node: &NodeSettings) -> Result<(), ConfigError> {
        let (lower, upper) = (node.disk_read_only_mib, node.disk_resume_mib);
        if upper > lower {
            return Ok(());
        }
        // Named is the one that somebody set.
        let key = ["node.disk_resume_mib", "node.disk_read_only_mib"]
            .into_iter()
            .find(|key| self.origin(key) != Origin::Default)
            .unwrap_or("node.disk_resume_mib");
        let value = if key == "node.disk_resume_mib" { upper } else { lower };
        let reason = format!(
            "a node that stops writing below node.disk_read_only_mib = {lower} MiB can only go on above that, not at \
             node.disk_resume_mib = {upper} MiB"
        );
        Err(ConfigError::Refused { origin: self.origin(key), key: key.to_owned(), value: value.to_string(), reason })
    }
}

/// A default as the table writes it.
pub(super) fn default_of(text: &str) -> Result<toml::Value, ConfigError> {
    let parsed: Result<toml::Table, _> = format!("value = {text}").parse();
    let value = parsed.ok().and_then(|mut table| table.remove("value"));
    value.ok_or_else(|| ConfigError::Assembly { message: format!("default {text} is not TOML") })
}

fn is_section(name: &str) -> bool {
    SECTIONS.iter().any(|(section, _)| *section == name)
}

fn unknown_section(origin: &Origin, name: &str) -> ConfigError {
    // A key written outside its section is the likelier slip, then a misspelt section.
    let whole = KEYS.iter().map(|key| key.name).find(|key| key.split_once('.').is_some_and(|(_, short)| short == name));
    let nearest =
        whole.map(str::to_owned).or_else(|| super::nearest(name, SECTIONS.iter().map(|(section, _)| *section)));
    ConfigError::UnknownKey { origin: origin.clone(), key: name.to_owned(), nearest }
}

/// `MESH30K_P2P_MAX_PEERS` -> `p2p.max_peers`.
fn variable_key(variable: &str) -> Option<String> {
    let rest = variable.strip_prefix(PREFIX)?.to_ascii_lowercase();
    let (section, name) = rest.split_once('_')?;
    is_section(section).then(|| format!("{section}.{name}"))
}
