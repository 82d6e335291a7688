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
pub struct Diagnosis {
    session: String,
    #[serde(flatten)]
    first: Complaint,
    severity: Severity,
    also: Vec<Complaint>,
    checks: Vec<Check>,
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
            first,
            also: judged.collect(),
            checks: all,
            facts,
        }
    }

    /// The session, as it was asked for.
    #[must_use]
    pub fn session(&self) -> &str {
        &self.session
    }

    /// The one thing that is wrong.
    #[must_use]
    pub fn finding(&self) -> Finding {
        self.first.finding
    }

    /// The same in one sentence.
    #[must_use]
    pub fn sentence(&self) -> &str {
        &self.first.sentence
    }

    /// What to do about it.
    #[must_use]
    pub fn next_step(&self) -> &'static str {
        self.first.next_step
    }

    /// What else is wrong, gravest first.
    #[must_use]
    pub fn also(&self) -> &[Complaint] {
        &self.also
    }

    /// All that was looked at.
    #[must_use]
    pub fn checks(&self) -> &[Check] {
        &self.checks
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
        let Complaint {
            finding,
            sentence,
            next_step,
        } = &self.first;
        writeln!(f, "Diagnosis ({finding}): {sentence}")?;
        write!(f, "Next step: {next_step}")?;
        for also in &self.also {
            let (finding, sentence, next) = (also.finding, &also.sentence, also.next_step);
            write!(f, "\nAlso ({finding}): {sentence} {next}")?;
        }
        Ok(())
    }
}
