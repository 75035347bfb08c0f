//! The destination of a gradient: it is kept, or weights descend by it at once.

use std::ops::Range;

use pulp::Simd;

use super::gemm::{BLOCK, Sums, load, store};
use super::net::{Net, Param};
use crate::rule::Step;

/// The use of a gradient.
#[derive(Clone, Copy)]
pub(super) enum Then {
    /// It is kept as that of this half of the batch, added to the one before unless it is the first.
    Keep { half: usize, first: bool },
    /// It is used at once.
    Use(Step),
}

/// Sums from 0, written to a destination.
pub(super) struct Written<'a, S> {
    pub(super) simd: S,
    pub(super) to: &'a mut [f32],
    pub(super) how: How,
}

#[derive(Clone, Copy)]
pub(super) enum How {
    Write,
    /// Add to the values there.
    Add,
    /// The values there are weights, which descend by this rate.
    Descend(f32),
}

impl<S: Simd> Sums<S> for Written<'_, S> {
    #[inline(always)]
    fn start(&self, _: usize, _: usize) -> S::f32s {
        self.simd.splat_f32s(0.0)
    }

    #[inline(always)]
    fn finish(&mut self, place: usize, sum: S::f32s) {
        let simd = self.simd;
        let new = match self.how {
            How::Write => sum,
            How::Add => simd.add_f32s(load::<S>(self.to, place), sum),
            How::Descend(rate) => simd.sub_f32s(load::<S>(self.to, place), simd.mul_f32s(sum, simd.splat_f32s(rate))),
        };
        store::<S>(self.to, place, new);
    }
}

impl Net {
    /// The destination of a gradient: where it is kept, the weights, or `c`.
    #[inline(always)]
    pub(super) fn sums<'a, S: Simd>(
        &'a self,
        simd: S,
        then: Then,
        param: &'a Param,
        place: Range<usize>,
        c: &'a mut [f32; BLOCK],
    ) -> Written<'a, S> {
        match then {
            Then::Keep { half, first } => {
                // SAFETY: the gradients of these weights are this thread's in this phase.
                let to = unsafe { self.grads[half].write(param.at + place.start..param.at + place.end) };
                Written { simd, to, how: if first { How::Write } else { How::Add } }
            }
            // Plain descent needs no memory in between.
            Then::Use(now) if self.plain => {
                // SAFETY: these weights are this thread's in this phase.
                let to = unsafe { param.values.write(place) };
                Written { simd, to, how: How::Descend(now.rate()) }
            }
            Then::Use(_) => Written { simd, to: &mut c[..place.len()], how: How::Write },
        }
    }

    /// Uses a gradient that is not kept.
    #[inline(always)]
    pub(super) fn take(&self, then: Then, param: &Param, place: Range<usize>, c: &mut [f32; BLOCK]) {
        if let Then::Use(now) = then
            && !self.plain
        {
            let g = &mut c[..place.len()];
            self.edit(param, place.clone(), g);
            self.update(param, place, g, now);
        }
    }
}
