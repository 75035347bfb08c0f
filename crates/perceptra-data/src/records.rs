//! The rows of CSV text as fields.

use csv_core::ReadRecordResult;

use crate::error::DataError;
use crate::read_options::Delimiter;
use crate::source::Source;

/// The longest row of a CSV file, in bytes.
const MAX_ROW: usize = 64 << 20;

/// The fields of a row, and where it begins.
#[derive(Debug, Clone, Default)]
pub(crate) struct Record {
    /// The fields one after another, and room for more.
    bytes: Vec<u8>,
    length: usize,
    /// Where each field ends, and room for more.
    ends: Vec<usize>,
    fields: usize,
    /// Line and byte at which the row begins.
    pub(crate) line: u64,
    pub(crate) byte: u64,
}

impl Record {
    /// A row of these fields, which stands at this line.
    pub(crate) fn new(fields: &[String], line: u64) -> Self {
        let bytes: Vec<u8> = fields.concat().into_bytes();
        let end = |end: &mut usize, field: &String| {
            *end += field.len();
            Some(*end)
        };
        let ends: Vec<usize> = fields.iter().scan(0, end).collect();
        Self { length: bytes.len(), bytes, fields: ends.len(), ends, line, byte: 0 }
    }

    /// How many fields there are.
    pub(crate) fn len(&self) -> usize {
        self.fields
    }

    /// The bytes of a field in those of the row.
    fn range(&self, field: usize) -> std::ops::Range<usize> {
        let start = if field == 0 { 0 } else { self.ends[field - 1] };
        start..self.ends[field]
    }

    pub(crate) fn field(&self, field: usize) -> &[u8] {
        &self.bytes[self.range(field)]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.fields).map(|field| self.field(field))
    }

    /// All fields as text, if they are UTF-8 together.
    pub(crate) fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.bytes[..self.length]).ok()
    }

    /// A field as text, or the first byte that is none. `text` is that of the row.
    pub(crate) fn field_text<'a>(&'a self, text: Option<&'a str>, field: usize) -> Result<&'a str, usize> {
        // Two fields may be UTF-8 together and not alone.
        text.and_then(|text| text.get(self.range(field)))
            .map_or_else(|| std::str::from_utf8(self.field(field)).map_err(|e| e.valid_up_to()), Ok)
    }

    /// Whether all fields are blank.
    pub(crate) fn is_blank(&self) -> bool {
        self.bytes[..self.length].iter().all(u8::is_ascii_whitespace)
    }

    fn clear(&mut self) {
        (self.length, self.fields) = (0, 0);
    }

    fn push(&mut self, byte: u8) {
        if self.length == self.bytes.len() {
            self.bytes.push(0);
        }
        self.bytes[self.length] = byte;
        self.length += 1;
    }

    fn end_field(&mut self) {
        if self.fields == self.ends.len() {
            self.ends.push(0);
        }
        self.ends[self.fields] = self.length;
        self.fields += 1;
    }
}

/// The result of reading a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A row.
    Row,
    /// The rest of the row has not arrived, and must not be waited for.
    Wait,
    /// The input has ended.
    End,
}

/// How the fields of a row are found.
enum Splitter {
    Character(Box<csv_core::Reader>),
    Whitespace(Place),
}

/// Where one is in a row whose fields are separated by whitespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Between,
    Field,
    Quoted,
    /// After a quote in a quoted field: its end, or the first of two quotes that stand for one.
    Quote,
}

/// The rows of CSV text. Blank lines and comments are skipped.
pub(crate) struct Records {
    name: String,
    source: Source,
    splitter: Splitter,
    comment: Option<u8>,
    /// Whether a row or a comment has begun, and how many bytes of the row have been read.
    inside: Option<Inside>,
    read: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    Row,
    Comment,
}

impl Records {
    pub(crate) fn new(name: String, source: Source, delimiter: Delimiter, comment: Option<u8>) -> Self {
        let splitter = match delimiter {
            Delimiter::Character(c) => {
                let mut core = csv_core::ReaderBuilder::new().delimiter(c as u8).build();
                // At its very first bytes it would drop a byte-order mark, and these may be in the middle of a file.
                core.read_record(b"\n", &mut [0], &mut [0]);
                Splitter::Character(Box::new(core))
            }
            Delimiter::Whitespace => Splitter::Whitespace(Place::Between),
        };
        Self { name, source, splitter, comment, inside: None, read: 0 }
    }

    /// Reads the next row. Without `wait`, the row that one is in is left unfinished when no more of it has arrived, and read on by the
    /// next call, with the same record.
    pub(crate) fn read(&mut self, record: &mut Record, wait: bool) -> Result<Step, DataError> {
        loop {
            if self.inside != Some(Inside::Row) {
                match self.begin(wait)? {
                    Step::Row => {
                        record.clear();
                        (record.line, record.byte) = (self.source.line(), self.source.byte());
                        (self.inside, self.read) = (Some(Inside::Row), 0);
                    }
                    step => return Ok(step),
                }
            }
            if self.source.buffered().is_empty() {
                if !wait {
                    return Ok(Step::Wait);
                }
                if !self.fill()? {
                    self.finish(record)?;
                    self.inside = None;
                    match record.len() {
                        0 => continue,
                        _ => return Ok(Step::Row),
                    }
                }
            }
            if self.split(record) {
                self.inside = None;
                // A line of blanks has no field.
                if record.len() > 0 {
                    return Ok(Step::Row);
                }
            } else if self.read > MAX_ROW {
                return Err(DataError::RowTooLong { name: self.name.clone(), line: record.line, limit: MAX_ROW });
            }
        }
    }

    /// Goes to the beginning of the next row, past blank lines and comments.
    fn begin(&mut self, wait: bool) -> Result<Step, DataError> {
        loop {
            let buffered = self.source.buffered();
            match (buffered.first(), self.inside) {
                (None, _) if !wait => return Ok(Step::Wait),
                (None, _) => {
                    if !self.fill()? {
                        return Ok(Step::End);
                    }
                }
                (Some(_), Some(Inside::Comment)) => {
                    let end = memchr::memchr2(b'\n', b'\r', buffered);
                    self.inside = end.is_none().then_some(Inside::Comment);
                    self.source.advance(end.unwrap_or(buffered.len()));
                }
                (Some(b'\n' | b'\r'), _) => self.source.advance(1),
                (Some(first), _) if Some(*first) == self.comment => self.inside = Some(Inside::Comment),
                (Some(_), _) => return Ok(Step::Row),
            }
        }
    }

    /// Where the next row begins: the byte and the line.
    pub(crate) fn position(&mut self) -> Result<(u64, u64), DataError> {
        self.begin(true)?;
        Ok((self.source.byte(), self.source.line()))
    }

    fn fill(&mut self) -> Result<bool, DataError> {
        self.source.fill().map_err(|source| DataError::Io { name: self.name.clone(), source })
    }

    /// Reads fields from what is buffered; whether the row has ended.
    fn split(&mut self, record: &mut Record) -> bool {
        let input = self.source.buffered();
        match &mut self.splitter {
            Splitter::Character(core) => {
                let (result, read, written, ended) =
                    core.read_record(input, &mut record.bytes[record.length..], &mut record.ends[record.fields..]);
                self.source.advance(read);
                self.read += read;
                record.length += written;
                record.fields += ended;
                match result {
                    ReadRecordResult::Record => return true,
                    ReadRecordResult::OutputFull => record.bytes.resize((2 * record.bytes.len()).max(1 << 10), 0),
                    ReadRecordResult::OutputEndsFull => record.ends.resize((2 * record.ends.len()).max(1 << 6), 0),
                    ReadRecordResult::InputEmpty | ReadRecordResult::End => {}
                }
                false
            }
            Splitter::Whitespace(place) => {
                let mut n = 0;
                let mut ended = false;
                for &byte in input {
                    n += 1;
                    ended = place.step(byte, record);
                    if ended {
                        break;
                    }
                }
                self.source.advance(n);
                self.read += n;
                ended
            }
        }
    }

    /// Ends the row that the input ends with.
    fn finish(&mut self, record: &mut Record) -> Result<(), DataError> {
        let ended = match &mut self.splitter {
            Splitter::Character(core) => loop {
                // The end of a line ends every field but a quoted one.
                let (bytes, ends) = (&mut record.bytes[record.length..], &mut record.ends[record.fields..]);
                let (result, _, written, ended) = core.read_record(b"\n", bytes, ends);
                record.length += written;
                record.fields += ended;
                match result {
                    ReadRecordResult::Record => break true,
                    ReadRecordResult::OutputFull => record.bytes.push(0),
                    ReadRecordResult::OutputEndsFull => record.ends.push(0),
                    ReadRecordResult::InputEmpty | ReadRecordResult::End => break false,
                }
            },
            Splitter::Whitespace(place) => place.step(b'\n', record),
        };
        match ended {
            true => Ok(()),
            false => Err(DataError::UnclosedQuote { name: self.name.clone(), line: record.line }),
        }
    }
}

impl Place {
    /// Takes the next byte; whether it ends the row.
    fn step(&mut self, byte: u8, record: &mut Record) -> bool {
        let is_end = matches!(byte, b'\n' | b'\r');
        let is_blank = is_end || matches!(byte, b' ' | b'\t');
        *self = match *self {
            Self::Quoted if byte == b'"' => Self::Quote,
            Self::Quoted => {
                record.push(byte);
                return false;
            }
            Self::Quote if byte == b'"' => {
                record.push(byte);
                Self::Quoted
            }
            Self::Between if is_blank => Self::Between,
            Self::Between if byte == b'"' => Self::Quoted,
            Self::Field | Self::Quote if is_blank => {
                record.end_field();
                Self::Between
            }
            Self::Between | Self::Field | Self::Quote => {
                record.push(byte);
                Self::Field
            }
        };
        is_end
    }
}

/// The fields of a line that whitespace separates.
pub(crate) fn whitespace_fields(line: &[u8]) -> usize {
    let (mut record, mut place) = (Record::default(), Place::Between);
    line.iter().chain(b"\n").for_each(|byte| {
        place.step(*byte, &mut record);
    });
    record.len()
}
