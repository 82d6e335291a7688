//! `ownership edge`.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs as _},
    time::Duration,
};

use clap::Args;
use serde_json::{Value, json};
use tower_ownership::testing::{EdgeMachine, EdgeRecord, EdgeSessionCache, FlyEdge, Hop, HopKind};

use crate::{
    end::asked_to_end,
    exit::{Exit, Failure},
    output::{BAD, BOLD, FAINT, GOOD, Output, line, say},
};

/// Run Fly's proxy, imitated, in front of machines on this computer.
///
/// Requests land on one of them, and go on to another one where it answers with a `fly-replay`. Each
/// hop is printed as it happens, until Ctrl-C. A tool for tests and demonstrations, not a proxy for
/// production.
///
/// With --json, one document a line: event (listening, hop or error); of a hop requestId, machine,
/// kind (landed, cache-hit, replayed, fell-back), status, replay and reason; of an error requestId,
/// kind, code and detail.
#[derive(Debug, Args)]
pub struct Edge {
    /// A machine and where it listens, such as e2863555a91708=127.0.0.1:8081; may be given
    /// several times. With h2c:// before the address it is spoken to in cleartext HTTP/2, as
    /// h2_backend = true in fly.toml has it: gRPC needs that
    #[arg(long, value_name = "ID=ADDRESS", required = true, value_parser = machine)]
    machine: Vec<Machine>,

    /// Where clients connect to
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4000")]
    listen: SocketAddr,

    /// The machine that every fresh request lands on [default: each in turn]
    #[arg(long, value_name = "ID")]
    land_on: Option<String>,

    /// The app that the machines belong to
    #[arg(long, value_name = "NAME", default_value = "app")]
    app: String,

    /// The region of the edge and its machines
    #[arg(long, value_name = "CODE", default_value = "iad")]
    region: String,

    /// Remember replays by session, as [[http_service.http_options.replay_cache]] in fly.toml has it:
    /// header:NAME or cookie:NAME, and after commas path_prefix=/PATH, ttl_seconds=NUMBER and
    /// allow_bypass=true; may be given several times
    #[arg(long, value_name = "PLACE:NAME", value_parser = session_cache)]
    session_cache: Vec<EdgeSessionCache>,

    /// Behave as a proxy that knows nothing of replays
    #[arg(long)]
    ignore_replays: bool,
}

#[derive(Clone, Debug)]
struct Machine {
    id: String,
    address: SocketAddr,
    speaks_h2: bool,
}

impl Edge {
    pub async fn run(self, output: &Output) -> Result<Exit, Failure> {
        if let Some(id) = &self.land_on
            && !self.machine.iter().any(|machine| machine.id == *id)
        {
            return Err(Failure {
                exit: Exit::Usage,
                text: format!("--land-on {id} is none of the machines"),
            });
        }
        let mut edge = FlyEdge::builder()
            .listen(self.listen)
            .app(self.app)
            .region(self.region)
            .honour_replay(!self.ignore_replays);
        if let Some(id) = self.land_on {
            edge = edge.land_on(id);
        }
        for cache in self.session_cache {
            edge = edge.session_cache(cache);
        }
        let mut end = std::pin::pin!(asked_to_end());
        let edge = edge.start().await.map_err(|error| match error.kind() {
            io::ErrorKind::InvalidInput => Failure {
                exit: Exit::Usage,
                text: format!("--session-cache: {error}"),
            },
            _ => Failure {
                exit: Exit::Unknown,
                text: format!("cannot listen on {}: {error}", self.listen),
            },
        })?;
        for machine in self.machine {
            let registered = EdgeMachine::new(machine.id, machine.address);
            edge.add_machine(registered.h2_backend(machine.speaks_h2));
        }
        let mut watch = edge.subscribe();
        if output.json {
            line(&json!({ "event": "listening", "url": edge.url("") }));
        } else {
            say(format!(
                "Listening on {BOLD}{}{BOLD:#} in front of {}. Ctrl-C ends it.",
                edge.url("/"),
                edge.machines().join(", ")
            ));
        }
        loop {
            tokio::select! {
                () = &mut end => break,
                record = watch.next() => match record {
                    Some(record) => tell(output, &record),
                    None => break,
                },
            }
        }
        edge.shutdown().await;
        Ok(Exit::Fine)
    }
}

fn tell(output: &Output, record: &EdgeRecord) {
    match (record, output.json) {
        (EdgeRecord::Hop(hop), true) => line(&hop_document(hop)),
        (EdgeRecord::Hop(hop), false) => say(hop_in_words(hop)),
        (EdgeRecord::Event(event), true) => line(&json!({
            "event": "error",
            "requestId": event.request_id,
            "kind": format!("{:?}", event.kind),
            "code": event.kind.code(),
            "detail": event.detail,
        })),
        (EdgeRecord::Event(event), false) => say(format!("{BAD}{event}{BAD:#}")),
        _ => {}
    }
}

fn hop_document(hop: &Hop) -> Value {
    json!({
        "event": "hop",
        "requestId": hop.request_id,
        "machine": hop.machine,
        "kind": kind(hop.kind),
        "status": hop.status.map(|status| status.as_u16()),
        "replay": hop.replay,
        "reason": hop.reason,
    })
}

fn hop_in_words(hop: &Hop) -> String {
    let status = hop.status.map_or_else(
        || format!("{BAD}no answer{BAD:#}"),
        |status| {
            let style = if status.as_u16() < 400 { GOOD } else { BAD };
            format!("{style}{}{style:#}", status.as_u16())
        },
    );
    let reason = hop
        .reason
        .as_deref()
        .map_or_else(String::new, |reason| format!(" ({reason})"));
    let replay = hop.replay.as_deref().map_or_else(String::new, |replay| {
        format!("  {FAINT}fly-replay: {replay}{FAINT:#}")
    });
    format!(
        "{FAINT}{}{FAINT:#}  {:<9}  {BOLD}{}{BOLD:#}  {status}{reason}{replay}",
        hop.request_id,
        kind(hop.kind),
        hop.machine
    )
}

fn kind(kind: HopKind) -> &'static str {
    match kind {
        HopKind::Landed => "landed",
        HopKind::CacheHit => "cache-hit",
        HopKind::Replayed => "replayed",
        HopKind::FellBack => "fell-back",
        _ => "other",
    }
}

fn machine(text: &str) -> Result<Machine, String> {
    let (id, address) = text
        .split_once('=')
        .filter(|(id, _)| !id.is_empty())
        .ok_or("it is no ID=ADDRESS")?;
    let (scheme, place) = address.split_once("://").unwrap_or(("http", address));
    let speaks_h2 = match scheme {
        "http" => false,
        "h2c" => true,
        _ => return Err(format!("{address:?}: the scheme is none of http and h2c")),
    };
    let mut addresses = place
        .to_socket_addrs()
        .map_err(|error| format!("{place:?}: {error}"))?;
    let address = addresses
        .next()
        .ok_or_else(|| format!("{place:?} leads nowhere"))?;
    Ok(Machine {
        id: id.to_owned(),
        address,
        speaks_h2,
    })
}

fn session_cache(text: &str) -> Result<EdgeSessionCache, String> {
    let mut parts = text.split(',');
    let place = parts.next().unwrap_or_default();
    let mut cache = match place.split_once(':') {
        Some(("header", name)) if !name.is_empty() => EdgeSessionCache::by_header(name),
        Some(("cookie", name)) if !name.is_empty() => EdgeSessionCache::by_cookie(name),
        _ => return Err(format!("{place:?} is neither header:NAME nor cookie:NAME")),
    };
    for part in parts {
        cache = match part.split_once('=') {
            Some(("path_prefix", prefix)) => cache.path_prefix(prefix),
            Some(("ttl_seconds", seconds)) => {
                let seconds = seconds.parse();
                let seconds = seconds.map_err(|error| format!("{part:?}: {error}"))?;
                cache.ttl(Duration::from_secs(seconds))
            }
            Some(("allow_bypass", "true")) => cache.allow_bypass(true),
            Some(("allow_bypass", "false")) => cache.allow_bypass(false),
            _ => {
                return Err(format!(
                    "{part:?} is none of path_prefix=/PATH, ttl_seconds=NUMBER and allow_bypass=true"
                ));
            }
        };
    }
    Ok(cache)
}
