//! Sessions that move while a request is under way, and directories that contradict each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tower_ownership::testing::{EdgeSessionCache, FlyEdge, HopKind};
use tower_ownership::{
    FlyReplay, Header, LookupError, MemoryDirectory, Session, SessionId, lookup_fn,
    replay::ReplayCache,
};

use crate::fleet::{Fleet, Machine, OWNER, THIRD, WRONG, edge, layer, machine_id, new_session};
use crate::support::client::{get, request, send};

fn knows(session: SessionId, owner: &str) -> MemoryDirectory {
    let sessions = MemoryDirectory::new();
    sessions.insert(Session::owned_by(session, machine_id(owner)));
    sessions
}

async fn before(machines: &[&Machine]) -> FlyEdge {
    let edge = edge().start().await.unwrap();
    for machine in machines {
        edge.add(machine.id, machine.server.addr);
    }
    edge
}

fn way(edge: &FlyEdge) -> Vec<(String, HopKind)> {
    let hops = edge.hops().into_iter();
    hops.map(|hop| (hop.machine, hop.kind)).collect()
}

#[tokio::test]
async fn a_session_that_moves_in_mid_flight_is_found_at_its_new_owner() {
    let session = new_session();
    let sessions = knows(session.clone(), OWNER);
    // As soon as the first machine has read the owner, the session moves on.
    let moving = sessions.clone();
    let read_then_move = lookup_fn(move |id: SessionId| {
        let read = moving.get(&id);
        moving.insert(Session::owned_by(id.clone(), machine_id(THIRD)));
        async move { Ok::<_, LookupError>(read) }
    });
    let wrong = Machine::start(WRONG, layer(WRONG, read_then_move)).await;
    let owner = Machine::start(OWNER, layer(OWNER, sessions.clone())).await;
    let third = Machine::start(THIRD, layer(THIRD, sessions)).await;
    let edge = before(&[&wrong, &owner, &third]).await;

    let answer = get(edge.url(&format!("/session/{session}"))).await;
    answer.is_served_by(THIRD);
    assert_eq!(
        way(&edge),
        [
            (WRONG.to_owned(), HopKind::Landed),
            (OWNER.to_owned(), HopKind::Replayed),
            (THIRD.to_owned(), HopKind::Replayed),
        ]
    );
    assert_eq!((wrong.served(&session), owner.served(&session)), (0, 0));
}

#[tokio::test]
async fn a_move_is_seen_by_the_very_next_request() {
    let fleet = Fleet::start().await;
    let session = fleet.session();
    let url = fleet.edge.url(&format!("/session/{session}"));
    for owner in [OWNER, THIRD, WRONG, OWNER] {
        fleet.give(session.clone(), owner);
        get(url.clone()).await.is_served_by(owner);
    }
}

#[tokio::test]
async fn directories_that_point_at_each_other_are_cut_short_before_the_proxy_has_to() {
    let session = new_session();
    let (here, there) = (knows(session.clone(), OWNER), knows(session.clone(), WRONG));
    let wrong = Machine::start(WRONG, layer(WRONG, here)).await;
    let owner = Machine::start(OWNER, layer(OWNER, there)).await;
    let edge = before(&[&wrong, &owner]).await;

    let url = edge.url(&format!("/session/{session}"));
    let answer = get(url.clone()).await;
    answer.is_refused(508, "replay-loop");
    let hops = edge.hops();
    let statuses: Vec<_> = hops
        .iter()
        .map(|hop| hop.status.unwrap().as_u16())
        .collect();
    assert_eq!(statuses, [409, 409, 508], "two replays, and no third one");
    assert_eq!(edge.events(), []);
    assert_eq!((wrong.served(&session), owner.served(&session)), (0, 0));
}

#[tokio::test]
async fn a_loop_is_cut_after_as_many_hops_as_the_builder_allows() {
    for allowed in [1, 2, 5] {
        let session = new_session();
        let (here, there) = (knows(session.clone(), OWNER), knows(session.clone(), WRONG));
        let wrong = Machine::start(WRONG, layer(WRONG, here).max_hops(allowed)).await;
        let owner = Machine::start(OWNER, layer(OWNER, there).max_hops(allowed)).await;
        let edge = before(&[&wrong, &owner]).await;
        let answer = get(edge.url(&format!("/session/{session}"))).await;
        answer.is_refused(508, "replay-loop");
        assert_eq!(edge.hops().len(), usize::from(allowed) + 1);
    }
}

async fn caching() -> Fleet {
    Fleet::with(edge(), |machine, sessions| {
        let cache = ReplayCache::under("/session").lifetime(Duration::from_secs(60));
        layer(machine, sessions).replay(FlyReplay::new().cache(cache))
    })
    .await
}

#[tokio::test]
async fn with_a_replay_cache_only_the_first_request_asks_the_wrong_machine() {
    let fleet = caching().await;
    let session = fleet.session();
    for path in ["", "/files/1", "/files/2"] {
        let url = fleet.edge.url(&format!("/session/{session}{path}"));
        get(url).await.is_served_by(OWNER);
    }
    assert_eq!(
        way(&fleet.edge),
        [
            (WRONG.to_owned(), HopKind::Landed),
            (OWNER.to_owned(), HopKind::Replayed),
            (OWNER.to_owned(), HopKind::CacheHit),
            (OWNER.to_owned(), HopKind::CacheHit),
        ]
    );
    // Another session is another entry.
    let other = fleet.session_of(THIRD);
    get(fleet.edge.url(&format!("/session/{other}")))
        .await
        .is_served_by(THIRD);
}

#[tokio::test]
async fn a_replay_cache_that_is_behind_is_invalidated_by_the_former_owner() {
    let fleet = caching().await;
    let session = fleet.session();
    let url = fleet.edge.url(&format!("/session/{session}"));
    get(url.clone()).await.is_served_by(OWNER);
    assert_eq!(fleet.edge.cached_replays(), 1);

    fleet.give(session, THIRD);
    fleet.edge.clear_log();
    get(url.clone()).await.is_served_by(THIRD);
    assert_eq!(
        way(&fleet.edge),
        [
            (OWNER.to_owned(), HopKind::CacheHit),
            (THIRD.to_owned(), HopKind::Replayed),
        ]
    );
    assert_eq!(fleet.edge.cached_replays(), 0, "the entry is gone");

    // So the next request asks where it lands, and is remembered rightly.
    fleet.edge.clear_log();
    get(url.clone()).await.is_served_by(THIRD);
    get(url).await.is_served_by(THIRD);
    let kinds: Vec<_> = way(&fleet.edge).into_iter().map(|hop| hop.1).collect();
    assert_eq!(
        kinds,
        [HopKind::Landed, HopKind::Replayed, HopKind::CacheHit]
    );
}

#[tokio::test]
async fn a_replay_cache_by_session_follows_a_session_that_moves() {
    const ID: &str = "mcp-session-id";
    let by_session = edge().session_cache(EdgeSessionCache::by_header(ID));
    let fleet = Fleet::with(by_session, |machine, sessions| {
        let replay = FlyReplay::new().cache(ReplayCache::by_session());
        let layer = layer(machine, sessions).session(Header::mcp_session_id());
        layer.replay(replay)
    })
    .await;
    let session = fleet.session();
    // The application of these tests reads the path, which the layer does not.
    let url = fleet.edge.url(&format!("/session/{session}"));
    let ask = || {
        let request = request(reqwest::Method::GET, url.clone());
        send(request.header(ID, session.to_string()))
    };
    ask().await.is_served_by(OWNER);
    ask().await.is_served_by(OWNER);
    fleet.give(session.clone(), THIRD);
    ask().await.is_served_by(THIRD);
    assert_eq!(fleet.edge.cached_replays(), 0, "the former owner said so");
    ask().await.is_served_by(THIRD);
    ask().await.is_served_by(THIRD);
    let kinds: Vec<_> = way(&fleet.edge).into_iter().map(|hop| hop.1).collect();
    assert_eq!(
        kinds,
        [
            HopKind::Landed,
            HopKind::Replayed,
            HopKind::CacheHit,
            HopKind::CacheHit,
            HopKind::Replayed,
            HopKind::Landed,
            HopKind::Replayed,
            HopKind::CacheHit,
        ]
    );
    assert_eq!(fleet.edge.events(), []);
}

#[tokio::test]
async fn a_forged_cache_hit_invalidates_once_per_lifetime_and_never_serves() {
    let fleet = Fleet::with(edge().pass_forged_headers(true), |machine, sessions| {
        layer(machine, sessions).replay(FlyReplay::new().cache(ReplayCache::under("/session")))
    })
    .await;
    let session = fleet.session();
    let url = fleet.wrong.server.url(&format!("/session/{session}"));
    let forged =
        || request(reqwest::Method::GET, url.clone()).header("fly-replay-cache-status", "hit");
    let first = send(forged()).await;
    assert_eq!(first.header("fly-replay-cache"), Some("invalidate"));
    for _ in 0..3 {
        assert_eq!(send(forged()).await.header("fly-replay-cache"), None);
    }
    assert_eq!(fleet.wrong.served(&session), 0);
    let through = request(
        reqwest::Method::GET,
        fleet.edge.url(&format!("/session/{session}")),
    );
    send(through.header("fly-replay-cache-status", "hit"))
        .await
        .is_served_by(OWNER);
}

#[tokio::test]
async fn a_directory_that_is_down_is_503_in_time_and_heals_without_a_restart() {
    let session = new_session();
    let sessions = knows(session.clone(), OWNER);
    let down = Arc::new(AtomicBool::new(true));
    let layer = |machine| {
        let (down, sessions) = (Arc::clone(&down), sessions.clone());
        // As a frozen server does: it says nothing at all.
        let lookup = lookup_fn(move |id: SessionId| {
            let (hangs, read) = (down.load(Ordering::Relaxed), sessions.get(&id));
            async move {
                if hangs {
                    std::future::pending::<()>().await;
                }
                Ok::<_, LookupError>(read)
            }
        });
        layer(machine, lookup).lookup_timeout(Duration::from_millis(100))
    };
    let wrong = Machine::start(WRONG, layer(WRONG)).await;
    let owner = Machine::start(OWNER, layer(OWNER)).await;
    let edge = before(&[&wrong, &owner]).await;
    let url = edge.url(&format!("/session/{session}"));

    for addr in [edge.addr(), owner.server.addr] {
        let url = format!("http://{addr}/session/{session}");
        let asked = Instant::now();
        let answer = get(url).await;
        // Far above the layer's 100 ms, for a busy computer; far below what would be no bound.
        assert!(asked.elapsed() < Duration::from_secs(2));
        answer.is_refused(503, "lookup-unavailable");
        assert!(answer.header("retry-after").is_some());
    }
    assert_eq!((wrong.served(&session), owner.served(&session)), (0, 0));
    assert_eq!(get(edge.url("/healthz")).await.text, "healthy");

    down.store(false, Ordering::Relaxed);
    get(url).await.is_served_by(OWNER);
}
