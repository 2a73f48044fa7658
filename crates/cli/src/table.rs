//! Rows in aligned columns.

use crate::colour::{Colour, painted};
use crate::command_error::CommandError;
use crate::stdout::Stdout;
use crate::text::printable;

/// Rows under a heading; every row has as many cells as the heading.
pub(crate) struct Table<const N: usize> {
    heading: [&'static str; N],
    rows: Vec<([String; N], Colour)>,
    /// The column that shows the colours of the rows.
    coloured: Option<usize>,
}

impl<const N: usize> Table<N> {
    pub(crate) fn new(heading: [&'static str; N]) -> Self {
        Self { heading, rows: Vec::new(), coloured: None }
    }

    /// The same with a column in the colours of its rows.
    pub(crate) fn colouring(self, column: usize) -> Self {
        Self { coloured: Some(column), ..self }
    }

    pub(crate) fn row(&mut self, cells: [String; N]) {
        self.row_in(Colour::Plain, cells);
    }

    /// A row whose coloured column has this colour.
    pub(crate) fn row_in(&mut self, colour: impl Into<Colour>, cells: [String; N]) {
        self.rows.push((cells.map(|cell| printable(&cell).into_owned()), colour.into()));
    }

    /// Prints the rows, each after a margin; the last column is not padded.
    pub(crate) fn print(&self, margin: &str, output: &mut Stdout) -> Result<(), CommandError> {
        let mut widths = self.heading.map(str::len);
        for (row, _) in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        output.line(self.aligned(margin, &widths, self.heading, Colour::Plain))?;
        for (row, colour) in &self.rows {
            let cells = row.each_ref().map(String::as_str);
            output.line(self.aligned(margin, &widths, cells, *colour))?;
        }
        Ok(())
    }

    fn aligned(
        &self,
        margin: &str,
        widths: &[usize; N],
        cells: [&str; N],
        colour: Colour,
    ) -> String {
        let mut line = margin.to_owned();
        for (column, (cell, width)) in cells.into_iter().zip(widths).enumerate() {
            let padding = if column + 1 < N { width - cell.chars().count() + 2 } else { 0 };
            line.push_str(&if self.coloured == Some(column) {
                painted(cell, colour)
            } else {
                cell.to_owned()
            });
            line.extend(std::iter::repeat_n(' ', padding));
        }
        line.truncate(line.trim_end().len());
        line
    }
}
