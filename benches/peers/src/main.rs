//! Renders what the benchmarks found: `RESULTS.md` with every table, and a plot of some of them.
//!
//! `benches/run` calls it at the end, in the repository's root.

mod machine;
mod plot;
#[path = "../../common/quartiles.rs"]
#[allow(dead_code, unreachable_pub)]
mod quartiles;
mod table;

use std::{
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use table::Table;

/// Benchmarks in the order in which they are told.
const BENCHES: [(&str, &str); 10] = [
    ("request", "A request in the layer"),
    ("peers-request", "Beside other middlewares"),
    ("instructions", "Instructions"),
    ("end_to_end", "A whole server"),
    ("forward", "Carrying requests to their owner"),
    ("lookup", "Lookups in PostgreSQL"),
    ("cache", "The cache"),
    ("peers-tables", "Tables that could be behind it"),
    ("watch", "Changes of owner"),
    ("ownership", "The life of an ownership"),
];

const HEAD: &str = "# What was measured\n
Run by `benches/run`, which wrote this page. The machine was shared and is not fast: read what is
compared within a table, not the absolute numbers. Cells are medians, with the quartiles in
brackets. How each benchmark measures stands at the top of its file.\n
![What some of the tables below show, as bars](results.svg)\n";

fn main() -> Result<(), Box<dyn Error>> {
    let named = std::env::var_os("TOWER_OWNERSHIP_RESULTS");
    let results = named.map_or_else(|| PathBuf::from("target/results"), PathBuf::from);
    let mut page = HEAD.to_owned();
    writeln!(page, "\n## Where\n\n{}", machine::describe())?;
    let mut all = Vec::new();
    for (bench, title) in BENCHES {
        let tables = read(&results, bench)?;
        if tables.is_empty() {
            eprintln!("nothing of {bench}");
            continue;
        }
        writeln!(page, "## {title}\n\n`{}`\n", command(bench))?;
        for table in &tables {
            page.push_str(&table.markdown());
        }
        all.extend(tables);
    }
    fs::write("benches/RESULTS.md", page)?;
    plot::draw("benches/results.svg", &all)?;
    Ok(())
}

/// The tables of a benchmark; none if it did not run.
fn read(results: &Path, bench: &str) -> Result<Vec<Table>, Box<dyn Error>> {
    let file = results.join(format!("{bench}.jsonl"));
    if !file.exists() {
        return Ok(Vec::new());
    }
    let lines = fs::read_to_string(file)?;
    let table = |line| Ok(serde_json::from_str(line)?);
    lines.lines().map(table).collect()
}

fn command(bench: &str) -> String {
    match bench.strip_prefix("peers-") {
        Some(bench) => format!("cd benches/peers && cargo bench --bench {bench}"),
        None if bench == "instructions" => "benches/instructions".to_owned(),
        None => format!("cargo bench --bench {bench}"),
    }
}
