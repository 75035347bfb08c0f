//! Model files as untrusted input.

use perceptra::model::{RunConfig, Tables, train};
use perceptra::{Model, ModelError, Table, choose};

fn small_model(norm: &str) -> Model {
    let rows: String = (0..60).map(|i| format!("{},{},{}\n", i % 7, ["u", "v", "w"][i % 3], i % 7 + i % 3)).collect();
    let table = Table::from_csv("t.csv", format!("n,c,y\n{rows}"), &Default::default()).unwrap();
    let text = format!(
        "[data]\ntarget = ['y']\ntask = 'regression'\n[network]\nhidden = [3]\nnorm = '{norm}'\n[train]\nepochs = 2\n"
    );
    let run = RunConfig::from_toml("t", &text).unwrap();
    let tables = Tables::from(table);
    train(&run, &tables, &choose("cpu").unwrap().device, &mut ()).unwrap().model
}

fn load(bytes: &[u8]) -> Result<Model, ModelError> {
    Model::from_bytes("m", bytes, &choose("cpu").unwrap().device)
}

#[test]
fn saved_and_loaded_is_the_same_to_the_bit() {
    let table = Table::from_csv("t.csv", "c,n\nu,1\nv,5\nw,\n", &Default::default()).unwrap();
    for norm in ["none", "batch", "layer"] {
        let model = small_model(norm);
        let again = load(&model.to_bytes().unwrap()).unwrap();
        assert_eq!(again.predict(&table).unwrap(), model.predict(&table).unwrap(), "{norm}");
        assert_eq!(again.to_bytes().unwrap(), model.to_bytes().unwrap(), "{norm}");
        assert_eq!(again.network().to_string(), model.network().to_string());
        assert_eq!(again.history().best_epoch, model.history().best_epoch);
        assert_eq!(again.history().best().unwrap().train_loss, model.history().best().unwrap().train_loss);
    }
}

#[test]
fn a_file_cut_off_anywhere_is_an_error() {
    let bytes = small_model("none").to_bytes().unwrap();
    for length in 0..bytes.len() {
        assert!(load(&bytes[..length]).is_err(), "{length} of {} bytes", bytes.len());
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(load(&longer).is_err());
}

#[test]
fn a_flipped_bit_is_an_error_or_changes_nothing() {
    let model = small_model("none");
    let bytes = model.to_bytes().unwrap();
    for i in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[i] ^= 1 << (i % 8);
        if let Ok(loaded) = load(&flipped) {
            assert_eq!(loaded.to_bytes().unwrap(), bytes, "byte {i}");
        }
    }
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
    assert_eq!(message(&future), "m: the model has format 9, this program reads formats up to 1");
}
