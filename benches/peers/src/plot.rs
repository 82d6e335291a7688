//! Bars, with the quartiles on them.

use std::error::Error;

use plotters::{
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use crate::{quartiles::Quartiles, table::Table};

/// A column of a table that is worth a look.
struct Chart {
    bench: &'static str,
    title: &'static str,
    column: &'static str,
    heading: &'static str,
    /// Rows whose names begin so are left out: they only tell how far to trust the others.
    without: &'static str,
}

const CHARTS: [Chart; 3] = [
    Chart {
        bench: "peers-request",
        title: "beside other middlewares",
        column: "added ns",
        heading: "Nanoseconds added to a request (less is better)",
        without: "bare service",
    },
    Chart {
        bench: "end_to_end",
        title: "a server over loopback, 64 connections",
        column: "CPU ratio",
        heading: "CPU time of a server, 1 is without the layer or the map (less is better)",
        without: "without the layer",
    },
    Chart {
        bench: "lookup",
        title: "lookups a second",
        column: "ratio to pgbench",
        heading: "Lookups a second in PostgreSQL, 1 is what pgbench does (more is better)",
        without: "pgbench",
    },
];

const WIDTH: u32 = 860;
const LABELS: i32 = 330;
const NUMBERS: i32 = 90;
const ROW: i32 = 26;
const HEADING: i32 = 44;
const INK: RGBColor = RGBColor(40, 44, 52);
const OURS: RGBColor = RGBColor(38, 110, 180);
const THEIRS: RGBColor = RGBColor(160, 168, 178);

type Bars<'a> = Vec<(&'a str, Quartiles)>;

pub(crate) fn draw(file: &str, tables: &[Table]) -> Result<(), Box<dyn Error>> {
    let charts: Vec<(&Chart, Bars<'_>)> = CHARTS
        .iter()
        .map(|chart| (chart, bars(chart, tables)))
        .filter(|(_, bars)| !bars.is_empty())
        .collect();
    let rows: usize = charts.iter().map(|(_, bars)| bars.len()).sum();
    let height = charts.len() as i32 * HEADING + rows as i32 * ROW + 16;
    let area = SVGBackend::new(file, (WIDTH, height.try_into()?)).into_drawing_area();
    area.fill(&WHITE)?;
    let text = |size: i32| TextStyle::from(("sans-serif", size).into_font()).color(&INK);
    let mut y = 0;
    for (chart, bars) in charts {
        area.draw_text(chart.heading, &text(16), (12, y + 16))?;
        y += HEADING;
        let most = bars.iter().map(|(_, bar)| bar.upper).fold(0.0, f64::max);
        let room = f64::from(WIDTH as i32 - LABELS - NUMBERS);
        let at = |value: f64| LABELS + (value.max(0.0) / most * room) as i32;
        for (name, bar) in bars {
            let middle = y + ROW / 2;
            let right = text(13).pos(Pos::new(HPos::Right, VPos::Center));
            let left = text(13).pos(Pos::new(HPos::Left, VPos::Center));
            area.draw_text(name, &right, (LABELS - 8, middle))?;
            let theirs = match chart.bench {
                "peers-request" => !name.starts_with("this layer"),
                _ => name.ends_with("`map`") || name.starts_with("driver"),
            };
            let color = if theirs { THEIRS } else { OURS };
            let corners = [(LABELS, y + 5), (at(bar.median), y + ROW - 5)];
            area.draw(&Rectangle::new(corners, color.filled()))?;
            let spread = vec![(at(bar.lower), middle), (at(bar.upper), middle)];
            area.draw(&PathElement::new(spread, INK.stroke_width(1)))?;
            let number = Quartiles::exactly(bar.median).to_string();
            area.draw_text(&number, &left, (at(bar.upper.max(bar.median)) + 8, middle))?;
            y += ROW;
        }
    }
    area.present()?;
    Ok(())
}

fn bars<'a>(chart: &Chart, tables: &'a [Table]) -> Bars<'a> {
    let table = tables
        .iter()
        .find(|table| table.bench == chart.bench && table.title == chart.title);
    let column = |table: &Table| table.columns.iter().position(|name| name == chart.column);
    let Some((table, column)) = table.and_then(|table| Some((table, column(table)?))) else {
        return Vec::new();
    };
    let rows = table
        .rows
        .iter()
        .filter(|row| !row.name.starts_with(chart.without));
    rows.filter_map(|row| Some((row.name.as_str(), row.cells[column]?)))
        .collect()
}
