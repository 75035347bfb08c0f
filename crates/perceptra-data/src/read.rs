//! Reading tables: CSV (any separator, quotes, comments, gzip), Parquet and Arrow IPC, from files or standard input.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read, Seek};
use std::path::Path;

use arrow::array::{RecordBatch, StringBuilder};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::{Deserialize, Serialize};

use crate::column::{Column, TypedColumn};
use crate::error::DataError;
use crate::file_kind::FileKind;
use crate::table::{Table, check_names};

/// How a table is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReadOptions {
    /// Field separator of CSV files, one ASCII character; by default the most frequent of `,` `;` tab `|` in the header.
    pub delimiter: Option<char>,
    /// Lines that begin with this ASCII character are skipped.
    pub comment: Option<char>,
    /// Fields that mean that a value is missing, besides the empty field. Spaces around a field do not count.
    pub missing: Vec<String>,
}

/// Fields that mean, by default, that a value is missing.
pub const MISSING: [&str; 12] = ["NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "-nan", "null", "NULL", "None", "?"];

/// The longest row of a CSV file, in bytes.
const MAX_ROW: usize = 64 << 20;

impl Default for ReadOptions {
    fn default() -> Self {
        Self { delimiter: None, comment: None, missing: MISSING.map(String::from).to_vec() }
    }
}

/// A table read in pieces of bounded size.
pub struct TableReader {
    pieces: Pieces,
    rows: u64,
    columns: Vec<String>,
}

enum Pieces {
    Csv(Box<CsvPieces>),
    Arrow { name: String, format: &'static str, batches: Box<dyn Iterator<Item = Result<RecordBatch, String>>> },
}

impl Table {
    /// Reads the whole file at `path`, or standard input for `-`.
    ///
    /// # Errors
    ///
    /// A [`DataError`] for a file that cannot be read; [`DataError::NoRows`] for a table without rows.
    pub fn read(path: &Path, options: &ReadOptions) -> Result<Self, DataError> {
        let mut reader = TableReader::open(path, options, 65_536)?;
        let tables = reader.by_ref().collect::<Result<Vec<_>, _>>()?;
        let table = Self::concat(tables)?.filter(|t| t.rows() > 0);
        table.ok_or_else(|| DataError::NoRows { name: display_name(path) })
    }

    /// Reads a table from CSV text.
    ///
    /// # Errors
    ///
    /// As [`Table::read`].
    pub fn from_csv(name: &str, text: impl Into<Vec<u8>>, options: &ReadOptions) -> Result<Self, DataError> {
        let input = Box::new(Cursor::new(text.into()));
        let reader = TableReader::from_stream(name.to_owned(), input, false, options, 65_536)?;
        let tables = reader.collect::<Result<Vec<_>, _>>()?;
        Self::concat(tables)?.ok_or_else(|| DataError::NoRows { name: name.to_owned() })
    }
}

fn display_name(path: &Path) -> String {
    if path == Path::new("-") { "standard input".into() } else { path.display().to_string() }
}

/// Opens a file, with an error for a folder.
pub(crate) fn open(path: &Path) -> Result<(String, File), DataError> {
    let name = display_name(path);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(DataError::NotFound { path: path.to_owned() });
        }
        Err(source) => return Err(DataError::Io { name, source }),
    };
    match file.metadata() {
        Ok(metadata) if metadata.is_dir() => Err(DataError::IsFolder { path: path.to_owned() }),
        Ok(_) => Ok((name, file)),
        Err(source) => Err(DataError::Io { name, source }),
    }
}

/// The error for a file from which no table can be read.
pub(crate) fn refuse(name: String, kind: FileKind) -> DataError {
    match kind {
        FileKind::Empty => DataError::Empty { name },
        other => DataError::Foreign { name, looks_like: other.looks_like() },
    }
}

/// Whether the file name ends as those of tab-separated files do.
pub(crate) fn has_tabs(name: &str) -> bool {
    let lower = name.to_lowercase();
    let stem = lower.strip_suffix(".gz").unwrap_or(&lower);
    stem.ends_with(".tsv") || stem.ends_with(".tab")
}

/// The kind that the first bytes of a file show; none for a pipe, which cannot be read twice.
pub(crate) fn kind_of(name: &str, mut file: &File) -> Result<Option<FileKind>, DataError> {
    let io = |source| DataError::Io { name: name.to_owned(), source };
    if !file.metadata().map_err(io)?.is_file() {
        return Ok(None);
    }
    let mut magic = [0; 8];
    let n = read_up_to(&mut file, &mut magic).map_err(io)?;
    file.rewind().map_err(io)?;
    Ok(Some(FileKind::of(&magic[..n])))
}

impl TableReader {
    /// Opens the file at `path`, or standard input for `-`, to be read in tables of at most `rows` rows.
    ///
    /// The kind of the file is found from its first bytes, not from its name; but a name that ends in `.tsv` or `.tab` makes the tab
    /// the separator.
    ///
    /// # Errors
    ///
    /// A [`DataError`] for a file that cannot be opened, is empty, or of no known kind.
    pub fn open(path: &Path, options: &ReadOptions, rows: usize) -> Result<Self, DataError> {
        let name = display_name(path);
        if path == Path::new("-") {
            return Self::from_stream(name, Box::new(std::io::stdin()), false, options, rows);
        }
        let (name, file) = open(path)?;
        let tabs = has_tabs(&name);
        match kind_of(&name, &file)? {
            Some(FileKind::Parquet) => Self::parquet(name, file, rows),
            Some(FileKind::Arrow) => Self::ipc(name, BufReader::new(file)),
            Some(FileKind::Text | FileKind::Gzip) | None => {
                Self::from_stream(name, Box::new(file), tabs, options, rows)
            }
            Some(kind @ (FileKind::Empty | FileKind::Zip | FileKind::Utf16 | FileKind::Html | FileKind::Model)) => {
                Err(refuse(name, kind))
            }
        }
    }

    /// Column names, in the order of the file.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The separator of a CSV file, and where its next piece begins: the byte and the line.
    pub(crate) fn csv(&self) -> Option<(u8, u64, u64)> {
        match &self.pieces {
            Pieces::Csv(csv) => {
                let position = csv.reader.position();
                Some((csv.delimiter, position.byte(), position.line()))
            }
            Pieces::Arrow { .. } => None,
        }
    }

    /// Reads one piece of `rows` rows of a CSV file, from the middle of it, at `line`.
    pub(crate) fn csv_piece(
        name: String,
        input: Box<dyn BufRead>,
        columns: Vec<String>,
        options: &ReadOptions,
        (rows, line): (usize, u64),
    ) -> Self {
        let csv = CsvPieces::build(name, input, columns.clone(), options, (rows, line));
        Self { pieces: Pieces::Csv(Box::new(csv)), rows: 0, columns }
    }

    pub(crate) fn from_stream(
        name: String,
        input: Box<dyn Read>,
        tabs: bool,
        options: &ReadOptions,
        rows: usize,
    ) -> Result<Self, DataError> {
        let io = |source| DataError::Io { name: name.clone(), source };
        let mut input: Box<dyn BufRead> = Box::new(BufReader::with_capacity(1 << 16, input));
        let mut kind = FileKind::of(input.fill_buf().map_err(io)?);
        if kind == FileKind::Gzip {
            let inner = flate2::bufread::MultiGzDecoder::new(input);
            input = Box::new(BufReader::with_capacity(1 << 16, inner));
            kind = FileKind::of(input.fill_buf().map_err(io)?);
        }
        // The decoders of these files go back and forth.
        let mut whole = || -> Result<bytes::Bytes, DataError> {
            let mut bytes = Vec::new();
            input.read_to_end(&mut bytes).map_err(io)?;
            Ok(bytes.into())
        };
        match kind {
            FileKind::Parquet => {
                let bytes = whole()?;
                Self::parquet(name, bytes, rows)
            }
            FileKind::Arrow => {
                let bytes = whole()?;
                Self::ipc(name, Cursor::new(bytes))
            }
            FileKind::Text => CsvPieces::new(name, input, tabs, options, rows).map(|csv| Self {
                columns: csv.columns.clone(),
                pieces: Pieces::Csv(Box::new(csv)),
                rows: 0,
            }),
            FileKind::Empty | FileKind::Gzip | FileKind::Zip | FileKind::Utf16 | FileKind::Html | FileKind::Model => {
                Err(refuse(name, kind))
            }
        }
    }

    fn parquet(
        name: String,
        input: impl parquet::file::reader::ChunkReader + 'static,
        rows: usize,
    ) -> Result<Self, DataError> {
        let damaged = |e: parquet::errors::ParquetError| DataError::Damaged {
            name: name.clone(),
            format: "Parquet",
            reason: e.to_string(),
        };
        let builder = ParquetRecordBatchReaderBuilder::try_new(input).map_err(damaged)?;
        let schema = builder.schema().clone();
        let batches = builder.with_batch_size(rows).build().map_err(damaged)?;
        Self::arrow(name, "Parquet", &schema, batches.map(|b| b.map_err(|e| e.to_string())))
    }

    fn ipc(name: String, input: impl Read + Seek + 'static) -> Result<Self, DataError> {
        let reader = arrow::ipc::reader::FileReader::try_new(input, None).map_err(|e| DataError::Damaged {
            name: name.clone(),
            format: "Arrow IPC",
            reason: e.to_string(),
        })?;
        let schema = reader.schema();
        Self::arrow(name, "Arrow IPC", &schema, reader.map(|b| b.map_err(|e| e.to_string())))
    }

    pub(crate) fn arrow(
        name: String,
        format: &'static str,
        schema: &arrow::datatypes::SchemaRef,
        batches: impl Iterator<Item = Result<RecordBatch, String>> + 'static,
    ) -> Result<Self, DataError> {
        let columns: Vec<String> = schema.fields().iter().map(|f| f.name().clone()).collect();
        check_names(&name, columns.iter().map(String::as_str))?;
        Ok(Self { pieces: Pieces::Arrow { name, format, batches: Box::new(batches) }, rows: 0, columns })
    }
}

impl Iterator for TableReader {
    type Item = Result<Table, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.pieces {
            Pieces::Csv(csv) => csv.next(),
            Pieces::Arrow { name, format, batches } => {
                // The decoders of damaged files may panic inside the arrow crates: that is an error like the others.
                let batch = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| batches.next()))
                    .unwrap_or_else(|_| Some(Err("the decoder gave up".into())))?;
                let table = batch
                    .map_err(|reason| DataError::Damaged { name: name.clone(), format, reason })
                    .and_then(|batch| Table::from_batch(name.clone(), &batch));
                let before = self.rows;
                self.rows += table.as_ref().map_or(0, Table::rows) as u64;
                Some(table.map(|table| table.at_row(before)))
            }
        }
    }
}

fn read_up_to(input: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut n = 0;
    while n < buffer.len() {
        match input.read(&mut buffer[n..])? {
            0 => break,
            k => n += k,
        }
    }
    Ok(n)
}

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
        let quotes = buffer[..n].iter().filter(|&&b| b == b'"').count();
        self.odd.set(self.odd.get() ^ (quotes % 2 == 1));
        Ok(n)
    }
}

/// The texts that mean "no value".
struct MissingTexts {
    texts: HashSet<String>,
    /// Whether one of them begins with this byte: most cells are found to be none by that alone.
    begins: [bool; 256],
}

impl MissingTexts {
    fn new(texts: &[String]) -> Self {
        let texts: HashSet<String> = texts.iter().map(|text| text.trim().to_owned()).collect();
        let mut begins = [false; 256];
        texts.iter().filter_map(|text| text.bytes().next()).for_each(|byte| begins[usize::from(byte)] = true);
        Self { texts, begins }
    }

    /// Whether a trimmed field is one of them, or empty.
    fn contains(&self, field: &str) -> bool {
        field.bytes().next().is_none_or(|byte| self.begins[usize::from(byte)] && self.texts.contains(field))
    }
}

struct CsvPieces {
    name: String,
    reader: csv::Reader<QuoteCounter>,
    odd_quotes: std::rc::Rc<std::cell::Cell<bool>>,
    row_bytes: std::rc::Rc<std::cell::Cell<usize>>,
    delimiter: u8,
    columns: Vec<String>,
    missing: MissingTexts,
    rows: usize,
    /// How many lines of the file come before the input.
    lines_before: u64,
    /// The line of the last row, if one of its fields contains a line break.
    last_with_break: Option<u64>,
    done: bool,
}

impl CsvPieces {
    fn new(
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
    fn build(
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
        let missing = MissingTexts::new(&options.missing);
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
        }
    }

    fn next(&mut self) -> Option<Result<Table, DataError>> {
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
            for ((field, builder), column) in record.iter().zip(&mut builders).zip(&self.columns) {
                let value = match std::str::from_utf8(field) {
                    Ok(value) => value,
                    Err(_) => text(&self.name, line, &format!("{column:?}"), field)?,
                };
                if self.missing.contains(value.trim()) {
                    builder.append_null();
                } else {
                    builder.append_value(value);
                }
            }
            lines.push(line);
        }
        let rows = lines.len();
        let columns = self
            .columns
            .iter()
            .zip(&mut builders)
            .map(|(name, builder)| Column::new(name, TypedColumn::Text(builder.finish())))
            .collect();
        Ok(Table::new(self.name.clone(), columns, rows, Some(lines)))
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
