//! A median and its spread.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The median of what was measured, and between which values half of it lies.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Quartiles {
    pub lower: f64,
    pub median: f64,
    pub upper: f64,
}

impl Quartiles {
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let at = |quarter: usize| values[(values.len() - 1) * quarter / 4];
        Self {
            lower: at(1),
            median: at(2),
            upper: at(3),
        }
    }

    /// What does not vary, or was measured once.
    pub fn exactly(value: f64) -> Self {
        Self {
            lower: value,
            median: value,
            upper: value,
        }
    }
}

impl fmt::Display for Quartiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One number of digits for all three, so that they can be compared.
        let size = self.median.abs();
        let digits = match size {
            _ if [self.lower, self.median, self.upper]
                .iter()
                .all(|n| n.fract() == 0.0) =>
            {
                0
            }
            _ if size < 10.0 => 2,
            _ if size < 100.0 => 1,
            _ => 0,
        };
        write!(f, "{:.digits$}", self.median)?;
        let range = format!("{:.digits$}..{:.digits$}", self.lower, self.upper);
        if self.lower < self.upper {
            write!(f, " [{range}]")?;
        }
        Ok(())
    }
}
