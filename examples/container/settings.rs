//! What the environment says.

use std::{
    env,
    error::Error,
    fmt::Display,
    net::{Ipv4Addr, SocketAddr},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use axum::http::{HeaderName, HeaderValue};

use crate::sessions::{Ids, Place};
use tower_ownership::{
    Address, CachePolicy, FlyReplay, MachineId, MachineIdentity, MemoryDirectory, NginxReplay,
    Redirect, Replay, Session, SessionId, identity::detect,
};

pub struct Settings {
    pub machine: MachineId,
    pub port: u16,
    pub database: Option<String>,
    /// The same without a pooler.
    pub watch: Option<String>,
    /// Where a request names its session, and which ids those have.
    pub place: Place,
    pub ids: Ids,
    pub handover: Handover,
    pub freshness: CachePolicy,
    /// For how long the listener outlives the signal to stop.
    pub linger: Duration,
    /// For how long responses may be open after it.
    pub drain: Duration,
    /// The header by which a second layer finds its sessions.
    pub header: Option<String>,
    /// Whether it takes part in the life of ownerships, beyond reading who the owner is.
    pub life: Option<Life>,
    pub probing: Option<Probing>,
    pub expose_internals: bool,
    pub debug_token: Option<String>,
}

/// How requests get to the machine that owns their session.
pub enum Handover {
    Replay(Arc<dyn Replay>),
    #[cfg(feature = "forward")]
    Forward(Box<tower_ownership::forward::Forward>),
}

#[derive(Clone)]
pub struct Life {
    /// Whether it claims sessions without an owner, and takes over from lost owners.
    pub claims: bool,
    pub beat: Duration,
    pub lost_after: Duration,
    pub drain: Duration,
    /// Where it can be reached from inside, if that is known before it listens.
    pub serves_at: Option<SocketAddr>,
    /// Where other machines reach it.
    pub peer: Option<Address>,
    /// For how long it answers after the drain.
    /// How often it looks for what is wrong with the fleet.
    pub audit: Option<Duration>,
}

#[cfg_attr(
    not(feature = "probe"),
    expect(dead_code, reason = "only that feature reads it")
)]
pub struct Probing {
    /// The fleet's, by which its machines know each other's probes.
    pub secret: String,
    /// What this machine probes; without it, it only answers.
    pub target: Option<Target>,
    pub every: Duration,
}

#[cfg_attr(
    not(feature = "probe"),
    expect(dead_code, reason = "only that feature reads it")
)]
pub struct Target {
    /// Where clients ask for a session, with `{session}` in place of its id.
    pub url: String,
    pub session: SessionId,
    /// A header with `{session}` in it, where the URL does not name the session.
    pub header: Option<(HeaderName, HeaderValue)>,
}

impl Settings {
    pub fn read() -> Result<Self, Box<dyn Error>> {
        let machine = match variable("MACHINE_ID") {
            Some(id) => id.parse()?,
            None => detect().machine_id()?,
        };
        let lives = variable("OWNERSHIP_LIFE");
        let port = parsed("PORT", 8080)?;
        let drain = milliseconds("OWNERSHIP_DRAIN_MS", 10_000)?;
        let life = Life {
            claims: lives.as_deref() == Some("on"),
            beat: milliseconds("OWNERSHIP_BEAT_MS", 3_000)?,
            lost_after: milliseconds("OWNERSHIP_LOST_AFTER_MS", 15_000)?,
            drain,
            audit: Some(milliseconds("OWNERSHIP_AUDIT_MS", 60_000)?)
                .filter(|pause| !pause.is_zero()),
            peer: match variable("OWNERSHIP_PEER") {
                Some(peer) => {
                    let peer = peer.parse();
                    Some(peer.map_err(|error| format!("OWNERSHIP_PEER: {error}"))?)
                }
                None => None,
            },
            serves_at: (port != 0).then(|| SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        };
        Ok(Self {
            machine,
            port,
            database: variable("DATABASE_URL"),
            watch: variable("OWNERSHIP_WATCH_URL"),
            place: parsed("OWNERSHIP_SESSION", Place::Path("/session".to_owned()))?,
            ids: parsed("OWNERSHIP_IDS", Ids::Uuid)?,
            handover: handover()?,
            freshness: CachePolicy::new().owned(milliseconds("OWNERSHIP_FRESHNESS_MS", 5_000)?),
            header: variable("OWNERSHIP_HEADER"),
            linger: milliseconds("OWNERSHIP_LINGER_MS", 5_000)?,
            drain,
            life: matches!(lives.as_deref(), Some("on" | "beat")).then_some(life),
            probing: probing()?,
            expose_internals: variable("OWNERSHIP_SHOW_INTERNALS").as_deref() == Some("on"),
            debug_token: variable("OWNERSHIP_DEBUG_TOKEN"),
        })
    }
}

fn handover() -> Result<Handover, Box<dyn Error>> {
    let kind = variable("OWNERSHIP_HANDOVER").unwrap_or_else(|| "fly".to_owned());
    Ok(Handover::Replay(match kind.split_once(':') {
        None if kind == "fly" => Arc::new(FlyReplay::new()),
        None if kind == "nginx" => Arc::new(NginxReplay::new()),
        None if kind == "forward" => return forward(None),
        Some(("forward", template)) => return forward(Some(template)),
        Some(("redirect", template)) => Arc::new(Redirect::to_template(template)?),
        _ => {
            return Err(format!(
                "OWNERSHIP_HANDOVER={kind:?}: none of fly, nginx, forward, forward:<template> and redirect:<template>"
            )
            .into());
        }
    }))
}

#[cfg(feature = "forward")]
fn forward(template: Option<&str>) -> Result<Handover, Box<dyn Error>> {
    use tower_ownership::forward::Forward;

    let allowed = variable("OWNERSHIP_PEER_ALLOW").unwrap_or_default();
    let allowed = allowed.split(',').map(str::trim);
    let allowed = allowed.filter(|entry| !entry.is_empty());
    let forward = match template {
        Some(template) => Forward::to_template(template, allowed),
        None => Forward::to_owner_address(allowed),
    };
    let forward = forward.map_err(|error| format!("OWNERSHIP_PEER_ALLOW: {error}"))?;
    let timeout = Forward::DEFAULT_RESPONSE_TIMEOUT.as_millis().try_into()?;
    let timeout = milliseconds("OWNERSHIP_PEER_TIMEOUT_MS", timeout)?;
    let forward = forward.response_timeout(timeout);
    Ok(Handover::Forward(Box::new(forward)))
}

#[cfg(not(feature = "forward"))]
fn forward(_: Option<&str>) -> Result<Handover, Box<dyn Error>> {
    Err("OWNERSHIP_HANDOVER: this container was built without the feature forward".into())
}

fn probing() -> Result<Option<Probing>, Box<dyn Error>> {
    let target = match (
        variable("OWNERSHIP_PROBE_URL"),
        variable("OWNERSHIP_PROBE_SESSION"),
    ) {
        (Some(url), Some(session)) => Some(Target {
            url,
            session: session.parse()?,
            header: match variable("OWNERSHIP_PROBE_HEADER") {
                Some(line) => {
                    let (name, value) = line
                        .split_once(':')
                        .ok_or("OWNERSHIP_PROBE_HEADER: no name")?;
                    Some((name.trim().parse()?, value.trim().parse()?))
                }
                None => None,
            },
        }),
        (None, None) => None,
        _ => return Err("OWNERSHIP_PROBE_URL and OWNERSHIP_PROBE_SESSION need each other".into()),
    };
    let Some(secret) = variable("OWNERSHIP_PROBE_SECRET") else {
        return match target {
            Some(_) => Err("OWNERSHIP_PROBE_URL needs OWNERSHIP_PROBE_SECRET".into()),
            None => Ok(None),
        };
    };
    Ok(Some(Probing {
        secret,
        target,
        every: milliseconds("OWNERSHIP_PROBE_MS", 60_000)?,
    }))
}

/// The directory of a container without a database.
pub fn directory_in_memory(ids: Ids) -> Result<MemoryDirectory, Box<dyn Error>> {
    let lookup = MemoryDirectory::new().for_ids(ids.session_ids());
    for assignment in variable("OWNERSHIP_SESSIONS")
        .iter()
        .flat_map(|list| list.split(','))
    {
        let (session, owner) = assignment
            .split_once('=')
            .ok_or_else(|| format!("OWNERSHIP_SESSIONS: {assignment:?} is not session=machine"))?;
        lookup.insert(Session::owned_by(
            session.trim().parse()?,
            owner.trim().parse()?,
        ));
    }
    tracing::warn!("DATABASE_URL is not set: sessions are looked up in this process's memory");
    Ok(lookup)
}

/// An empty variable is an unset one, as in most deployment tools.
pub fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn milliseconds(name: &str, default: u64) -> Result<Duration, Box<dyn Error>> {
    parsed(name, default).map(Duration::from_millis)
}

fn parsed<T>(name: &str, default: T) -> Result<T, Box<dyn Error>>
where
    T: FromStr<Err: Display>,
{
    match variable(name) {
        None => Ok(default),
        Some(value) => value
            .parse()
            .map_err(|error| format!("{name}={value:?}: {error}").into()),
    }
}
