//! The layer around a whole axum router, with the feature `axum`: handlers take `Owned`.
//!
//! ```sh
//! cargo run --example axum --features axum
//! curl -i localhost:3000/session/807efe44-d63e-4a24-88f5-dbe96112830a   # served here
//! curl -i localhost:3000/session/00000000-0000-4000-8000-000000000000   # lives elsewhere
//! curl -i localhost:3000/session/11111111-1111-4111-8111-111111111111   # unknown
//! curl -i localhost:3000/session/22222222-2222-4222-8222-222222222222   # lost by a restart
//! curl -i localhost:3000/session                                        # names no session
//! ```

use axum::{Router, routing::get};
use tower_ownership::{
    FlyReplay, MachineId, MemoryDirectory, Owned, OwnershipLayer, PathSegment, Session,
    SessionAbsent,
};

const HELD: &str = "807efe44-d63e-4a24-88f5-dbe96112830a";
const LOST: &str = "22222222-2222-4222-8222-222222222222";
const ELSEWHERE: &str = "00000000-0000-4000-8000-000000000000";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // In production: `PostgresLookup::builder(url).build()?`, and no `machine` at all, since the
    // platform says who we are.
    let me: MachineId = "e2863555a91708".parse()?;
    let sessions = MemoryDirectory::new();
    for id in [HELD, LOST] {
        sessions.insert(Session::owned_by(id.parse()?, me.clone()));
    }
    sessions.insert(Session::owned_by(
        ELSEWHERE.parse()?,
        "56837ddda10348".parse()?,
    ));

    let ownership = OwnershipLayer::builder(sessions)
        .session(PathSegment::after("/session")?)
        .machine(me)
        .replay(FlyReplay::new())
        .build()?;

    let app = Router::new()
        .route("/", get(async || "any machine may answer this\n"))
        .route("/session", get(serve))
        .route("/session/{id}", get(serve))
        .layer(ownership);

    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("listening on http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}

/// Only reached on the machine that owns the session: `Owned` is the proof. A request that names no
/// session is refused before the handler, with 404 `session-missing`.
async fn serve(owned: Owned) -> Result<String, SessionAbsent> {
    if owned.id().to_string() == HELD {
        Ok(format!("session {} is served by its owner\n", owned.id()))
    } else {
        Err(SessionAbsent) // 410 `session-absent`, in the form that the client reads
    }
}
