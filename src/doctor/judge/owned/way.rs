//! What is wrong on the way to the owner.

use super::Case;
use crate::{
    Finding,
    doctor::{
        Complaint,
        facts::{Answer, Got},
    },
};

impl Case<'_> {
    /// Adds what is wrong on the way; what explains the owner's own trouble at `first`.
    pub(super) fn of_the_way(&self, found: &mut Vec<Complaint>, first: usize) {
        match &self.facts.answer {
            Answer::NotAsked => {}
            Answer::Failed {
                url,
                error,
                redirects,
                ..
            } => {
                let evidence = format!(": {url} gave no answer: {error}");
                if redirects.is_empty() {
                    found.push(self.told(Finding::UrlUnreachable, &evidence));
                } else if found.len() == first {
                    // The owner's row or the platform would be more precise.
                    let evidence =
                        format!(": {url}, where a redirect leads, gave no answer: {error}");
                    found.push(self.told(Finding::OwnerUnreachable, &evidence));
                }
            }
            Answer::Got(got) => {
                if let Some(machine) = self.facts.served_elsewhere() {
                    let evidence = format!(": `{machine}` answered {} in its place", got.status);
                    // Graver than what keeps the owner from serving.
                    found.insert(first, self.told(Finding::WrongMachine, &evidence));
                }
                match self.of_answer(got, found.len() > first) {
                    // Its heartbeats go elsewhere, too.
                    Some(differs) if differs.finding == Finding::DirectoryDiffers => {
                        found.insert(first, differs);
                    }
                    other => found.extend(other),
                }
            }
        }
    }

    /// What an answer says, where the owner is not to blame for it already.
    fn of_answer(&self, got: &Got, owner_is_to_blame: bool) -> Option<Complaint> {
        if got.circular {
            let evidence = format!(
                ": it was redirected once more after {} redirects, so two machines disagree on who \
                 the owner is, or on where",
                got.redirects.len()
            );
            return Some(self.told(Finding::ReplayLoop, &evidence));
        }
        let Some(code) = got.code.as_deref() else {
            return (got.status >= 400 && !owner_is_to_blame).then(|| self.without_a_code(got));
        };
        let (finding, evidence) = match code {
            "owner-unreachable" | "owner-lost" | "owner-never-seen" | "duplicate-identity"
                if owner_is_to_blame =>
            {
                return None;
            }
            "owner-unreachable" => {
                let why = got
                    .reason()
                    .map_or_else(String::new, |why| format!(" ({why})"));
                let evidence = format!(": the proxy could not connect to it{why}");
                (Finding::OwnerUnreachable, evidence)
            }
            "replay-not-honoured" if got.came_through_fly() => {
                let evidence = ", although the answer came through Fly's proxy: see the checks of \
                                fly-replay";
                (Finding::ReplayNotHonoured, evidence.to_owned())
            }
            "replay-not-honoured" => {
                let evidence = ", because the request did not come through a proxy that does";
                (Finding::ReplayNotHonoured, evidence.to_owned())
            }
            "lookup-unavailable" => (
                Finding::DirectoryDownThere,
                ", which answers from here".to_owned(),
            ),
            "session-starting" => (Finding::SessionMoving, format!(": it answered `{code}`")),
            "session-unknown" | "session-over" | "session-malformed" | "directory-corrupt" => {
                (Finding::DirectoryDiffers, format!(": it answered `{code}`"))
            }
            code => {
                let finding = Finding::named(code).unwrap_or(Finding::OwnerUnreachable);
                let detail = got.detail.as_deref().map_or_else(String::new, |detail| {
                    format!(": {}", detail.trim_end_matches('.'))
                });
                (finding, detail)
            }
        };
        Some(self.told(finding, &evidence))
    }

    /// An error that the layer did not write.
    fn without_a_code(&self, got: &Got) -> Complaint {
        let status = got.status;
        if status >= 502 && got.empty && got.came_through_fly() {
            let evidence = format!(
                ": {status} with an empty body, so it found no machine, or could not replay the \
                 request and had no fallback"
            );
            return self.told(Finding::ProxyError, &evidence);
        }
        let meant = if got.machine.as_deref() == Some(self.owner) {
            "which is the owner".to_owned()
        } else {
            format!(
                "so either the owner `{}` means it, or the layer does not wrap this path and the \
                 wrong machine answered",
                self.owner
            )
        };
        let evidence = format!(
            ": {} answered {status} without an `Ownership-Code`, {meant}",
            got.by()
        );
        self.told(Finding::ApplicationRefused, &evidence)
    }
}
