//! Looks at the source from time to time.

use std::fs::File;
use std::io::Read as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh30k_ledger::types::TimeMs;
use tokio_util::sync::CancellationToken;

use super::book::{Basis, Chosen, GridBook};
use super::error::GridError;
use super::format::{MAX_DOCUMENT_BYTES, Reading, read_document};
use crate::api::types::OwnIntensity;
use crate::clock;
use crate::config::CarbonSettings;

/// How long an address may take to answer in full.
const HTTP_TIMEOUT: Duration = Duration::from_secs(10);

/// The source of this machine. Clones are the same.
#[derive(Clone, Debug)]
pub struct GridHandle(Arc<Mutex<GridBook>>);

impl GridHandle {
    /// What a receipt states where the ledger has `in_force`; a fallback is told.
    #[must_use]
    pub fn choose(&self, now: TimeMs, in_force_mg_per_kwh: u64) -> u64 {
        let Chosen { mg_per_kwh, basis } = self.book().choose(now, in_force_mg_per_kwh);
        match basis {
            Basis::Own => {}
            Basis::OwnRaised => tracing::info!(
                mg_per_kwh,
                "the grid is cleaner than the ledger believes; the receipt states the least it does believe"
            ),
            Basis::Fallback(error) => {
                tracing::warn!(%error, mg_per_kwh, "the carbon source gives nothing; the receipt states the ledger's figure");
            }
        }
        mg_per_kwh
    }

    /// The source's own figure while it counts; never the ledger's.
    ///
    /// # Errors
    /// Why none counts.
    pub fn reading(&self, now: TimeMs) -> Result<Reading, GridError> {
        self.book().reading(now)
    }

    /// The zone that is read.
    #[must_use]
    pub fn zone(&self) -> String {
        self.book().zone().to_owned()
    }

    /// As the API shows it.
    #[must_use]
    pub fn shown(&self, now: TimeMs) -> OwnIntensity {
        self.book().shown(now)
    }

    fn book(&self) -> MutexGuard<'_, GridBook> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts looking, if a source is set.
#[must_use]
pub fn start(settings: &CarbonSettings, region: &str, stop: CancellationToken) -> Option<GridHandle> {
    if settings.source.is_empty() {
        return None;
    }
    let zone = if settings.zone.is_empty() { region.to_owned() } else { settings.zone.clone() };
    let book = GridBook::new(settings.source.clone(), zone.clone(), settings.fresh_s.saturating_mul(1_000));
    let handle = GridHandle(Arc::new(Mutex::new(book)));
    let (followed, source) = (handle.clone(), settings.source.clone());
    let refresh = Duration::from_secs(settings.refresh_s);
    tokio::spawn(async move {
        let mut pace = tokio::time::interval(refresh);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = pace.tick() => {}
            }
            let (source, zone) = (source.clone(), zone.clone());
            let look = move || fetch(&source, &zone, TimeMs(clock::wall_ms()), HTTP_TIMEOUT);
            let Ok(read) = tokio::task::spawn_blocking(look).await else { return };
            let problem = read.as_ref().err().map(ToString::to_string);
            if followed.book().take(read) {
                match problem {
                    Some(error) => {
                        tracing::warn!(%error, "the carbon source failed; its last figure is used while fresh, then the ledger's")
                    }
                    None => tracing::info!("the carbon source works again"),
                }
            }
        }
    });
    Some(handle)
}

/// One look at a file or an `http://` address.
///
/// # Errors
/// Why it gives no figure.
pub fn fetch(source: &str, zone: &str, now: TimeMs, timeout: Duration) -> Result<Reading, GridError> {
    let bytes = if source.starts_with("http://") { from_http(source, timeout)? } else { from_file(source)? };
    read_document(&bytes, zone, now)
}

fn from_file(path: &str) -> Result<Vec<u8>, GridError> {
    let failed = |error: std::io::Error| GridError::File(error.to_string());
    let mut bytes = Vec::new();
    // One byte more than is taken tells what is too long.
    File::open(path).map_err(failed)?.take(MAX_DOCUMENT_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

fn from_http(address: &str, timeout: Duration) -> Result<Vec<u8>, GridError> {
    let failed = |error: ureq::Error| GridError::Http(error.to_string());
    let config = ureq::Agent::config_builder().timeout_global(Some(timeout)).max_redirects(0).build();
    let agent: ureq::Agent = config.into();
    let mut answer = agent.get(address).call().map_err(failed)?;
    answer.body_mut().with_config().limit(MAX_DOCUMENT_BYTES as u64).read_to_vec().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::net::TcpListener;

    const NOW: TimeMs = TimeMs(1_795_896_000_000);
    const GOOD: &str = r#"{"zone":"DE","carbonIntensity":302,"datetime":"2026-11-28T20:00:00Z"}"#;

    /// A server of one answer; it keeps the connection open until the test ends.
    fn serve(answer: String) -> (String, std::thread::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/latest?zone=DE", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = [0_u8; 1_024];
            let _ = stream.read(&mut head);
            let _ = stream.write_all(answer.as_bytes());
            // Ends when the client hangs up.
            while stream.read(&mut head).is_ok_and(|read| read > 0) {}
        });
        (address, thread)
    }

    fn ask(answer: String, timeout_ms: u64) -> Result<Reading, GridError> {
        let (address, thread) = serve(answer);
        let read = fetch(&address, "DE", NOW, Duration::from_millis(timeout_ms));
        thread.join().unwrap();
        read
    }

    fn http(body: &str) -> String {
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
    }

    #[test]
    fn a_file_and_an_address_give_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("latest.json");
        std::fs::write(&path, GOOD).unwrap();
        let from_file = fetch(path.to_str().unwrap(), "DE", NOW, HTTP_TIMEOUT).unwrap();
        assert_eq!(from_file.mg_per_kwh, 302_000);
        assert_eq!(ask(http(GOOD), 20_000), Ok(from_file));
    }

    #[test]
    fn sources_that_fail_say_how() {
        assert!(matches!(fetch("/nowhere/at/all.json", "DE", NOW, HTTP_TIMEOUT), Err(GridError::File(_))));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let nobody = format!("http://127.0.0.1:{port}/");
        assert!(matches!(fetch(&nobody, "DE", NOW, HTTP_TIMEOUT), Err(GridError::Http(_))));
        // Accepts and says nothing; begins and stalls.
        assert!(matches!(ask(String::new(), 200), Err(GridError::Http(_))));
        let half = "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"zone\"".to_owned();
        assert!(matches!(ask(half, 200), Err(GridError::Http(_))));
        let missing = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned();
        assert!(matches!(ask(missing, 20_000), Err(GridError::Http(_))));
        assert!(matches!(ask(http(&" ".repeat(MAX_DOCUMENT_BYTES + 10)), 20_000), Err(GridError::Http(_))));
        assert!(matches!(ask(http("<html>"), 20_000), Err(GridError::Format(_))));
    }
}
