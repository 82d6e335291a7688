//! Refusals are of the listed kinds, and each has its reason.

use std::collections::BTreeMap;
use std::time::Duration;

use uuid::Uuid;

use super::{Findings, Rule};
use crate::clock::At;
use crate::fault::is_deaf;
use crate::history::{History, Kind, Outcome, Pass, Request, Row};
use crate::troubles::Trouble::{
    self, Ahead, Cut, Dead, Draining, NoDatabase, PeersCut, RowsLocked, RowsMove, Standby,
    Starting, Stopped, Twin, Unreadable, Unwritable,
};

/// The statuses that go with the listed codes; whatever else the layer can say has no place here.
const LISTED: [(&str, u16); 9] = [
    ("session-starting", 503),
    ("session-moving", 503),
    ("owner-lost", 503),
    ("owner-never-seen", 503),
    ("duplicate-identity", 503),
    ("owner-unreachable", 503),
    ("replay-loop", 508),
    ("lookup-unavailable", 503),
    // A body of known length is always sent; but a machine may be asked past the edge.
    ("replay-not-honoured", 409),
];

pub(super) fn check(history: &History, findings: &mut Findings) {
    let reasons = Reasons {
        history,
        rows: history.rows_by_session(),
        passes: history.passes(),
    };
    for request in &history.requests {
        let found = match &request.outcome {
            Outcome::Passed(_) | Outcome::Opened | Outcome::Broken(_) | Outcome::Nothing => None,
            Outcome::Refused { status, code } => reasons.against_code(request, *status, code),
            Outcome::Edge { status } => reasons.against_edge(request, *status),
            Outcome::Failed { .. } => reasons.against_application(request),
        };
        if let Some(why) = found {
            findings.add(Rule::RefusalsHaveReasons, format!("{why}: {request:?}"));
        }
    }
}

struct Reasons<'a> {
    history: &'a History,
    rows: BTreeMap<Uuid, Vec<&'a Row>>,
    passes: BTreeMap<Uuid, Vec<(&'a Request, &'a Pass)>>,
}

impl Reasons<'_> {
    fn against_code(&self, request: &Request, status: u16, code: &str) -> Option<&'static str> {
        if !LISTED.contains(&(code, status)) {
            return Some("is not listed");
        }
        let settings = &self.history.settings;
        let (heals, recovers) = (settings.heals_within(), settings.recovers_within());
        let owners = self.owners(request);
        let last = request.way.last().map(String::as_str);
        let here: Vec<&str> = last.into_iter().collect();
        let is_explained = match code {
            // A machine takes over and waits, or gives up.
            "session-moving" => {
                self.waits(request, last) || self.trouble(&[Draining], &here, request, heals)
            }
            // Or the process is, which has not said yet that it is there.
            "session-starting" => {
                self.was_unassigned(request) || self.trouble(&[Starting], &here, request, recovers)
            }
            // One that is there beats again soon after whatever kept it from it, and while no
            // machine can beat, none is lost.
            "owner-lost" => {
                let troubles = [Dead, Draining, Stopped, Cut, Standby, Starting];
                self.is_gone(&owners, request)
                    || self.trouble(&troubles, &owners, request, recovers)
            }
            "owner-unreachable" if self.is_cut_off(&owners, request) => true,
            "owner-unreachable" if self.has_old_address(&here, request) => true,
            "owner-unreachable" => {
                // Who hears of no change may go by who was the owner a while ago, once.
                let last_known = if here.iter().any(|name| is_deaf(name)) {
                    settings.hint
                } else {
                    Duration::ZERO
                };
                self.trouble(
                    &[Dead, Draining, Stopped, Starting],
                    &owners,
                    request,
                    heals + last_known,
                ) || self.is_gone(&owners, request) && self.is_unjudged(request)
            }
            "owner-never-seen" => self.trouble(&[Ahead, Starting], &owners, request, recovers),
            "lookup-unavailable" => {
                let any: Vec<&str> = request.way.iter().map(String::as_str).collect();
                let troubles = [NoDatabase, Unreadable, Cut, Standby, Stopped, Starting];
                self.trouble(&troubles, &any, request, recovers)
                    || self.is_held(request)
                    || self.needs_a_claim(request, &owners)
                        && self.trouble(&[Unwritable], &any, request, recovers)
                    || self.stalled(request)
            }
            "duplicate-identity" => self.trouble(&[Twin], &owners, request, heals),
            "replay-loop" => self.changed_during(request),
            // Nor does a machine that carries requests need an edge.
            "replay-not-honoured" => request.is_direct && !settings.forwards(),
            _ => false,
        };
        (!is_explained).then_some("has no reason")
    }

    /// Whether the ways to one of the machines were cut. The next connection finds them whole.
    fn is_cut_off(&self, machines: &[&str], request: &Request) -> bool {
        let during = (request.sent, request.done);
        let troubles = &self.history.troubles;
        troubles.explain(&[PeersCut], Some(machines), during, Duration::ZERO)
    }

    /// Whether the machine carries requests, and what it knew last of the session may be where a process
    /// was that has ended: it goes by that while it cannot read, and no edge finds the machine by its id.
    fn has_old_address(&self, here: &[&str], request: &Request) -> bool {
        let settings = &self.history.settings;
        let unread = [NoDatabase, Unreadable, Cut, Standby, Stopped, Starting];
        let rows = self.rows_of(request).iter();
        let mut before = rows.filter(|row| row.committed <= request.done);
        settings.forwards()
            && self.trouble(&unread, here, request, settings.recovers_within())
            && before.any(|row| {
                let mut processes = self.history.processes.iter();
                processes.any(|one| {
                    row.owner.as_ref() == Some(&one.machine) && one.ended <= request.sent
                })
            })
    }

    fn against_edge(&self, request: &Request, status: u16) -> Option<&'static str> {
        if ![502, 503].contains(&status) {
            return Some("the edge says what it never does");
        }
        let troubles = [Dead, Draining, Stopped, Starting, Twin];
        let gone = self.history.troubles.explain(
            &troubles,
            None,
            (request.sent, request.done),
            self.history.settings.slack,
        );
        (!gone).then_some("the edge reached no machine, and none was gone")
    }

    /// What the application itself cannot do without its database: write.
    fn against_application(&self, request: &Request) -> Option<&'static str> {
        let any: Vec<&str> = request.way.iter().map(String::as_str).collect();
        let recovers = self.history.settings.recovers_within();
        let troubles = [
            NoDatabase, Unwritable, Unreadable, Cut, Standby, Stopped,
            // Its few connections wait for the locked rows, and all other writes for these.
            RowsLocked,
        ];
        let is_explained = request.kind == Kind::Write
            && (self.trouble(&troubles, &any, request, recovers)
                || self.is_held(request)
                || self.stalled(request));
        (!is_explained).then_some("the application failed")
    }

    fn trouble(
        &self,
        troubles: &[Trouble],
        machines: &[&str],
        request: &Request,
        after: Duration,
    ) -> bool {
        let during = (request.sent, request.done);
        // A bound that only a stalled host missed is not missed.
        let after = after + self.lost(request, after);
        let after = after + self.unjudged(request, after);
        let troubles_of = &self.history.troubles;
        troubles_of.explain(troubles, Some(machines), during, after)
    }

    /// For how long no machine's silence counted, of the time before the request.
    fn unjudged(&self, request: &Request, before: Duration) -> Duration {
        let mut unjudged = Duration::ZERO;
        // What it adds may reach back to another one.
        for _ in 0..3 {
            let from = request.sent - before - unjudged;
            let troubles = &self.history.troubles;
            let silent = troubles.within(&Trouble::SILENCES_ALL, from, request.done);
            if !silent.is_zero() {
                unjudged = silent + self.history.settings.judges_again_within();
            }
        }
        unjudged
    }

    /// Whether a machine that is gone may not have been found lost again after all machines were silent:
    /// another one has to beat first, and then for long enough.
    fn is_unjudged(&self, request: &Request) -> bool {
        let settings = &self.history.settings;
        let before = settings.recovers_within() + settings.judges_again_within();
        let before = before + self.lost(request, before);
        !self.unjudged(request, before).is_zero()
    }

    /// Whether another transaction held the session's row, so that nothing could be written.
    fn is_held(&self, request: &Request) -> bool {
        self.history.troubles.explain_session(
            &[RowsLocked, RowsMove],
            request.session,
            (request.sent, request.done),
            self.history.settings.recovers_within(),
        )
    }

    /// Whether the session had no owner, or one that may have been lost.
    fn needs_a_claim(&self, request: &Request, owners: &[&str]) -> bool {
        let troubles = [Dead, Draining, Stopped, Cut, Standby, Starting];
        let heals = self.history.settings.heals_within();
        self.was_unassigned(request)
            || self.is_gone(owners, request)
            || self.trouble(&troubles, owners, request, heals)
    }

    /// Whether one of the machines was no process at all.
    fn is_gone(&self, machines: &[&str], request: &Request) -> bool {
        machines.iter().any(|machine| {
            let mut processes = self.history.processes.iter();
            processes.all(|one| one.machine != *machine || one.ended < request.sent)
        })
    }

    fn lost(&self, request: &Request, before: Duration) -> Duration {
        self.history
            .stalls
            .within(request.sent - before, request.done)
    }

    /// Whether the host ran nothing for so long that lookups took too long by themselves.
    fn stalled(&self, request: &Request) -> bool {
        self.lost(request, Duration::ZERO) > self.history.settings.freshness / 2
    }

    fn rows_of(&self, request: &Request) -> &[&Row] {
        self.rows
            .get(&request.session)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// The rows that a machine may have decided by.
    fn current(&self, request: &Request, reach: Duration) -> Vec<&Row> {
        let rows = self.rows_of(request);
        let until = |at: usize| rows.get(at + 1).map_or(At::NEVER, |next| next.committed);
        let during = |(at, row): &(usize, &&Row)| {
            row.committed <= request.done && until(*at) + reach >= request.sent
        };
        let current = rows.iter().enumerate().filter(during);
        current.map(|(_, row)| *row).collect()
    }

    /// Who owned the session, or was believed to.
    fn owners(&self, request: &Request) -> Vec<&str> {
        let rows = self.current(request, self.history.settings.hint);
        rows.iter().filter_map(|row| row.owner.as_deref()).collect()
    }

    fn was_unassigned(&self, request: &Request) -> bool {
        let settings = &self.history.settings;
        let reach = settings.freshness + settings.lookup + self.lost(request, settings.lookup);
        self.current(request, reach)
            .iter()
            .any(|row| row.owner.is_none())
    }

    fn changed_during(&self, request: &Request) -> bool {
        let settings = &self.history.settings;
        let since = request.sent - settings.lookup - self.lost(request, settings.lookup);
        let mut rows = self.rows_of(request).iter();
        rows.any(|row| row.committed >= since && row.committed <= request.done)
    }

    /// Whether the machine may have had to wait for the owner before: not if this layer of the
    /// process that is it has passed requests at this epoch already.
    fn waits(&self, request: &Request, machine: Option<&str>) -> bool {
        let settings = &self.history.settings;
        let reach = settings.freshness + settings.lookup + self.lost(request, settings.lookup);
        let mine = |row: &&Row| row.owner.as_deref() == machine;
        let current = self.current(request, reach);
        let mut mine = current.into_iter().filter(mine);
        let passes = self.passes.get(&request.session);
        let passes = passes.map(Vec::as_slice).unwrap_or_default();
        mine.any(|row| {
            let mut earlier = passes.iter().filter(|(other, pass)| {
                pass.epoch == row.epoch
                    && other.layer == request.layer
                    && Some(pass.machine.as_str()) == machine
                    && pass.at + reach < request.sent
                    && self.is_current(pass, request.done)
            });
            earlier.next().is_none()
        })
    }

    /// Whether no other process of the machine had come by then, which has to wait again.
    fn is_current(&self, pass: &Pass, by: At) -> bool {
        let processes = self.history.processes.iter();
        let come = processes.filter(|one| one.machine == pass.machine && one.started <= by);
        let last = come.max_by_key(|process| process.started);
        last.is_some_and(|process| process.id.as_ref() == Some(&pass.process))
    }
}

#[cfg(test)]
mod tests;
