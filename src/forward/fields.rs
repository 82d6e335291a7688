//! The field by which the owner counts the hops of a request.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{MachineId, directory::DirectoryId};

/// What the owner reads of a request that was carried to it: `2;directory=<id>;from=<machine>`, where the
/// [directory](DirectoryId) is left out if it is not known.
///
/// Clients can forge it, which costs a lookup, or refuses the request that carried it.
pub(super) const FORWARDED: HeaderName = HeaderName::from_static("ownership-forwarded");

const DIRECTORY: &str = ";directory=";

/// What this machine, which reads `directory`, says of the hops that a request has behind it.
pub(super) fn forwarded(
    hops: u8,
    directory: Option<DirectoryId>,
    from: &MachineId,
) -> Option<HeaderValue> {
    let text = match directory {
        Some(directory) => format!("{hops}{DIRECTORY}{directory};from={from}"),
        None => format!("{hops};from={from}"),
    };
    HeaderValue::try_from(text).ok()
}

/// The directory that the machine reads which carried the request here.
pub(super) fn directory(headers: &HeaderMap) -> Option<DirectoryId> {
    let line = headers.get(FORWARDED)?.to_str().ok()?;
    let (_, id) = line.split_once(DIRECTORY)?;
    DirectoryId::parse(id.split(';').next()?)
}

/// How many hops a request has behind it, if it was carried here: the most that any line says.
pub(super) fn hops(headers: &HeaderMap) -> Option<u8> {
    let lines = headers.get_all(FORWARDED).iter();
    let counts = lines.filter_map(|line| {
        let text = line.to_str().ok()?;
        let hops = text.split_once(';').map_or(text, |(hops, _)| hops);
        let is_plain = hops.bytes().all(|byte| byte.is_ascii_digit());
        is_plain.then(|| hops.parse().ok()).flatten()
    });
    counts.max()
}

/// Whether this very machine carried the request here.
pub(super) fn comes_from(headers: &HeaderMap, machine: &MachineId) -> bool {
    let mut lines = headers.get_all(FORWARDED).iter();
    lines.any(|line| {
        let from = line
            .to_str()
            .ok()
            .and_then(|line| line.split_once(";from="));
        from.is_some_and(|(_, from)| from == machine.as_str())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_machine_writes_is_what_the_next_reads() {
        let machine = MachineId::parse("e286544f716d89").unwrap();
        let mut head = HeaderMap::new();
        for read in [None, DirectoryId::parse("1a2b3c4d")] {
            head.insert(FORWARDED, forwarded(2, read, &machine).unwrap());
            assert_eq!((hops(&head), directory(&head)), (Some(2), read));
            assert!(comes_from(&head, &machine));
            assert!(!comes_from(&head, &MachineId::parse("other").unwrap()));
        }
    }

    #[test]
    fn what_cannot_be_read_is_no_directory() {
        for text in [
            "1;directory=",
            "1;directory=x;from=a",
            "1;directory=1a2b3c4d5",
        ] {
            let line = HeaderValue::from_static(text);
            assert_eq!(directory(&HeaderMap::from_iter([(FORWARDED, line)])), None);
        }
    }

    #[test]
    fn what_cannot_be_read_is_no_hop() {
        for text in ["", "-1", "+1", "256", "x", ";from=a", "1 ;from=a"] {
            let line = HeaderValue::from_static(text);
            assert_eq!(hops(&HeaderMap::from_iter([(FORWARDED, line)])), None);
        }
    }
}
