//! The replay cache by session, as `fly.toml` configures it.

use std::io::ErrorKind;
use std::time::Duration;

use tower_ownership::testing::{EdgeErrorKind, EdgeSessionCache, FlyEdge, FlyEdgeBuilder};

use super::machine::*;

const ID: &str = "mcp-session-id";

async fn fleet(edge: FlyEdgeBuilder, replay: &'static str) -> (FlyEdge, Machine, Machine) {
    let (emitter, owner) = (
        Machine::replaying(replay).await,
        Machine::named("owner").await,
    );
    let edge = edge.land_on(ONE).start().await.unwrap();
    edge.add(ONE, emitter.addr);
    edge.add(TWO, owner.addr);
    (edge, emitter, owner)
}

async fn ask(edge: &FlyEdge, path: &str, name: &str, value: &str) -> u16 {
    let request = client().get(edge.url(path)).header(name, value);
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_header_leads_later_requests_straight_to_the_target() {
    let by_header = edge().session_cache(EdgeSessionCache::by_header(ID));
    let (edge, emitter, owner) = fleet(by_header, "instance=e286544f716d89").await;
    for path in ["/mcp", "/other"] {
        ask(&edge, path, ID, "a").await;
    }
    assert_eq!((emitter.seen().len(), owner.seen().len()), (1, 2));
    let status = |seen: Seen| seen.header("fly-replay-cache-status").map(str::to_owned);
    assert_eq!(status(owner.last()).as_deref(), Some("hit"));
    assert_eq!(owner.last().header("fly-replay-src"), None);

    // Another session, another host, and no session at all.
    ask(&edge, "/mcp", ID, "b").await;
    let elsewhere = client().get(edge.url("/mcp")).header(ID, "a");
    elsewhere
        .header("host", "other.example")
        .send()
        .await
        .unwrap();
    get(&edge, "/mcp").await;
    get(&edge, "/mcp").await;
    assert_eq!(emitter.seen().len(), 5);
    assert_eq!(edge.cached_replays(), 3);
    edge.advance(Duration::from_secs(60));
    assert_eq!(edge.cached_replays(), 0);
}

#[tokio::test]
async fn a_cookie_does_so_too_below_the_longest_prefix() {
    let settings = edge()
        .session_cache(EdgeSessionCache::by_cookie("sid").path_prefix("/app"))
        .session_cache(EdgeSessionCache::by_header(ID).path_prefix("/app/mcp/"));
    let (edge, emitter, _) = fleet(settings, "instance=e286544f716d89").await;
    for path in ["/app", "/app/a", "/app/b"] {
        ask(&edge, path, "cookie", "other=1; sid=a").await;
    }
    assert_eq!(emitter.seen().len(), 1);
    // Here the header counts, and there nothing does.
    for path in ["/app/mcp", "/app/mcp/x", "/application"] {
        ask(&edge, path, "cookie", "sid=a").await;
    }
    assert_eq!(emitter.seen().len(), 4);
    assert_eq!(edge.cached_replays(), 1);
}

#[tokio::test]
async fn a_client_passes_it_by_where_that_is_allowed() {
    for (allowed, asked) in [(true, 2), (false, 1)] {
        let rule = EdgeSessionCache::by_header(ID).allow_bypass(allowed);
        let (edge, emitter, _) = fleet(edge().session_cache(rule), "instance=e286544f716d89").await;
        ask(&edge, "/", ID, "a").await;
        let request = client().get(edge.url("/")).header(ID, "a");
        let request = request.header("fly-replay-cache-control", "skip");
        request.send().await.unwrap();
        assert_eq!(emitter.seen().len(), asked);
    }
}

#[tokio::test]
async fn a_replay_with_more_than_a_target_cannot_be_cached() {
    for replay in [
        "instance=e286544f716d89;state=own.1",
        "instance=e286544f716d89;timeout=5s",
        "instance=e286544f716d89;fallback=force_self",
    ] {
        let by_header = edge().session_cache(EdgeSessionCache::by_header(ID));
        let (edge, ..) = fleet(by_header, replay).await;
        assert_eq!(ask(&edge, "/", ID, "a").await, 502);
        assert_eq!(kinds(&edge), [EdgeErrorKind::CacheConflict]);
        assert_eq!(
            get(&edge, "/").await.status(),
            200,
            "not a request of a session"
        );
    }
}

#[tokio::test]
async fn what_fly_toml_could_not_hold_is_refused_at_the_start() {
    for rule in [
        EdgeSessionCache::by_header(ID).ttl(Duration::from_secs(9)),
        EdgeSessionCache::by_header("no header"),
    ] {
        let refused = edge().session_cache(rule).start().await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    }
}
