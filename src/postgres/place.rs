//! Where the database is, as a person would say it.

use std::{error::Error, fmt, sync::Arc};

use deadpool_postgres::PoolError;
use tokio_postgres::{Config, config::Host};

use super::failure::connect_error;
use crate::LookupError;

/// Hosts and ports, database and user; never a password.
#[derive(Clone)]
pub(super) struct Place(Arc<str>);

impl Place {
    pub(super) fn of(config: &Config) -> Self {
        const PORT: u16 = 5432;
        let ports = config.get_ports();
        let port = |at: usize| ports.get(at).or(ports.first()).copied().unwrap_or(PORT);
        let named = config
            .get_hosts()
            .iter()
            .enumerate()
            .map(|(at, host)| match host {
                Host::Tcp(name) => format!("{name}:{}", port(at)),
                #[cfg(unix)]
                Host::Unix(path) => format!("{}:{}", path.display(), port(at)),
            });
        let mut hosts: Vec<String> = named.collect();
        if hosts.is_empty() {
            let addresses = config.get_hostaddrs().iter().enumerate();
            hosts.extend(addresses.map(|(at, address)| format!("{address}:{}", port(at))));
        }
        let user = config.get_user().unwrap_or("the user of this process");
        // PostgreSQL takes the user's name for a database that is not named.
        let database = config.get_dbname().unwrap_or(user);
        Self(format!("{}/{database} as {user}", hosts.join(",")).into())
    }

    /// Of a pool that the application made, which does not tell how it connects.
    pub(super) fn unknown() -> Self {
        Self("the application's pool".into())
    }

    /// Why there is no connection. The place stands with the causes alone, which logs show, and not in the
    /// error's own text, which health pages show as well.
    pub(super) fn connect_error(&self, error: PoolError) -> LookupError {
        let error = connect_error(error);
        let cause = error.clone();
        error.with_source(self.connecting(Some(cause.into())))
    }
}

impl Place {
    /// The cause of an error, with what caused that. Of an error of ours that says the same, the log shows the text
    /// once.
    pub(super) fn connecting(&self, cause: Option<Box<dyn Error + Send + Sync>>) -> Connecting {
        let place = self.clone();
        Connecting { place, cause }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// That the database was connected to, as the cause of an error.
#[derive(Debug)]
pub(super) struct Connecting {
    place: Place,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl fmt::Display for Connecting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connecting to {}", self.place)
    }
}

impl Error for Connecting {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_names_hosts_database_and_user_and_no_password() {
        for (text, place) in [
            (
                "postgres://web:secret@db.internal/app",
                "db.internal:5432/app as web",
            ),
            (
                "postgres://web:secret@db.internal:6432",
                "db.internal:6432/web as web",
            ),
            (
                "host=a,b port=1,2 user=u dbname=d password=secret",
                "a:1,b:2/d as u",
            ),
            (
                "host=a,b port=7 user=u dbname=d password=secret",
                "a:7,b:7/d as u",
            ),
            ("hostaddr=10.0.0.1 user=u", "10.0.0.1:5432/u as u"),
            ("host=/run/postgresql user=u", "/run/postgresql:5432/u as u"),
        ] {
            let config: Config = text.parse().unwrap();
            assert_eq!(Place::of(&config).to_string(), place);
        }
    }
}
