//! Many rows in few statements: chunks of fixed sizes, so that every statement is prepared once and the rest of a batch needs only a few.

use rusqlite::{CachedStatement, Connection, ToSql};

/// Rows of one statement, largest first; each is at most a quarter of the one before, so the rest costs at most three of each.
const SIZES: [usize; 5] = [256, 64, 16, 4, 1];

/// An `INSERT` of any number of rows.
pub(super) struct Insert {
    columns: usize,
    statements: [String; SIZES.len()],
}

/// The values of a statement, in order.
pub(super) struct Values<'c> {
    statement: CachedStatement<'c>,
    bound: usize,
}

impl Values<'_> {
    /// The next columns' values.
    pub(super) fn push(&mut self, values: &[&dyn ToSql]) -> Result<(), rusqlite::Error> {
        values.iter().try_for_each(|value| {
            self.bound += 1;
            self.statement.raw_bind_parameter(self.bound, value)
        })
    }
}

impl Insert {
    /// `head` is the statement up to and with `VALUES`.
    pub(super) fn new(head: &str, columns: usize) -> Self {
        let row = format!("({})", vec!["?"; columns].join(","));
        Self { columns, statements: SIZES.map(|size| format!("{head} {}", vec![row.as_str(); size].join(","))) }
    }

    /// Inserts `count` rows: `bind` pushes the columns of each.
    pub(super) fn run<T>(
        &self,
        conn: &Connection,
        count: usize,
        mut rows: impl Iterator<Item = T>,
        mut bind: impl FnMut(&mut Values<'_>, T) -> Result<(), rusqlite::Error>,
    ) -> Result<(), rusqlite::Error> {
        let mut left = count;
        for (size, sql) in SIZES.iter().zip(&self.statements) {
            while left >= *size {
                let mut values = Values { statement: conn.prepare_cached(sql)?, bound: 0 };
                rows.by_ref().take(*size).try_for_each(|row| bind(&mut values, row))?;
                debug_assert_eq!(values.bound, size * self.columns, "every column of every row has a value");
                values.statement.raw_execute()?;
                left -= size;
            }
        }
        Ok(())
    }
}
