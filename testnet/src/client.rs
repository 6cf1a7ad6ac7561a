//! A client of a node's local HTTP API; the CLI and the testnet driver share it.

use std::time::Duration;

use mesh30k_node::api::types::Problem;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longest wait for an answer that the caller did not bound itself.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest answer accepted: a page of agents or a task's output.
const BODY_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A request to a node that brought no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there, or the connection broke.
    #[error("no node answers at {url} ({reason}); start one with `mesh30k testnet up`, or name another with --api")]
    Unreachable {
        /// Base address of the node.
        url: String,
        /// What the transport said.
        reason: String,
    },
    /// The node understood and refused.
    #[error("{}", .0.detail)]
    Refused(Problem),
    /// The answer is not what this version expects.
    #[error("the node at {url} answered {path} with something else than expected: {reason}")]
    Unexpected {
        /// Base address of the node.
        url: String,
        /// What was asked.
        path: String,
        /// How it differs.
        reason: String,
    },
}

type Answer = Result<ureq::http::Response<ureq::Body>, ureq::Error>;

/// A client of one node.
#[derive(Clone, Debug)]
pub struct ApiClient {
    base: String,
    agent: ureq::Agent,
}

impl ApiClient {
    /// A client of the node at `base`, such as `http://127.0.0.1:7400`; nothing is sent yet.
    #[must_use]
    pub fn new(base: &str) -> Self {
        Self::with_timeout(base, REQUEST_TIMEOUT)
    }

    /// As [`Self::new`], with its own bound on each request.
    #[must_use]
    pub fn with_timeout(base: &str, timeout: Duration) -> Self {
        let base = base.trim_end_matches('/');
        let base = if base.contains("://") { base.to_owned() } else { format!("http://{base}") };
        let config = ureq::Agent::config_builder().timeout_global(Some(timeout)).http_status_as_error(false).build();
        Self { base, agent: config.into() }
    }

    /// The address this client asks.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Reads `path`.
    ///
    /// # Errors
    /// [`ClientError`], with the node's own sentence where it refused.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let answer = self.agent.get(format!("{}{path}", self.base)).call();
        self.read(path, answer)
    }

    /// Posts `body` to `path`.
    ///
    /// # Errors
    /// [`ClientError`], with the node's own sentence where it refused.
    pub fn post<B: Serialize, T: DeserializeOwned>(&self, path: &str, body: &B) -> Result<T, ClientError> {
        let answer = self.agent.post(format!("{}{path}", self.base)).send_json(body);
        self.read(path, answer)
    }

    /// Reads the text at `path`, such as `/metrics`.
    ///
    /// # Errors
    /// [`ClientError`], with the node's own sentence where it refused.
    pub fn text(&self, path: &str) -> Result<String, ClientError> {
        let bytes = self.bytes(path, self.agent.get(format!("{}{path}", self.base)).call())?;
        String::from_utf8(bytes).map_err(|error| self.unexpected(path, &error.to_string()))
    }

    fn read<T: DeserializeOwned>(&self, path: &str, answer: Answer) -> Result<T, ClientError> {
        let bytes = self.bytes(path, answer)?;
        serde_json::from_slice(&bytes).map_err(|error| self.unexpected(path, &error.to_string()))
    }

    /// The body of a success.
    fn bytes(&self, path: &str, answer: Answer) -> Result<Vec<u8>, ClientError> {
        let mut answer =
            answer.map_err(|error| ClientError::Unreachable { url: self.base.clone(), reason: error.to_string() })?;
        let status = answer.status();
        let bytes = answer
            .body_mut()
            .with_config()
            .limit(BODY_BYTES_MAX)
            .read_to_vec()
            .map_err(|error| ClientError::Unreachable { url: self.base.clone(), reason: error.to_string() })?;
        if status.is_success() {
            return Ok(bytes);
        }
        match serde_json::from_slice::<Problem>(&bytes) {
            Ok(problem) => Err(ClientError::Refused(problem)),
            Err(_) => Err(self.unexpected(path, &format!("HTTP status {status}"))),
        }
    }

    fn unexpected(&self, path: &str, reason: &str) -> ClientError {
        ClientError::Unexpected { url: self.base.clone(), path: path.to_owned(), reason: reason.to_owned() }
    }
}
