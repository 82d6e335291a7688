//! Owners that are reached by HTTPS.

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, pem::PemObject};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use tower_ownership::MemoryDirectory;
use tower_ownership::forward::Forward;

use super::{HERE, Machine, forward, layer, session_at};
use crate::application::Application;
use crate::fleet::{OWNER, WRONG, new_session};
use crate::probe_tls::serve;
use crate::support::client::get;

fn trusting(authority: &str) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(authority.as_bytes()).unwrap();
    roots.add(certificate).unwrap();
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

#[tokio::test]
async fn an_owner_is_carried_to_over_tls_if_its_certificate_is_trusted() {
    let sessions = MemoryDirectory::new();
    let owner = Application::on(OWNER).router();
    let owner = owner.layer(layer(OWNER, &sessions, forward()));
    let (server, authority) = serve(owner.clone(), &["h2", "http/1.1"]).await;
    let (_stranger, another) = serve(owner, &["http/1.1"]).await;
    let https = || Forward::to_owner_address(HERE).unwrap();
    let session = new_session();
    let at = server.url("").replace("http:", "https:");
    sessions.insert(session_at(&session, OWNER, &at));
    let path = format!("/session/{session}");

    let trusts = https().tls(&trusting(&authority));
    for forward in [trusts.clone(), trusts.always_http2()] {
        let wrong = Machine::start(WRONG, &sessions, forward).await;
        for _ in 0..3 {
            get(wrong.server.url(&path)).await.is_served_by(OWNER);
        }
    }
    let distrusts = https().tls(&trusting(&another));
    let wrong = Machine::start(WRONG, &sessions, distrusts).await;
    let answer = get(wrong.server.url(&path)).await;
    answer.is_refused(503, "owner-unreachable");
    assert!(answer.text.contains("(tls)"), "{}", answer.text);
}
