//! Reading requests, with problem details where the framework would answer in its own words.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use axum::body::{Bytes, HttpBody as _};
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::problem::ApiError;
use super::server::BODY_BYTES_MAX;

/// The longest a request may wait for something to happen.
const WAIT_MS_MAX: u64 = 60_000;

/// A JSON body. The content type is demanded: a page in a browser can't send it to another origin without being asked.
pub(super) struct Body<T>(pub(super) T);

/// The query of a URL.
pub(super) struct Params<T>(pub(super) T);

/// The one variable segment of a path.
pub(super) struct Segment<T>(pub(super) T);

/// `?wait_ms=`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wait {
    #[serde(default)]
    pub(super) wait_ms: u64,
}

impl Wait {
    /// How long to wait, at most a minute.
    pub(super) fn duration(&self) -> Duration {
        Duration::from_millis(self.wait_ms.min(WAIT_MS_MAX))
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(ApiError::not_json("send the body with content-type: application/json"));
        }
        // A length that is announced needs no reading to be refused.
        if request.body().size_hint().lower() > BODY_BYTES_MAX as u64 {
            return Err(body_too_large());
        }
        let bytes = Bytes::from_request(request, state).await.map_err(unreadable)?;
        match serde_json::from_slice(&bytes) {
            Ok(body) => Ok(Self(body)),
            Err(error) => Err(ApiError::bad_request(format!("the body is not the JSON this path takes: {error}"))),
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

fn body_too_large() -> ApiError {
    ApiError::too_large(format!("a body may have at most {BODY_BYTES_MAX} bytes"))
}

fn unreadable(rejection: BytesRejection) -> ApiError {
    let text = rejection.to_string();
    if rejection.into_response().status() == StatusCode::PAYLOAD_TOO_LARGE {
        return body_too_large();
    }
    ApiError::bad_request(text)
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(params)) => Ok(Self(params)),
            Err(rejection) => Err(ApiError::bad_request(rejection.body_text())),
        }
    }
}

impl<S, T> FromRequestParts<S> for Segment<T>
where
    S: Send + Sync,
    T: FromStr,
    T::Err: Display,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(text): Path<String> =
            Path::from_request_parts(parts, state).await.map_err(|error| ApiError::bad_request(error.body_text()))?;
        match text.parse() {
            Ok(value) => Ok(Self(value)),
            Err(error) => {
                let shown: String = text.chars().take(80).collect();
                Err(ApiError::bad_request(format!("`{shown}` in the path: {error}")))
            }
        }
    }
}

/// Bytes given in hexadecimal in the field `field`.
pub(super) fn unhex(field: &str, text: &str) -> Result<Vec<u8>, ApiError> {
    hex::decode(text).map_err(|error| ApiError::bad_request(format!("`{field}` is not hexadecimal: {error}")))
}
