//! Probes over HTTPS, which is where public addresses are.

use std::sync::Arc;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tower_ownership::probe::{InvalidProbe, Probe, ProbeSecret};
use tower_ownership::{MemoryDirectory, Session, explain::Finding};

use crate::fleet::{OWNER, Server, layer, machine_id, new_session};

/// Serves on TLS what the client and this list agree on; returns the certificate, which nobody
/// trusts by itself.
pub async fn serve(router: Router, protocols: &[&str]) -> (Server, String) {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let server = Server::with(async move |listener: TcpListener| {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, router) = (acceptor.clone(), router.clone());
            tokio::spawn(async move {
                // A client that does not trust us hangs up.
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let service = TowerToHyperService::new(router);
                let server = auto::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    })
    .await;
    (server, cert.pem())
}

#[tokio::test]
async fn a_probe_speaks_what_the_server_prefers_and_trusts_whom_it_was_told_to() {
    let secret = ProbeSecret::new("a secret of these tests").unwrap();
    let sessions = MemoryDirectory::new();
    let session = new_session();
    sessions.insert(Session::owned_by(session.clone(), machine_id(OWNER)));
    let layer = layer(OWNER, sessions).build().unwrap();
    let router = Router::new().layer(layer.answer_probes(secret.clone()));
    for protocols in [&["h2", "http/1.1"][..], &["http/1.1"], &[]] {
        let (server, authority) = serve(router.clone(), protocols).await;
        for host in ["localhost", "127.0.0.1"] {
            let port = server.addr.port();
            let url = format!("https://{host}:{port}/session/{{session}}");
            let probe = Probe::new(&url, session.clone(), secret.clone()).unwrap();
            let probe = probe.root_certificates(authority.as_bytes()).unwrap();
            let outcome = probe.send(&machine_id(OWNER)).await;
            assert!(outcome.has_arrived(), "{host} {protocols:?}: {outcome}");
        }
        let (_, stranger) = serve(router.clone(), protocols).await;
        let url = server.url("/session/{session}").replace("http", "https");
        let probe = Probe::new(&url, session.clone(), secret.clone()).unwrap();
        let probe = probe.root_certificates(stranger.as_bytes()).unwrap();
        let outcome = probe.send(&machine_id(OWNER)).await;
        assert_eq!(outcome.finding(), Some(Finding::UrlUnreachable));
        assert!(outcome.to_string().contains("certificate"), "{outcome}");
    }
}

#[test]
fn what_is_no_certificate_is_refused_when_the_probe_is_made() {
    let secret = ProbeSecret::new("a secret of these tests").unwrap();
    let probe = Probe::new("https://example.com/{session}", new_session(), secret).unwrap();
    for pem in ["", "no certificate"] {
        let refused = probe.clone().root_certificates(pem.as_bytes()).unwrap_err();
        assert!(
            matches!(refused, InvalidProbe::RootCertificates { .. }),
            "{refused}"
        );
    }
}
