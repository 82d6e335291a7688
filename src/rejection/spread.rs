//! Waits that differ from session to session.

use std::time::Duration;

use crate::SessionId;

/// A second alone would bring all back within the next one.
const LEAST_WINDOW: Duration = Duration::from_secs(2);

/// Lengthens a wait of whole seconds by up to itself. By the session's id, and not by chance: a client that asks
/// twice gets one answer, and so do the many clients of one session, which are few for each of many.
pub(super) fn over(wait: Duration, session: &SessionId) -> Duration {
    let window = wait.max(LEAST_WINDOW).as_millis();
    let dice = session.dice().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    let longer = (window * u128::from(dice)) >> 32;
    wait + Duration::from_millis(u64::try_from(longer).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_clients_do_not_come_back_in_one_second() {
        for (seconds, most) in [(1, 600), (5, 300), (6, 250), (30, 80)] {
            let wait = Duration::from_secs(seconds);
            let mut at = vec![0; 2 * usize::try_from(seconds).unwrap() + 2];
            for id in 0..1_000 {
                let text = if id % 2 == 0 {
                    uuid::Uuid::new_v4().to_string()
                } else {
                    format!("room-{id}")
                };
                let session = SessionId::parse(&text).unwrap();
                let spread = over(wait, &session);
                assert!(wait <= spread && spread < wait + wait.max(LEAST_WINDOW));
                assert_eq!(spread, over(wait, &session));
                at[usize::try_from(spread.as_secs()).unwrap()] += 1;
            }
            assert!(at.iter().all(|&come| come <= most), "{seconds} s: {at:?}");
        }
    }
}
