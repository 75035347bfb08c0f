//! The seeds of the fuzz targets, and inputs they once failed on, through the same checks.

#[allow(unreachable_pub)] // It is a crate of its own elsewhere.
#[path = "../../fuzz/src/lib.rs"]
mod checks;

use std::path::Path;

#[test]
fn every_seed_is_taken_or_refused() {
    for (target, check) in [("csv", checks::csv as fn(&[u8])), ("run_file", checks::run_file), ("model", checks::model)]
    {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
        let seeds: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
        assert!(seeds.len() >= 3, "{target}");
        for seed in seeds {
            let bytes = std::fs::read(&seed).unwrap();
            check(&bytes);
            // And cut off, and with a byte changed, at a hundred places each.
            for i in 0..100.min(bytes.len()) {
                let at = i * bytes.len() / 100.min(bytes.len());
                check(&bytes[..at]);
                let mut changed = bytes.clone();
                changed[at] ^= 1 << (i % 8);
                check(&changed);
            }
        }
    }
}
