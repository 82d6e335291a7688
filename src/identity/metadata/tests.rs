use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    pin::pin,
    sync::mpsc,
    task::{Context, Wake},
    time::Instant,
};

use super::*;

/// A metadata service on a real socket, for one request.
pub(crate) struct Server {
    address: String,
    requests: mpsc::Receiver<String>,
}

impl Server {
    pub(crate) fn answering(response: String) -> Self {
        Self::doing(move |mut stream| {
            let _ = stream.write_all(response.as_bytes());
        })
    }

    fn doing(serve: impl FnOnce(TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (sender, requests) = mpsc::channel();
        thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut head = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            while reader.read_line(&mut head).unwrap() > 2 {}
            sender.send(head).unwrap();
            serve(stream);
        });
        Self { address, requests }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn request(&self) -> String {
        self.requests.recv().unwrap()
    }
}

pub(crate) fn ok(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}")
}

async fn ask(endpoint: String) -> Result<String, String> {
    let flavor = None;
    Question { endpoint, flavor }.ask().await
}

async fn answer_to(response: impl Into<String>) -> Result<String, String> {
    ask(Server::answering(response.into()).url("/")).await
}

#[tokio::test]
async fn an_answer_comes_back() {
    assert_eq!(answer_to(ok("id-1")).await.unwrap(), "id-1");
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nid-1\r\n0\r\n\r\n";
    assert_eq!(answer_to(chunked).await.unwrap(), "id-1");
    let until_close = "HTTP/1.0 200 OK\r\n\r\nid-1";
    assert_eq!(answer_to(until_close).await.unwrap(), "id-1");
}

#[tokio::test]
async fn other_statuses_are_no_answer() {
    for (response, status) in [
        (
            "HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\nid-1",
            "404",
        ),
        ("HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n", "500"),
        // A redirect is not followed: who knows where to.
        (
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
            "302",
        ),
    ] {
        assert_eq!(answer_to(response).await, Err(format!("status {status}")));
    }
}

#[tokio::test]
async fn garbage_is_no_answer() {
    for response in [
        "",
        "\r\n\r\n",
        "nonsense\r\n\r\n",
        "HTTP/1.1 abc\r\n\r\n",
        "HTTP/1.1 200 OK\r\n",
    ] {
        let answer = answer_to(response).await;
        assert!(answer.as_deref().map_or(true, str::is_empty), "{answer:?}");
    }
    let not_text = Server::doing(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n\xff");
    });
    assert!(ask(not_text.url("/")).await.is_err());
}

#[tokio::test]
async fn a_huge_answer_is_cut_off() {
    let endless = Server::doing(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b'a'; 4096]).is_ok() {}
    });
    let error = ask(endless.url("/")).await.unwrap_err();
    assert!(error.contains("longer than"), "{error}");

    let headers = Server::doing(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
        while stream.write_all(b"x: y\r\n").is_ok() {}
    });
    assert!(ask(headers.url("/")).await.is_err());
}

#[tokio::test]
async fn a_refused_connection_is_an_error_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = listener.local_addr().unwrap();
    drop(listener);
    let start = Instant::now();
    assert!(ask(format!("http://{closed}/")).await.is_err());
    assert!(start.elapsed() < PATIENCE);
}

#[tokio::test]
async fn patience_ends() {
    // One that says nothing, and one that never stops saying a little.
    let silent = Server::doing(|stream| drop(stream.set_nodelay(true).map(|()| thread::park())));
    let slow = Server::doing(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(b"a").is_ok() {
            thread::sleep(Duration::from_millis(50));
        }
    });
    let start = Instant::now();
    let (silent, slow) = tokio::join!(ask(silent.url("/")), ask(slow.url("/")));
    assert!(silent.is_err() && slow.is_err());
    assert!(start.elapsed() >= PATIENCE && start.elapsed() < PATIENCE * 2);
}

#[test]
fn no_runtime_is_needed() {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let server = Server::answering(ok("id-1"));
    let mut asked = pin!(ask(server.url("/")));
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut context = Context::from_waker(&waker);
    let answer = loop {
        match asked.as_mut().poll(&mut context) {
            Poll::Ready(answer) => break answer,
            Poll::Pending => thread::park(),
        }
    };
    assert_eq!(answer.unwrap(), "id-1");
}

#[test]
fn discovery_can_be_spawned() {
    fn send<T: Send>(_: T) {}
    send(super::super::EcsTask::discover());
    send(super::super::CloudRunInstance::discover());
}
