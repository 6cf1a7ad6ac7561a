//! Who may ask: programs on this machine that know whom they ask, a bounded number at a time.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::sync::Semaphore;

use super::problem::ApiError;

/// Requests served at a time, waiting ones included; further ones are told to come again.
const REQUESTS_MAX: usize = 1_024;
const HOSTS: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

/// Looks at every request before anything else does.
#[derive(Clone)]
pub(super) struct Guard {
    hosts: HostCheck,
    places: Arc<Semaphore>,
}

/// The names under which this API may be asked. A page whose name was made to point here (DNS rebinding) asks under its own.
#[derive(Clone, Copy, Debug)]
struct HostCheck {
    port: u16,
}

impl HostCheck {
    fn allows_authority(self, authority: &str) -> bool {
        HOSTS.iter().any(|host| {
            let rest = authority.get(..host.len()).filter(|start| start.eq_ignore_ascii_case(host));
            let port = rest.and_then(|_| authority.get(host.len()..));
            port.is_some_and(|port| match port.strip_prefix(':') {
                Some(digits) => digits.parse() == Ok(self.port),
                None => port.is_empty() && self.port == 80,
            })
        })
    }

    fn check(self, headers: &HeaderMap) -> Result<(), ApiError> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else {
            return Err(ApiError::forbidden("exactly one Host header is needed"));
        };
        if !host.to_str().is_ok_and(|host| self.allows_authority(host)) {
            return Err(ApiError::forbidden(format!(
                "the Host header names {host:?}; ask as 127.0.0.1:{port}, localhost:{port} or [::1]:{port}",
                port = self.port
            )));
        }
        match headers.get(header::ORIGIN) {
            Some(origin) if !self.allows_origin(origin) => {
                Err(ApiError::forbidden("pages of other origins may not ask this API"))
            }
            _ => Ok(()),
        }
    }

    fn allows_origin(self, origin: &HeaderValue) -> bool {
        let authority = origin.to_str().ok().and_then(|origin| origin.strip_prefix("http://"));
        authority.is_some_and(|authority| self.allows_authority(authority))
    }
}

impl Guard {
    pub(super) fn new(port: u16) -> Self {
        Self { hosts: HostCheck { port }, places: Arc::new(Semaphore::new(REQUESTS_MAX)) }
    }
}

pub(super) async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    if let Err(error) = guard.hosts.check(request.headers()) {
        return error.into_response();
    }
    let Ok(_place) = guard.places.try_acquire() else {
        return ApiError::unavailable(format!("{REQUESTS_MAX} requests are being served; try again")).into_response();
    };
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    fn allows(pairs: &[(header::HeaderName, &str)]) -> bool {
        HostCheck { port: 7400 }.check(&headers(pairs)).is_ok()
    }

    #[test]
    fn this_machine_under_its_own_names_may_ask() {
        for host in ["127.0.0.1:7400", "localhost:7400", "LocalHost:7400", "[::1]:7400"] {
            assert!(allows(&[(header::HOST, host)]), "{host}");
        }
        assert!(HostCheck { port: 80 }.allows_authority("localhost"));
    }

    #[test]
    fn rebound_names_other_ports_and_doubled_headers_are_refused() {
        for host in [
            "evil.example:7400",
            "127.0.0.1",
            "127.0.0.1:7401",
            "127.0.0.1:7400.evil.example",
            "localhost.evil:7400",
            "",
        ] {
            assert!(!allows(&[(header::HOST, host)]), "{host}");
        }
        assert!(!allows(&[]));
        assert!(!allows(&[(header::HOST, "127.0.0.1:7400"), (header::HOST, "evil.example")]));
    }

    #[test]
    fn pages_of_other_origins_may_not_ask() {
        let own = (header::HOST, "127.0.0.1:7400");
        assert!(allows(&[own.clone(), (header::ORIGIN, "http://localhost:7400")]));
        for origin in ["http://evil.example", "null", "https://localhost:7400"] {
            assert!(!allows(&[own.clone(), (header::ORIGIN, origin)]), "{origin}");
        }
    }
}
