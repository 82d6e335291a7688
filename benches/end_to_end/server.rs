//! A server on a thread of its own, or another program.

use std::{
    convert::Infallible,
    error::Error,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
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

use crate::{
    core::stay_on_core,
    process,
    support::{listening, supervisor::Supervisor},
};

/// The core of all servers; the client has the other one.
const CORE: usize = 0;

pub(crate) struct Server {
    status: StatusCode,
    address: SocketAddr,
    runs: Runs,
}

enum Runs {
    Thread {
        handle: Handle,
        /// Ends the thread when it is dropped.
        _running: oneshot::Sender<()>,
    },
    Process(Supervisor),
}

impl Server {
    /// A server that gives every request an answer of this status.
    pub(crate) fn start<S, B>(status: StatusCode, service: S) -> Self
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
        S: Clone + Send + 'static,
        S::Future: 'static,
        B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
    {
        let (started, start) = mpsc::channel();
        let (running, stop) = oneshot::channel::<()>();
        thread::spawn(move || {
            stay_on_core(CORE);
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
        let runs = Runs::Thread {
            handle,
            _running: running,
        };
        Self {
            status,
            address,
            runs,
        }
    }

    /// A program of one thread, whose command `command` makes for a port and a directory of its own.
    pub(crate) fn process(command: impl Fn(u16, &Path) -> Vec<String> + Send + 'static) -> Self {
        let started = thread::spawn(move || {
            // What a thread starts stays on its core, too.
            stay_on_core(CORE);
            listening::start(None, "KILL", command)
        });
        let (address, process) = started.join().expect("a server");
        Self {
            status: StatusCode::OK,
            address,
            runs: Runs::Process(process),
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How long the server's thread or process has been on a CPU. The thread asks the kernel about itself.
    pub(crate) async fn cpu_time(&self) -> Duration {
        let handle = match &self.runs {
            Runs::Thread { handle, .. } => handle,
            Runs::Process(process) => return process::cpu_time(process.pid()),
        };
        let usage = handle.spawn(async {
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
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
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
