//! The process that is measured: a machine whose layer carries every request to the owner.

use std::net::{Ipv4Addr, SocketAddr};

use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{net::TcpListener, runtime::Builder};
use tower::{Layer as _, service_fn};
use tower_ownership::{
    Address, CachePolicy, LookupError, OwnershipLayer, PathSegment, Session, forward::Forward,
    lookup_fn,
};

use crate::common::setup::{ME, OTHER, hello, machine};

/// Serves on this port until the process ends.
pub(crate) fn run(port: u16, owner: SocketAddr) {
    let address: Address = format!("http://{owner}").parse().expect("an address");
    let lookup = lookup_fn(move |id| {
        let session = Session::owned_by(id, machine(OTHER)).with_address(address.clone());
        std::future::ready(Ok::<_, LookupError>(Some(session)))
    });
    // All answers come from the cache: lookups are another benchmark.
    let long = CachePolicy::new().elsewhere(CachePolicy::LONGEST);
    let forward = Forward::to_owner_address(["127.0.0.1"]).expect("an entry");
    let layer = OwnershipLayer::builder(lookup)
        .session(PathSegment::after("/session").expect("a prefix"))
        .machine(machine(ME))
        .cache_policy(long)
        .forward(forward)
        .build()
        .expect("a layer");
    let service = layer.layer(service_fn(hello));
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let listener = listener.expect("the port");
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            stream.set_nodelay(true).expect("an option");
            let service = TowerToHyperService::new(service.clone());
            let connection = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            // It ends with its client, in whatever way.
            tokio::spawn(async { drop(connection.await) });
        }
    });
}
