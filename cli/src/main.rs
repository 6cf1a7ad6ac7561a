//! `mesh30k`: run a node, operate the mesh, manage keys.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod bids;
mod cmd;
mod exit;
mod output;
mod payments;
mod session;
mod when;

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
    /// Who used and paid what, which intensity holds, credits, emergencies.
    #[command(subcommand)]
    Carbon(cmd::carbon::Carbon),
    /// Content and work at a fixed price, auctions, claims.
    #[command(subcommand)]
    Market(cmd::market::Market),
    /// Contributions and what they are paid; what speaks for an account.
    #[command(subcommand)]
    Contribution(cmd::contribution::Contribution),
    /// The right to work at the voted price, lent, sold and set aside.
    #[command(subcommand)]
    Quota(cmd::quota::Quota),
    /// What accounts answer with for what they do.
    #[command(subcommand)]
    Stake(cmd::stake::Stake),
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
        Command::Carbon(command) => command.run(&session),
        Command::Market(command) => command.run(&session),
        Command::Contribution(command) => command.run(&session),
        Command::Quota(command) => command.run(&session),
        Command::Stake(command) => command.run(&session),
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    /// Every command with its full name, its long help and its subcommands' likewise.
    fn commands(command: &clap::Command, path: &str, found: &mut Vec<(String, String)>) {
        let own = format!("{path} {}", command.get_name()).trim().to_owned();
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        if command.get_subcommands().next().is_none() {
            found.push((own.clone(), help));
        }
        command.get_subcommands().for_each(|command| commands(command, &own, found));
    }

    /// Splits a command line at spaces outside double quotes; what follows a `>` is the shell's.
    fn words(text: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        let mut is_quoted = false;
        for letter in text.chars() {
            match letter {
                '"' => is_quoted = !is_quoted,
                '>' if !is_quoted => break,
                ' ' if !is_quoted => words.push(String::new()),
                letter => words.last_mut().unwrap().push(letter),
            }
        }
        words.retain(|word| !word.is_empty());
        words
    }

    #[test]
    fn every_command_has_examples_and_each_parses_as_that_command() {
        let mut found = Vec::new();
        commands(&Cli::command(), "", &mut found);
        assert!(found.len() > 20, "{found:?}");
        for (name, help) in found {
            let examples: Vec<&str> =
                help.lines().filter_map(|line| line.find("mesh30k ").map(|at| &line[at..])).collect();
            assert!(help.starts_with("Example") && !examples.is_empty(), "{name} has no example");
            for example in examples {
                assert!(example.starts_with(&format!("{name} ")) || example == name, "{example} is no {name}");
                if let Err(error) = Cli::try_parse_from(words(example)) {
                    panic!("the example of `{name}` does not parse: {example}\n{error}");
                }
            }
        }
    }

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn errors_end_with_the_documented_code() {
        use mesh30k_node::api::types::Problem;
        use mesh30k_testnet::client::ClientError;
        use mesh30k_testnet::events::EventsError;
        use mesh30k_testnet::operations::OperationError;
        use mesh30k_testnet::wallet::WalletError;
        use mesh30k_testnet::work::WorkError;
        let problem = || Problem { kind: "refused".into(), title: "Refused".into(), status: 422, detail: "no".into() };
        let refused = || ClientError::Refused(problem());
        let unreachable = || ClientError::Unreachable { url: "http://127.0.0.1:1".into(), reason: "refused".into() };
        let code = |error: anyhow::Error| ExitCode::of(&error);
        assert_eq!(code(refused().into()), ExitCode::Refused);
        assert_eq!(code(unreachable().into()), ExitCode::Unreachable);
        assert_eq!(code(WalletError::from(unreachable()).into()), ExitCode::Unreachable);
        assert_eq!(code(EventsError::from(refused()).into()), ExitCode::Refused);
        assert_eq!(code(OperationError::from(EventsError::from(refused())).into()), ExitCode::Refused);
        assert_eq!(code(OperationError::from(unreachable()).into()), ExitCode::Unreachable);
        assert_eq!(code(WorkError::from(WalletError::from(unreachable())).into()), ExitCode::Unreachable);
        assert_eq!(code(WorkError::Part { part: 1, source: refused() }.into()), ExitCode::Refused);
        assert_eq!(code(exit::UsageError("x".into()).into()), ExitCode::Usage);
        assert_eq!(code(anyhow::anyhow!("other")), ExitCode::Failed);
    }
}
