//! What runs on every machine: an application that says who served, and remembers it.

use std::sync::{Arc, Mutex};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{
        DefaultBodyLimit, OriginalUri, Path, Request, State,
        ws::{Message, WebSocketUpgrade},
    },
    response::{
        Html, IntoResponse, Response,
        sse::{Event, Sse},
    },
    routing::{any, get, post},
};
use futures_util::StreamExt;
use http::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tower_ownership::SessionId;
use uuid::Uuid;

/// One per machine; clones share everything.
#[derive(Clone)]
pub struct Application {
    pub machine: &'static str,
    served: Arc<Mutex<Vec<SessionId>>>,
    /// What is sent here comes out of the event stream of this machine.
    pub events: UnboundedSender<String>,
    stream: Arc<Mutex<Option<UnboundedReceiver<String>>>>,
}

impl Application {
    pub fn on(machine: &'static str) -> Self {
        let (events, stream) = unbounded_channel();
        Self {
            machine,
            served: Arc::default(),
            events,
            stream: Arc::new(Mutex::new(Some(stream))),
        }
    }

    /// How often this application worked for the session, whatever it answered.
    pub fn served(&self, session: &SessionId) -> usize {
        let served = self.served.lock().unwrap();
        served.iter().filter(|one| **one == session.clone()).count()
    }

    fn note(&self, session: Uuid) {
        self.served.lock().unwrap().push(session.into());
    }

    /// The routes, without any layer.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/healthz", get(async || "healthy"))
            .route("/session/{id}", any(page))
            .route("/session/{id}/events", get(events))
            .route("/session/{id}/upload", post(upload))
            .route("/session/{id}/ws", any(echo))
            .route("/session/{id}/{*rest}", any(page))
            .fallback(lenient)
            .layer(DefaultBodyLimit::disable())
            .with_state(self.clone())
    }

    fn answer(&self, session: Uuid, path: &str) -> Value {
        self.note(session);
        json!({ "machine": self.machine, "session": session.to_string(), "path": path })
    }
}

async fn page(
    State(application): State<Application>,
    Path(parameters): Path<Vec<(String, String)>>,
    OriginalUri(uri): OriginalUri,
    request: Request,
) -> Response {
    let Ok(session) = Uuid::parse_str(&parameters[0].1) else {
        return lenient(State(application), request).await;
    };
    let answer = application.answer(session, uri.path());
    let accepts = request.headers().get("accept");
    if accepts.is_some_and(|accept| accept.as_bytes().starts_with(b"text/html")) {
        let machine = application.machine;
        Html(format!(
            "<!doctype html><title>The app</title><h1>The app runs on {machine}</h1>"
        ))
        .into_response()
    } else {
        Json(answer).into_response()
    }
}

/// An application that reads paths as generously as any server does: it decodes them, merges
/// slashes, and resolves dots.
async fn lenient(State(application): State<Application>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let decoded = percent_encoding::percent_decode_str(&path).decode_utf8_lossy();
    let mut segments = Vec::new();
    for segment in decoded.split(['/', '\\']) {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            other => segments.push(other),
        }
    }
    let session = match segments.as_slice() {
        ["session", id, ..] => Uuid::parse_str(id).ok(),
        _ => None,
    };
    match session {
        Some(session) => Json(application.answer(session, &path)).into_response(),
        None => (StatusCode::NOT_FOUND, "the application knows no such page").into_response(),
    }
}

async fn upload(
    State(application): State<Application>,
    Path(session): Path<String>,
    body: Body,
) -> Json<Value> {
    application.note(Uuid::parse_str(&session).unwrap());
    let (mut hash, mut bytes) = (Sha256::new(), 0);
    let mut frames = body.into_data_stream();
    while let Some(frame) = frames.next().await {
        let frame = frame.unwrap();
        hash.update(&frame);
        bytes += frame.len();
    }
    Json(json!({ "machine": application.machine, "bytes": bytes, "sha256": hex(&hash.finalize()) }))
}

async fn events(State(application): State<Application>, Path(session): Path<String>) -> Response {
    application.note(Uuid::parse_str(&session).unwrap());
    let stream = application.stream.lock().unwrap().take();
    let stream = UnboundedReceiverStream::new(stream.expect("one stream per machine"));
    let events = stream.map(|text| Ok::<_, std::convert::Infallible>(Event::default().data(text)));
    Sse::new(events).into_response()
}

async fn echo(
    State(application): State<Application>,
    Path(session): Path<String>,
    upgrade: WebSocketUpgrade,
) -> Response {
    application.note(Uuid::parse_str(&session).unwrap());
    upgrade.on_upgrade(async move |mut socket| {
        while let Some(Ok(message)) = socket.recv().await {
            let answer = match message {
                Message::Text(text) => {
                    Message::Text(format!("{}: {text}", application.machine).into())
                }
                Message::Binary(bytes) => Message::Binary(bytes),
                _ => continue,
            };
            if socket.send(answer).await.is_err() {
                return;
            }
        }
    })
}

pub fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

pub fn sha256(bytes: &Bytes) -> String {
    hex(&Sha256::digest(bytes))
}
