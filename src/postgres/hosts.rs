//! The servers that a connection string names.

use std::{
    borrow::Cow,
    future::Future,
    hash::{BuildHasher as _, RandomState},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::timeout;
use tokio_postgres::{
    Config, Error,
    config::{Host, LoadBalanceHosts},
};

use super::password::Password;

/// The hosts, each with the settings of all.
///
/// The driver tries them one after another, always from the first, and its limit ends when TCP is
/// connected. A host that accepts and never answers, as a frozen one does, would then take all the
/// time there is, each time. So each is tried apart here, for a bounded time, and the one that
/// answered last goes first. That also spares the server the connections that an unused first host
/// would get from a fleet.
#[derive(Clone, Debug)]
pub(super) struct Hosts {
    each: Arc<[Config]>,
    first: Arc<AtomicUsize>,
    bound: Duration,
    password: Option<Password>,
}

impl Hosts {
    /// `bound` is how long each of them may take.
    pub(super) fn new(config: &Config, bound: Duration, password: Option<Password>) -> Self {
        let each = apart(config);
        let first = match config.get_load_balance_hosts() {
            // Each process begins somewhere else, and stays there.
            LoadBalanceHosts::Random => RandomState::new().hash_one(0),
            _ => 0,
        };
        let first = usize::try_from(first).unwrap_or_default() % each.len();
        Self {
            each: each.into(),
            first: Arc::new(AtomicUsize::new(first)),
            bound,
            password,
        }
    }

    /// How long all of them together may take.
    pub(super) fn bound(&self) -> Duration {
        let count = u32::try_from(self.each.len()).unwrap_or(u32::MAX);
        self.bound.saturating_mul(count)
    }

    /// Each of them once, beginning with the one that answered last.
    pub(super) fn in_turn(&self) -> impl Iterator<Item = Attempt<'_>> {
        let count = self.each.len();
        let first = self.first.load(Ordering::Relaxed);
        (0..count).filter_map(move |step| {
            let at = (first + step) % count;
            Some(Attempt {
                hosts: self,
                at,
                config: self.each.get(at)?,
                is_last: step + 1 == count,
                has_answered: false,
            })
        })
    }
}

/// One host's turn.
pub(super) struct Attempt<'a> {
    hosts: &'a Hosts,
    at: usize,
    config: &'a Config,
    /// Whether there is none left after it.
    pub(super) is_last: bool,
    has_answered: bool,
}

impl Attempt<'_> {
    /// What to connect with now: the password is asked for each time, if there is a provider.
    pub(super) async fn config(&self) -> Result<Cow<'_, Config>, Error> {
        match &self.hosts.password {
            Some(password) => password.fill(self.config).await,
            None => Ok(Cow::Borrowed(self.config)),
        }
    }

    /// Connects; `None` if that takes too long. The last host has what is left of the caller's time.
    pub(super) async fn connect<T, E>(
        &self,
        connecting: impl Future<Output = Result<T, E>>,
    ) -> Option<Result<T, E>> {
        if self.is_last {
            return Some(connecting.await);
        }
        timeout(self.hosts.bound, connecting).await.ok()
    }

    /// Goes first from now on.
    pub(super) fn answered(mut self) {
        self.has_answered = true;
        self.hosts.first.store(self.at, Ordering::Relaxed);
    }
}

/// A host that failed, or did not answer before its caller gave up, is no longer first.
///
/// It stays first while it is tried: if each attempt made the next host first until its own
/// answered, a second connection beside it would begin with a frozen host that was left before.
impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.has_answered {
            let next = (self.at + 1) % self.hosts.each.len();
            let first = &self.hosts.first;
            // If another one is first by now, this attempt has no say in it.
            let _ = first.compare_exchange(self.at, next, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

/// One configuration for each host; the same one if they cannot be told apart, which the driver
/// then explains.
fn apart(config: &Config) -> Vec<Config> {
    let (hosts, addresses) = (config.get_hosts(), config.get_hostaddrs());
    let ports = config.get_ports();
    let count = hosts.len().max(addresses.len());
    let fits = |length: usize| length == 0 || length == count;
    if count < 2
        || !fits(hosts.len())
        || !fits(addresses.len())
        || ports.len() > 1 && !fits(ports.len())
    {
        return vec![config.clone()];
    }
    (0..count)
        .map(|at| {
            let mut one = without_hosts(config);
            match hosts.get(at) {
                Some(Host::Tcp(host)) => {
                    one.host(host);
                }
                #[cfg(unix)]
                Some(Host::Unix(path)) => {
                    one.host_path(path);
                }
                None => {}
            }
            if let Some(address) = addresses.get(at) {
                one.hostaddr(*address);
            }
            if let Some(port) = ports.get(at).or(ports.first()) {
                one.port(*port);
            }
            one
        })
        .collect()
}

/// All other settings: the driver has no way to take a host out.
fn without_hosts(config: &Config) -> Config {
    let mut one = Config::new();
    if let Some(user) = config.get_user() {
        one.user(user);
    }
    if let Some(password) = config.get_password() {
        one.password(password);
    }
    if let Some(database) = config.get_dbname() {
        one.dbname(database);
    }
    if let Some(options) = config.get_options() {
        one.options(options);
    }
    if let Some(name) = config.get_application_name() {
        one.application_name(name);
    }
    if let Some(bound) = config.get_connect_timeout() {
        one.connect_timeout(*bound);
    }
    if let Some(bound) = config.get_tcp_user_timeout() {
        one.tcp_user_timeout(*bound);
    }
    if let Some(interval) = config.get_keepalives_interval() {
        one.keepalives_interval(interval);
    }
    if let Some(retries) = config.get_keepalives_retries() {
        one.keepalives_retries(retries);
    }
    one.ssl_mode(config.get_ssl_mode())
        .ssl_negotiation(config.get_ssl_negotiation())
        .keepalives(config.get_keepalives())
        .keepalives_idle(config.get_keepalives_idle())
        .target_session_attrs(config.get_target_session_attrs())
        .channel_binding(config.get_channel_binding())
        .load_balance_hosts(config.get_load_balance_hosts());
    one
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(text: &str) -> Hosts {
        Hosts::new(&text.parse().unwrap(), Duration::from_secs(1), None)
    }

    #[test]
    fn each_host_keeps_the_settings_of_all() {
        let text = "postgres://u:p@a:1,b:2/db?options=-c%20x%3D1&application_name=n\
            &sslmode=require&sslnegotiation=direct&connect_timeout=3&tcp_user_timeout=4\
            &keepalives=1&keepalives_idle=5&keepalives_interval=6&keepalives_retries=7\
            &target_session_attrs=read-write&channel_binding=require&load_balance_hosts=random";
        let each = hosts(text).each;
        for (at, host) in ["a:1", "b:2"].into_iter().enumerate() {
            let alone: Config = text.replace("a:1,b:2", host).parse().unwrap();
            assert_eq!(each[at], alone);
        }
        // One port stands for all hosts.
        let each = hosts("host=a,b port=3 hostaddr=10.0.0.1,10.0.0.2").each;
        assert_eq!(each[1], "host=b port=3 hostaddr=10.0.0.2".parse().unwrap());
    }

    /// Read apart from the attempts, which move the first host.
    fn first(hosts: &Hosts) -> usize {
        hosts.first.load(Ordering::Relaxed)
    }

    #[tokio::test]
    async fn a_host_is_left_when_its_attempt_ends_without_an_answer() {
        let hosts = hosts("postgres://a,b/db");
        hosts.in_turn().nth(1).unwrap().answered();
        let one = hosts.in_turn().next().unwrap();
        let mut connecting = Box::pin(one.connect(std::future::pending::<Result<(), ()>>()));
        assert!(futures_util::poll!(connecting.as_mut()).is_pending());
        let beside = hosts.in_turn().next().unwrap();
        assert_eq!((one.at, beside.at), (1, 1));
        drop(connecting);
        drop(one);
        assert_eq!(first(&hosts), 0);
        // Two attempts that leave it do not make it first again.
        drop(beside);
        assert_eq!(first(&hosts), 0);
    }

    #[test]
    fn the_host_that_answered_goes_first() {
        let hosts = hosts("postgres://a,b,c/db");
        let order = || hosts.in_turn().map(|turn| turn.at).collect::<Vec<_>>();
        assert_eq!(order(), [0, 1, 2]);
        hosts.in_turn().nth(1).unwrap().answered();
        assert_eq!(order(), [1, 2, 0]);
        assert!(hosts.in_turn().last().unwrap().is_last);
    }
}
