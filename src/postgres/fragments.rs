//! Parts of statements that are the same for every table.

use super::sql::sql_file;

/// Their names and templates; see [`sql`](super::sql).
pub(super) const FRAGMENTS: &[(&str, &str)] = &[
    // The owner as a text that is compared byte by byte, whatever the column's type and collation.
    // The same expression is indexed.
    ("owner_text", r#"$.{owner}::text COLLATE "C""#),
    // Whether the owner is not the one for which the trigger set the epoch: it changed while the
    // triggers were missing or disabled. An empty text stands in rows that are older than the column.
    // Treating them as changed would stop all sessions of a table until its last row is rewritten.
    (
        "drifted",
        r#"($.{epoch_of} COLLATE "C" IS DISTINCT FROM {owner_text $} AND $.{epoch_of} IS DISTINCT FROM '')"#,
    ),
    // Whether a machine has beaten within the time after which it is lost. On either side of now,
    // because a clock that was set back leaves beats in the future.
    (
        "is_heard",
        "($.beat_at BETWEEN now() - {lost_after} AND now() + {lost_after})",
    ),
    // Whether a machine has left, was declared gone, or is silent while another one was heard.
    //
    // A machine that is silent alone does not count as lost: while the database was away, or its
    // tables were locked, every machine is silent, and the first to be asked about another one would
    // take its sessions. So the silence has to be witnessed, by a machine that was heard without a gap
    // for at least that time while this one was not. The second look is made only for a silent machine.
    (
        "is_lost",
        "($.gone_at IS NOT NULL OR $.left_at IS NOT NULL \
         OR NOT {is_heard $} AND EXISTS (SELECT FROM {machines} AS w \
             WHERE {is_heard w} AND w.steady_since <= w.beat_at - {lost_after} \
             AND w.beat_at NOT BETWEEN $.beat_at - {lost_after} AND $.beat_at + {lost_after}))",
    ),
    // How a machine is, as `ownership::presence_of` reads it.
    (
        "machine_presence",
        "CASE WHEN {is_lost $} THEN 3 WHEN $.draining THEN 2 WHEN {is_heard $} THEN 1 ELSE 5 END",
    ),
    // The same for the row's column `owner`, as a smallint.
    //
    // Subqueries, because a join makes the server compare ways to do it, which takes it longer than to
    // find the session; and for many sessions at once it then reads all machines. The second one
    // depends on nothing: it is run once at most, and only if the first finds no machine.
    (
        "presence",
        r#"COALESCE((SELECT {machine_presence m} FROM {machines} AS m WHERE m.machine_id = $.owner COLLATE "C"), CASE WHEN $.owner IS NOT NULL AND (SELECT true FROM {machines} LIMIT 1) THEN 4 ELSE 0 END)::smallint"#,
    ),
    // The same for the owner of a session's row, as a text with the boot id and the address of the
    // owner's process. In one value, because a second subquery would cost as much as the first.
    (
        "seen",
        "COALESCE((SELECT ({machine_presence m})::text || m.boot_id::text || COALESCE(m.address, '') \
             FROM {machines} AS m \
             WHERE m.machine_id = {owner_text $}), \
         CASE WHEN ({owner_text $}) IS NOT NULL AND (SELECT true FROM {machines} LIMIT 1) \
         THEN '4' ELSE '0' END)",
    ),
    // The row of machine $1, for an UPDATE that has to wait for every claim and release which is under
    // way: they hold it with FOR KEY SHARE, past which a beat gets, and no other update should.
    (
        "held",
        "(SELECT machine_id FROM {machines} WHERE machine_id = $1 FOR UPDATE) AS held",
    ),
    // $2 as a value of the owner's column, of whatever type that is.
    (
        "owner_value",
        "(jsonb_populate_record(NULL::{table}, jsonb_build_object({owner_literal}, $2))).{owner}",
    ),
    (
        "status_value",
        "(jsonb_populate_record(NULL::{table}, jsonb_build_object({status_literal}, $2))).{status}",
    ),
    // Whether machine $2, whose process is $3, may create sessions. The transaction holds the machine's
    // row with FOR KEY SHARE, which drains, leaves and removals wait for.
    (
        "may_create",
        "NOT EXISTS (SELECT FROM {machines} AS m WHERE m.machine_id = $2 \
             AND (m.draining OR m.left_at IS NOT NULL OR m.gone_at IS NOT NULL)) \
         AND ($3 IS NULL OR EXISTS (SELECT FROM {machines} AS m \
             WHERE m.machine_id = $2 AND m.boot_id = $3))",
    ),
    // Whether a session ended, at a time that is known, so long ago that no lease of its owner can be
    // valid. A lease lasts for the freshness from a read, and a read may have been made until the end was
    // committed: as much again is for the transaction that wrote it, and for the rates of clocks.
    (
        "is_long_over",
        "COALESCE({end $} < now() - 2 * (SELECT f.freshness_ms FROM {fleet} AS f) \
             * interval '1 millisecond', false)",
    ),
    // Whether a session that is over has no owner, and its last one could have proven its release.
    (
        "lacks_proof",
        "($.{owner} IS NULL AND $.{epoch} > 0 AND $.{released} IS DISTINCT FROM $.{epoch} \
         AND {is_long_over $})",
    ),
    // Whether a session is active, or active or starting, and its life has not ended.
    ("is_active", "{has_active_status $} AND {has_not_ended $}"),
    ("lives", "{has_living_status $} AND {has_not_ended $}"),
    // The same in the words of the index of owners, so that the planner sees that it holds all such
    // rows. The words are literals, which become values of an enum.
    (
        "is_active_by_index",
        "{is_indexed_active $} AND {has_not_ended $}",
    ),
    ("is_living", "{is_in_index $} AND {has_not_ended $}"),
    (
        "found",
        "$.{id}::{id_type}, $.{owner}::text, $.{epoch}::bigint",
    ),
    (
        "listed",
        "$.{id}::{id_type} AS id, {status_text $} AS status, $.{owner}::text AS owner, \
         $.{epoch}::bigint AS epoch, {remaining $}",
    ),
    ("owners", sql_file!("owners")),
    // The name of the type `t`, by which `Column` judges it: a domain is what it is made of.
    (
        "type_name",
        "CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN format_type(t.typbasetype, NULL) \
         ELSE format_type(t.oid, NULL) END",
    ),
];
