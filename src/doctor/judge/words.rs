//! Turns of phrase that several sentences share.

use std::time::Duration;

use crate::{
    Presence,
    doctor::findings::{Answer, Findings},
};

/// Seconds in words, at most two of them: `3m 20s`.
pub(in crate::doctor) fn seconds(seconds: f64) -> String {
    if !(0.0..1e15).contains(&seconds) {
        return "a moment".to_owned();
    }
    if seconds < 1.0 {
        return "less than a second".to_owned();
    }
    // In range, as was just seen.
    let whole = Duration::try_from_secs_f64(seconds.trunc()).unwrap_or_default();
    let words = humantime::format_duration(whole).to_string();
    let mut words = words.split(' ');
    [words.next(), words.next()]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(" ")
}

/// ` ("word")`, or nothing.
pub(super) fn quoted(word: Option<&str>) -> String {
    word.map_or_else(String::new, |word| format!(" ({word:?})"))
}

pub(super) fn presence(presence: Presence) -> &'static str {
    match presence {
        Presence::Alive => ", which is alive",
        Presence::Draining => ", which drains",
        Presence::Silent => ", which is silent",
        Presence::Lost => ", which is lost",
        Presence::NeverSeen => ", which was never seen",
        _ => ", of whose presence nothing is kept",
    }
}

/// What has to be said before it is said what is wrong with the owner: `The row is fine, the
/// request was handled by …, and`.
pub(super) fn so_far(findings: &Findings) -> String {
    let handled = match &findings.answer {
        Answer::NotAsked => return "The row is fine, and".to_owned(),
        Answer::Failed { redirects, .. } if !redirects.is_empty() => {
            return "The row is fine, the redirect led to no answer, and".into();
        }
        Answer::Failed { .. } => {
            return "The row is fine, the public URL did not answer, and".into();
        }
        Answer::Got(got) => got,
    };
    match &handled.machine {
        Some(machine) => {
            format!("The row is fine, the request was handled by `{machine}`, and")
        }
        None => "The row is fine, the request was handled by a machine that did not say its name, \
                 and"
        .to_owned(),
    }
}
