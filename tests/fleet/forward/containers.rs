//! Two containers with one database, and no proxy.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::join_all;
use reqwest::Method;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::fleet::{OWNER, WRONG};
use crate::pair::{
    Pair, Variables, a_frozen_owner_serves_nothing_late, a_kill_breaks_streams,
    a_move_ends_streams, becomes, breaks, echoes, open,
};
use crate::support::client::{Answer, SOON, client, get, request, send};
use crate::support::container::Container;
use crate::support::database::Database;
use crate::support::incident::PreviewSession;
use crate::support::until;

const MB: usize = 1024 * 1024;

const FORWARD: Variables<'_> = &[
    ("OWNERSHIP_HANDOVER", "forward"),
    ("OWNERSHIP_PEER_ALLOW", "127.0.0.1"),
];

async fn pair() -> Pair {
    Pair::start(FORWARD).await
}

/// At the container that does not own the session.
fn url(pair: &Pair, rest: &str) -> String {
    pair.wrong.url(&pair.path(rest))
}

/// Bytes that the process has in memory.
fn resident(container: &Container) -> usize {
    let path = format!("/proc/{}/statm", container.pid);
    let status = std::fs::read_to_string(path).unwrap();
    let pages: usize = status.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

fn descriptors(container: &Container) -> usize {
    let path = format!("/proc/{}/fd", container.pid);
    std::fs::read_dir(path).unwrap().count()
}

#[tokio::test]
async fn either_container_serves_every_request_of_a_session() {
    let pair = pair().await;
    for container in [&pair.wrong, &pair.owner] {
        let url = |rest: &str| container.url(&pair.path(rest));
        get(url("/x")).await.is_served_by(OWNER);
        let head = send(request(Method::HEAD, url("/x"))).await;
        assert_eq!((head.status, head.text.as_str()), (200, ""));
        echoes(&mut open(&url("/ws")).await).await;
        let events = get(url("/events")).await;
        assert_eq!(events.text.matches("data: ").count(), 5, "{events:?}");
    }
}

#[tokio::test]
async fn a_hundred_megabytes_take_no_more_memory_than_one() {
    let pair = pair().await;
    // Chunked, by a client that is slow to send and one that is slow to read.
    let upload = async |length: usize| {
        let parts = (0..length / MB).map(|_| Ok::<_, std::io::Error>(vec![7; MB]));
        let body = reqwest::Body::wrap_stream(futures_util::stream::iter(parts));
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let upload = client.post(url(&pair, "/upload")).body(body).send();
        let answer = Answer::of(upload.await.unwrap()).await;
        answer.is_served_by(OWNER);
        assert_eq!(answer.json()["bytes"], length);
    };
    let download = async |length: usize| {
        let url = url(&pair, &format!("/download?bytes={length}"));
        let response = client().get(url).send().await.unwrap();
        assert_eq!(response.content_length(), Some(length as u64));
        let (mut body, mut read) = (response.bytes_stream(), 0);
        while let Some(part) = body.next().await {
            read += part.unwrap().len();
        }
        assert_eq!(read, length);
    };
    upload(MB).await;
    download(MB).await;
    let before = resident(&pair.wrong);
    upload(100 * MB).await;
    let uploaded = resident(&pair.wrong);
    download(100 * MB).await;
    for after in [uploaded, resident(&pair.wrong)] {
        let more = after.saturating_sub(before);
        assert!(more < 10 * MB, "{more} bytes more than before");
    }
}

#[tokio::test]
async fn a_thousand_websockets_are_carried_at_once() {
    const COUNT: usize = 1_000;
    let pair = pair().await;
    let url = url(&pair, "/ws");
    echoes(&mut open(&url).await).await;
    let at_rest = (resident(&pair.wrong), descriptors(&pair.wrong));
    let mut sockets = Vec::new();
    for _ in 0..COUNT / 50 {
        sockets.extend(join_all((0..50).map(|_| open(&url))).await);
    }
    join_all(sockets.iter_mut().map(echoes)).await;
    let open = descriptors(&pair.wrong) - at_rest.1;
    assert!((2 * COUNT - 10..2 * COUNT + 20).contains(&open), "{open}");
    let each = resident(&pair.wrong).saturating_sub(at_rest.0) / COUNT;
    assert!(each < 64 * 1024, "{each} bytes each");
    // Again, since each was held by its client while the others were opened.
    join_all(sockets.iter_mut().map(echoes)).await;
    let closed = sockets.into_iter().map(async |mut socket| {
        socket.close(None).await.unwrap();
        let answer = timeout(SOON, socket.next()).await.expect("an answer");
        assert!(matches!(answer, Some(Ok(Message::Close(_)))), "{answer:?}");
    });
    join_all(closed).await;
    until("the descriptors are closed", || {
        descriptors(&pair.wrong) < at_rest.1 + 20
    });
}

#[tokio::test]
async fn streams_of_a_session_that_moves_end_and_the_next_reach_its_new_owner() {
    let pair = pair().await;
    a_move_ends_streams(&pair, |rest| url(&pair, rest)).await;
}

#[tokio::test]
async fn streams_of_a_killed_owner_break() {
    let pair = pair().await;
    a_kill_breaks_streams(&pair, |rest| url(&pair, rest)).await;
}

#[tokio::test]
async fn a_frozen_owner_serves_nothing_when_it_goes_on() {
    let pair = pair().await;
    a_frozen_owner_serves_nothing_late(&pair, |rest| url(&pair, rest)).await;
}

#[tokio::test]
async fn a_session_is_carried_to_its_next_owner_when_its_owner_drains() {
    let pair = pair().await;
    get(url(&pair, "")).await.is_served_by(OWNER);
    let mut socket = open(&url(&pair, "/ws")).await;
    pair.owner.ask_to_stop();
    let goodbye = timeout(SOON, socket.next()).await.unwrap().unwrap();
    assert!(
        matches!(goodbye, Ok(Message::Close(Some(_)))),
        "{goodbye:?}"
    );
    becomes(&url(&pair, ""), WRONG).await;
    assert_eq!(pair.owner.exit_status(), 0);
}

#[tokio::test]
async fn streams_that_a_container_carries_hold_up_its_drain_for_its_limit_alone() {
    const LIMIT: Duration = Duration::from_secs(1);
    let pair = Pair::start(&[
        ("OWNERSHIP_HANDOVER", "forward"),
        ("OWNERSHIP_PEER_ALLOW", "127.0.0.1"),
        ("OWNERSHIP_DRAIN_MS", "1000"),
    ])
    .await;
    let events = client().get(url(&pair, "/events?count=1000")).send();
    let mut events = events.await.unwrap().bytes_stream();
    events.next().await.unwrap().unwrap();
    let mut socket = open(&url(&pair, "/ws")).await;
    echoes(&mut socket).await;
    let began = Instant::now();
    pair.wrong.ask_to_stop();
    // They go on meanwhile: their owner does not drain.
    events.next().await.unwrap().unwrap();
    echoes(&mut socket).await;
    breaks(events).await;
    let took = began.elapsed();
    assert!(took >= LIMIT && took < LIMIT * 5, "{took:?}");
    let end = timeout(SOON, socket.next()).await.expect("it ends");
    assert!(!matches!(end, Some(Ok(_))), "{end:?}");
    let url = pair.owner.url(&pair.path(""));
    get(url).await.is_served_by(OWNER);
    assert_eq!(pair.wrong.exit_status(), 0);
}

#[tokio::test]
async fn a_session_whose_row_names_only_the_owner_is_carried() {
    let pair = pair().await;
    let session = PreviewSession::owned_by(OWNER);
    let session = pair.database.insert(&session).await;
    let url = pair.wrong.url(&format!("/session/{session}"));
    get(url).await.is_served_by(OWNER);
}

#[tokio::test]
async fn a_session_is_carried_to_where_its_owner_runs_after_a_restart() {
    let mut pair = pair().await;
    get(url(&pair, "")).await.is_served_by(OWNER);
    pair.owner.kill();
    // At another port, while the row has the address of the process before.
    pair.owner = pair.start_container(OWNER).await;
    becomes(&url(&pair, ""), OWNER).await;
}

#[tokio::test]
async fn a_container_that_is_asked_to_stop_finishes_what_it_carries() {
    let pair = pair().await;
    // Nor does a client that goes on listening keep it.
    let events = client().get(url(&pair, "/events?count=1000"));
    let mut events = events.send().await.unwrap().bytes_stream();
    let (parts, body) = tokio::sync::mpsc::channel(1);
    let body = reqwest::Body::wrap_stream(tokio_stream::wrappers::ReceiverStream::new(body));
    let upload = tokio::spawn(client().post(url(&pair, "/upload")).body(body).send());
    let part = || Ok::<_, std::io::Error>(vec![7; MB]);
    // More than the sockets on the way hold, so that the container has begun to carry it.
    for _ in 0..16 {
        parts.send(part()).await.unwrap();
    }
    pair.wrong.ask_to_stop();
    until("it is draining", || {
        pair.wrong.log().contains("asked to stop")
    });
    parts.send(part()).await.unwrap();
    drop(parts);
    let answer = Answer::of(upload.await.unwrap().unwrap()).await;
    answer.is_served_by(OWNER);
    assert_eq!(answer.json()["bytes"], 17 * MB);
    let end = timeout(SOON, async {
        while let Some(Ok(_)) = events.next().await {}
    });
    end.await.expect("the stream ends");
    assert_eq!(pair.wrong.exit_status(), 0);
}

#[tokio::test]
async fn a_session_is_taken_over_when_its_owner_is_killed() {
    let pair = pair().await;
    get(url(&pair, "")).await.is_served_by(OWNER);
    pair.owner.kill();
    let codes = becomes(&url(&pair, ""), WRONG).await;
    let unreachable = codes.iter().any(|code| code == "owner-unreachable");
    assert!(unreachable, "{codes:?}");
}

#[tokio::test]
async fn containers_whose_tables_contradict_each_other_end_in_a_refusal() {
    let session = PreviewSession::owned_by(OWNER);
    let tables = [Database::fresh().await, Database::fresh().await];
    let containers: Vec<_> = [WRONG, OWNER]
        .iter()
        .zip(&tables)
        .map(|(machine, table)| {
            let url = table.url();
            let mut variables = vec![("MACHINE_ID", *machine), ("DATABASE_URL", url.as_str())];
            variables.extend(FORWARD);
            Container::start(&variables)
        })
        .collect();
    for (at, owner) in [(0, OWNER), (1, WRONG)] {
        tables[at].incident_table().await;
        let row = PreviewSession {
            container_id: Some(owner.to_owned()),
            container_url: Some(containers[1 - at].url("")),
            ..session.clone()
        };
        tables[at].insert(&row).await;
    }
    for container in &containers {
        let answer = get(container.url(&format!("/session/{}", session.id))).await;
        answer.is_refused(508, "replay-loop");
    }
}

#[tokio::test]
async fn a_container_that_may_carry_requests_nowhere_does_not_start() {
    let (status, log) =
        Container::attempt(&[("MACHINE_ID", WRONG), ("OWNERSHIP_HANDOVER", "forward")])
            .err()
            .expect("it ends");
    assert_ne!(status, 0);
    assert!(log.contains("OWNERSHIP_PEER_ALLOW"), "{log}");
}
