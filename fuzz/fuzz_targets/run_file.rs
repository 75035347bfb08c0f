//! Any text is a run or an error; a run is written and read back as it is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use perceptra_model::RunConfig;

fuzz_target!(|text: &str| {
    let run = match RunConfig::from_toml("fuzz", text) {
        Ok(run) => run,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            let _ = error.hint();
            return;
        }
    };
    let _ = run.validate();
    let written = run.to_toml();
    let again = RunConfig::from_toml("again", &written).expect("what was written is read");
    // NaN is not equal to itself: compare what is written.
    assert_eq!(again.to_toml(), written);
});
