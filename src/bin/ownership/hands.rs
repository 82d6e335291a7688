//! Commands that change who owns what: each says what it would do and what that costs the clients, asks,
//! and then does it.

use std::{
    future::Future,
    io::{IsTerminal as _, Write as _},
    time::Duration,
};

use clap::Args;
use serde::Serialize;
use serde_json::json;
use tower_ownership::{
    LookupError, PostgresDirectory,
    doctor::{Fleet, seconds},
};

use crate::{
    database::Database,
    exit::{Exit, Failure, chain},
    listing::{Listing, Role},
    output::{BAD, BOLD, GOOD, Output, Tone, document, labelled, say, say_to, shown},
    progress::while_waiting,
    sessions::{dash, quoted},
};

mod machine;
mod reap;
mod session;
mod which;

pub use machine::{Gone, Readmit};
pub use reap::Reap;
pub use session::{Assign, End, Release};

/// Whether to ask, and whether to do it at all.
#[derive(Debug, Args)]
pub struct Consent {
    /// Say what would be done, and change nothing: the database does it and rolls it back
    #[arg(long)]
    dry_run: bool,

    /// Ask no question. Needed where there is no terminal to ask at
    #[arg(long, short)]
    yes: bool,
}

/// What was done to one session or machine, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Deed {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// The owner before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The epoch after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// Why nothing was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// Whether the database could not be asked.
    #[serde(skip)]
    pub is_unknown: bool,
}

impl Deed {
    pub fn of_session(session: &(impl ToString + ?Sized)) -> Self {
        Self {
            session: Some(session.to_string()),
            ..Self::default()
        }
    }

    pub fn of_machine(machine: &(impl ToString + ?Sized)) -> Self {
        Self {
            machine: Some(machine.to_string()),
            ..Self::default()
        }
    }

    pub fn refused(mut self, why: &(impl ToString + ?Sized)) -> Self {
        self.refused = Some(why.to_string());
        self
    }

    /// What the database did not do, or not for sure.
    pub fn unknown(mut self, error: &LookupError) -> Self {
        self.is_unknown = true;
        self.refused(&chain(error))
    }
}

/// What is asked, what it costs, and what is said when it was done.
pub struct Plan {
    /// `Assign 3 sessions to …`, for a question and before an answer.
    pub question: String,
    pub cost: String,
    pub done: String,
}

/// One command that changes something.
pub trait Hand {
    const NAME: &'static str;

    /// Does it in this directory. `rehearsed`: what its rehearsal found; `None`: this is one.
    fn work(
        &self,
        directory: &PostgresDirectory,
        rehearsed: Option<&[Deed]>,
    ) -> impl Future<Output = Result<Vec<Deed>, Failure>>;

    /// The words for what a rehearsal found. `ttl`: the fleet's lease TTL.
    fn plan(&self, deeds: &[Deed], ttl: &str) -> Plan;
}

/// More is not listed on a screen.
const SHOWN: usize = 20;

/// The TTL before any machine has run.
const DEFAULT_TTL: Duration = Duration::from_secs(5);

/// The directory to write to.
async fn directory(database: &Database) -> Result<(Fleet, PostgresDirectory), Failure> {
    let fleet = Fleet::postgres(database.builder()?)?;
    let directory = while_waiting("Looking at the database", fleet.directory()).await?;
    Ok((fleet, directory))
}

/// Rehearses, says, asks, does.
async fn lend(
    hand: &impl Hand,
    consent: &Consent,
    directory: &PostgresDirectory,
    output: &Output,
) -> Result<Exit, Failure> {
    let stage = directory.clone().rehearsal();
    let rehearsal = hand.work(&stage, None);
    let rehearsed = while_waiting("Trying what would be done", rehearsal).await?;
    let ttl = directory.lease_ttl().await?.unwrap_or(DEFAULT_TTL);
    let plan = hand.plan(&rehearsed, &seconds(ttl.as_secs_f64()));
    let can = rehearsed.iter().any(|deed| deed.refused.is_none());
    let told = |deeds: &[Deed], done: bool| {
        document(&json!({
            "command": hand_name(hand),
            "dryRun": consent.dry_run,
            "done": done,
            "cost": plan.cost,
            "results": deeds,
        }));
    };
    if consent.dry_run || !can {
        if output.json {
            told(&rehearsed, false);
        } else {
            if !rehearsed.is_empty() {
                say(format!("{}\n", listed(&rehearsed)));
            }
            if can {
                say(labelled([
                    ("Would:", lower(&plan.question), Tone::Title),
                    ("Cost:", plan.cost.clone(), Tone::Plain),
                ]));
                say("\nThis was a dry run: nothing was changed.");
            } else {
                say(format!("{BOLD}There is nothing to do.{BOLD:#}"));
            }
        }
        return Ok(exit_of(&rehearsed, can));
    }
    if !consent.yes {
        let mut err = anstream::stderr().lock();
        let _ = writeln!(err, "{}\n\n{}", listed(&rehearsed), cost(&plan));
        let _ = write!(err, "{BOLD}{}?{BOLD:#} [y/N] ", plan.question);
        let _ = err.flush();
        let mut answer = String::new();
        // What cannot be read is no consent.
        let _ = std::io::stdin().read_line(&mut answer);
        if !matches!(answer.trim(), "y" | "Y" | "yes" | "Yes") {
            return Err(Failure {
                exit: Exit::Problem,
                text: "nothing was changed".to_owned(),
            });
        }
    }
    let done = while_waiting("Doing it", hand.work(directory, Some(&rehearsed))).await?;
    let did = done.iter().any(|deed| deed.refused.is_none());
    if output.json {
        told(&done, did);
    } else {
        let refused: Vec<Deed> = { done.iter() }
            .filter(|deed| deed.refused.is_some())
            .cloned()
            .collect();
        if consent.yes || !refused.is_empty() {
            say(listed(if did && consent.yes { &done } else { &refused }));
        }
        let plan = hand.plan(&done, &seconds(ttl.as_secs_f64()));
        if did {
            say(format!("\n{GOOD}{}{GOOD:#}", plan.done));
            if consent.yes {
                say(cost(&plan));
            }
        } else {
            say(format!("\n{BAD}Nothing was changed.{BAD:#}"));
        }
    }
    Ok(exit_of(&done, did))
}

fn hand_name<H: Hand>(_: &H) -> &'static str {
    H::NAME
}

impl Consent {
    /// Where there is no terminal to ask at, the command line has to say that nothing is asked.
    fn can_be_had(&self) -> Result<(), Failure> {
        if self.yes || self.dry_run || std::io::stdin().is_terminal() {
            return Ok(());
        }
        Err(Failure {
            exit: Exit::Usage,
            text:
                "nothing was changed: there is no terminal to ask at, so give --yes, or --dry-run \
                   to see what would be done"
                    .to_owned(),
        })
    }
}

fn exit_of(deeds: &[Deed], did: bool) -> Exit {
    let refused = |deed: &&Deed| deed.refused.is_some();
    if deeds.iter().any(|deed| deed.is_unknown) {
        Exit::Unknown
    } else if !did && !deeds.is_empty() || deeds.iter().any(|deed| refused(&deed)) {
        Exit::Problem
    } else {
        Exit::Fine
    }
}

/// Those that were refused, and the first of the others.
fn listed(deeds: &[Deed]) -> String {
    let mut listing = Listing::new(&[("", Role::Kept), ("", Role::Text)]);
    let mut shown = 0;
    let mut row = |deed: &Deed| {
        shown += 1;
        let about = deed.session.as_ref().or(deed.machine.as_ref());
        let from = { deed.from.as_ref() }.map(|from| format!("of {from}"));
        let epoch = deed.epoch.map(|epoch| format!("epoch {epoch}"));
        let how = match (&deed.refused, from, epoch) {
            (Some(why), _, _) => (format!("not done: {why}"), Tone::Bad),
            (None, Some(from), Some(epoch)) => (format!("{from}, {epoch}"), Tone::Faint),
            (None, Some(one), None) | (None, None, Some(one)) => (one, Tone::Faint),
            (None, None, None) => (dash(), Tone::Faint),
        };
        listing.row([
            (about.map_or_else(dash, |about| quoted(about)), Tone::Plain),
            how,
        ]);
    };
    let is_refused = |deed: &&Deed| deed.refused.is_some();
    deeds
        .iter()
        .filter(is_refused)
        .take(SHOWN)
        .for_each(&mut row);
    let others = deeds.iter().filter(|deed| !is_refused(deed));
    others.take(SHOWN).for_each(&mut row);
    let mut text = listing.text();
    if deeds.len() > shown {
        say_to(
            &mut text,
            format_args!("\nand {} more", deeds.len() - shown),
        );
    }
    text
}

fn lower(sentence: &str) -> String {
    let mut sentence = sentence.to_owned();
    if let Some(first) = sentence.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    sentence
}

fn cost(plan: &Plan) -> String {
    labelled([("Cost:", &plan.cost, Tone::Plain)])
}

/// `1 session`, `3 sessions`.
fn count(many: usize, what: &str) -> String {
    let s = if many == 1 { "" } else { "s" };
    format!("{many} {what}{s}")
}

/// How many are done, or would be.
fn doable(deeds: &[Deed]) -> usize {
    deeds.iter().filter(|deed| deed.refused.is_none()).count()
}

/// A machine's id in a sentence.
fn named(machine: &(impl ToString + ?Sized)) -> String {
    format!("`{}`", shown(&machine.to_string()))
}
