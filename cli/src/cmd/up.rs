//! `mesh30k up`: one command to be a part of a mesh.

use anyhow::Result;
use clap::Args;

use super::node::{self, InitArgs};
use crate::output::line;
use crate::session::Session;

/// Make a node if there is none, join a network and run until Ctrl-C.
#[derive(Args)]
#[command(after_help = "Example: mesh30k up --network network.json --agents 10")]
pub(crate) struct Up {
    #[command(flatten)]
    node: InitArgs,
}

impl Up {
    pub(crate) fn run(self, _: &Session) -> Result<()> {
        let config = self.node.config_path()?;
        if !config.exists() {
            self.node.init()?;
        }
        line(format!("running the node of {}", config.display()));
        let mut settings = Vec::new();
        if let Some(agents) = self.node.agents {
            settings.push(format!("agents.count={agents}"));
        }
        if let Some(address) = &self.node.api_listen {
            settings.push(format!("api.listen={address}"));
        }
        node::run(&node::layers(Some(&config), &settings)?.finish()?)
    }
}
