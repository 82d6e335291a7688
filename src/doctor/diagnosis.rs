//! What the doctor says.

use std::fmt;

use serde::Serialize;

use super::{
    cause::{Cause, Severity},
    check::{Check, checks},
    checklist::checklist,
    findings::Findings,
    judge::{Judgement, judge},
};

/// What is wrong with a session, what to do about it, and all that was looked at.
///
/// Displays itself as plain text, and serializes with these fields: `session`, `cause`,
/// `severity` (`fine`, `problem` or `unknown`), `sentence`, `nextStep`, `also` (whatever else is
/// wrong, each with its `cause`, `sentence` and `nextStep`), `checks` (each with `topic`, `name`,
/// `state` and `text`), and `findings`, whose fields may change with any version.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Diagnosis {
    session: String,
    cause: Cause,
    severity: Severity,
    sentence: String,
    next_step: String,
    also: Vec<Complaint>,
    checks: Vec<Check>,
    findings: Findings,
}

/// Something that is wrong besides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Complaint {
    /// What.
    pub cause: Cause,
    /// The same in a sentence.
    pub sentence: String,
    /// What to do about it.
    pub next_step: String,
}

impl Diagnosis {
    pub(super) fn of(findings: Findings) -> Self {
        let mut judged = judge(&findings).into_iter();
        // `judge` always finds something, if only that all is fine.
        let first = judged.next().unwrap_or_else(|| Judgement {
            cause: Cause::Fine,
            sentence: String::new(),
            next_step: String::new(),
        });
        let mut all = checks(&findings);
        all.extend(checklist(&findings));
        Self {
            session: findings.session.clone(),
            cause: first.cause,
            severity: first.cause.severity(),
            sentence: first.sentence,
            next_step: first.next_step,
            also: judged
                .map(|judgement| Complaint {
                    cause: judgement.cause,
                    sentence: judgement.sentence,
                    next_step: judgement.next_step,
                })
                .collect(),
            checks: all,
            findings,
        }
    }

    /// The session, as it was asked for.
    #[must_use]
    pub fn session(&self) -> &str {
        &self.session
    }

    /// The one thing that is wrong.
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// The same in one sentence.
    #[must_use]
    pub fn sentence(&self) -> &str {
        &self.sentence
    }

    /// What to do about it.
    #[must_use]
    pub fn next_step(&self) -> &str {
        &self.next_step
    }

    /// What is wrong besides, gravest first.
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
        use super::CheckState::{Fine, Problem, Unknown};
        writeln!(f, "Session {}", self.session)?;
        let mut topic = "";
        for check in &self.checks {
            if check.topic != topic {
                topic = check.topic;
                writeln!(f, "{topic}")?;
            }
            let mark = match check.state {
                Fine => "ok",
                Problem => "!!",
                Unknown => "??",
            };
            writeln!(f, "  {mark} {}: {}", check.name, check.text)?;
        }
        writeln!(f, "Diagnosis ({}): {}", self.cause, self.sentence)?;
        write!(f, "Next step: {}", self.next_step)?;
        for also in &self.also {
            write!(
                f,
                "\nAlso ({}): {} {}",
                also.cause, also.sentence, also.next_step
            )?;
        }
        Ok(())
    }
}
