//! What a run comes to, in numbers, whether it passes or not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use uuid::Uuid;

use crate::check::{Rule, Violation};
use crate::client::Layer;
use crate::clock::At;
use crate::history::{History, Outcome, ProcessEnd, Request};
use crate::plan::Plan;
use crate::stream::StreamEnd;

/// Writes it to the terminal at once: libtest holds back only what goes through `print!` and
/// `eprint!`, and what a run came to is of interest when it passes, too.
pub fn say(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

pub fn report(history: &History, plan: &Plan, violations: &[Violation]) -> String {
    let mut text = String::new();
    let settings = &history.settings;
    line(&mut text, "chaos", &settings.command());
    line(
        &mut text,
        "faults",
        &counts(plan.faults.iter().map(|(_, fault)| format!("{fault:?}"))),
    );
    line(&mut text, "table", &format!("{:?}", plan.shape));
    let requests = &history.requests;
    let kinds = requests.iter().map(|request| format!("{:?}", request.kind));
    let by_header = requests
        .iter()
        .filter(|request| request.layer == Layer::ByHeader);
    line(
        &mut text,
        "requests",
        &format!(
            "{} ({}; {} by the second layer)",
            requests.len(),
            counts(kinds),
            by_header.count()
        ),
    );
    line(&mut text, "answers", &counts(requests.iter().map(outcome)));
    let passes = history.passes();
    let late = passes
        .values()
        .flatten()
        .filter(|(_, pass)| !pass.was_proved());
    let written = |written| {
        let passes = passes.values().flatten();
        passes
            .filter(|(_, pass)| pass.written == Some(written))
            .count()
    };
    let of_passes = format!(
        "{} ({} after their right, {} writes made, {} refused)",
        passes.values().map(Vec::len).sum::<usize>(),
        late.count(),
        written(true),
        written(false)
    );
    line(&mut text, "passes", &of_passes);
    if settings.forwards() {
        line(&mut text, "carried", &carried(history));
    }
    line(&mut text, "ownerships", &ownerships(history));
    let streams = history.streams.iter().map(|stream| {
        let end = match &stream.end {
            StreamEnd::Farewell(_) => "farewell",
            StreamEnd::Silent => "silent",
            StreamEnd::Broken(_) => "broken",
            StreamEnd::Left => "left",
        };
        format!("{:?} {end}", stream.kind)
    });
    line(
        &mut text,
        "streams",
        &format!("{} ({})", history.streams.len(), counts(streams)),
    );
    line(&mut text, "processes", &processes(history));
    let (longest, session) = longest_unavailability(history);
    let unavailable = format!("{:.3} s at the longest, {session}", longest.as_secs_f64());
    line(&mut text, "unavailable", &unavailable);
    line(&mut text, "healed", &healed(history));
    let stalls = &history.stalls;
    let stalled = format!(
        "{} times, {:?} at the longest; {:?} in all, by which bounds are wider; wall clock moved by {:?}",
        stalls.count(),
        stalls.longest(),
        stalls.within(At(0), At::NEVER),
        history.doubt
    );
    line(&mut text, "host stalled", &stalled);
    let rules = violations.iter().map(|found| format!("{:?}", found.rule));
    line(
        &mut text,
        "violations",
        &format!("{} ({})", violations.len(), counts(rules)),
    );
    text
}

/// For each rule that was broken how often it was, and the shortest account of it.
pub fn explanation(violations: &[Violation]) -> String {
    let mut rules: BTreeMap<Rule, Vec<&Violation>> = BTreeMap::new();
    for violation in violations {
        rules.entry(violation.rule).or_default().push(violation);
    }
    let mut text = String::new();
    for (rule, of_rule) in rules {
        let shortest = of_rule.iter().min_by_key(|violation| violation.what.len());
        let what = shortest.map_or("", |shortest| &shortest.what);
        let _ = writeln!(text, "{} times {rule:?}: {what}", of_rule.len());
    }
    text
}

fn line(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(text, "{name:>13}: {value}");
}

/// `3 a, 1 b`, the most first.
fn counts(of: impl Iterator<Item = String>) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for one in of {
        *counts.entry(one).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let counts: Vec<_> = counts
        .iter()
        .map(|(what, count)| format!("{count} {what}"))
        .collect();
    counts.join(", ")
}

fn outcome(request: &Request) -> String {
    match &request.outcome {
        Outcome::Passed(_) => "passed".to_owned(),
        Outcome::Refused { code, .. } => code.clone(),
        Outcome::Opened => "opened".to_owned(),
        Outcome::Failed { status, .. } => format!("application {status}"),
        Outcome::Edge { status } => format!("edge {status}"),
        Outcome::Broken(_) => "broken".to_owned(),
        Outcome::Nothing => "nothing".to_owned(),
    }
}

/// What was answered by another machine than it came to.
fn carried(history: &History) -> String {
    let requests = history.requests.iter();
    let carried = requests.filter(|request| request.way.len() > 1);
    let carriers = history
        .streams
        .iter()
        .filter_map(|one| one.carrier.as_ref());
    format!(
        "{}; {} streams",
        counts(carried.map(outcome)),
        carriers.count()
    )
}

fn ownerships(history: &History) -> String {
    let rows = history.rows_by_session();
    let (mut changes, mut first, mut released, mut taken, mut assigned) = (0, 0, 0, 0, 0);
    let mut highest = 0;
    for rows in rows.values() {
        highest = highest.max(rows.last().map_or(0, |row| row.epoch));
        for (before, row) in rows.iter().zip(rows.iter().skip(1)) {
            changes += 1;
            match (&before.owner, &row.owner) {
                (_, None) if row.released == Some(row.epoch) => released += 1,
                (None, Some(_)) if row.epoch == 1 => first += 1,
                (Some(_), Some(_)) => taken += 1,
                _ => assigned += 1,
            }
        }
    }
    format!(
        "{} sessions, {changes} changes ({first} first claims, {released} releases, {taken} from one \
         machine to another, {assigned} others), highest epoch {highest}, {} writes",
        rows.len(),
        history.writes.len()
    )
}

fn processes(history: &History) -> String {
    let ends = history.processes.iter().map(|process| match process.end {
        ProcessEnd::Drained { status, .. } => format!("drained with {status}"),
        end => format!("{end:?}"),
    });
    let drains = history
        .processes
        .iter()
        .filter_map(|process| match process.end {
            ProcessEnd::Drained { took, .. } => Some(took),
            _ => None,
        });
    let longest = drains.max().unwrap_or_default();
    let machines: BTreeSet<_> = history.processes.iter().map(|one| &one.machine).collect();
    let (count, machines) = (history.processes.len(), machines.len());
    format!(
        "{count} of {machines} machines ({}), longest drain {longest:?}",
        counts(ends)
    )
}

/// The longest time in which a session was asked for, time and again, and never served.
fn longest_unavailability(history: &History) -> (Duration, Uuid) {
    /// Samples that are further apart do not show what was in between.
    const OFTEN: Duration = Duration::from_secs(1);
    let mut asked: BTreeMap<Uuid, Vec<&Request>> = BTreeMap::new();
    for request in &history.requests {
        if !request.is_direct {
            asked.entry(request.session).or_default().push(request);
        }
    }
    let mut longest = (Duration::ZERO, Uuid::nil());
    for (session, mut requests) in asked {
        requests.sort_by_key(|request| request.done);
        let mut refused: Option<(At, At)> = None;
        for request in requests {
            let is_served = matches!(request.outcome, Outcome::Passed(_) | Outcome::Opened);
            let streak = refused
                .take()
                .filter(|(_, last)| request.sent.since(*last) < OFTEN);
            let since = streak.map_or(request.sent, |(since, _)| since);
            if streak.is_some() || !is_served {
                longest = longest.max((request.done.since(since), session));
            }
            refused = (!is_served).then_some((since, request.done));
        }
    }
    longest
}

fn healed(history: &History) -> String {
    let healing = &history.healing;
    let last = healing.sessions.values().chain(healing.machines.values());
    let last: Option<Vec<At>> = last.copied().collect();
    let took = match last.and_then(|all| all.into_iter().max()) {
        Some(last) => format!("{:.3} s", last.since(healing.from).as_secs_f64()),
        None => "never".to_owned(),
    };
    format!(
        "{} sessions and {} machines in {took}, of {:?}",
        healing.sessions.len(),
        healing.machines.len(),
        history.settings.heals_within()
    )
}
