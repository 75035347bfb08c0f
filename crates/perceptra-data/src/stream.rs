//! Tables that are larger than memory.

use std::fs::File;
use std::io::{BufReader, Seek};
use std::path::Path;
use std::time::SystemTime;

use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};

use crate::csv_pieces::Layout;
use crate::error::DataError;
use crate::file_kind::FileKind;
use crate::json_lines::Keys;
use crate::read::{Reading, TableReader, has_tabs, keys_of, kind_of};
use crate::read_note::{ReadNote, ReadNoteKind};
use crate::read_options::ReadOptions;
use crate::source::Source;
use crate::table::Table;

/// A table in a file that is read in pieces, as often as needed, and is never in memory as a whole.
///
/// The file is opened once: if it is replaced meanwhile, the old one is read on; if it is changed, that is an error.
/// Pieces of CSV and Parquet files and batches of Arrow files can be read in any order; compressed files, JSON lines and workbooks only
/// from their beginning.
pub struct TableStream {
    name: String,
    file: File,
    format: Format,
    options: ReadOptions,
    /// How many rows a piece has at most.
    most: usize,
    pieces: Vec<Piece>,
    state: (u64, Option<SystemTime>),
    notes: Vec<ReadNote>,
}

enum Format {
    /// Text, with what its beginning says of all of it.
    Csv(Option<Layout>),
    /// A file that can only be read from its beginning; of JSON lines the keys.
    Sequential(Option<Keys>),
    Parquet(ArrowReaderMetadata),
    Arrow,
}

/// A part of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    /// Where the piece begins: a byte of a CSV file, a row group of a Parquet file, a batch of an Arrow file.
    start: u64,
    /// The line at that byte of a CSV file, or how many rows of the row group come before.
    within: u64,
    first_row: u64,
    rows: usize,
}

impl TableStream {
    /// Opens the file at `path` and reads it once, in pieces of at most `rows` rows (of Arrow files, in its batches), which
    /// `each` is given with the number of the first row.
    ///
    /// # Errors
    ///
    /// As [`Table::read`], [`DataError::ReadOnce`] for an input that is not a file, and the errors of `each`.
    pub fn open(
        path: &Path,
        options: &ReadOptions,
        rows: usize,
        mut each: impl FnMut(u64, Table) -> Result<(), DataError>,
    ) -> Result<Self, DataError> {
        if path == Path::new("-") {
            return Err(DataError::ReadOnce { name: "standard input".into() });
        }
        let (name, file) = crate::read::open(path)?;
        let format = match kind_of(&name, &file)? {
            None => return Err(DataError::ReadOnce { name }),
            Some(FileKind::Parquet) => Format::Parquet(
                ArrowReaderMetadata::load(&file, Default::default()).map_err(|e| damaged(&name, "Parquet", &e))?,
            ),
            Some(FileKind::Arrow) => Format::Arrow,
            Some(FileKind::JsonLines | FileKind::Gzip | FileKind::Bzip2 | FileKind::Xz | FileKind::Zstd) => {
                Format::Sequential(keys_of(&name, &file)?)
            }
            Some(FileKind::Zip | FileKind::Compound) => Format::Sequential(None),
            Some(FileKind::Text) => Format::Csv(None),
            Some(
                kind @ (FileKind::Empty | FileKind::JsonArray | FileKind::Utf16 | FileKind::Html | FileKind::Model),
            ) => return Err(DataError::refuse(name, kind)),
        };
        let (state, options) = (state(&name, &file)?, options.clone());
        let (pieces, notes) = (Vec::new(), Vec::new());
        let mut stream = Self { name, file, format, options, most: rows.max(1), pieces, state, notes };
        let mut first_row = 0;
        match stream.planned()? {
            Some(planned) => {
                for piece in planned {
                    let table = stream.reader_at(&piece)?.next().unwrap_or_else(|| Err(stream.changed()))?;
                    stream.pieces.push(Piece { first_row, rows: table.rows(), ..piece });
                    each(first_row, table.at_row(first_row))?;
                    first_row += stream.pieces[stream.pieces.len() - 1].rows as u64;
                }
            }
            None => {
                let mut reader = stream.reader()?;
                loop {
                    let mut at = (0, 0);
                    if let Format::Csv(layout) = &mut stream.format
                        && let Some((found, byte, line)) = reader.csv()?
                    {
                        // Pieces from the middle of the file have no header.
                        layout.get_or_insert_with(|| found.clone());
                        at = (byte, line);
                    }
                    let (start, within) = at;
                    let Some(table) = reader.next() else { break };
                    let table = table?;
                    stream.pieces.push(Piece { start, within, first_row, rows: table.rows() });
                    let rows = table.rows() as u64;
                    each(first_row, table)?;
                    first_row += rows;
                }
                // Empty columns are still there: the schema leaves them out and says so.
                let says = |note: &ReadNote| match note.kind {
                    ReadNoteKind::EmptyColumns { .. } => false,
                    ReadNoteKind::Whitespace | ReadNoteKind::NumericHeader { .. } | ReadNoteKind::RowNames => true,
                    ReadNoteKind::TrailingSeparators | ReadNoteKind::Unnamed { .. } => true,
                    ReadNoteKind::EmptyRows { .. } | ReadNoteKind::Sheet { .. } => true,
                };
                stream.notes = reader.notes().into_iter().filter(says).collect();
            }
        }
        match first_row {
            0 => Err(DataError::NoRows { name: stream.name }),
            _ => Ok(stream),
        }
    }

    /// The pieces of a file that lists them itself, without their numbers of rows; none for other files.
    fn planned(&self) -> Result<Option<Vec<Piece>>, DataError> {
        let piece =
            |start: usize, within: usize| Piece { start: start as u64, within: within as u64, first_row: 0, rows: 0 };
        match &self.format {
            Format::Csv(_) | Format::Sequential(_) => Ok(None),
            Format::Arrow => {
                let reader = arrow::ipc::reader::FileReader::try_new(BufReader::new(self.again(0)?), None)
                    .map_err(|e| damaged(&self.name, "Arrow IPC", &e))?;
                Ok(Some((0..reader.num_batches()).map(|batch| piece(batch, 0)).collect()))
            }
            Format::Parquet(metadata) => {
                let groups = metadata.metadata().row_groups().iter().enumerate();
                let mut pieces = Vec::new();
                for (group, about) in groups {
                    let rows = usize::try_from(about.num_rows()).unwrap_or(0);
                    // The file may be wrong about the number of rows: a piece that is not there is an error when it is read.
                    let mut within = 0;
                    while within < rows && pieces.len() < MAX_PIECES {
                        pieces.push(piece(group, within));
                        within += self.most;
                    }
                }
                Ok(Some(pieces))
            }
        }
    }

    /// The open file from this byte on.
    fn again(&self, start: u64) -> Result<File, DataError> {
        let io = |source| DataError::Io { name: self.name.clone(), source };
        let mut file = self.file.try_clone().map_err(io)?;
        file.seek(std::io::SeekFrom::Start(start)).map_err(io)?;
        Ok(file)
    }

    /// A reader of a file from its beginning.
    fn reader(&self) -> Result<TableReader, DataError> {
        let keys = match &self.format {
            Format::Sequential(keys) => keys.clone(),
            Format::Csv(_) | Format::Parquet(_) | Format::Arrow => None,
        };
        let reading = Reading { rows: self.most, tabs: has_tabs(&self.name), keys, ..Reading::default() };
        TableReader::from_stream(self.name.clone(), Box::new(self.again(0)?), &self.options, reading)
    }

    /// A reader whose first table is a piece.
    fn reader_at(&self, piece: &Piece) -> Result<TableReader, DataError> {
        let name = self.name.clone();
        match &self.format {
            Format::Csv(Some(layout)) => {
                let source = Source::at(Box::new(self.again(piece.start)?), piece.start, piece.within);
                Ok(TableReader::csv_piece(layout, source, &self.options, self.most))
            }
            Format::Csv(None) | Format::Sequential(_) => self.reader(),
            Format::Arrow => {
                let damaged = |e| damaged(&self.name, "Arrow IPC", &e);
                let mut reader =
                    arrow::ipc::reader::FileReader::try_new(BufReader::new(self.again(0)?), None).map_err(damaged)?;
                reader.set_index(piece.start as usize).map_err(damaged)?;
                let schema = reader.schema();
                TableReader::arrow(
                    name,
                    "Arrow IPC",
                    &self.options,
                    &schema,
                    reader.map(|b| b.map_err(|e| e.to_string())),
                )
            }
            Format::Parquet(metadata) => {
                let batches = ParquetRecordBatchReaderBuilder::new_with_metadata(self.again(0)?, metadata.clone())
                    .with_row_groups(vec![piece.start as usize])
                    .with_offset(piece.within as usize)
                    .with_limit(self.most)
                    .with_batch_size(self.most)
                    .build()
                    .map_err(|e| damaged(&self.name, "Parquet", &e))?;
                let schema = metadata.schema();
                TableReader::arrow(
                    name,
                    "Parquet",
                    &self.options,
                    schema,
                    batches.map(|b| b.map_err(|e| e.to_string())),
                )
            }
        }
    }

    fn changed(&self) -> DataError {
        DataError::Changed { name: self.name.clone() }
    }

    /// Name of the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Choices that were made, and parts that were left out, when the file was first read.
    pub fn notes(&self) -> &[ReadNote] {
        &self.notes
    }

    /// Reads the file again: its pieces in the order that `order` makes of their number, or from the beginning where the format allows
    /// no other order; each comes with the number of its first row.
    ///
    /// # Errors
    ///
    /// [`DataError::Changed`] if the file has changed; also from the iterator, if it changes later.
    pub fn read(&self, order: impl FnOnce(usize) -> Vec<u32>) -> Result<Pieces<'_>, DataError> {
        if state(&self.name, &self.file)? != self.state {
            return Err(self.changed());
        }
        let whole = match self.format {
            Format::Sequential(_) => Some(self.reader()?),
            Format::Csv(_) | Format::Parquet(_) | Format::Arrow => None,
        };
        Ok(Pieces { stream: self, whole, order: order(self.pieces.len()).into_iter(), next: 0 })
    }

    fn piece(&self, piece: Piece) -> Result<(u64, Table), DataError> {
        let table = self.reader_at(&piece)?.next().unwrap_or_else(|| Err(self.changed()))?;
        match table.rows() == piece.rows {
            true => Ok((piece.first_row, table.at_row(piece.first_row))),
            false => Err(self.changed()),
        }
    }
}

/// The most pieces of a file.
const MAX_PIECES: usize = 1 << 24;

fn damaged(name: &str, format: &'static str, reason: &dyn std::fmt::Display) -> DataError {
    DataError::Damaged { name: name.to_owned(), format, reason: reason.to_string() }
}

/// The pieces of a [`TableStream`], as they are read.
pub struct Pieces<'a> {
    stream: &'a TableStream,
    /// A reader of the whole file, where pieces cannot be read in another order.
    whole: Option<TableReader>,
    order: std::vec::IntoIter<u32>,
    next: usize,
}

impl Iterator for Pieces<'_> {
    type Item = Result<(u64, Table), DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let Some(reader) = &mut self.whole else {
            let piece = *self.stream.pieces.get(self.order.next()? as usize)?;
            return Some(self.stream.piece(piece));
        };
        let piece = self.stream.pieces.get(self.next);
        self.next += 1;
        match (reader.next(), piece) {
            (None, None) => None,
            (Some(Err(e)), _) => Some(Err(e)),
            (Some(Ok(table)), Some(piece)) if table.rows() == piece.rows => Some(Ok((piece.first_row, table))),
            _ => Some(Err(self.stream.changed())),
        }
    }
}

fn state(name: &str, file: &File) -> Result<(u64, Option<SystemTime>), DataError> {
    let metadata = file.metadata().map_err(|source| DataError::Io { name: name.to_owned(), source })?;
    Ok((metadata.len(), metadata.modified().ok()))
}

/// The rows of a stream with the smallest keys, up to a number of rows: a random sample, where keys are random.
pub struct Sample {
    most: usize,
    threshold: f32,
    keys: Vec<f32>,
    tables: Vec<Table>,
}

impl Sample {
    /// An empty sample of at most `most` rows.
    pub fn new(most: usize) -> Self {
        Self { most, threshold: f32::INFINITY, keys: Vec::new(), tables: Vec::new() }
    }

    /// Adds the rows of `table` that have a key, if it is small enough.
    ///
    /// # Errors
    ///
    /// [`DataError::TooLarge`].
    pub fn offer(&mut self, table: &Table, keys: &[Option<f32>]) -> Result<(), DataError> {
        let chosen = |key: &Option<f32>| key.filter(|key| *key < self.threshold);
        let rows: Vec<u32> = (0..).zip(keys).filter_map(|(row, key)| chosen(key).map(|_| row)).collect();
        if rows.is_empty() {
            return Ok(());
        }
        self.keys.extend(keys.iter().filter_map(chosen));
        // The others of the piece must not stay in memory.
        self.tables.push(table.take(&rows).copied());
        if self.keys.len() > 2 * self.most { self.shrink() } else { Ok(()) }
    }

    /// The rows in the order in which they came, and the smallest key of those that were left out (infinity if none was).
    ///
    /// # Errors
    ///
    /// [`DataError::TooLarge`].
    pub fn finish(mut self) -> Result<(Option<Table>, f32), DataError> {
        self.shrink()?;
        Ok((self.tables.pop(), self.threshold))
    }

    /// Joins the tables, and drops the rows with the largest keys if there are too many.
    fn shrink(&mut self) -> Result<(), DataError> {
        let Some(all) = Table::concat(std::mem::take(&mut self.tables))? else { return Ok(()) };
        if self.keys.len() <= self.most {
            self.tables.push(all);
            return Ok(());
        }
        let mut sorted = self.keys.clone();
        sorted.sort_by(f32::total_cmp);
        self.threshold = sorted[self.most];
        let rows: Vec<u32> =
            (0..).zip(&self.keys).filter_map(|(row, key)| (*key < self.threshold).then_some(row)).collect();
        self.keys.retain(|key| *key < self.threshold);
        self.tables.push(all.take(&rows).copied());
        Ok(())
    }
}
