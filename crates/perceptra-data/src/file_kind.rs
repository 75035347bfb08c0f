//! Kinds of files.

use crate::variants::all_variants;

/// Description of a file of UTF-16 text.
pub(crate) const UTF_16: &str = "UTF-16 text";

/// The kind of a file, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    Empty,
    Text,
    Gzip,
    Parquet,
    Arrow,
    Zip,
    Utf16,
    Html,
    Model,
}

all_variants!(FileKind: Empty, Text, Gzip, Parquet, Arrow, Zip, Utf16, Html, Model);

impl FileKind {
    pub(crate) fn of(start: &[u8]) -> Self {
        match start {
            [] => Self::Empty,
            [0x1f, 0x8b, ..] => Self::Gzip,
            [b'P', b'A', b'R', b'1', ..] => Self::Parquet,
            [b'A', b'R', b'R', b'O', b'W', b'1', ..] => Self::Arrow,
            [b'P', b'K', 3, 4, ..] => Self::Zip,
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Self::Utf16,
            [_, _, _, _, _, 0, 0, 0, ..] => Self::Model,
            _ if start.to_ascii_lowercase().starts_with(b"<!doc")
                || start.to_ascii_lowercase().starts_with(b"<html") =>
            {
                Self::Html
            }
            _ => Self::Text,
        }
    }

    /// The name of the tables in files of this kind, if they can be read.
    pub(crate) fn table(self) -> Option<&'static str> {
        match self {
            Self::Text => Some("CSV or TSV"),
            Self::Gzip => Some("gzipped CSV or TSV"),
            Self::Parquet => Some("Parquet"),
            Self::Arrow => Some("Arrow IPC"),
            Self::Empty | Self::Zip | Self::Utf16 | Self::Html | Self::Model => None,
        }
    }

    /// A description of a file of this kind, for who cannot read a table from it.
    pub(crate) fn looks_like(self) -> &'static str {
        match self {
            Self::Empty => "an empty file",
            Self::Text => "text",
            // It was uncompressed once.
            Self::Gzip => "a doubly compressed file",
            Self::Parquet => "a Parquet file",
            Self::Arrow => "an Arrow IPC file",
            Self::Zip => "a zip archive or an Excel workbook",
            Self::Utf16 => UTF_16,
            Self::Html => "a web page",
            Self::Model => "a SafeTensors model",
        }
    }
}
