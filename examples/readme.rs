//! The program of the README, which a test compares with it.

use std::{env, error::Error};

use axum::{Router, routing::get};
use tower_ownership::{
    FlyReplay, Owned, OwnershipLayer, PathSegment, PostgresLookup, SessionAbsent,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().init(); // one event per request names the cause
    let url = env::var("DATABASE_URL").map_err(|_| "set DATABASE_URL")?;
    let lookup = PostgresLookup::builder(url).build()?;
    let ownership = OwnershipLayer::builder(lookup.clone())
        .session(PathSegment::after("/session")?) // or a header, cookie, query, host label, closure
        .replay(FlyReplay::new()) // or nginx, a redirect, or carried by the layer itself
        .build()?; // the platform says which machine this is
    lookup.verify(ownership.machine()).await?; // says what of the table does not fit

    let app = Router::new()
        .route("/session/{id}", get(serve))
        .layer(ownership);
    let port = env::var("PORT").unwrap_or("8080".into());
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("this machine is serving http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}

/// Reached on the owner alone. `Err(SessionAbsent)` says that it does not hold the session.
async fn serve(owned: Owned) -> Result<String, SessionAbsent> {
    Ok(format!("{} is served by its owner\n", owned.id()))
}
