//! What the doctor says.

use std::fmt;

use serde::Serialize;

use super::{
    check::{Check, CheckState, checks},
    checklist::checklist,
    facts::Facts,
    judge::judge,
};
use crate::{Finding, Severity};

/// What is wrong with a session, what to do about it, and all that was looked at.
///
/// Displays itself as plain text, and serializes with these fields: `session`, `finding`,
/// `sentence`, `nextStep`, `severity` (`fine`, `problem` or `unknown`), `also` (what else is wrong,
/// each with `finding`, `sentence` and `nextStep`), `checks` (each with `topic`, `name`, `state` and
/// `text`), and `facts`, whose fields may change with any version.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Diagnosis {
    /// The session, as it was asked for.
    pub session: String,
    /// The one thing that is wrong.
    pub finding: Finding,
    /// The same in a sentence, with its evidence.
    pub sentence: String,
    /// What to do about it.
    pub next_step: &'static str,
    severity: Severity,
    /// What else is wrong, gravest first.
    pub also: Vec<Complaint>,
    /// All that was looked at.
    pub checks: Vec<Check>,
    facts: Facts,
}

/// One thing that is wrong, with its evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Complaint {
    /// What is wrong.
    pub finding: Finding,
    /// The same in a sentence, with its evidence.
    pub sentence: String,
    /// What to do about it.
    pub next_step: &'static str,
}

impl Complaint {
    pub(super) fn new(finding: Finding, evidence: &str) -> Self {
        Self::with(finding, finding.sentence("", None, evidence))
    }

    /// Of a session whose row could be read, so that it is no timing problem of the database.
    pub(super) fn of_owner(finding: Finding, lead: &str, owner: &str, evidence: &str) -> Self {
        let evidence = if finding.as_str().starts_with("directory-") {
            evidence.to_owned()
        } else {
            format!("{evidence}; it is not a database timing problem")
        };
        Self::with(finding, finding.sentence(lead, Some(owner), &evidence))
    }

    fn with(finding: Finding, sentence: String) -> Self {
        Self {
            finding,
            sentence,
            next_step: finding.next_step(),
        }
    }
}

impl Diagnosis {
    pub(super) fn of(facts: Facts) -> Self {
        let mut judged = judge(&facts).into_iter();
        // `judge` always finds something, if only that all is fine.
        let first = judged.next();
        let first = first.unwrap_or_else(|| Complaint::new(Finding::Fine, ""));
        let mut all = checks(&facts);
        all.extend(checklist(&facts));
        Self {
            session: facts.session.clone(),
            severity: first.finding.severity(),
            finding: first.finding,
            sentence: first.sentence,
            next_step: first.next_step,
            also: judged.collect(),
            checks: all,
            facts,
        }
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Session {}", self.session)?;
        let mut topic = "";
        for check in &self.checks {
            if check.topic != topic {
                topic = check.topic;
                writeln!(f, "{topic}")?;
            }
            let mark = match check.state {
                CheckState::Fine => "ok",
                CheckState::Problem => "!!",
                CheckState::Unknown => "??",
            };
            writeln!(f, "  {mark} {}: {}", check.name, check.text)?;
        }
        writeln!(f, "Diagnosis ({}): {}", self.finding, self.sentence)?;
        write!(f, "Next step: {}", self.next_step)?;
        for also in &self.also {
            let (finding, sentence, next) = (also.finding, &also.sentence, also.next_step);
            write!(f, "\nAlso ({finding}): {sentence} {next}")?;
        }
        Ok(())
    }
}
