//! Parsing cells before they are asked for.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::kind::ColumnKind;
use crate::schema::Schema;
use crate::table::Table;

impl Table {
    /// Parses the cells of the schema's numbers, dates and truth values, which are else parsed when they are first asked for: for a
    /// thread that reads ahead.
    #[doc(hidden)]
    pub fn parse(&self, schema: &Schema) {
        let kinds = schema.features.iter().filter(|feature| match feature.kind {
            ColumnKind::Numeric | ColumnKind::Date | ColumnKind::Boolean => true,
            ColumnKind::Categorical => false,
        });
        for column in kinds.filter_map(|feature| self.column(&feature.name).ok()) {
            column.parsed();
        }
    }

    /// Parses the cells of the columns for which `is_used`, several columns at once, if there are many cells; else each column is parsed
    /// when it is first asked for.
    pub(crate) fn parse_columns(&self, is_used: impl Fn(&str) -> bool) {
        let names: Vec<String> = self.columns().into_iter().filter(|name| is_used(name)).collect();
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(names.len());
        if threads < 2 || self.rows() * names.len() < MANY {
            return;
        }
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if let Ok(column) = self.column(name) {
                            column.parsed();
                        }
                    }
                });
            }
        });
    }
}

/// Fewer cells than this are parsed before threads have started.
const MANY: usize = 200_000;
