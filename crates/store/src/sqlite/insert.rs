//! Many rows in few statements: chunks of fixed sizes, so that every statement is prepared once and the rest of a batch needs only a few.

use sqlx::{Arguments, Encode, SqliteConnection, Type, sqlite::SqliteArguments};

/// Rows of one statement, largest first; each is at most a quarter of the one before, so the rest costs at most three of each.
const SIZES: [usize; 5] = [256, 64, 16, 4, 1];

/// An `INSERT` of any number of rows.
pub(super) struct Insert {
    columns: usize,
    statements: [String; SIZES.len()],
}

/// The values of a statement, in order.
pub(super) struct Values(SqliteArguments);

impl Values {
    /// The next column's value.
    pub(super) fn push<'v, T: Encode<'v, sqlx::Sqlite> + Type<sqlx::Sqlite>>(&mut self, value: T) {
        self.0.add(value).expect("numbers, texts and bytes can always be bound");
    }
}

impl Insert {
    /// `head` is the statement up to and with `VALUES`.
    pub(super) fn new(head: &str, columns: usize) -> Self {
        let row = format!("({})", vec!["?"; columns].join(","));
        Self { columns, statements: SIZES.map(|size| format!("{head} {}", vec![row.as_str(); size].join(","))) }
    }

    /// Inserts `count` rows: `bind` pushes the columns of each.
    pub(super) async fn run<T>(
        &'static self,
        conn: &mut SqliteConnection,
        count: usize,
        mut rows: impl Iterator<Item = T>,
        mut bind: impl FnMut(&mut Values, T),
    ) -> Result<(), sqlx::Error> {
        let mut left = count;
        for (size, sql) in SIZES.iter().zip(&self.statements) {
            while left >= *size {
                let mut values = Values(SqliteArguments::default());
                values.0.reserve(size * self.columns, 0);
                rows.by_ref().take(*size).for_each(|row| bind(&mut values, row));
                debug_assert_eq!(values.0.len(), size * self.columns, "every column of every row has a value");
                sqlx::query_with(sql.as_str(), values.0).execute(&mut *conn).await?;
                left -= size;
            }
        }
        Ok(())
    }
}
