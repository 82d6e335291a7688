//! One container: it holds sessions in its own memory, and knows nothing of the others.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Form, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use tokio::{net::TcpListener, task::JoinHandle};
use tower_ownership::{
    Owned, OwnershipLayer, SessionId,
    ownership::{RegisterError, Registrar},
};

use crate::{OWNER, Result, SESSION, UNASSIGNED, directory::Directory};

#[derive(Clone)]
pub struct Container {
    machine: &'static str,
    holds: Arc<Mutex<HashSet<String>>>,
    directory: Option<Directory>,
}

/// A container that runs until it is killed.
pub struct Running {
    pub addr: SocketAddr,
    server: JoinHandle<std::io::Result<()>>,
}

impl Running {
    /// As the platform would, without a word to the process.
    pub fn kill(self) {
        self.server.abort();
    }
}

impl Container {
    pub fn named(machine: &'static str) -> Self {
        let holds: &[&str] = if machine == OWNER {
            &[SESSION, UNASSIGNED]
        } else {
            &[]
        };
        let holds = holds.iter().map(|&session| session.to_owned());
        Self {
            machine,
            holds: Arc::new(Mutex::new(holds.collect())),
            directory: None,
        }
    }

    /// Lets its index page assign sessions.
    pub fn for_all(mut self, directory: &Directory) -> Self {
        self.directory = Some(directory.clone());
        self
    }

    pub async fn start(self, layer: Option<OwnershipLayer>) -> Result<Running> {
        let router = Router::new()
            .route("/", get(index))
            .route("/assign", post(assign))
            .route("/session/{id}/", get(serve))
            .route("/rooms/{name}", post(open))
            .with_state(self);
        // This is the whole difference between the incident and its healing.
        let router = match layer {
            Some(layer) => router.layer(layer),
            None => router,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let server = tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Running { addr, server })
    }

    fn hold(&self, session: &str) {
        let mut holds = self.holds.lock().unwrap_or_else(PoisonError::into_inner);
        holds.insert(session.to_owned());
    }

    fn holds(&self, session: &str, owned: Option<&Owned>) -> bool {
        let mut holds = self.holds.lock().unwrap_or_else(PoisonError::into_inner);
        // Who takes a session over begins it anew, from whatever it left behind.
        if owned
            .and_then(|owned| owned.epoch())
            .is_some_and(|epoch| epoch > 1)
        {
            holds.insert(session.to_owned());
        }
        holds.contains(session)
    }
}

/// What the containers of the incident answered: right about themselves, misleading about the rest.
async fn serve(
    State(container): State<Container>,
    Path(session): Path<String>,
    owned: Option<axum::Extension<Owned>>,
    headers: HeaderMap,
) -> Response {
    let machine = container.machine;
    let owned = owned.as_deref();
    if !container.holds(&session, owned) {
        let misleading = "Session not found: does not exist or is not active";
        return (StatusCode::NOT_FOUND, misleading).into_response();
    }
    let browser = headers
        .get(header::ACCEPT)
        .is_some_and(|accept| accept.as_bytes().starts_with(b"text/html"));
    let came = headers
        .get("fly-replay-src")
        .and_then(|source| source.to_str().ok());
    let how = came.map_or("straight from the edge".to_owned(), |source| {
        format!("by a replay: {source}")
    });
    if browser {
        let page = include_str!("pages/session.html");
        Html(
            page.replace("{machine}", machine)
                .replace("{session}", &session)
                .replace("{how}", &how),
        )
        .into_response()
    } else {
        let epoch = owned.and_then(|owned| owned.epoch());
        let epoch = epoch.map_or(String::new(), |epoch| format!(", at epoch {epoch}"));
        format!("Session {session}, served by its owner, {machine}{epoch}.").into_response()
    }
}

/// Opens a room here: it is in this machine's memory, and the directory knows before the client does.
async fn open(
    State(container): State<Container>,
    Path(name): Path<String>,
    registrar: axum::Extension<Registrar>,
) -> Response {
    let registered = match SessionId::parse(&name) {
        Ok(id) => registrar.register(id).await,
        Err(_) => Err(RegisterError::NotAnId),
    };
    match registered {
        Ok(_) => {
            container.hold(&name);
            let location = [(header::LOCATION, format!("/session/{name}/"))];
            (StatusCode::CREATED, location).into_response()
        }
        Err(RegisterError::Taken(_)) => StatusCode::CONFLICT.into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
    }
}

async fn index() -> Html<&'static str> {
    Html(include_str!("pages/index.html"))
}

#[derive(serde::Deserialize)]
struct Assignment {
    session: String,
    /// Empty: none.
    owner: String,
}

async fn assign(
    State(container): State<Container>,
    Form(Assignment { session, owner }): Form<Assignment>,
) -> Response {
    let Some(directory) = container.directory else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let owner = Some(owner.as_str()).filter(|owner| !owner.is_empty());
    match directory.write(&session, owner).await {
        Ok(()) => Redirect::to("/").into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}
