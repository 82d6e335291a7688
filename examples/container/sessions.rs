//! Where the id of a session stands in requests, and how sessions begin and end here.

use std::{error::Error, str::FromStr, sync::Arc};

use axum::{
    Json, Router,
    extract::{Extension, Path, Query, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{delete, post},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::json;
use tower_ownership::{
    Cookie, ExtractSession, Header, MachineId, Owned, PathSegment, SessionId, extract,
    ownership::{RegisterError, Registrar},
    session::SessionIds,
};
use uuid::Uuid;

/// `path:/session`, `header:<name>`, `cookie:<name>` or `query:<name>`.
#[derive(Clone)]
pub enum Place {
    Path(String),
    Header(String),
    Cookie(String),
    Query(String),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, name) = text.split_once(':').unwrap_or((text, ""));
        let name = name.to_owned();
        match kind {
            "path" => Ok(Self::Path(name)),
            "header" => Ok(Self::Header(name)),
            "cookie" => Ok(Self::Cookie(name)),
            "query" => Ok(Self::Query(name)),
            _ => Err("not one of path:, header:, cookie: and query:".to_owned()),
        }
    }
}

impl Place {
    pub fn extractor(&self) -> Result<Arc<dyn ExtractSession>, Box<dyn Error>> {
        Ok(match self {
            Self::Path(prefix) => Arc::new(PathSegment::after(prefix)?),
            Self::Header(name) => Arc::new(Header::named(name)?),
            Self::Cookie(name) => Arc::new(Cookie::named(name)?),
            Self::Query(name) => Arc::new(extract::Query::named(name)?),
        })
    }

    /// The response field that carries the id beside the body, unless the path names it.
    fn tell(&self, id: &str, headers: &mut HeaderMap) {
        let (name, value) = match self {
            Self::Path(_) | Self::Query(_) => return,
            Self::Header(name) => (HeaderName::try_from(name), id.to_owned()),
            Self::Cookie(name) => (
                Ok(header::SET_COOKIE),
                format!("{name}={}; Path=/; HttpOnly", encoded(id)),
            ),
        };
        if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
}

/// Which ids sessions have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ids {
    Uuid,
    Text,
}

impl FromStr for Ids {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "uuid" => Ok(Self::Uuid),
            "text" => Ok(Self::Text),
            _ => Err("not one of uuid and text"),
        }
    }
}

impl Ids {
    pub fn session_ids(self) -> SessionIds {
        match self {
            Self::Uuid => SessionIds::uuid(),
            Self::Text => SessionIds::text(),
        }
    }
}

#[derive(Clone)]
pub struct Sessions {
    pub machine: MachineId,
    pub place: Place,
    /// `None`: this container only reads who the owner is.
    pub registrar: Option<Registrar>,
}

impl Sessions {
    /// Inside of the layer.
    pub fn router(self) -> Router {
        Router::new()
            .route("/session", post(create))
            .route("/session/{id}", delete(end))
            .with_state(self)
    }
}

#[derive(Deserialize)]
struct Asked {
    /// The name that the client wants.
    id: Option<String>,
}

async fn create(State(sessions): State<Sessions>, Query(asked): Query<Asked>) -> Response {
    let Some(registrar) = &sessions.registrar else {
        return StatusCode::NOT_IMPLEMENTED.into_response();
    };
    let id = asked.id.unwrap_or_else(|| Uuid::new_v4().to_string());
    let registered = match SessionId::parse(&id) {
        Ok(id) => registrar.register(id).await,
        Err(_) => Err(RegisterError::NotAnId),
    };
    let status = match &registered {
        Ok(_) | Err(RegisterError::Pending { .. }) => StatusCode::CREATED,
        Err(RegisterError::Taken(_)) => StatusCode::CONFLICT,
        Err(RegisterError::NotAnId) => StatusCode::BAD_REQUEST,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    if let Err(error) = &registered
        && status != StatusCode::CREATED
    {
        return (status, Json(json!({ "error": error.to_string() }))).into_response();
    }
    let id = registered.map_or(id, |owned| owned.id().to_string());
    let body = Json(json!({ "session": id, "machine": sessions.machine.as_str() }));
    let location = [(header::LOCATION, format!("/session/{}", encoded(&id)))];
    let mut response = (status, location, body).into_response();
    sessions.place.tell(&id, response.headers_mut());
    response
}

/// Of the session that the request names where the layer looks; the path has to say the same.
async fn end(
    State(sessions): State<Sessions>,
    Path(id): Path<String>,
    owned: Option<Extension<Owned>>,
) -> Response {
    let (Some(registrar), Some(Extension(owned))) = (&sessions.registrar, owned) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let by_path = matches!(sessions.place, Place::Path(_));
    if !by_path && owned.id().to_string() != id {
        return StatusCode::NOT_FOUND.into_response();
    }
    match registrar.end(&owned).await {
        Ok(_) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
    }
}

fn encoded(id: &str) -> String {
    const PLAIN: &percent_encoding::AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    utf8_percent_encode(id, PLAIN).to_string()
}
