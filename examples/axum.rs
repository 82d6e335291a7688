//! The layer around a whole axum router.
//!
//! ```sh
//! cargo run --example axum
//! curl -i localhost:3000/session/807efe44-d63e-4a24-88f5-dbe96112830a   # served here
//! curl -i localhost:3000/session/00000000-0000-4000-8000-000000000000   # lives elsewhere
//! curl -i localhost:3000/session/11111111-1111-4111-8111-111111111111   # unknown
//! ```

use axum::{Extension, Router, routing::get};
use tower_ownership::{
    FlyReplay, MachineId, MemoryDirectory, Owned, OwnershipLayer, PathSegment, Session,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // In production: `PostgresLookup::builder(url).build()?`, and no `machine` at all, since the
    // platform says who we are.
    let me: MachineId = "e2863555a91708".parse()?;
    let sessions = MemoryDirectory::new();
    sessions.insert(Session::owned_by(
        "807efe44-d63e-4a24-88f5-dbe96112830a".parse()?,
        me.clone(),
    ));
    sessions.insert(Session::owned_by(
        "00000000-0000-4000-8000-000000000000".parse()?,
        "56837ddda10348".parse()?,
    ));

    let ownership = OwnershipLayer::builder(sessions)
        .session(PathSegment::after("/session")?)
        .machine(me)
        .replay(FlyReplay::new())
        .build()?;

    let app = Router::new()
        .route("/", get(async || "any machine may answer this\n"))
        .route("/session/{id}", get(serve))
        .layer(ownership);

    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("listening on http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}

/// Only reached on the machine that owns the session: `Owned` is the proof.
async fn serve(Extension(owned): Extension<Owned>) -> String {
    format!("session {} is served by its owner\n", owned.id())
}
