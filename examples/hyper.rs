//! The layer around a bare hyper service: no framework, redirects in place of Fly's replay.
//!
//! ```sh
//! cargo run --example hyper
//! curl -i -H 'x-session-id: 807efe44-d63e-4a24-88f5-dbe96112830a' localhost:3000/   # served here
//! curl -i -H 'x-session-id: 00000000-0000-4000-8000-000000000000' localhost:3000/   # 307
//! ```

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tower::{Layer, service_fn};
use tower_ownership::{
    Header, MachineId, MemoryDirectory, Owned, OwnershipLayer, Redirect, Session,
};

async fn serve(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let text = match request.extensions().get::<Owned>() {
        Some(owned) => format!("session {} is served by its owner\n", owned.id()),
        None => "no session, so any machine may answer this\n".to_owned(),
    };
    Ok(Response::new(Full::new(Bytes::from(text))))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let me: MachineId = "web-1".parse()?;
    let sessions = MemoryDirectory::new();
    sessions.insert(Session::owned_by(
        "807efe44-d63e-4a24-88f5-dbe96112830a".parse()?,
        me.clone(),
    ));
    sessions.insert(Session::owned_by(
        "00000000-0000-4000-8000-000000000000".parse()?,
        "web-2".parse()?,
    ));

    let service = OwnershipLayer::builder(sessions)
        .session(Header::named("x-session-id")?)
        .machine(me)
        .replay(Redirect::to_template("http://{owner}.localhost:3000")?)
        .build()?
        .layer(service_fn(serve));

    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let (socket, _) = listener.accept().await?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            let server = auto::Builder::new(TokioExecutor::new());
            if let Err(error) = server.serve_connection(TokioIo::new(socket), service).await {
                eprintln!("connection ended: {error}");
            }
        });
    }
}
