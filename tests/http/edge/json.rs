//! The JSON form of a replay.

use futures_util::StreamExt;
use tower_ownership::testing::{EdgeErrorKind, EdgeMachine};

use super::machine::*;

async fn emitting(document: &'static str) -> Machine {
    Machine::start(move |seen| {
        if seen.headers.contains_key("fly-replay-failed") {
            axum::response::Response::new("fell back".into())
        } else {
            replay_json(document)
        }
    })
    .await
}

#[tokio::test]
async fn the_fields_mean_what_they_mean_in_the_header() {
    for (document, expected) in [
        (r#"{"instance":"e286544f716d89","state":"own.1"}"#, "two"),
        (r#"{"prefer_instance":"gone","elsewhere":true}"#, "two"),
        (r#"{"region":"fra,iad","elsewhere":true}"#, "two"),
        (r#"{"elsewhere":true}"#, "two"),
        (r#"{"app":"app","instance":"e286544f716d89"}"#, "two"),
        (
            r#"{"instance":"gone","fallback":"force_self","timeout":"1s"}"#,
            "fell back",
        ),
    ] {
        let two = Machine::named("two").await;
        let edge = edge_with(&[(ONE, &emitting(document).await), (TWO, &two)]).await;
        assert_eq!(who(&edge, "/").await, expected, "{document}");
        if document.contains("own.1") {
            assert_eq!(two.last().field("fly-replay-src", "state"), Some("own.1"));
            assert_eq!(edge.hops()[0].replay.as_deref(), Some(document));
        }
    }
}

#[tokio::test]
async fn a_media_type_may_have_parameters() {
    let emitter = Machine::start(|_| {
        let mut response = replay_json(r#"{"instance":"e286544f716d89"}"#);
        let kind = "Application/vnd.fly.replay+JSON; charset=utf-8".parse();
        let headers = response.headers_mut();
        headers.insert("content-type", kind.unwrap());
        response
    })
    .await;
    let edge = edge_with(&[(ONE, &emitter), (TWO, &Machine::named("two").await)]).await;
    assert_eq!(who(&edge, "/").await, "two");
}

#[tokio::test]
async fn a_transformation_rewrites_the_replayed_request() {
    let emitter = emitting(
        r#"{"instance":"e286544f716d89","transform":{"path":"/new/path?param=value",
            "delete_headers":["x-unwanted","Cookie"],
            "set_headers":[{"name":"x-set","value":"new"},{"name":"x-added","value":"1"}]}}"#,
    )
    .await;
    let two = Machine::named("two").await;
    let edge = edge_with(&[(ONE, &emitter), (TWO, &two)]).await;
    let request = client()
        .post(edge.url("/old?q"))
        .header("x-unwanted", "1")
        .header("cookie", "a=b")
        .header("x-set", "old")
        .header("x-kept", "1")
        .body("payload");
    assert_eq!(request.send().await.unwrap().status(), 200);
    let seen = two.last();
    assert_eq!(seen.uri, "/new/path?param=value");
    assert_eq!(
        (seen.header("x-unwanted"), seen.header("cookie")),
        (None, None)
    );
    assert_eq!(seen.header("x-set"), Some("new"));
    assert_eq!(seen.headers.get_all("x-set").iter().count(), 1);
    assert_eq!(
        (seen.header("x-added"), seen.header("x-kept")),
        (Some("1"), Some("1"))
    );
    assert_eq!(seen.body, "payload");
    assert_eq!(emitter.last().uri, "/old?q");
}

#[tokio::test]
async fn a_fallback_gives_back_the_request_as_it_was() {
    let emitter =
        emitting(r#"{"instance":"gone","fallback":"force_self","transform":{"path":"/new"}}"#)
            .await;
    let edge = edge_with(&[(ONE, &emitter)]).await;
    assert_eq!(who(&edge, "/old").await, "fell back");
    assert_eq!(emitter.last().uri, "/old");
}

#[tokio::test]
async fn the_cache_object_is_the_cache_headers() {
    let document = r#"{"instance":"e286544f716d89","allow_bypass":true,
        "cache":{"prefix":"/a/*","ttl":60}}"#;
    let (emitter, two) = (emitting(document).await, Machine::named("two").await);
    let edge = edge_with(&[(ONE, &emitter), (TWO, &two)]).await;
    who(&edge, "/a/1").await;
    who(&edge, "/a/2").await;
    assert_eq!(emitter.seen().len(), 1);
    assert_eq!(two.last().header("fly-replay-cache-status"), Some("hit"));
    let request = client().get(edge.url("/a/3"));
    let request = request.header("fly-replay-cache-control", "skip");
    request.send().await.unwrap();
    assert_eq!(emitter.seen().len(), 2);

    let invalidating = emitting(r#"{"instance":"90801679a10038","cache":{"invalidate":true}}"#);
    edge.add(TWO, invalidating.await.addr);
    edge.add(THREE, Machine::named("three").await.addr);
    assert_eq!(who(&edge, "/a/4").await, "three");
    assert_eq!(edge.cached_replays(), 0);
}

#[tokio::test]
async fn a_cached_transformation_is_refused() {
    let document = r#"{"instance":"e286544f716d89","cache":{"prefix":"/*","ttl":60},
        "transform":{"delete_headers":["cookie"]}}"#;
    let edge = edge_with(&[(ONE, &emitting(document).await)]).await;
    assert_bad_gateway(get(&edge, "/").await).await;
    assert_eq!(kinds(&edge), [EdgeErrorKind::CacheConflict]);
}

#[tokio::test]
async fn what_the_reference_does_not_document_is_malformed() {
    for document in [
        "not json",
        "{}",
        r#"{"state":"alone"}"#,
        r#"{"instance":"a","colour":"red"}"#,
        r#"{"instance":"a","timeout":1500}"#,
        r#"{"instance":"a","state":"own\r\nx: y"}"#,
        r#"{"instance":"a","state":"own;t=0"}"#,
        r#"{"instance":"a","transform":{"path":"relative"}}"#,
        r#"{"instance":"a","transform":{"set_headers":[{"name":"content-length","value":"0"}]}}"#,
        r#"{"instance":"a","transform":{"set_headers":[{"name":"x","value":"a\nb"}]}}"#,
        r#"{"instance":"a","transform":{"delete_headers":["transfer-encoding"]}}"#,
        r#"{"instance":"a","cache":{"prefix":"/*","ttl":9}}"#,
        r#"{"instance":"a","cache":{}}"#,
    ] {
        let edge = edge_with(&[(ONE, &emitting(document).await)]).await;
        assert_bad_gateway(get(&edge, "/").await).await;
        assert_eq!(kinds(&edge), [EdgeErrorKind::MalformedReplay], "{document}");
    }
}

#[tokio::test]
async fn a_document_without_end_is_not_read_to_it() {
    let machine = Machine::start(|_| {
        let endless = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>("        "));
        axum::response::Response::builder()
            .header("content-type", "application/vnd.fly.replay+json")
            .body(axum::body::Body::from_stream(endless))
            .unwrap()
    })
    .await;
    let edge = edge_with(&[(ONE, &machine)]).await;
    assert_bad_gateway(get(&edge, "/").await).await;
    assert_eq!(kinds(&edge), [EdgeErrorKind::NoAnswer]);
}

#[tokio::test]
async fn the_header_counts_if_both_forms_are_there() {
    let emitter = Machine::start(|_| {
        let mut response = replay_json(r#"{"instance":"90801679a10038"}"#);
        let target = "instance=e286544f716d89".parse().unwrap();
        response.headers_mut().insert("fly-replay", target);
        response
    })
    .await;
    let (two, three) = (Machine::named("two").await, Machine::named("three").await);
    let edge = edge_with(&[(ONE, &emitter), (TWO, &two), (THREE, &three)]).await;
    assert_eq!(who(&edge, "/").await, "two");
}

#[tokio::test]
async fn a_transformation_may_name_another_host() {
    let document = r#"{"instance":"e286544f716d89",
        "transform":{"set_headers":[{"name":"host","value":"inner.example"}]}}"#;
    for h2 in [false, true] {
        let two = Machine::named("two").await;
        let edge = edge_with(&[(ONE, &emitting(document).await)]).await;
        edge.add_machine(EdgeMachine::new(TWO, two.addr).h2_backend(h2));
        assert_eq!(who(&edge, "/").await, "two");
        let seen = two.last();
        // HTTP/2 has a place of its own for the host, and only that.
        let expected = Some("inner.example").filter(|_| !h2);
        assert_eq!(seen.header("host"), expected);
        assert_eq!(seen.uri.host(), Some("inner.example").filter(|_| h2));
    }
}

#[tokio::test]
async fn a_document_may_arrive_in_pieces() {
    let emitter = Machine::start(|_| {
        let pieces = [r#"{"instance":"#, r#""e286544f716d89""#, "}"];
        let pieces = futures_util::stream::iter(pieces).then(|piece| async move {
            // Not a wait for anything: it keeps the pieces apart on the wire.
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            Ok::<_, std::io::Error>(piece)
        });
        let mut response = replay_json("");
        *response.body_mut() = axum::body::Body::from_stream(pieces);
        response
    })
    .await;
    let edge = edge_with(&[(ONE, &emitter), (TWO, &Machine::named("two").await)]).await;
    assert_eq!(who(&edge, "/").await, "two");
}
