//! What sessions take in memory.

use tower::{Layer as _, service_fn};

use crate::{
    BENCH, CAPACITY, MANY,
    common::{
        quartiles::Quartiles,
        resident,
        setup::{self, ME, OTHER, all_owned_by, call, hello, plain_request, sessions},
        table::Table,
    },
};

pub(crate) fn table() -> Table {
    let note = format!(
        "{MANY} sessions in a cache with room for {CAPACITY}; an eighth of the room is for unknown \
         ids; what is allocated and was never touched is not in memory; goal: grow by 80 bytes"
    );
    let columns = ["bytes allocated", "bytes the process grew"];
    let mut table = Table::new(BENCH, "memory of a session", &note, &columns);
    for (name, owner) in [("owned", ME), ("elsewhere", OTHER)] {
        let [allocated, grown] = bytes(owner);
        table.row(
            name,
            [allocated, grown].map(|bytes| Some(Quartiles::exactly(bytes.round()))),
        );
    }
    table
}

/// What is allocated, and what the process grew by, for each session.
fn bytes(owner: &str) -> [f64; 2] {
    let ids = sessions(MANY);
    let before = resident::bytes();
    let mut kept = None;
    let counted = allocation_counter::measure(|| {
        let layer = setup::layer(all_owned_by(owner), |builder| {
            builder.cache_capacity(CAPACITY)
        });
        let mut service = layer.layer(service_fn(hello));
        for id in &ids {
            drop(call(&mut service, plain_request(id)));
        }
        kept = Some((layer, service));
    });
    let grown = resident::bytes() - before;
    let (layer, _service) = kept.expect("a cache");
    // Tables drop what does not fit; what was dropped takes no memory.
    let held = u32::try_from(layer.cache().len()).expect("not that many");
    assert!(held > MANY / 100 * 95, "{held} of {MANY} sessions");
    #[allow(clippy::cast_precision_loss, reason = "far fewer than 2^53 bytes")]
    let allocated = counted.bytes_current as f64;
    [allocated, grown].map(|bytes| bytes / f64::from(held))
}
