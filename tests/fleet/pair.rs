//! Two containers with one database, and what holds for them however requests get to an owner.

use std::time::{Duration, Instant};

use futures_util::{Stream, StreamExt};
use reqwest::Method;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Message, protocol::frame::coding::CloseCode};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tower_ownership::ownership::LossReason;
use tower_ownership::{PostgresLookup, SessionId};
use uuid::Uuid;

use crate::fleet::{OWNER, THIRD, WRONG, machine_id};
use crate::life::migrate;
use crate::support::client::{Answer, SOON, client, get, request, send};
use crate::support::container::Container;
use crate::support::database::Database;
use crate::support::until_async;

/// Of the environment.
pub type Variables<'a> = &'a [(&'static str, &'static str)];
pub type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

pub struct Pair {
    pub database: Database,
    pub wrong: Container,
    pub owner: Container,
    /// Born at the owner.
    pub session: Uuid,
    handover: Variables<'static>,
}

/// Starts a container, and waits until it has joined.
async fn start(machine: &str, url: &str, handover: Variables<'_>) -> Container {
    let mut variables = vec![
        ("MACHINE_ID", machine),
        ("DATABASE_URL", url),
        ("OWNERSHIP_LIFE", "on"),
        ("OWNERSHIP_FRESHNESS_MS", "1000"),
        ("OWNERSHIP_BEAT_MS", "250"),
        ("OWNERSHIP_LOST_AFTER_MS", "1500"),
        ("OWNERSHIP_PEER", "http://127.0.0.1:{PORT}"),
    ];
    variables.extend(handover);
    let container = Container::start(&variables);
    until_async("it is ready", async || {
        get(container.url("/health/ready")).await.status == 200
    })
    .await;
    container
}

impl Pair {
    pub async fn start(handover: Variables<'static>) -> Self {
        let database = Database::fresh().await;
        migrate(&database).await;
        let url = database.url();
        let wrong = start(WRONG, &url, handover).await;
        let owner = start(OWNER, &url, handover).await;
        let born = send(request(Method::POST, owner.url("/session"))).await;
        assert_eq!(born.status, 201, "{born:?}");
        let session = born.json()["session"].as_str().unwrap().parse().unwrap();
        Self {
            database,
            wrong,
            owner,
            session,
            handover,
        }
    }

    /// The session's path.
    pub fn path(&self, rest: &str) -> String {
        format!("/session/{}{rest}", self.session)
    }

    /// Another container of the fleet.
    pub async fn start_container(&self, machine: &str) -> Container {
        start(machine, &self.database.url(), self.handover).await
    }

    /// A third container, which becomes the session's owner.
    pub async fn moves(&self) -> Container {
        let third = self.start_container(THIRD).await;
        let lookup = PostgresLookup::builder(self.database.url()).ownership();
        let directory = lookup.build().unwrap().directory().unwrap();
        let (session, third_id) = (SessionId::from(self.session), machine_id(THIRD));
        directory.assign(&session, &third_id).await.unwrap();
        third
    }
}

/// Asks until this machine serves; every other answer has to say when to ask again. Returns the
/// codes of those.
pub async fn becomes(url: &str, machine: &str) -> Vec<String> {
    let (began, mut codes) = (Instant::now(), Vec::new());
    loop {
        let answer = get(url.to_owned()).await;
        if answer.status == 200 && answer.json()["machine"] == machine {
            return codes;
        }
        let is_fine = answer.status == 200 || answer.header("retry-after").is_some();
        assert!(is_fine && began.elapsed() < SOON, "{answer:?}");
        codes.extend(answer.code().map(str::to_owned));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub async fn open(url: &str) -> Socket {
    let url = url.replace("http:", "ws:");
    connect_async(url).await.unwrap().0
}

pub async fn echoes(socket: &mut Socket) {
    use futures_util::SinkExt as _;

    socket.send(Message::text("hello")).await.unwrap();
    let echo = timeout(SOON, socket.next()).await.unwrap().unwrap();
    assert_eq!(echo.unwrap(), Message::text("hello"));
}

/// The next part of a body; `None` at its end.
async fn next<T, E>(body: &mut (impl Stream<Item = Result<T, E>> + Unpin)) -> Option<Result<T, E>> {
    timeout(SOON, body.next())
        .await
        .expect("it goes on, or ends")
}

/// Reads a body that ends with an error, and not as if it were complete.
pub async fn breaks<T, E>(mut body: impl Stream<Item = Result<T, E>> + Unpin) {
    let end = async {
        loop {
            match body.next().await {
                Some(Ok(_)) => {}
                end => return end,
            }
        }
    };
    let end = timeout(SOON, end).await.expect("it ends");
    assert!(end.is_some(), "a clean end");
}

/// All streams of a session that moves end: those that have a way to say so say it, and what was to be
/// longer breaks. The next ones reach the new owner.
pub async fn a_move_ends_streams(pair: &Pair, url: impl Fn(&str) -> String) {
    let mut events = client()
        .get(url("/events?count=1000"))
        .send()
        .await
        .unwrap()
        .bytes_stream();
    next(&mut events).await.unwrap().unwrap();
    let mut socket = open(&url("/ws")).await;
    echoes(&mut socket).await;
    let long = client().get(url("/download?bytes=1000000000000")).send();
    let mut long = long.await.unwrap().bytes_stream();
    next(&mut long).await.unwrap().unwrap();

    let _third = pair.moves().await;
    let goodbye = next(&mut socket).await.unwrap().unwrap();
    let Message::Close(Some(goodbye)) = goodbye else {
        panic!("no goodbye, but {goodbye:?}");
    };
    assert_eq!(goodbye.code, CloseCode::from(LossReason::CLOSE_CODE));
    assert_eq!(goodbye.reason, "moved");
    let mut read = String::new();
    while let Some(part) = next(&mut events).await {
        read.push_str(std::str::from_utf8(&part.unwrap()).unwrap());
    }
    let end = "event: ownership-lost\ndata: moved\n\n";
    assert!(read.ends_with(end), "{read}");
    breaks(long).await;

    becomes(&url(""), THIRD).await;
    let events = get(url("/events")).await;
    assert_eq!(events.text.matches(THIRD).count(), 5, "{events:?}");
    echoes(&mut open(&url("/ws")).await).await;
}

/// Streams of an owner that is killed break, and what was to be more of them is no end.
pub async fn a_kill_breaks_streams(pair: &Pair, url: impl Fn(&str) -> String) {
    let events = client().get(url("/events?count=1000")).send();
    let mut events = events.await.unwrap().bytes_stream();
    next(&mut events).await.unwrap().unwrap();
    let mut socket = open(&url("/ws")).await;
    echoes(&mut socket).await;
    pair.owner.kill();
    let end = next(&mut socket).await;
    assert!(matches!(end, Some(Err(_)) | None), "{end:?}");
    breaks(events).await;
    becomes(&url(""), WRONG).await;
    echoes(&mut open(&url("/ws")).await).await;
}

/// The session of an owner that is frozen is taken over, and a request that the owner holds is not served
/// by it when it goes on.
pub async fn a_frozen_owner_serves_nothing_late(pair: &Pair, url: impl Fn(&str) -> String) {
    // Longer than until a machine or proxy doubts that an owner will answer.
    const PATIENCE: Duration = Duration::from_millis(1_500);
    get(url("")).await.is_served_by(OWNER);
    pair.owner.freeze();
    let held = tokio::spawn(get(url("/held")));
    let began = Instant::now();
    loop {
        let impatient = client().get(url("")).timeout(PATIENCE);
        // Until the owner is lost, requests wait for it.
        if let Ok(response) = impatient.send().await {
            let answer = Answer::of(response).await;
            if answer.status == 200 {
                answer.is_served_by(WRONG);
                break;
            }
            assert!(answer.header("retry-after").is_some(), "{answer:?}");
        }
        assert!(began.elapsed() < SOON);
    }
    pair.owner.thaw();
    let held = timeout(SOON, held).await.expect("an answer").unwrap();
    if held.status == 200 {
        held.is_served_by(WRONG);
    } else {
        assert!(held.header("retry-after").is_some(), "{held:?}");
    }
    becomes(&url(""), WRONG).await;
}
