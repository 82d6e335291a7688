//! How connections are made: plainly or by TLS.

use deadpool_postgres::{Connect, Manager, ManagerConfig, RecyclingMethod};
use tokio_postgres::{Client, Config, Error, NoTls};
#[cfg(feature = "tls")]
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{direct::Direct, feed::Messages, hosts::Hosts};

/// A client, and what the server says unasked.
type Followed = (Client, Box<dyn Messages>);

/// What a connection goes through.
#[derive(Clone)]
pub(super) enum Connector {
    Plain,
    #[cfg(feature = "tls")]
    Tls(MakeRustlsConnect),
}

impl Connector {
    pub(super) fn manager(self, config: Config, hosts: Hosts, direct: &Direct) -> Manager {
        let recycling = ManagerConfig {
            // A connection that turns out to be dead costs a second attempt, which is rare; a
            // test query would cost every lookup a round trip.
            recycling_method: RecyclingMethod::Fast,
        };
        match self {
            Self::Plain => Manager::from_connect(config, direct.connector(NoTls, hosts), recycling),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => {
                Manager::from_connect(config, direct.connector(tls, hosts), recycling)
            }
        }
    }

    /// What opens connections as the pool's are opened.
    pub(super) fn opener(&self, hosts: Hosts, direct: &Direct) -> Box<dyn Connect> {
        match self {
            Self::Plain => Box::new(direct.connector(NoTls, hosts)),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => Box::new(direct.connector(tls.clone(), hosts)),
        }
    }

    /// Opens a connection outside of a pool, to the first of the hosts that answers, whose
    /// notifications are read.
    pub(super) async fn connect(&self, hosts: &Hosts) -> Result<Followed, Error> {
        let mut failed = None;
        for attempt in hosts.in_turn() {
            let connecting = async { self.connect_to(&*attempt.config().await?).await };
            match attempt.connect(connecting).await {
                Some(Ok(followed)) => {
                    attempt.answered();
                    return Ok(followed);
                }
                Some(Err(error)) => failed = Some(error),
                None => {}
            }
        }
        match failed {
            Some(error) => Err(error),
            // There is at least one host, and the last has no bound of its own.
            None => std::future::pending().await,
        }
    }

    async fn connect_to(&self, config: &Config) -> Result<Followed, Error> {
        match self {
            Self::Plain => {
                let (client, connection) = config.connect(NoTls).await?;
                Ok((client, Box::new(connection)))
            }
            #[cfg(feature = "tls")]
            Self::Tls(tls) => {
                let (client, connection) = config.connect(tls.clone()).await?;
                Ok((client, Box::new(connection)))
            }
        }
    }
}
