//! The matrix kernel: C += A·B on a few rows of C at a time, which stay in registers while A and B stream by.
//!
//! B is a panel, row by row: its rows are loaded as vectors. A's numbers are taken one by one and multiplied with a whole row of B.
//! Each element of C is summed in order of the inner dimension k by fused multiply-adds, whatever the block it is in: how the work
//! is divided does not change a bit of the result.

use pulp::Simd;

use super::buffer::{Buffer, PANEL, Panels};

/// Maximum number of rows of a block of C, the part of a product that is summed in registers.
pub(super) const ROWS: usize = 6;

/// Number of panels of the inner dimension k that are summed in one pass, so that B's rows for them stay in cache.
pub(super) const DEPTH: usize = 16;

/// Maximum number of terms of a sum for which [`few`] computes one row at a time, because blocks of rows would not pay off.
pub(super) const FEW: usize = 8;

/// Number of values in a block of C: 6 rows of a panel of 64 columns.
pub(super) const BLOCK: usize = ROWS * PANEL;

/// Number of vectors per row of a block, chosen so that the sums of 6 rows leave registers for B and A.
pub(super) const fn vectors<S: Simd>() -> usize {
    if S::REGISTER_COUNT >= 32 { 4 } else { 2 }
}

/// Place in memory of the left factor A of a product A·B.
#[derive(Clone, Copy)]
pub(super) enum Left<'a> {
    /// A is a part of a matrix in panels: its rows from `row` on, and the columns of the panels from `panels.0` up to, but not
    /// including, `panels.1`.
    Rows { matrix: &'a Buffer, shape: Panels, row: usize, panels: (usize, usize) },
    /// A is `rows × k` in a slice; `row` is the stride between its rows, `next` the stride between its columns.
    Numbers { matrix: &'a [f32], row: usize, next: usize, k: usize },
}

/// Start values of the sums of a block of C, and use of the results. A block has `rows × width` values, row by row.
pub(super) trait Sums<S: Simd> {
    /// The vector of values with which the sums at index `place` of the block begin; `column` is their column.
    fn start(&self, place: usize, column: usize) -> S::f32s;

    /// Hook for prefetching memory that is needed after the sums. Called before each part of the summation with the part's index
    /// and the number of parts.
    #[inline(always)]
    fn ahead(&self, _: usize, _: usize) {}

    /// Takes the finished vector of sums at index `place` of the block.
    fn finish(&mut self, place: usize, sum: S::f32s);

    /// Takes the finished sums of N vectors of columns, from `column` on, in all M rows of a block that is `width` wide.
    #[inline(always)]
    fn finish_all<const M: usize, const N: usize>(&mut self, width: usize, column: usize, sums: &[[S::f32s; N]; M]) {
        each(self, width, column, sums);
    }
}

/// Passes the sums of a block to [`Sums::finish`], vector by vector, as [`Sums::finish_all`] does by default.
#[inline(always)]
pub(super) fn each<S: Simd, const M: usize, const N: usize>(
    to: &mut (impl Sums<S> + ?Sized),
    width: usize,
    column: usize,
    sums: &[[S::f32s; N]; M],
) {
    for (i, row) in sums.iter().enumerate() {
        for (v, sum) in row.iter().enumerate() {
            to.finish(i * width + column + v * S::F32_LANES, *sum);
        }
    }
}

/// Computes A·B for `rows` rows of A and passes the result, `rows × width`, to `sums`. B is `k × width`, row by row.
///
/// `rows` is from 1 to 6, `width` is 16, 32, 48 or 64: these and the bounds of A and B are asserted.
///
/// # Safety
///
/// Nobody writes these rows of A meanwhile.
#[inline(always)]
pub(super) unsafe fn multiply<S: Simd>(
    simd: S,
    rows: usize,
    width: usize,
    a: Left<'_>,
    b: &[f32],
    mut sums: impl Sums<S>,
) {
    assert!((1..=ROWS).contains(&rows) && width.is_multiple_of(16) && (16..=PANEL).contains(&width));
    match a {
        Left::Rows { matrix, shape, row, panels } => {
            let k = shape.columns.min(panels.1 * PANEL) - panels.0 * PANEL;
            assert!(row + rows <= shape.rows && matrix.len() >= shape.len() && panels.1 <= shape.count());
            assert!(b.len() >= k * width);
        }
        Left::Numbers { matrix, row, next, k } => {
            assert!(k > 0 && matrix.len() > (k - 1) * next + (rows - 1) * row && b.len() >= k * width);
        }
    }
    let lanes = S::F32_LANES;
    let mut column = 0;
    while column < width {
        let group = vectors::<S>().min((width - column) / lanes);
        macro_rules! block {
            ($($rows:literal)*; $vectors:literal) => {
                match rows {
                    // SAFETY: the bounds are asserted above; a group's vectors lie within the width.
                    $($rows => unsafe { block::<S, $rows, $vectors>(simd, width, a, b, column, &mut sums) },)*
                    _ => unreachable!(),
                }
            };
        }
        match group {
            1 => block!(1 2 3 4 5 6; 1),
            2 => block!(1 2 3 4 5 6; 2),
            3 => block!(1 2 3 4 5 6; 3),
            _ => block!(1 2 3 4 5 6; 4),
        }
        column += group * lanes;
    }
}

/// Computes M rows and N vectors of columns, from `column` on, of the product in [`multiply`].
///
/// # Safety
///
/// The assertions and promises of [`multiply`] hold for M rows, and `column + N·lanes ≤ width`.
#[inline(always)]
unsafe fn block<S: Simd, const M: usize, const N: usize>(
    simd: S,
    width: usize,
    a: Left<'_>,
    b: &[f32],
    column: usize,
    to: &mut impl Sums<S>,
) {
    // SAFETY: the caller's promise.
    let sums = unsafe { inner::<S, M, N>(simd, width, a, b, column, &*to) };
    to.finish_all(width, column, &sums);
}

/// Computes the sums of [`block`]. It has no closures and returns the sums, so that the compiler keeps them in registers, also from
/// one panel to the next.
///
/// # Safety
///
/// As [`block`].
#[inline(always)]
unsafe fn inner<S: Simd, const M: usize, const N: usize>(
    simd: S,
    width: usize,
    a: Left<'_>,
    b: &[f32],
    column: usize,
    from: &impl Sums<S>,
) -> [[S::f32s; N]; M] {
    // SAFETY: column < width ≤ b.len(), or there is no k.
    let b = unsafe { b.as_ptr().add(column) };
    let mut sums = [[simd.splat_f32s(0.0); N]; M];
    for (i, row) in sums.iter_mut().enumerate() {
        for (v, sum) in row.iter_mut().enumerate() {
            let column = column + v * S::F32_LANES;
            *sum = from.start(i * width + column, column);
        }
    }
    let parts = if let Left::Rows { panels, .. } = a { panels.1 - panels.0 } else { 1 };
    for part in 0..parts {
        from.ahead(part, parts);
        // Number of terms k, start of A's values, stride between A's rows, stride between A's columns.
        let (k, left, row, next) = match a {
            // The last number read is at (k − 1)·next + (M − 1)·row, which `multiply` asserts to be there.
            Left::Numbers { matrix, row, next, k } => (k, matrix.as_ptr(), row, next),
            Left::Rows { matrix, shape, row, panels } => {
                let (start, stride) = (shape.range(panels.0 + part, row..row).start, shape.width(panels.0 + part));
                // SAFETY: rows row..row + M of the panel, of which `used` ≤ stride columns are read.
                (shape.used(panels.0 + part), unsafe { matrix.as_ptr().add(start) }, stride, 1)
            }
        };
        for p in 0..k {
            // SAFETY: as above; B has a row for each k.
            unsafe {
                let b = b.add((part * PANEL + p) * width).cast::<S::f32s>();
                let mut vectors = [simd.splat_f32s(0.0); N];
                for (v, vector) in vectors.iter_mut().enumerate() {
                    *vector = b.add(v).read_unaligned();
                }
                for (i, sums) in sums.iter_mut().enumerate() {
                    let x = simd.splat_f32s(*left.add(i * row + p * next));
                    for (sum, vector) in sums.iter_mut().zip(vectors) {
                        *sum = simd.mul_add_e_f32s(x, vector, *sum);
                    }
                }
            }
        }
    }
    sums
}

/// Adds x·W to `sum`, for the vector of W's first columns. The rows of W have a stride of `width`.
#[inline(always)]
pub(super) fn few<S: Simd>(simd: S, x: &[f32], w: &[f32], width: usize, mut sum: S::f32s) -> S::f32s {
    for (k, x) in x.iter().enumerate() {
        sum = simd.mul_add_e_f32s(simd.splat_f32s(*x), load::<S>(w, k * width), sum);
    }
    sum
}

/// Memory for a block of a result, aligned to cache lines.
#[repr(align(64))]
pub(super) struct Aligned(pub(super) [f32; BLOCK]);

impl Default for Aligned {
    fn default() -> Self {
        Self([0.0; BLOCK])
    }
}

/// Loads the vector that begins at index `place`.
#[inline(always)]
pub(super) fn load<S: Simd>(from: &[f32], place: usize) -> S::f32s {
    let from = &from[place..place + S::F32_LANES];
    // SAFETY: the slice is as long as a vector, which is plain numbers.
    unsafe { from.as_ptr().cast::<S::f32s>().read_unaligned() }
}

/// Prefetches part number `part`, of `parts` in all, of values that will be used soon into the cache.
#[inline(always)]
pub(super) fn prefetch(numbers: &[f32], part: usize, parts: usize) {
    let lines = numbers.len() / 16;
    let numbers = &numbers[lines * part / parts * 16..lines * (part + 1) / parts * 16];
    #[cfg(target_arch = "x86_64")]
    for line in numbers.chunks(16) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every x86-64 processor has the instruction, which changes nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = numbers;
}

/// Stores a vector from index `place` on.
#[inline(always)]
pub(super) fn store<S: Simd>(to: &mut [f32], place: usize, vector: S::f32s) {
    let to = &mut to[place..place + S::F32_LANES];
    // SAFETY: as in `load`.
    unsafe { to.as_mut_ptr().cast::<S::f32s>().write_unaligned(vector) }
}

/// Writes the dot products of rows `row..row + rows` of the matrix `x` with row `j` of the matrix `v`, both in panels, to `c`.
///
/// # Safety
///
/// Nobody writes these rows of the first matrix meanwhile.
#[inline(always)]
pub(super) unsafe fn dots<S: Simd>(
    simd: S,
    (x, shape): (&Buffer, Panels),
    row: usize,
    rows: usize,
    (v, weights): (&[f32], Panels),
    j: usize,
    c: &mut [f32; ROWS],
) {
    assert!(rows <= ROWS && row + rows <= shape.rows && x.len() >= shape.len());
    assert!(j < weights.rows && v.len() >= weights.len() && weights.columns == shape.columns);
    let mut sums = [simd.splat_f32s(0.0); ROWS];
    for p in 0..shape.count() {
        let width = shape.width(p);
        let v = &v[weights.range(p, j..j + 1)];
        let v = S::as_simd_f32s(v).0;
        for (i, sum) in sums.iter_mut().enumerate().take(rows) {
            // SAFETY: the caller's promise.
            let x = S::as_simd_f32s(unsafe { x.read(shape.range(p, row + i..row + i + 1)) }).0;
            debug_assert_eq!(x.len() * S::F32_LANES, width);
            for (x, v) in x.iter().zip(v) {
                *sum = simd.mul_add_e_f32s(*x, *v, *sum);
            }
        }
    }
    for (c, sum) in c.iter_mut().zip(sums) {
        *c = simd.reduce_sum_f32s(sum);
    }
}

/// Transposes a block of 16 × 16 numbers, from rows with a stride of `stride` to rows with a stride of `wide`, if the instruction
/// set has a fast way. Returns whether it did; otherwise nothing is written.
#[inline(always)]
pub(super) fn transpose<S: Simd>(from: &[f32], stride: usize, to: &mut [f32], wide: usize) -> bool {
    #[cfg(target_arch = "x86_64")]
    if std::any::TypeId::of::<S>() == std::any::TypeId::of::<pulp::x86::V4>() {
        assert!(from.len() >= 15 * stride + 16 && to.len() >= 15 * wide + 16);
        // SAFETY: a `V4` exists only where the processor has AVX-512; 16 rows of 16 lie within both slices.
        unsafe { transpose_avx512(from.as_ptr(), stride, to.as_mut_ptr(), wide) };
        return true;
    }
    let _ = (from, stride, to, wide);
    false
}

/// Transposes a block of 16 × 16 numbers, as [`transpose`] does, with AVX-512.
///
/// # Safety
///
/// The processor has AVX-512; 16 numbers can be read at each of 16 places `stride` apart, and written `wide` apart.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn transpose_avx512(from: *const f32, stride: usize, to: *mut f32, wide: usize) {
    use std::arch::x86_64::*;
    // SAFETY: the caller's promise.
    let row = |i: usize| unsafe { _mm512_loadu_ps(from.add(i * stride)) };
    let zero = _mm512_setzero_ps();
    // Interleaves pairs of rows by single numbers, then by pairs of numbers; then collects groups of four (128 bits).
    let mut ones = [zero; 16];
    for i in 0..8 {
        ones[2 * i] = _mm512_unpacklo_ps(row(2 * i), row(2 * i + 1));
        ones[2 * i + 1] = _mm512_unpackhi_ps(row(2 * i), row(2 * i + 1));
    }
    let low = |a, b| _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
    let high = |a, b| _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
    let mut fours = [zero; 16];
    for i in 0..4 {
        let [a, b, c, d] = [ones[4 * i], ones[4 * i + 1], ones[4 * i + 2], ones[4 * i + 3]];
        fours[4 * i] = low(a, c);
        fours[4 * i + 1] = high(a, c);
        fours[4 * i + 2] = low(b, d);
        fours[4 * i + 3] = high(b, d);
    }
    for c in 0..4 {
        let [p, q, r, s] = [fours[c], fours[4 + c], fours[8 + c], fours[12 + c]];
        let (even, odd) = (_mm512_shuffle_f32x4::<0x88>(p, q), _mm512_shuffle_f32x4::<0xDD>(p, q));
        let (even_2, odd_2) = (_mm512_shuffle_f32x4::<0x88>(r, s), _mm512_shuffle_f32x4::<0xDD>(r, s));
        let columns = [
            _mm512_shuffle_f32x4::<0x88>(even, even_2),
            _mm512_shuffle_f32x4::<0x88>(odd, odd_2),
            _mm512_shuffle_f32x4::<0xDD>(even, even_2),
            _mm512_shuffle_f32x4::<0xDD>(odd, odd_2),
        ];
        for (i, column) in columns.into_iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { _mm512_storeu_ps(to.add((4 * i + c) * wide), column) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposition_swaps_rows_and_columns() {
        struct Check;
        impl pulp::WithSimd for Check {
            type Output = ();

            #[inline(always)]
            fn with_simd<S: Simd>(self, _: S) {
                let (stride, wide) = (48, 16);
                let from: Vec<f32> = (0..16 * stride).map(|i| i as f32).collect();
                let mut to = vec![-1.0; 16 * wide];
                if transpose::<S>(&from, stride, &mut to, wide) {
                    for (i, x) in to.iter().enumerate() {
                        assert_eq!(*x, from[i % wide * stride + i / wide]);
                    }
                }
            }
        }
        pulp::Arch::new().dispatch(Check);
    }
}
