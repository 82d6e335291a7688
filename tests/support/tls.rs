//! A PostgreSQL that speaks TLS only, with an authority that no machine trusts by itself.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, IsCa, Issuer,
    KeyPair,
};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::{Client, Error};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::postgres::Cluster;

/// A cluster with `ssl=on`, where connections by TCP have to use it.
#[derive(Debug)]
pub struct TlsCluster {
    /// [`Database::client`](super::database::Database::client) goes by the Unix socket and needs
    /// no TLS.
    pub cluster: Cluster,
    /// The PEM file of the authority that signed the server's certificate.
    pub authority: PathBuf,
    /// The PEM file of another authority, which did not.
    pub stranger: PathBuf,
    /// The PEM files of a certificate for the role `certified`, which connects with no other, and of its key.
    pub certified: [PathBuf; 2],
}

impl TlsCluster {
    /// A server whose certificate is for `localhost` and `127.0.0.1`; `None` if this machine's
    /// PostgreSQL was built without TLS, and then the test says so with
    /// [`left_out`](super::left_out()).
    pub fn start() -> Option<Self> {
        Self::named(&["localhost", "127.0.0.1"])
    }

    /// The same, with a certificate for `names`, which are host names and addresses.
    pub fn named(names: &[&str]) -> Option<Self> {
        let started = Cluster::prepared(|data| {
            let authority = Authority::new("tests of tower-ownership");
            let (certificate, key) = authority.sign(names, None);
            write(&data.join("authority.pem"), &authority.certificate.pem());
            write(
                &data.join("stranger.pem"),
                &Authority::new("a stranger").certificate.pem(),
            );
            write(&data.join("server.crt"), &certificate.pem());
            let (client, client_key) = authority.sign(&[], Some("certified"));
            write(&data.join("client.crt"), &client.pem());
            write(&data.join("client.key"), &client_key.serialize_pem());
            // PostgreSQL refuses a key that others may read.
            write(&data.join("server.key"), &key.serialize_pem());
            write(
                &data.join("pg_hba.conf"),
                "local all all trust\nhostssl all certified 127.0.0.1/32 cert\n\
                 hostssl all all 127.0.0.1/32 trust\n",
            );
            vec!["ssl=on".to_owned(), "ssl_ca_file=authority.pem".to_owned()]
        });
        let cluster = match started {
            Ok(cluster) => cluster,
            Err(log) if log.contains("SSL is not supported by this build") => return None,
            Err(log) => panic!("PostgreSQL did not start with TLS:\n{log}"),
        };
        let data = cluster.dir().join("data");
        Some(Self {
            authority: data.join("authority.pem"),
            stranger: data.join("stranger.pem"),
            certified: ["client.crt", "client.key"].map(|name| data.join(name)),
            cluster,
        })
    }
}

/// A connection to `url` that trusts the authority in this PEM file and nobody else.
pub async fn connect_tls(url: &str, authority: &Path) -> Result<Client, Error> {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(authority).expect("PEM");
    roots.add(authority).expect("an authority");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tls = MakeRustlsConnect::new(config);
    let (client, connection) = tokio_postgres::connect(url, tls).await?;
    tokio::spawn(connection);
    Ok(client)
}

struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self {
            certificate: params.self_signed(&key).expect("a certificate"),
            issuer: Issuer::new(params, key),
        }
    }

    fn sign(&self, names: &[&str], subject: Option<&str>) -> (Certificate, KeyPair) {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).expect("names");
        if let Some(subject) = subject {
            params.distinguished_name = DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, subject);
        }
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        (certificate, key)
    }
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("write");
    fs::set_permissions(path, Permissions::from_mode(0o600)).expect("chmod");
}
