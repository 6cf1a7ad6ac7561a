//! The node's settings: one TOML file, overridden by `MESH30K_<SECTION>_<KEY>` variables, then by flags.
//!
//! One table (`schema.rs`) says of each key what it is called, what it may hold, what it is when nobody sets it and what it
//! means; the explained file, the checks and the suggestions all come from it.

mod error;
mod explain;
mod layers;
mod listen;
mod network_file;
mod schema;
mod settings;

pub use error::{ConfigError, Origin};
pub use explain::{compose, explain};
pub use layers::Layers;
pub use listen::{ListenError, bind};
pub(crate) use network_file::is_chain_name;
pub use network_file::{GenesisSource, NetworkFile, NetworkFileError};
pub use schema::Value;
pub use settings::{
    AgentSettings, ApiSettings, CarbonSettings, ClassShares, Config, HarnessSettings, LedgerSettings, LogFormat,
    LogSettings, NetworkSettings, NodeSettings, P2pSettings, TaskSettings,
};

#[cfg(test)]
mod tests;

/// The candidate most like `name`, if one is like enough to be a slip of the finger.
fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    let allowed = (name.len() / 3).max(2);
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate.to_owned())
}
