//! A terminal's screen, as far as `antiphon run` uses one. It refuses what a display that fits
//! would never do.

/// What was printed, also what has scrolled away, and where the cursor is.
pub(crate) struct Screen {
    rows: usize,
    columns: usize,
    lines: Vec<Vec<char>>,
    row: usize,
    column: usize,
    cursor: bool,
    wraps: bool,
}

impl Screen {
    pub(crate) fn new(rows: usize, columns: usize) -> Self {
        Self {
            rows,
            columns,
            lines: vec![Vec::new()],
            row: 0,
            column: 0,
            cursor: true,
            wraps: true,
        }
    }

    /// Takes in what was printed.
    pub(crate) fn take(&mut self, text: &str) -> Result<(), String> {
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match character {
                '\r' => self.column = 0,
                '\n' => {
                    self.row += 1;
                    if self.row == self.lines.len() {
                        self.lines.push(Vec::new());
                    }
                }
                '\u{1b}' => {
                    let sequence: String = {
                        let mut taken = String::new();
                        for character in characters.by_ref() {
                            taken.push(character);
                            if character.is_ascii_alphabetic() {
                                break;
                            }
                        }
                        taken
                    };
                    self.obey(&sequence)?;
                }
                character => self.put(character)?,
            }
        }
        Ok(())
    }

    fn put(&mut self, character: char) -> Result<(), String> {
        // Outside a frame lines are as long as they are; in it they have to fit.
        if !self.wraps && self.column >= self.columns {
            return Err(format!(
                "line {:?} is wider than {}",
                self.lines[self.row].iter().collect::<String>(),
                self.columns
            ));
        }
        let line = &mut self.lines[self.row];
        line.resize(line.len().max(self.column + 1), ' ');
        line[self.column] = character;
        self.column += 1;
        Ok(())
    }

    fn obey(&mut self, sequence: &str) -> Result<(), String> {
        match sequence {
            "[?25l" => self.cursor = false,
            "[?25h" => self.cursor = true,
            "[?7l" => self.wraps = false,
            "[?7h" => self.wraps = true,
            "[K" => self.lines[self.row].truncate(self.column),
            "[J" => {
                self.lines.truncate(self.row + 1);
                self.lines[self.row].truncate(self.column);
            }
            up if up.ends_with('A') => {
                let up: usize =
                    up[1..up.len() - 1].parse().map_err(|_| format!("what is {up:?}?"))?;
                let top = self.lines.len().saturating_sub(self.rows);
                self.row = self
                    .row
                    .checked_sub(up)
                    .filter(|row| *row >= top)
                    .ok_or("it goes above the screen")?;
            }
            colour if colour.ends_with('m') => {}
            other => return Err(format!("nobody said what {other:?} does")),
        }
        Ok(())
    }

    /// The lines, without what is blank at the end.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self
            .lines
            .iter()
            .map(|line| line.iter().collect::<String>().trim_end().to_owned())
            .collect();
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines
    }

    /// Whether the cursor is there, at the beginning of a new line, and lines wrap.
    pub(crate) fn is_clean(&self) -> bool {
        self.cursor && self.wraps && self.column == 0 && self.lines[self.row].is_empty()
    }
}
