//! A step allocates nothing: an epoch of many steps asks for as much memory as one of few. (A test binary of its own: it
//! counts the allocations of the whole process.)

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout as Size, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use perceptra_kernel::{Activation, Column, Data, DenseTrainer, Layer, Loss, Numbers, Parts, Rule, Settings, Stem};

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: everything is done by the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, size: Size) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, size: Size) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, size) }
    }

    unsafe fn realloc(&self, memory: *mut u8, old: Size, new: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(memory, old, new) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn steps_allocate_nothing() {
    let rows = 64 * 4 * 20;
    let (x, y) = (vec![0.5; rows * 8], vec![1.0; rows]);
    let weights = vec![1.0; rows];
    let data = Data { inputs: &x, targets: &y, weights: Some(&weights) };
    // Networks whose threads share halves of the batch, and ones whose threads share weights.
    for width in [64, 400] {
        for (rule, clip_norm, dropout) in
            [(Rule::Sgd { momentum: 0.0, nesterov: false }, None, 0.0), (Rule::Adam, Some(1.0), 0.1)]
        {
            let layer = |inputs, outputs, activation| Layer { inputs, outputs, bias: true, activation };
            let layers = [
                layer(8, width, Activation::Relu),
                layer(width, width, Activation::Tanh),
                layer(width, 1, Activation::Identity),
            ];
            let settings = Settings {
                loss: Loss::MeanSquared,
                sum: false,
                rule,
                batch: 64,
                own_rows: true,
                dropout,
                seed: 0,
                betas: [0.9, 0.999],
                rates: [1.0; 6],
                decay: [0.01, 0.0, 0.0, 0.0, 0.0, 0.0],
                l1: 0.0,
                l2: 0.0,
                clip_value: None,
                clip_norm,
            };
            let stem = Stem { columns: vec![Column::Number; 8], numbers: Numbers::Periodic(5, 4), category_width: 1 };
            let embedded = Parts { stem: Some(stem), input_scale: true, parametric: true, ..Parts::default() };
            let edges = vec![vec![-1.0, 0.25, 0.75, 1.0]; 8];
            let stem = Stem {
                columns: vec![Column::Number; 8],
                numbers: Numbers::PiecewiseLinear(edges, 16),
                category_width: 1,
            };
            let several = Parts { members: 4, ..Parts::default() };
            let bent = Parts { stem: Some(stem), ..several.clone() };
            let parts = [(Parts::default(), 8), (embedded, 32), (several, 8), (bent, 128)];
            for (parts, inputs) in &parts {
                let first = layer(*inputs, width, Activation::Relu);
                let layers = [first, layers[1], layers[2]];
                let mut trainer = DenseTrainer::with_parts(&layers, parts, settings, 2);
                let order: Vec<u32> = (0..rows as u32).collect();
                let mut count = |steps: usize, epoch: u32| {
                    let before = ALLOCATIONS.load(Ordering::Relaxed);
                    let rows = &order[..64 * parts.members * steps];
                    let totals = trainer.epoch(&data, rows, epoch, &|_| 0.001.into(), None);
                    assert_eq!(totals.steps, steps);
                    ALLOCATIONS.load(Ordering::Relaxed) - before
                };
                count(1, 1);
                let (few, many) = (count(2, 2), count(20, 3));
                assert_eq!(few, many, "width {width}, {rule:?}, {parts:?}");
            }
        }
    }
}
