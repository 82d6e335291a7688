//! What a terminal shows, as a picture for the README, which has to stay true.

use std::path::PathBuf;

use anstyle_svg::{Term, WIN10_CONSOLE};

/// With this variable set, pictures are drawn anew instead of compared.
const DRAW: &str = "TOWER_OWNERSHIP_DRAW";

/// The picture of this name in `examples/incident` shows this screen. Times on it have to be the
/// same in every run.
pub fn shows(name: &str, screen: &str) {
    let picture = Term::new().palette(WIN10_CONSOLE).render_svg(screen);
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/incident");
    let file = directory.join(format!("{name}.svg"));
    if std::env::var_os(DRAW).is_some() {
        std::fs::write(&file, &picture).expect("a file that can be written");
    }
    let drawn = std::fs::read_to_string(&file).expect("a picture");
    assert!(
        drawn == picture,
        "{} does not show what is seen today; with {DRAW}=1 this test draws it anew:\n{screen}",
        file.display()
    );
}

/// The same with every number of milliseconds made 1, and without spaces at the ends of lines.
pub fn without_times(screen: &str) -> String {
    const UNIT: &str = " ms";
    let parts: Vec<&str> = screen.split(UNIT).collect();
    let last = parts.len() - 1;
    let mut same = String::new();
    for (at, part) in parts.into_iter().enumerate() {
        let number = part.trim_end_matches(|c: char| c.is_ascii_digit());
        if at == last || number == part {
            same.push_str(part);
        } else {
            same.push_str(number);
            same.push('1');
        }
        if at < last {
            same.push_str(UNIT);
        }
    }
    let lines: Vec<&str> = same.lines().map(str::trim_end).collect();
    lines.join("\n")
}
