//! JSON lines: an object in each line, whose keys are the columns.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayBuilder, ArrayRef, RecordBatch, RecordBatchOptions, StringBuilder};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::column::{Column, TypedColumn};
use crate::error::DataError;
use crate::missing::MissingTexts;
use crate::read_options::ReadOptions;
use crate::source::Source;
use crate::table::{Table, check_names};

/// The longest line, in bytes.
const MAX_LINE: usize = 64 << 20;

/// The members of an object, in order.
struct Object<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Members).map(Object)
    }
}

/// The keys of a file in the order in which they appear first, and what their values are if they are nested.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keys {
    names: Vec<String>,
    nested: Vec<Option<&'static str>>,
    index: HashMap<String, usize>,
}

impl Keys {
    /// The number of a key. In most lines it is that of the line before.
    fn find(&self, key: &str, guess: usize) -> Option<usize> {
        match self.names.get(guess).is_some_and(|name| name == key) {
            true => Some(guess),
            false => self.index.get(key).copied(),
        }
    }

    fn add(&mut self, key: String) -> usize {
        self.index.insert(key.clone(), self.names.len());
        self.names.push(key);
        self.nested.push(None);
        self.names.len() - 1
    }

    /// The keys of a whole file.
    pub(crate) fn of(name: &str, source: Source) -> Result<Self, DataError> {
        let (mut keys, mut lines) = (Self::default(), Lines::new(name.to_owned(), source));
        while lines.read(true)? == Line::Whole {
            for (guess, (key, value)) in lines.object()?.into_iter().enumerate() {
                let at = keys.find(&key, guess).unwrap_or_else(|| keys.add(key));
                keys.nested[at] = keys.nested[at].or(nested(value.get()));
            }
        }
        Ok(keys)
    }
}

/// A name for a value that has parts; none for others.
fn nested(value: &str) -> Option<&'static str> {
    match value.as_bytes().first() {
        Some(b'{') => Some("JSON object"),
        Some(b'[') => Some("JSON array"),
        _ => None,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Whole,
    /// The rest of the line has not arrived, and must not be waited for.
    Wait,
    End,
}

/// The lines of a text that are not blank.
struct Lines {
    name: String,
    source: Source,
    text: Vec<u8>,
    number: u64,
    /// Whether the text is the beginning of a line.
    unfinished: bool,
}

impl Lines {
    fn new(name: String, source: Source) -> Self {
        Self { name, source, text: Vec::new(), number: 0, unfinished: false }
    }

    fn read(&mut self, wait: bool) -> Result<Line, DataError> {
        loop {
            if !self.unfinished {
                self.text.clear();
                (self.number, self.unfinished) = (self.source.line(), true);
            }
            let buffered = self.source.buffered();
            if buffered.is_empty() {
                if !wait {
                    return Ok(Line::Wait);
                }
                let filled = self.source.fill();
                if filled.map_err(|source| DataError::Io { name: self.name.clone(), source })? {
                    continue;
                }
                self.unfinished = false;
                return Ok(if self.text.trim_ascii().is_empty() { Line::End } else { Line::Whole });
            }
            let end = memchr::memchr2(b'\n', b'\r', buffered);
            self.text.extend_from_slice(&buffered[..end.unwrap_or(buffered.len())]);
            self.source.advance(end.map_or(buffered.len(), |end| end + 1));
            if self.text.len() > MAX_LINE {
                return Err(DataError::RowTooLong { name: self.name.clone(), line: self.number, limit: MAX_LINE });
            }
            if end.is_some() {
                self.unfinished = false;
                if !self.text.trim_ascii().is_empty() {
                    return Ok(Line::Whole);
                }
            }
        }
    }

    /// The members of the object that the line is.
    fn object(&self) -> Result<Vec<(String, &RawValue)>, DataError> {
        let text = std::str::from_utf8(&self.text).map_err(|_| self.wrong("it is not UTF-8".into()))?;
        let object: Object<'_> = serde_json::from_str(text).map_err(|e| {
            // serde_json counts lines in what it is given.
            self.wrong(e.to_string().replace(" at line 1 column ", " at column "))
        })?;
        Ok(object.0)
    }

    fn wrong(&self, reason: String) -> DataError {
        DataError::JsonLine { name: self.name.clone(), line: self.number, reason }
    }
}

/// The rows of JSON lines, in tables of a number of rows.
pub(crate) struct JsonPieces {
    lines: Lines,
    keys: Keys,
    missing: Arc<MissingTexts>,
    rows: usize,
    live: bool,
    /// Columns to keep as they are written, with their names and types.
    kept: Option<(Vec<usize>, SchemaRef)>,
    /// The first piece, if its keys are those of all.
    first: Option<Table>,
    ended: bool,
}

impl JsonPieces {
    /// A reader of lines with these keys; without them, the keys are those of the first piece.
    pub(crate) fn new(
        name: String,
        source: Source,
        keys: Option<Keys>,
        options: &ReadOptions,
        rows: usize,
        live: bool,
    ) -> Result<Self, DataError> {
        let (lines, missing) = (Lines::new(name.clone(), source), options.missing_texts());
        let mut pieces =
            Self { lines, keys: Keys::default(), missing, rows, live, kept: None, first: None, ended: false };
        match keys {
            Some(keys) => pieces.keys = keys,
            None => pieces.first = Some(pieces.read_piece(true)?),
        }
        match pieces.columns() {
            [] => Err(DataError::Empty { name }),
            columns => check_names(&name, columns.iter().map(String::as_str)).map(|()| pieces),
        }
    }

    pub(crate) fn columns(&self) -> &[String] {
        &self.keys.names
    }

    /// Keeps these columns, text fields of `schema`, as they are written. The first piece is in memory already: its values are those
    /// of the columns.
    pub(crate) fn keep(&mut self, columns: Vec<usize>, schema: SchemaRef) -> Result<(), DataError> {
        if let Some(first) = self.first.take() {
            let names: Vec<String> = columns.iter().map(|&i| self.keys.names[i].clone()).collect();
            let arrays = names.iter().map(|name| {
                let texts = first.find(name)?.stored.texts(first.rows());
                Ok(Arc::new(texts) as ArrayRef)
            });
            let arrays = arrays.collect::<Result<Vec<_>, DataError>>()?;
            let batch = self.batch(&schema, arrays, first.rows())?;
            self.first = Some(first.keeping(Some(batch)));
        }
        self.kept = Some((columns, schema));
        Ok(())
    }

    fn batch(&self, schema: &SchemaRef, arrays: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, DataError> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let damaged = |e: ArrowError| DataError::TooLarge { name: self.lines.name.clone(), reason: e.to_string() };
        RecordBatch::try_new_with_options(schema.clone(), arrays, &options).map_err(damaged)
    }

    pub(crate) fn next(&mut self) -> Option<Result<Table, DataError>> {
        let piece = match self.first.take() {
            Some(first) => Ok(first),
            None if self.ended => return None,
            None => self.read_piece(false),
        };
        self.ended |= piece.is_err();
        match piece {
            Ok(table) if table.rows() == 0 => None,
            piece => Some(piece),
        }
    }

    /// Reads a piece, of the keys that are known or of all that occur.
    fn read_piece(&mut self, grow: bool) -> Result<Table, DataError> {
        let mut builders: Vec<StringBuilder> = self.keys.names.iter().map(|_| StringBuilder::new()).collect();
        let mut nulls: Vec<BTreeMap<String, usize>> = vec![BTreeMap::new(); builders.len()];
        let mut kept: Vec<(usize, StringBuilder)> =
            self.kept.iter().flat_map(|(columns, _)| columns).map(|column| (*column, StringBuilder::new())).collect();
        let mut lines = Vec::new();
        while lines.len() < self.rows {
            match self.lines.read(!self.live || lines.is_empty())? {
                Line::Whole => {}
                Line::Wait => break,
                Line::End => {
                    self.ended = true;
                    break;
                }
            }
            let row = lines.len();
            for (guess, (key, value)) in self.lines.object()?.into_iter().enumerate() {
                let at = match self.keys.find(&key, guess) {
                    Some(at) => at,
                    None if grow => {
                        let mut builder = StringBuilder::new();
                        (0..row).for_each(|_| builder.append_null());
                        builders.push(builder);
                        nulls.push(BTreeMap::new());
                        self.keys.add(key)
                    }
                    None => {
                        let (name, line) = (self.lines.name.clone(), self.lines.number);
                        return Err(DataError::LateKey { name, line, key });
                    }
                };
                let (name, builder) = (&self.keys.names[at], &mut builders[at]);
                if builder.len() > row {
                    return Err(self.lines.wrong(format!("the key {name:?} occurs twice")));
                }
                let (raw, is_nested) = (value.get(), nested(value.get()));
                if let Some((_, kept)) = kept.iter_mut().find(|(column, _)| *column == at) {
                    match raw.as_bytes().first() {
                        Some(b'n') => kept.append_null(),
                        Some(b'"') => {
                            let text: String =
                                serde_json::from_str(raw).map_err(|e| self.lines.wrong(e.to_string()))?;
                            kept.append_value(text);
                        }
                        _ => kept.append_value(raw),
                    }
                }
                match (is_nested, self.keys.nested[at], raw.as_bytes().first()) {
                    (Some(kind), None, _) if grow => {
                        self.keys.nested[at] = Some(kind);
                        builder.append_null();
                    }
                    (Some(kind), None, _) => {
                        let reason = format!("the value of {name:?} is a {kind}, and was none in the rows before");
                        return Err(self.lines.wrong(reason));
                    }
                    (_, Some(_), _) | (.., Some(b'n')) => builder.append_null(),
                    (.., Some(b'"')) => {
                        let text: String = serde_json::from_str(raw).map_err(|e| self.lines.wrong(e.to_string()))?;
                        if self.missing.contains(text.trim()) {
                            builder.append_null();
                            if !text.trim().is_empty() {
                                *nulls[at].entry(text.trim().to_owned()).or_insert(0) += 1;
                            }
                        } else {
                            builder.append_value(text);
                        }
                    }
                    _ => builder.append_value(raw),
                }
            }
            builders.iter_mut().filter(|builder| builder.len() == row).for_each(StringBuilder::append_null);
            kept.iter_mut().filter(|(_, kept)| kept.len() == row).for_each(|(_, kept)| kept.append_null());
            lines.push(self.lines.number);
        }
        let rows = lines.len();
        let columns = self.keys.names.iter().zip(&self.keys.nested).zip(&mut builders).zip(nulls).map(
            |(((name, nested), builder), nulls)| {
                let values = match nested {
                    Some(kind) => TypedColumn::Opaque((*kind).to_owned()),
                    None => TypedColumn::Text(builder.finish()),
                };
                Column::new(name, values).with_nulls(nulls, &self.missing)
            },
        );
        let table = Table::new(self.lines.name.clone(), columns.collect(), rows, Some(lines));
        let kept = self.kept.as_ref().map(|(_, schema)| {
            let arrays = kept.iter_mut().map(|(_, builder)| Arc::new(builder.finish()) as ArrayRef).collect();
            self.batch(schema, arrays, rows)
        });
        Ok(table.keeping(kept.transpose()?))
    }
}
