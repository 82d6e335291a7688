//! Clients that read slowly, over real sockets: what is polled for them is polled by their leave.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::routing::get;
use futures_util::stream;
use http_body_util::StreamBody;
use hyper::body::Frame;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};
use tower_ownership::{CachePolicy, FlyReplay, Owned, OwnershipLayer, PathSegment, PostgresLookup};
use uuid::Uuid;

use super::{F, me, migrated, one};
use crate::support::database::Database;

/// As much as a client reads at a time.
const PART: usize = 3_000_000;

/// Without an end, until the session is lost.
async fn endless(Extension(owned): Extension<Owned>) -> Body {
    let chunk = Bytes::from(vec![b'x'; 64 * 1024]);
    let frames = stream::repeat_with(move || Ok::<_, Infallible>(Frame::data(chunk.clone())));
    Body::new(owned.until_lost(StreamBody::new(frames)))
}

/// A session of this machine, below the view.
async fn stored(database: &Database) -> Uuid {
    let insert = "INSERT INTO stored (id, status, container_id)
         VALUES (gen_random_uuid(), 'active', 'm1') RETURNING id";
    one(database, insert).await
}

/// Requests a session's stream.
async fn opened(server: SocketAddr, id: Uuid) -> TcpStream {
    let mut client = TcpStream::connect(server).await.unwrap();
    let request = format!("GET /session/{id}/stream HTTP/1.1\r\nhost: h\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_readers_stop_no_other_lookups() {
    let database = migrated().await;
    // A re-read is on its way for long enough that the client stops to read meanwhile.
    database
        .execute(
            "CREATE FUNCTION slow(text) RETURNS text LANGUAGE plpgsql STABLE
                 AS $$ BEGIN PERFORM pg_sleep(0.02); RETURN $1; END $$;
             ALTER TABLE preview_sessions RENAME TO stored;
             CREATE VIEW preview_sessions AS
                 SELECT id, slow(status) AS status, container_id, container_url, expires_at, ended_at
                     FROM stored",
        )
        .await;
    let lookup = PostgresLookup::builder(database.url()).build().unwrap();
    let freshness = CachePolicy::new().owned(F).elsewhere(F).unknown(F);
    let layer = OwnershipLayer::builder(lookup)
        .session(PathSegment::after("/session").unwrap())
        .machine(me("m1"))
        .replay(FlyReplay::new())
        .cache_policy(freshness)
        .lookup_timeout(F / 2)
        .build()
        .unwrap();
    let application = axum::Router::new()
        .route("/session/{id}/stream", get(endless))
        .route("/session/{id}/", get(async || "served"))
        .layer(layer);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, application).await });

    let mut slow = Vec::new();
    for _ in 0..4 {
        let id = stored(&database).await;
        slow.push((id, opened(server, id).await));
    }
    // Each reads for a moment, so that its stream asks again, and then not any more.
    for pause in [F / 2, F / 4, F / 4, F / 4] {
        sleep(pause).await;
        for (_, client) in &mut slow {
            let mut part = vec![0; PART];
            let _ = tokio::time::timeout(F / 10, client.read_exact(&mut part)).await;
        }
    }
    let http = reqwest::Client::new();
    let ask = async |id: Uuid| {
        let answer = http.get(format!("http://{server}/session/{id}/")).send();
        answer.await.unwrap().status().as_u16()
    };
    let end = Instant::now() + 2 * F;
    let mut asked = 0;
    while Instant::now() < end {
        let other = stored(&database).await;
        assert_eq!(ask(other).await, 200, "after {asked} others");
        asked += 1;
    }
    // Nor other requests for the very same sessions.
    for (id, _) in &slow {
        assert_eq!(ask(*id).await, 200);
    }
}
