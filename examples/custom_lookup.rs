//! A directory of one's own: any type with one `async fn`.
//!
//! This one reads a file `sessions.txt` with lines such as
//! `807efe44-d63e-4a24-88f5-dbe96112830a e2863555a91708`.
//!
//! ```sh
//! echo 807efe44-d63e-4a24-88f5-dbe96112830a this-machine > sessions.txt
//! cargo run --example custom_lookup
//! curl -i -b session=807efe44-d63e-4a24-88f5-dbe96112830a localhost:3000
//! ```

use std::path::PathBuf;

use axum::{Router, routing::get};
use tower_ownership::{
    Cookie, FlyReplay, LookupError, MachineId, OwnershipLayer, Session, SessionId, SessionLookup,
};

struct FileLookup(PathBuf);

impl SessionLookup for FileLookup {
    async fn session(&self, id: SessionId) -> Result<Option<Session>, LookupError> {
        // What could not be asked is an error. `Ok(None)` would say that the session is unknown.
        let text = tokio::fs::read_to_string(&self.0).await.map_err(|error| {
            LookupError::unavailable("the file cannot be read").with_source(error)
        })?;
        let line = text.lines().filter_map(|line| line.split_once(' '));
        let Some((_, owner)) = line
            .into_iter()
            .find(|(session, _)| *session == id.to_string())
        else {
            return Ok(None);
        };
        let owner: MachineId = owner.trim().parse().map_err(|error| {
            LookupError::corrupt("the owner in the file is no machine id").with_source(error)
        })?;
        Ok(Some(Session::owned_by(id, owner)))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let ownership = OwnershipLayer::builder(FileLookup("sessions.txt".into()))
        .session(Cookie::named("session")?)
        .machine("this-machine".parse::<MachineId>()?)
        .replay(FlyReplay::new())
        .on_verdict(|seen: &tower_ownership::observe::Observed<'_>| println!("{seen:?}"))
        .build()?;
    let app = Router::new()
        .route("/", get(async || "here\n"))
        .layer(ownership);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("listening on http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}
