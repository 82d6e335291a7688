//! A row of the table, column by column.

use serde_json::{Map, Value};
use tokio_postgres::{Row, types::FromSql};

use crate::LookupError;

use super::ownership::{Seen, seen_of};

/// What a row tells, before anybody judges it.
pub(super) struct Facts<'a> {
    pub(super) owner: Option<&'a str>,
    pub(super) status: Option<&'a str>,
    pub(super) address: Option<&'a str>,
    pub(super) remaining: Option<f64>,
    pub(super) epoch: Option<i64>,
    pub(super) attributes: Option<Map<String, Value>>,
    pub(super) released: Option<i64>,
    /// Whether the owner changed while the triggers were missing or disabled.
    pub(super) drifted: bool,
    pub(super) seen: Option<Seen>,
}

/// Which of the columns that may be missing a query of the table returns; they come in this order,
/// after the owner. Types are those of the table's statement, so nothing has to be converted, by
/// the server or here: a document would cost both more than finding the row.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each column is there or not, whatever the others are"
)]
pub(super) struct Columns {
    pub(super) status: bool,
    pub(super) address: bool,
    pub(super) remaining: bool,
    pub(super) epoch: bool,
    pub(super) attributes: bool,
    /// The release proof, whether the epoch is the owner's, and what is known of the owner.
    pub(super) ownership: bool,
}

impl Columns {
    /// Reads them from column `first` on.
    pub(super) fn facts(self, row: &Row, first: usize) -> Result<Facts<'_>, LookupError> {
        let mut next = Next { row, at: first };
        Ok(Facts {
            owner: next.value(true)?,
            status: next.value(self.status)?,
            address: next.value(self.address)?,
            remaining: next.value(self.remaining)?,
            epoch: next.value(self.epoch)?,
            attributes: match next.value(self.attributes)? {
                None => None,
                Some(Value::Object(attributes)) => Some(attributes),
                Some(_) => {
                    return Err(LookupError::corrupt(
                        "the session's attributes are no JSON object",
                    ));
                }
            },
            released: next.value(self.ownership)?,
            drifted: next.value(self.ownership)?.unwrap_or(false),
            seen: match next.value(self.ownership)? {
                None => None,
                Some(text) => Some(seen_of(text).ok_or_else(|| {
                    LookupError::corrupt("what is known of the session's owner cannot be read")
                })?),
            },
        })
    }
}

struct Next<'a> {
    row: &'a Row,
    at: usize,
}

impl<'a> Next<'a> {
    fn value<T: FromSql<'a>>(&mut self, is_there: bool) -> Result<Option<T>, LookupError> {
        if !is_there {
            return Ok(None);
        }
        let value = self.row.try_get(self.at).map_err(|error| {
            LookupError::corrupt("the session's row cannot be read").with_source(error)
        });
        self.at += 1;
        value
    }
}
