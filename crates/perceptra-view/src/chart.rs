//! Charts as descriptions: axes and layers, without drawing.

use perceptra_train::History;

use crate::field::Field;

/// A chart: axes and layers, drawn in the order in which they are added.
///
/// Lines and points with a name appear in the legend, those with an empty name do not. Points that are not finite are not drawn.
#[derive(Debug, Clone)]
pub struct Chart {
    /// The title above the chart.
    pub title: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    pub(crate) layers: Vec<Layer>,
}

/// An axis of a chart.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Axis {
    /// The label beside the axis.
    pub label: String,
    /// The lowest and the highest value; `None` for those of the layers, with a margin.
    pub range: Option<(f64, f64)>,
    /// Whether the axis is logarithmic; only values above 0 are shown then.
    pub log: bool,
    /// Names for the positions 0, 1, 2... of a categorical axis, which shows all of them unless a range is set.
    pub names: Vec<String>,
}

/// Mapping of the values of a [`Field`] to colors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colors {
    /// Probabilities: from the color of class 0 at 0 to that of class 1 at 1.
    Probability,
    /// Class numbers: the color of the class.
    Classes,
    /// A color map: dark for the smallest value, light for the largest.
    Heat,
}

#[derive(Debug, Clone)]
pub(crate) enum Layer {
    Line { name: String, points: Vec<(f64, f64)>, color: usize, dashed: bool },
    Shaded { points: Vec<(f64, f64)>, shade: f64 },
    Points { name: String, points: Vec<(f64, f64)>, shape: usize, ring: bool },
    Vertical { name: String, x: f64 },
    Field { field: Field, colors: Colors },
    Contour { name: String, field: Field, levels: Vec<f64>, dashed: bool, light: bool },
}

impl Layer {
    /// The colors of a field; `None` for other layers.
    pub(crate) fn field_colors(&self) -> Option<Colors> {
        match self {
            Self::Field { colors, .. } => Some(*colors),
            Self::Line { .. } | Self::Shaded { .. } | Self::Points { .. } | Self::Vertical { .. } => None,
            Self::Contour { .. } => None,
        }
    }

    fn is_line(&self) -> bool {
        match self {
            Self::Line { .. } => true,
            Self::Shaded { .. } | Self::Points { .. } | Self::Vertical { .. } => false,
            Self::Field { .. } | Self::Contour { .. } => false,
        }
    }
}

fn finite(points: impl IntoIterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    points.into_iter().filter(|(x, y)| x.is_finite() && y.is_finite()).collect()
}

impl Chart {
    /// An empty chart with a title and the labels of its axes.
    pub fn new(title: &str, x: &str, y: &str) -> Self {
        let axis = |label: &str| Axis { label: label.to_owned(), ..Axis::default() };
        Self { title: title.to_owned(), x: axis(x), y: axis(y), layers: Vec::new() }
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

    /// Adds a line through points, in the next color.
    #[must_use]
    pub fn line(self, name: &str, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        self.with_line(name, points, false)
    }

    /// Adds a dashed line, in the next color.
    #[must_use]
    pub fn dashed(self, name: &str, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        self.with_line(name, points, true)
    }

    fn with_line(self, name: &str, points: impl IntoIterator<Item = (f64, f64)>, dashed: bool) -> Self {
        let color = self.layers.iter().filter(|layer| layer.is_line()).count();
        self.layer(Layer::Line { name: name.to_owned(), points: finite(points), color, dashed })
    }

    /// Adds one of many thin lines, dark for a `shade` of 0, light for 1.
    #[must_use]
    pub fn shaded(self, points: impl IntoIterator<Item = (f64, f64)>, shade: f64) -> Self {
        self.layer(Layer::Shaded { points: finite(points), shade })
    }

    /// Adds points, in the color and shape of a class.
    #[must_use]
    pub fn points(self, name: &str, class: usize, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        self.layer(Layer::Points { name: name.to_owned(), points: finite(points), shape: class, ring: false })
    }

    /// Adds the points of every class. `inputs` are pairs (x, y), one after another.
    #[must_use]
    pub fn classes(mut self, inputs: &[f32], classes: &[u32]) -> Self {
        for class in 0..classes.iter().max().map_or(0, |c| c + 1) {
            let members = inputs.chunks_exact(2).zip(classes).filter(|(_, c)| **c == class);
            let points: Vec<_> = members.map(|(p, _)| (f64::from(p[0]), f64::from(p[1]))).collect();
            self = self.points("", class as usize, points);
        }
        self
    }

    /// Adds rings around points, for example around support vectors.
    #[must_use]
    pub fn rings(self, name: &str, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        self.layer(Layer::Points { name: name.to_owned(), points: finite(points), shape: 0, ring: true })
    }

    /// Adds a dotted vertical line.
    #[must_use]
    pub fn vertical(self, name: &str, x: f64) -> Self {
        self.layer(Layer::Vertical { name: name.to_owned(), x })
    }

    /// Adds the values of a field as colors.
    #[must_use]
    pub fn field(self, field: &Field, colors: Colors) -> Self {
        self.layer(Layer::Field { field: field.clone(), colors })
    }

    /// Adds contour lines where a field has one of these values, for example decision boundaries: dark ones, but thin light ones in a
    /// chart with a field in [`Colors::Heat`].
    #[must_use]
    pub fn contour(self, name: &str, field: &Field, levels: &[f64]) -> Self {
        self.with_contour(name, field, levels, false)
    }

    /// Adds dashed contour lines, for example margins.
    #[must_use]
    pub fn dashed_contour(self, name: &str, field: &Field, levels: &[f64]) -> Self {
        self.with_contour(name, field, levels, true)
    }

    fn with_contour(self, name: &str, field: &Field, levels: &[f64], dashed: bool) -> Self {
        let light = self.layers.iter().any(|layer| layer.field_colors() == Some(Colors::Heat));
        let (name, field, levels) = (name.to_owned(), field.clone(), levels.to_vec());
        self.layer(Layer::Contour { name, field, levels, dashed, light })
    }

    fn layer(mut self, layer: Layer) -> Self {
        self.layers.push(layer);
        self
    }
}
