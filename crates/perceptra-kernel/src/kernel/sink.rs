//! Use of a finished gradient: it is kept for later, or the weights are updated with it at once.

use std::ops::Range;

use pulp::Simd;

use super::gemm::{BLOCK, Sums, load, store};
use super::net::{Net, Param};
use crate::rule::Step;

/// Use of a gradient when it is finished.
#[derive(Clone, Copy)]
pub(super) enum Then {
    /// Keep the gradient as that of one half of the batch: written if `first`, else added to the gradient kept before.
    Keep { half: usize, first: bool },
    /// Update the weights with the gradient at once, by this step of the update rule.
    Use(Step),
}

impl Then {
    /// Whether weights are updated at once.
    #[inline(always)]
    pub(super) fn updates(self) -> bool {
        match self {
            Self::Use(_) => true,
            Self::Keep { .. } => false,
        }
    }
}

/// Destination of sums that begin at 0: the slice `to`.
pub(super) struct Written<'a, S> {
    pub(super) simd: S,
    pub(super) to: &'a mut [f32],
    pub(super) how: How,
}

#[derive(Clone, Copy)]
pub(super) enum How {
    Write,
    /// Add the sums to the values in the destination.
    Add,
    /// Subtract the sums, times this learning rate, from the weights in the destination.
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
    /// Chooses the destination of the gradient of some weights: the memory for kept gradients, the weights themselves if a step is
    /// plain descent, or else the buffer `c`, whose content [`Net::take`] uses.
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
            // Plain descent needs no memory for the gradient.
            Then::Use(now) if self.plain => {
                // SAFETY: these weights are this thread's in this phase.
                let to = unsafe { param.values.write(place) };
                Written { simd, to, how: How::Descend(now.rate()) }
            }
            Then::Use(_) => Written { simd, to: &mut c[..place.len()], how: How::Write },
        }
    }

    /// Updates weights with the gradient that is in `c`. Does nothing if [`Net::sums`] chose another destination.
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
