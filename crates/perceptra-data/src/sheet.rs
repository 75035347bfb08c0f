//! Sheets of workbooks, read by calamine: .xlsx, .xls, .xlsb and .ods.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use calamine::{Data, Reader, open_workbook_auto_from_rs};

use crate::error::DataError;
use crate::file_kind::FileKind;
use crate::read_note::ReadNoteKind;
use crate::read_options::ReadOptions;
use crate::records::{Record, Step};
use crate::table::nearest;

/// The rows of a sheet as texts. A row without a value in front of the header is none of them.
pub(crate) struct SheetRows {
    rows: std::vec::IntoIter<Vec<Data>>,
    line: u64,
}

impl SheetRows {
    /// Reads the sheet that the options name, or the first one.
    pub(crate) fn open(
        name: &str,
        kind: FileKind,
        bytes: bytes::Bytes,
        options: &ReadOptions,
    ) -> Result<(Self, Vec<ReadNoteKind>), DataError> {
        let damaged = |reason: String| DataError::Damaged { name: name.to_owned(), format: "workbook", reason };
        // Damaged files may be too much for the decoder: that is an error like the others.
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let mut book =
                open_workbook_auto_from_rs(Cursor::new(bytes)).map_err(|_| DataError::refuse(name.to_owned(), kind))?;
            let mut others = book.sheet_names();
            let wanted = options.sheet.clone().or_else(|| others.first().cloned()).unwrap_or_default();
            let Some(at) = others.iter().position(|sheet| *sheet == wanted) else {
                let nearest = nearest(&wanted, &others);
                return Err(DataError::NoSheet { name: name.to_owned(), sheet: wanted, sheets: others, nearest });
            };
            let read = others.remove(at);
            let range = book.worksheet_range(&read).map_err(|e| damaged(e.to_string()))?;
            let chosen = options.sheet.is_none() && !others.is_empty();
            Ok((range, if chosen { vec![ReadNoteKind::Sheet { read, others }] } else { Vec::new() }))
        }));
        let (range, notes) = caught.unwrap_or_else(|_| Err(damaged("the decoder gave up".into())))?;
        let first = range.start().map_or(0, |(row, _)| u64::from(row));
        let skip = (options.skip_rows as u64).saturating_sub(first) as usize;
        let is_empty = |row: &&[Data]| row.iter().all(|cell| text(cell).trim().is_empty());
        let before = range.rows().skip(skip).take_while(is_empty).count() + skip;
        let rows: Vec<Vec<Data>> = range.rows().skip(before).map(<[Data]>::to_vec).collect();
        Ok((Self { rows: rows.into_iter(), line: first + before as u64 }, notes))
    }

    /// Reads the next row.
    pub(crate) fn read(&mut self, record: &mut Record) -> Step {
        let Some(row) = self.rows.next() else { return Step::End };
        self.line += 1;
        *record = Record::new(&row.iter().map(text).collect::<Vec<_>>(), self.line);
        Step::Row
    }
}

/// A cell as CSV text has it.
fn text(cell: &Data) -> String {
    match cell {
        Data::Empty => String::new(),
        Data::Int(x) => x.to_string(),
        Data::Float(x) => x.to_string(),
        Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => text.clone(),
        Data::Bool(x) => x.to_string(),
        Data::Error(error) => error.to_string(),
        // A time of day without a date is a fraction of a day, as a duration is.
        Data::DateTime(when) if when.is_duration() || when.as_f64() < 1.0 => when.as_f64().to_string(),
        Data::DateTime(when) => {
            let (year, month, day, hour, minute, second, milli) = when.to_ymd_hms_milli();
            let date = format!("{year:04}-{month:02}-{day:02}");
            match (hour, minute, second, milli) {
                (0, 0, 0, 0) => date,
                (.., 0) => format!("{date}T{hour:02}:{minute:02}:{second:02}"),
                _ => format!("{date}T{hour:02}:{minute:02}:{second:02}.{milli:03}"),
            }
        }
    }
}
