//! The random order in which an epoch visits the training rows.

use perceptra_random::Stream;
use pulp::{Arch, Simd, WithSimd};

/// A random order of the row numbers `0..rows`: the same numbers as [`Stream::permutation`], computed faster with the widest vector
/// instructions that the CPU has.
pub fn order(stream: &Stream, rows: usize) -> Vec<u32> {
    struct Order<'a>(&'a Stream, usize);
    impl WithSimd for Order<'_> {
        type Output = Vec<u32>;

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> Vec<u32> {
            simd.vectorize(
                #[inline(always)]
                || self.0.permutation(self.1),
            )
        }
    }
    Arch::new().dispatch(Order(stream, rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use perceptra_random::Purpose;

    #[test]
    fn it_is_the_same_permutation() {
        for rows in [0, 1, 2, 31, 1000] {
            let stream = Stream::new(4, Purpose::Shuffle, 7);
            assert_eq!(order(&stream, rows), stream.permutation(rows));
        }
    }
}
