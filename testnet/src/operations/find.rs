//! The best agents for something, by the registry.

use mesh30k_ledger::types::{AgentClass, Region, SectorId};
use mesh30k_node::api::types::FoundRow;

use crate::client::{ApiClient, ClientError};

/// What is looked for.
#[derive(Clone, Debug, Default)]
pub struct FindOrder {
    /// Names of capabilities; all are needed.
    pub capabilities: Vec<String>,
    /// At most so many; the node's own number when not given.
    pub n: Option<usize>,
    /// Their score is at most this.
    pub max_score: Option<u16>,
    /// They are of this class.
    pub class: Option<AgentClass>,
    /// Their host is there.
    pub region: Option<Region>,
    /// They are in this sector.
    pub sector: Option<SectorId>,
    /// In the registry's words, or `any`; active when not given.
    pub state: Option<String>,
    /// They are fed by something other than the grid.
    pub green: bool,
    /// Which come first: `score`, `impedance`, `price`, `reliability` or `drift`.
    pub order: Option<String>,
}

/// Asks a node for the agents, the best first.
///
/// # Errors
/// When the node can't be asked, or refuses a word.
pub fn find(client: &ApiClient, order: &FindOrder) -> Result<Vec<FoundRow>, ClientError> {
    client.get(&order.path())
}

impl FindOrder {
    fn path(&self) -> String {
        let text = |name: &str, value: Option<String>| value.map(|value| format!("{name}={}", plain(&value)));
        let all = (!self.capabilities.is_empty()).then(|| self.capabilities.join(","));
        let fields = [
            text("capability", all),
            text("n", self.n.map(|n| n.to_string())),
            text("max_score", self.max_score.map(|score| score.to_string())),
            text("class", self.class.map(|class| class.to_string())),
            text("region", self.region.map(|region| region.to_string())),
            text("sector", self.sector.map(|sector| sector.0.to_string())),
            text("state", self.state.clone()),
            text("green", self.green.then(|| "true".to_owned())),
            text("order", self.order.clone()),
        ];
        let fields: Vec<String> = fields.into_iter().flatten().collect();
        format!("/v1/mesh/find?{}", fields.join("&"))
    }
}

/// Words of the API have no other characters: what else was typed becomes one that the node refuses by name.
fn plain(word: &str) -> String {
    word.replace(|letter: char| !letter.is_ascii_alphanumeric() && letter != ',', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_wanted_is_asked_for() {
        assert_eq!(FindOrder::default().path(), "/v1/mesh/find?");
        let capabilities = vec!["compute".to_owned(), "in&fer".to_owned()];
        let order =
            FindOrder { capabilities, n: Some(3), sector: Some(SectorId(4)), green: true, ..Default::default() };
        assert_eq!(order.path(), "/v1/mesh/find?capability=compute,in_fer&n=3&sector=4&green=true");
    }
}
