//! Networks that only predict, against the trainer's; and networks and settings that the kernel does not take.

mod common;

use common::{Case, layers, normal, of_weights, predict, set_layer};
use perceptra_kernel::{
    Activation, Column, Extras, InputEmbedding, Layer, Network, NumberEmbedding, Part, Settings, Trainer, Unsupported,
    UpdateRule,
};

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn a_network_predicts_what_a_trainer_does_to_the_bit() {
    for case in Case::all() {
        let inputs = case.data().0;
        let n = case.extras.members * case.rows * case.outputs();
        let mut got = vec![f32::NAN; n];
        let want = predict(&mut case.trainer(1), &inputs, case.rows * case.outputs());
        for threads in [1, 2] {
            case.network(threads).predict(&inputs, &mut got);
            assert_eq!(bits(&got), bits(&want), "{} on {threads} threads", case.name);
        }
    }
}

#[test]
fn a_network_is_kept_from_few_rows_to_many_and_back() {
    for members in [1, 3] {
        let layers = layers(&[7, 120, 80, 2], &[Activation::Relu, Activation::Tanh, Activation::Identity], true);
        let extras = Extras { members, ..Extras::default() };
        let case = Case { name: String::new(), layers, extras, settings: Settings::default(), rows: 3000 };
        let (inputs, m) = (case.data().0, 2);
        let mut network = case.network(3);
        let mut all = vec![0.0; members * case.rows * m];
        network.predict(&inputs, &mut all);
        let mut network = case.network(3);
        for rows in [0, 1, 2, 5, 600, 1, 3000, 17] {
            let mut some = vec![0.0; members * rows * m];
            network.predict(&inputs[..7 * rows], &mut some);
            for member in 0..members {
                let (some, all) = (&some[member * rows * m..], &all[member * case.rows * m..]);
                assert_eq!(bits(&some[..rows * m]), bits(&all[..rows * m]), "{rows} rows, member {member}");
            }
        }
    }
}

#[test]
fn one_row_of_a_large_network_is_predicted_on_any_number_of_threads() {
    let layers = layers(&[300, 700, 400, 1], &[Activation::Relu, Activation::Relu, Activation::Identity], true);
    let settings = Settings { batch: 1, ..Settings::default() };
    let inputs = normal(300, 1, 0, 1.0);
    let predict = |threads| {
        let mut trainer = Trainer::new(&layers, &Extras::default(), settings, threads).unwrap();
        let mut network = Network::new(&layers, &Extras::default(), threads).unwrap();
        for (i, layer) in layers.iter().enumerate() {
            let weight = normal(layer.inputs * layer.outputs, 2, i as u32, 0.1);
            set_layer(&mut trainer, i, &weight, &vec![0.1; layer.outputs]);
            network.set(Part::Weight(i), &weight);
            network.set(Part::Bias(i), &vec![0.1; layer.outputs]);
        }
        let (one, mut other) = (predict(&mut trainer, &inputs, 1), [0.0]);
        network.predict(&inputs, &mut other);
        assert_eq!(one[0].to_bits(), other[0].to_bits());
        one[0].to_bits()
    };
    let one = predict(1);
    for threads in [2, 3, 7] {
        assert_eq!(one, predict(threads), "{threads} threads");
    }
}

#[test]
fn networks_and_settings_that_the_kernel_does_not_take_are_refused() {
    let plain = layers(&[4, 6, 2], &[Activation::Relu, Activation::Identity], true);
    let members = Extras { members: 2, ..Extras::default() };
    let embedded = |columns: &[Column], numbers| {
        let embedding = Some(InputEmbedding { columns: columns.to_vec(), numbers, category_width: 3 });
        Extras { embedding, ..Extras::default() }
    };
    let of_width_0 = |column: Column| {
        let embedding = InputEmbedding { columns: vec![column], numbers: NumberEmbedding::Plain, category_width: 0 };
        Extras { embedding: Some(embedding), ..Extras::default() }
    };
    let with = |layer: usize, change: &dyn Fn(&mut Layer)| {
        let mut layers = plain.clone();
        change(&mut layers[layer]);
        layers
    };
    let four = [Column::Number; 4];
    let bent = |edges: usize, width| NumberEmbedding::PiecewiseLinear(vec![vec![0.0; edges]; 4], width);
    let networks = [
        (Vec::new(), Extras::default(), Unsupported::NoLayers),
        (with(0, &|l| l.inputs = 0), Extras::default(), Unsupported::EmptyLayer { layer: 0 }),
        (with(1, &|l| l.outputs = 0), Extras::default(), Unsupported::EmptyLayer { layer: 1 }),
        (with(1, &|l| l.inputs = 5), Extras::default(), Unsupported::Width { layer: 1, inputs: 5, given: 6 }),
        (
            plain.clone(),
            embedded(&four, NumberEmbedding::Periodic(5, 2)),
            Unsupported::Width { layer: 0, inputs: 4, given: 8 },
        ),
        (plain.clone(), embedded(&four, bent(1, 1)), Unsupported::Embedding("not two edges or more for each number")),
        (
            plain.clone(),
            embedded(&four[1..], bent(3, 1)),
            Unsupported::Embedding("not two edges or more for each number"),
        ),
        (plain.clone(), embedded(&four, bent(3, 0)), Unsupported::Embedding("numbers of width 0")),
        (
            plain.clone(),
            embedded(&[Column::Category(0)], NumberEmbedding::Plain),
            Unsupported::Embedding("a column of no categories"),
        ),
        (plain.clone(), of_width_0(Column::Category(3)), Unsupported::Embedding("categories of width 0")),
        (plain.clone(), embedded(&four, NumberEmbedding::Periodic(5, 0)), Unsupported::Embedding("numbers of width 0")),
        (plain.clone(), Extras { members: 0, ..Extras::default() }, Unsupported::NoMembers),
        (plain[..1].to_vec(), members.clone(), Unsupported::Members),
        (with(0, &|l| l.bias = false), members.clone(), Unsupported::Members),
        (plain.clone(), Extras { input_scale: true, ..members.clone() }, Unsupported::InputScale),
    ];
    for (layers, extras, reason) in networks {
        assert_eq!(Network::new(&layers, &extras, 1).unwrap_err(), reason);
        assert_eq!(Trainer::new(&layers, &extras, Settings::default(), 1).unwrap_err(), reason);
    }

    // Without a column of categories their width does not matter.
    let one = layers(&[1, 2], &[Activation::Identity], true);
    let mut network = Network::new(&one, &of_width_0(Column::Number), 1).unwrap();
    network.predict(&[1.0], &mut [0.0; 2]);

    let ntk = Extras { ntk: true, ..Extras::default() };
    let default = Settings::default();
    let decay = of_weights(0.1);
    let settings = [
        (Extras::default(), Settings { batch: 0, ..default }, Some(Unsupported::EmptyBatch)),
        (Extras::default(), Settings { dropout: 0.5, ..default }, None),
        (members, Settings { dropout: 0.5, ..default }, Some(Unsupported::Dropout { layer: 0, width: 6 })),
        (ntk.clone(), Settings { l1: 0.1, ..default }, Some(Unsupported::Ntk)),
        (ntk.clone(), Settings { l2: 0.1, ..default }, Some(Unsupported::Ntk)),
        (ntk.clone(), Settings { clip_value: Some(1.0), ..default }, Some(Unsupported::Ntk)),
        (ntk.clone(), Settings { clip_norm: Some(1.0), ..default }, Some(Unsupported::Ntk)),
        (ntk.clone(), Settings { decay, ..default }, Some(Unsupported::Ntk)),
        (ntk, Settings { decay, rule: UpdateRule::AdamW, ..default }, None),
    ];
    for (extras, settings, reason) in settings {
        assert_eq!(settings.check(&plain, &extras).err(), reason);
        assert_eq!(Trainer::new(&plain, &extras, settings, 1).err(), reason);
    }
}

#[test]
fn messages_count_layers_from_1() {
    for (reason, message) in [
        (Unsupported::EmptyLayer { layer: 0 }, "it has no layers without inputs or outputs, as layer 1 is"),
        (
            Unsupported::Width { layer: 1, inputs: 5, given: 6 },
            "layer 2 takes 5 inputs, and what comes before it has 6 outputs",
        ),
        (
            Unsupported::Dropout { layer: 0, width: 6 },
            "it drops units of several members by fours, and hidden layer 1 has 6",
        ),
    ] {
        assert_eq!(reason.to_string(), message);
    }
}

#[test]
fn tensors_that_a_network_does_not_have_are_empty() {
    let layers = layers(&[4, 6, 2], &[Activation::Relu, Activation::Identity], false);
    let mut trainer = Trainer::new(&layers, &Extras::default(), Settings::default(), 1).unwrap();
    for part in [Part::Bias(0), Part::Embedding(0), Part::Embedding(7), Part::R(0), Part::S(0), Part::Alpha(1)] {
        trainer.set(part, &[]);
        assert!(trainer.get(part).is_empty(), "{part:?}");
    }
}
