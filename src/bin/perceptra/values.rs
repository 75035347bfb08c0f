//! Values of flags: those that have names in run files, and those with a notation of their own.

use std::ffi::OsStr;
use std::marker::PhantomData;
use std::sync::LazyLock;

use clap::builder::{PossibleValue, PossibleValuesParser, StringValueParser, TypedValueParser};
use clap::{Arg, Command};
use perceptra::data::{DateOrder, Scaling, Tails, Task};
use perceptra::model::{EmbeddingKind, Preset, Sampler};
use perceptra::nn::{Initializer, Loss, Norm};
use perceptra::train::{ClassWeights, Engine, Optimizer, Reduction, Schedule};
use perceptra::{Activation, Metric, ModelError, RunConfig};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

/// A setting that is one of several values, each with a name.
pub(crate) trait Named: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// The name of every value, in the order of the help.
    fn names() -> &'static [String];
}

macro_rules! named {
    ($($setting:ident),* $(,)?) => {$(
        impl Named for $setting {
            fn names() -> &'static [String] {
                static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| names_of($setting::ALL));
                &NAMES
            }
        }
    )*};
}

named! {
    Activation, DateOrder, EmbeddingKind, Engine, Initializer, Loss, Metric, Norm, Optimizer, Preset, Reduction, Sampler, Scaling, Schedule, Tails, Task,
}

/// The names of values as run files write them, without an argument such as the delta of `huber:1`.
fn names_of<T: Serialize>(all: &[T]) -> Vec<String> {
    let name = |value: &T| Some(json!(value).as_str()?.split(':').next()?.to_owned());
    all.iter().filter_map(name).collect()
}

/// Reads a value by the name that it has in run files.
pub(crate) fn named<T: DeserializeOwned>(name: &str) -> Result<T, String> {
    serde_json::from_value(json!(name)).map_err(|e| {
        let text = e.to_string();
        text.split_once("expected ").map_or(text.clone(), |(_, expected)| format!("expected {expected}"))
    })
}

/// Parses a flag whose value has a name; `--help`, completions and error messages list the names.
pub(crate) fn one_of<T: Named>() -> OneOf<T> {
    OneOf { hidden: &[], setting: PhantomData }
}

/// Parses an activation of hidden layers. Softmax is left to the network's own check, whose message says why it is refused.
pub(crate) fn hidden_activation() -> OneOf<Activation> {
    OneOf { hidden: &["softmax"], setting: PhantomData }
}

/// Parser of a flag whose value has a name, made by [`one_of`].
#[derive(Debug, Clone)]
pub(crate) struct OneOf<T> {
    /// Names that are accepted but not listed.
    hidden: &'static [&'static str],
    setting: PhantomData<T>,
}

impl<T: Named> OneOf<T> {
    fn values(&self) -> Vec<PossibleValue> {
        let names = T::names().iter().map(String::as_str);
        names.map(|name| PossibleValue::new(name).hide(self.hidden.contains(&name))).collect()
    }
}

impl<T: Named> TypedValueParser for OneOf<T> {
    type Value = T;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<T, clap::Error> {
        let text = value.to_str().unwrap_or_default();
        if let Ok(value) = named(text) {
            return Ok(value);
        }
        let name = text.split(':').next().unwrap_or_default();
        if !T::names().iter().any(|known| known == name) {
            // This fails, with an error that lists the names and the most similar one.
            PossibleValuesParser::new(self.values()).parse_ref(command, arg, value)?;
        }
        StringValueParser::new().try_map(|text| named(&text)).parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.values().into_iter()))
    }
}

/// A value, or `auto`, which leaves the choice to the program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OrAuto<T>(pub(crate) Option<T>);

/// Parses a flag whose value is `auto` or has a name.
pub(crate) fn auto_or<T: Named>() -> impl TypedValueParser<Value = OrAuto<T>> {
    let names = ["auto"].into_iter().chain(T::names().iter().map(String::as_str));
    PossibleValuesParser::new(names).map(|name| OrAuto(named(&name).ok()))
}

/// Widths of layers.
#[derive(Debug, Clone)]
pub(crate) struct Widths(pub(crate) Vec<usize>);

/// A number, or `none`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OrNone(pub(crate) Option<usize>);

/// The value of a key, read from text that is written as in `--set`.
fn value_of<T>(key: &str, text: &str, get: impl Fn(RunConfig) -> T) -> Result<T, String> {
    let mut run = RunConfig::default();
    run.set(key, text).map_err(|e| match e {
        ModelError::Value { reason, .. } => reason,
        other => other.to_string(),
    })?;
    Ok(get(run))
}

pub(crate) fn widths(text: &str) -> Result<Widths, String> {
    let widths = value_of("network.hidden", text, |run| Widths(run.network.hidden))?;
    if widths.0.contains(&0) {
        return Err("a layer has 1 unit or more; `none` leaves out hidden layers".to_owned());
    }
    Ok(widths)
}

pub(crate) fn or_none(text: &str) -> Result<OrNone, String> {
    match text {
        "none" => Ok(OrNone(None)),
        _ => text.parse().map(|n| OrNone(Some(n))).map_err(|_| "expected a number of epochs, or none".into()),
    }
}

pub(crate) fn class_weights(text: &str) -> Result<ClassWeights, String> {
    value_of("train.class_weights", text, |run| run.train.class_weights)
}
