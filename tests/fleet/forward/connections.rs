//! Which connections to owners are kept, and for how long.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tower::{Layer as _, ServiceExt as _};
use tower_ownership::MemoryDirectory;

use super::{Alone, forward, layer, listener, session_at};
use crate::fleet::{OWNER, WRONG, new_session};
use crate::support::client::get;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

async fn reads(stream: &mut TcpStream) {
    let mut read = [0; 4096];
    assert_ne!(stream.read(&mut read).await.unwrap(), 0);
}

#[tokio::test]
async fn an_owner_that_did_not_answer_is_asked_again_on_a_new_connection() {
    let (listener, addr) = listener().await;
    let impatient = forward().response_timeout(Duration::from_secs(1));
    let alone = Alone::before(addr, impatient).await;
    let owner = tokio::spawn(async move {
        // Two at once, so that two are kept; they answer no second request.
        let (mut one, _) = listener.accept().await.unwrap();
        let (mut two, _) = listener.accept().await.unwrap();
        for stream in [&mut one, &mut two] {
            reads(stream).await;
        }
        for stream in [&mut one, &mut two] {
            stream.write_all(OK).await.unwrap();
        }
        let (mut three, _) = listener.accept().await.unwrap();
        reads(&mut three).await;
        three.write_all(OK).await.unwrap();
        (one, two, three)
    });
    let (one, two) = tokio::join!(get(alone.url()), get(alone.url()));
    assert_eq!((one.status, two.status), (200, 200));
    get(alone.url()).await.is_refused(503, "owner-unreachable");
    assert_eq!(get(alone.url()).await.status, 200);
    owner.await.unwrap();
}

#[test]
fn idle_connections_are_closed_after_their_first_runtime_has_ended() {
    let runtime = || {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(1).enable_all().build().unwrap()
    };
    let owners = runtime();
    let (addr, open) = owners.block_on(async {
        let (listener, addr) = listener().await;
        let open = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&open);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let open = Arc::clone(&counted);
                open.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let mut read = [0; 4096];
                    while stream.read(&mut read).await.is_ok_and(|read| read > 0) {
                        stream.write_all(OK).await.unwrap();
                    }
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        (addr, open)
    });
    let (sessions, session) = (MemoryDirectory::new(), new_session());
    sessions.insert(session_at(&session, OWNER, &format!("http://{addr}")));
    let brief = forward().idle_timeout(Duration::from_millis(100));
    let service = layer(WRONG, &sessions, brief).layer(tower::service_fn(
        async |_: http::Request<Full<Bytes>>| {
            Ok::<_, Infallible>(http::Response::new(Full::<Bytes>::default()))
        },
    ));
    let ask = |runtime: &Runtime| {
        let asking = http::Request::get(format!("/session/{session}")).header("host", "app");
        let asking = asking.body(Full::default()).unwrap();
        let answer = runtime.block_on(async {
            let answer = service.clone().oneshot(asking).await.unwrap();
            answer.into_body().collect().await.unwrap().to_bytes()
        });
        assert_eq!(answer, "ok");
    };
    let first = runtime();
    ask(&first);
    first.shutdown_timeout(Duration::from_secs(1));
    let second = runtime();
    ask(&second);
    owners.block_on(crate::support::until_async("all are closed", async || {
        open.load(Ordering::SeqCst) == 0
    }));
}
