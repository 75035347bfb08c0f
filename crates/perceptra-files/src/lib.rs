//! Files that appear whole or not at all ([`write_atomic`]), and a lock for one process at a time ([`Lock`]).
//!
//! Every file that Perceptra writes goes through [`write_atomic`]: a reader sees the old file or the new one, never half of it.

mod atomic;
mod lock;

pub use self::{
    atomic::{remove_stale, write_atomic},
    lock::{Lock, LockError},
};
