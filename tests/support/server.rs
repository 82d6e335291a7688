//! An application on a port of its own.

use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpListener;

/// Serves until the runtime ends.
pub async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    addr
}
