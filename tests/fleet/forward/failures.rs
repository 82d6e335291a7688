//! Owners that are down, frozen, or hang up.

use std::net::TcpListener as BlockedListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower_ownership::{CachePolicy, MemoryDirectory, RejectionCode, observe::Observed};

use super::{Alone, Machine, Pair, builder, forward, impatient, listener, session_at};
use crate::fleet::{OWNER, WRONG, new_session};
use crate::support::client::{Answer, get, request, send};
use crate::support::relay::Relay;

fn is_unreachable(answer: &Answer, why: &str) {
    answer.is_refused(503, "owner-unreachable");
    assert!(answer.header("retry-after").is_some());
    let detail = answer.json()["detail"].to_string();
    assert!(detail.contains(&format!("({why})")), "{detail}");
}

#[tokio::test]
async fn an_owner_that_is_down_is_unreachable() {
    let mut pair = Pair::start().await;
    let session = pair.session();
    // Once with a connection that is kept, and once without.
    get(pair.url(&session, "")).await.is_served_by(OWNER);
    pair.owner.server.stop().await;
    let answer = get(pair.url(&session, "")).await;
    is_unreachable(&answer, "connect");
    assert!(
        answer.text.contains("connection refused"),
        "{}",
        answer.text
    );
    let other = new_session();
    let nowhere = format!("http://127.0.0.1:{}", crate::support::free_port());
    pair.sessions.insert(session_at(&other, OWNER, &nowhere));
    is_unreachable(&get(pair.url(&other, "")).await, "connect");
}

/// So that its event can be joined with those of other machines.
#[tokio::test]
async fn a_refusal_after_an_attempt_says_what_others_call_the_request() {
    let (sessions, told) = (MemoryDirectory::new(), Arc::new(Mutex::new(Vec::new())));
    let tells = Arc::clone(&told);
    let layer = builder(WRONG, &sessions).on_verdict(move |seen: &Observed<'_>| {
        let request = seen.request.unwrap();
        let line = format!("{:?} {}", request.request_id(), request.path());
        tells.lock().unwrap().push((seen.code(), line));
    });
    let layer = layer.forward(forward()).build().unwrap();
    let wrong = Machine::with(WRONG, layer, |router| router).await;
    let session = new_session();
    let nowhere = format!("http://127.0.0.1:{}", crate::support::free_port());
    sessions.insert(session_at(&session, OWNER, &nowhere));
    let url = wrong.server.url(&format!("/session/{session}/files"));
    let asked = request(Method::GET, url).header("fly-request-id", "01JF-fra");
    is_unreachable(&send(asked).await, "connect");
    let line = format!("Some(\"01JF-fra\") /session/…{}/files", session.short());
    let both = [None, Some(RejectionCode::OwnerUnreachable)];
    assert_eq!(*told.lock().unwrap(), both.map(|code| (code, line.clone())));
}

#[tokio::test]
async fn an_owner_that_accepts_and_never_answers_runs_out_of_time() {
    let frozen = BlockedListener::bind("127.0.0.1:0").unwrap();
    let alone = Alone::before(frozen.local_addr().unwrap(), impatient()).await;
    is_unreachable(&get(alone.url()).await, "timeout");
    let upload = request(Method::POST, alone.url()).body(vec![0; 10_000_000]);
    is_unreachable(&send(upload).await, "timeout");
}

#[tokio::test]
async fn a_slow_upload_is_no_reason_to_give_up() {
    let sessions = MemoryDirectory::new();
    let wrong = Machine::start(WRONG, &sessions, impatient()).await;
    let owner = Machine::start(OWNER, &sessions, forward()).await;
    let session = new_session();
    sessions.insert(session_at(&session, OWNER, &owner.server.url("")));
    // Two bytes, with a pause that is longer than the owner has for its answer.
    let parts = futures_util::stream::unfold(0, async |sent| {
        if sent == 2 {
            return None;
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        Some((Ok::<_, std::io::Error>("x"), sent + 1))
    });
    let url = wrong.server.url(&format!("/session/{session}/upload"));
    let upload = request(Method::POST, url).body(reqwest::Body::wrap_stream(parts));
    let answer = send(upload).await;
    answer.is_served_by(OWNER);
    assert_eq!(answer.json()["bytes"], 2);
}

#[tokio::test]
async fn a_client_that_is_still_sending_reads_that_the_owner_is_down() {
    let nowhere = std::net::SocketAddr::from(([127, 0, 0, 1], crate::support::free_port()));
    reads(nowhere, b"HTTP/1.1 503").await;
}

#[tokio::test]
async fn a_client_that_is_still_sending_reads_an_owners_early_answer() {
    let (addr, _) = owner_that(b"HTTP/1.1 413 Too Large\r\ncontent-length: 4\r\n\r\nlong").await;
    reads(addr, b"HTTP/1.1 413").await;
}

/// Sends 12 MB to the end, more than the buffers on the way hold, and reads this.
async fn reads(owner: std::net::SocketAddr, expected: &[u8; 12]) {
    let alone = Alone::before(owner, forward()).await;
    for _ in 0..5 {
        let mut client = tokio::net::TcpStream::connect(alone.wrong.server.addr)
            .await
            .unwrap();
        let head = format!(
            "POST /session/{} HTTP/1.1\r\nhost: app\r\ncontent-length: 12000000\r\n\r\n",
            alone.session
        );
        client.write_all(head.as_bytes()).await.unwrap();
        // In parts, so that the answer could be there before the body is.
        for _ in 0..120 {
            client
                .write_all(&vec![7; 100_000])
                .await
                .expect("it is read");
        }
        let mut answer = [0; 12];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, expected);
    }
}

/// Accepts connections and does this with each after the first bytes have come.
async fn owner_that(answers: &'static [u8]) -> (std::net::SocketAddr, Arc<AtomicUsize>) {
    let (listener, addr) = listener().await;
    let accepted = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&accepted);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let mut read = [0; 4096];
            let _ = stream.read(&mut read).await;
            let _ = stream.write_all(answers).await;
        }
    });
    (addr, accepted)
}

#[tokio::test]
async fn a_request_that_may_have_arrived_is_not_sent_again() {
    for answers in [
        &b""[..],
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"nonsense\r\n\r\n",
    ] {
        let (addr, accepted) = owner_that(answers).await;
        let alone = Alone::before(addr, forward()).await;
        is_unreachable(&get(alone.url()).await, "reset");
        let post = request(Method::POST, alone.url()).body("pay");
        is_unreachable(&send(post).await, "reset");
        assert_eq!(accepted.load(Ordering::SeqCst), 2);
    }
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let pair = Pair::start().await;
    let relay = Relay::to(pair.owner.server.addr.port()).await;
    let session = new_session();
    let at = format!("http://127.0.0.1:{}", relay.port());
    pair.sessions.insert(session_at(&session, OWNER, &at));
    for _ in 0..5 {
        get(pair.url(&session, "")).await.is_served_by(OWNER);
        let upload = request(Method::POST, pair.url(&session, "/upload")).body(vec![0; 300_000]);
        send(upload).await.is_served_by(OWNER);
    }
    assert_eq!(relay.accepted(), 1);
}

#[tokio::test]
async fn a_connection_that_the_owner_closed_while_idle_costs_no_request() {
    let mut closed = 0;
    let (listener, addr) = listener().await;
    let alone = Alone::before(addr, forward()).await;
    let owner = tokio::spawn(async move {
        // One answer per connection, which is closed without saying so.
        while closed < 5 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut read = [0; 4096];
            let _ = stream.read(&mut read).await.unwrap();
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            stream.write_all(answer).await.unwrap();
            closed += 1;
        }
    });
    for _ in 0..5 {
        let post = request(Method::POST, alone.url()).body("once");
        assert_eq!(send(post).await.text, "ok");
    }
    owner.await.unwrap();
}

#[tokio::test]
async fn an_owner_that_does_not_answer_takes_only_so_many_connections() {
    let frozen = BlockedListener::bind("127.0.0.1:0").unwrap();
    let few = forward().max_requests(2);
    let alone = Alone::before(frozen.local_addr().unwrap(), few).await;
    let waiting: Vec<_> = (0..2).map(|_| tokio::spawn(get(alone.url()))).collect();
    crate::support::until_async("two are on their way", async || {
        let answer = tokio::time::timeout(std::time::Duration::from_millis(200), get(alone.url()));
        match answer.await {
            Ok(answer) => {
                is_unreachable(&answer, "full");
                true
            }
            Err(_) => false,
        }
    })
    .await;
    for waits in waiting {
        waits.abort();
    }
}

#[tokio::test]
async fn a_request_that_no_owner_took_is_carried_to_the_next_one() {
    let sessions = MemoryDirectory::new();
    let recheck = CachePolicy::new().recheck(std::time::Duration::ZERO);
    let layer = builder(WRONG, &sessions).cache_policy(recheck);
    let layer = layer.forward(forward()).build().unwrap();
    let wrong = Machine::with(WRONG, layer, |router| router).await;
    let mut before = Machine::start("before", &sessions, forward()).await;
    let owner = Machine::start(OWNER, &sessions, forward()).await;
    let session = new_session();
    let at = |machine: &Machine| session_at(&session, machine.id, &machine.server.url(""));
    let url = wrong.server.url(&format!("/session/{session}"));
    sessions.insert(at(&before));
    get(url.clone()).await.is_served_by("before");
    before.server.stop().await;
    sessions.insert(at(&owner));
    // The first of these by what the machine remembers, the second by what was read again.
    for _ in 0..2 {
        let upload = request(Method::POST, format!("{url}/upload")).body(vec![0; 300_000]);
        let answer = send(upload).await;
        answer.is_served_by(OWNER);
        assert_eq!(answer.json()["bytes"], 300_000);
    }
    assert_eq!(owner.application.served(&session), 2);
}

#[tokio::test]
async fn a_session_that_moves_is_found_at_its_new_owner() {
    let pair = Pair::start().await;
    let session = pair.session();
    get(pair.url(&session, "")).await.is_served_by(OWNER);
    pair.give(&session, &pair.wrong);
    get(pair.url(&session, "")).await.is_served_by(WRONG);
    // What was the owner is the wrong machine now.
    let there = pair.owner.server.url(&format!("/session/{session}"));
    get(there).await.is_served_by(WRONG);
}
