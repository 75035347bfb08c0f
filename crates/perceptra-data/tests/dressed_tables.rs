//! Tables whose numbers and dates are written as people and programs write them, made at random: each is read as what it means, or
//! refused with the name of the column and a way out. `PERCEPTRA_TABLES` sets how many are tried.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use perceptra_data::{
    ColumnKind, DateOrder, Encoder, EncoderOptions, Note, ReadOptions, Schema, SchemaOptions, Table, Task,
};

/// A small generator of random numbers (Marsaglia's xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }
}

/// How numbers are written: the decimal separator, that of thousands, and what stands around a number.
#[derive(Debug, Clone, Copy)]
struct Dress {
    decimal: &'static str,
    thousands: &'static str,
    before: &'static str,
    after: &'static str,
    decimals: usize,
    parentheses: bool,
}

/// A number of thousandths in a dress, and its value.
fn written(thousandths: i64, dress: Dress) -> (String, f64) {
    let scale = 10_i64.pow(3 - dress.decimals as u32);
    let value = thousandths / scale * scale;
    let (whole, part) = (value.abs() / 1000, value.abs() % 1000 / scale);
    let digits = whole.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text += dress.thousands;
        }
        text.push(digit);
    }
    if dress.decimals > 0 {
        text += &format!("{}{part:0width$}", dress.decimal, width = dress.decimals);
    }
    let text = format!("{}{text}{}", dress.before, dress.after);
    let text = match (value < 0, dress.parentheses) {
        (true, true) => format!("({text})"),
        (true, false) => format!("-{text}"),
        (false, _) => text,
    };
    (text, value as f64 / 1000.0)
}

/// A table of a column `x` of texts and a column `y`, as CSV with either separator or as Arrow has it.
fn table(format: u64, rows: &[(String, i64)]) -> Table {
    if format == 2 {
        let texts: StringArray = rows.iter().map(|(text, _)| (!text.is_empty()).then_some(text.as_str())).collect();
        let y: Int64Array = rows.iter().map(|(_, y)| Some(*y)).collect();
        let batch = RecordBatch::try_from_iter([("x", Arc::new(texts) as ArrayRef), ("y", Arc::new(y))]).unwrap();
        return Table::from_batch("dressed", &batch, &Default::default()).unwrap();
    }
    let separator = [",", ";"][format as usize];
    let row = |(text, y): &(String, i64)| format!("\"{text}\"{separator}{y}\n");
    let rows: String = rows.iter().map(row).collect();
    csv(&format!("x{separator}y\n{rows}"))
}

fn csv(text: &str) -> Table {
    Table::from_csv("t.csv", text, &Default::default()).unwrap()
}

/// Whether the column `x` is read, as these values; else it must be refused by name and with a hint.
fn is_read(case: &str, table: &Table, kind: ColumnKind, values: &[Option<f64>], options: SchemaOptions) -> bool {
    match Schema::infer(table, &SchemaOptions { target: vec!["y".into()], ..options }) {
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains("\"x\""), "{case}: the column is not named: {text}");
            assert!(error.hint().is_some(), "{case}: no way out of: {text}");
            false
        }
        Ok(schema) => {
            assert!(schema.dropped.is_empty(), "{case}: {:?}", schema.dropped);
            assert_eq!(schema.features[0].kind, kind, "{case}: {:?}", schema.notes);
            let read = table.numbers("x", kind, &schema.notation("x")).unwrap();
            if let [Note::DecimalPoint { .. }, ..] | [.., Note::DecimalPoint { .. }] = schema.notes.as_slice() {
                // Nobody can know; the note names the other reading.
                return read == values;
            }
            assert_eq!(read, values, "{case}: {:?}", schema.notes);
            true
        }
    }
}

fn count() -> u64 {
    std::env::var("PERCEPTRA_TABLES").ok().and_then(|n| n.parse().ok()).unwrap_or(150)
}

#[test]
fn numbers_in_any_dress_are_read_or_refused() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let unknown_marks = ["k.A.", "k. Angabe"];
    let marks =
        ["-", "--", "*", "n/a", "?", "#DIV/0!", "#N/A", "missing", "NULL", "n.a.", "unknown", "", "k.A.", "k. Angabe"];
    let separators = [
        (".", ""),
        (",", ""),
        (".", ","),
        (",", "."),
        (".", " "),
        (",", " "),
        (",", "\u{a0}"),
        (".", "'"),
        (",", "\u{202f}"),
    ];
    let signs = [
        ("", ""),
        ("", ""),
        ("", ""),
        ("$", ""),
        ("", " €"),
        ("£", ""),
        ("EUR ", ""),
        ("", "%"),
        ("", " %"),
        ("", " USD"),
    ];
    let (mut read, mut tried) = (0, 0);
    for _ in 0..count() {
        let ((decimal, thousands), (before, after)) = (random.pick(&separators), random.pick(&signs));
        let decimals = random.below(4) as usize;
        let dress = Dress { decimal, thousands, before, after, decimals, parentheses: random.below(3) == 0 };
        let (rows, share) = (random.pick(&[30, 300, 3000]), random.pick(&[0, 0, 1, 5, 11, 30, 49]));
        let (mark, largest) = (random.pick(&marks), random.pick(&[1_000_000, 100_000_000, 100_000_000_000]));
        let (mut cells, mut values, mut marked) = (Vec::new(), Vec::new(), 0);
        for row in 0..rows {
            let below_0 = if random.below(2) == 0 { largest } else { 0 };
            let (text, value) = written(random.below(2 * largest as u64) as i64 - below_0, dress);
            // Half of the cells or more are numbers.
            let is_marked = row > 3 && random.below(100) < share && 2 * marked < row;
            marked += u32::from(is_marked);
            cells.push((if is_marked { mark.to_owned() } else { text }, i64::from(row % 7)));
            values.push((!is_marked).then_some(value));
        }
        let table = table(random.below(3), &cells);
        let case = format!("{dress:?}, {rows} rows, {share} % {mark:?}, such as {:?}", &cells[..4]);
        tried += 1;
        if is_read(&case, &table, ColumnKind::Numeric, &values, SchemaOptions::default()) {
            read += 1;
        } else if share == 0 || !unknown_marks.contains(&mark) {
            // With its separators it is read.
            let set = |text: &str| text.chars().next().map(|c| if c.is_whitespace() { ' ' } else { c });
            let options =
                SchemaOptions { decimal: set(decimal), thousands: set(thousands), ..SchemaOptions::default() };
            let read = is_read(&case, &table, ColumnKind::Numeric, &values, options);
            assert!(read, "refused in spite of its separators: {case}");
        }
    }
    // Most are read without a flag: 86 of 100.
    assert!(5 * read > 4 * tried, "{read} of {tried}");
}

#[test]
fn dates_in_any_dress_are_read_or_refused() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let (day_first, month_first) = (Some(DateOrder::DayFirst), Some(DateOrder::MonthFirst));
    let formats = [
        ("%Y-%m-%d", 86_400, None),
        ("%Y/%m/%d", 86_400, None),
        ("%Y-%m-%d %H:%M:%S+00", 1, None),
        ("%Y-%m-%d %H:%M:%S UTC", 1, None),
        ("%Y-%m-%dT%H:%M:%SZ", 1, None),
        ("%Y-%m-%dT%H:%M:%S+0000", 1, None),
        ("%Y%m%dT%H%M%S", 1, None),
        ("%Y-%m-%d %I:%M:%S %p", 1, None),
        ("%d-%b-%Y", 86_400, None),
        ("%d %B %Y %H:%M", 60, None),
        ("%b %d, %Y", 86_400, None),
        ("%d.%m.%Y", 86_400, day_first),
        ("%d/%m/%Y %H:%M", 60, day_first),
        ("%m/%d/%Y", 86_400, month_first),
        ("%m/%d/%y %I:%M %p", 60, month_first),
    ];
    for _ in 0..count() {
        let (format, unit, order) = random.pick(&formats);
        let (rows, share) = (random.pick(&[8, 30, 300]), random.pick(&[0, 0, 5, 30]));
        let mark = random.pick(&["-", "NULL", "n/a", "", "?"]);
        let (mut cells, mut values) = (Vec::new(), Vec::new());
        for row in 0..rows {
            let seconds = (random.below(30 * 365 * 86_400) as i64 + 946_684_800) / unit * unit;
            let time = chrono::DateTime::from_timestamp(seconds, 0).unwrap();
            let is_marked = row > 3 && random.below(100) < share;
            cells.push((if is_marked { mark.to_owned() } else { time.format(format).to_string() }, row % 7));
            values.push((!is_marked).then_some(seconds as f64 / 86_400.0));
        }
        let table = table(random.below(3), &cells);
        let case = format!("{format}, {rows} rows, {share} % {mark:?}, such as {:?}", &cells[..4]);
        if !is_read(&case, &table, ColumnKind::Date, &values, SchemaOptions::default()) {
            assert!(order.is_some(), "{case} was refused");
            let options = SchemaOptions { dates: order, ..SchemaOptions::default() };
            assert!(
                is_read(&case, &table, ColumnKind::Date, &values, options),
                "refused in spite of its order: {case}"
            );
        }
    }
}

fn target() -> SchemaOptions {
    SchemaOptions { target: vec!["y".into()], ..SchemaOptions::default() }
}

#[test]
fn choices_are_said() {
    let rows = |x: &dyn Fn(i32) -> String| -> String {
        let rows: String = (0..60).map(|i| format!("{},{}\n", x(i), i % 30)).collect();
        format!("x,y\n{rows}")
    };
    let infer = |text: &str| Schema::infer(&csv(text), &target());
    let notes = |text: &str| -> Vec<String> { infer(text).unwrap().notes.iter().map(Note::to_string).collect() };
    let marked = rows(&|i| if i % 4 == 1 { "-".into() } else { (i * i).to_string() });
    assert_eq!(notes(&marked), ["column \"x\": \"-\" in 15 rows is taken as missing"]);
    let money = notes(&rows(&|i| format!("\"${},{i:03}.5\"", i + 1)));
    assert!(money[0].contains("\"$1,000.5\" is 1000.5") && money.len() == 1, "{money:?}");
    let codes = rows(&|i| format!("00{}", 501 + i % 9));
    assert_eq!(notes(&codes), ["column \"x\" is taken as categories, because of zeros in front, as in \"00501\""]);
    let identifiers = notes(&rows(&|i| format!("{:05}", i * 7919 % 60_000)));
    assert!(identifiers[0].contains("as numbers in spite of zeros in front"), "{identifiers:?}");
    let texts = infer(&rows(&|i| format!("name {}", i * 7))).unwrap_err().to_string();
    assert!(texts.contains("as \"name 0\" and \"name 413\" do"), "{texts}");
    let mixed = notes(&rows(&|i| if i % 3 == 0 { format!("A{}", i % 5) } else { (i % 5).to_string() }));
    assert!(mixed[0].contains("half or more are numbers, such as \"1\", but not \"A0\""), "{mixed:?}");

    let plus = notes(&rows(&|i| ["0", "1", "2", "3+"][i as usize % 4].to_owned()));
    assert!(
        plus[0].contains("is taken as categories: half or more are numbers, such as \"0\", but not \"3+\""),
        "{plus:?}"
    );

    let counted: String = (0..60).map(|i| format!("{i},{},{}\n", i * i % 17, i % 30)).collect();
    let of_index = infer(&format!(",a,y\n{counted}")).unwrap();
    assert_eq!(of_index.dropped, [("Unnamed: 0".to_owned(), "it numbers the rows".to_owned())]);
    // The index of shuffled rows, as pandas writes it to Parquet files, says nothing either.
    let shuffled: String = (0..60).map(|i| format!("{},{},{}\n", i * 37 % 60, i * i % 17, i % 30)).collect();
    assert_eq!(infer(&format!("__index_level_0__,a,y\n{shuffled}")).unwrap().features.len(), 1);
    assert_eq!(infer(&format!("code,a,y\n{shuffled}")).unwrap().features.len(), 2);
    let of_time = infer(&format!("t,a,y\n{counted}")).unwrap();
    assert_eq!(of_time.features.len(), 2);
    assert_eq!(of_time.notes[0].to_string(), "column \"t\" counts the rows, in the order of the table");
    // Where there is nothing else to learn from, it is kept.
    assert_eq!(infer(&rows(&|i| i.to_string()).replace("x,y", "id,y")).unwrap().features.len(), 1);
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    let error = |cells: [&str; 3]| {
        let rows: String =
            cells.iter().cycle().take(30).enumerate().map(|(i, x)| format!("\"{x}\",{}\n", i % 9)).collect();
        Schema::infer(&csv(&format!("x,y\n{rows}")), &target()).map(|schema| schema.notes).unwrap_err().to_string()
    };
    assert_eq!(error(["1,234", "2,500", "12"]), "column \"x\": \"1,234\" may be 1.234 or 1234");
    assert_eq!(
        error(["1/2/2024", "3/4/2024", "5/5/2024"]),
        "column \"x\" has dates such as \"1/2/2024\": is the day first, or the month?"
    );
    let mixed = "column \"x\" has numbers or dates that are not written in one way: ";
    assert_eq!(error(["1,5", "1.5", "2"]), format!("{mixed}\"1,5\" and \"1.5\""));
    assert_eq!(error(["31/1/2024", "1/31/2024", "1/1/2024"]), format!("{mixed}\"31/1/2024\" and \"1/31/2024\""));
    // Many different numbers, or dates, and one text.
    let error = |cells: &dyn Fn(usize) -> String, other: &str| {
        let cell = |i: usize| if i % 3 == 2 { other.to_owned() } else { cells(i) };
        let rows: String = (0..60).map(|i| format!("{},{}\n", cell(i), i % 9)).collect();
        Schema::infer(&csv(&format!("x,y\n{rows}")), &target()).unwrap_err().to_string()
    };
    let numbers = error(&|i| (i * i).to_string(), "k.A.");
    assert!(numbers.contains("\"k.A.\" is not a number (20 such values in the column"), "{numbers}");
    let dates = error(&|i| format!("2024-{:02}-{:02}", i % 12 + 1, i % 28 + 1), "soon");
    assert!(dates.contains("\"soon\" is not a date"), "{dates}");
}

#[test]
fn one_value_is_one_category_in_any_spelling_and_format() {
    let options = SchemaOptions { categorical: vec!["x".into()], ..target() };
    let rows = |spell: &dyn Fn(i64) -> String| -> Table {
        let rows: String = (0..80).map(|i| format!("{},{}\n", spell(i % 4), i * 37 % 80)).collect();
        csv(&format!("x,y\n{rows}"))
    };
    let typed = |x: ArrayRef| -> Table {
        let y: Int64Array = (0..80).map(|i| Some(i * 37 % 80)).collect();
        let batch = RecordBatch::try_from_iter([("x", x), ("y", Arc::new(y))]).unwrap();
        Table::from_batch("typed", &batch, &Default::default()).unwrap()
    };
    let encode = |table: &Table| {
        let schema = Schema::infer(table, &options).unwrap();
        let encoder = Encoder::fit(table, &schema, None, &EncoderOptions::default()).unwrap();
        let (inputs, report) = encoder.inputs(table).unwrap();
        assert!(report.unseen.is_empty());
        (encoder, inputs)
    };
    // Four identifiers beyond 2⁵³ stay four.
    const LARGE: i64 = 9_007_199_254_740_993;
    let (encoder, inputs) = encode(&rows(&|k| (LARGE + k).to_string()));
    assert_eq!(encoder.width(), 4);
    let large = typed(Arc::new((0..80).map(|i| Some(LARGE + i % 4)).collect::<Int64Array>()));
    assert_eq!(encoder.inputs(&large).unwrap().0, inputs);
    assert_eq!(encode(&large).1, inputs);

    let (encoder, inputs) = encode(&rows(&|k| (k + 1).to_string()));
    let floats = typed(Arc::new((0..80).map(|i| Some(f64::from(i % 4 + 1))).collect::<Float64Array>()));
    for table in [rows(&|k| format!("{}.0", k + 1)), rows(&|k| format!("+{}.", k + 1)), floats] {
        assert_eq!(encoder.inputs(&table).unwrap(), (inputs.clone(), Default::default()));
    }
    // A code is not the number without its zeros.
    assert_eq!(encoder.inputs(&rows(&|k| format!("0{}", k + 1))).unwrap().1.unseen, [("x".to_owned(), 80)]);
}

#[test]
fn two_values_are_two_classes_and_codes_are_classes() {
    let task = |values: &[&str], options: SchemaOptions| {
        let rows: String = (0..60).map(|i| format!("{},{}\n", i * i % 23, values[i % values.len()])).collect();
        let schema = Schema::infer(&csv(&format!("a,y\n{rows}")), &options).unwrap();
        (schema.task, schema.reason.unwrap_or_default())
    };
    assert_eq!(task(&["-1", "1"], target()), (Task::Binary, "it has two different values, \"-1\" and \"1\"".into()));
    for values in [["1", "2"], ["0.5", "1.5"], ["yes", "no"]] {
        assert_eq!(task(&values, target()).0, Task::Binary);
    }
    assert_eq!(task(&["1", "1.0", "2", "2.0"], target()).0, Task::Binary);
    assert_eq!(
        task(&["0101", "0203", "1100"], target()),
        (Task::Multiclass, "it has codes with zeros in front".into())
    );
    let whole = "it has 3 different whole numbers, none below 0".to_owned();
    assert_eq!(task(&["3", "1", "2"], target()), (Task::Multiclass, whole));
    assert_eq!(task(&["-1", "0", "1"], target()).0, Task::Regression);
    let numeric = SchemaOptions { numeric: vec!["y".into()], ..target() };
    assert_eq!(task(&["-1", "1"], numeric).0, Task::Regression);
    let regression = SchemaOptions { task: Some(Task::Regression), ..target() };
    assert_eq!(task(&["007", "012", "100"], regression), (Task::Regression, String::new()));
}

#[test]
fn texts_and_numbers_for_missing_are_missing_in_every_format() {
    let mut options = ReadOptions::default();
    options.missing.push("-999".into());
    let columns: [(&str, ArrayRef); 3] = [
        ("a", Arc::new(Int64Array::from(vec![-999, 3, 4]))),
        ("b", Arc::new(Float64Array::from(vec![1.5, -999.0, 2.5]))),
        ("c", Arc::new(StringArray::from(vec![Some("u"), Some("NA"), None]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let text = "a,b,c\n-999,1.5,u\n3,-999.0,NA\n4,2.5,\n";
    for table in [Table::from_csv("t.csv", text, &options).unwrap(), Table::from_batch("t", &batch, &options).unwrap()]
    {
        let numbers = |name: &str| table.numbers(name, ColumnKind::Numeric, &Default::default()).unwrap();
        assert_eq!(numbers("a"), [None, Some(3.0), Some(4.0)]);
        assert_eq!(numbers("b"), [Some(1.5), None, Some(2.5)]);
        assert_eq!(table.texts("c", &Default::default()).unwrap(), [Some("u".to_owned()), None, None]);
    }
    // A class may be called as a mark is.
    let kept = ReadOptions { keep_text: vec!["None".into()], ..ReadOptions::default() };
    let table = Table::from_csv("t.csv", "d\nNone\nMild\nNA\n", &kept).unwrap();
    assert_eq!(table.texts("d", &Default::default()).unwrap(), [Some("None".to_owned()), Some("Mild".into()), None]);
}
