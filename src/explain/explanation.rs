//! The explanation as a value, as JSON and as text for a terminal.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;
use serde_json::Value;

use crate::{Finding, Severity};

/// Why a request is answered as it is: the decision with all that it depends on.
///
/// It serializes as one object: `finding`, `summary`, `nextStep` and `notes`, followed by the members
/// of [`inputs`](Self::inputs). It prints as text for a terminal.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Explanation {
    /// What is wrong.
    pub finding: Finding,
    /// The same in one sentence, with its evidence.
    pub summary: String,
    /// What an operator should do.
    pub next_step: &'static str,
    /// What else is worth a look, a sentence each.
    pub notes: Vec<String>,
    /// What the decision depends on, as an object. Members may be added; those that are there keep
    /// their names and meanings. Times are in milliseconds; what is not known is null.
    ///
    /// | member | holds |
    /// | --- | --- |
    /// | `session` | `id`, or its beginning; `extractor`: where the layer looks for it; `malformed`: why it cannot be read |
    /// | `origin` | `how` the request came (`direct`, `replayed`, `forwarded`, `failed`, `fell-back`, `replay-cache`), `hops`, and what the proxy says of it |
    /// | `machine` | `id`, `state`, and what the `platform` calls it |
    /// | `policy` | what the layer was told to do with requests such as this one |
    /// | `answeredFrom` | `hit`, `stale` or `miss`: which of the two readings a request that came now would be judged by |
    /// | `cached`, `directory` | a reading: `cacheStatus`, `ageMs`, `usable`, `session` or `failure`, `guardAllows`, `lease`, `verdict`, `code`, and the `response` that would be sent |
    /// | `reached` | when the directory last answered and last failed, for any request |
    /// | `refused` | the answer to a request whose session id cannot be read |
    #[serde(flatten)]
    pub inputs: Value,
}

/// The members of the inputs in the order of the text.
const ORDER: [&str; 9] = [
    "session",
    "origin",
    "machine",
    "policy",
    "answeredFrom",
    "cached",
    "directory",
    "reached",
    "refused",
];

impl Display for Explanation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ({})", self.summary, self.finding)?;
        if self.finding.severity() != Severity::Fine {
            writeln!(f, "Next step: {}", self.next_step)?;
        }
        for note in &self.notes {
            writeln!(f, "Note: {note}")?;
        }
        writeln!(f)?;
        ORDER
            .iter()
            .try_for_each(|name| tree(f, 0, name, &self.inputs[*name]))
    }
}

/// A member on a line of its own; one that holds others, or a list, followed by an indented block.
fn tree(f: &mut Formatter<'_>, indent: usize, name: &str, value: &Value) -> fmt::Result {
    let width = 14_usize.saturating_sub(indent);
    let line = |f: &mut Formatter<'_>, value: &str| {
        let line = format!("{:indent$}{name:<width$}{value}", "");
        writeln!(f, "{}", line.trim_end())
    };
    match value {
        Value::Array(items) if items.is_empty() => Ok(()),
        Value::Object(members) if members.values().all(Value::is_null) => Ok(()),
        Value::Null => Ok(()),
        Value::Object(members) => {
            let plain = members.iter().filter_map(|(name, value)| {
                let value = scalar(value)?;
                Some(format!("{name}: {value}"))
            });
            line(f, &plain.collect::<Vec<_>>().join(", "))?;
            let nested = members.iter().filter(|(_, value)| scalar(value).is_none());
            { nested }.try_for_each(|(name, value)| tree(f, indent + 2, name, value))
        }
        Value::Array(items) => {
            line(f, "")?;
            let inner = indent + 2;
            let mut items = items.iter().filter_map(scalar);
            items.try_for_each(|item| writeln!(f, "{:inner$}{item}", ""))
        }
        _ => line(f, &scalar(value).unwrap_or_default()),
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Bool(flag) => Some(if *flag { "yes" } else { "no" }.to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Null | Value::Object(_) | Value::Array(_) => None,
    }
}
