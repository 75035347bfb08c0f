//! Reading tables: CSV (any separator, quotes, comments, gzip), Parquet and Arrow IPC, from files or standard input.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read, Seek};
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::csv_pieces::CsvPieces;
use crate::error::DataError;
use crate::file_kind::FileKind;
use crate::missing::MissingTexts;
use crate::read_options::ReadOptions;
use crate::table::{Table, check_names, nearest};

/// A table read in pieces of bounded size.
pub struct TableReader {
    pieces: Pieces,
    rows: u64,
    columns: Vec<String>,
}

enum Pieces {
    Csv(Box<CsvPieces>),
    Arrow {
        name: String,
        format: &'static str,
        schema: SchemaRef,
        /// The columns to keep.
        kept: Option<Vec<usize>>,
        missing: Arc<MissingTexts>,
        batches: Box<dyn Iterator<Item = Result<RecordBatch, String>>>,
    },
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
#[expect(clippy::case_sensitive_file_extension_comparisons, reason = "the name is in lower case here")]
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
            Some(FileKind::Parquet) => Self::parquet(name, file, options, rows),
            Some(FileKind::Arrow) => Self::ipc(name, BufReader::new(file), options),
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

    /// Has every table carry these columns as they are in the file, in this order: see [`Table::kept`]. Returns their names and types,
    /// which is text for CSV files.
    ///
    /// # Errors
    ///
    /// [`DataError::NoColumn`].
    pub fn keep(&mut self, columns: &[String]) -> Result<SchemaRef, DataError> {
        let place = |column: &String| {
            self.columns.iter().position(|c| c == column).ok_or_else(|| DataError::NoColumn {
                name: self.pieces.name().to_owned(),
                column: column.clone(),
                nearest: nearest(column, &self.columns),
                only: Some(&self.columns).filter(|c| c.len() == 1).map(|c| c[0].clone()),
            })
        };
        let places = columns.iter().map(place).collect::<Result<Vec<_>, _>>()?;
        let text = |place: &usize| Field::new(&self.columns[*place], DataType::Utf8, false);
        let fields: Vec<Field> = match &self.pieces {
            Pieces::Csv(_) => places.iter().map(text).collect(),
            Pieces::Arrow { schema, .. } => places.iter().map(|place| schema.field(*place).clone()).collect(),
        };
        let kept_schema = Arc::new(Schema::new(fields));
        match &mut self.pieces {
            Pieces::Csv(csv) => csv.keep(places, kept_schema.clone()),
            Pieces::Arrow { kept, .. } => *kept = Some(places),
        }
        Ok(kept_schema)
    }

    /// The separator of a CSV file, and where its next piece begins: the byte and the line.
    pub(crate) fn csv(&self) -> Option<(u8, u64, u64)> {
        match &self.pieces {
            Pieces::Csv(csv) => Some(csv.position()),
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
                Self::parquet(name, bytes, options, rows)
            }
            FileKind::Arrow => {
                let bytes = whole()?;
                Self::ipc(name, Cursor::new(bytes), options)
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
        options: &ReadOptions,
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
        Self::arrow(name, "Parquet", options, &schema, batches.map(|b| b.map_err(|e| e.to_string())))
    }

    fn ipc(name: String, input: impl Read + Seek + 'static, options: &ReadOptions) -> Result<Self, DataError> {
        let reader = arrow::ipc::reader::FileReader::try_new(input, None).map_err(|e| DataError::Damaged {
            name: name.clone(),
            format: "Arrow IPC",
            reason: e.to_string(),
        })?;
        let schema = reader.schema();
        Self::arrow(name, "Arrow IPC", options, &schema, reader.map(|b| b.map_err(|e| e.to_string())))
    }

    pub(crate) fn arrow(
        name: String,
        format: &'static str,
        options: &ReadOptions,
        schema: &arrow::datatypes::SchemaRef,
        batches: impl Iterator<Item = Result<RecordBatch, String>> + 'static,
    ) -> Result<Self, DataError> {
        let columns: Vec<String> = schema.fields().iter().map(|f| f.name().clone()).collect();
        check_names(&name, columns.iter().map(String::as_str))?;
        let (schema, missing) = (schema.clone(), options.missing_texts());
        let pieces = Pieces::Arrow { name, format, schema, kept: None, missing, batches: Box::new(batches) };
        Ok(Self { pieces, rows: 0, columns })
    }
}

impl Pieces {
    /// The name of the file.
    fn name(&self) -> &str {
        match self {
            Self::Csv(csv) => csv.name(),
            Self::Arrow { name, .. } => name,
        }
    }
}

impl Iterator for TableReader {
    type Item = Result<Table, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.pieces {
            Pieces::Csv(csv) => csv.next(),
            Pieces::Arrow { name, format, kept, missing, batches, .. } => {
                // The decoders of damaged files may panic inside the arrow crates: that is an error like the others.
                let batch = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| batches.next()))
                    .unwrap_or_else(|_| Some(Err("the decoder gave up".into())))?;
                let table = batch.map_err(|reason| DataError::Damaged { name: name.clone(), format, reason }).and_then(
                    |batch| {
                        let damaged =
                            |e: ArrowError| DataError::Damaged { name: name.clone(), format, reason: e.to_string() };
                        let kept = kept.as_ref().map(|kept| batch.project(kept)).transpose().map_err(damaged)?;
                        Ok(Table::of_batch(name.clone(), &batch, missing)?.keeping(kept))
                    },
                );
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
