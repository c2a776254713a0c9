//! Output in columns: as wide as their widest cell, numbers to the right.

use std::io::{Result, Write};

/// How a column's cells lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Rows under a heading.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(columns: &[(&'static str, Align)]) -> Self {
        Self {
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row, which has a cell for each column.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.columns.len(), "a cell for each column");
        self.rows.push(cells);
    }

    /// Prints heading and rows, each line after `indent`.
    pub(crate) fn print(&self, out: &mut impl Write, indent: &str) -> Result<()> {
        let heading = self.columns.iter().map(|(name, _)| (*name).to_owned());
        let lines: Vec<Vec<String>> = std::iter::once(heading.collect())
            .chain(self.rows.iter().cloned())
            .collect();
        let width = |column: usize| {
            let cells = lines.iter().filter_map(|line| line.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        for line in &lines {
            let mut text = indent.to_owned();
            for ((cell, (_, align)), width) in line.iter().zip(&self.columns).zip(&widths) {
                let space = " ".repeat(width.saturating_sub(cell.chars().count()));
                let (before, behind) = match align {
                    Align::Left => ("", space.as_str()),
                    Align::Right => (space.as_str(), ""),
                };
                text.extend([before, cell, behind, "  "]);
            }
            writeln!(out, "{}", text.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&[("TOPIC", Align::Left), ("LAG", Align::Right)]);
        table.row(vec!["a".to_owned(), "12345".to_owned()]);
        table.row(vec!["longer".to_owned(), "-".to_owned()]);
        let mut out = Vec::new();
        table.print(&mut out, "  ").unwrap();
        let expected = "  TOPIC     LAG\n  a       12345\n  longer      -\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
