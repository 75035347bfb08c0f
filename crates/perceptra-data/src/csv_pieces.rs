//! CSV text, read in pieces.

use std::collections::BTreeMap;
use std::io::{BufRead, Read};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringBuilder};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use crate::column::{Column, TypedColumn};
use crate::error::DataError;
use crate::missing::MissingTexts;
use crate::read_options::ReadOptions;
use crate::table::{Table, check_names};

/// The longest row of a CSV file, in bytes.
const MAX_ROW: usize = 64 << 20;

/// Counts the quotes that are read: an odd number at the end means that one never closed. It also counts the bytes since a row began,
/// so that a row that never ends does not fill the memory.
struct QuoteCounter {
    inner: Box<dyn BufRead>,
    odd: std::rc::Rc<std::cell::Cell<bool>>,
    row: std::rc::Rc<std::cell::Cell<usize>>,
}

impl Read for QuoteCounter {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.row.get() > MAX_ROW {
            return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, "the row is too long"));
        }
        let n = self.inner.read(buffer)?;
        self.row.set(self.row.get() + n);
        #[expect(clippy::naive_bytecount, reason = "no crate for one count")]
        let quotes = buffer[..n].iter().filter(|&&b| b == b'"').count();
        self.odd.set(self.odd.get() ^ (quotes % 2 == 1));
        Ok(n)
    }
}

/// The rows of CSV text, in tables of a number of rows.
pub(crate) struct CsvPieces {
    name: String,
    reader: csv::Reader<QuoteCounter>,
    odd_quotes: std::rc::Rc<std::cell::Cell<bool>>,
    row_bytes: std::rc::Rc<std::cell::Cell<usize>>,
    delimiter: u8,
    pub(crate) columns: Vec<String>,
    missing: Arc<MissingTexts>,
    rows: usize,
    /// How many lines of the file come before the input.
    lines_before: u64,
    /// The line of the last row, if one of its fields contains a line break.
    last_with_break: Option<u64>,
    done: bool,
    /// Columns to keep as they are written, with their names and types.
    kept: Option<(Vec<usize>, SchemaRef)>,
}

impl CsvPieces {
    pub(crate) fn new(
        name: String,
        mut input: Box<dyn BufRead>,
        tabs: bool,
        options: &ReadOptions,
        rows: usize,
    ) -> Result<Self, DataError> {
        let comment = options.comment.map(|c| c as u8);
        let delimiter = match options.delimiter {
            Some(c) => c as u8,
            None if tabs => b'\t',
            None => {
                let start = input.fill_buf().map_err(|source| DataError::Io { name: name.clone(), source })?;
                sniff_delimiter(start, comment)
            }
        };
        let options = ReadOptions { delimiter: Some(char::from(delimiter)), ..options.clone() };
        let mut pieces = Self::build(name, input, Vec::new(), &options, (rows, 1));
        let name = pieces.name.clone();
        let mut header = csv::ByteRecord::new();
        pieces.record(&mut header)?;
        if header.is_empty() {
            return Err(DataError::Empty { name });
        }
        let line = header.position().map_or(1, csv::Position::line);
        let columns = header
            .iter()
            .enumerate()
            .map(|(i, field)| text(&name, line, &(i + 1).to_string(), field).map(|s| s.trim().to_owned()))
            .collect::<Result<Vec<_>, _>>()?;
        if columns.iter().any(|c| c.contains('\0')) {
            return Err(DataError::Foreign { name, looks_like: "binary data" });
        }
        check_names(&name, columns.iter().map(String::as_str))?;
        pieces.columns = columns;
        Ok(pieces)
    }

    /// A reader of `rows` rows at a time whose input begins at `line` of the file.
    pub(crate) fn build(
        name: String,
        input: Box<dyn BufRead>,
        columns: Vec<String>,
        options: &ReadOptions,
        (rows, line): (usize, u64),
    ) -> Self {
        let delimiter = options.delimiter.map_or(b',', |c| c as u8);
        let odd_quotes = std::rc::Rc::new(std::cell::Cell::new(false));
        let row_bytes = std::rc::Rc::new(std::cell::Cell::new(0));
        let reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .delimiter(delimiter)
            .comment(options.comment.map(|c| c as u8))
            .flexible(true)
            .buffer_capacity(1 << 16)
            .from_reader(QuoteCounter { inner: input, odd: odd_quotes.clone(), row: row_bytes.clone() });
        let missing = options.missing_texts();
        Self {
            name,
            reader,
            odd_quotes,
            row_bytes,
            delimiter,
            columns,
            missing,
            rows,
            lines_before: line.saturating_sub(1),
            last_with_break: None,
            done: false,
            kept: None,
        }
    }

    /// The name of the file.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Keeps these columns, text fields of `schema`, as they are written.
    pub(crate) fn keep(&mut self, columns: Vec<usize>, schema: SchemaRef) {
        self.kept = Some((columns, schema));
    }

    /// The separator of fields, and where the next piece begins: the byte and the line.
    pub(crate) fn position(&self) -> (u8, u64, u64) {
        let position = self.reader.position();
        (self.delimiter, position.byte(), position.line())
    }

    pub(crate) fn next(&mut self) -> Option<Result<Table, DataError>> {
        if self.done {
            return None;
        }
        let piece = self.read_piece();
        match &piece {
            Ok(table) if table.rows() < self.rows => self.done = true,
            Ok(_) => {}
            Err(_) => self.done = true,
        }
        match piece {
            Ok(table) if table.rows() == 0 => None,
            piece => Some(piece),
        }
    }

    fn read_piece(&mut self) -> Result<Table, DataError> {
        let mut builders: Vec<StringBuilder> = self.columns.iter().map(|_| StringBuilder::new()).collect();
        let mut nulls: Vec<BTreeMap<String, usize>> = vec![BTreeMap::new(); builders.len()];
        let mut kept: Vec<(usize, StringBuilder)> =
            self.kept.iter().flat_map(|(columns, _)| columns).map(|column| (*column, StringBuilder::new())).collect();
        let mut lines = Vec::new();
        let mut record = csv::ByteRecord::new();
        while lines.len() < self.rows {
            if !self.record(&mut record)? {
                // A quote that never closes swallows the rest of the file.
                match self.last_with_break {
                    Some(line) if self.odd_quotes.get() => {
                        return Err(DataError::UnclosedQuote { name: self.name.clone(), line });
                    }
                    _ => break,
                }
            }
            let line = self.lines_before + record.position().map_or(0, csv::Position::line);
            self.last_with_break = record.iter().any(|f| f.contains(&b'\n')).then_some(line);
            if record.len() != self.columns.len() {
                if self.swallowed() {
                    return Err(DataError::UnclosedQuote { name: self.name.clone(), line });
                }
                return Err(DataError::Ragged {
                    name: self.name.clone(),
                    line,
                    found: record.len(),
                    expected: self.columns.len(),
                });
            }
            let fields = record.iter().zip(&mut builders).zip(&mut nulls);
            for (((field, builder), nulls), column) in fields.zip(&self.columns) {
                let value = match std::str::from_utf8(field) {
                    Ok(value) => value,
                    Err(_) => text(&self.name, line, &format!("{column:?}"), field)?,
                };
                if self.missing.contains(value.trim()) {
                    builder.append_null();
                    if !value.trim().is_empty() {
                        match nulls.get_mut(value.trim()) {
                            Some(count) => *count += 1,
                            None => drop(nulls.insert(value.trim().to_owned(), 1)),
                        }
                    }
                } else {
                    builder.append_value(value);
                }
            }
            for (column, builder) in &mut kept {
                // Checked above.
                builder.append_value(std::str::from_utf8(&record[*column]).unwrap_or_default());
            }
            lines.push(line);
        }
        let rows = lines.len();
        let columns = self
            .columns
            .iter()
            .zip(&mut builders)
            .zip(nulls)
            .map(|((name, builder), nulls)| {
                Column::new(name, TypedColumn::Text(builder.finish())).with_nulls(nulls, &self.missing)
            })
            .collect();
        let kept = self.kept.as_ref().map(|(_, schema)| {
            let arrays = kept.iter_mut().map(|(_, builder)| Arc::new(builder.finish()) as ArrayRef).collect();
            let options = RecordBatchOptions::new().with_row_count(Some(rows));
            RecordBatch::try_new_with_options(schema.clone(), arrays, &options)
        });
        let damaged = |e: ArrowError| DataError::TooLarge { name: self.name.clone(), reason: e.to_string() };
        let kept = kept.transpose().map_err(damaged)?;
        Ok(Table::new(self.name.clone(), columns, rows, Some(lines)).keeping(kept))
    }

    /// Reads the next row; whether there is one.
    fn record(&mut self, record: &mut csv::ByteRecord) -> Result<bool, DataError> {
        self.row_bytes.set(0);
        let line = self.lines_before + self.reader.position().line();
        self.reader.read_byte_record(record).map_err(|e| match e.kind() {
            csv::ErrorKind::Io(e) if e.kind() == std::io::ErrorKind::FileTooLarge => {
                DataError::RowTooLong { name: self.name.clone(), line, limit: MAX_ROW }
            }
            _ => csv_error(&self.name, &e),
        })
    }

    /// Whether the record just read runs to the end of the input inside an open quote.
    fn swallowed(&mut self) -> bool {
        let mut rest = csv::ByteRecord::new();
        self.last_with_break.is_some()
            && self.reader.read_byte_record(&mut rest).is_ok_and(|more| !more)
            && self.odd_quotes.get()
    }
}

fn text<'a>(name: &str, line: u64, column: &str, field: &'a [u8]) -> Result<&'a str, DataError> {
    std::str::from_utf8(field).map_err(|e| DataError::NotUtf8 {
        name: name.to_owned(),
        line,
        column: column.to_owned(),
        byte: e.valid_up_to() + 1,
    })
}

fn csv_error(name: &str, error: &csv::Error) -> DataError {
    let source = match error.kind() {
        csv::ErrorKind::Io(e) => std::io::Error::new(e.kind(), e.to_string()),
        _ => std::io::Error::other(error.to_string()),
    };
    DataError::Io { name: name.to_owned(), source }
}

/// The separator that is most frequent in the first line, outside quotes.
fn sniff_delimiter(start: &[u8], comment: Option<u8>) -> u8 {
    let is_header = |line: &&[u8]| !line.is_empty() && line.first().copied() != comment;
    let header = start.split(|&b| b == b'\n' || b == b'\r').find(is_header).unwrap_or_default();
    let mut quoted = false;
    let mut counts = [0; 4];
    for &byte in header {
        quoted ^= byte == b'"';
        if let (false, Some(i)) = (quoted, b",;\t|".iter().position(|&d| d == byte)) {
            counts[i] += 1;
        }
    }
    // The first of the most frequent: a comma if there is none at all.
    let most = counts.iter().max().copied().unwrap_or(0);
    counts.iter().position(|&c| c == most).map_or(b',', |i| b",;\t|"[i])
}
