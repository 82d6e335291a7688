//! Event streams and gRPC.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::stream;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, StreamBody};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::sync::mpsc;
use tonic::Code;
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower_ownership::testing::{EdgeMachine, FlyEdge};

use super::machine::*;

#[tokio::test]
async fn events_arrive_one_by_one() {
    let (events, queue) = mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    let queue = Arc::new(tokio::sync::Mutex::new(Some(queue)));
    let addr = serve(move |_| {
        let queue = Arc::clone(&queue);
        async move {
            let queue = queue.lock().await.take().unwrap();
            let events = stream::unfold(queue, |mut queue| async {
                queue.recv().await.map(|event| (event, queue))
            });
            Response::builder()
                .header("content-type", "text/event-stream")
                .body(Body::from_stream(events))
                .unwrap()
        }
    })
    .await;
    let emitter = Machine::replaying("instance=e286544f716d89").await;
    let edge = edge_with(&[(ONE, &emitter)]).await;
    edge.add(TWO, addr);
    let mut response = get(&edge, "/events").await;
    for event in ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"] {
        // The next event is not even made before this one has arrived.
        events.send(Ok(Bytes::from(event))).await.unwrap();
        assert_eq!(response.chunk().await.unwrap().unwrap(), event);
    }
    drop(events);
    assert_eq!(response.chunk().await.unwrap(), None);
}

#[tokio::test]
async fn a_client_that_leaves_a_stream_ends_it_at_the_machine() {
    let (events, queue) = mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    let queue = Arc::new(tokio::sync::Mutex::new(Some(queue)));
    let addr = serve(move |_| {
        let queue = Arc::clone(&queue);
        async move {
            let queue = queue.lock().await.take().unwrap();
            Response::new(Body::from_stream(stream::unfold(
                queue,
                |mut queue| async { queue.recv().await.map(|event| (event, queue)) },
            )))
        }
    })
    .await;
    let edge = edge().start().await.unwrap();
    edge.add(ONE, addr);
    let mut response = get(&edge, "/").await;
    events.send(Ok(Bytes::from("one"))).await.unwrap();
    response.chunk().await.unwrap();
    drop(response);
    tokio::time::timeout(Duration::from_secs(10), events.closed())
        .await
        .expect("the machine's stream is dropped");
}

async fn health_machine() -> (std::net::SocketAddr, tonic_health::server::HealthReporter) {
    let (reporter, service) = tonic_health::server::health_reporter();
    reporter
        .set_service_status("preview", ServingStatus::Serving)
        .await;
    let routes = tonic::service::Routes::new(service).into_axum_router();
    (serve_app(routes).await, reporter)
}

async fn health_client(edge: &FlyEdge) -> HealthClient<tonic::transport::Channel> {
    let endpoint = tonic::transport::Endpoint::new(edge.url("")).unwrap();
    HealthClient::new(endpoint.connect().await.unwrap())
}

fn preview() -> HealthCheckRequest {
    HealthCheckRequest {
        service: "preview".into(),
    }
}

#[tokio::test]
async fn grpc_passes_with_its_trailers() {
    let (addr, reporter) = health_machine().await;
    let edge = edge().start().await.unwrap();
    edge.add_machine(EdgeMachine::new(ONE, addr).h2_backend(true));
    let mut client = health_client(&edge).await;
    assert_eq!(
        client.check(preview()).await.unwrap().into_inner().status,
        1
    );
    let unknown = HealthCheckRequest {
        service: "unknown".into(),
    };
    assert_eq!(
        client.check(unknown).await.unwrap_err().code(),
        Code::NotFound
    );

    let mut watch = client.watch(preview()).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status, 1);
    reporter
        .set_service_status("preview", ServingStatus::NotServing)
        .await;
    assert_eq!(watch.message().await.unwrap().unwrap().status, 2);
}

#[tokio::test]
async fn grpc_is_replayed() {
    let emitter = Machine::replaying("instance=e286544f716d89").await;
    for h2 in [true, false] {
        let (addr, _reporter) = health_machine().await;
        let edge = edge().start().await.unwrap();
        edge.add_machine(EdgeMachine::new(ONE, emitter.addr).h2_backend(h2));
        edge.add_machine(EdgeMachine::new(TWO, addr).h2_backend(true));
        let mut client = health_client(&edge).await;
        assert_eq!(
            client.check(preview()).await.unwrap().into_inner().status,
            1
        );
        assert_eq!(emitter.last().header("te"), Some("trailers"));
    }
}

fn h2_client<B>() -> Client<hyper_util::client::legacy::connect::HttpConnector, B>
where
    B: http_body::Body + Send,
    B::Data: Send,
{
    Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http()
}

#[tokio::test]
async fn request_trailers_are_replayed() {
    let (emitter, owner) = (
        Machine::replaying("instance=e286544f716d89").await,
        Machine::named("owner").await,
    );
    let edge = edge().start().await.unwrap();
    for (id, machine) in [(ONE, &emitter), (TWO, &owner)] {
        edge.add_machine(EdgeMachine::new(id, machine.addr).h2_backend(true));
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "42".parse().unwrap());
    let frames = [
        http_body::Frame::data(Bytes::from_static(b"payload")),
        http_body::Frame::trailers(trailers.clone()),
    ];
    let body = StreamBody::new(stream::iter(frames.map(Ok::<_, std::io::Error>)));
    let request = Request::post(edge.url("/")).body(body).unwrap();
    let response = h2_client().request(request).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "owner");
    for seen in [emitter.last(), owner.last()] {
        assert_eq!(
            (&seen.body[..], seen.trailers),
            (&b"payload"[..], Some(trailers.clone()))
        );
    }
}

#[tokio::test]
async fn both_directions_of_a_call_stay_open() {
    let addr = serve(|request| async { Response::new(Body::new(request.into_body())) }).await;
    let edge = edge().start().await.unwrap();
    edge.add_machine(EdgeMachine::new(ONE, addr).h2_backend(true));
    let (words, queue) = mpsc::channel::<Bytes>(1);
    let body = stream::unfold(queue, |mut queue| async {
        let word = queue.recv().await?;
        Some((Ok::<_, std::io::Error>(http_body::Frame::data(word)), queue))
    });
    let body = StreamBody::new(Box::pin(body));
    let request = Request::post(edge.url("/")).body(body).unwrap();
    let mut echo = h2_client().request(request).await.unwrap().into_body();
    for word in ["one", "two", "three"] {
        words.send(Bytes::from(word)).await.unwrap();
        let frame = echo.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), word);
    }
    drop(words);
    assert_eq!(echo.collect().await.unwrap().to_bytes(), "");
}
