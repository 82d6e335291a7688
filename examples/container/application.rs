//! The application: what a session does, on the machine that owns it.

use std::{convert::Infallible, future::ready, time::Duration};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{
        Extension, Request, State, WebSocketUpgrade,
        ws::{CloseFrame, Message},
    },
    http::{HeaderValue, StatusCode, Uri, header},
    middleware::map_response,
    response::{IntoResponse, Response, Sse, sse::Event},
    routing::{any, get, post},
};
use futures_util::{StreamExt, stream};
use nix::time::{ClockId, clock_gettime};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tower_ownership::{MachineId, Owned, ownership::LossReason};
use uuid::Uuid;

use crate::state::States;

#[derive(Clone)]
pub struct Application {
    pub machine: MachineId,
    /// Another one for every process that is this machine.
    pub process: Uuid,
    pub states: Option<States>,
    /// Whether answers name the machine.
    pub is_shown: bool,
}

impl Application {
    pub fn router(self) -> Router {
        let router = Router::new()
            .route(
                "/session/{id}",
                get(anything).post(anything).put(anything).patch(anything),
            )
            .route("/session/{id}/{*rest}", any(anything))
            .route("/session/{id}/upload", post(upload).get(anything))
            .route("/session/{id}/write", post(write))
            .route("/session/{id}/ws", get(echo))
            .route("/session/{id}/events", get(events))
            .route("/session/{id}/download", get(download))
            // Where the path does not name the session.
            .fallback(anywhere);
        self.names(router).with_state(self)
    }

    /// The same for requests that name the session in a header.
    pub fn router_by_header(self) -> Router {
        let router = Router::new()
            .route("/by-header/{*rest}", any(anything))
            .route("/by-header/write", post(write));
        self.names(router).with_state(self)
    }

    /// Has each answer name the machine, as its refusals do: one that is carried comes from another
    /// machine than the client has reached.
    fn names(&self, router: Router<Self>) -> Router<Self> {
        let name = HeaderValue::from_str(self.machine.as_str());
        let Some(name) = name.ok().filter(|_| self.is_shown) else {
            return router;
        };
        router.layer(map_response(move |mut response: Response| {
            let headers = response.headers_mut();
            headers.insert("ownership-machine", name.clone());
            ready(response)
        }))
    }

    /// Who serves, and by what right.
    fn tells(&self, owned: &Owned) -> Map<String, Value> {
        let told = json!({
            "machine": self.machine.as_str(),
            "process": self.process,
            "session": owned.id().to_string(),
            "epoch": owned.epoch(),
            "at": monotonic(),
            "provedFor": milliseconds(owned.proved_for()),
        });
        match told {
            Value::Object(told) => told,
            _ => Map::new(),
        }
    }
}

async fn anything(
    State(application): State<Application>,
    Extension(owned): Extension<Owned>,
    uri: Uri,
) -> Json<Value> {
    let mut told = application.tells(&owned);
    told.insert("path".to_owned(), uri.path().into());
    Json(told.into())
}

async fn anywhere(
    application: State<Application>,
    owned: Option<Extension<Owned>>,
    uri: Uri,
) -> Response {
    match owned {
        Some(owned) => anything(application, owned, uri).await.into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn upload(
    State(application): State<Application>,
    Extension(owned): Extension<Owned>,
    request: Request,
) -> Result<Json<Value>, Response> {
    let mut told = application.tells(&owned);
    let (mut bytes, mut hash) = (0, Sha256::new());
    let mut body = request.into_body().into_data_stream();
    while let Some(chunk) = body.next().await {
        let chunk =
            chunk.map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()).into_response())?;
        bytes += chunk.len();
        hash.update(&chunk);
    }
    let sha256 = hash
        .finalize()
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    told.insert("bytes".to_owned(), bytes.into());
    told.insert("sha256".to_owned(), sha256.into());
    Ok(Json(told.into()))
}

/// Saves something of the session where a later owner would find it.
async fn write(
    State(application): State<Application>,
    Extension(owned): Extension<Owned>,
) -> Response {
    let mut told = application.tells(&owned);
    let Some(states) = &application.states else {
        return StatusCode::NOT_IMPLEMENTED.into_response();
    };
    match states.save(&owned, application.machine.as_str()).await {
        Ok(written) => {
            told.insert("written".to_owned(), written.into());
            Json(Value::from(told)).into_response()
        }
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
    }
}

async fn echo(Extension(owned): Extension<Owned>, upgrade: WebSocketUpgrade) -> Response<Body> {
    upgrade.on_upgrade(async move |mut socket| {
        let mut ended = owned.lost();
        loop {
            tokio::select! {
                message = socket.recv() => match message {
                    Some(Ok(message)) => {
                        let text = matches!(message, Message::Text(_));
                        if text && socket.send(message).await.is_err() {
                            break;
                        }
                    }
                    _ => break,
                },
                loss = &mut ended => {
                    let goodbye = CloseFrame {
                        code: LossReason::CLOSE_CODE,
                        reason: loss.as_str().into(),
                    };
                    // A client that has gone needs no goodbye.
                    let _ = socket.send(Message::Close(Some(goodbye))).await;
                    break;
                }
            }
        }
    })
}

/// Five events, or as many as come before the session is lost: `?count=` asks for more.
async fn events(
    State(application): State<Application>,
    Extension(owned): Extension<Owned>,
    uri: Uri,
) -> Response {
    let asked = uri.query().and_then(|query| query.strip_prefix("count="));
    let count = asked.and_then(|count| count.parse().ok()).unwrap_or(5);
    let (machine, session) = (application.machine.to_string(), owned.id().to_string());
    let events = stream::iter(1..=count).then(move |number: u32| {
        let data = json!({ "machine": machine, "session": session, "number": number });
        async move {
            if number > 1 {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Event::default().json_data(data)
        }
    });
    let response = Sse::new(events).into_response();
    response.map(|body| Body::new(owned.until_lost(body).event_stream()))
}

/// As many bytes as `?bytes=` asks for, or as the client reads, unless the session is lost before.
async fn download(Extension(owned): Extension<Owned>, uri: Uri) -> Response {
    const CHUNK: Bytes = Bytes::from_static(&[b'.'; 16 * 1024]);
    let asked = uri.query().and_then(|query| query.strip_prefix("bytes="));
    let bytes: Option<u64> = asked.and_then(|bytes| bytes.parse().ok());
    let chunks = stream::unfold(bytes.unwrap_or(u64::MAX), async |left| {
        let length = usize::try_from(left).map_or(CHUNK.len(), |left| left.min(CHUNK.len()));
        (length > 0).then(|| {
            let chunk = Ok::<_, Infallible>(CHUNK.slice(..length));
            (chunk, left - length as u64)
        })
    });
    let body = Body::from_stream(chunks);
    let mut response = Response::new(Body::new(owned.until_lost(body)));
    if let Some(bytes) = bytes {
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_LENGTH, bytes.into());
    }
    response
}

/// Nanoseconds on a clock that all processes of this host share, so that they can be compared.
fn monotonic() -> Option<i128> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).ok()?;
    Some(i128::from(now.tv_sec()) * 1_000_000_000 + i128::from(now.tv_nsec()))
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
