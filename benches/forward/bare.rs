//! What hyper itself costs: its server, its client, a stack of idle connections, and nothing between.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::{
    body::Incoming,
    client::conn::http1::{self as client, SendRequest},
    server::conn::http1 as server,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Builder,
};

type Idle = Arc<Mutex<Vec<SendRequest<Incoming>>>>;

/// Carries requests from this port to the owner until the process ends.
pub(crate) fn run(port: u16, owner: SocketAddr) {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let (listener, idle) = (listener.expect("the port"), Idle::default());
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            stream.set_nodelay(true).expect("an option");
            let idle = Arc::clone(&idle);
            let service = service_fn(move |request| carry(request, owner, Arc::clone(&idle)));
            let connection = server::Builder::new().serve_connection(TokioIo::new(stream), service);
            // It ends with its client, in whatever way.
            tokio::spawn(async { drop(connection.await) });
        }
    });
}

async fn carry(
    request: Request<Incoming>,
    owner: SocketAddr,
    idle: Idle,
) -> Result<Response<Carried>, Infallible> {
    let kept = idle.lock().expect("the stack").pop();
    let mut sender = match kept {
        Some(kept) => kept,
        None => connect(owner).await,
    };
    let response = sender.try_send_request(request).await;
    let response = response.map_err(client_error).expect("an answer");
    Ok(response.map(|body| Carried {
        body,
        over: Some((sender, idle)),
    }))
}

fn client_error(error: hyper::client::conn::TrySendError<Request<Incoming>>) -> hyper::Error {
    error.into_error()
}

async fn connect(owner: SocketAddr) -> SendRequest<Incoming> {
    let stream = TcpStream::connect(owner).await.expect("the owner");
    stream.set_nodelay(true).expect("an option");
    let made = client::handshake(TokioIo::new(stream)).await;
    let (sender, connection) = made.expect("a connection");
    tokio::spawn(async { drop(connection.await) });
    sender
}

/// An answer, at whose end its connection is kept.
struct Carried {
    body: Incoming,
    over: Option<(SendRequest<Incoming>, Idle)>,
}

impl Body for Carried {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if (frame.is_none() || self.body.is_end_stream())
            && let Some((sender, idle)) = self.over.take()
        {
            idle.lock().expect("the stack").push(sender);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
