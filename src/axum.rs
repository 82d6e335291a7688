//! What handlers of axum take and return: feature `axum`.
//!
//! [`Owned`] is an extractor, and [`SessionAbsent`] is a response:
//!
//! ```
//! use axum::{Router, routing::get};
//! use tower_ownership::{Owned, SessionAbsent};
//!
//! async fn serve(owned: Owned) -> Result<String, SessionAbsent> {
//!     let state = find(&owned).ok_or(SessionAbsent)?; // 410 `session-absent`
//!     Ok(format!("{state} of session {}", owned.id()))
//! }
//! # fn find(_: &Owned) -> Option<String> { None }
//!
//! let routes: Router = Router::new().route("/session/{id}", get(serve)); // and the layer around it
//! ```
//!
//! # Without a session
//! A request that names no session passes the layer, and a handler that takes [`Owned`] cannot
//! serve it. The extractor rejects it with [`OwnedRejection`], and the layer writes the answer:
//!
//! | cause | answer |
//! | --- | --- |
//! | the layer found no session in the request | 404 `session-missing`, as with [`requires_session`](crate::OwnershipLayerBuilder::requires_session); its detail says where the layer looked |
//! | the layer was built with [`insert_owned(false)`](crate::OwnershipLayerBuilder::insert_owned) | 500, a mistake in the wiring, in plain text |
//! | a middleware between the layer and the handler removed [`Owned`] from the request's extensions | the same |
//! | there is no layer around the route | the same, written by the extractor |
//!
//! The layer recognizes the rejection by the response's extensions, so they have to reach it. A
//! handler that takes `Option<Owned>` gets `None` in each of these cases, also without a layer.
//!
//! # What it costs
//! With this feature, a request without a session takes a reference to the layer while it is served.
//! Nothing is added to the request's extensions for it, and nothing is allocated.

use std::convert::Infallible;

use axum_core::{
    body::Body,
    extract::{FromRequestParts, OptionalFromRequestParts},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header, request::Parts};

use crate::{Owned, RenderContext, SessionAbsent, ownership::Registrar};

/// The handler takes [`Owned`], and the request's extensions hold none.
///
/// Its response is the one for a route without a layer: 500, in plain text. A layer around the route
/// replaces it with the [true reason](self).
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error(
    "the request's extensions hold no `Owned`: the layer found no session in the request, does not \
     insert it, or is not around this route"
)]
pub struct OwnedRejection {
    context: RenderContext,
}

impl OwnedRejection {
    fn new(head: &Parts) -> Self {
        Self {
            context: RenderContext::of(&head.into()),
        }
    }

    /// Who reads the answer.
    pub(crate) fn context(self) -> RenderContext {
        self.context
    }
}

impl IntoResponse for OwnedRejection {
    fn into_response(self) -> Response {
        let mut response = Mistake::NoLayer.response().map(Body::from);
        response.extensions_mut().insert(self);
        response
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Owned {
    type Rejection = OwnedRejection;

    async fn from_request_parts(head: &mut Parts, _: &S) -> Result<Self, OwnedRejection> {
        let owned = head.extensions.get::<Self>().cloned();
        owned.ok_or_else(|| OwnedRejection::new(head))
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Owned {
    type Rejection = Infallible;

    async fn from_request_parts(head: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(head.extensions.get::<Self>().cloned())
    }
}

/// The handler takes [`Registrar`], and the request's extensions hold none: 500, in plain text.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error(
    "the request's extensions hold no `Registrar`: build the `OwnershipLayer` around this route with \
     `directory(…)` and `insert_registrar()`"
)]
#[non_exhaustive]
pub struct RegistrarRejection;

impl IntoResponse for RegistrarRejection {
    fn into_response(self) -> Response {
        let text = "The handler takes `Registrar`, and there is no `OwnershipLayer` around its route that \
                    was built with `insert_registrar()`.\n";
        plain(StatusCode::INTERNAL_SERVER_ERROR, text).map(Body::from)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Registrar {
    type Rejection = RegistrarRejection;

    async fn from_request_parts(head: &mut Parts, _: &S) -> Result<Self, RegistrarRejection> {
        let registrar = head.extensions.get::<Self>().cloned();
        registrar.ok_or(RegistrarRejection)
    }
}

/// The layer answers 410 `session-absent` in its place; 404 without a layer, or for a request that
/// names no session.
impl IntoResponse for SessionAbsent {
    fn into_response(self) -> Response {
        let text = "This machine does not hold the session.\n";
        let mut response = plain(StatusCode::NOT_FOUND, text).map(Body::from);
        response.extensions_mut().insert(self);
        response
    }
}

/// Why `Owned` cannot reach a handler, whatever the request is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mistake {
    NoLayer,
    NotInserted,
    Removed,
}

impl Mistake {
    pub(crate) fn response(self) -> http::Response<Bytes> {
        let text = match self {
            Self::NoLayer => {
                "The handler takes `Owned`, and there is no `OwnershipLayer` around its route.\n"
            }
            Self::NotInserted => {
                "The handler takes `Owned`, and the `OwnershipLayer` around its route does not \
                 insert it: it was built with `insert_owned(false)`.\n"
            }
            Self::Removed => {
                "The handler takes `Owned`, and a middleware between the `OwnershipLayer` and the \
                 handler removed it from the request's extensions.\n"
            }
        };
        plain(StatusCode::INTERNAL_SERVER_ERROR, text)
    }
}

fn plain(status: StatusCode, text: &'static str) -> http::Response<Bytes> {
    let mut response = http::Response::new(Bytes::from_static(text.as_bytes()));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}
