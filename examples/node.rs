//! A machine of a fleet that keeps its sessions in memory, with `PostgreSQL` as the directory.
//!
//! ```sh
//! createdb sessions && export DATABASE_URL=postgres:///sessions?host=/var/run/postgresql
//! psql "$DATABASE_URL" -c "CREATE TABLE preview_sessions (id uuid PRIMARY KEY, status text NOT NULL,
//!     container_id text, container_url text, expires_at timestamptz, ended_at timestamptz)"
//! cargo run --features cli -- migrate --run                     # once
//! psql "$DATABASE_URL" -c "INSERT INTO preview_sessions (id, status) VALUES
//!     ('807efe44-d63e-4a24-88f5-dbe96112830a', 'active')"
//! MACHINE=a PORT=3000 cargo run --example node &
//! MACHINE=b PORT=3001 cargo run --example node &
//! curl localhost:3000/session/807efe44-d63e-4a24-88f5-dbe96112830a      # claimed, and served by a
//! curl -i localhost:3001/session/807efe44-d63e-4a24-88f5-dbe96112830a   # replayed to a
//! ```
//!
//! Ctrl-C gives the session up, so the next process serves it at once.

use std::env;

use axum::{Extension, Router, routing::get};
use tower_ownership::{
    FlyReplay, MachineId, Node, Owned, PathSegment, PostgresDirectory, shutdown_signal,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt::init();
    let machine: MachineId = env::var("MACHINE")?.parse()?;
    let node = Node::builder(PostgresDirectory::new(
        env::var("DATABASE_URL").map_err(|_| "set DATABASE_URL")?,
    )?)
    .session(PathSegment::after("/session")?)
    .machine(machine.clone()) // left out, the platform is asked
    .replay(FlyReplay::new())
    .claim_unassigned()
    .take_over_lost()
    .start()
    .await?;
    let serve = async move |Extension(owned): Extension<Owned>| {
        format!(
            "{machine} serves {} at epoch {:?}\n",
            owned.id(),
            owned.epoch()
        )
    };
    let app = Router::new()
        .route("/session/{id}", get(serve))
        .layer(node.layer())
        .nest_service("/health", node.health().build());
    let port = env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let listener = tokio::net::TcpListener::bind(format!("[::]:{port}")).await?;
    let stop = shutdown_signal();
    println!("{} serving on port {port}", node.machine());
    node.serve(stop, |drained| {
        axum::serve(listener, app).with_graceful_shutdown(drained)
    })
    .await?;
    Ok(())
}
