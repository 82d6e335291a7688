//! The explanation as text for a terminal.

use std::fmt::{self, Display, Formatter};

use super::{Explanation, Reading, ResponseShown, SessionRead};

impl Display for Explanation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.summary)?;
        for note in &self.notes {
            writeln!(f, "{note}")?;
        }
        writeln!(f)?;
        line(f, "finding", self.finding.as_str())?;
        let session = self.session.id.as_deref();
        let session = session.or(self.session.malformed.as_deref());
        let (session, extractor) = (session.unwrap_or("none"), &self.session.extractor);
        line(f, "session", format_args!("{session}, from {extractor}"))?;
        self.arrival(f)?;
        self.machine(f)?;
        self.policy(f)?;
        if let Some(source) = self.answered_from {
            let from = match source {
                crate::Source::Lookup => "what the directory says",
                crate::Source::Cache => "what is cached",
                crate::Source::Stale => "what is cached, although it is too old",
            };
            line(f, "judged by", from)?;
        }
        if self.answered_from.is_some() {
            match &self.cached {
                Some(cached) => reading(f, "cached", cached)?,
                None => line(f, "cached", "nothing")?,
            }
        }
        if let Some(directory) = &self.directory {
            reading(f, "directory", directory)?;
            let ago = |at: Option<u64>| at.map_or("never".to_owned(), |at| format!("{at} ms ago"));
            let (answered, failed) = (self.reached.answered_ms_ago, self.reached.failed_ms_ago);
            let (answered, failed) = (ago(answered), ago(failed));
            line(
                f,
                "  before",
                format_args!("answered {answered}, failed {failed}"),
            )?;
        }
        if let Some(response) = &self.refused {
            answer(f, response, false)?;
        }
        Ok(())
    }
}

impl Explanation {
    fn arrival(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let arrival = &self.arrival;
        let mut said = vec![arrival.how.to_owned()];
        if arrival.hops > 0 {
            said.push(format!("{} hops", arrival.hops));
        }
        said.extend(
            arrival
                .machine
                .iter()
                .map(|machine| format!("meant for {machine}")),
        );
        said.extend(
            arrival
                .replay_source
                .iter()
                .map(|source| format!("sent by {source}")),
        );
        said.extend(arrival.reason.map(str::to_owned));
        said.extend(
            arrival
                .elapsed_ms
                .map(|elapsed| format!("after {elapsed} ms")),
        );
        said.extend(arrival.came_through.map(|through| {
            let way = if through { "through" } else { "past" };
            format!("{way} the proxy")
        }));
        line(f, "arrival", said.join(", "))
    }

    fn machine(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let machine = &self.machine;
        line(
            f,
            "machine",
            format_args!("{}, {}", machine.id, machine.state.as_str()),
        )?;
        match &machine.platform {
            Some(platform) if platform.machine != machine.id => line(
                f,
                "",
                format_args!(
                    "{} calls it {} ({})",
                    platform.name, platform.machine, platform.variable
                ),
            ),
            _ => Ok(()),
        }
    }

    fn policy(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let policy = &self.policy;
        line(
            f,
            "policy",
            format_args!(
                "claims: {}, takes over: {}, guard: {}, at most {} hops, lookups up to {} ms, \
                 reads relied on for {} ms",
                yes(policy.claims),
                yes(policy.takes_over),
                yes(policy.guarded),
                policy.max_hops,
                policy.lookup_timeout_ms,
                policy.lease_ttl_ms
            ),
        )
    }
}

fn reading(f: &mut Formatter<'_>, name: &str, reading: &Reading) -> fmt::Result {
    writeln!(f)?;
    match reading.usable_for_ms {
        Some(left) => line(
            f,
            name,
            format_args!("read {} ms ago, usable for {left} ms more", reading.age_ms),
        )?,
        None => line(f, name, format_args!("asked now, in {} ms", reading.age_ms))?,
    }
    match (&reading.session, &reading.failure) {
        (Some(known), _) => session(f, known)?,
        (None, Some(failure)) => {
            line(f, "  failure", failure.kind)?;
            for cause in &failure.chain {
                line(f, "", cause)?;
            }
        }
        (None, None) => line(f, "  session", "unknown")?,
    }
    if let Some(allows) = reading.guard_allows {
        let says = if allows { "lets it pass" } else { "refuses it" };
        line(f, "  guard", says)?;
    }
    if let Some(lease) = &reading.lease {
        match lease.left_ms {
            Some(left) => line(f, "  lease", format_args!("{} for {left} ms", lease.lease))?,
            None => line(f, "  lease", lease.lease)?,
        }
    }
    let (verdict, meaning) = (reading.verdict.as_str(), &reading.meaning);
    line(f, "  verdict", format_args!("{verdict}: {meaning}"))?;
    match &reading.response {
        Some(response) => answer(f, response, reading.code.is_none()),
        None => Ok(()),
    }
}

fn session(f: &mut Formatter<'_>, known: &SessionRead) -> fmt::Result {
    match known.remaining_ms {
        Some(life) => line(
            f,
            "  session",
            format_args!("{}, {life} ms left to live", known.status),
        )?,
        None => line(f, "  session", known.status)?,
    }
    match &known.owner {
        Some(owner) => {
            let here = if known.owned_here {
                " (this machine)"
            } else {
                ""
            };
            let presence = known.presence.as_str();
            line(
                f,
                "  owner",
                format_args!("{owner}{here}, presence: {presence}"),
            )?;
        }
        None => line(f, "  owner", "nobody")?,
    }
    if let Some(epoch) = known.epoch {
        let released = match known.released {
            Some(released) => format!(", released at {released}"),
            None => String::new(),
        };
        line(f, "  epoch", format_args!("{epoch}{released}"))?;
    }
    if let Some(address) = &known.address {
        line(f, "  address", address)?;
    }
    if !known.attributes.is_empty() {
        line(f, "  attributes", known.attributes.join(", "))?;
    }
    Ok(())
}

/// `is_for_proxy`: a client reads it only if no proxy acts on it.
fn answer(f: &mut Formatter<'_>, response: &ResponseShown, is_for_proxy: bool) -> fmt::Result {
    let status = response.status;
    match response.code {
        Some(code) if is_for_proxy => line(
            f,
            "  answer",
            format_args!(
                "{status}, which reads {} if no proxy acts on it",
                code.as_str()
            ),
        )?,
        Some(code) => line(f, "  answer", format_args!("{status} {}", code.as_str()))?,
        None => line(f, "  answer", status)?,
    }
    for header in &response.headers {
        line(f, "", format_args!("{}: {}", header.name, header.value))?;
    }
    match &response.detail {
        Some(detail) => line(f, "", detail),
        None => Ok(()),
    }
}

fn line(f: &mut Formatter<'_>, name: &str, value: impl Display) -> fmt::Result {
    writeln!(f, "{name:<13}{value}")
}

fn yes(said: bool) -> &'static str {
    if said { "yes" } else { "no" }
}
