//! Region codes, their geographic aliases, and preference lists of both.

/// The aliases of "Geographic groups and aliases" (Fly docs: Dynamic Request Routing) and the
/// region codes that they stand for. `any` is not here: it covers every region, known or not.
const ALIASES: &[(&str, &[&str])] = &[
    ("apac", &["bom", "hkg", "nrt", "sin", "syd"]),
    (
        "eu",
        &["ams", "arn", "cdg", "fra", "lhr", "mad", "otp", "waw"],
    ),
    ("na", NORTH_AMERICA),
    ("sa", &["bog", "eze", "gig", "gru", "scl"]),
    ("us", UNITED_STATES),
    ("usa", UNITED_STATES),
];

const UNITED_STATES: &[&str] = &[
    "atl", "bos", "den", "dfw", "ewr", "iad", "lax", "mia", "ord", "phx", "sea", "sjc",
];

const NORTH_AMERICA: &[&str] = &[
    "atl", "bos", "den", "dfw", "ewr", "gdl", "iad", "lax", "mia", "ord", "phx", "qro", "sea",
    "sjc", "yul", "yyz",
];

/// Does `wanted` (a code, an alias or `any`) cover the machine's `region`?
pub(super) fn covers(wanted: &str, region: &str) -> bool {
    wanted == "any"
        || wanted == region
        || ALIASES
            .iter()
            .any(|(alias, codes)| *alias == wanted && codes.contains(&region))
}

/// Reads a preference list such as `iad,ord,us`; `None` if any part of it is not a plain word.
pub(super) fn parse_list(text: &str) -> Option<Vec<String>> {
    let mut regions = Vec::new();
    for region in text.split(',').map(str::trim) {
        let plain = !region.is_empty() && region.bytes().all(|b| b.is_ascii_alphanumeric());
        if !plain {
            return None;
        }
        regions.push(region.to_ascii_lowercase());
    }
    Some(regions)
}

#[cfg(test)]
mod tests {
    use super::{covers, parse_list};

    #[test]
    fn an_alias_covers_its_codes_and_any_covers_all() {
        assert!(covers("us", "iad") && covers("usa", "sjc") && covers("na", "yyz"));
        assert!(covers("eu", "fra") && covers("sa", "gru") && covers("apac", "nrt"));
        assert!(covers("any", "xyz") && covers("iad", "iad"));
        assert!(!covers("us", "yyz") && !covers("eu", "iad") && !covers("iad", "ord"));
    }

    #[test]
    fn a_list_keeps_its_order_and_refuses_gaps() {
        assert_eq!(
            parse_list("iad, ord,us"),
            Some(vec!["iad".into(), "ord".into(), "us".into()])
        );
        assert_eq!(parse_list("iad,,ord"), None);
        assert_eq!(parse_list(""), None);
        assert_eq!(parse_list("\"iad\""), None);
    }
}
