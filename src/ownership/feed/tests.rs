use std::{
    convert::Infallible,
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use http::{Request, Response};
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::*;
use crate::{
    Change, Changes, FeedError, FeedErrorKind, FlyReplay, MachineId, MemoryDirectory,
    OwnershipLayer, PathSegment, SessionId,
};

const ID: &str = "807efe44-d63e-4a24-88f5-dbe96112830a";

fn id() -> SessionId {
    ID.parse().unwrap()
}

fn machine(id: &str) -> MachineId {
    id.parse().unwrap()
}

/// A layer of machine `m1`, which owns the session and has it in its cache.
async fn layer(directory: &MemoryDirectory) -> OwnershipLayer {
    directory.add(&id(), Some(machine("m1")));
    let layer = OwnershipLayer::builder(directory.clone())
        .session(PathSegment::after("/session").unwrap())
        .machine(machine("m1"))
        .replay(FlyReplay::new())
        .build()
        .unwrap();
    ask(&layer).await;
    assert_eq!(layer.cache().len(), 1);
    layer
}

async fn ask(layer: &OwnershipLayer) {
    let inner = service_fn(async |_| Ok::<_, Infallible>(Response::new(String::new())));
    let request = Request::get(format!("/session/{ID}"))
        .body(String::new())
        .unwrap();
    layer.layer(inner).oneshot(request).await.unwrap();
}

/// A feed that connects, and delivers nothing but answers to so many pings.
#[derive(Clone, Default)]
struct Quiet {
    connected: Arc<AtomicU32>,
    answers: u32,
}

struct Connection {
    answers: u32,
    is_asked: bool,
}

impl ChangeFeed for Quiet {
    type Changes = Connection;

    async fn connect(&self) -> Result<Connection, FeedError> {
        self.connected.fetch_add(1, Ordering::Relaxed);
        Ok(Connection {
            answers: self.answers,
            is_asked: false,
        })
    }
}

impl Changes for Connection {
    async fn next(&mut self) -> Result<Change, FeedError> {
        if std::mem::take(&mut self.is_asked) && self.answers > 0 {
            self.answers -= 1;
            return Ok(Change::KeepAlive);
        }
        pending().await
    }

    fn ping(&mut self) {
        self.is_asked = true;
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_changes_in_memory_is_forgotten() {
    let directory = MemoryDirectory::new();
    let layer = layer(&directory).await;
    let feed = Feed::builder(directory.clone()).start(layer.cache());
    let feed = feed.unwrap();
    feed.listening().await;
    ask(&layer).await;
    assert_eq!(layer.cache().len(), 1);
    directory.assign(&id(), Some(machine("m2")));
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(layer.cache().len(), 0);
    assert_eq!(feed.health().changes, 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_cached_before_the_feed_connected_is_forgotten() {
    let directory = MemoryDirectory::new();
    let layer = layer(&directory).await;
    let feed = Feed::builder(directory).start(layer.cache()).unwrap();
    feed.listening().await;
    assert_eq!(layer.cache().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_given_up_when_a_ping_is_not_answered() {
    let layer = layer(&MemoryDirectory::new()).await;
    let quiet = Quiet {
        answers: 3,
        ..Quiet::default()
    };
    let began = tokio::time::Instant::now();
    let feed = Feed::builder(quiet.clone()).start(layer.cache()).unwrap();
    while feed.health().reconnects == 0 {
        if let FeedState::Down { error, .. } = feed.health().state {
            assert_eq!(error.kind(), FeedErrorKind::Silent);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Three heartbeats of 2.5 s to 5 s that are answered, and one that is not within 2 s.
    let took = began.elapsed();
    assert!(took > Duration::from_secs(4 * 5 / 2 + 2), "{took:?}");
    assert!(took < Duration::from_secs(4 * 5 + 2 + 1), "{took:?}");
    assert_eq!(quiet.connected.load(Ordering::Relaxed), 2);
}

/// A feed whose attempt to connect hangs.
struct Hangs;

impl ChangeFeed for Hangs {
    type Changes = Connection;

    async fn connect(&self) -> Result<Connection, FeedError> {
        pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_to_connect_that_hangs_is_given_up() {
    let layer = layer(&MemoryDirectory::new()).await;
    let feed = Feed::builder(Hangs).start(layer.cache()).unwrap();
    tokio::time::sleep(Duration::from_secs(61)).await;
    let FeedState::Down { error, .. } = feed.health().state else {
        panic!("{feed:?}");
    };
    assert_eq!(error.kind(), FeedErrorKind::Unreachable);
}
