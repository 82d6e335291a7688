//! TLS: who is trusted, and that nothing goes without it.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tower_ownership::{LookupErrorKind, PostgresLookup, postgres::PostgresLookupBuilder};
use uuid::Uuid;

use super::{find, found};
use crate::support::chain;
use crate::support::database::Database;
use crate::support::left_out::left_out;
use crate::support::tls::TlsCluster;

const NO_TLS: &str = "this PostgreSQL was built without it";

/// A lookup whose owner is `true` or `false`: whether its connection is encrypted.
fn encrypted(url: &str) -> PostgresLookupBuilder {
    PostgresLookup::builder(url).query(
        "SELECT ssl::text AS owner, 'active' AS status FROM pg_stat_ssl
         WHERE pid = pg_backend_pid() AND $1 IS NOT NULL",
    )
}

async fn is_encrypted(builder: PostgresLookupBuilder) -> bool {
    let session = found(&builder.build().unwrap(), Uuid::nil()).await;
    session.owner().unwrap().as_str() == "true"
}

/// What is said to a connection that must not be made.
async fn refusal(builder: PostgresLookupBuilder) -> String {
    let error = find(&builder.build().unwrap(), Uuid::nil()).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), LookupErrorKind::Unavailable);
    chain(&error)
}

fn by_name(database: &Database, parameters: &str) -> String {
    let url = database.url().replace("127.0.0.1", "localhost");
    format!("{url}{parameters}")
}

fn root(authority: &Path) -> String {
    format!("sslrootcert={}", authority.display())
}

#[tokio::test]
async fn a_server_that_is_vouched_for_is_trusted() {
    let Some(tls) = TlsCluster::start() else {
        return left_out("TLS to a trusted server", NO_TLS);
    };
    let database = tls.cluster.database().await;
    let pem = fs::read(&tls.authority).unwrap();

    for parameters in [
        "",
        "?sslmode=require",
        "?sslmode=prefer",
        "?sslmode=verify-full",
    ] {
        for url in [
            by_name(&database, parameters),
            format!("{}{parameters}", database.url()),
        ] {
            assert!(is_encrypted(encrypted(&url).root_certificate_pem(&pem)).await);
        }
    }
    for mode in ["verify-full", "verify-ca", "require", "prefer"] {
        let url = by_name(
            &database,
            &format!("?{}&sslmode={mode}", root(&tls.authority)),
        );
        assert!(is_encrypted(encrypted(&url)).await);
    }
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(&pem).unwrap())
        .unwrap();
    let config =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
    assert!(is_encrypted(encrypted(&database.url()).tls(config)).await);
}

#[tokio::test]
async fn a_server_that_a_stranger_vouches_for_is_refused() {
    let Some(tls) = TlsCluster::start() else {
        return left_out("TLS to an untrusted server", NO_TLS);
    };
    let database = tls.cluster.database().await;
    for mode in ["verify-full", "verify-ca", "require", "prefer"] {
        let url = by_name(
            &database,
            &format!("?sslmode={mode}&{}", root(&tls.stranger)),
        );
        let said = refusal(encrypted(&url)).await;
        assert!(said.contains("certificate was refused"), "{mode}: {said}");
        assert!(said.contains("UnknownIssuer"), "{mode}: {said}");
    }
    // Nor do the system's roots vouch for it.
    for mode in ["verify-ca", "verify-full"] {
        let said = refusal(encrypted(&by_name(&database, &format!("?sslmode={mode}")))).await;
        assert!(said.contains("UnknownIssuer"), "{said}");
    }
    // As for psql, what names no authority has none checked.
    for parameters in ["", "?sslmode=allow", "?sslmode=prefer", "?sslmode=require"] {
        assert!(
            is_encrypted(encrypted(&by_name(&database, parameters))).await,
            "{parameters}"
        );
    }
}

#[tokio::test]
async fn a_servers_name_is_compared_by_verify_full_alone() {
    let Some(tls) = TlsCluster::named(&["db.example.com"]) else {
        return left_out("TLS to a server of another name", NO_TLS);
    };
    let database = tls.cluster.database().await;
    let roots = root(&tls.authority);
    for parameters in [format!("?sslmode=verify-full&{roots}"), format!("?{roots}")] {
        for url in [
            by_name(&database, &parameters),
            format!("{}{parameters}", database.url()),
        ] {
            let said = refusal(encrypted(&url)).await;
            assert!(said.contains("not valid for name"), "{parameters}: {said}");
        }
    }
    for mode in ["verify-ca", "require", "prefer"] {
        let parameters = format!("?sslmode={mode}&{roots}");
        for url in [
            by_name(&database, &parameters),
            format!("{}{parameters}", database.url()),
        ] {
            assert!(is_encrypted(encrypted(&url)).await, "{mode}");
        }
    }
}

#[tokio::test]
async fn a_client_shows_its_certificate() {
    let Some(tls) = TlsCluster::start() else {
        return left_out("a client's certificate", NO_TLS);
    };
    let database = tls.cluster.database().await;
    database.execute("CREATE ROLE certified LOGIN").await;
    let [certificate, key] = &tls.certified;
    let parameters = format!("?sslmode=verify-full&{}", root(&tls.authority));
    let url = by_name(&database, &parameters).replace("postgres@", "certified@");
    let said = refusal(encrypted(&url)).await;
    assert!(said.contains("valid client certificate"), "{said}");
    let files = format!(
        "&sslcert={}&sslkey={}",
        certificate.display(),
        key.display()
    );
    assert!(is_encrypted(encrypted(&format!("{url}{files}"))).await);
    let [certificate, key] = [certificate, key].map(|path| fs::read(path).unwrap());
    assert!(is_encrypted(encrypted(&url).client_certificate_pem(&certificate, &key)).await);
}

#[test]
fn a_client_certificate_that_cannot_be_used_is_refused() {
    let error = |parameters: &str| {
        let url = format!("postgres://h/d?sslmode=require{parameters}");
        PostgresLookup::builder(url)
            .build()
            .unwrap_err()
            .to_string()
    };
    assert!(error("&sslcert=/dev/null").contains("no `sslkey`"));
    assert!(error("&sslkey=/dev/null").contains("no `sslcert`"));
    assert!(error("&sslcert=/dev/null&sslkey=/dev/null").contains("no certificate"));
    assert!(error("&sslcert=/no/such&sslkey=/dev/null").contains("/no/such"));
    assert!(error("&sslrootcert=system").contains("verify-full"));
}

#[tokio::test]
async fn a_server_without_tls_is_refused_when_tls_is_demanded() {
    let database = Database::fresh().await;
    // The file only has to hold some authority.
    let Some(tls) = TlsCluster::start() else {
        return left_out("TLS that is demanded", NO_TLS);
    };
    let roots = root(&tls.authority);
    for parameters in [
        "?sslmode=require".to_owned(),
        "?sslmode=verify-full".to_owned(),
        // Whoever names an authority wants it asked.
        format!("?{roots}"),
    ] {
        let said = refusal(encrypted(&by_name(&database, &parameters))).await;
        assert!(said.contains("does not support TLS"), "{said}");
    }
    for parameters in ["", "?sslmode=prefer", "?sslmode=disable"] {
        assert!(!is_encrypted(encrypted(&by_name(&database, parameters))).await);
    }
    let prefer = by_name(&database, &format!("?sslmode=prefer&{roots}"));
    assert!(!is_encrypted(encrypted(&prefer)).await);
}

#[test]
fn root_certificates_that_cannot_be_used_are_refused() {
    let built = |url: &str| PostgresLookup::builder(url).build();
    let error = built("postgres://h/d?sslrootcert=/no/such/file").unwrap_err();
    assert!(error.to_string().contains("/no/such/file"), "{error}");
    let error = built("postgres://h/d?sslrootcert=/dev/null").unwrap_err();
    assert!(error.to_string().contains("no certificate"), "{error}");
    let error = PostgresLookup::builder("postgres://h/d")
        .root_certificate_pem(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        .build()
        .unwrap_err();
    assert!(error.to_string().contains("root certificate"), "{error}");
}
