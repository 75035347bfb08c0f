//! The part with `unsafe` code: shared buffers, the matrix kernel, threads, and the training step made of them.
//!
//! Every `unsafe` block says why it is sound. There are three kinds: the matrix kernel reads through pointers whose bounds are
//! asserted on entry; threads of a [`Team`](team::Team) write disjoint parts of one [`Buffer`](buffer::Buffer) between two
//! barriers; and a team's job borrows from a caller that waits for it.

#![allow(unsafe_code)]

mod backward;
mod batch;
mod buffer;
mod exchange;
mod forward;
#[allow(clippy::wildcard_imports, reason = "a function takes ten intrinsics of one instruction set")]
mod gemm;
mod gradient;
mod joint;
mod net;
mod network;
mod scratch;
mod sink;
mod step;
mod team;
mod trainer;
mod update;
mod work;

pub use self::{
    network::{Network, Part},
    trainer::Trainer,
};
