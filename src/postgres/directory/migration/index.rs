//! The index of the owners of sessions that are not over.

use crate::postgres::{
    identifier::Identifier, migration::qualified, sql::words as words_of, statuses::Statuses,
    table::Table,
};

const SUFFIX: &str = "_tower_ownership_owner";
const OLD_SUFFIX: &str = "_tower_ownership_owner_old";

/// Its name, with the schema of the table.
pub(super) fn qualified_name(table: &Table) -> String {
    qualified(table, SUFFIX)
}

/// Makes the index of the relation `on`, which is the table or one of its partitions. It holds only
/// sessions with one of the statuses `words`: a table holds many more that are over.
pub(super) fn statement(table: &Table, words: Option<&[String]>, create: &str, on: &str) -> String {
    let indexed = indexed(table, on);
    let rows = match (&table.status, words) {
        (Some(status), Some(statuses)) => format!(" WHERE {status} IN ({})", words_of(statuses)),
        _ => String::new(),
    };
    format!("{create} ON {indexed}{rows}")
}

/// The relation and the key of the index.
pub(super) fn indexed(table: &Table, on: &str) -> String {
    format!("{on} (({}::text COLLATE \"C\"))", table.owner)
}

/// The name of the index.
pub(super) fn name(table: &Table) -> Identifier {
    table.suffixed(SUFFIX)
}

/// The name under which an index that holds other rows serves until the new one is built.
pub(super) fn old_name(table: &Table) -> Identifier {
    table.suffixed(OLD_SUFFIX)
}

/// The same with the schema of the table.
pub(super) fn qualified_old_name(table: &Table) -> String {
    qualified(table, OLD_SUFFIX)
}

/// Asks for the labels of the enum that the column is of; no row: it is none. A domain over an enum
/// has no `=`, so the migration of such a table fails anyhow.
///
/// A statement has to compare an enum with values of the enum: its cast to text is `STABLE`, which
/// no index predicate may be. And a word that is not one of the labels fails the statement.
pub(super) fn labels(relation: &str, column: &str) -> String {
    format!(
        r"
        SELECT e.enumlabel::text FROM pg_catalog.pg_attribute AS a
        JOIN pg_catalog.pg_enum AS e ON e.enumtypid = a.atttypid
        WHERE a.attrelid = to_regclass({relation}) AND a.attname = {column}
    "
    )
}

/// The statuses that the index is to hold: the active ones, and those of the starting ones that the
/// column can hold.
pub(super) fn wanted(statuses: &Statuses, labels: &[String]) -> Vec<String> {
    let can_be = |word: &&String| labels.is_empty() || labels.contains(word);
    let starting = statuses.starting.iter().filter(can_be);
    statuses.active.iter().chain(starting).cloned().collect()
}

/// How the index that the statements need is, from worst to best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::postgres) enum OwnerIndex {
    Missing,
    /// An index of the owner is there, and does not hold exactly the active and starting sessions.
    OtherRows,
    /// The index is there, and its build failed or goes on.
    Invalid,
    Fits,
}

/// Asks for the indexes of the table `$1` that begin with the owner `$2` as text, byte by byte: the
/// name, whether it is valid, and what it is restricted to.
pub(super) const INDEXES: &str = "SELECT c.relname::text, i.indisvalid, \
     pg_get_expr(i.indpred, i.indrelid) \
     FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid \
     JOIN pg_am AS am ON am.oid = c.relam AND am.amname = 'btree' \
     WHERE i.indrelid = to_regclass($1) AND EXISTS (SELECT FROM pg_collation AS k \
         WHERE k.oid = i.indcollation[0] AND k.collname = 'C') \
     AND trim(both '()' FROM pg_get_indexdef(i.indexrelid, 1, true)) \
         IN (quote_ident($2), quote_ident($2) || '::text')";

/// Judges one of them.
pub(super) fn judge(valid: bool, predicate: Option<&str>, wanted: Option<&[String]>) -> OwnerIndex {
    let mut held = predicate.map(literals).unwrap_or_default();
    let mut words = wanted.unwrap_or_default().to_vec();
    for words in [&mut held, &mut words] {
        words.sort_unstable();
        words.dedup();
    }
    if held != words || predicate.is_some() != wanted.is_some() {
        OwnerIndex::OtherRows
    } else if valid {
        OwnerIndex::Fits
    } else {
        OwnerIndex::Invalid
    }
}

/// Those of the `wanted` words whose rows the index holds.
pub(super) fn held(predicate: Option<&str>, wanted: &[String]) -> Vec<String> {
    let Some(predicate) = predicate else {
        return wanted.to_vec();
    };
    let held = literals(predicate);
    let wanted = wanted.iter().filter(|word| held.contains(word));
    wanted.cloned().collect()
}

/// The texts in an expression, as `pg_get_expr` writes them.
fn literals(expression: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = expression.chars().peekable();
    let mut before = ' ';
    while let Some(c) = rest.next() {
        if c != '\'' {
            before = c;
            continue;
        }
        let escapes = before == 'E';
        let mut text = String::new();
        while let Some(c) = rest.next() {
            match c {
                '\'' if rest.peek() == Some(&'\'') => {
                    rest.next();
                    text.push('\'');
                }
                '\'' => break,
                '\\' if escapes => text.extend(rest.next()),
                c => text.push(c),
            }
        }
        found.push(text);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_of_other_rows_does_not_fit() {
        let wanted = ["it's up".to_owned(), r"a\b".to_owned()];
        let judged = |predicate| judge(true, predicate, Some(&wanted));
        for fits in [
            r"(status = ANY (ARRAY['it''s up'::text, E'a\\b'::text]))",
            r"((status)::text = ANY ((ARRAY[E'a\\b'::character varying, 'it''s up'::text])::text[]))",
        ] {
            assert_eq!(judged(Some(fits)), OwnerIndex::Fits, "{fits}");
        }
        for other in [None, Some("(status = 'it''s up'::text)"), Some("(a > 1)")] {
            assert_eq!(judged(other), OwnerIndex::OtherRows, "{other:?}");
        }
        assert_eq!(
            held(Some("(status = 'it''s up'::text)"), &wanted),
            ["it's up"]
        );
        assert_eq!(held(None, &wanted), wanted);
        assert_eq!(judge(true, None, None), OwnerIndex::Fits);
        assert_eq!(judge(false, None, None), OwnerIndex::Invalid);
        assert_eq!(judge(true, Some("(a > 1)"), None), OwnerIndex::OtherRows);
    }
}
