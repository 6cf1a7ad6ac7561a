//! `mesh30k`: run a node, operate the mesh, manage keys.

mod cmd;
mod exit;
mod output;
mod session;

use clap::{Parser, Subcommand};

use exit::ExitCode;
use session::SessionArgs;

/// One binary: whoever starts it joins the mesh.
#[derive(Parser)]
#[command(
    name = "mesh30k",
    version,
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no node reachable, 4 refused by the node or the ledger.\n\
                  Start here: `mesh30k testnet up` makes a local mesh and shows what it does."
)]
struct Cli {
    #[command(flatten)]
    session: SessionArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a node if there is none, join a network and run until Ctrl-C.
    Up(cmd::up::Up),
    /// Make, run or configure one node.
    #[command(subcommand)]
    Node(cmd::node::Node),
    /// Make and list the keys of people; they are encrypted at rest.
    #[command(subcommand)]
    Key(cmd::key::Key),
    /// A whole mesh of real node processes on this machine.
    #[command(subcommand)]
    Testnet(cmd::testnet::Testnet),
    /// Look at the mesh.
    #[command(subcommand)]
    Mesh(cmd::mesh::Mesh),
    /// Start events and see how they arrived.
    #[command(subcommand)]
    Event(cmd::event::Event),
    /// Balances, payments, receipts.
    #[command(subcommand)]
    Ledger(cmd::ledger::Ledger),
    /// Propose and vote.
    #[command(subcommand)]
    Gov(cmd::gov::Gov),
    /// Pause everything in a scope, at once.
    Freeze(cmd::freeze::Freeze),
    /// End a freeze before its time.
    Thaw(cmd::freeze::Thaw),
    /// Have work done, and pay for it.
    #[command(subcommand)]
    Task(cmd::task::Task),
}

fn main() -> std::process::ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let is_help = !error.use_stderr();
            // Nothing is left to do when the terminal is gone.
            let _ = error.print();
            return if is_help { ExitCode::Done } else { ExitCode::Usage }.into();
        }
    };
    let session = cli.session.open();
    let result = match cli.command {
        Command::Up(command) => command.run(&session),
        Command::Node(command) => command.run(&session),
        Command::Key(command) => command.run(&session),
        Command::Testnet(command) => command.run(&session),
        Command::Mesh(command) => command.run(&session),
        Command::Event(command) => command.run(&session),
        Command::Ledger(command) => command.run(&session),
        Command::Gov(command) => command.run(&session),
        Command::Freeze(command) => command.run(&session),
        Command::Thaw(command) => command.run(&session),
        Command::Task(command) => command.run(&session),
    };
    match result {
        Ok(()) => ExitCode::Done.into(),
        Err(error) => {
            eprintln!("mesh30k: {}", output::sentence(&error));
            ExitCode::of(&error).into()
        }
    }
}
