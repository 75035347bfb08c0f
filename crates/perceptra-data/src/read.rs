//! Reading tables: CSV (any separator, quotes, comments), JSON lines, workbooks, Parquet and Arrow IPC, also compressed, from files or
//! standard input.

use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek};
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::csv_pieces::{CsvPieces, Layout};
use crate::error::DataError;
use crate::file_kind::{FileKind, SHOWN};
use crate::json_lines::{JsonPieces, Keys};
use crate::missing::MissingTexts;
use crate::read_note::ReadNote;
use crate::read_options::ReadOptions;
use crate::sheet::SheetRows;
use crate::source::Source;
use crate::table::{Table, check_names, nearest};

/// A table read in pieces of bounded size.
pub struct TableReader {
    name: String,
    pieces: Pieces,
    rows: u64,
    columns: Vec<String>,
}

enum Pieces {
    Csv(Box<CsvPieces>),
    Json(Box<JsonPieces>),
    Arrow {
        format: &'static str,
        schema: SchemaRef,
        /// The columns to keep.
        kept: Option<Vec<usize>>,
        missing: Arc<MissingTexts>,
        batches: Box<dyn Iterator<Item = Result<RecordBatch, String>> + Send>,
    },
}

/// How the pieces of an input are read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reading {
    /// How many rows a piece has at most.
    pub(crate) rows: usize,
    /// Whether tabs separate the fields unless the options say otherwise.
    pub(crate) tabs: bool,
    /// Whether a piece ends where more rows would have to be waited for.
    pub(crate) live: bool,
    /// The keys of JSON lines, if they are known.
    pub(crate) keys: Option<Keys>,
    /// Whether JSON lines without known keys are one piece.
    pub(crate) whole: bool,
}

impl Table {
    /// Reads the whole file at `path`, or standard input for `-`.
    ///
    /// # Errors
    ///
    /// A [`DataError`] for a file that cannot be read; [`DataError::NoRows`] for a table without rows.
    pub fn read(path: &Path, options: &ReadOptions) -> Result<Self, DataError> {
        TableReader::start(path, options, WHOLE)?.whole()
    }

    /// Reads a table from CSV text.
    ///
    /// # Errors
    ///
    /// As [`Table::read`].
    pub fn from_csv(name: &str, text: impl Into<Vec<u8>>, options: &ReadOptions) -> Result<Self, DataError> {
        TableReader::from_stream(name.to_owned(), Box::new(Cursor::new(text.into())), options, WHOLE)?.whole()
    }
}

/// How a whole table is read.
const WHOLE: Reading = Reading { rows: 65_536, tabs: false, live: false, keys: None, whole: true };

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

/// Whether the file name ends as those of tab-separated files do.
#[expect(clippy::case_sensitive_file_extension_comparisons, reason = "the name is in lower case here")]
pub(crate) fn has_tabs(name: &str) -> bool {
    let lower = name.to_lowercase();
    let stem = [".gz", ".bz2", ".xz", ".zst"].iter().find_map(|ending| lower.strip_suffix(ending)).unwrap_or(&lower);
    stem.ends_with(".tsv") || stem.ends_with(".tab")
}

/// The kind that the first bytes of a file show; none for a pipe, which cannot be read twice.
pub(crate) fn kind_of(name: &str, mut file: &File) -> Result<Option<FileKind>, DataError> {
    let io = |source| DataError::Io { name: name.to_owned(), source };
    if !file.metadata().map_err(io)?.is_file() {
        return Ok(None);
    }
    let mut magic = [0; SHOWN];
    let n = read_up_to(&mut file, &mut magic).map_err(io)?;
    file.rewind().map_err(io)?;
    Ok(Some(FileKind::of(&magic[..n])))
}

/// The bytes of an input, uncompressed, and the kind of file that they are.
fn decoded(input: Box<dyn Read + Send>) -> std::io::Result<(Source, FileKind)> {
    let begin = |input: Box<dyn Read + Send>| {
        let mut source = Source::new(input);
        // A line is enough: a slow writer may wait for what is made of it.
        source.look(|bytes| bytes.len() >= SHOWN || bytes.contains(&b'\n') || bytes.contains(&b'\r'))?;
        let kind = FileKind::of(source.buffered());
        Ok::<_, std::io::Error>((source, kind))
    };
    let (source, kind) = begin(input)?;
    /// A decoder of xz may take so much memory, in KiB.
    const MOST: u32 = 1 << 21;
    begin(match kind {
        FileKind::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(source)),
        FileKind::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(source)),
        FileKind::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(source, true, MOST)),
        FileKind::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(source)?),
        FileKind::Empty
        | FileKind::Text
        | FileKind::JsonLines
        | FileKind::JsonArray
        | FileKind::Parquet
        | FileKind::Arrow
        | FileKind::Zip
        | FileKind::Compound
        | FileKind::Utf16
        | FileKind::Html
        | FileKind::Model => return Ok((source, kind)),
    })
}

/// The keys of a file of JSON lines, also compressed ones; none for other files.
pub(crate) fn keys_of(name: &str, file: &File) -> Result<Option<Keys>, DataError> {
    let io = |source| DataError::Io { name: name.to_owned(), source };
    let mut copy = file.try_clone().map_err(io)?;
    let (source, kind) = decoded(Box::new(file.try_clone().map_err(io)?)).map_err(io)?;
    let keys = if kind == FileKind::JsonLines { Some(Keys::of(name, source)?) } else { None };
    // The copies of a file share its position.
    copy.rewind().map_err(io)?;
    Ok(keys)
}

impl TableReader {
    /// Opens the file at `path`, or standard input for `-`, to be read in tables of at most `rows` rows.
    ///
    /// The kind of the file is found from its first bytes, not from its name; but a name that ends in `.tsv` or `.tab` makes the tab
    /// the separator. From a pipe a table has the rows that have arrived, so that one who writes a row and waits for what is made of it
    /// does not wait forever.
    ///
    /// # Errors
    ///
    /// A [`DataError`] for a file that cannot be opened, is empty, or of no known kind.
    pub fn open(path: &Path, options: &ReadOptions, rows: usize) -> Result<Self, DataError> {
        Self::start(path, options, Reading { rows, live: true, ..Reading::default() })
    }

    fn start(path: &Path, options: &ReadOptions, reading: Reading) -> Result<Self, DataError> {
        let name = display_name(path);
        if path == Path::new("-") {
            return Self::from_stream(name, Box::new(std::io::stdin()), options, reading);
        }
        let (name, file) = open(path)?;
        let reading = Reading { tabs: has_tabs(&name), ..reading };
        match kind_of(&name, &file)? {
            None => Self::from_stream(name, Box::new(file), options, reading),
            Some(FileKind::Parquet) => Self::parquet(name, file, options, reading.rows),
            Some(FileKind::Arrow) => Self::ipc(name, BufReader::new(file), options),
            Some(FileKind::Text | FileKind::Zip | FileKind::Compound) => {
                Self::from_stream(name, Box::new(file), options, Reading { live: false, ..reading })
            }
            Some(FileKind::JsonLines | FileKind::Gzip | FileKind::Bzip2 | FileKind::Xz | FileKind::Zstd) => {
                let keys = keys_of(&name, &file)?;
                Self::from_stream(name, Box::new(file), options, Reading { live: false, keys, ..reading })
            }
            Some(
                kind @ (FileKind::Empty | FileKind::JsonArray | FileKind::Utf16 | FileKind::Html | FileKind::Model),
            ) => Err(DataError::refuse(name, kind)),
        }
    }

    /// Column names, in the order of the file.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Has every table carry these columns as they are in the file, in this order: see [`Table::kept`]. Returns their names and types,
    /// which is text for CSV files and JSON lines.
    ///
    /// # Errors
    ///
    /// [`DataError::NoColumn`].
    pub fn keep(&mut self, columns: &[String]) -> Result<SchemaRef, DataError> {
        let place = |column: &String| {
            self.columns.iter().position(|c| c == column).ok_or_else(|| DataError::NoColumn {
                name: self.name.clone(),
                column: column.clone(),
                nearest: nearest(column, &self.columns),
                only: Some(&self.columns).filter(|c| c.len() == 1).map(|c| c[0].clone()),
            })
        };
        let places = columns.iter().map(place).collect::<Result<Vec<_>, _>>()?;
        let text = |place: &usize| Field::new(&self.columns[*place], DataType::Utf8, true);
        let fields: Vec<Field> = match &self.pieces {
            Pieces::Csv(_) | Pieces::Json(_) => places.iter().map(text).collect(),
            Pieces::Arrow { schema, .. } => places.iter().map(|place| schema.field(*place).clone()).collect(),
        };
        let kept_schema = Arc::new(Schema::new(fields));
        match &mut self.pieces {
            Pieces::Csv(csv) => csv.keep(places, kept_schema.clone()),
            Pieces::Json(json) => json.keep(places, kept_schema.clone())?,
            Pieces::Arrow { kept, .. } => *kept = Some(places),
        }
        Ok(kept_schema)
    }

    /// The columns that have no name in the file (`Unnamed: N` stands for it) and have had no value in the rows that were read.
    pub fn empty_columns(&self) -> Vec<&str> {
        match &self.pieces {
            Pieces::Csv(csv) => csv.empty_columns(),
            Pieces::Json(_) | Pieces::Arrow { .. } => Vec::new(),
        }
    }

    /// Notes on choices and on what was left out in the rows that have been read.
    pub fn notes(&self) -> Vec<ReadNote> {
        let kinds = match &self.pieces {
            Pieces::Csv(csv) => csv.notes(),
            Pieces::Json(_) | Pieces::Arrow { .. } => Vec::new(),
        };
        kinds.into_iter().map(|kind| ReadNote { name: self.name.clone(), kind }).collect()
    }

    /// All rows as one table.
    fn whole(mut self) -> Result<Table, DataError> {
        let tables = self.by_ref().collect::<Result<Vec<_>, _>>()?;
        let empty = self.empty_columns();
        let table = Table::concat(tables)?.filter(|table| table.rows() > 0 && empty.len() < self.columns.len());
        let table = table.ok_or_else(|| DataError::NoRows { name: self.name.clone() })?;
        Ok(table.noted(self.notes(), &empty))
    }

    /// The layout of a CSV file, and the byte and the line at which its next piece begins. None for other files.
    pub(crate) fn csv(&mut self) -> Result<Option<(&Layout, u64, u64)>, DataError> {
        match &mut self.pieces {
            Pieces::Csv(csv) => {
                let (byte, line) = csv.position()?;
                Ok(Some((csv.layout(), byte, line)))
            }
            Pieces::Json(_) | Pieces::Arrow { .. } => Ok(None),
        }
    }

    /// A reader of pieces of `rows` rows of a CSV file, from the middle of it.
    pub(crate) fn csv_piece(layout: &Layout, source: Source, options: &ReadOptions, rows: usize) -> Self {
        let csv = CsvPieces::within(layout, source, options, rows);
        let columns = layout.columns.clone();
        Self { name: layout.name().to_owned(), pieces: Pieces::Csv(Box::new(csv)), rows: 0, columns }
    }

    pub(crate) fn from_stream(
        name: String,
        input: Box<dyn Read + Send>,
        options: &ReadOptions,
        reading: Reading,
    ) -> Result<Self, DataError> {
        let io = |source| DataError::Io { name: name.clone(), source };
        let (mut source, kind) = decoded(input).map_err(io)?;
        // The decoders of these files go back and forth.
        let mut whole = || -> Result<bytes::Bytes, DataError> {
            let mut bytes = Vec::new();
            source.read_to_end(&mut bytes).map_err(io)?;
            Ok(bytes.into())
        };
        let Reading { rows, tabs, live, keys, whole: is_whole } = reading;
        match kind {
            FileKind::Parquet => {
                let bytes = whole()?;
                Self::parquet(name, bytes, options, rows)
            }
            FileKind::Arrow => {
                let bytes = whole()?;
                Self::ipc(name, Cursor::new(bytes), options)
            }
            FileKind::Zip | FileKind::Compound => {
                let bytes = whole()?;
                let (sheet, notes) = SheetRows::open(&name, kind, bytes, options)?;
                CsvPieces::sheet(name, sheet, notes, options, rows).map(Self::csv_pieces)
            }
            FileKind::Text => CsvPieces::new(name, source, tabs, options, rows, live).map(Self::csv_pieces),
            FileKind::JsonLines => {
                let rows = if is_whole && keys.is_none() { usize::MAX } else { rows };
                let json = JsonPieces::new(name.clone(), source, keys, options, rows, live)?;
                let columns = json.columns().to_vec();
                Ok(Self { name, columns, pieces: Pieces::Json(Box::new(json)), rows: 0 })
            }
            FileKind::Empty
            | FileKind::Gzip
            | FileKind::Bzip2
            | FileKind::Xz
            | FileKind::Zstd
            | FileKind::JsonArray
            | FileKind::Utf16
            | FileKind::Html
            | FileKind::Model => Err(DataError::refuse(name, kind)),
        }
    }

    fn csv_pieces(csv: CsvPieces) -> Self {
        let (name, columns) = (csv.layout().name().to_owned(), csv.layout().columns.clone());
        Self { name, columns, pieces: Pieces::Csv(Box::new(csv)), rows: 0 }
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

    fn ipc(name: String, input: impl Read + Seek + Send + 'static, options: &ReadOptions) -> Result<Self, DataError> {
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
        schema: &SchemaRef,
        batches: impl Iterator<Item = Result<RecordBatch, String>> + Send + 'static,
    ) -> Result<Self, DataError> {
        let columns: Vec<String> = schema.fields().iter().map(|f| f.name().clone()).collect();
        check_names(&name, columns.iter().map(String::as_str))?;
        let (schema, missing) = (schema.clone(), options.missing_texts());
        let pieces = Pieces::Arrow { format, schema, kept: None, missing, batches: Box::new(batches) };
        Ok(Self { name, pieces, rows: 0, columns })
    }
}

impl Iterator for TableReader {
    type Item = Result<Table, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.pieces {
            Pieces::Csv(csv) => csv.next(),
            Pieces::Json(json) => json.next(),
            Pieces::Arrow { format, kept, missing, batches, .. } => {
                // The decoders of damaged files may panic inside the arrow crates: that is an error like the others.
                let batch = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| batches.next()))
                    .unwrap_or_else(|_| Some(Err("the decoder gave up".into())))?;
                let damaged = |reason: String| DataError::Damaged { name: self.name.clone(), format, reason };
                let table = batch.map_err(damaged).and_then(|batch| {
                    let kept = kept.as_ref().map(|kept| batch.project(kept)).transpose();
                    let kept = kept.map_err(|e| damaged(e.to_string()))?;
                    Ok(Table::of_batch(self.name.clone(), &batch, missing)?.keeping(kept))
                });
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
