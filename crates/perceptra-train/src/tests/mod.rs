//! Tests that go through the crate's public interface.

mod engines;
mod extras;
mod fit;
mod population;
mod reference;
mod resume;
mod scores;
