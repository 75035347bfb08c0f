//! What a chart shows.

use perceptra_train::History;

use crate::Field;

/// A chart: axes and layers, drawn in the order in which they are added.
///
/// Lines and points with a name are in the legend; an empty name leaves them out. Numbers that are not finite are not drawn.
#[derive(Debug, Clone)]
pub struct Chart {
    pub(crate) title: String,
    pub(crate) labels: [String; 2],
    pub(crate) x: Option<(f64, f64)>,
    pub(crate) y: Option<(f64, f64)>,
    pub(crate) log: (bool, bool),
    pub(crate) names: [Vec<String>; 2],
    pub(crate) layers: Vec<Layer>,
}

/// How a [`Field`]'s values become colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colours {
    /// From the colour of class 0 at 0 to that of class 1 at 1: probabilities.
    Probability,
    /// The colour of each class's number.
    Classes,
    /// Dark for the least value, light for the largest.
    Heat,
}

#[derive(Debug, Clone)]
pub(crate) enum Layer {
    Line { name: String, points: Vec<(f64, f64)>, colour: usize, dashed: bool },
    Shaded { points: Vec<(f64, f64)>, shade: f64 },
    Points { name: String, points: Vec<(f64, f64)>, shape: usize, ring: bool },
    Vertical { name: String, x: f64 },
    Field { field: Field, colours: Colours },
    Contour { name: String, field: Field, levels: Vec<f64>, dashed: bool, light: bool },
}

fn finite(points: impl IntoIterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    points.into_iter().filter(|(x, y)| x.is_finite() && y.is_finite()).collect()
}

impl Chart {
    /// An empty chart with the names of its axes, units included.
    pub fn new(title: &str, x: &str, y: &str) -> Self {
        let labels = [x, y].map(str::to_owned);
        Self {
            title: title.to_owned(),
            labels,
            x: None,
            y: None,
            log: (false, false),
            names: [Vec::new(), Vec::new()],
            layers: Vec::new(),
        }
    }

    /// The training and validation losses of a run, epoch by epoch, with the epoch whose weights were kept.
    pub fn history(title: &str, history: &History) -> Self {
        let epochs = || history.epochs.iter();
        let validation = epochs().filter_map(|e| Some((e.epoch as f64, e.validation_loss?)));
        let mut chart = Self::new(title, "epoch", "loss")
            .line("training", epochs().map(|e| (e.epoch as f64, e.train_loss)))
            .line("validation", validation);
        if history.best_epoch > 0 {
            chart = chart.vertical(&format!("best epoch, {}", history.best_epoch), history.best_epoch as f64);
        }
        chart
    }

    /// Shows this part of the x axis, rather than what the layers reach.
    #[must_use]
    pub fn x_range(mut self, low: f64, high: f64) -> Self {
        self.x = Some((low, high));
        self
    }

    /// Shows this part of the y axis.
    #[must_use]
    pub fn y_range(mut self, low: f64, high: f64) -> Self {
        self.y = Some((low, high));
        self
    }

    /// Puts names to the whole numbers 0, 1, 2... of the x axis, which shows these: for what is no number.
    #[must_use]
    pub fn x_names(mut self, names: &[String]) -> Self {
        self.names[0] = names.to_vec();
        self.x_range(-0.5, names.len() as f64 - 0.5)
    }

    /// Puts names to the whole numbers 0, 1, 2... of the y axis, which shows these.
    #[must_use]
    pub fn y_names(mut self, names: &[String]) -> Self {
        self.names[1] = names.to_vec();
        self.y_range(-0.5, names.len() as f64 - 0.5)
    }

    /// Makes the x axis logarithmic: only what is above 0 is shown.
    #[must_use]
    pub fn log_x(mut self) -> Self {
        self.log.0 = true;
        self
    }

    /// Makes the y axis logarithmic.
    #[must_use]
    pub fn log_y(mut self) -> Self {
        self.log.1 = true;
        self
    }

    /// Adds a line through points, in the next colour.
    #[must_use]
    pub fn line(self, name: &str, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        self.with_line(name, points, false)
    }

    /// Adds a dashed line, in the next colour.
    #[must_use]
    pub fn dashed(self, name: &str, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        self.with_line(name, points, true)
    }

    fn with_line(self, name: &str, points: impl IntoIterator<Item = (f64, f64)>, dashed: bool) -> Self {
        let colour = self.layers.iter().filter(|l| matches!(l, Layer::Line { .. })).count();
        self.layer(Layer::Line { name: name.to_owned(), points: finite(points), colour, dashed })
    }

    /// Adds a thin line, one of many: dark for a `shade` of 0, light for 1.
    #[must_use]
    pub fn shaded(self, points: impl IntoIterator<Item = (f64, f64)>, shade: f64) -> Self {
        self.layer(Layer::Shaded { points: finite(points), shade })
    }

    /// Adds points, in the colour and shape of class `class`.
    #[must_use]
    pub fn points(self, name: &str, class: usize, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        self.layer(Layer::Points { name: name.to_owned(), points: finite(points), shape: class, ring: false })
    }

    /// Adds the points of each class: `inputs` are (x, y) after (x, y).
    #[must_use]
    pub fn classes(mut self, inputs: &[f32], classes: &[u32]) -> Self {
        for class in 0..classes.iter().max().map_or(0, |c| c + 1) {
            let own = inputs.chunks_exact(2).zip(classes).filter(|(_, c)| **c == class);
            let points: Vec<_> = own.map(|(p, _)| (f64::from(p[0]), f64::from(p[1]))).collect();
            self = self.points("", class as usize, points);
        }
        self
    }

    /// Adds rings round points, such as support vectors.
    #[must_use]
    pub fn rings(self, name: &str, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        self.layer(Layer::Points { name: name.to_owned(), points: finite(points), shape: 0, ring: true })
    }

    /// Adds a dotted vertical line.
    #[must_use]
    pub fn vertical(self, name: &str, x: f64) -> Self {
        self.layer(Layer::Vertical { name: name.to_owned(), x })
    }

    /// Adds the colours of a field's values.
    #[must_use]
    pub fn field(self, field: &Field, colours: Colours) -> Self {
        self.layer(Layer::Field { field: field.clone(), colours })
    }

    /// Adds dark lines where a field has one of these values: boundaries.
    #[must_use]
    pub fn contour(self, name: &str, field: &Field, levels: &[f64]) -> Self {
        self.with_contour(name, field, levels, false, false)
    }

    /// Adds such lines, dashed: margins.
    #[must_use]
    pub fn dashed_contour(self, name: &str, field: &Field, levels: &[f64]) -> Self {
        self.with_contour(name, field, levels, true, false)
    }

    /// Adds such lines, thin and light, for dark ground: heights.
    #[must_use]
    pub fn heights(self, field: &Field, levels: &[f64]) -> Self {
        self.with_contour("", field, levels, false, true)
    }

    fn with_contour(self, name: &str, field: &Field, levels: &[f64], dashed: bool, light: bool) -> Self {
        let (name, field, levels) = (name.to_owned(), field.clone(), levels.to_vec());
        self.layer(Layer::Contour { name, field, levels, dashed, light })
    }

    fn layer(mut self, layer: Layer) -> Self {
        self.layers.push(layer);
        self
    }
}
