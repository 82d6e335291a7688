//! `ownership audit`.

use clap::Args;
use tower_ownership::{
    doctor::{Fleet, FleetAudit},
    explain::Finding,
    postgres::AuditFinding,
};

use crate::{
    database::Database,
    exit::{Exit, Failure},
    listing::{Listing, Role},
    output::{BAD, FAINT, GOOD, Output, Tone, labelled, say_to, written},
    progress::while_waiting,
    sessions::{NOT_KEPT, dash, quoted},
    watch::{Seen, Watch},
};

/// Say what is wrong with the whole fleet.
///
/// Finds active sessions without an owner, or whose owner is lost, was never seen or drains; starting
/// sessions whose owner is lost; machines whose ids have another form than stored owners; triggers
/// that are missing or disabled, sessions whose owner changed meanwhile, a queue of notifications
/// that fills up, and a replica. Where the ownership migration is not applied, only sessions without
/// an owner are found. Also two processes under one machine's id, and words in the status that the lookup
/// does not know, of sessions that look alive.
///
/// With --json: ownershipKept, findings (each with finding, which is session-unassigned, owner-lost,
/// owner-never-seen, owner-draining, wrong-identity, duplicate-identity, migration-partly,
/// owner-without-epoch, notify-triggers, notify-queue, replica or status-unknown, and as far as they apply session, owner, epoch,
/// machine and detail), and truncated (whether there is more).
#[derive(Debug, Args)]
pub struct Audit {
    /// Maximum findings per kind
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=9999))]
    limit: u16,

    #[command(flatten)]
    watch: Watch,

    #[command(flatten)]
    database: Database,
}

impl Audit {
    pub async fn run(self, output: &Output) -> Result<Exit, Failure> {
        let fleet = Fleet::postgres(self.database.builder()?)?;
        let limit = usize::from(self.limit);
        let look = async || {
            let audit = while_waiting("Auditing the fleet", fleet.audit(limit)).await;
            let audit = match audit {
                Ok(audit) => audit,
                Err(error) => return Err(Failure::of_fleet(&fleet, error).await),
            };
            Ok(Seen {
                text: if output.json {
                    written(&audit, self.watch.is_on())
                } else {
                    told(&audit)
                },
                exit: if audit.findings.is_empty() {
                    Exit::Fine
                } else {
                    Exit::Problem
                },
            })
        };
        self.watch.look(output, look).await
    }
}

fn told(audit: &FleetAudit) -> String {
    let mut text = String::new();
    if audit.findings.is_empty() {
        say_to(
            &mut text,
            format_args!("{GOOD}Nothing is wrong with the fleet.{GOOD:#}"),
        );
    } else {
        for (finding, count) in counts(audit) {
            let (title, next) = (finding.title(), finding.next_step());
            let heading = format!("{count} {finding}:");
            say_to(
                &mut text,
                format_args!("{}\n", labelled([(heading, title, Tone::Bad)])),
            );
            let of_this = audit.findings.iter().filter(|one| one.finding == finding);
            say_to(
                &mut text,
                format_args!(
                    "{}\n{}\n\n",
                    listed(of_this),
                    labelled([("Next:", next, Tone::Plain)])
                ),
            );
        }
        say_to(&mut text, format_args!("{BAD}{}{BAD:#}", summary(audit)));
    }
    let partly = |one: &AuditFinding| one.finding == Finding::MigrationPartly;
    if !audit.ownership_kept && !audit.findings.iter().any(partly) {
        say_to(&mut text, format_args!("\n{FAINT}{NOT_KEPT}{FAINT:#}"));
    }
    text
}

fn listed<'a>(findings: impl Iterator<Item = &'a AuditFinding>) -> String {
    let columns = [
        ("session", Role::Kept),
        ("machine", Role::Kept),
        ("owner", Role::Kept),
        ("epoch", Role::Spare),
        ("detail", Role::Text),
    ];
    let mut listed = Listing::new(&columns).indented(2);
    for finding in findings {
        let session = finding.session.clone().map(|session| session.to_string());
        let id = |id: &Option<String>| id.as_deref().map_or_else(dash, quoted);
        let epoch = finding.epoch.map_or_else(dash, |epoch| epoch.to_string());
        listed.row([
            (session.unwrap_or_else(dash), Tone::Plain),
            (id(&finding.machine), Tone::Plain),
            (id(&finding.owner), Tone::Plain),
            (epoch, Tone::Faint),
            (finding.detail.clone().unwrap_or_else(dash), Tone::Plain),
        ]);
    }
    listed.text()
}

/// Each finding and how many there are of it, in their order.
fn counts(audit: &FleetAudit) -> Vec<(Finding, usize)> {
    let mut counts: Vec<(Finding, usize)> = Vec::new();
    for AuditFinding { finding, .. } in &audit.findings {
        match counts.iter_mut().find(|(counted, _)| counted == finding) {
            Some((_, count)) => *count += 1,
            None => counts.push((*finding, 1)),
        }
    }
    counts
}

/// `2 owner-lost, 1 session-unassigned`.
fn summary(audit: &FleetAudit) -> String {
    let counts: Vec<String> = counts(audit)
        .iter()
        .map(|(finding, count)| format!("{count} {finding}"))
        .collect();
    let more = if audit.truncated {
        ", and more (--limit)"
    } else {
        ""
    };
    format!("{}{more}", counts.join(", "))
}
