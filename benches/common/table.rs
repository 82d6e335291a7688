//! Tables of results: printed when a benchmark ends, and kept for `RESULTS.md`.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::PathBuf,
};

use serde::{Deserialize, Serialize};

use super::quartiles::Quartiles;

/// One table of one benchmark. In a file it is one line of JSON.
#[derive(Debug, Deserialize, Serialize)]
pub struct Table {
    pub bench: String,
    pub title: String,
    /// What a reader has to know to read it right.
    pub note: String,
    pub columns: Vec<String>,
    pub rows: Vec<Row>,
}

#[derive(Debug, Deserialize, Serialize)]
pub struct Row {
    pub name: String,
    /// One for each column; `None` where there is nothing to say.
    pub cells: Vec<Option<Quartiles>>,
}

impl Table {
    pub fn new(bench: &str, title: &str, note: &str, columns: &[&str]) -> Self {
        Self {
            bench: bench.to_owned(),
            title: title.to_owned(),
            note: note.to_owned(),
            columns: columns.iter().map(ToString::to_string).collect(),
            rows: Vec::new(),
        }
    }

    pub fn row(&mut self, name: &str, cells: impl IntoIterator<Item = Option<Quartiles>>) {
        let row = Row {
            name: name.to_owned(),
            cells: cells.into_iter().collect(),
        };
        assert_eq!(row.cells.len(), self.columns.len());
        self.rows.push(row);
    }

    /// Prints it, and adds it to the results of the benchmark.
    pub fn publish(&self) {
        self.print();
        let file = results().join(format!("{}.jsonl", self.bench));
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(file)
            .expect("a file for results");
        let line = serde_json::to_string(self).expect("JSON");
        writeln!(file, "{line}").expect("a line of results");
    }

    fn print(&self) {
        print!("\n{:<56}", self.title);
        for column in &self.columns {
            print!("{column:>24}");
        }
        println!();
        for row in &self.rows {
            print!("  {:<54}", row.name);
            for cell in &row.cells {
                print!(
                    "{:>24}",
                    cell.map_or_else(String::new, |cell| cell.to_string())
                );
            }
            println!();
        }
        println!("  ({})", self.note);
    }
}

/// Forgets what earlier runs of the benchmark found.
pub fn begin(bench: &str) {
    let file = results().join(format!("{bench}.jsonl"));
    // There is none before the first run.
    let _ = fs::remove_file(file);
}

/// Where results are kept until they are rendered. `benches/run` names it, because not every
/// benchmark is of the same crate.
pub fn results() -> PathBuf {
    let named = std::env::var_os("TOWER_OWNERSHIP_RESULTS");
    let dir = named.map_or_else(|| PathBuf::from("target/results"), PathBuf::from);
    fs::create_dir_all(&dir).expect("a directory for results");
    dir
}
