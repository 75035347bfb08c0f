//! A step allocates nothing: an epoch of many steps asks for as much memory as one of few. A network that only predicts has memory for
//! weights and activations alone. (A test binary of its own: it counts the allocations of the whole process.)

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use perceptra_kernel::{
    Activation, Column, Data, Extras, InputEmbedding, Layer, Network, NumberEmbedding, PerGroup, Settings, Trainer,
    UpdateRule,
};

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: everything is done by the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, old: Layout, new: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(memory, old, new) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn steps_allocate_nothing_and_predictions_nothing_that_only_training_needs() {
    networks_have_memory_for_weights_and_activations();
    steps_allocate_nothing();
}

fn networks_have_memory_for_weights_and_activations() {
    let layer = |inputs, outputs| Layer { inputs, outputs, bias: true, activation: Activation::Relu };
    // A batch ensemble has more of everything that training needs.
    for members in [1, 4] {
        let (layers, extras) =
            ([layer(64, 512), layer(512, 512), layer(512, 64)], Extras { members, ..Extras::default() });
        let (x, mut outputs) = (vec![0.5; 512 * 64], vec![0.0; members * 512 * 64]);
        let before = BYTES.load(Ordering::Relaxed);
        let mut network = Network::new(&layers, &extras, 1).unwrap();
        network.predict(&x, &mut outputs);
        let bytes = BYTES.load(Ordering::Relaxed) - before;
        let weights = 64 * 512 + 512 * 512 + members * 512 * 64;
        // The inputs, once more as the first layer of an ensemble takes them, and the outputs of three layers.
        let activations = 512 * (2 * 64 + 2 * 512 + 64);
        let needed = 4 * (weights + activations);
        assert!(bytes < needed + needed / 8, "{bytes} bytes where {needed} are needed");
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        let mut few = || {
            network.predict(&x[..64], &mut outputs[..members * 64]);
            ALLOCATIONS.load(Ordering::Relaxed) - before
        };
        assert!(few() < 20, "memory is kept from call to call");
    }
}

fn steps_allocate_nothing() {
    let rows = 64 * 4 * 20;
    let (x, y) = (vec![0.5; rows * 8], vec![1.0; rows]);
    let weights = vec![1.0; rows];
    let data = Data { inputs: &x, targets: &y, weights: Some(&weights) };
    // Networks whose threads share halves of the batch, and ones whose threads share weights.
    for width in [64, 400] {
        for (rule, clip_norm, dropout) in
            [(UpdateRule::Sgd { momentum: 0.0, nesterov: false }, None, 0.0), (UpdateRule::Adam, Some(1.0), 0.1)]
        {
            let layer = |inputs, outputs, activation| Layer { inputs, outputs, bias: true, activation };
            let layers = [
                layer(8, width, Activation::Relu),
                layer(width, width, Activation::Tanh),
                layer(width, 1, Activation::Identity),
            ];
            let default = Settings::default();
            let decay = PerGroup { weight: 0.01, ..default.decay };
            let settings = Settings { rule, batch: 64, share_batches: false, dropout, decay, clip_norm, ..default };
            let columns = vec![Column::Number; 8];
            let embedding = InputEmbedding { columns, numbers: NumberEmbedding::Periodic(5, 4), category_width: 1 };
            let embedded =
                Extras { embedding: Some(embedding), input_scale: true, parametric: true, ..Extras::default() };
            let edges = vec![vec![-1.0, 0.25, 0.75, 1.0]; 8];
            let embedding = InputEmbedding {
                columns: vec![Column::Number; 8],
                numbers: NumberEmbedding::PiecewiseLinear(edges, 16),
                category_width: 1,
            };
            let several = Extras { members: 4, ..Extras::default() };
            let bent = Extras { embedding: Some(embedding), ..several.clone() };
            for (extras, inputs) in &[(Extras::default(), 8), (embedded, 32), (several, 8), (bent, 128)] {
                let first = layer(*inputs, width, Activation::Relu);
                let layers = [first, layers[1], layers[2]];
                let mut trainer = Trainer::new(&layers, extras, settings, 2).unwrap();
                let order: Vec<u32> = (0..rows as u32).collect();
                let mut count = |steps: usize, epoch: u32| {
                    let before = ALLOCATIONS.load(Ordering::Relaxed);
                    let rows = &order[..64 * extras.members * steps];
                    let totals = trainer.epoch(&data, rows, epoch, &|_| 0.001.into(), None);
                    assert_eq!(totals.steps, steps);
                    ALLOCATIONS.load(Ordering::Relaxed) - before
                };
                count(1, 1);
                let (few, many) = (count(2, 2), count(20, 3));
                assert_eq!(few, many, "width {width}, {rule:?}, {extras:?}");
            }
        }
    }
}
