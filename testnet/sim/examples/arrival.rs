//! Runs the simulation and prints its report as JSON:
//! `cargo run --release -p mesh30k-sim --example arrival -- [seed] [agents] [waves] [scenario] [strategy...]`.

use std::process::ExitCode;

use mesh30k_sim::{SimConfig, SimError, StrategyKind};

fn config() -> Result<SimConfig, SimError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize| arguments.get(index).and_then(|text| text.parse::<u32>().ok());
    let mut config = number(1).map_or_else(SimConfig::default, SimConfig::of_size);
    config.seed = number(0).map_or(config.seed, u64::from);
    config.waves = number(2).unwrap_or(config.waves);
    if let Some(name) = arguments.get(3) {
        config.scenario = name.parse()?;
    }
    let named: Vec<StrategyKind> =
        StrategyKind::ALL.into_iter().filter(|kind| arguments.iter().skip(4).any(|a| a == kind.name())).collect();
    if !named.is_empty() {
        config.strategies = named;
    }
    Ok(config)
}

fn main() -> ExitCode {
    let report = config().and_then(|config| mesh30k_sim::run(&config));
    match report.map_err(|e| e.to_string()).and_then(|r| serde_json::to_string(&r).map_err(|e| e.to_string())) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
