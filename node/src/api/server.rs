//! The routes and the server.

use std::io;
use std::net::TcpListener;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, Uri};
use axum::middleware;
use axum::routing::{get, post};
use tokio_util::sync::CancellationToken;

use super::guard::{Guard, guard};
use super::problem::ApiError;
use super::state::ApiState;
use super::{carbon, events, gov, harness, ledger, market, mesh, proofs, stakes, standing, status, tasks, trade};

/// Largest body of a request: a task's module and input in hexadecimal, with room to spare.
pub(super) const BODY_BYTES_MAX: usize = 4 << 20;

/// Why the API can't be served.
#[derive(Debug, thiserror::Error)]
#[error("the API can't be served at the address it was given")]
pub struct ServeError(#[from] io::Error);

/// Serves the API at `listener` (bound by [`crate::config::bind`], so on a loopback address) until `shutdown`.
///
/// # Errors
/// [`ServeError`] when the listener can't be used.
pub async fn serve(listener: TcpListener, state: ApiState, shutdown: CancellationToken) -> Result<(), ServeError> {
    let port = listener.local_addr()?.port();
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let app = protected(routes().with_state(state), port);
    axum::serve(listener, app).with_graceful_shutdown(shutdown.cancelled_owned()).await?;
    Ok(())
}

fn routes() -> Router<ApiState> {
    Router::new()
        .route("/healthz", get(status::health))
        .route("/readyz", get(status::ready))
        .route("/metrics", get(status::metrics))
        .route("/v1/status", get(status::status))
        .route("/v1/mesh/tree", get(mesh::tree))
        .route("/v1/mesh/agents", get(mesh::agents))
        .route("/v1/mesh/find", get(mesh::find))
        .route("/v1/mesh/statistics", get(mesh::statistics))
        .route("/v1/mesh/history", get(mesh::history))
        .route("/v1/genesis", get(ledger::genesis))
        .route("/v1/transactions", post(ledger::submit))
        .route("/v1/transactions/batch", post(ledger::submit_batch))
        .route("/v1/transactions/{id}", get(ledger::transaction))
        .route("/v1/accounts/{id}", get(ledger::account))
        .route("/v1/accounts/{id}/history", get(ledger::history))
        .route("/v1/accounts/{id}/keys", get(ledger::keys))
        .route("/v1/accounts/{id}/standing", get(standing::standing))
        .route("/v1/receipts/{id}", get(ledger::receipt))
        .route("/v1/proofs/accounts/{id}", get(proofs::account))
        .route("/v1/proofs/keys/{key}", get(proofs::key))
        .route("/v1/blocks/{height}", get(ledger::block))
        .route("/v1/evidence", get(ledger::evidence))
        .route("/v1/proposals", get(gov::proposals))
        .route("/v1/proposals/{id}", get(gov::proposal))
        .route("/v1/parameters", get(gov::parameters))
        .route("/v1/freezes", get(gov::freezes))
        .route("/v1/offices", get(gov::offices))
        .route("/v1/validators", get(gov::validators))
        .route("/v1/stakes", get(stakes::stakes))
        .route("/v1/stakes/{owner}", get(stakes::stake))
        .route("/v1/schedules", get(stakes::schedules))
        .route("/v1/carbon/report", get(carbon::report))
        .route("/v1/carbon/intensity", get(carbon::intensity))
        .route("/v1/carbon/credits", get(carbon::credits))
        .route("/v1/carbon/declarations/{account}", get(carbon::declarations))
        .route("/v1/carbon/emergencies", get(carbon::emergencies))
        .route("/v1/carbon/workers/{node}", get(carbon::worker))
        .route("/v1/carbon/savings", get(carbon::savings))
        .route("/v1/listings", get(market::listings))
        .route("/v1/listings/{id}", get(market::listing))
        .route("/v1/orders/{id}", get(market::order))
        .route("/v1/contents/{id}", get(market::content))
        .route("/v1/auctions", get(trade::auctions))
        .route("/v1/auctions/{id}", get(trade::auction))
        .route("/v1/escrows/{id}", get(trade::escrow))
        .route("/v1/claims", get(trade::claims))
        .route("/v1/contributions", get(standing::contributions))
        .route("/v1/contributions/{evidence}", get(standing::contribution))
        .route("/v1/quotas", get(market::quota_offers))
        .route("/v1/quotas/{account}", get(market::quota))
        .route("/v1/events/plan", post(events::plan))
        .route("/v1/events", post(events::start))
        .route("/v1/events/{id}", get(events::report))
        .route("/v1/events/{id}/gather", get(events::gather))
        .route("/v1/tasks/dispatch", post(tasks::dispatch))
        .route("/v1/tasks/{id}", get(tasks::show))
        .route("/v1/tasks/{id}/receipts", get(tasks::receipts))
        .route("/v1/reserve", get(tasks::reserve))
        .route("/v1/harness/releases", get(harness::releases))
        .route("/v1/harness/pauses", get(harness::pauses))
}

/// What holds for every route: who may ask, how much, and how it is told that a path or method does not exist.
fn protected(routes: Router, port: u16) -> Router {
    guarded(routes.fallback(no_such_path).method_not_allowed_fallback(no_such_method), port)
}

/// Who may ask, and how much.
pub(super) fn guarded(routes: Router, port: u16) -> Router {
    routes.layer(DefaultBodyLimit::max(BODY_BYTES_MAX)).layer(middleware::from_fn_with_state(Guard::new(port), guard))
}

async fn no_such_path(uri: Uri) -> ApiError {
    let path: String = uri.path().chars().take(80).collect();
    ApiError::not_found(format!("there is no `{path}`; the paths begin with /v1/, /healthz, /readyz or /metrics"))
}

async fn no_such_method(method: Method, uri: Uri) -> ApiError {
    let path: String = uri.path().chars().take(80).collect();
    ApiError::method_not_allowed(format!("`{path}` takes no {method}"))
}

#[cfg(test)]
mod tests {
    use super::super::extract::{Body, Params, Segment, Wait};
    use super::super::types::{HexBody, Problem};
    use super::*;
    use mesh30k_ledger::types::Hash;
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpStream};

    /// A server with the real protection and one route of each kind, on its own thread.
    fn serve_small() -> SocketAddr {
        async fn echo(Body(body): Body<HexBody>) -> String {
            body.hex
        }
        async fn wait(Segment(id): Segment<Hash>, Params(wait): Params<Wait>) -> String {
            format!("{} {}", id.short(), wait.duration().as_millis())
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let routes = Router::new().route("/echo", post(echo)).route("/wait/{id}", get(wait));
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                axum::serve(listener, protected(routes, address.port())).await.unwrap();
            });
        });
        address
    }

    fn ask(address: SocketAddr, head: &str, body: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(address).unwrap();
        let host = if head.contains("Host:") { String::new() } else { format!("Host: {address}\r\n") };
        let length = body.len();
        write!(stream, "{head}\r\n{host}Connection: close\r\nContent-Length: {length}\r\n\r\n").unwrap();
        // The server may answer and close before it has read a body it refuses.
        let _ = stream.write_all(body.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).unwrap();
        let (headers, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = headers.split(' ').nth(1).unwrap().parse().unwrap();
        (status, headers.to_ascii_lowercase(), body.to_owned())
    }

    fn problem(address: SocketAddr, head: &str, body: &str) -> Problem {
        let (status, headers, body) = ask(address, head, body);
        assert!(headers.contains("content-type: application/problem+json"), "{headers}");
        assert!(!headers.contains("access-control"), "{headers}");
        let problem: Problem = serde_json::from_str(&body).unwrap();
        assert_eq!(problem.status, status);
        assert!(!problem.detail.is_empty() && !problem.title.is_empty());
        problem
    }

    const JSON: &str = "POST /echo HTTP/1.1\r\nContent-Type: application/json";

    #[test]
    fn what_is_asked_well_is_answered() {
        let address = serve_small();
        assert_eq!(ask(address, JSON, r#"{"hex":"00ff"}"#).2, "00ff");
        let path = format!("GET /wait/{}?wait_ms=90000 HTTP/1.1", Hash([0xab; 32]));
        assert_eq!(ask(address, &path, "").2, "abababab 60000");
    }

    #[test]
    fn every_refusal_is_a_problem_with_a_sentence() {
        let address = serve_small();
        let kind = |head: &str, body: &str| problem(address, head, body).kind;
        assert_eq!(kind("GET /nowhere HTTP/1.1", ""), "not-found");
        assert_eq!(kind("GET /echo HTTP/1.1", ""), "method-not-allowed");
        assert_eq!(kind(JSON, "{"), "bad-request");
        assert_eq!(kind(JSON, r#"{"hex":"00","more":1}"#), "bad-request");
        assert_eq!(kind("POST /echo HTTP/1.1\r\nContent-Type: text/plain", r#"{"hex":"00"}"#), "not-json");
        assert_eq!(kind("GET /wait/xyz HTTP/1.1", ""), "bad-request");
        let path = format!("GET /wait/{}?wait_ms=soon HTTP/1.1", Hash::ZERO);
        assert_eq!(kind(&path, ""), "bad-request");
        assert_eq!(kind("GET /wait/x HTTP/1.1\r\nHost: evil.example", ""), "forbidden");
    }

    #[test]
    fn a_body_above_the_limit_is_refused() {
        let address = serve_small();
        let large = format!(r#"{{"hex":"{}"}}"#, "0".repeat(BODY_BYTES_MAX));
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
        let head = format!("{JSON}\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", large.len());
        stream.write_all(head.as_bytes()).unwrap();
        // Only the head is sent: the refusal must come from the length alone.
        let mut answer = [0_u8; 512];
        let read = stream.read(&mut answer).unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 413"), "{}", String::from_utf8_lossy(&answer[..read]));
    }

    #[test]
    fn the_routes_do_not_contradict_each_other() {
        // Conflicting routes panic when the router is built.
        let _ = routes();
    }
}
