//! Lists that fit the terminal.

use comfy_table::{ColumnConstraint, Table};

use crate::output::{Tone, cell, lines, plain_table, say_to, shown, styled, width};

/// What becomes of a column where the terminal is too narrow for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It stays, whole: an id that is broken into lines cannot be copied.
    Kept,
    /// It is left out; the rightmost first.
    Spare,
    /// It is broken into lines.
    Text,
}

/// Rows under a header.
#[derive(Debug)]
pub struct Listing {
    columns: Vec<(&'static str, Role)>,
    rows: Vec<Vec<(String, Tone)>>,
    indent: u16,
}

/// Between columns.
const GAP: u16 = 2;

/// A text is not broken into narrower lines.
const NARROWEST_TEXT: usize = 24;

/// What stands where there is nothing.
pub const DASH: &str = "-";

impl Listing {
    pub fn new(columns: &[(&'static str, Role)]) -> Self {
        Self {
            columns: columns.to_vec(),
            rows: Vec::new(),
            indent: 0,
        }
    }

    pub fn indented(mut self, by: u16) -> Self {
        self.indent = by;
        self
    }

    pub fn row<const N: usize>(&mut self, cells: [(String, Tone); N]) {
        let shown = |(text, tone): (String, Tone)| (shown(&text), tone);
        self.rows.push(cells.into_iter().map(shown).collect());
    }

    /// As a table as wide as the terminal; what is not a terminal gets lines of any width, which are
    /// easier to search. Columns in which there is nothing are left out.
    pub fn text(&self) -> String {
        self.fitted(width())
    }

    fn fitted(&self, most: Option<usize>) -> String {
        let mut columns: Vec<usize> = (0..self.columns.len())
            .filter(|at| self.rows.is_empty() || self.widest(*at).1)
            .collect();
        if let Some(most) = most {
            while self.needs(&columns) > most {
                let spare = |at: &usize| self.columns[*at].1 == Role::Spare;
                match columns.iter().rposition(spare) {
                    Some(at) => drop(columns.remove(at)),
                    None => return self.stacked(&columns, most),
                }
            }
        }
        lines(&self.table(&columns))
    }

    /// The widest text of a column, and whether there is any.
    fn widest(&self, column: usize) -> (usize, bool) {
        let (name, role) = self.columns[column];
        let texts = || self.rows.iter().map(|row| &row[column].0);
        let widest = texts().map(|text| text.chars().count()).max().unwrap_or(0);
        let widest = match role {
            Role::Text => widest.min(NARROWEST_TEXT),
            _ => widest,
        };
        let is_filled = texts().any(|text| text != DASH);
        (widest.max(name.len()), is_filled)
    }

    fn needs(&self, columns: &[usize]) -> usize {
        let widths: usize = columns.iter().map(|at| self.widest(*at).0).sum();
        widths + usize::from(GAP) * columns.len().saturating_sub(1) + usize::from(self.indent)
    }

    fn table(&self, columns: &[usize]) -> Table {
        let mut table = plain_table();
        if columns.iter().any(|at| !self.columns[*at].0.is_empty()) {
            table.set_header(
                columns
                    .iter()
                    .map(|at| cell(self.columns[*at].0, Tone::Title)),
            );
        }
        for row in &self.rows {
            table.add_row(columns.iter().map(|at| cell(&row[*at].0, row[*at].1)));
        }
        for (at, column) in table.column_iter_mut().enumerate() {
            column.set_padding((if at == 0 { self.indent } else { 0 }, GAP));
            if self.columns[columns[at]].1 != Role::Text {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        table
    }

    /// Each row as an entry of its own: the first column, and the others below it.
    fn stacked(&self, columns: &[usize], most: usize) -> String {
        let mut text = String::new();
        for row in &self.rows {
            let mut at_column = 0;
            for (nth, at) in columns.iter().enumerate() {
                let (value, tone) = &row[*at];
                if nth == 0 {
                    say_to(&mut text, format_args!("{}\n ", styled(value, *tone)));
                    at_column = 1;
                    continue;
                }
                let name = self.columns[*at].0;
                let takes = 2 + name.len() + value.chars().count();
                if at_column + takes > most && at_column > 1 {
                    text.push_str("\n ");
                    at_column = 1;
                }
                say_to(&mut text, format_args!(" {name} {}", styled(value, *tone)));
                at_column += takes;
            }
            text.push('\n');
        }
        text.truncate(text.trim_end().len());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(owner: &str) -> Listing {
        let mut listing = Listing::new(&[
            ("session", Role::Kept),
            ("owner", Role::Kept),
            ("epoch", Role::Spare),
            ("left", Role::Spare),
            ("note", Role::Kept),
        ]);
        listing.row([
            (
                "807efe44-d63e-4a24-88f5-dbe96112830a".to_owned(),
                Tone::Plain,
            ),
            (owner.to_owned(), Tone::Plain),
            ("12345678".to_owned(), Tone::Plain),
            ("59m 5s".to_owned(), Tone::Plain),
            (DASH.to_owned(), Tone::Plain),
        ]);
        listing
    }

    #[test]
    fn spare_columns_are_left_out_from_the_right_and_empty_ones_always() {
        let listing = listing("e2863555a91708");
        let wide = listing.fitted(None);
        assert!(wide.contains("left") && !wide.contains("note"), "{wide}");
        let eighty = listing.fitted(Some(68));
        assert!(
            eighty.contains("epoch") && !eighty.contains("left"),
            "{eighty}"
        );
        let narrow = listing.fitted(Some(55));
        assert!(!narrow.contains("epoch"), "{narrow}");
        assert!(narrow.contains("e2863555a91708"), "{narrow}");
    }

    #[test]
    fn what_does_not_fit_beside_stands_below() {
        let owner = "56a0b2fe-bed8-4466-ba13-983ffffba7a5";
        let stacked = listing(owner).fitted(Some(60));
        let mut lines = stacked.lines();
        assert_eq!(lines.next(), Some("807efe44-d63e-4a24-88f5-dbe96112830a"));
        assert_eq!(lines.next(), Some(&*format!("  owner {owner}")));
    }
}
