//! The index of the owners of active sessions.

use crate::lookup::postgres::{
    identifier::Identifier, migration::qualified, statuses::Statuses, table::Table,
};

const SUFFIX: &str = "_tower_ownership_owner";

/// Its name, with the schema of the table.
pub(super) fn qualified_name(table: &Table) -> String {
    qualified(table, SUFFIX)
}

/// Makes the index of the relation `on`, which is the table or one of its partitions. Only active
/// sessions are in it: a table holds many more that are over.
pub(super) fn statement(
    table: &Table,
    statuses: Option<&Statuses>,
    create: &str,
    on: &str,
) -> String {
    let owner = &table.owner;
    let active = match super::active(table, statuses, None) {
        Some(active) => format!(" WHERE {active}"),
        None => String::new(),
    };
    format!("{create} ON {on} (({owner}::text COLLATE \"C\")){active}")
}

/// The name of the index.
pub(super) fn name(table: &Table) -> Identifier {
    table.suffixed(SUFFIX)
}

/// How the index that the statements need is, from worst to best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::lookup::postgres) enum OwnerIndex {
    Missing,
    /// An index of the owner is there, and does not hold exactly the active sessions.
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
pub(super) fn judge(
    valid: bool,
    predicate: Option<&str>,
    statuses: Option<&Statuses>,
) -> OwnerIndex {
    let mut held = predicate.map(literals).unwrap_or_default();
    let mut wanted = statuses.map_or_else(Vec::new, |statuses| statuses.active.clone());
    for words in [&mut held, &mut wanted] {
        words.sort_unstable();
        words.dedup();
    }
    if held != wanted || predicate.is_some() != statuses.is_some() {
        OwnerIndex::OtherRows
    } else if valid {
        OwnerIndex::Fits
    } else {
        OwnerIndex::Invalid
    }
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
        let statuses = Statuses {
            active: vec!["it's up".to_owned(), r"a\b".to_owned()],
            ..Statuses::default()
        };
        let judged = |predicate| judge(true, predicate, Some(&statuses));
        for fits in [
            r"(status = ANY (ARRAY['it''s up'::text, E'a\\b'::text]))",
            r"((status)::text = ANY ((ARRAY[E'a\\b'::character varying, 'it''s up'::text])::text[]))",
        ] {
            assert_eq!(judged(Some(fits)), OwnerIndex::Fits, "{fits}");
        }
        for other in [None, Some("(status = 'it''s up'::text)"), Some("(a > 1)")] {
            assert_eq!(judged(other), OwnerIndex::OtherRows, "{other:?}");
        }
        assert_eq!(judge(true, None, None), OwnerIndex::Fits);
        assert_eq!(judge(false, None, None), OwnerIndex::Invalid);
        assert_eq!(judge(true, Some("(a > 1)"), None), OwnerIndex::OtherRows);
    }
}
