//! The order of the rows of an epoch.

use perceptra_random::Stream;
use pulp::{Arch, Simd, WithSimd};

/// [`Stream::permutation`] with the instructions found at run time: the same numbers, sooner.
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
