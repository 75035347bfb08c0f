//! Tests that go through the crate's public interface.

use crate::Engine;

/// The engines that train.
const ENGINES: [Engine; 2] = [Engine::Autodiff, Engine::Fused];

// A new engine does not compile before it is listed above or here.
const _: fn(Engine) = |engine| match engine {
    Engine::Autodiff | Engine::Fused => (),
    Engine::Auto => (),
};

mod engines;
mod extras;
mod fit;
mod population;
mod reference;
mod resume;
mod scores;
