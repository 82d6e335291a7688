//! What the application asked for of a session, and how much memory it takes.

use std::fmt;

use serde_json::{Map, Value};

/// Attributes with the size that they had when they were set. It is counted once, because what the
/// cache evicts and keeps is weighed several times.
#[derive(Clone, Default, PartialEq)]
pub(super) struct Attributes {
    map: Map<String, Value>,
    heap_bytes: usize,
}

impl Attributes {
    pub(super) fn new(map: Map<String, Value>) -> Self {
        let heap_bytes = of_map(&map);
        Self { map, heap_bytes }
    }

    pub(super) fn map(&self) -> &Map<String, Value> {
        &self.map
    }

    /// About how many bytes are allocated for them.
    pub(super) fn heap_bytes(&self) -> usize {
        self.heap_bytes
    }
}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.map.fmt(f)
    }
}

/// What an allocator takes for one allocation beside the bytes that were asked for.
const ALLOCATION: usize = 16;
/// Pairs that a node of a `BTreeMap` has room for. A map that grew in the order of its keys fills
/// somewhat more than half of each.
const NODE_PAIRS: usize = 11;
const NODE_PAIRS_FILLED: usize = 6;
const NODE: usize = NODE_PAIRS * (size_of::<String>() + size_of::<Value>()) + ALLOCATION;

/// From lengths and not from capacities, so that equal attributes are of equal size.
fn of_map(map: &Map<String, Value>) -> usize {
    let nodes = match map.len() {
        0 => 0,
        1..=NODE_PAIRS => 1,
        pairs => pairs.div_ceil(NODE_PAIRS_FILLED),
    };
    let pairs = map
        .iter()
        .map(|(key, value)| of_text(key) + of_value(value));
    nodes * (NODE + ALLOCATION) + pairs.sum::<usize>()
}

fn of_value(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => of_text(text),
        Value::Array(values) if values.is_empty() => 0,
        Value::Array(values) => {
            // An array that was read item by item doubled its room.
            let room = values.len().next_power_of_two().max(4);
            let items: usize = values.iter().map(of_value).sum();
            room * size_of::<Value>() + ALLOCATION + items
        }
        Value::Object(map) => of_map(map),
    }
}

fn of_text(text: &str) -> usize {
    match text.len() {
        0 => 0,
        bytes => bytes + ALLOCATION,
    }
}

#[cfg(test)]
mod tests {
    use allocation_counter::measure;
    use serde_json::{from_str, json};

    use super::*;

    /// The estimate, and what is allocated for them without the allocator's own part.
    fn sizes(value: &Value) -> (usize, usize) {
        let text = value.to_string();
        let mut kept = None;
        let counted = measure(|| kept = Some(from_str::<Map<String, Value>>(&text).unwrap()));
        let estimated = Attributes::new(kept.unwrap()).heap_bytes();
        (estimated, usize::try_from(counted.bytes_current).unwrap())
    }

    #[test]
    fn the_estimate_is_no_less_than_what_is_allocated() {
        let rows: Vec<_> = (0..500)
            .map(|n| json!({ "id": n, "name": "of a row" }))
            .collect();
        let columns: Map<_, _> = (0..500)
            .map(|n| (format!("{n:04}"), json!("of a column")))
            .collect();
        for value in [
            json!({ "tier": "gold" }),
            json!({ "user": 7, "flags": [true, false], "name": "Ada", "note": null }),
            json!({ "text": "x".repeat(100_000) }),
            json!({ "numbers": (0..1_000).collect::<Vec<_>>() }),
            json!({ "rows": rows }),
            json!({ "nested": { "in": { "three": { "levels": [[[1]]] } } } }),
            Value::Object(columns),
        ] {
            let (estimated, allocated) = sizes(&value);
            assert!(estimated >= allocated, "{estimated} of {allocated} bytes");
            assert!(
                estimated <= 2 * allocated,
                "{estimated} of {allocated} bytes"
            );
        }
    }

    #[test]
    fn no_attributes_are_of_no_size() {
        assert_eq!(Attributes::default().heap_bytes(), 0);
        assert_eq!(Attributes::new(Map::new()), Attributes::default());
    }
}
