//! Rows in aligned columns.

use crate::command_error::CommandError;
use crate::stdout::Stdout;
use crate::text::{painted, printable};

/// Rows under a heading; every row has as many cells as the heading.
pub(crate) struct Table<const N: usize> {
    heading: [&'static str; N],
    rows: Vec<[String; N]>,
    /// The column whose text chooses its colour.
    state: Option<usize>,
}

impl<const N: usize> Table<N> {
    pub(crate) fn new(heading: [&'static str; N]) -> Self {
        Self { heading, rows: Vec::new(), state: None }
    }

    /// The same with the colours of states in a column.
    pub(crate) fn coloured_by(self, column: usize) -> Self {
        Self { state: Some(column), ..self }
    }

    pub(crate) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| printable(&cell).into_owned()));
    }

    /// Prints the rows, each after a margin; the last column is not padded.
    pub(crate) fn print(&self, margin: &str, output: &mut Stdout) -> Result<(), CommandError> {
        let mut widths = self.heading.map(str::len);
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        output.line(self.aligned(margin, &widths, self.heading, None))?;
        for row in &self.rows {
            output.line(self.aligned(
                margin,
                &widths,
                row.each_ref().map(String::as_str),
                self.state,
            ))?;
        }
        Ok(())
    }

    fn aligned(
        &self,
        margin: &str,
        widths: &[usize; N],
        cells: [&str; N],
        state: Option<usize>,
    ) -> String {
        let mut line = margin.to_owned();
        for (column, (cell, width)) in cells.into_iter().zip(widths).enumerate() {
            let padding = if column + 1 < N { width - cell.chars().count() + 2 } else { 0 };
            line.push_str(&if state == Some(column) {
                painted(cell, cell)
            } else {
                cell.to_owned()
            });
            line.extend(std::iter::repeat_n(' ', padding));
        }
        line.truncate(line.trim_end().len());
        line
    }
}
