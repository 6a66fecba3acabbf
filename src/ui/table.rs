//! Tables of aligned text, sizes and times for people.
//!
//! In: rows of text. Out: lines whose columns stand below each other, two spaces between them, as
//! `docker images` prints them; no colour, no borders, so that other programs can cut them.

/// A table: the head, and rows with as many cells.
#[derive(Debug, Clone, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
    right: Vec<usize>,
}

impl Table {
    /// A table with this head.
    pub fn new(head: &[&str]) -> Table {
        let head = head.iter().map(|&cell| cell.to_owned()).collect();
        Table {
            rows: vec![head],
            right: Vec::new(),
        }
    }

    /// Aligns a column to the right, as numbers want it.
    pub fn right(mut self, column: usize) -> Table {
        self.right.push(column);
        self
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let printable = |cell: String| super::printable(&cell).replace('\n', "\\n");
        self.rows.push(cells.into_iter().map(printable).collect());
    }

    /// The lines, without spaces at their ends.
    pub fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                let gap = " ".repeat(width - cell.chars().count());
                let space = if column == 0 { "" } else { "  " };
                line.push_str(space);
                if self.right.contains(&column) {
                    line.push_str(&gap);
                    line.push_str(cell);
                } else {
                    line.push_str(cell);
                    line.push_str(&gap);
                }
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// A number of bytes with three digits at least, in powers of 1000 (IEC 80000-13): `12.3 MB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    // What would be printed as 1000 is 1.0 of the next unit.
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = if value < 99.95 { 1 } else { 0 };
    format!("{value:.digits$} {}", UNITS[unit])
}

/// A length of time: `0.4s`, `12.3s`, `2m05s`, `1h02m`.
pub fn duration(time: std::time::Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds}.{}s", time.subsec_millis() / 100),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let mut table = Table::new(&["NAME", "SIZE", "ID"]).right(1);
        table.row(["äpfel:1".to_owned(), "1 B".to_owned(), "x\u{1b}".to_owned()]);
        table.row(["b".to_owned(), "12.3 MB".to_owned(), String::new()]);
        assert_eq!(
            table.render(),
            "NAME        SIZE  ID\näpfel:1      1 B  x\\u{1b}\nb        12.3 MB\n"
        );
    }

    #[test]
    fn sizes_have_three_digits() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (12_340, "12.3 kB"),
            (12_360, "12.4 kB"),
            (99_960, "100 kB"),
            (123_456, "123 kB"),
            (999_499, "999 kB"),
            (999_500, "1.0 MB"),
            (999_999, "1.0 MB"),
            (574_000_000, "574 MB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(size(bytes), text, "{bytes}");
        }
    }

    #[test]
    fn times_have_the_two_units_that_matter() {
        for (milliseconds, text) in [
            (0, "0.0s"),
            (59_990, "59.9s"),
            (60_000, "1m00s"),
            (3_599_000, "59m59s"),
            (3_725_000, "1h02m"),
        ] {
            assert_eq!(duration(Duration::from_millis(milliseconds)), text);
        }
    }
}
