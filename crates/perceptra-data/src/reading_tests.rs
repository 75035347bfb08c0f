//! How files are read: headers, separators, lines, compression, JSON lines and workbooks.

use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};

use crate::read::Reading;
use crate::*;

type Cells = Vec<(String, Vec<Option<String>>)>;

/// The columns of a table with their values as text.
fn contents(table: &Table) -> Cells {
    table.columns().into_iter().map(|name| (name.clone(), table.texts(&name, &Default::default()).unwrap())).collect()
}

/// A column as [`contents`] has it; `-` stands for a missing value.
fn column(name: &str, values: &str) -> (String, Vec<Option<String>>) {
    (name.to_owned(), values.split(' ').map(|v| (v != "-").then(|| v.to_owned())).collect())
}

fn read(text: &str, options: &ReadOptions) -> Result<(Cells, Vec<String>), String> {
    let table = Table::from_csv("t", text, options).map_err(|e| match e.hint() {
        Some(hint) => format!("{e} | {hint}"),
        None => e.to_string(),
    })?;
    Ok((contents(&table), table.notes().iter().map(|note| note.kind.to_string()).collect()))
}

fn plain(text: &str) -> (Cells, Vec<String>) {
    read(text, &ReadOptions::default()).unwrap()
}

fn lines_of(table: &Table) -> Vec<u64> {
    (0..table.rows()).map(|row| table.line(row).unwrap()).collect()
}

fn file(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::File::create_new(&path).unwrap().write_all(bytes).unwrap();
    (folder, path)
}

/// Gives a few bytes at a time, as a pipe may.
struct Drops(Cursor<Vec<u8>>, usize);

impl Read for Drops {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = buffer.len().min(self.1);
        self.0.read(&mut buffer[..n])
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_file_without_a_header_has_numbered_columns() {
    let options = ReadOptions { header: false, ..Default::default() };
    let expected = [column("1", "5 6"), column("2", "a b"), column("3", "- 7")];
    for text in ["5,a,\n6,b,7\n", "\u{feff}5;a;\r\n6;b;7", "sep=|\n5|a|\n6|b|7\n"] {
        assert_eq!(read(text, &options), Ok((expected.to_vec(), Vec::new())), "{text:?}");
    }
    // A header that looks like a row is told of; years do not, beside other names.
    let note = |first: &str| format!("the first line is read as the header, but {first:?} looks like a value of a row");
    for (text, said) in [
        ("1,2\n3,4\n", vec![note("1")]),
        ("a,0.5\n3,4\n", vec![note("0.5")]),
        ("-1,b\n3,4\n", vec![note("-1")]),
        ("country,2019,2020\nx,4,5\n", vec![]),
    ] {
        assert_eq!(plain(text).1, said, "{text:?}");
    }
    let twice = read("7,7\n1,2\n", &ReadOptions::default()).unwrap_err();
    let hint = "if the file has no header, read it as one without";
    assert_eq!(twice, format!("t: columns 1 and 2 are both named \"7\" | {hint}"));
}

#[test]
fn lines_above_the_header_are_skipped_or_named() {
    let table = "a,b,c\n1,x,2\n3,y,4\n";
    let expected = plain(table);
    for (title, lines) in [
        ("Report\n", 1),
        ("Report\n\n", 2),
        ("Report of 2024\nBy me, and others\n\n", 3),
        ("Report,,\n,,\n", 2),
        ("Report,\r\n,\r\n", 2),
        ("\"Report\n of 2024\"\n", 2),
        ("Report; all of it\n", 1),
    ] {
        let text = format!("{title}{table}");
        // A separator in the title may be taken for that of the table: then the table is named by itself.
        let error = read(&text, &ReadOptions::default());
        if !title.contains(';') {
            let skip = if lines == 1 { "the first line".to_owned() } else { format!("the first {lines} lines") };
            let message = "this line looks like the header, and not the lines above it, which have fewer fields";
            assert_eq!(error, Err(format!("t:{}: {message} | skip {skip}", lines + 1)), "{text:?}");
        }
        let options = ReadOptions { skip_rows: lines, ..Default::default() };
        assert_eq!(read(&text, &options).as_ref(), Ok(&expected), "{text:?}");
        let line = Table::from_csv("t", text, &options).unwrap().line(1);
        assert_eq!(line, Some(lines as u64 + 3));
    }
    // Another separator than the title lets expect, and a table of texts.
    for text in ["Report\na;b;c\n1;2;3\n4;5;6\n", "Report of 2024\na\tb\nx\ty\nz\tw\n"] {
        assert!(read(text, &ReadOptions::default()).unwrap_err().starts_with("t:2: this line looks like the header"));
    }
    let none = read("a,b\n", &ReadOptions { skip_rows: 9, ..Default::default() });
    assert_eq!(none, Err("t: the file is empty".into()));
    // These are tables.
    for text in ["a,,\n1,,\n2,,\n", ",,a\n1,x,2\n1,y,3\n", "a\nx y\nz w\n", "a b\n1\n2\n", "a\n1\n2\n"] {
        assert!(read(text, &ReadOptions::default()).is_ok(), "{text:?}");
    }
    // A row with a field too many is still that.
    let error = read("a,b,c\n1,2,3,4\n5,6,7\n8,9,10\n", &ReadOptions::default()).unwrap_err();
    assert!(error.starts_with("t:2: 4 fields, the header has 3 | "), "{error}");
}

#[test]
fn whitespace_separates_fields() {
    let expected = [column("a", "1 3"), column("b", "x y z"), column("c", "2 4")];
    let expected = [expected[0].clone(), ("b".into(), vec![Some("x".into()), Some("y z".into())]), expected[2].clone()];
    let whitespace = ReadOptions { delimiter: Some(Delimiter::Whitespace), ..Default::default() };
    let aligned = "a     b        c\n1     x        2\n3     \"y z\"    4\n";
    let note = vec!["the columns are taken to be separated by blanks".to_owned()];
    assert_eq!(plain(aligned), (expected.to_vec(), note.clone()));
    for text in [aligned, "  a b \t c  \r\n\r\n   \r\n1 x 2\r\n\t3 \"y z\" 4", "a b c\r1 x 2\r3 \"y z\" 4 \r \r"] {
        assert_eq!(read(text, &whitespace), Ok((expected.to_vec(), Vec::new())), "{text:?}");
    }
    // As R's write.table does it.
    let (cells, notes) = plain("\"a\" \"c\"\n\"1\" 5.5 u\n\"2\" 6 v\n");
    assert_eq!(cells, [column("a", "5.5 6"), column("c", "u v")]);
    assert_eq!(notes[..1], note);
    let file = ReadOptions { header: false, ..Default::default() };
    assert_eq!(read("1   2\n33  4\n", &file).unwrap().0, [column("1", "1 33"), column("2", "2 4")]);
    assert_eq!(read("a b\n1 \"\"\"q\"\"\"\n", &whitespace).unwrap().0, [column("a", "1"), column("b", "\"q\"")]);
    let error = |text: &str| read(text, &whitespace).unwrap_err();
    assert!(error("a b\n1 2\n3\n").starts_with("t:3: 1 fields, the header has 2"));
    assert_eq!(error("a b\n1 2\n3 \"4\n5 6\n"), "t:3: the quote opened in this row never closes");
    // Texts of one column.
    assert_eq!(plain("remark\nhello world\ngood morning\n").0[0].0, "remark");
    assert_eq!(plain("my remark\nhello world\ngood\n").0[0].0, "my remark");
}

#[test]
fn a_first_line_may_name_the_separator() {
    let expected = [column("a", "1,5 2"), column("b", "x y")];
    for (text, line) in [
        ("sep=;\na;b\n1,5;x\n2;y\n", 3),
        ("\u{feff}SEP=;\r\na;b\r\n1,5;x\r\n2;y\r\n", 3),
        ("\"sep=;\"\ra;b\r1,5;x\r2;y\r", 3),
        ("sep=\t\n\na\tb\n1,5\tx\n2\ty\n", 4),
    ] {
        let table = Table::from_csv("t", text, &ReadOptions::default()).unwrap();
        assert_eq!((contents(&table), table.line(0)), (expected.to_vec(), Some(line)), "{text:?}");
        assert!(table.notes().is_empty());
    }
    let options = ReadOptions { delimiter: Some('|'.into()), ..Default::default() };
    assert_eq!(read("sep=;\na|b\n1,5|x\n2|y\n", &options).unwrap().0, expected);
}

#[test]
fn names_of_rows_and_separators_at_the_end_are_left_out() {
    let expected = [column("a", "1 3 -"), column("b", "2 4 5")];
    let names =
        "each row has one field more than the header: the first one is taken as the name of the row and left out";
    let ends = "each row ends with a separator that the header lacks: the empty fields after it are left out";
    for (text, note) in [
        ("\"a\",\"b\"\n\"r 1\",1,2\n\"r 2\",3,4\n\"r 3\",NA,5\n", names),
        ("a,b\n1,1,2\n2,3,4\n3,,5\n", names),
        ("a,b\n1,2,\n3,4,\n,5,\n", ends),
        ("a,b\n1,2,,\n3,4,,\n,5,,\n", ends),
    ] {
        assert_eq!(plain(text), (expected.to_vec(), vec![note.to_owned()]), "{text:?}");
    }
    assert_eq!(plain("x\n\"1\",5\n\"2\",6\n").0, [column("x", "5 6")]);
    // Not every row: the first one is wrong, or the one with a value.
    let late: String = (0..40).map(|i| format!("{i},1,2\n")).collect();
    let error = |text: &str| read(text, &ReadOptions::default()).unwrap_err();
    assert!(error(&format!("a,b\n{late}1,2\n")).starts_with("t:2: 3 fields, the header has 2"));
    let late: String = (0..40).map(|i| format!("{i},1,\n")).collect();
    assert!(error(&format!("a,b\n{late}1,2,3\n")).starts_with("t:42: 3 fields, the header has 2"));
}

#[test]
fn columns_without_a_name_and_rows_without_a_value_are_left_out() {
    let (cells, notes) = plain("a,,b,,\n1,,2,,\n,,,,\n3,,4,,\n , ,,,\n");
    assert_eq!(cells, [column("a", "1 3"), column("b", "2 4")]);
    let said = [
        "3 columns without a name and without a value are left out",
        "2 rows without any value are left out, the first one in line 3",
    ];
    assert_eq!(notes, said);
    // One with a value gets the name that pandas gives it.
    let (cells, notes) = plain(",a,\n7,1,\n8,2,\n");
    assert_eq!(cells, [column("Unnamed: 0", "7 8"), column("a", "1 2")]);
    let said =
        ["a column without a name is called \"Unnamed: 0\"", "a column without a name and without a value is left out"];
    assert_eq!(notes, said);
    // The one field of a row may be a missing value.
    assert_eq!(plain("a\n1\n\"\"\n \n2\n"), (vec![column("a", "1 - - 2")], Vec::new()));
    // A table has a column.
    assert_eq!(plain("\"\"\n1\n\"\"\n").0, [column("Unnamed: 0", "1 -")]);
    assert_eq!(read(",\n,\n", &ReadOptions::default()), Err("t: there is a header but no row of data".into()));
    // A reader knows only in the end which columns are empty.
    let rows: String = (0..20).map(|i| format!("{i},{},\n", if i == 19 { "x" } else { "" })).collect();
    let input = Cursor::new(format!("a,,\n{rows}").into_bytes());
    let reading = Reading { rows: 8, ..Default::default() };
    let mut reader = TableReader::from_stream("t".into(), Box::new(input), &ReadOptions::default(), reading).unwrap();
    assert_eq!(reader.empty_columns(), ["Unnamed: 1", "Unnamed: 2"]);
    assert_eq!(reader.by_ref().map(|table| table.unwrap().rows()).collect::<Vec<_>>(), [8, 8, 4]);
    assert_eq!(reader.empty_columns(), ["Unnamed: 2"]);
    assert_eq!(reader.notes().len(), 2);
}

/// The lines of all rows, or the error, however the bytes are read.
fn deliveries(bytes: &[u8], options: &ReadOptions) -> Vec<(&'static str, Result<Vec<u64>, String>)> {
    let (folder, path) = file("t", bytes);
    let (gz_folder, gz) = file("t", &gzip(bytes));
    let own = |e: DataError| {
        let name = |folder: &tempfile::TempDir| format!("{}/", folder.path().display());
        e.to_string().replace(&name(&folder), "").replace(&name(&gz_folder), "")
    };
    let pieces = |reader: Result<TableReader, DataError>| {
        let tables = reader.and_then(Iterator::collect::<Result<Vec<_>, _>>);
        tables.map(|tables| tables.iter().flat_map(lines_of).collect()).map_err(own)
    };
    let stream = |path: &Path| {
        let mut first = Vec::new();
        let stream = TableStream::open(path, options, 2, |_, table| {
            first.push(lines_of(&table));
            Ok(())
        });
        let stream = stream.map_err(own)?;
        // From the last piece to the first, where pieces can be read in any order.
        let again = stream.read(|pieces| (0..pieces as u32).rev().collect()).unwrap();
        let mut again: Vec<_> = again.map(|piece| piece.map(|(row, table)| (row, lines_of(&table))).unwrap()).collect();
        again.sort();
        assert_eq!(again.into_iter().map(|(_, lines)| lines).collect::<Vec<_>>(), first);
        Ok(first.concat())
    };
    let drops = |step: usize, live: bool| {
        let input = Box::new(Drops(Cursor::new(bytes.to_vec()), step));
        let reading = Reading { rows: 3, live, ..Default::default() };
        pieces(TableReader::from_stream("t".into(), input, options, reading))
    };
    let whole = |path: &Path| Table::read(path, options).map(|table| lines_of(&table)).map_err(own);
    vec![
        ("whole", whole(&path)),
        ("gzip", whole(&gz)),
        ("row by row", pieces(TableReader::open(&path, options, 1))),
        ("stream", stream(&path)),
        ("gzip stream", stream(&gz)),
        ("byte by byte", drops(1, false)),
        ("pipe", drops(1, true)),
        ("pipe of 7", drops(7, true)),
    ]
}

#[test]
fn every_message_has_the_physical_line() {
    // With this row in line 14.
    let lines = |row: &str| {
        let lines = ["a title", "\"more", "# comment", "", "n,t,c,y", "", "1,\"two", "", "lines\",train,1", "# note"];
        let below = ["2,b,test,2", "", "#", row, "4,d,train,4", ""];
        lines.into_iter().chain(below).map(str::to_owned).collect::<Vec<_>>()
    };
    let options = ReadOptions { skip_rows: 2, comment: Some('#'), ..Default::default() };
    let options_of_lines = options.clone();
    let blanks = ReadOptions { delimiter: Some(Delimiter::Whitespace), ..options.clone() };
    for end in ["\n", "\r\n", "\r"] {
        let text = |row: &str| lines(row).join(end);
        let spaced = |row: &str| text(row).replace(',', "  ");
        for (name, got) in deliveries(text("3,c,test,3").as_bytes(), &options) {
            assert_eq!(got, Ok(vec![7, 11, 14, 15]), "{name} {end:?}");
        }
        for (name, got) in deliveries(spaced("3,c,test,3").as_bytes(), &blanks) {
            assert_eq!(got, Ok(vec![7, 11, 14, 15]), "blanks, {name} {end:?}");
        }
        // Messages of the reader.
        for (row, message) in [
            ("3,c,test", "t:14: 3 fields, the header has 4"),
            ("3,\"c,test,3", "t:14: the quote opened in this row never closes"),
            ("3,§,test,3", "t:14, column \"t\": byte 1 of the field is not UTF-8"),
        ] {
            let bytes = |text: String| -> Vec<u8> {
                let latin_1 = text.chars().map(|c| if c == '§' { 0xa7 } else { c as u8 });
                latin_1.collect()
            };
            for (text, options) in [(text(row), &options), (spaced(row), &blanks)] {
                for (name, got) in deliveries(&bytes(text), options) {
                    assert_eq!(got, Err(message.to_owned()), "{name} {end:?}");
                }
            }
        }
        let long = format!("3,{},test,3", "x".repeat(65 << 20));
        let error = Table::from_csv("t", text(&long), &options).unwrap_err();
        assert_eq!(error.to_string(), "t:14: the row is longer than 64 MiB", "{end:?}");
        // Messages of values.
        let table = |row: &str| Table::from_csv("t", text(row), &options).unwrap();
        let wrong: [(&str, DataError); 8] = [
            ("column \"n\": \"x\" is not a number", {
                let options =
                    SchemaOptions { target: vec!["y".into()], numeric: vec!["n".into()], ..Default::default() };
                Schema::infer(&table("x,c,test,3"), &options).unwrap_err()
            }),
            ("column \"n\": 1e400 is not finite in 32-bit floats", {
                let options = SchemaOptions { target: vec!["n".into()], ..Default::default() };
                let table = table("1e400,c,test,3");
                let options = SchemaOptions { task: Some(Task::Regression), ..options };
                Schema::infer(&table, &options).unwrap_err()
            }),
            (
                "column \"y\": the target is missing",
                table("3,c,test,").target_values("y", &Default::default()).unwrap_err(),
            ),
            ("column \"n\": the weight is missing", table(",c,test,3").row_weights("n").unwrap_err()),
            ("column \"n\": the weight -3 is below 0", table("-3,c,test,3").row_weights("n").unwrap_err()),
            ("column \"c\": \"part\" names no part of the data", {
                Split::from_column(&table("3,c,part,3"), "c").unwrap_err()
            }),
            ("column \"c\": the class \"new\" did not occur in training", {
                let labels = ["train".to_owned(), "test".to_owned()];
                table("3,c,new,3").class_numbers("c", &labels, false).unwrap_err()
            }),
            (
                "column \"y\": the target 1000000000000000000000000000000 lies too far from those of the training rows",
                {
                    let far = table("3,c,test,1e30");
                    let options =
                        SchemaOptions { target: vec!["y".into()], task: Some(Task::Regression), ..Default::default() };
                    let schema = Schema::infer(&far, &options).unwrap();
                    let text =
                        text("3,c,test,3").replace(",1", ",1e-30").replace(",2", ",2e-30").replace(",4", ",4e-30");
                    let near = Table::from_csv("t", text.replace(",3", ",3e-30"), &options_of_lines).unwrap();
                    let encoder = Encoder::fit(&near, &schema, None, &EncoderOptions::default()).unwrap();
                    encoder.outputs_of(&far).unwrap_err()
                },
            ),
        ];
        for (message, error) in wrong {
            assert_eq!(error.to_string(), format!("t:14, {message}"), "{end:?}");
        }
    }
}

#[test]
fn every_compression_is_one_table() {
    let rows: String = (0..500).map(|i| format!("{i},\"a {}\nb\"\r\n", i % 7)).collect();
    let text = format!("\u{feff}n,t\r\n{rows}");
    let expected = contents(&Table::from_csv("t", text.clone(), &ReadOptions::default()).unwrap());
    let mut bz = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bz.write_all(text.as_bytes()).unwrap();
    let mut two = gzip(&text.as_bytes()[..900]);
    two.extend(gzip(&text.as_bytes()[900..]));
    let files: [(&str, Vec<u8>); 5] = [
        ("t.csv.gz", gzip(text.as_bytes())),
        ("of two parts", two),
        ("t.csv.bz2", bz.finish().unwrap()),
        ("t.csv.xz", XZ.to_vec()),
        ("t.csv.zst", zstd::encode_all(text.as_bytes(), 1).unwrap()),
    ];
    for (name, bytes) in files {
        // The xz file was made by xz 5.4 (there is no encoder here): it has fewer rows.
        let expected = if name == "t.csv.xz" { vec![column("n", "1 2"), column("t", "x y")] } else { expected.clone() };
        let (_folder, path) = file(name, &bytes);
        let whole = Table::read(&path, &ReadOptions::default()).unwrap();
        assert_eq!(contents(&whole), expected, "{name}");
        let mut rows = 0;
        let stream = TableStream::open(&path, &ReadOptions::default(), 64, |first, table| {
            assert_eq!(first, rows);
            rows += table.rows() as u64;
            Ok(())
        });
        let again = stream.unwrap().read(|_| Vec::new()).unwrap().map(|piece| piece.unwrap().1.rows() as u64).sum();
        assert_eq!((rows, whole.rows() as u64), (again, again), "{name}");
        // From a pipe, and cut off.
        let pipe = |bytes: &[u8]| {
            let input = Box::new(Drops(Cursor::new(bytes.to_vec()), 11));
            let reading = Reading { rows: 64, live: true, ..Default::default() };
            let reader = TableReader::from_stream("t".into(), input, &ReadOptions::default(), reading);
            reader.and_then(|reader| reader.map(|table| table.map(|table| table.rows() as u64)).sum::<Result<u64, _>>())
        };
        assert_eq!(pipe(&bytes).unwrap(), rows, "{name}");
        assert!(pipe(&bytes[..bytes.len() - 9]).is_err(), "{name}");
        // Compressed twice.
        let (_folder, path) = file("twice", &gzip(&bytes));
        let error = Table::read(&path, &ReadOptions::default()).unwrap_err().to_string();
        assert!(error.contains("a doubly compressed file"), "{error}");
    }
}

/// `printf 'n,t\n1,x\n2,y\n' | xz`
const XZ: &[u8] = &[
    0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 0x00, 0x04, 0xe6, 0xd6, 0xb4, 0x46, 0x02, 0x00, 0x21, 0x01, 0x16, 0x00, 0x00,
    0x00, 0x74, 0x2f, 0xe5, 0xa3, 0x01, 0x00, 0x0b, 0x6e, 0x2c, 0x74, 0x0a, 0x31, 0x2c, 0x78, 0x0a, 0x32, 0x2c, 0x79,
    0x0a, 0x00, 0x86, 0x0c, 0x52, 0x2e, 0x1d, 0xbe, 0xda, 0xd2, 0x00, 0x01, 0x24, 0x0c, 0xa6, 0x18, 0xd8, 0xd8, 0x1f,
    0xb6, 0xf3, 0x7d, 0x01, 0x00, 0x00, 0x00, 0x00, 0x04, 0x59, 0x5a,
];

#[test]
fn json_lines_are_tables() {
    let options = ReadOptions::default();
    let text = "{\"n\": 1.50, \"t\": \"a \\\"b\\\"\\n\\u00e9\", \"b\": true}\n\n{\"b\":false,\"n\":-2e3,\"late\":\"NA\",\"t\":null}\r\n\
                { \"late\" : \"x\" }\r{\"n\": 9007199254740993, \"late\": \"null\"}";
    let expected = [
        column("n", "1.5 -2000 - 9007199254740992"),
        ("t".to_owned(), vec![Some("a \"b\"\né".to_owned()), None, None, None]),
        column("b", "true false - -"),
        column("late", "- - x -"),
    ];
    let (_folder, path) = file("t.jsonl", text.as_bytes());
    let (_gz_folder, gz) = file("t.jsonl.gz", &gzip(text.as_bytes()));
    for path in [&path, &gz] {
        let table = Table::read(path, &options).unwrap();
        assert_eq!(table.texts("t", &Default::default()).unwrap(), expected[1].1);
        let numbers = table.numbers("n", ColumnKind::Numeric, &Default::default()).unwrap();
        assert_eq!(numbers, [Some(1.5), Some(-2000.0), None, Some(9_007_199_254_740_992.0)]);
        for at in [2, 3] {
            assert_eq!(table.texts(&expected[at].0, &Default::default()).unwrap(), expected[at].1);
        }
        assert_eq!(lines_of(&table), [1, 3, 4, 5]);
        // In pieces all keys are known, too.
        let mut lines = Vec::new();
        let stream = TableStream::open(path, &options, 1, |_, table| {
            assert_eq!(table.columns(), ["n", "t", "b", "late"]);
            lines.extend(lines_of(&table));
            Ok(())
        });
        assert_eq!(lines, [1, 3, 4, 5]);
        assert_eq!(stream.unwrap().read(|_| Vec::new()).unwrap().count(), 4);
        let mut reader = TableReader::open(path, &options, 1).unwrap();
        assert_eq!((reader.columns().len(), reader.by_ref().map(Result::unwrap).count()), (4, 4));
    }
    // From a pipe the keys are those of the first rows, or of all if the table is read at once.
    assert_eq!(Table::from_csv("t", text, &options).unwrap().columns(), ["n", "t", "b", "late"]);
    let pipe = |text: &str| {
        let input = Box::new(Drops(Cursor::new(text.as_bytes().to_vec()), 5));
        let reading = Reading { rows: 1, live: true, ..Default::default() };
        let reader = TableReader::from_stream("t".into(), input, &options, reading);
        reader.and_then(|reader| reader.map(|table| table.map(|table| lines_of(&table))).collect::<Result<Vec<_>, _>>())
    };
    let error = pipe(text).unwrap_err();
    assert_eq!(error.to_string(), "t:3: the key \"late\" appears here first, after rows have been read without it");
    assert_eq!(pipe("{\"a\":1}\r\r{\"a\":2}\r").unwrap(), [[1], [3]]);
    // Nested values are an error where they are used.
    let nested = Table::from_csv("t", "{\"x\":1,\"l\":[1],\"y\":3}\n{\"x\":2,\"l\":null,\"y\":5}\n", &options).unwrap();
    let target = SchemaOptions { target: vec!["y".into()], ..Default::default() };
    let error = Schema::infer(&nested, &target).unwrap_err().to_string();
    assert_eq!(error, "t, column \"l\": columns of type JSON array are not supported");
    assert!(Schema::infer(&nested, &SchemaOptions { ignore: vec!["l".into()], ..target }).is_ok());
    for (text, message) in [
        ("{\"a\":1}\r\n\r\n{\"a\":}\r\n", "t:3: the line is not a JSON object: expected value at column 6"),
        (
            "{\"a\":1}\n[1]\n",
            "t:2: the line is not a JSON object: invalid type: sequence, expected an object at column 0",
        ),
        ("{\"a\":1,\"a\":2}\n", "t:1: the line is not a JSON object: the key \"a\" occurs twice"),
        ("{\n\"a\":1}\n", "t:1: the line is not a JSON object: EOF while parsing an object at column 1"),
        ("[{\"a\":1}]", "t: this looks like a JSON array, not like a table this program reads"),
    ] {
        assert_eq!(Table::from_csv("t", text, &options).unwrap_err().to_string(), message);
    }
    // A header may begin with a brace.
    assert_eq!(plain("{a},[b]\n1,2\n").0[0].0, "{a}");
}

/// A workbook with these sheets.
fn workbook(sheets: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let mut add = |name: &str, text: String| {
        let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        zip.start_file(name, options).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    };
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let package = "http://schemas.openxmlformats.org/package/2006";
    let list = |item: &dyn Fn(usize, &str) -> String| -> String {
        sheets.iter().enumerate().map(|(i, (name, _))| item(i + 1, name)).collect()
    };
    let kinds = list(&|i, _| {
        format!(
            "<Override PartName=\"/xl/worksheets/sheet{i}.xml\" \
             ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml\"/>"
        )
    });
    add(
        "[Content_Types].xml",
        format!(
            "<Types xmlns=\"{package}/content-types\"><Default Extension=\"xml\" ContentType=\"application/xml\"/>{kinds}</Types>"
        ),
    );
    add(
        "_rels/.rels",
        format!(
            "<Relationships xmlns=\"{package}/relationships\"><Relationship Id=\"r\" Type=\"{office}/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>"
        ),
    );
    let names = list(&|i, name| format!("<sheet name=\"{name}\" sheetId=\"{i}\" r:id=\"r{i}\"/>"));
    add(
        "xl/workbook.xml",
        format!("<workbook xmlns=\"{main}\" xmlns:r=\"{office}\"><sheets>{names}</sheets></workbook>"),
    );
    let parts = list(&|i, _| {
        format!("<Relationship Id=\"r{i}\" Type=\"{office}/worksheet\" Target=\"worksheets/sheet{i}.xml\"/>")
    });
    let styles = format!("<Relationship Id=\"s\" Type=\"{office}/styles\" Target=\"styles.xml\"/>");
    add(
        "xl/_rels/workbook.xml.rels",
        format!("<Relationships xmlns=\"{package}/relationships\">{parts}{styles}</Relationships>"),
    );
    // Format 14 is a date, 22 a date with a time of day.
    add(
        "xl/styles.xml",
        format!(
            "<styleSheet xmlns=\"{main}\"><cellXfs><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/><xf numFmtId=\"22\"/></cellXfs></styleSheet>"
        ),
    );
    for (i, (_, rows)) in sheets.iter().enumerate() {
        add(
            &format!("xl/worksheets/sheet{}.xml", i + 1),
            format!("<worksheet xmlns=\"{main}\"><sheetData>{rows}</sheetData></worksheet>"),
        );
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn sheets_of_workbooks_are_tables() {
    let text = |cell: &str, text: &str| format!("<c r=\"{cell}\" t=\"inlineStr\"><is><t>{text}</t></is></c>");
    let value = |cell: &str, more: &str, value: &str| format!("<c r=\"{cell}\"{more}><v>{value}</v></c>");
    let row = |cells: &[String]| format!("<row>{}</row>", cells.concat());
    let header = [text("B3", "n"), text("C3", "day"), text("D3", "time"), text("E3", "t"), text("F3", "b")];
    // 45352 is 2024-03-01.
    let first = [
        value("B4", "", "1.5"),
        value("C4", " s=\"1\"", "45352"),
        value("D4", " s=\"2\"", "45352.75"),
        text("E4", "x, y"),
        value("F4", " t=\"b\"", "1"),
    ];
    let third = [value("B6", "", "-2"), value("E6", " t=\"e\"", "#N/A"), value("F6", " t=\"b\"", "0")];
    let data = [row(&header), row(&first), row(&third)].concat();
    let titled = row(&[text("B1", "Report")]) + &data;
    let expected = [
        column("n", "1.5 -2"),
        column("day", "2024-03-01 -"),
        column("time", "2024-03-01T18:00:00 -"),
        ("t".to_owned(), vec![Some("x, y".to_owned()), None]),
        column("b", "true false"),
    ];
    let bytes =
        workbook(&[("Data", &data), ("Other", &row(&[text("A1", "z"), value("A2", "", "7")])), ("Titled", &titled)]);
    let (_folder, path) = file("t.xlsx", &bytes);
    let table = Table::read(&path, &ReadOptions::default()).unwrap();
    for (name, values) in &expected {
        let text: Vec<_> = table.column(name).unwrap().written().map(|cell| cell.map(str::to_owned)).collect();
        assert_eq!(&text, values, "{name}");
    }
    assert_eq!(table.column("day").unwrap().kind(), Some(ColumnKind::Date));
    // The empty row between them is left out, and told of; rows keep their numbers in the sheet.
    assert_eq!(lines_of(&table), [4, 6]);
    let notes: Vec<_> = table.notes().iter().map(|note| note.kind.to_string()).collect();
    assert_eq!(
        notes,
        ["the sheet \"Data\" is read, and not \"Other\", \"Titled\"", "a row without any value is left out, line 5"]
    );
    // From a pipe, in a stream, and another sheet.
    let same = Table::from_csv("t", bytes.clone(), &ReadOptions::default()).unwrap();
    assert_eq!(contents(&same), contents(&table));
    let stream = TableStream::open(&path, &ReadOptions::default(), 1, |_, _| Ok(())).unwrap();
    assert_eq!(stream.read(|_| Vec::new()).unwrap().map(|piece| piece.unwrap().1.rows()).collect::<Vec<_>>(), [1, 1]);
    let sheet = |name: &str| ReadOptions { sheet: Some(name.into()), ..Default::default() };
    let error = Table::read(&path, &sheet("Titled")).unwrap_err();
    assert!(error.to_string().contains(".xlsx:3: this line looks like the header"), "{error}");
    let skipped = Table::read(&path, &ReadOptions { skip_rows: 2, ..sheet("Titled") }).unwrap();
    assert_eq!(contents(&skipped), contents(&table));
    let error = Table::read(&path, &sheet("data")).unwrap_err();
    assert!(error.to_string().ends_with("there is no sheet \"data\", but \"Data\", \"Other\", \"Titled\""), "{error}");
    assert_eq!(error.hint(), Some(Hint::DidYouMean("Data".into())));
    // Cut off anywhere it is an error.
    for length in (5..bytes.len()).step_by(97) {
        assert!(Table::from_csv("t", &bytes[..length], &ReadOptions::default()).is_err(), "{length}");
    }
}
