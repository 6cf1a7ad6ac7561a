//! What the API answers before the node can: that it starts, and what it is doing.

use std::io;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio_util::sync::CancellationToken;

use super::problem::PROBLEM_JSON;
use super::server::guarded;
use super::status;
use super::types::{Problem, STARTING, StartingAnswer};
use crate::clock;

/// What a starting node is doing. Clones are the same.
#[derive(Clone)]
pub struct Starting(Arc<Inner>);

struct Inner {
    since_us: u64,
    doing: Mutex<String>,
    over: CancellationToken,
}

impl Starting {
    /// Answers at `listener` from now on, until [`Self::is_over`] is called. The listener stays the caller's.
    ///
    /// # Errors
    /// When the listener can't be used.
    pub fn serve(listener: &TcpListener, doing: &str) -> io::Result<Self> {
        let port = listener.local_addr()?.port();
        let listener = tokio::net::TcpListener::from_std(listener.try_clone()?)?;
        let (over, doing) = (CancellationToken::new(), Mutex::new(doing.to_owned()));
        let starting = Self(Arc::new(Inner { since_us: clock::monotonic_us(), doing, over: over.clone() }));
        let routes = Router::new().route("/healthz", get(status::health)).fallback(answer);
        let app = guarded(routes.with_state(starting.clone()), port);
        tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).with_graceful_shutdown(over.cancelled_owned()).await {
                tracing::warn!(%error, "while it starts, this node can't say so");
            }
        });
        Ok(starting)
    }

    /// Says what the node is doing now.
    pub fn doing(&self, doing: &str) {
        tracing::info!("starting: {doing}");
        doing.clone_into(&mut self.0.doing.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The node can answer for itself.
    pub fn is_over(&self) {
        self.0.over.cancel();
    }

    fn shown(&self) -> StartingAnswer {
        let doing = self.0.doing.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let for_ms = clock::monotonic_us().saturating_sub(self.0.since_us) / 1_000;
        let detail =
            format!("the node is starting, for {}.{} s now: {doing}; ask again", for_ms / 1_000, for_ms % 1_000 / 100);
        let status = StatusCode::SERVICE_UNAVAILABLE.as_u16();
        let problem = Problem { kind: STARTING.to_owned(), title: "Not yet".to_owned(), status, detail };
        StartingAnswer { problem, state: STARTING.to_owned(), doing, for_ms }
    }
}

async fn answer(State(starting): State<Starting>) -> Response {
    let body = serde_json::to_vec(&starting.shown()).unwrap_or_default();
    let mut response = (StatusCode::SERVICE_UNAVAILABLE, body).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    response
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpStream};
    use std::time::Duration;

    use super::*;

    fn ask(address: SocketAddr, path: &str) -> (String, String) {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_ascii_lowercase(), body.to_owned())
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_starting_node_says_so_and_what_it_does_and_leaves_the_listener() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let starting = Starting::serve(&listener, "opening the database").unwrap();
        assert_eq!(ask(address, "/healthz").1, "ok\n");
        for path in ["/readyz", "/v1/status", "/nowhere"] {
            let (head, body) = ask(address, path);
            assert!(head.starts_with("http/1.1 503") && head.contains("application/problem+json"), "{head}");
            let answer: StartingAnswer = serde_json::from_str(&body).unwrap();
            assert_eq!((answer.state.as_str(), answer.doing.as_str()), (STARTING, "opening the database"));
            let problem: Problem = serde_json::from_str(&body).unwrap();
            assert_eq!((problem.kind.as_str(), problem.status), (STARTING, 503));
            assert!(problem.detail.contains("opening the database"), "{}", problem.detail);
        }
        starting.doing("reading the ledger");
        assert!(ask(address, "/v1/status").1.contains("reading the ledger"));
        starting.is_over();
        let routes = Router::new().route("/v1/status", get(async || "here"));
        let app = guarded(routes, address.port());
        let next = tokio::net::TcpListener::from_std(listener).unwrap();
        tokio::spawn(async move { axum::serve(next, app).await });
        // A connection may still have gone to the one that ends.
        while ask(address, "/v1/status").1 != "here" {
            tokio::task::yield_now().await;
        }
    }
}
