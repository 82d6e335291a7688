//! Streams end when the session goes, and say so.

use std::collections::BTreeMap;
use std::time::Duration;

use uuid::Uuid;

use super::{Findings, Rule};
use crate::clock::At;
use crate::history::{History, Row};
use crate::stream::{Stream, StreamEnd};
use crate::troubles::Trouble;

/// What a client may hear or notice later than it was so.
const LATE: Duration = Duration::from_millis(1_500);

pub(super) fn check(history: &History, findings: &mut Findings) {
    let rows = history.rows_by_session();
    for stream in &history.streams {
        match &stream.end {
            StreamEnd::Left => {}
            StreamEnd::Farewell(_) => {
                if !is_over_for_a_reason(history, &rows, stream) {
                    let what = format!("over, and the session was not lost: {stream:?}");
                    findings.add(Rule::StreamsEnd, what);
                }
            }
            _ if broke_for_a_reason(history, &rows, stream) => {}
            _ => findings.add(Rule::StreamsEnd, format!("without a farewell: {stream:?}")),
        }
        let Some(lost) = lost(&rows, stream) else {
            continue;
        };
        let limit = limit(history, stream, lost);
        if stream.heard > limit {
            let what = format!("says something after {limit:?}: {stream:?}");
            findings.add(Rule::StreamsEnd, what);
        } else if stream.ended > limit {
            let what = format!("goes on after {limit:?}: {stream:?}");
            findings.add(Rule::StreamsEnd, what);
        }
    }
}

/// When the row said that the stream's machine is not the owner any more.
fn lost(rows: &BTreeMap<Uuid, Vec<&Row>>, stream: &Stream) -> Option<At> {
    let rows = rows.get(&stream.session)?;
    let owned = rows.iter().rev().find(|row| {
        row.committed <= stream.opened && row.owner.as_ref() == Some(&stream.machine)
    })?;
    let next = rows.iter().find(|row| row.epoch == owned.epoch + 1)?;
    Some(next.committed)
}

/// By when it has to have ended: its last read counts for F, and a machine that is stopped ends
/// nothing. Nor does one get through that is carried, while its carrier is stopped or the way between them
/// is cut.
fn limit(history: &History, stream: &Stream, lost: At) -> At {
    let within = history.settings.freshness + LATE;
    let mut limit = lost + within;
    for interval in history.troubles.iter() {
        let machine = interval.machine.as_ref();
        let is_its = machine == Some(&stream.machine);
        let is_carriers = stream.carrier.is_some() && machine == stream.carrier.as_ref();
        let holds = match interval.trouble {
            Trouble::Stopped => is_its || is_carriers,
            Trouble::PeersCut => is_its && stream.carrier.is_some(),
            _ => false,
        };
        if holds && interval.from <= limit && interval.to > lost {
            limit = limit.max(interval.to + within);
        }
    }
    limit + history.stalls.within(lost, limit) + history.doubt
}

/// Whether the row changed, or the machine may have been unable to prove its right.
fn is_over_for_a_reason(
    history: &History,
    rows: &BTreeMap<Uuid, Vec<&Row>>,
    stream: &Stream,
) -> bool {
    let unproved = [
        Trouble::NoDatabase,
        Trouble::Unreadable,
        Trouble::Cut,
        Trouble::Standby,
        Trouble::Stopped,
        Trouble::Draining,
        Trouble::Twin,
        Trouble::Starting,
    ];
    let during = (stream.opened, stream.ended);
    let stalled = history.stalls.within(stream.opened, stream.ended);
    lost(rows, stream).is_some_and(|lost| lost <= stream.ended)
        || stalled > history.settings.freshness / 10
        || history.troubles.explain(
            &unproved,
            Some(&[&stream.machine]),
            during,
            history.settings.recovers_within(),
        )
}

/// Whether its machine died, or, if it is carried, its carrier did or the way between them was cut.
fn broke_for_a_reason(
    history: &History,
    rows: &BTreeMap<Uuid, Vec<&Row>>,
    stream: &Stream,
) -> bool {
    let explains = |troubles: &[Trouble], machine: &str| {
        let during = (stream.ended - LATE, stream.ended);
        let troubles_of = &history.troubles;
        troubles_of.explain(troubles, Some(&[machine]), during, LATE)
    };
    let deaths = [Trouble::Dead, Trouble::Draining, Trouble::Twin];
    let carrier = stream.carrier.as_ref();
    explains(&deaths, &stream.machine)
        || carrier.is_some_and(|carrier| {
            explains(&deaths, carrier)
                || explains(&[Trouble::PeersCut], &stream.machine)
                || owners_before(history, rows, stream)
                    .any(|owner| explains(&deaths, owner) || explains(&[Trouble::PeersCut], owner))
        })
}

/// The owners before, by which a carrier goes that does not know better, and which carry on what they get.
fn owners_before<'a>(
    history: &'a History,
    rows: &'a BTreeMap<Uuid, Vec<&'a Row>>,
    stream: &'a Stream,
) -> impl Iterator<Item = &'a str> {
    let rows = rows.get(&stream.session).map_or(&[][..], Vec::as_slice);
    let replaced = rows.iter().zip(rows.iter().skip(1));
    let lately = replaced.filter(|(_, next)| {
        next.committed <= stream.opened && next.committed + history.settings.hint >= stream.opened
    });
    lately.filter_map(|(row, _)| row.owner.as_deref())
}

#[cfg(test)]
mod tests {
    use super::super::Rule::*;
    use super::super::sample::*;
    use super::*;

    #[test]
    fn a_stream_that_ends_without_a_word_is_found_unless_its_machine_died() {
        let silent = |history: &mut History| history.streams[0].end = StreamEnd::Silent;
        breaks(StreamsEnd, silent);
        is_fine(|history| {
            silent(history);
            let (from, to) = (At::ms(12_105), At::ms(12_200));
            history.troubles.add(Trouble::Dead, Some("c"), from, to);
        });
    }

    #[test]
    fn a_carried_stream_ends_with_its_carrier_or_the_way_between() {
        let broken = |history: &mut History, trouble, machine: &str, carrier: Option<&str>| {
            history.streams[0].end = StreamEnd::Broken("reset".to_owned());
            history.streams[0].carrier = carrier.map(ToOwned::to_owned);
            let (from, to) = (At::ms(12_105), At::ms(12_200));
            history.troubles.add(trouble, Some(machine), from, to);
        };
        is_fine(|history| broken(history, Trouble::Dead, "d", Some("d")));
        is_fine(|history| broken(history, Trouble::PeersCut, "c", Some("d")));
        for (trouble, machine, carrier) in [
            (Trouble::Dead, "d", None),
            (Trouble::Dead, "e", Some("d")),
            (Trouble::PeersCut, "c", None),
            (Trouble::PeersCut, "d", Some("d")),
        ] {
            breaks(StreamsEnd, |history| {
                broken(history, trouble, machine, carrier);
            });
        }
    }

    #[test]
    fn a_carried_stream_ends_with_an_owner_before_that_carries_it_on() {
        let broken = |history: &mut History, machine: &str, carrier: Option<&str>| {
            history.streams[0].end = StreamEnd::Silent;
            history.streams[0].carrier = carrier.map(ToOwned::to_owned);
            let (from, to) = (At::ms(12_105), At::ms(12_200));
            history
                .troubles
                .add(Trouble::Draining, Some(machine), from, to);
        };
        // `c` took the session from `b`.
        is_fine(|history| broken(history, "b", Some("e")));
        breaks(StreamsEnd, |history| broken(history, "f", Some("e")));
        breaks(StreamsEnd, |history| broken(history, "b", None));
    }

    #[test]
    fn a_carried_stream_may_stand_still_with_its_carrier_or_the_way_between() {
        let late = |history: &mut History, trouble, machine: &str, ended| {
            history.streams[0].carrier = Some("d".to_owned());
            history.streams[0].ended = At::ms(ended);
            let (from, to) = (At::ms(11_900), At::ms(18_000));
            history.troubles.add(trouble, Some(machine), from, to);
        };
        for (trouble, machine) in [(Trouble::Stopped, "d"), (Trouble::PeersCut, "c")] {
            is_fine(|history| late(history, trouble, machine, 18_500));
            breaks(StreamsEnd, |history| {
                late(history, trouble, machine, 21_000);
            });
            breaks(StreamsEnd, |history| late(history, trouble, "e", 18_500));
        }
    }

    #[test]
    fn a_stream_that_is_over_while_the_session_stays_is_found() {
        let over = |history: &mut History| {
            history.streams[0].machine = "d".to_owned();
            history.streams[0].opened = At::ms(30_000);
            history.streams[0].heard = At::ms(31_000);
            history.streams[0].ended = At::ms(31_010);
        };
        breaks(StreamsEnd, over);
        is_fine(|history| {
            over(history);
            let (from, to) = (At::ms(30_100), At::ms(31_000));
            history.troubles.add(Trouble::NoDatabase, None, from, to);
        });
        // Slow clients are no reason.
        breaks(StreamsEnd, |history| {
            over(history);
            let (from, to) = (At::ms(30_100), At::ms(31_000));
            history
                .troubles
                .add(Trouble::SlowReaders, Some("d"), from, to);
        });
    }

    #[test]
    fn a_stream_that_outlives_the_ownership_is_found() {
        breaks(StreamsEnd, |history| {
            history.streams[0].ended = At::ms(15_000);
        });
        breaks(StreamsEnd, |history| {
            history.streams[0].heard = At::ms(15_000);
            history.streams[0].ended = At::ms(15_000);
        });
    }

    #[test]
    fn a_stopped_machine_ends_its_streams_when_it_goes_on() {
        let late = |history: &mut History, ended| {
            history.streams[0].ended = At::ms(ended);
            let (from, to) = (At::ms(11_900), At::ms(18_000));
            history.troubles.add(Trouble::Stopped, Some("c"), from, to);
        };
        is_fine(|history| late(history, 18_500));
        breaks(StreamsEnd, |history| late(history, 21_000));
    }
}
