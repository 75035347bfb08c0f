//! The look of a table before anybody trains on it.

use crate::error::DataError;
use crate::kind::ColumnKind;
use crate::note::Note;
use crate::schema::{Interpreted, SchemaOptions, interpret};
use crate::summary::Summary;
use crate::table::Table;

/// A column of a table as it would be read as a feature.
#[derive(Debug)]
pub struct TableColumn {
    /// Name in the file.
    pub name: String,
    /// Kind and values; or the error with which a training would end if the column were a feature.
    pub values: Result<(ColumnKind, Summary), DataError>,
    /// Choices that are made when it is read.
    pub notes: Vec<Note>,
}

impl Table {
    /// Every column, in the order of the file, as [`Schema::infer`](crate::Schema::infer) would read it as a feature. Of `options`,
    /// those count that say how columns are read; no column has another role.
    pub fn inspect(&self, options: &SchemaOptions) -> Vec<TableColumn> {
        let column = |name: String| {
            let mut notes = Vec::new();
            let values = self.column(&name).and_then(|column| interpret(&name, column, options)).and_then(|found| {
                let Interpreted { kind, notation, notes: found } = found;
                notes = found;
                Ok((kind, self.summary(&name, kind, &notation)?))
            });
            TableColumn { name, values, notes }
        };
        self.columns().into_iter().map(column).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::Values;

    #[test]
    fn columns_are_shown_as_they_would_be_read() {
        let rows: String =
            (0..30).map(|i| format!("{i},{},\"{},5\",2024-01-{:02}\n", ["u", "v"][i % 2], i, i + 1)).collect();
        let table = Table::from_csv("t.csv", format!("n,c,x,day\n{rows}"), &Default::default()).unwrap();
        let columns = table.inspect(&SchemaOptions::default());
        let kinds: Vec<_> = columns.iter().map(|column| column.values.as_ref().unwrap().0.name()).collect();
        assert_eq!(kinds, ["numeric", "categorical", "numeric", "date"]);
        let (_, of_x) = columns[2].values.as_ref().unwrap();
        let Values::Numbers(Some(numbers)) = &of_x.values else { panic!() };
        assert_eq!((numbers.least, numbers.most), (0.5, 29.5));
        assert!(columns[2].notes[0].to_string().contains("\"0,5\" is 0.5"), "{:?}", columns[2].notes);
        // Ambiguous numbers are an error of their column, not of the table.
        let table = Table::from_csv("t.csv", "a;b\n1,234;1\n5,678;2\n", &Default::default()).unwrap();
        let columns = table.inspect(&SchemaOptions::default());
        assert!(columns[0].values.as_ref().unwrap_err().to_string().contains("may be 1.234 or 1234"));
        assert!(columns[1].values.is_ok());
    }
}
