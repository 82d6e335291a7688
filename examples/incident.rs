//! The incident of 2025-09-04, happening and healed, in one command and without a database:
//!
//! ```sh
//! cargo run --example incident --features testing            # plays it
//! cargo run --example incident --features testing -- --serve # … and stays up to click through
//! ```
//!
//! Real containers on loopback sockets behind `FlyEdge`, which does what Fly Proxy's reference
//! says. With `DATABASE_URL`, the sessions are rows in `PostgreSQL`, in a schema of the demo's own.

use std::{collections::HashSet, env, error::Error, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Form, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use tokio::net::TcpListener;
use tokio_postgres::{Client, NoTls};
use tower_ownership::{
    FlyReplay, MachineId, MemoryLookup, OwnershipLayer, PathSegment, PostgresLookup, Session,
    SessionId, SessionStatus,
    testing::{EdgeRecord, FlyEdge, FlyEdgeBuilder, Hop, HopKind},
};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The incident's session, and the machine that it belonged to.
const SESSION: &str = "807efe44-d63e-4a24-88f5-dbe96112830a";
const OWNER: &str = "e2863555a91708";
/// The machine that every request landed on.
const LANDED: &str = "56837ddda10348";
/// A session whose owner was written down and never started, and one that nobody owns yet.
const OWNER_NEVER_STARTED: &str = "1f0c5a52-3c1f-4d57-9a50-0d4c8f2f6b11";
const NEVER_STARTED: &str = "9080eaf3b65d98";
const UNASSIGNED: &str = "6b1d94c0-6a0e-4b8e-9f57-3f1b7f6f2c22";

#[tokio::main]
async fn main() -> Result<()> {
    let directory = Directory::open().await?;
    directory.write(SESSION, Some(OWNER)).await?;
    directory
        .write(OWNER_NEVER_STARTED, Some(NEVER_STARTED))
        .await?;
    directory.write(UNASSIGNED, None).await?;

    without_the_layer().await?;
    with_the_layer(&directory).await?;
    if env::args().any(|argument| argument == "--serve") {
        stay_up(&directory).await?;
    }
    directory.close().await
}

async fn without_the_layer() -> Result<()> {
    scene("Without the layer, as on 2025-09-04");
    say(&format!(
        "The directory has the row: {SESSION} is active and belongs to {OWNER}."
    ));
    let edge = FlyEdge::builder().land_on(LANDED).start().await?;
    for machine in [OWNER, LANDED] {
        edge.add(machine, Container::named(machine).start(None).await?);
    }
    ask(&edge, SESSION).await?;
    say(
        "The row was there and active. Neither the database nor its timing had anything to do with",
    );
    say("it: the wrong machine answered for a session that it never had, and nobody was told.");
    edge.shutdown().await;
    Ok(())
}

async fn with_the_layer(directory: &Directory) -> Result<()> {
    scene("The same request, the same machines, with the layer");
    let edge = fleet(directory, FlyEdge::builder()).await?;
    ask(&edge, SESSION).await?;
    say("The wrong machine knew that it was the wrong one, and whose turn it was.");

    scene("The owner was written down, and never started");
    say(&format!(
        "The directory says that {OWNER_NEVER_STARTED} belongs to {NEVER_STARTED}."
    ));
    ask(&edge, OWNER_NEVER_STARTED).await?;
    say("The proxy gave the request back, and the answer says which thing went wrong.");

    scene("Nobody owns the session yet");
    ask(&edge, UNASSIGNED).await?;
    say(&format!(
        "The orchestrator assigns it to {OWNER}. The client waits for the second"
    ));
    say("that `Retry-After` named, and asks again.");
    directory.write(UNASSIGNED, Some(OWNER)).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    ask(&edge, UNASSIGNED).await?;
    edge.shutdown().await;
    Ok(())
}

async fn stay_up(directory: &Directory) -> Result<()> {
    directory.write(UNASSIGNED, None).await?;
    let usual: SocketAddr = ([127, 0, 0, 1], 4000).into();
    let edge = match fleet(directory, FlyEdge::builder().listen(usual)).await {
        Ok(edge) => edge,
        // Somebody else has it.
        Err(_) => fleet(directory, FlyEdge::builder()).await?,
    };
    scene("See for yourself");
    say(&format!(
        "Open {} in a browser. Ctrl-C ends it.",
        edge.url("/")
    ));
    let mut watch = edge.subscribe();
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => break,
            record = watch.next() => match record {
                Some(EdgeRecord::Hop(hop)) => say(&in_words(&hop)),
                Some(EdgeRecord::Event(event)) => say(&event.to_string()),
                Some(_) => {}
                None => break,
            },
        }
    }
    edge.shutdown().await;
    Ok(())
}

/// The two machines that run, with the layer, behind an edge that picks the wrong one first.
async fn fleet(directory: &Directory, edge: FlyEdgeBuilder) -> Result<FlyEdge> {
    let edge = edge.land_on(LANDED).start().await?;
    for machine in [OWNER, LANDED] {
        let builder = match directory {
            Directory::Memory(lookup) => OwnershipLayer::builder(lookup.clone()),
            Directory::Postgres(lookup, _) => OwnershipLayer::builder(lookup.clone()),
        };
        let layer = builder
            .session(PathSegment::after("/session")?)
            .machine(machine.parse::<MachineId>()?)
            .replay(FlyReplay::new())
            .build()?;
        edge.add(
            machine,
            Container::named(machine)
                .for_all(directory)
                .start(Some(layer))
                .await?,
        );
    }
    Ok(edge)
}

/// Sends one request through the edge, and tells where it went and what came back.
async fn ask(edge: &FlyEdge, session: &str) -> Result<()> {
    println!();
    println!("    GET /session/{session}/");
    let response = reqwest::get(edge.url(&format!("/session/{session}/"))).await?;
    let request = response.headers().get("fly-request-id").cloned();
    let (status, text) = (response.status(), response.text().await?);
    for hop in edge.hops_of(
        request
            .as_ref()
            .and_then(|id| id.to_str().ok())
            .unwrap_or_default(),
    ) {
        println!("      {}", in_words(&hop));
    }
    println!("    The client reads: {status}");
    match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(problem) => {
            for name in ["code", "title", "detail"] {
                println!(
                    "      {name}: {}",
                    problem[name].as_str().unwrap_or_default()
                );
            }
        }
        Err(_) => println!("      {text}"),
    }
    println!();
    Ok(())
}

fn in_words(hop: &Hop) -> String {
    let way = match hop.kind {
        HopKind::Landed => "edge -> ".to_owned(),
        HopKind::Replayed => "edge replays it -> ".to_owned(),
        HopKind::FellBack => {
            let reason = hop.reason.as_deref().unwrap_or("no reason given");
            format!("edge cannot reach the owner ({reason}), gives it back -> ")
        }
        _ => "edge, from its replay cache -> ".to_owned(),
    };
    let status = hop
        .status
        .map_or("no answer".to_owned(), |status| status.as_u16().to_string());
    let replay = hop
        .replay
        .as_ref()
        .map(|to| format!("  fly-replay: {to}"))
        .unwrap_or_default();
    format!("{way}{}  {status}{replay}", hop.machine)
}

fn scene(title: &str) {
    println!(
        "\n== {title} {}\n",
        "=".repeat(75_usize.saturating_sub(title.len()))
    );
}

fn say(text: &str) {
    println!("  {text}");
}

/// One container: it holds sessions in its own memory, and knows nothing of the others.
#[derive(Clone)]
struct Container {
    machine: &'static str,
    holds: Arc<HashSet<&'static str>>,
    directory: Option<Directory>,
}

impl Container {
    fn named(machine: &'static str) -> Self {
        let holds = if machine == OWNER {
            [SESSION, UNASSIGNED].into()
        } else {
            HashSet::new()
        };
        Self {
            machine,
            holds: Arc::new(holds),
            directory: None,
        }
    }

    /// Lets its index page assign sessions.
    fn for_all(mut self, directory: &Directory) -> Self {
        self.directory = Some(directory.clone());
        self
    }

    async fn start(self, layer: Option<OwnershipLayer>) -> Result<SocketAddr> {
        let router = Router::new()
            .route("/", get(index))
            .route("/assign", post(assign))
            .route("/session/{id}/", get(serve))
            .with_state(self);
        // This is the whole difference between the incident and its healing.
        let router = match layer {
            Some(layer) => router.layer(layer),
            None => router,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(addr)
    }
}

/// What the containers of the incident answered: right about themselves, misleading about the rest.
async fn serve(
    State(container): State<Container>,
    Path(session): Path<String>,
    headers: HeaderMap,
) -> Response {
    let machine = container.machine;
    if !container.holds.contains(session.as_str()) {
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
        let page = include_str!("incident_pages/session.html");
        Html(
            page.replace("{machine}", machine)
                .replace("{session}", &session)
                .replace("{how}", &how),
        )
        .into_response()
    } else {
        format!("Session {session}, served by its owner, {machine}.").into_response()
    }
}

async fn index() -> Html<&'static str> {
    Html(include_str!("incident_pages/index.html"))
}

#[derive(serde::Deserialize)]
struct Assignment {
    session: String,
    /// Empty: nobody.
    owner: String,
}

async fn assign(
    State(container): State<Container>,
    Form(Assignment { session, owner }): Form<Assignment>,
) -> Response {
    let Some(directory) = container.directory else {
        return StatusCode::NOT_FOUND.into_response();
    };
    match directory
        .write(
            &session,
            Some(owner.as_str()).filter(|owner| !owner.is_empty()),
        )
        .await
    {
        Ok(()) => Redirect::to("/").into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

/// Where the orchestrator writes and the layer reads.
#[derive(Clone)]
enum Directory {
    Memory(MemoryLookup),
    Postgres(PostgresLookup, Arc<Client>),
}

impl Directory {
    const SCHEMA: &str = "tower_ownership_incident";

    async fn open() -> Result<Self> {
        let Ok(url) = env::var("DATABASE_URL") else {
            return Ok(Self::Memory(MemoryLookup::new()));
        };
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
        tokio::spawn(connection);
        let schema = Self::SCHEMA;
        client
            .batch_execute(&format!(
                "drop schema if exists {schema} cascade; create schema {schema};
                 create table {schema}.preview_sessions (
                     id uuid primary key, status text not null, container_id text,
                     container_url text, expires_at timestamptz, ended_at timestamptz)"
            ))
            .await?;
        let lookup = PostgresLookup::builder(url.as_str())
            .schema(schema)
            .build()?;
        Ok(Self::Postgres(lookup, Arc::new(client)))
    }

    async fn write(&self, session: &str, owner: Option<&str>) -> Result<()> {
        let id: SessionId = session.parse()?;
        let owner: Option<MachineId> = owner.map(str::parse).transpose()?;
        match self {
            Self::Memory(lookup) => {
                let session = Session::new(id, SessionStatus::Active);
                lookup.insert(match owner {
                    Some(owner) => session.with_owner(owner),
                    None => session,
                });
            }
            Self::Postgres(_, client) => {
                let upsert = format!(
                    "insert into {}.preview_sessions (id, status, container_id, expires_at)
                     values ($1, 'active', $2, now() + interval '1 hour')
                     on conflict (id) do update set container_id = excluded.container_id",
                    Self::SCHEMA
                );
                let owner = owner.as_ref().map(MachineId::as_str);
                client.execute(&upsert, &[id.as_uuid(), &owner]).await?;
            }
        }
        Ok(())
    }

    async fn close(self) -> Result<()> {
        if let Self::Postgres(_, client) = &self {
            client
                .batch_execute(&format!("drop schema {} cascade", Self::SCHEMA))
                .await?;
        }
        Ok(())
    }
}
