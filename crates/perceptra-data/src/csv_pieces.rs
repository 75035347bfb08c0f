//! CSV text and sheets of workbooks, read in pieces.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, StringBuilder};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use crate::column::{Column, TypedColumn};
use crate::error::DataError;
use crate::missing::MissingTexts;
use crate::read_note::ReadNoteKind;
use crate::read_options::{Delimiter, ReadOptions};
use crate::records::{Record, Records, Step, whitespace_fields};
use crate::sheet::SheetRows;
use crate::source::Source;
use crate::table::{Table, check_names};

/// How many rows are looked at where the header does not say how a file is to be read.
const AHEAD: usize = 20;

/// How the fields of a row become the cells of the columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// One by one.
    Plain,
    /// The first one is the name of the row. The first row stands at this line.
    RowNames(u64),
    /// Those after the columns' are empty.
    TrailingSeparators,
}

/// Properties of a whole file that its beginning shows.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    name: String,
    delimiter: Delimiter,
    pub(crate) columns: Vec<String>,
    /// The columns without a name, by number.
    nameless: Vec<usize>,
    shape: Shape,
    notes: Vec<ReadNoteKind>,
}

/// Where rows come from.
enum Rows {
    Text(Box<Records>),
    Sheet(SheetRows),
}

impl Rows {
    fn read(&mut self, record: &mut Record, wait: bool) -> Result<Step, DataError> {
        match self {
            Self::Text(records) => records.read(record, wait),
            Self::Sheet(rows) => Ok(rows.read(record)),
        }
    }
}

/// The rows of CSV text or of a sheet, in tables of a number of rows.
pub(crate) struct CsvPieces {
    layout: Layout,
    input: Rows,
    /// Rows that were looked at ahead, and the present one.
    ahead: VecDeque<Record>,
    record: Record,
    missing: Arc<MissingTexts>,
    /// How many rows a piece has at most.
    rows: usize,
    /// Whether a piece ends where the input has to be waited for.
    live: bool,
    ended: bool,
    /// Which of the columns without a name have had a value.
    valued: Vec<bool>,
    /// How many rows without any value there were, and the line of the first.
    blank: (u64, u64),
    /// Columns to keep as they are written, with their names and types.
    kept: Option<(Vec<usize>, SchemaRef)>,
}

impl CsvPieces {
    /// Reads the header of a text.
    pub(crate) fn new(
        name: String,
        mut source: Source,
        tabs: bool,
        options: &ReadOptions,
        rows: usize,
        live: bool,
    ) -> Result<Self, DataError> {
        let comment = options.comment.map(|c| c as u8);
        let found = begin(&mut source, options, tabs).map_err(|source| DataError::Io { name: name.clone(), source })?;
        let records = Records::new(name.clone(), source, found, comment);
        let mut pieces = Self::with(Rows::Text(Box::new(records)), name, found, options, rows, live);
        if (options.delimiter, found) == (None, Delimiter::Whitespace) {
            pieces.layout.notes.push(ReadNoteKind::Whitespace);
        }
        pieces.read_header(options)?;
        Ok(pieces)
    }

    /// Reads the header of a sheet.
    pub(crate) fn sheet(
        name: String,
        sheet: SheetRows,
        notes: Vec<ReadNoteKind>,
        options: &ReadOptions,
        rows: usize,
    ) -> Result<Self, DataError> {
        let mut pieces = Self::with(Rows::Sheet(sheet), name, Delimiter::Character(','), options, rows, false);
        pieces.layout.notes = notes;
        pieces.read_header(options)?;
        Ok(pieces)
    }

    /// A reader of `rows` rows at a time whose input begins in the middle of a text.
    pub(crate) fn within(layout: &Layout, source: Source, options: &ReadOptions, rows: usize) -> Self {
        let comment = options.comment.map(|c| c as u8);
        let records = Records::new(layout.name.clone(), source, layout.delimiter, comment);
        let mut pieces =
            Self::with(Rows::Text(Box::new(records)), layout.name.clone(), layout.delimiter, options, rows, false);
        pieces.layout = layout.clone();
        pieces.valued = vec![false; layout.nameless.len()];
        pieces
    }

    fn with(input: Rows, name: String, delimiter: Delimiter, options: &ReadOptions, rows: usize, live: bool) -> Self {
        let layout = Layout {
            name,
            delimiter,
            columns: Vec::new(),
            nameless: Vec::new(),
            shape: Shape::Plain,
            notes: Vec::new(),
        };
        Self {
            layout,
            input,
            ahead: VecDeque::new(),
            record: Record::default(),
            missing: options.missing_texts(),
            rows,
            live,
            ended: false,
            valued: Vec::new(),
            blank: (0, 0),
            kept: None,
        }
    }

    /// Keeps these columns, text fields of `schema`, as they are written.
    pub(crate) fn keep(&mut self, columns: Vec<usize>, schema: SchemaRef) {
        self.kept = Some((columns, schema));
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Where the next piece of a text begins: the byte and the line.
    pub(crate) fn position(&mut self) -> Result<(u64, u64), DataError> {
        match (self.ahead.front(), &mut self.input) {
            (Some(record), _) => Ok((record.byte, record.line)),
            (None, Rows::Text(records)) => records.position(),
            (None, Rows::Sheet(_)) => Ok((0, 0)),
        }
    }

    /// The columns without a name in which no value has been read.
    pub(crate) fn empty_columns(&self) -> Vec<&str> {
        let nameless = self.layout.nameless.iter().zip(&self.valued);
        nameless.filter(|(_, valued)| !**valued).map(|(&i, _)| self.layout.columns[i].as_str()).collect()
    }

    /// Notes on the rows that have been read.
    pub(crate) fn notes(&self) -> Vec<ReadNoteKind> {
        let mut notes = self.layout.notes.clone();
        let nameless = self.layout.nameless.iter().zip(&self.valued);
        let columns: Vec<String> =
            nameless.filter(|(_, valued)| **valued).map(|(&i, _)| self.layout.columns[i].clone()).collect();
        let empty = self.valued.len() - columns.len();
        notes.extend((!columns.is_empty()).then_some(ReadNoteKind::Unnamed { columns }));
        notes.extend((empty > 0).then_some(ReadNoteKind::EmptyColumns { columns: empty }));
        let (rows, first) = self.blank;
        notes.extend((rows > 0).then_some(ReadNoteKind::EmptyRows { rows, first }));
        notes
    }

    /// Reads the names of the columns, and looks at the rows below where they have other fields.
    fn read_header(&mut self, options: &ReadOptions) -> Result<(), DataError> {
        let mut header = Record::default();
        let name = self.layout.name.clone();
        if self.input.read(&mut header, true)? != Step::Row {
            return Err(DataError::Empty { name });
        }
        if header.iter().any(|field| field.contains(&0)) {
            return Err(DataError::Foreign { name, looks_like: "binary data" });
        }
        if !options.header {
            self.layout.columns = (1..=header.len()).map(|i| i.to_string()).collect();
            self.ahead.push_back(header);
            return Ok(());
        }
        let names = (0..header.len()).map(|i| {
            let text = field_text(&name, &header, header.text(), i, || (i + 1).to_string())?;
            Ok(text.trim().to_owned())
        });
        let mut columns = names.collect::<Result<Vec<String>, DataError>>()?;
        // The first row with a value.
        while self.ahead.len() < AHEAD
            && self.look(self.ahead.len() + 1)?
            && self.ahead.back().is_some_and(Record::is_blank)
        {}
        let first = self.ahead.back().map(Record::len);
        if first.is_some_and(|fields| fields != header.len()) || is_title(&header) {
            self.look(AHEAD)?;
            let rows: Vec<&Record> = self.ahead.iter().filter(|row| !row.is_blank()).collect();
            self.layout.shape = shape(&name, &header, &rows)?;
        }
        match self.layout.shape {
            Shape::Plain => {}
            Shape::RowNames(_) => self.layout.notes.push(ReadNoteKind::RowNames),
            Shape::TrailingSeparators => self.layout.notes.push(ReadNoteKind::TrailingSeparators),
        }
        let number = |name: &&String| name.parse::<f64>().ok().filter(|x| x.is_finite());
        // Years are names; fractions and negative numbers are not.
        let value = columns.iter().find(|name| number(name).is_some_and(|x| x.fract() != 0.0 || x < 0.0));
        let mut named = columns.iter().filter(|name| !name.is_empty());
        if let Some(first) =
            value.or_else(|| named.clone().all(|name| number(&name).is_some()).then(|| named.next())?)
        {
            self.layout.notes.push(ReadNoteKind::NumericHeader { first: first.clone() });
        }
        self.layout.nameless = (0..columns.len()).filter(|&i| columns[i].is_empty()).collect();
        // As pandas does.
        self.layout.nameless.iter().for_each(|&i| columns[i] = format!("Unnamed: {i}"));
        if columns.len() == 1 {
            // A table has a column.
            self.layout.nameless.clear();
        }
        self.valued = vec![false; self.layout.nameless.len()];
        check_names(&name, columns.iter().map(String::as_str))?;
        self.layout.columns = columns;
        Ok(())
    }

    /// Reads on until so many rows are read ahead; whether there are as many.
    fn look(&mut self, rows: usize) -> Result<bool, DataError> {
        while self.ahead.len() < rows {
            let mut record = Record::default();
            if self.input.read(&mut record, true)? != Step::Row {
                return Ok(false);
            }
            self.ahead.push_back(record);
        }
        Ok(true)
    }

    pub(crate) fn next(&mut self) -> Option<Result<Table, DataError>> {
        if self.ended {
            return None;
        }
        let piece = self.read_piece();
        self.ended |= piece.is_err();
        match piece {
            Ok(table) if table.rows() == 0 => None,
            piece => Some(piece),
        }
    }

    fn read_piece(&mut self) -> Result<Table, DataError> {
        let mut builders: Vec<StringBuilder> = self.layout.columns.iter().map(|_| StringBuilder::new()).collect();
        let mut nulls: Vec<BTreeMap<String, usize>> = vec![BTreeMap::new(); builders.len()];
        let mut kept: Vec<(usize, StringBuilder)> =
            self.kept.iter().flat_map(|(columns, _)| columns).map(|column| (*column, StringBuilder::new())).collect();
        let mut lines = Vec::new();
        while lines.len() < self.rows {
            let wait = !self.live || lines.is_empty();
            let step = match self.ahead.pop_front() {
                Some(record) => {
                    self.record = record;
                    Step::Row
                }
                None => self.input.read(&mut self.record, wait)?,
            };
            match step {
                Step::Row => {}
                Step::Wait => break,
                Step::End => {
                    self.ended = true;
                    break;
                }
            }
            let (record, line) = (&self.record, self.record.line);
            // The only field of a row may be a missing value.
            if record.len() > 1 && record.is_blank() {
                self.blank = (self.blank.0 + 1, if self.blank.0 == 0 { line } else { self.blank.1 });
                continue;
            }
            let first = self.layout.first_field(record)?;
            let text = record.text();
            for (i, builder) in builders.iter_mut().enumerate() {
                let column = || format!("{:?}", self.layout.columns[i]);
                let value = field_text(&self.layout.name, record, text, first + i, column)?;
                let trimmed = value.trim();
                if self.missing.contains(trimmed) {
                    builder.append_null();
                    if !trimmed.is_empty() {
                        match nulls[i].get_mut(trimmed) {
                            Some(count) => *count += 1,
                            None => drop(nulls[i].insert(trimmed.to_owned(), 1)),
                        }
                    }
                } else {
                    builder.append_value(value);
                }
            }
            for (i, builder) in &mut kept {
                let column = || format!("{:?}", self.layout.columns[*i]);
                builder.append_value(field_text(&self.layout.name, record, text, first + *i, column)?);
            }
            lines.push(line);
        }
        let rows = lines.len();
        let arrays: Vec<_> = builders.iter_mut().map(StringBuilder::finish).collect();
        for (valued, &i) in self.valued.iter_mut().zip(&self.layout.nameless) {
            *valued |= arrays[i].null_count() < rows;
        }
        let columns =
            self.layout.columns.iter().zip(arrays).zip(nulls).map(|((name, array), nulls)| {
                Column::new(name, TypedColumn::Text(array)).with_nulls(nulls, &self.missing)
            });
        let columns = columns.collect();
        let kept = self.kept.as_ref().map(|(_, schema)| {
            let arrays = kept.iter_mut().map(|(_, builder)| Arc::new(builder.finish()) as ArrayRef).collect();
            let options = RecordBatchOptions::new().with_row_count(Some(rows));
            RecordBatch::try_new_with_options(schema.clone(), arrays, &options)
        });
        let damaged = |e: ArrowError| DataError::TooLarge { name: self.layout.name.clone(), reason: e.to_string() };
        let kept = kept.transpose().map_err(damaged)?;
        Ok(Table::new(self.layout.name.clone(), columns, rows, Some(lines)).keeping(kept))
    }
}

impl Layout {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The field of the first column in a row, if the row has the fields that it has to have.
    fn first_field(&self, record: &Record) -> Result<usize, DataError> {
        let (found, expected) = (record.len(), self.columns.len());
        let ragged = |line, found| DataError::Ragged { name: self.name.clone(), line, found, expected };
        match self.shape {
            Shape::Plain if found == expected => Ok(0),
            Shape::Plain => Err(ragged(record.line, found)),
            Shape::RowNames(_) if found == expected + 1 => Ok(1),
            // Not every row has a field more: it is the first one that is wrong.
            Shape::RowNames(first) if found == expected => Err(ragged(first, expected + 1)),
            Shape::RowNames(_) => Err(ragged(record.line, found)),
            Shape::TrailingSeparators if found >= expected && ends_blank(record, expected) => Ok(0),
            Shape::TrailingSeparators => Err(ragged(record.line, found)),
        }
    }
}

fn field_text<'a>(
    name: &str,
    record: &'a Record,
    text: Option<&'a str>,
    field: usize,
    column: impl Fn() -> String,
) -> Result<&'a str, DataError> {
    record.field_text(text, field).map_err(|valid| DataError::NotUtf8 {
        name: name.to_owned(),
        line: record.line,
        column: column(),
        byte: valid + 1,
    })
}

fn is_blank(field: &[u8]) -> bool {
    field.iter().all(u8::is_ascii_whitespace)
}

/// Whether all fields from this one on are blank.
fn ends_blank(record: &Record, from: usize) -> bool {
    record.iter().skip(from).all(is_blank)
}

/// How many fields of a row are not blank.
fn filled(record: &Record) -> usize {
    record.iter().filter(|field| !is_blank(field)).count()
}

/// Whether the first line looks like a title in the first cell of a sheet.
fn is_title(header: &Record) -> bool {
    header.len() > 2 && filled(header) == 1 && !is_blank(header.field(0))
}

fn is_number(field: &[u8]) -> bool {
    std::str::from_utf8(field).is_ok_and(|text| text.trim().parse::<f64>().is_ok())
}

/// Whether the first of these rows names the columns of the others: a column has a text there and numbers below.
fn names_columns(rows: &[&Record]) -> bool {
    let [first, rest @ ..] = rows else { return false };
    (0..first.len()).any(|i| {
        let below: Vec<&[u8]> =
            rest.iter().filter(|row| i < row.len()).map(|row| row.field(i)).filter(|field| !is_blank(field)).collect();
        let name = first.field(i);
        !is_blank(name) && !is_number(name) && !below.is_empty() && below.iter().all(|field| is_number(field))
    })
}

/// How the fields of rows that are not as many as those of the header become cells. A header that seems to stand further down is an
/// error.
fn shape(name: &str, header: &Record, rows: &[&Record]) -> Result<Shape, DataError> {
    let Some(last) = rows.last() else { return Ok(Shape::Plain) };
    let below = |row: &Record| DataError::TitleLines { name: name.to_owned(), line: row.line };
    let (expected, found) = (header.len(), last.len());
    // The rows from this one on have equally many fields.
    let alike = rows.iter().rposition(|row| row.len() != found).map_or(0, |i| i + 1);
    if found > expected {
        let names = names_columns(&rows[alike..]);
        if alike == 0 && rows.iter().all(|row| ends_blank(row, expected)) {
            return Ok(Shape::TrailingSeparators);
        }
        let numbers = || rows.iter().any(|row| row.iter().any(is_number));
        if alike == 0 && found == expected + 1 && !names && (expected > 1 || numbers()) {
            return Ok(Shape::RowNames(rows[0].line));
        }
        if rows.len() - alike >= 2 && (expected == 1 || names) {
            return Err(below(rows[alike]));
        }
    } else if is_title(header)
        && let Some(at) = rows.iter().position(|row| filled(row) > 1)
        && at + 1 < rows.len()
        && rows[at..].iter().all(|row| filled(row) > 1)
    {
        return Err(below(rows[at]));
    }
    Ok(Shape::Plain)
}

/// Goes to the header of a text; what separates its fields.
fn begin(source: &mut Source, options: &ReadOptions, tabs: bool) -> std::io::Result<Delimiter> {
    let comment = options.comment.map(|c| c as u8);
    const MARK: &[u8] = b"\xef\xbb\xbf";
    source.look(|bytes| bytes.len() >= MARK.len() || !MARK.starts_with(bytes))?;
    if source.buffered().starts_with(MARK) {
        source.advance(MARK.len());
    }
    for _ in 0..options.skip_rows {
        source.skip_line()?;
    }
    // Excel's line that names the separator.
    source.look(|bytes| bytes.iter().any(|b| matches!(b, b'\n' | b'\r')))?;
    let named = source.buffered().split(|b| matches!(b, b'\n' | b'\r')).next().and_then(named_separator);
    if named.is_some() {
        source.skip_line()?;
    }
    match options.delimiter.or(named.map(|c| Delimiter::Character(char::from(c)))) {
        Some(delimiter) => Ok(delimiter),
        None if tabs => Ok(Delimiter::Character('\t')),
        None => sniff(source, comment),
    }
}

/// The separator that a line such as `sep=;` names.
fn named_separator(line: &[u8]) -> Option<u8> {
    let line = line.strip_prefix(b"\"").and_then(|line| line.strip_suffix(b"\"")).unwrap_or(line);
    match line {
        [s, e, p, b'=', c] if [*s, *e, *p].eq_ignore_ascii_case(b"sep") && c.is_ascii() => Some(*c),
        _ => None,
    }
}

/// The separator of fields: the one that is most frequent in the first line; without one, whitespace that divides all lines
/// into as many fields, or what the lines below are divided by.
fn sniff(source: &mut Source, comment: Option<u8>) -> std::io::Result<Delimiter> {
    let header = source.look_lines(1, comment)?;
    let Some(&header) = header.first() else { return Ok(Delimiter::Character(',')) };
    if let Some((separator, _)) = most_frequent(header) {
        return Ok(Delimiter::Character(separator));
    }
    let words = whitespace_fields(header);
    // Names of rows have no name.
    let divides = |line: &[u8]| words > 1 && (words..=words + 1).contains(&whitespace_fields(line));
    let lines = source.look_lines(2, comment)?;
    if !lines.get(1).is_some_and(|second| divides(second) || most_frequent(second).is_some()) {
        return Ok(Delimiter::Character(','));
    }
    let lines = source.look_lines(AHEAD, comment)?;
    let below = &lines[1..lines.len().min(AHEAD)];
    let fields = whitespace_fields(below[0]);
    if divides(below[0]) && below.iter().all(|line| whitespace_fields(line) == fields) {
        return Ok(Delimiter::Whitespace);
    }
    let counts: Vec<_> = below.iter().map(|line| most_frequent(line)).collect();
    match counts.last() {
        Some(Some(count)) if counts.len() > 1 && counts.iter().rev().take(2).all(|other| *other == Some(*count)) => {
            Ok(Delimiter::Character(count.0))
        }
        _ => Ok(Delimiter::Character(',')),
    }
}

/// The separator that is most frequent in a line, outside quotes, and how often it is there; the first of equally frequent ones.
fn most_frequent(line: &[u8]) -> Option<(char, usize)> {
    let mut quoted = false;
    let mut counts = [0; 4];
    for &byte in line {
        quoted ^= byte == b'"';
        if let (false, Some(i)) = (quoted, b",;\t|".iter().position(|&d| d == byte)) {
            counts[i] += 1;
        }
    }
    let most = counts.iter().max().copied().filter(|most| *most > 0)?;
    counts.iter().position(|&c| c == most).map(|i| ([',', ';', '\t', '|'][i], most))
}
