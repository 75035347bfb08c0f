//! Model files as untrusted input.

use perceptra::model::{RunConfig, Tables, train};
use perceptra::{Model, ModelError, Table, choose};

fn small_model(norm: &str) -> Model {
    small_model_with(&format!("norm = '{norm}'"))
}

/// A small model with these settings of the network, in TOML.
fn small_model_with(network: &str) -> Model {
    let embed_above = if network.contains("embedding") { 2 } else { 9 };
    small_model_of(&format!("embed_above = {embed_above}"), network)
}

/// A small model with these settings of the encoder and of the network, in TOML.
fn small_model_of(encoder: &str, network: &str) -> Model {
    let rows: String = (0..60).map(|i| format!("{},{},{}\n", i % 7, ["u", "v", "w"][i % 3], i % 7 + i % 3)).collect();
    let table = Table::from_csv("t.csv", format!("n,c,y\n{rows}"), &Default::default()).unwrap();
    let text = format!(
        "[data]\ntarget = ['y']\ntask = 'regression'\n[encoder]\n{encoder}\n[network]\nhidden = [3]\n{network}\n[train]\nepochs = 2\n"
    );
    let run = RunConfig::from_toml("t", &text).unwrap();
    let tables = Tables::from(table);
    train(&run, &tables, &choose("cpu").unwrap().device, &mut ()).unwrap().model
}

const PERIODIC: &str = "embedding = 'periodic'\nfrequencies = 3\ninput_scale = true\nparametric = true\nntk = true";
const MEMBERS: &str = "embedding = 'piecewise-linear'\nbins = 3\nembedding_width = 2\nmembers = 3\ndropout = 0.0";

/// The embedding in the metadata of a file.
fn embedding(about: &mut serde_json::Value) -> &mut serde_json::Value {
    &mut about["network"]["parts"]["embedding"]
}

/// Two networks of different shapes, the second one of twice the weight.
fn small_ensemble() -> Model {
    Model::ensemble([(1.0, small_model("none")), (2.0, small_model("batch"))]).unwrap()
}

fn load(bytes: &[u8]) -> Result<Model, ModelError> {
    Model::from_bytes("m", bytes, &choose("cpu").unwrap().device)
}

#[test]
fn saved_and_loaded_is_the_same_to_the_bit() {
    let table = Table::from_csv("t.csv", "c,n\nu,1\nv,5\nw,\n", &Default::default()).unwrap();
    let parts = [PERIODIC, MEMBERS].map(small_model_with);
    let norms = ["none", "batch", "layer"].map(small_model);
    for model in norms.into_iter().chain(parts).chain([small_ensemble()]) {
        let again = load(&model.to_bytes().unwrap()).unwrap();
        assert_eq!(again.predict(&table).unwrap(), model.predict(&table).unwrap());
        assert_eq!(again.to_bytes().unwrap(), model.to_bytes().unwrap());
        assert_eq!(again.network().to_string(), model.network().to_string());
        assert_eq!(again.about().history.best_epoch, model.about().history.best_epoch);
        assert_eq!(again.about().history.best().unwrap().train_loss, model.about().history.best().unwrap().train_loss);
    }
}

#[test]
fn a_file_cut_off_anywhere_is_an_error() {
    for model in [small_model("none"), small_model_with(MEMBERS), small_ensemble()] {
        let bytes = model.to_bytes().unwrap();
        for length in 0..bytes.len() {
            assert!(load(&bytes[..length]).is_err(), "{length} of {} bytes", bytes.len());
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(load(&longer).is_err());
    }
}

#[test]
fn any_flipped_bit_is_an_error_or_changes_nothing() {
    let model = small_model("none");
    let bytes = model.to_bytes().unwrap();
    for i in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[i / 8] ^= 1 << (i % 8);
        if let Ok(loaded) = load(&flipped) {
            assert_eq!(loaded.to_bytes().unwrap(), bytes, "bit {i}");
        }
    }
}

#[test]
fn the_files_of_every_format_are_read() {
    // Made by this program when format 1 was new; it must be read for as long as there is one.
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/");
    let device = choose("cpu").unwrap().device;
    let model = Model::load(format!("{golden}format-1.perceptra").as_ref(), &device).unwrap();
    assert_eq!(model.network().to_string(), "FeedForward 4-3-1 (relu), 19 parameters");
    let table = Table::from_csv("t.csv", "x,b,c\n1,true,c0\n40,false,c1\n,,other\n", &Default::default()).unwrap();
    let expected: Vec<f64> = std::fs::read_to_string(format!("{golden}format-1.csv"))
        .unwrap()
        .lines()
        .skip(1)
        .map(|l| l.parse().unwrap())
        .collect();
    let predictions = model.predict(&table).unwrap();
    assert_eq!(predictions.values.values.len(), 3);
    for (got, want) in predictions.values.values.iter().zip(expected) {
        assert!((got - want).abs() <= 1e-5 * want.abs(), "{got} {want}");
    }
    // Format 2: an ensemble, the first of whose members is that of format 1.
    let model = Model::load(format!("{golden}format-2.perceptra").as_ref(), &device).unwrap();
    assert_eq!(model.members().map(|m| m.share).collect::<Vec<_>>(), [0.25, 0.75]);
    let both = model.predict(&table).unwrap();
    for (got, want) in both.values.values.iter().zip(&predictions.values.values) {
        assert!((got - want).abs() <= 1e-5 * want.abs(), "{got} {want}");
    }
    let checkpoint =
        perceptra::model::Checkpoint::read(format!("{golden}format-1-checkpoint.perceptra").as_ref()).unwrap();
    assert_eq!(checkpoint.epochs, 1);
}

/// A file with this header, followed by this many bytes of tensors.
fn raw(header: &str, bytes: usize) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![0; bytes]].concat()
}

/// A model file with a changed header or changed metadata, and a checksum that fits.
fn forged(bytes: &[u8], change: impl Fn(&mut serde_json::Value, &mut serde_json::Value)) -> Vec<u8> {
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let mut about: serde_json::Value =
        serde_json::from_str(header["__metadata__"]["perceptra"].as_str().unwrap()).unwrap();
    change(&mut header, &mut about);
    about["checksum"] = "".into();
    let tensors = &bytes[8 + length..];
    let mut named: Vec<(String, usize, usize)> = header
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| *name != "__metadata__")
        .map(|(name, t)| {
            let at = |i: usize| t["data_offsets"][i].as_u64().unwrap() as usize;
            (name.clone(), at(0).min(tensors.len()), at(1).min(tensors.len()))
        })
        .collect();
    named.sort();
    let mut crc = crc32fast::Hasher::new();
    crc.update(about.to_string().as_bytes());
    named.iter().for_each(|(_, from, to)| crc.update(&tensors[*from.min(to)..*to]));
    about["checksum"] = format!("{:08x}", crc.finalize()).into();
    header["__metadata__"]["perceptra"] = about.to_string().into();
    let header = header.to_string();
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), tensors].concat()
}

#[test]
#[expect(clippy::too_many_lines, reason = "a list of cases")]
fn inconsistent_metadata_is_an_error() {
    let bytes = small_model("none").to_bytes().unwrap();
    let error = |bytes: &[u8]| load(bytes).unwrap_err().to_string();
    assert!(load(&forged(&bytes, |_, _| {})).is_ok());
    // The length of the header: the largest number, 100 MB and more, longer than the file, 0; less than a length.
    for length in [u64::MAX, 200_000_000, bytes.len() as u64, 0] {
        let mut lying = bytes.clone();
        lying[..8].copy_from_slice(&length.to_le_bytes());
        assert!(error(&lying).contains("damaged"), "{length}: {}", error(&lying));
    }
    assert!(error(&bytes[..7]).contains("damaged"));
    let tensor = r#""dtype":"F32","shape""#;
    for (header, size) in [
        // Tensors that overlap, that leave a hole, that end beyond the file, whose size overflows, bytes left over.
        (format!(r#"{{"a":{{{tensor}:[1],"data_offsets":[0,4]}},"b":{{{tensor}:[1],"data_offsets":[2,6]}}}}"#), 6),
        (format!(r#"{{"a":{{{tensor}:[1],"data_offsets":[0,4]}},"b":{{{tensor}:[1],"data_offsets":[8,12]}}}}"#), 12),
        (format!(r#"{{"a":{{{tensor}:[100],"data_offsets":[0,400]}}}}"#), 4),
        (format!(r#"{{"a":{{{tensor}:[4611686018427387904,8],"data_offsets":[0,4]}}}}"#), 4),
        (format!(r#"{{"a":{{{tensor}:[1],"data_offsets":[0,4]}}}}"#), 9),
    ] {
        assert!(error(&raw(&header, size)).contains("damaged"), "{header}: {}", error(&raw(&header, size)));
    }
    // Metadata that does not fit the tensors; it is refused before anything is allocated.
    type Change = Box<dyn Fn(&mut serde_json::Value, &mut serde_json::Value)>;
    let lies: Vec<(&str, Change)> = vec![
        ("the network would have", Box::new(|_, a| a["network"]["hidden"][0]["width"] = 1_000_000_000_000u64.into())),
        (
            "the tensor layers.0.bias is F32 [3], the network needs F32 [4]",
            Box::new(|_, a| a["network"]["hidden"][0]["width"] = 4.into()),
        ),
        (
            "tensors for 5 hidden layers",
            Box::new(|_, a| {
                let layer = a["network"]["hidden"][0].clone();
                a["network"]["hidden"] = vec![layer; 5].into();
            }),
        ),
        (
            "its encoder makes 4 inputs and 1 outputs, its network has 7 and 1",
            Box::new(|_, a| a["network"]["inputs"] = 7.into()),
        ),
        (
            "its encoder makes",
            Box::new(|_, a| {
                let feature = a["encoder"]["features"][0].clone();
                a["encoder"]["features"].as_array_mut().unwrap().push(feature);
            }),
        ),
        ("layers.0.bias has no place", Box::new(|_, a| a["network"]["bias"] = false.into())),
        ("the tensor layers.0.norm.beta is missing", Box::new(|_, a| a["network"]["norm"] = "layer".into())),
        ("metadata", Box::new(|_, a| a["network"]["hidden"] = "[".repeat(100_000).into())),
        ("metadata", Box::new(|_, a| a["encoder"] = serde_json::Value::Null)),
        ("metadata", Box::new(|_, a| a["loss"] = "x".repeat(1 << 20).into())),
        (
            "the tensor layers.1.bias is missing",
            Box::new(|h, a| {
                h["layers.9.weight"] = h["layers.1.bias"].take();
                h.as_object_mut().unwrap().remove("layers.1.bias");
                a["network"]["bias"] = true.into();
            }),
        ),
    ];
    for (message, change) in lies {
        let error = error(&forged(&bytes, change));
        assert!(error.contains("damaged") && error.contains(message), "{message}: {error}");
    }
    // Extras that contradict each other.
    let lies: Vec<(&str, &str, Change)> = vec![
        (
            PERIODIC,
            "the spread of its frequencies is -1",
            Box::new(|_, a| embedding(a)["numbers"]["periodic"]["sigma"] = (-1).into()),
        ),
        (
            PERIODIC,
            "its widths and frequencies are at most",
            Box::new(|_, a| embedding(a)["numbers"]["periodic"]["frequencies"] = u64::MAX.into()),
        ),
        (
            PERIODIC,
            "the network would have",
            Box::new(|_, a| embedding(a)["columns"][1]["category"] = 1_000_000_000_000_u64.into()),
        ),
        (
            PERIODIC,
            "the tensor embedding.categories.0 is F32",
            Box::new(|_, a| embedding(a)["columns"][1]["category"] = 99.into()),
        ),
        (
            PERIODIC,
            "it has 1 columns, the network 2 inputs",
            Box::new(|_, a| {
                embedding(a)["columns"].as_array_mut().unwrap().pop();
            }),
        ),
        (PERIODIC, "has no place in the network", Box::new(|_, a| a["network"]["parts"]["parametric"] = false.into())),
        (
            MEMBERS,
            "a network has at most 4096 members",
            Box::new(|_, a| a["network"]["parts"]["members"] = u64::MAX.into()),
        ),
        (
            MEMBERS,
            "the tensor layers.0.bias is F32 [9], the network needs F32 [12]",
            Box::new(|_, a| a["network"]["parts"]["members"] = 4.into()),
        ),
        (
            MEMBERS,
            "the edges of the bins of number 1 do not ascend",
            Box::new(|_, a| embedding(a)["numbers"]["piecewise-linear"]["edges"][0][0] = 1e9.into()),
        ),
        (
            MEMBERS,
            "it has bins for 0 of 1 numbers",
            Box::new(|_, a| embedding(a)["numbers"]["piecewise-linear"]["edges"] = serde_json::json!([])),
        ),
    ];
    for (network, message, change) in lies {
        let bytes = small_model_with(network).to_bytes().unwrap();
        assert!(load(&forged(&bytes, |_, _| {})).is_ok());
        let error = error(&forged(&bytes, change));
        assert!(error.contains("damaged") && error.contains(message), "{message}: {error}");
    }
    // An ensemble whose members do not fit each other.
    let bytes = small_ensemble().to_bytes().unwrap();
    assert!(load(&forged(&bytes, |_, _| {})).is_ok());
    let lies: Vec<(&str, Change)> = vec![
        ("the shares of its 2 members do not add up to 1", Box::new(|_, a| a["others"][0]["share"] = 0.5.into())),
        ("the shares of its 2 members do not add up to 1", Box::new(|_, a| a["share"] = (-1.0).into())),
        (
            "members.1.layers.0.bias has no place",
            Box::new(|_, a| (a["others"], a["share"]) = (serde_json::json!([]), 1.0.into())),
        ),
        ("the tensor members.2.layers.0.bias is missing", {
            Box::new(|_, a| {
                a["others"][0]["share"] = (1.0 / 3.0).into();
                let member = a["others"][0].clone();
                a["others"].as_array_mut().unwrap().push(member);
            })
        }),
        (
            "a member learns regression of z",
            Box::new(|_, a| a["others"][0]["encoder"]["target"]["numbers"]["names"][0] = "z".into()),
        ),
        ("metadata", Box::new(|_, a| a["others"][0]["encoder"] = serde_json::Value::Null)),
    ];
    for (message, change) in lies {
        let error = error(&forged(&bytes, change));
        assert!(error.contains("damaged") && error.contains(message), "{message}: {error}");
    }
    // JSON that is nested so deep that reading it would exhaust the stack, if it were followed.
    let deep = format!(
        r#"{{"__metadata__":{{"perceptra":"{{\"format\":1,\"checksum\":\"\",\"x\":{}"}}}}"#,
        "[".repeat(100_000)
    );
    assert!(error(&raw(&deep, 0)).contains("damaged"));
    // NaN in a weight.
    let mut nan = bytes.clone();
    let at = nan.len() - 4;
    nan[at..].copy_from_slice(&f32::NAN.to_le_bytes());
    assert!(
        error(&forged(&nan, |_, _| {})).contains("holds NaN or infinite values"),
        "{}",
        error(&forged(&nan, |_, _| {}))
    );
}

#[test]
fn ranks_of_the_ends_of_a_column() {
    let bytes = small_model_of("scaling = 'quantile'", "").to_bytes().unwrap();
    let table = Table::from_csv("t.csv", "n,c\n-1,u\n0,u\n", &Default::default()).unwrap();
    let predict = |model: &Model| model.predict(&table).unwrap().values.values;
    let with_ends = |ends: Option<[f64; 2]>| {
        load(&forged(&bytes, |_, a| {
            let features = a["encoder"]["features"].as_array_mut().unwrap();
            let number = features.iter_mut().find(|f| f["name"] == "n").unwrap();
            let quantile = number["code"]["number"]["scale"]["quantile"].as_object_mut().unwrap();
            assert!(quantile.remove("ends").is_some());
            quantile.extend(ends.map(|ends| ("ends".to_owned(), serde_json::json!(ends))));
        }))
    };
    // Values outside those of the training rows are as the least and the largest of them.
    let said = predict(&load(&bytes).unwrap());
    assert_eq!(said[0], said[1]);
    // Files from before there were ranks of the ends: as if they were 0 and 1.
    let old = predict(&with_ends(None).unwrap());
    assert_eq!(old, predict(&with_ends(Some([0.0, 1.0])).unwrap()));
    assert_ne!(old[1], said[1]);
    for lie in [[0.9, 0.1], [-0.1, 0.9], [0.1, 1.1]] {
        let error = with_ends(Some(lie)).unwrap_err().to_string();
        assert!(error.contains("damaged"), "{lie:?}: {error}");
    }
}

#[test]
fn predictions_of_a_row_depend_on_that_row_alone() {
    let model = small_model("none");
    let rows: Vec<String> = (0..1500).map(|i| format!("{},{}", i % 23, ["u", "v", "w", "x", ""][i % 5])).collect();
    let table =
        |rows: &[String]| Table::from_csv("t.csv", format!("n,c\n{}\n", rows.join("\n")), &Default::default()).unwrap();
    let predict = |rows: &[String]| model.predict(&table(rows)).unwrap().values.values;
    let all = predict(&rows);
    let reversed: Vec<String> = rows.iter().rev().cloned().collect();
    assert_eq!(predict(&reversed), all.iter().rev().copied().collect::<Vec<_>>());
    for (size, part) in [(1, 0..8), (7, 100..142), (700, 0..1500)] {
        let parts: Vec<f64> = rows[part.clone()].chunks(size).flat_map(predict).collect();
        assert_eq!(parts, all[part], "in parts of {size}");
    }
    // Columns in another order, and more of them; several threads with one model.
    let turned: String = rows.iter().map(|r| r.split_once(',').unwrap()).map(|(n, c)| format!("{c},9,{n}\n")).collect();
    let turned = Table::from_csv("t.csv", format!("c,other,n\n{turned}"), &Default::default()).unwrap();
    assert_eq!(model.predict(&turned).unwrap().values.values, all);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| predict(&rows))).collect();
        threads.into_iter().for_each(|thread| assert_eq!(thread.join().unwrap(), all));
    });
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_no_model_and_no_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
        proptest::prop_assert!(load(&bytes).is_err());
    }

    #[test]
    fn any_change_of_metadata_is_a_model_or_an_error(at in 0usize..4000, with in "[-0-9a-z\"{}\\[\\],.e]{0,6}") {
        // Behind a checksum that is right again.
        let bytes = small_model_bytes();
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
        let text = header["__metadata__"]["perceptra"].as_str().unwrap();
        let at = at % text.len();
        if text.is_char_boundary(at) {
            let changed = format!("{}{with}{}", &text[..at], &text[(at + with.len()).min(text.len())..]);
            if let Ok(about) = serde_json::from_str::<serde_json::Value>(&changed)
                && about.is_object()
            {
                let _ = load(&forged(bytes, |_, a| *a = about.clone()));
            }
        }
    }
}

fn small_model_bytes() -> &'static [u8] {
    static BYTES: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    BYTES.get_or_init(|| small_model("none").to_bytes().unwrap())
}

#[test]
fn foreign_and_future_files_are_told_apart() {
    let device = choose("cpu").unwrap().device;
    let message = |bytes: &[u8]| Model::from_bytes("m", bytes, &device).unwrap_err().to_string();
    for (bytes, part) in [
        (&b""[..], "it is empty"),
        (b"PK\x03\x04....", "zip archive"),
        (b"\x80\x04\x95....", "Python pickle"),
        (b"just some text, longer than a header", "looks like text"),
        ("größe,preis\n1,2\n".as_bytes(), "looks like text"),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff{}", "damaged"),
    ] {
        assert!(message(bytes).contains(part), "{}", message(bytes));
    }
    // A SafeTensors file of somebody else.
    let header = br#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let foreign = [&(header.len() as u64).to_le_bytes()[..], header, &[0; 4]].concat();
    assert!(message(&foreign).contains("without the metadata of this program"), "{}", message(&foreign));
    // Ours, of a format to come: the numbers stay as long as they are.
    let bytes = small_model("none").to_bytes().unwrap();
    let at = bytes.windows(15).position(|w| w == br#"\"format\":1,\""#).unwrap();
    let mut future = bytes.clone();
    future[at + 11] = b'9';
    assert_eq!(message(&future), "m: the model has format 9, this program reads formats up to 2");
}
