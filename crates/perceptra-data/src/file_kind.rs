//! Kinds of files.

use crate::variants::all_variants;

/// Description of a file of UTF-16 text.
pub(crate) const UTF_16: &str = "UTF-16 text";
/// Description of a file with a JSON array.
pub(crate) const JSON_ARRAY: &str = "a JSON array";

/// How many of the first bytes of a file show its kind.
pub(crate) const SHOWN: usize = 64;

/// The kind of a file, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    Empty,
    Text,
    JsonLines,
    JsonArray,
    Parquet,
    Arrow,
    /// A zip archive, as workbooks are.
    Zip,
    /// A compound file, as workbooks were.
    Compound,
    Gzip,
    Bzip2,
    Xz,
    Zstd,
    Utf16,
    Html,
    Model,
}

all_variants! {
    FileKind: Empty, Text, JsonLines, JsonArray, Parquet, Arrow, Zip, Compound, Gzip, Bzip2, Xz, Zstd, Utf16, Html, Model
}

impl FileKind {
    pub(crate) fn of(start: &[u8]) -> Self {
        let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
        // The byte after the first one of a text that is no blank.
        let next = || text.iter().skip(1).find(|byte| !byte.is_ascii_whitespace());
        match start {
            [] => Self::Empty,
            [0x1f, 0x8b, ..] => Self::Gzip,
            // Followed by π, or by √π if nothing is compressed.
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, ..] | [b'B', b'Z', b'h', b'1'..=b'9', 0x17, 0x72, ..] => {
                Self::Bzip2
            }
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            [b'P', b'A', b'R', b'1', ..] => Self::Parquet,
            [b'A', b'R', b'R', b'O', b'W', b'1', ..] => Self::Arrow,
            [b'P', b'K', 3, 4, ..] => Self::Zip,
            [0xd0, 0xcf, 0x11, 0xe0, ..] => Self::Compound,
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Self::Utf16,
            [_, _, _, _, _, 0, 0, 0, ..] => Self::Model,
            _ if start.to_ascii_lowercase().starts_with(b"<!doc")
                || start.to_ascii_lowercase().starts_with(b"<html") =>
            {
                Self::Html
            }
            _ if text.first() == Some(&b'{') && matches!(next(), None | Some(b'"' | b'}')) => Self::JsonLines,
            _ if text.first() == Some(&b'[') && matches!(next(), None | Some(b'{' | b'[')) => Self::JsonArray,
            _ => Self::Text,
        }
    }

    /// The name of the tables in files of this kind, if they can be read.
    pub(crate) fn table(self) -> Option<&'static str> {
        match self {
            Self::Text => Some("CSV or TSV"),
            Self::JsonLines => Some("JSON lines"),
            Self::Gzip => Some("any of them compressed by gzip"),
            Self::Bzip2 => Some("by bzip2"),
            Self::Xz => Some("by xz"),
            Self::Zstd => Some("by zstd"),
            Self::Parquet => Some("Parquet"),
            Self::Arrow => Some("Arrow IPC"),
            Self::Zip => Some("workbooks of Excel (.xlsx, .xlsb) and OpenDocument (.ods)"),
            Self::Compound => Some("old ones of Excel (.xls)"),
            Self::Empty | Self::JsonArray | Self::Utf16 | Self::Html | Self::Model => None,
        }
    }

    /// A description of a file of this kind, for who cannot read a table from it.
    pub(crate) fn looks_like(self) -> &'static str {
        match self {
            Self::Empty => "an empty file",
            Self::Text => "text",
            // It was uncompressed once.
            Self::Gzip | Self::Bzip2 | Self::Xz | Self::Zstd => "a doubly compressed file",
            Self::JsonLines => "JSON lines",
            Self::JsonArray => JSON_ARRAY,
            Self::Parquet => "a Parquet file",
            Self::Arrow => "an Arrow IPC file",
            Self::Zip => "a zip archive that is no workbook",
            Self::Compound => "an old Office file that is no workbook",
            Self::Utf16 => UTF_16,
            Self::Html => "a web page",
            Self::Model => "a SafeTensors model",
        }
    }
}
