//! What would become of a request, for operators.

use axum::{
    Json, Router,
    extract::{Query, State},
    http::{HeaderMap, Request, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::layer::Layer;

#[derive(Clone)]
struct Debug {
    token: String,
    layer: Layer,
}

#[derive(Deserialize)]
struct Asked {
    /// Of the request to be explained.
    path: String,
}

pub fn router(token: String, layer: Layer) -> Router {
    Router::new()
        .route("/debug/explain", get(explain))
        .with_state(Debug { token, layer })
}

async fn explain(
    State(debug): State<Debug>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    let told = headers.get(header::AUTHORIZATION);
    let told = told.and_then(|told| told.to_str().ok()?.strip_prefix("Bearer "));
    // Digests, so that the time it takes tells nothing of the token.
    let digest = |token: &str| Sha256::digest(token.as_bytes());
    if told.is_none_or(|told| digest(told) != digest(&debug.token)) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let Ok(request) = Request::get(asked.path).body(()) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let (head, ()) = request.into_parts();
    Json(debug.layer.explain(&head).await).into_response()
}
