//! A server on a thread of its own.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::mpsc,
    thread,
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use nix::sys::resource::{UsageWho, getrusage};
use tokio::{net::TcpListener, runtime::Builder, runtime::Handle, sync::oneshot, task::LocalSet};
use tower::Service;

use crate::core::stay_on_core;

pub(crate) struct Server {
    status: StatusCode,
    address: SocketAddr,
    handle: Handle,
    /// Ends the thread when it is dropped.
    _running: oneshot::Sender<()>,
}

impl Server {
    /// A server that gives every request an answer of this status.
    pub(crate) fn start<S, B>(status: StatusCode, service: S) -> Self
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
        S: Clone + Send + 'static,
        S::Future: 'static,
        B: Body<Data = Bytes, Error = Infallible> + 'static,
    {
        let (started, start) = mpsc::channel();
        let (running, stop) = oneshot::channel::<()>();
        thread::spawn(move || {
            stay_on_core(0);
            let runtime = Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a runtime");
            let serve = async {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
                let listener = listener.expect("a port");
                let address = listener.local_addr().expect("an address");
                started
                    .send((address, Handle::current()))
                    .expect("a client");
                tokio::select! {
                    () = accept(listener, service) => {}
                    _ = stop => {}
                }
            };
            LocalSet::new().block_on(&runtime, serve);
        });
        let (address, handle) = start.recv().expect("a server");
        Self {
            status,
            address,
            handle,
            _running: running,
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How long the server's thread has been on a CPU. It asks the kernel itself, about itself.
    pub(crate) async fn cpu_time(&self) -> Duration {
        let usage = self.handle.spawn(async {
            let usage = getrusage(UsageWho::RUSAGE_THREAD).expect("an account");
            [usage.user_time(), usage.system_time()]
        });
        let times = usage.await.expect("a server");
        let time = |time: nix::sys::time::TimeVal| {
            let micros = time.tv_sec() * 1_000_000 + time.tv_usec();
            Duration::from_micros(micros.try_into().expect("a time"))
        };
        times.into_iter().map(time).sum()
    }
}

async fn accept<S, B>(listener: TcpListener, service: S)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Clone + 'static,
    S::Future: 'static,
    B: Body<Data = Bytes, Error = Infallible> + 'static,
{
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("an option");
        let service = TowerToHyperService::new(service.clone());
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        // It ends with the client, in whatever way.
        tokio::task::spawn_local(async { drop(connection.await) });
    }
}
