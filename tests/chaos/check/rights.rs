//! Two processes never have the right to serve a session at once, by what each could prove.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::rows::Epochs;
use super::{Findings, Rule};
use crate::clock::At;
use crate::history::{History, Pass, Request};

pub(super) fn check(history: &History, findings: &mut Findings) {
    let rows = history.rows_by_session();
    let none = Vec::new();
    for (session, passes) in history.passes() {
        let rows = rows.get(&session).unwrap_or(&none);
        let epochs = Epochs::of(rows);
        let proved: Vec<&Pass> = passes
            .iter()
            .map(|(_, pass)| *pass)
            .filter(|pass| pass.was_proved())
            .collect();
        one_owner_at_a_time(history, &proved, &epochs, findings);
        late_ones_write_nothing(session, &passes, findings);
    }
}

/// All passes of one process at one epoch.
struct Turn<'a> {
    epoch: u64,
    first: &'a Pass,
    last: &'a Pass,
    /// The one whose right ends last.
    longest: &'a Pass,
}

impl<'a> Turn<'a> {
    fn of(passes: &[&'a Pass]) -> Vec<Self> {
        let mut turns: BTreeMap<(u64, &str, &str), Self> = BTreeMap::new();
        for &pass in passes {
            let key = (pass.epoch, pass.machine.as_str(), pass.process.as_str());
            let turn = turns.entry(key).or_insert(Self {
                epoch: pass.epoch,
                first: pass,
                last: pass,
                longest: pass,
            });
            if pass.at < turn.first.at {
                turn.first = pass;
            }
            if pass.at > turn.last.at {
                turn.last = pass;
            }
            if pass.right_ends() > turn.longest.right_ends() {
                turn.longest = pass;
            }
        }
        turns.into_values().collect()
    }

    /// When the right of its process ended: with the process, if not before.
    fn ends(&self, history: &History) -> At {
        let mut processes = history.processes.iter();
        let process = processes.find(|one| one.id.as_deref() == Some(&self.longest.process));
        let ended = process.map_or(At::NEVER, |process| process.ended);
        self.longest.right_ends().min(ended)
    }
}

fn one_owner_at_a_time(
    history: &History,
    passes: &[&Pass],
    epochs: &Epochs<'_>,
    findings: &mut Findings,
) {
    let turns = Turn::of(passes);
    for (at, one) in turns.iter().enumerate() {
        for other in &turns[at + 1..] {
            if one.first.process == other.first.process {
                if one.last.at >= other.first.at {
                    let what = format!("{:?} and then {:?}", other.first, one.last);
                    findings.add(Rule::EpochsRise, what);
                }
                continue;
            }
            let rule = if one.first.machine == other.first.machine {
                Rule::OneProcessAMachine
            } else {
                Rule::OneOwnerAtATime
            };
            let (before, after) = if one.epoch == other.epoch {
                // `EpochsRise` says so too. Here it counts who was there first.
                if one.first.at <= other.first.at {
                    (one, other)
                } else {
                    (other, one)
                }
            } else {
                (one, other)
            };
            if before.last.at >= after.first.at {
                let what = format!("{:?} and then {:?}", after.first, before.last);
                findings.add(rule, what);
                continue;
            }
            let handed_on = before.epoch != after.epoch && epochs.was_released(before.epoch);
            // Who comes after a process that has left its machine has no right of that one to fear.
            let ends = match rule {
                Rule::OneProcessAMachine => before.ends(history),
                _ => before.longest.right_ends(),
            };
            if !handed_on && ends > after.first.at {
                let what = format!(
                    "{:?} has the right until {ends:?}, and {:?}",
                    before.longest, after.first
                );
                findings.add(rule, what);
            }
        }
    }
}

/// A request that reaches the handler after the right has ended is fenced off.
fn late_ones_write_nothing(session: Uuid, passes: &[(&Request, &Pass)], findings: &mut Findings) {
    for (_, late) in passes.iter().filter(|(_, pass)| pass.written == Some(true)) {
        let newer = passes.iter().map(|(_, pass)| pass);
        let mut newer = newer.filter(|pass| pass.epoch > late.epoch && pass.at < late.at);
        if let Some(newer) = newer.next() {
            let what = format!("{session}: {late:?} has written after {newer:?}");
            findings.add(Rule::WritesAreFenced, what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Rule::*;
    use super::super::sample::*;
    use crate::clock::At;
    use crate::history::History;
    use crate::troubles::Trouble;

    #[test]
    fn two_machines_in_turns_are_found() {
        // `c` passes one more when `d` has begun, by a right that it cannot have.
        breaks_all(&[OneOwnerAtATime, ServingEnds], |history| {
            history.requests.push(passed("c", 4, 13_300, 500));
        });
    }

    #[test]
    fn a_right_that_reaches_into_the_next_is_found_unused() {
        breaks(OneOwnerAtATime, |history| {
            history.requests.push(passed("c", 4, 12_801, 420));
        });
    }

    #[test]
    fn a_right_that_ends_as_the_next_begins_is_none_too_many() {
        is_fine(|history| history.requests.push(passed("c", 4, 12_801, 399)));
    }

    #[test]
    fn a_release_ends_a_right_at_once_and_an_assignment_does_not() {
        is_fine(|history| history.requests.push(passed("a", 1, 3_999, 990)));
        breaks(ServingWaits, |history| {
            history
                .requests
                .retain(|request| request.sent < At::ms(4_500));
            history.requests.remove(2);
            history.rows[2].released = None;
            history.rows[3].released = None;
        });
        breaks_all(&[OneOwnerAtATime, ServingWaits], |history| {
            history.requests.push(passed("a", 1, 3_999, 990));
            history.rows[2].released = None;
            history.rows[3].released = None;
        });
    }

    #[test]
    fn who_was_stopped_on_the_way_has_no_right_and_is_fenced_off() {
        let late = |history: &mut History, request| {
            history.requests.push(request);
            let (from, to) = (At::ms(12_900), At::ms(13_990));
            let troubles = &mut history.troubles;
            troubles.add(Trouble::Stopped, Some("c"), from, to);
        };
        is_fine(|history| late(history, passed("c", 4, 14_000, 0)));
        is_fine(|history| late(history, wrote("c", 4, 14_000, 0, false)));
        breaks(WritesAreFenced, |history| {
            late(history, wrote("c", 4, 14_000, 0, true));
        });
    }

    #[test]
    fn one_epoch_of_two_machines_is_found() {
        breaks_all(&[EpochsRise, OneOwnerAtATime, ServingEnds], |history| {
            history.requests.push(passed("a", 3, 4_300, 900));
            history.rows[4].committed = At::ms(2_500);
            history.rows[4].is_assigned = true;
        });
    }

    #[test]
    fn a_machine_that_goes_back_to_a_lower_epoch_is_found() {
        breaks_all(&[EpochsRise], |history| {
            history.rows.push(row(6, Some("c"), None, 14_000));
            history.rows.push(row(7, Some("d"), None, 14_001));
            history.requests.push(passed("d", 7, 15_100, 500));
            history.requests.push(passed("d", 5, 15_200, 1));
        });
    }
}
