//! Perceptra's random numbers: one counter-based generator, Philox4x32-10 (Salmon, Moraes, Dror, Shaw:
//! *Parallel random numbers: as easy as 1, 2, 3*, SC 2011).
//!
//! A number is a pure function of `(seed, purpose, epoch, row, block)`: there is no state to advance, save or
//! share. A network therefore draws the same numbers whether it trains alone, in a batch of networks or resumed
//! after an interruption, and on every backend.
//!
//! ```
//! use perceptra_random::{Purpose, Stream};
//!
//! let shuffle = Stream::new(42, Purpose::Shuffle, 3); // the order of epoch 3
//! assert_eq!(shuffle.permutation(5), Stream::new(42, Purpose::Shuffle, 3).permutation(5));
//! ```

/// The purpose for which a random number is drawn. Numbers drawn for two purposes are independent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Initial weights of the layer with this index.
    Init(u16),
    /// The order of the rows in an epoch.
    Shuffle,
    /// The dropout mask after the layer with this index.
    Dropout(u16),
    /// The split of a table into training, validation and test rows.
    Split,
    /// Synthetic data.
    Data,
    /// The order in which an epoch reads the pieces of a streamed table.
    Pieces,
    /// The points of a search: the values that are tried for each searched key.
    Search,
    /// Initial values of an embedding's tensors.
    Embedding,
    /// Initial factors r of the members of a batch ensemble.
    Members,
    /// Training rows, and their shares, that decide the initial biases of the layer with this index.
    Biases(u16),
    /// The order of the rows in an epoch for the batch-ensemble member with this index.
    MemberShuffle(u16),
}

impl Purpose {
    fn code(self) -> u32 {
        match self {
            Self::Init(layer) => 1 << 16 | u32::from(layer),
            Self::Shuffle => 2 << 16,
            Self::Dropout(layer) => 3 << 16 | u32::from(layer),
            Self::Split => 4 << 16,
            Self::Data => 5 << 16,
            Self::Pieces => 6 << 16,
            Self::Search => 7 << 16,
            Self::Embedding => 8 << 16,
            Self::Members => 9 << 16,
            Self::Biases(layer) => 10 << 16 | u32::from(layer),
            Self::MemberShuffle(member) => 11 << 16 | u32::from(member),
        }
    }
}

/// The random numbers of one `(seed, purpose, epoch)`, addressed by row and, within a row, by block of four numbers.
#[derive(Debug, Clone, Copy)]
pub struct Stream {
    key: [u32; 2],
    purpose: u32,
    epoch: u32,
}

impl Stream {
    /// The stream of `purpose` in `epoch` (0 where epochs do not matter) under `seed`.
    pub fn new(seed: u64, purpose: Purpose, epoch: u32) -> Self {
        Self { key: [seed as u32, (seed >> 32) as u32], purpose: purpose.code(), epoch }
    }

    /// The four random 32-bit words in block number `block` of row `row`.
    fn words(&self, row: u32, block: u32) -> [u32; 4] {
        philox([[row], [block], [self.epoch], [self.purpose]], self.key).map(|[word]| word)
    }

    /// Fills `out` with the first random numbers of row `row`, uniform in [0, 1), with 24 random bits each.
    pub fn fill_uniform(&self, row: u32, out: &mut [f32]) {
        self.fill_uniform_from(row, 0, out);
    }

    /// Fills `out` with the random numbers of row `row`, uniform in [0, 1), starting with number `4 · first`: a row's numbers come
    /// in blocks of four, and `first` is the first block that is used.
    #[inline(always)]
    pub fn fill_uniform_from(&self, row: u32, first: u32, out: &mut [f32]) {
        // Sixteen blocks at a time, for the compiler to put into vectors.
        let mut chunks = out.chunks_exact_mut(64);
        let mut block = first;
        for chunk in &mut chunks {
            let numbers = std::array::from_fn(|i| block.wrapping_add(i as u32));
            let words = philox([[row; 16], numbers, [self.epoch; 16], [self.purpose; 16]], self.key);
            for (i, x) in chunk.chunks_exact_mut(4).enumerate() {
                for (x, word) in x.iter_mut().zip(&words) {
                    *x = unit(word[i]);
                }
            }
            block = block.wrapping_add(16);
        }
        for (i, chunk) in chunks.into_remainder().chunks_mut(4).enumerate() {
            for (x, word) in chunk.iter_mut().zip(self.words(row, block.wrapping_add(i as u32))) {
                *x = unit(word);
            }
        }
    }

    /// Fills `out` with the first standard normal random numbers of row `row` (Box and Muller, 1958).
    pub fn fill_normal(&self, row: u32, out: &mut [f32]) {
        for (block, chunk) in out.chunks_mut(4).enumerate() {
            let [a, b, c, d] = self.words(row, block as u32);
            let pairs = [(a, b), (c, d)].map(|(u, v)| {
                // 1 − u lies in (0, 1]: its logarithm is finite.
                let radius = (-2.0 * f64::from(1.0 - unit(u)).ln()).sqrt();
                let (sin, cos) = (std::f64::consts::TAU * f64::from(unit(v))).sin_cos();
                [(radius * cos) as f32, (radius * sin) as f32]
            });
            for (x, z) in chunk.iter_mut().zip(pairs.into_iter().flatten()) {
                *x = z;
            }
        }
    }

    /// A random order of `0..n` (Fisher and Yates; Durstenfeld, 1964), `n` up to 2³².
    #[inline(always)]
    pub fn permutation(&self, n: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..n as u32).collect();
        self.shuffle(&mut order);
        order
    }

    /// Puts `items` into a random order.
    #[inline(always)]
    pub fn shuffle<T>(&self, items: &mut [T]) {
        // Sixteen blocks at a time, for the compiler to put into vectors; each block decides the swaps of two positions.
        for first in (0..items.len().div_ceil(2)).step_by(16).rev() {
            let rows = std::array::from_fn(|i| (first + i) as u32);
            let words = philox([rows, [0; 16], [self.epoch; 16], [self.purpose; 16]], self.key);
            for i in (2 * first..(2 * first + 32).min(items.len())).rev() {
                let (row, half) = (i / 2 - first, i % 2);
                let word = u64::from(words[2 * half][row]) | u64::from(words[2 * half + 1][row]) << 32;
                let j = ((u128::from(word) * (i as u128 + 1)) >> 64) as usize;
                items.swap(i, j);
            }
        }
    }
}

/// The upper 24 bits of `word` as a number in [0, 1).
fn unit(word: u32) -> f32 {
    (word >> 8) as f32 * (1.0 / 16_777_216.0)
}

/// Philox4x32 with ten rounds: the four random words of each of N counters `c` under the key `key`.
#[inline(always)]
fn philox<const N: usize>(mut c: [[u32; N]; 4], mut key: [u32; 2]) -> [[u32; N]; 4] {
    for _ in 0..10 {
        let mut next = [[0; N]; 4];
        for i in 0..N {
            let low = u64::from(c[0][i]) * 0xD251_1F53;
            let high = u64::from(c[2][i]) * 0xCD9E_8D57;
            next[0][i] = (high >> 32) as u32 ^ c[1][i] ^ key[0];
            next[1][i] = high as u32;
            next[2][i] = (low >> 32) as u32 ^ c[3][i] ^ key[1];
            next[3][i] = low as u32;
        }
        c = next;
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    c
}

#[cfg(test)]
mod tests {
    use super::*;

    // Known answers from the authors' Random123 1.14, file tests/kat_vectors, lines `philox4x32 10`.
    #[test]
    fn philox_gives_the_known_answers() {
        let philox = |c: [u32; 4], key| super::philox(c.map(|c| [c; 3]), key).map(|[.., word]| word);
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            philox([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn uniform_numbers_are_the_same_from_whichever_block_they_are_drawn() {
        let stream = Stream::new(9, Purpose::Dropout(2), 5);
        let words: Vec<f32> = (0..40).flat_map(|block| stream.words(7, block)).map(super::unit).collect();
        for (first, len) in [(0, 160), (0, 3), (1, 64), (16, 96), (20, 70)] {
            let mut out = vec![0.0; len];
            stream.fill_uniform_from(7, first, &mut out);
            assert_eq!(out, words[4 * first as usize..4 * first as usize + len]);
        }
    }

    #[test]
    fn a_shuffle_takes_half_a_block_for_each_position() {
        for n in [1, 2, 31, 32, 33, 1000] {
            let stream = Stream::new(3, Purpose::Split, 2);
            let mut expected: Vec<u32> = (0..n as u32).collect();
            for i in (1..n).rev() {
                let words = stream.words((i / 2) as u32, 0);
                let word = u64::from(words[2 * (i % 2)]) | u64::from(words[2 * (i % 2) + 1]) << 32;
                expected.swap(i, ((u128::from(word) * (i as u128 + 1)) >> 64) as usize);
            }
            assert_eq!(stream.permutation(n), expected);
        }
    }

    #[test]
    fn a_permutation_holds_every_number_once_and_depends_on_all_keys() {
        for n in [0, 1, 2, 3, 10, 1001] {
            let mut order = Stream::new(7, Purpose::Shuffle, 1).permutation(n);
            order.sort_unstable();
            assert!(order.iter().copied().eq(0..n as u32));
        }
        let base = Stream::new(7, Purpose::Shuffle, 1).permutation(100);
        for other in [
            Stream::new(8, Purpose::Shuffle, 1),
            Stream::new(7, Purpose::Split, 1),
            Stream::new(7, Purpose::Shuffle, 2),
        ] {
            assert_ne!(base, other.permutation(100));
        }
    }

    #[test]
    fn every_order_of_three_is_equally_frequent() {
        let mut seen = std::collections::HashMap::new();
        for epoch in 0..6000 {
            *seen.entry(Stream::new(1, Purpose::Shuffle, epoch).permutation(3)).or_insert(0) += 1;
        }
        assert_eq!(seen.len(), 6);
        // Expected 1000 each, standard deviation 29.
        assert!(seen.values().all(|&n: &i32| (n - 1000).abs() < 150), "{seen:?}");
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let stream = Stream::new(3, Purpose::Data, 0);
        let mut x = vec![0.0; 100_001];
        let mean = |x: &[f32], f: fn(f64) -> f64| x.iter().map(|&v| f(f64::from(v))).sum::<f64>() / x.len() as f64;
        stream.fill_uniform(0, &mut x);
        assert!(x.iter().all(|v| (0.0..1.0).contains(v)));
        approx::assert_abs_diff_eq!(mean(&x, |v| v), 0.5, epsilon = 0.005);
        approx::assert_abs_diff_eq!(mean(&x, |v| v * v), 1.0 / 3.0, epsilon = 0.005);
        stream.fill_normal(1, &mut x);
        approx::assert_abs_diff_eq!(mean(&x, |v| v), 0.0, epsilon = 0.015);
        approx::assert_abs_diff_eq!(mean(&x, |v| v * v), 1.0, epsilon = 0.02);
        approx::assert_abs_diff_eq!(mean(&x, |v| v.powi(4)), 3.0, epsilon = 0.15);
    }
}
