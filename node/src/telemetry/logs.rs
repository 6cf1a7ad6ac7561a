//! Logs by `tracing`, to standard error: for people on a terminal, one JSON object a line otherwise.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{LogFormat, LogSettings};

/// Crates that say far more at `info` than an operator wants; they begin at the level given here.
const QUIET: [(&str, &str); 8] = [
    ("openraft", "warn"),
    ("libp2p", "warn"),
    ("libp2p_swarm", "warn"),
    ("libp2p_gossipsub", "error"),
    ("libp2p_kad", "warn"),
    ("yamux", "warn"),
    ("multistream_select", "warn"),
    ("hyper", "warn"),
];

/// Logging that can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter does not parse.
    #[error("log filter {filter:?} is not understood: {reason}")]
    Filter {
        /// The filter.
        filter: String,
        /// Why not.
        reason: String,
    },
    /// It was set up before.
    #[error("logging was already set up in this process")]
    Again,
}

/// Sets logging up for the process; once. `override_filter` (the value of `RUST_LOG`) replaces level and quiet list.
///
/// # Errors
/// [`LogError`].
pub fn init(settings: &LogSettings, override_filter: Option<&str>) -> Result<(), LogError> {
    let text = override_filter.map_or_else(|| filter(&settings.level), str::to_owned);
    let filter = EnvFilter::builder()
        .parse(&text)
        .map_err(|error| LogError::Filter { filter: text, reason: error.to_string() })?;
    let terminal = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(terminal);
    let started = if is_json(settings.format, terminal) {
        builder.json().flatten_event(true).finish().try_init()
    } else {
        builder.with_target(false).finish().try_init()
    };
    started.map_err(|_| LogError::Again)
}

fn is_json(format: LogFormat, terminal: bool) -> bool {
    match format {
        LogFormat::Json => true,
        LogFormat::Human => false,
        LogFormat::Auto => !terminal,
    }
}

/// The level for everything, and less of the noisy crates unless somebody asks for debug or trace.
fn filter(level: &str) -> String {
    let mut filter = level.to_owned();
    if matches!(level, "info" | "warn") {
        for (name, least) in QUIET {
            filter.push_str(&format!(",{name}={least}"));
        }
    }
    filter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_gives_a_filter_that_parses_and_raft_is_quiet_at_info() {
        for level in ["error", "warn", "info", "debug", "trace"] {
            assert!(EnvFilter::builder().parse(filter(level)).is_ok(), "{level}");
        }
        assert!(filter("info").contains("openraft=warn"));
        assert!(!filter("error").contains("openraft"), "error must not be raised to warn");
        assert!(!filter("debug").contains("openraft"));
    }

    #[test]
    fn json_unless_somebody_is_looking() {
        assert!(is_json(LogFormat::Auto, false) && !is_json(LogFormat::Auto, true));
        assert!(is_json(LogFormat::Json, true) && !is_json(LogFormat::Human, false));
    }

    #[test]
    fn a_filter_that_does_not_parse_is_refused() {
        let settings = LogSettings { level: "info".to_owned(), format: LogFormat::Human };
        assert!(matches!(init(&settings, Some("a=b=c")), Err(LogError::Filter { .. })));
    }
}
