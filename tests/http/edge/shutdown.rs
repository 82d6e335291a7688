//! The end of an edge.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use futures_util::stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tower_ownership::testing::{EdgeMachine, FlyEdge};

use super::machine::*;

/// The edge gets a runtime to itself, so that its tasks can be counted.
fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

/// Streams without end, an upload without end, a wake without end and an idle connection.
async fn busy(edge: &FlyEdge, witness: &Arc<()>) -> (reqwest::Response, Vec<TcpStream>) {
    let streaming = Machine::start(|_| {
        let first = stream::iter([Ok::<_, std::io::Error>("first")]);
        Response::new(Body::from_stream(futures_util::StreamExt::chain(
            first,
            stream::pending(),
        )))
    })
    .await;
    edge.add(ONE, streaming.addr);
    let kept = Arc::clone(witness);
    edge.add_machine(EdgeMachine::stopped(TWO, move || {
        let held = Arc::clone(&kept);
        async move {
            pending::<()>().await;
            drop(held);
            unreachable!()
        }
    }));
    let mut response = get(edge, "/").await;
    assert_eq!(response.chunk().await.unwrap().unwrap(), "first");

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    edge.add(THREE, silent.local_addr().unwrap());
    let mut clients = Vec::new();
    for id in [TWO, THREE] {
        let mut client = TcpStream::connect(edge.addr()).await.unwrap();
        let head = format!(
            "POST / HTTP/1.1\r\nhost: a\r\nfly-force-instance-id: {id}\r\ncontent-length: 9\r\n\r\n"
        );
        client.write_all(head.as_bytes()).await.unwrap();
        clients.push(client);
    }
    silent.accept().await.unwrap();
    // One for the caller, one for the hook, and one for the wake that the hook began.
    while Arc::strong_count(witness) < 3 {
        tokio::task::yield_now().await;
    }
    clients.push(TcpStream::connect(edge.addr()).await.unwrap());
    (response, clients)
}

/// The runtime strikes a task off its list a moment after the task has ended.
async fn no_tasks(runtime: &Runtime) {
    let ended = async {
        while runtime.metrics().num_alive_tasks() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), ended)
        .await
        .expect("no task is left");
}

#[test]
fn shutdown_leaves_no_task_behind() {
    let (home, outside) = (runtime(), runtime());
    let edge = home.block_on(home.spawn(edge().start())).unwrap().unwrap();
    let witness = Arc::new(());
    let (response, connections) = outside.block_on(busy(&edge, &witness));
    assert!(home.metrics().num_alive_tasks() > 3);
    let addr = edge.addr();
    outside.block_on(edge.shutdown());
    assert_eq!(Arc::strong_count(&witness), 1, "all is dropped by now");
    outside.block_on(async {
        no_tasks(&home).await;
        assert!(TcpStream::connect(addr).await.is_err());
        assert!(response.bytes().await.is_err());
        for mut client in connections {
            // An end or a reset, but no waiting.
            let _ = client.read_to_end(&mut Vec::new()).await;
        }
    });
}

#[test]
fn dropping_the_edge_ends_it_too() {
    let (home, outside) = (runtime(), runtime());
    let edge = home.block_on(home.spawn(edge().start())).unwrap().unwrap();
    let (response, _clients) = outside.block_on(busy(&edge, &Arc::default()));
    drop(edge);
    outside.block_on(async {
        assert!(response.bytes().await.is_err());
        let ended = async {
            while home.metrics().num_alive_tasks() > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), ended)
            .await
            .unwrap();
    });
}

#[test]
fn a_runtime_may_end_before_its_edge() {
    let (home, outside) = (runtime(), runtime());
    let edge = home.block_on(home.spawn(edge().start())).unwrap().unwrap();
    let (_response, _clients) = outside.block_on(busy(&edge, &Arc::default()));
    home.shutdown_background();
    outside.block_on(edge.shutdown());
}

#[tokio::test]
async fn shutdown_ends_tunnels() {
    let machine = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let edge = edge().start().await.unwrap();
    edge.add(ONE, machine.local_addr().unwrap());
    let mut client = TcpStream::connect(edge.addr()).await.unwrap();
    client
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: raw\r\n\r\n")
        .await
        .unwrap();
    let (mut behind, _) = machine.accept().await.unwrap();
    behind
        .write_all(
            b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: raw\r\n\r\nhello",
        )
        .await
        .unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"hello") {
        head.push(client.read_u8().await.unwrap());
    }
    edge.shutdown().await;
    let _ = client.read_to_end(&mut Vec::new()).await;
    let _ = behind.read_to_end(&mut Vec::new()).await;
}

#[tokio::test]
async fn more_clients_than_are_served_at_once_wait() {
    let edge = edge().max_connections(1).start().await.unwrap();
    edge.add(ONE, Machine::named("one").await.addr);
    let first = TcpStream::connect(edge.addr()).await.unwrap();
    let mut second = TcpStream::connect(edge.addr()).await.unwrap();
    let head = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    second.write_all(head).await.unwrap();
    let mut answer = Vec::new();
    let early = tokio::time::timeout(Duration::from_millis(100), second.read_to_end(&mut answer));
    assert!(early.await.is_err());
    drop(first);
    second.read_to_end(&mut answer).await.unwrap();
    assert!(answer.ends_with(b"one"));
}
