//! A table of results, as the benchmarks write it.

use std::fmt::Write as _;

use serde::Deserialize;

use crate::quartiles::Quartiles;

#[derive(Debug, Deserialize)]
pub(crate) struct Table {
    pub(crate) bench: String,
    pub(crate) title: String,
    note: String,
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Row>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) cells: Vec<Option<Quartiles>>,
}

impl Table {
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("| {} | {} |\n", self.title, self.columns.join(" | "));
        let rule = vec!["---"; self.columns.len() + 1].join(" | ");
        let _ = writeln!(text, "| {rule} |");
        for row in &self.rows {
            let cell =
                |cell: &Option<Quartiles>| cell.map_or_else(String::new, |cell| cell.to_string());
            let cells: Vec<_> = row.cells.iter().map(cell).collect();
            let _ = writeln!(text, "| {} | {} |", row.name, cells.join(" | "));
        }
        let _ = writeln!(text, "\n{}.\n", capitalized(&self.note));
        text
    }
}

fn capitalized(note: &str) -> String {
    let mut letters = note.chars();
    let first = letters
        .next()
        .map(|letter| letter.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}
