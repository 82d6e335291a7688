//! Bodies of any length, in both directions.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::{Body, Bytes};
use axum::routing::{get, post};
use futures_util::{Stream, StreamExt, stream};

use super::Pair;
use crate::support::client::{client, send};

const CHUNK: usize = 64 * 1024;
const CHUNKS: usize = 1_600;
/// What may be on its way: buffers of sockets and of hyper, far less than 100 MB.
const ON_ITS_WAY: usize = 24 * 1024 * 1024;

/// Bytes that differ from place to place, so that a lost or doubled part shows.
fn noise() -> Bytes {
    let noise = |at: usize| u8::try_from((at * 31 + at / 251) % 256).unwrap();
    (0..CHUNK).map(noise).collect::<Vec<_>>().into()
}

/// Counts what one side made and the other side got.
#[derive(Clone, Default)]
struct Counted {
    made: Arc<AtomicUsize>,
    got: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Counted {
    fn hundred_mb(&self) -> impl Stream<Item = Result<Bytes, Infallible>> + use<> {
        let (noise, counted) = (noise(), self.clone());
        stream::iter(0..CHUNKS).map(move |_| {
            let made = counted.made.fetch_add(CHUNK, Ordering::SeqCst) + CHUNK;
            let on_its_way = made - counted.got.load(Ordering::SeqCst);
            counted.most.fetch_max(on_its_way, Ordering::SeqCst);
            Ok(noise.clone())
        })
    }

    /// Reads to the end, and compares.
    async fn read(&self, mut body: impl Stream<Item = Bytes> + Unpin) -> usize {
        let noise = noise();
        let mut read = 0;
        while let Some(part) = body.next().await {
            let mut rest = &part[..];
            while !rest.is_empty() {
                let expected = &noise[read % CHUNK..];
                let length = rest.len().min(expected.len());
                assert!(rest[..length] == expected[..length], "at byte {read}");
                read += length;
                rest = &rest[length..];
            }
            self.got.fetch_add(part.len(), Ordering::SeqCst);
        }
        read
    }

    fn was_streamed(&self) {
        let most = self.most.load(Ordering::SeqCst);
        assert!(most < ON_ITS_WAY, "{most} bytes were on their way at once");
    }
}

#[tokio::test]
async fn a_hundred_megabytes_are_uploaded_without_being_collected() {
    let counted = Counted::default();
    let owner = counted.clone();
    let pair = Pair::with(move |router| {
        let read = post(async move |body: Body| {
            let body = body.into_data_stream().map(Result::unwrap);
            owner.read(body).await.to_string()
        });
        router.route("/session/{id}/read", read)
    })
    .await;
    let session = pair.session();
    // Chunked, and with a length.
    for length in [None, Some(CHUNK * CHUNKS)] {
        let body = reqwest::Body::wrap_stream(counted.hundred_mb());
        let mut upload = client().post(pair.url(&session, "/read")).body(body);
        if let Some(length) = length {
            upload = upload.header("content-length", length);
        }
        let answer = send(upload).await;
        assert_eq!(answer.text, (CHUNK * CHUNKS).to_string());
        counted.was_streamed();
    }
}

#[tokio::test]
async fn a_hundred_megabytes_are_downloaded_without_being_collected() {
    let counted = Counted::default();
    let owner = counted.clone();
    let pair = Pair::with(move |router| {
        let write = get(async move || Body::from_stream(owner.hundred_mb()));
        router.route("/session/{id}/write", write)
    })
    .await;
    let session = pair.session();
    let url = pair.url(&session, "/write");
    let response = client().get(url).send().await.unwrap();
    let body = response.bytes_stream().map(Result::unwrap);
    assert_eq!(counted.read(body).await, CHUNK * CHUNKS);
    counted.was_streamed();
}

#[tokio::test]
async fn a_slow_reader_holds_the_owner_back() {
    let made = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&made);
    let pair = Pair::with(move |router| {
        let endless = get(async move || {
            let noise = noise();
            let chunks = stream::repeat_with(move || {
                counted.fetch_add(CHUNK, Ordering::SeqCst);
                Ok::<_, Infallible>(noise.clone())
            });
            Body::from_stream(chunks)
        });
        router.route("/session/{id}/endless", endless)
    })
    .await;
    let session = pair.session();
    let mut response = client()
        .get(pair.url(&session, "/endless"))
        .send()
        .await
        .unwrap();
    response.chunk().await.unwrap();
    // Nothing is read: what is made comes to an end when the buffers on the way are full.
    let mut last = 0;
    crate::support::until_async("the owner is held back", async || {
        let now = made.load(Ordering::SeqCst);
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        let stands = now == last && now == made.load(Ordering::SeqCst);
        last = now;
        stands
    })
    .await;
    assert!(last < 64 * 1024 * 1024, "{last} bytes were made");
}

#[tokio::test]
async fn trailers_arrive_where_the_client_takes_them() {
    use http_body_util::{BodyExt as _, Full, StreamBody};

    let pair = Pair::with(|router| {
        let trailing = async || {
            let mut trailers = http::HeaderMap::new();
            trailers.insert("x-digest", "abc".parse().unwrap());
            let data = hyper::body::Frame::data(Bytes::from_static(b"data"));
            let frames = [
                Ok::<_, Infallible>(data),
                Ok(hyper::body::Frame::trailers(trailers)),
            ];
            let body = Body::new(StreamBody::new(stream::iter(frames)));
            http::Response::builder()
                .header("trailer", "x-digest")
                .body(body)
                .unwrap()
        };
        router.route("/session/{id}/trailers", get(trailing))
    })
    .await;
    let session = pair.session();
    let stream = tokio::net::TcpStream::connect(pair.wrong.server.addr)
        .await
        .unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let asking = http::Request::builder()
        .uri(format!("/session/{session}/trailers"))
        .header("host", "app")
        .header("te", "trailers")
        .header("connection", "te")
        .body(Full::<Bytes>::default())
        .unwrap();
    let body = sender.send_request(asking).await.unwrap().into_body();
    let collected = body.collect().await.unwrap();
    let trailers = collected.trailers().cloned().unwrap_or_default();
    assert_eq!(trailers.get("x-digest").unwrap(), "abc");
    assert_eq!(collected.to_bytes(), "data");
}
