//! The machine that requests are carried to: bare hyper.
//!
//! It shares a thread with the client: two that wait for each other on one core would spend more on
//! switching than on requests, and would be slower than what is measured.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, Either, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    runtime::Runtime,
};

/// What is sent at a time of a long body.
const CHUNK: Bytes = Bytes::from_static(&[b'x'; 65_536]);

/// Starts it on this runtime.
pub(crate) fn start(runtime: &Runtime) -> SocketAddr {
    let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
    let listener = listener.expect("a port");
    let address = listener.local_addr().expect("an address");
    runtime.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            stream.set_nodelay(true).expect("an option");
            let connection = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service_fn(answer))
                .with_upgrades();
            // It ends with its client, in whatever way.
            tokio::spawn(async { drop(connection.await) });
        }
    });
    address
}

type Answer = Response<Either<Full<Bytes>, Long>>;

/// `…/upload` reads the body, `…/download/N` sends so many bytes, an upgrade is an echo, and all else is
/// hello.
async fn answer(mut request: Request<Incoming>) -> Result<Answer, hyper::Error> {
    let path = request.uri().path();
    if request.headers().contains_key(header::UPGRADE) {
        let upgraded = hyper::upgrade::on(&mut request);
        tokio::spawn(echo(upgraded));
        return Ok(switching());
    }
    if let Some((_, left)) = path.rsplit_once("/download/") {
        let left = left.parse().expect("a number");
        return Ok(Response::new(Either::Right(Long { left })));
    }
    if path.ends_with("/upload") {
        while let Some(frame) = request.frame().await {
            frame?;
        }
    }
    Ok(hello())
}

fn hello() -> Answer {
    let mut response = Response::new(Either::Left(Full::new(Bytes::from_static(b"hello"))));
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, private"),
    );
    response
}

fn switching() -> Answer {
    let mut response = Response::new(Either::Left(Full::default()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    // That of the key which the client sends (RFC 6455, section 1.3).
    headers.insert(
        header::SEC_WEBSOCKET_ACCEPT,
        HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
    );
    response
}

/// Returns every byte as it is: to what carries it, that is a WebSocket which echoes messages.
async fn echo(upgraded: hyper::upgrade::OnUpgrade) {
    let Ok(upgraded) = upgraded.await else {
        return;
    };
    let (mut stream, mut buffer) = (TokioIo::new(upgraded), [0; 2_048]);
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        if stream.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

/// A body of so many bytes.
struct Long {
    left: usize,
}

impl Body for Long {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let chunk = CHUNK.slice(..CHUNK.len().min(self.left));
        self.left -= chunk.len();
        Poll::Ready((!chunk.is_empty()).then(|| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left as u64)
    }
}
