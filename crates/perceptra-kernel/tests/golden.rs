//! The bits of trained weights, outputs and losses, against those recorded in `golden.txt`, for each instruction set that this
//! machine has.
//!
//! A change of the code that is meant to change no result changes no line of that file. `PERCEPTRA_GOLDEN=record` records the file anew;
//! a commit that does so says why. The hashes of instruction sets that the machine lacks stay as they were, so that a full record takes
//! a processor with AVX-512. They hold for Linux: the logarithm of the cross-entropy is the system's.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::print_stderr, reason = "it says which instruction sets are skipped")]
#![allow(clippy::disallowed_methods, reason = "it writes a file of this repository, when asked")]

mod common;

use std::collections::BTreeMap;
use std::fmt::Write;

use common::{Case, layer};
use pulp::Arch;

/// FNV-1a.
struct Hash(u64);

impl Hash {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// The hash of everything that a training of the case leaves behind.
fn hash(case: &Case, arch: Arch) -> u64 {
    let (mut trainer, totals, outputs) = case.train(1, arch);
    let mut all: Vec<f32> = Vec::new();
    for index in 0..case.layers.len() {
        let (weight, bias) = layer(&mut trainer, index);
        all.extend(weight);
        all.extend(bias);
    }
    all.extend(case.parts().into_iter().flat_map(|part| trainer.get(part)));
    all.extend(outputs);
    assert!(all.iter().all(|x| x.is_finite()), "{}: the bits of NaN are those of the processor", case.name);
    let mut hash = Hash(0xcbf2_9ce4_8422_2325);
    all.iter().for_each(|x| hash.add(&x.to_bits().to_le_bytes()));
    for totals in totals {
        hash.add(&totals.loss.to_bits().to_le_bytes());
        hash.add(&totals.weight.to_bits().to_le_bytes());
    }
    hash.0
}

/// The columns of the file.
const NAMES: [&str; 3] = ["AVX-512", "AVX2", "scalar"];

fn archs() -> [Option<Arch>; 3] {
    [pulp::x86::V4::try_new().map(Arch::V4), pulp::x86::V3::try_new().map(Arch::V3), Some(Arch::Scalar)]
}

fn path() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden.txt")
}

/// The recorded hashes of each case.
fn recorded() -> BTreeMap<String, [Option<u64>; 3]> {
    let text = std::fs::read_to_string(path()).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (hashes, name) = line.split_at(3 * 17);
            let hash = |i: usize| u64::from_str_radix(hashes[17 * i..17 * i + 16].trim(), 16).ok();
            (name.to_owned(), [hash(0), hash(1), hash(2)])
        })
        .collect()
}

#[test]
fn bits_are_those_recorded() {
    let (cases, recorded) = (Case::all(), recorded());
    // A thread for each instruction set.
    let hashes: Vec<Option<Vec<u64>>> = std::thread::scope(|scope| {
        let cases = &cases;
        let threads = archs().map(|arch| {
            arch.map(|arch| scope.spawn(move || cases.iter().map(|case| hash(case, arch)).collect::<Vec<_>>()))
        });
        threads.into_iter().map(|thread| thread.map(|thread| thread.join().unwrap())).collect()
    });
    for (name, _) in NAMES.iter().zip(&hashes).filter(|(_, hashes)| hashes.is_none()) {
        eprintln!("skipped: this processor has no {name}");
    }
    if std::env::var("PERCEPTRA_GOLDEN").is_ok_and(|value| value == "record") {
        let mut text = format!("# {:14} {:16} {:16} case\n", NAMES[0], NAMES[1], NAMES[2]);
        for (i, case) in cases.iter().enumerate() {
            for (column, hashes) in hashes.iter().enumerate() {
                let known = || recorded.get(&case.name).and_then(|known| known[column]);
                match hashes.as_ref().map(|hashes| hashes[i]).or_else(known) {
                    Some(hash) => write!(text, "{hash:016x} ").unwrap(),
                    None => write!(text, "{:16} ", "-").unwrap(),
                }
            }
            writeln!(text, "{}", case.name).unwrap();
        }
        std::fs::write(path(), text).unwrap();
        return;
    }
    let mut wrong = Vec::new();
    for (i, case) in cases.iter().enumerate() {
        let known = recorded.get(&case.name).unwrap_or_else(|| panic!("not recorded: {}", case.name));
        for ((name, known), hashes) in NAMES.iter().zip(known).zip(&hashes) {
            match (known, hashes.as_ref().map(|hashes| hashes[i])) {
                (Some(known), Some(hash)) if *known != hash => wrong.push(format!("{name}: {}", case.name)),
                (None, Some(_)) => panic!("not recorded for {name}: {}", case.name),
                (_, None) | (Some(_), Some(_)) => {}
            }
        }
    }
    assert_eq!(recorded.len(), cases.len(), "the file has other cases");
    assert!(wrong.is_empty(), "other bits in {} of {} cases:\n{}", wrong.len(), 3 * cases.len(), wrong.join("\n"));
}
