//! Support vector machines (Boser, Guyon, Vapnik, 1992; Cortes, Vapnik, 1995), solved by
//! [linfa-svm](https://docs.rs/linfa-svm).

use linfa::dataset::DatasetBase;
use linfa::traits::Fit;
use linfa_svm::SvmParams;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2};

/// Kernel function: the similarity of two rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kernel {
    /// Dot product x·x′ of the rows x and x′.
    Linear,
    /// Polynomial kernel, (γ x·x′ + c)ᵈ.
    Polynomial {
        /// Degree d, at least 1.
        degree: u32,
        /// Factor γ, above 0.
        gamma: f64,
        /// Constant c, 0 or more.
        constant: f64,
    },
    /// Radial kernel, exp(−γ |x − x′|²).
    Radial {
        /// Factor γ, above 0.
        gamma: f64,
    },
}

/// Settings of a support vector machine.
///
/// | Name | Default | Purpose | Range |
/// |---|---|---|---|
/// | `kernel` | linear | similarity of two rows | |
/// | `c` | 1 | penalty of a row on the wrong side of its margin | > 0 |
/// | `epsilon` | 0.1 | regression: errors up to this have no penalty | ≥ 0 |
/// | `tolerance` | 0.001 | violation of the optimality conditions at which the solver stops | > 0 |
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SvmConfig {
    /// Kernel function, the similarity of two rows.
    pub kernel: Kernel,
    /// C, the penalty of a row on the wrong side of its margin, per unit of distance.
    pub c: f64,
    /// ε of regression, in units of the target: errors up to it have no penalty.
    pub epsilon: f64,
    /// Violation of the optimality conditions at which the solver stops.
    pub tolerance: f64,
}

/// An error of training a support vector machine.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SvmError {
    /// A setting out of its range.
    #[error("{name} is {value}, it must be {range}")]
    Setting {
        /// Name of the setting.
        name: &'static str,
        /// Value of the setting.
        value: f64,
        /// Valid range of the setting.
        range: &'static str,
    },
    /// Inputs and targets with different numbers of rows, or without rows.
    #[error("there are {inputs} rows of inputs and {targets} targets")]
    Rows {
        /// Number of rows of inputs.
        inputs: usize,
        /// Number of targets.
        targets: usize,
    },
    /// A value that is NaN or infinite.
    #[error("the {what} of row {row} is not a finite number")]
    NotFinite {
        /// "input" or "target".
        what: &'static str,
        /// The row, from 0.
        row: usize,
    },
    /// Fewer than two classes.
    #[error("all rows are of one class, a classifier needs two")]
    OneClass,
    /// The solver failed.
    #[error("the solver failed: {0}")]
    Solver(String),
}

/// A trained support vector machine: f(x) = Σᵢ αᵢ K(xᵢ, x) − ρ over its support vectors xᵢ, with kernel K, factors αᵢ and threshold ρ. With
/// three or more classes there is one machine for each class against the others, with several targets one for each target.
#[derive(Debug, Clone, PartialEq)]
pub struct Svm {
    /// Indices of the training rows that are support vectors of any machine, in ascending order.
    pub support_vectors: Vec<u32>,
    kernel: Kernel,
    columns: usize,
    machines: Vec<Machine>,
}

#[derive(Debug, Clone, PartialEq)]
struct Machine {
    /// Indices of the machine's support vectors among the training rows.
    rows: Vec<u32>,
    /// `[support vectors, columns]`
    vectors: Vec<f32>,
    /// Factor αᵢ of each support vector; in a classifier above 0 for rows of the class, below 0 for the others.
    alphas: Vec<f64>,
    rho: f64,
}

impl Default for SvmConfig {
    fn default() -> Self {
        Self { kernel: Kernel::Linear, c: 1.0, epsilon: 0.1, tolerance: 1e-3 }
    }
}

impl Kernel {
    /// The kernel K(x, x′) of two rows.
    fn value(self, a: &[f32], b: &[f32]) -> f64 {
        let pairs = || a.iter().zip(b).map(|(a, b)| (f64::from(*a), f64::from(*b)));
        let dot = || pairs().map(|(a, b)| a * b).sum::<f64>();
        match self {
            Self::Linear => dot(),
            Self::Polynomial { degree, gamma, constant } => {
                (gamma * dot() + constant).powi(degree.min(i32::MAX as u32) as i32)
            }
            Self::Radial { gamma } => (-gamma * pairs().map(|(a, b)| (a - b) * (a - b)).sum::<f64>()).exp(),
        }
    }

    /// The kernel parameter γ = 1 / (columns · variance of all inputs), which scikit-learn calls `scale`; 1 if the variance is 0.
    pub(crate) fn scale(inputs: &[f32], columns: usize) -> f64 {
        let n = inputs.len().max(1) as f64;
        let mean = inputs.iter().map(|x| f64::from(*x)).sum::<f64>() / n;
        let variance = inputs.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / n;
        if variance > 0.0 { 1.0 / (columns as f64 * variance) } else { 1.0 }
    }
}

impl SvmConfig {
    /// A C so large that separable rows get the maximal margin classifier.
    pub const MAXIMAL_MARGIN: f64 = 1e6;

    fn check(&self) -> Result<(), SvmError> {
        let positive = |name, value: f64| match value > 0.0 && value.is_finite() {
            true => Ok(()),
            false => Err(SvmError::Setting { name, value, range: "above 0" }),
        };
        positive("c", self.c)?;
        positive("tolerance", self.tolerance)?;
        match self.kernel {
            Kernel::Linear => {}
            Kernel::Radial { gamma } => positive("gamma", gamma)?,
            Kernel::Polynomial { degree, gamma, constant } => {
                positive("gamma", gamma)?;
                positive("degree", f64::from(degree))?;
                if !(constant >= 0.0 && constant.is_finite()) {
                    return Err(SvmError::Setting { name: "constant", value: constant, range: "0 or more" });
                }
            }
        }
        match self.epsilon >= 0.0 && self.epsilon.is_finite() {
            true => Ok(()),
            false => Err(SvmError::Setting { name: "epsilon", value: self.epsilon, range: "0 or more" }),
        }
    }

    /// Trains a classifier: one machine for two classes, else one for each class against the others. Memory and time grow with the
    /// square of the number of rows.
    ///
    /// # Shapes
    ///
    /// - inputs: `[rows, columns]`, row by row
    /// - classes: `[rows]`, numbered from 0
    ///
    /// # Errors
    ///
    /// Every variant of [`SvmError`].
    pub fn classify(&self, inputs: &[f32], columns: usize, classes: &[u32]) -> Result<Svm, SvmError> {
        let records = self.records(inputs, columns, classes.len())?;
        let count = classes.iter().max().map_or(0, |c| c + 1);
        if classes.iter().all(|c| *c == classes[0]) {
            return Err(SvmError::OneClass);
        }
        let positive = if count == 2 { 1..2 } else { 0..count };
        let machines = positive.map(|class| {
            let targets: Array1<bool> = classes.iter().map(|c| *c == class).collect();
            if !targets.iter().any(|t| *t) {
                // A class without rows gets f = −∞, so that it is never predicted.
                return Ok(Machine { rows: Vec::new(), vectors: Vec::new(), alphas: Vec::new(), rho: f64::INFINITY });
            }
            let params = self.with_kernel(SvmParams::<f64, bool>::new()).pos_neg_weights(self.c, self.c);
            let data: DatasetBase<ArrayView2<'_, f64>, ArrayView1<'_, bool>> =
                DatasetBase::new(records.view(), targets.view());
            let svm = params.fit(&data).map_err(|e| SvmError::Solver(e.to_string()))?;
            Ok(Machine::new(&svm.alpha, svm.rho, inputs, columns))
        });
        Ok(Svm::new(self.kernel, columns, machines.collect::<Result<_, _>>()?))
    }

    /// Trains a regression, in which errors up to ε have no penalty, with one machine for each target.
    ///
    /// # Shapes
    ///
    /// - inputs: `[rows, columns]`, row by row
    /// - targets: `[rows, outputs]`, row by row
    ///
    /// # Errors
    ///
    /// Every variant of [`SvmError`] but [`SvmError::OneClass`].
    pub fn regress(&self, inputs: &[f32], columns: usize, targets: &[f32], outputs: usize) -> Result<Svm, SvmError> {
        let records = self.records(inputs, columns, targets.len() / outputs.max(1))?;
        if let Some(i) = targets.iter().position(|y| !y.is_finite()) {
            return Err(SvmError::NotFinite { what: "target", row: i / outputs.max(1) });
        }
        let machines = (0..outputs).map(|output| {
            let targets: Array1<f64> = targets.iter().skip(output).step_by(outputs).map(|y| f64::from(*y)).collect();
            let params = self.with_kernel(SvmParams::<f64, f64>::new()).c_svr(self.c, Some(self.epsilon));
            let data: DatasetBase<ArrayView2<'_, f64>, ArrayView1<'_, f64>> =
                DatasetBase::new(records.view(), targets.view());
            let svm = params.fit(&data).map_err(|e| SvmError::Solver(e.to_string()))?;
            Ok(Machine::new(&svm.alpha, svm.rho, inputs, columns))
        });
        Ok(Svm::new(self.kernel, columns, machines.collect::<Result<_, _>>()?))
    }

    /// The checked rows for the solver. Its polynomial kernel has no γ, so for that kernel rows are scaled by √γ.
    fn records(&self, inputs: &[f32], columns: usize, targets: usize) -> Result<Array2<f64>, SvmError> {
        self.check()?;
        let rows = inputs.len() / columns.max(1);
        if rows == 0 || rows != targets || rows * columns != inputs.len() {
            return Err(SvmError::Rows { inputs: rows, targets });
        }
        if let Some(i) = inputs.iter().position(|x| !x.is_finite()) {
            return Err(SvmError::NotFinite { what: "input", row: i / columns });
        }
        let factor = match self.kernel {
            Kernel::Polynomial { gamma, .. } => gamma.sqrt(),
            Kernel::Linear | Kernel::Radial { .. } => 1.0,
        };
        let values = inputs.iter().map(|x| factor * f64::from(*x)).collect();
        Array2::from_shape_vec((rows, columns), values).map_err(|e| SvmError::Solver(e.to_string()))
    }

    fn with_kernel<T>(&self, params: SvmParams<f64, T>) -> SvmParams<f64, T> {
        let params = params.eps(self.tolerance);
        match self.kernel {
            Kernel::Linear => params.linear_kernel(),
            Kernel::Polynomial { degree, constant, .. } => params.polynomial_kernel(constant, f64::from(degree)),
            Kernel::Radial { gamma } => params.gaussian_kernel(1.0 / gamma),
        }
    }
}

impl Machine {
    fn new(alphas: &[f64], rho: f64, inputs: &[f32], columns: usize) -> Self {
        // Factors that should be 0 differ from it by rounding.
        let largest = alphas.iter().fold(0.0, |m: f64, a| m.max(a.abs()));
        let supports = || (0..).zip(alphas).filter(move |(_, a)| a.abs() > 1e-9 * largest);
        Self {
            rows: supports().map(|(row, _)| row).collect(),
            vectors: supports().flat_map(|(row, _)| &inputs[row as usize * columns..][..columns]).copied().collect(),
            alphas: supports().map(|(_, a)| *a).collect(),
            rho,
        }
    }
}

impl Svm {
    fn new(kernel: Kernel, columns: usize, machines: Vec<Machine>) -> Self {
        let mut support_vectors: Vec<u32> = machines.iter().flat_map(|m| m.rows.clone()).collect();
        support_vectors.sort_unstable();
        support_vectors.dedup();
        Self { support_vectors, kernel, columns, machines }
    }

    /// The decision function f(x) of each machine for each row. With two classes it is above 0 for class 1, and 1 or −1 on the margins; for
    /// a regression it is the prediction.
    ///
    /// # Shapes
    ///
    /// - inputs: `[rows, columns]`, row by row
    /// - result: `[rows, machines]`, row by row
    pub fn decide(&self, inputs: &[f32]) -> Vec<f64> {
        let value = |machine: &Machine, x: &[f32]| {
            let supports = machine.vectors.chunks_exact(self.columns).zip(&machine.alphas);
            supports.map(|(v, a)| a * self.kernel.value(v, x)).sum::<f64>() - machine.rho
        };
        inputs.chunks_exact(self.columns).flat_map(|x| self.machines.iter().map(move |m| value(m, x))).collect()
    }

    /// The predicted class of each row.
    pub fn classes(&self, inputs: &[f32]) -> Vec<u32> {
        let values = self.decide(inputs);
        let class = |values: &[f64]| match values {
            [value] => u32::from(*value >= 0.0),
            many => {
                (0..).zip(many).fold((0, f64::NEG_INFINITY), |best, (c, v)| if *v > best.1 { (c, *v) } else { best }).0
            }
        };
        values.chunks_exact(self.machines.len()).map(class).collect()
    }

    /// The distance of each machine's margin from its decision boundary, 1/|w|, in the feature space of the kernel.
    pub fn margins(&self) -> Vec<f64> {
        let margin = |m: &Machine| {
            let vectors = || m.vectors.chunks_exact(self.columns).zip(&m.alphas);
            let square: f64 =
                vectors().flat_map(|(x, a)| vectors().map(move |(y, b)| a * b * self.kernel.value(x, y))).sum();
            1.0 / square.sqrt()
        };
        self.machines.iter().map(margin).collect()
    }

    /// Number of parameters: the values of the support vectors, their αᵢ and the thresholds ρ.
    pub(crate) fn parameters(&self) -> usize {
        self.machines.iter().map(|m| m.vectors.len() + m.alphas.len() + 1).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    fn exact(kernel: Kernel, c: f64) -> SvmConfig {
        SvmConfig { kernel, c, tolerance: 1e-8, ..SvmConfig::default() }
    }

    // (1, 0) against (3, 0), other rows farther away: the boundary is x = 2, the margin 1, w = (1, 0), ρ = 2.
    #[test]
    fn the_maximal_margin_of_a_known_case() {
        let inputs = [1.0, 0.0, 3.0, 0.0, 5.0, 1.0, -4.0, 2.0];
        let svm = exact(Kernel::Linear, SvmConfig::MAXIMAL_MARGIN).classify(&inputs, 2, &[0, 1, 1, 0]).unwrap();
        assert_eq!(svm.support_vectors, [0, 1]);
        assert_relative_eq!(svm.margins()[0], 1.0, max_relative = 1e-6);
        let values = svm.decide(&[1.0, 7.0, 2.0, -3.0, 3.0, 0.0, 4.5, 0.0]);
        for (got, want) in values.into_iter().zip([-1.0, 0.0, 1.0, 2.5]) {
            assert_relative_eq!(got, want, epsilon = 1e-6);
        }
        assert_eq!(svm.parameters(), 2 * 2 + 2 + 1);
    }

    #[test]
    fn a_soft_margin_meets_the_conditions_of_the_optimum() {
        let inputs = [-1.0, 3.0, 1.0, 2.0, -2.0, 0.5];
        let classes = [0, 0, 1, 1, 0, 1];
        for (kernel, c) in [
            (Kernel::Linear, 0.1),
            (Kernel::Linear, 10.0),
            (Kernel::Radial { gamma: 0.5 }, 1.0),
            (Kernel::Polynomial { degree: 3, gamma: 0.5, constant: 1.0 }, 0.5),
        ] {
            let svm = exact(kernel, c).classify(&inputs, 1, &classes).unwrap();
            let machine = &svm.machines[0];
            let mut alphas = [0.0; 6];
            machine.rows.iter().zip(&machine.alphas).for_each(|(&row, a)| alphas[row as usize] = *a);
            assert!(alphas.iter().sum::<f64>().abs() < 1e-6, "{alphas:?}");
            for ((f, a), class) in svm.decide(&inputs).into_iter().zip(alphas).zip(classes) {
                let side = if class == 1 { 1.0 } else { -1.0 };
                // Conditions of Karush, Kuhn and Tucker: rows with 0 < α < C lie on the margin, rows with α = 0 beyond it, rows with α = C
                // inside.
                let (a, f) = (a * side, f * side);
                assert!((-1e-9..=c + 1e-9).contains(&a), "{a}");
                match a {
                    a if a < 1e-7 => assert!(f >= 1.0 - 1e-5, "{kernel:?} {c}: {f}"),
                    a if a > c - 1e-7 => assert!(f <= 1.0 + 1e-5, "{kernel:?} {c}: {f}"),
                    _ => assert_relative_eq!(f, 1.0, epsilon = 1e-5),
                }
            }
        }
    }

    #[test]
    fn kernels_have_their_closed_forms() {
        let (a, b) = ([1.0, 2.0], [3.0, -1.0]);
        assert_eq!(Kernel::Linear.value(&a, &b), 1.0);
        assert_eq!(Kernel::Polynomial { degree: 3, gamma: 0.5, constant: 1.0 }.value(&a, &b), 3.375);
        assert_relative_eq!(Kernel::Radial { gamma: 0.1 }.value(&a, &b), (-1.3f64).exp());
        // Variance 1 over two columns.
        assert_eq!(Kernel::scale(&[-1.0, 1.0, 1.0, -1.0], 2), 0.5);
        assert_eq!(Kernel::scale(&[3.0, 3.0], 1), 1.0);
    }

    #[test]
    fn kernels_separate_rows_that_no_line_separates() {
        let xor = [0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0];
        let classes = [0, 1, 1, 0];
        let line = exact(Kernel::Linear, 1.0).classify(&xor, 2, &classes).unwrap();
        assert_ne!(line.classes(&xor), classes);
        for kernel in [Kernel::Radial { gamma: 1.0 }, Kernel::Polynomial { degree: 2, gamma: 1.0, constant: 1.0 }] {
            let svm = exact(kernel, SvmConfig::MAXIMAL_MARGIN).classify(&xor, 2, &classes).unwrap();
            assert_eq!(svm.classes(&xor), classes, "{kernel:?}");
            assert_eq!(svm.support_vectors.len(), 4);
            // The sample lies on the margins: f = ±1.
            for (f, class) in svm.decide(&xor).into_iter().zip(classes) {
                assert_relative_eq!(f, 2.0 * f64::from(class) - 1.0, epsilon = 1e-5);
            }
        }
    }

    #[test]
    fn three_classes_and_a_class_without_rows() {
        let inputs = [0.0, 0.0, 0.1, 0.1, 5.0, 0.0, 5.1, 0.1, 0.0, 5.0, 0.1, 5.1];
        let classes = [0, 0, 3, 3, 1, 1];
        let svm = exact(Kernel::Radial { gamma: 0.5 }, 10.0).classify(&inputs, 2, &classes).unwrap();
        assert_eq!(svm.classes(&inputs), classes);
        assert_eq!(svm.decide(&inputs).len(), 6 * 4);
    }

    // Rows on a line with slope 2: within ε of it the flattest line has slope 2 - 2ε/width and leaves the ends at ε.
    #[test]
    fn a_regression_is_as_flat_as_its_tube_allows() {
        let inputs: Vec<f32> = (0..11).map(|i| i as f32 / 10.0).collect();
        let targets: Vec<f32> = inputs.iter().map(|x| 2.0 * x + 1.0).collect();
        let config = SvmConfig { epsilon: 0.1, ..exact(Kernel::Linear, 1000.0) };
        let svm = config.regress(&inputs, 1, &targets, 1).unwrap();
        for (x, f) in inputs.iter().zip(svm.decide(&inputs)) {
            assert_relative_eq!(f, 1.1 + 1.8 * f64::from(*x), epsilon = 1e-5);
        }
        assert_eq!(svm.support_vectors, [0, 10]);
        // Two targets, two machines.
        let two: Vec<f32> = targets.iter().flat_map(|y| [*y, -y]).collect();
        let svm = config.regress(&inputs, 1, &two, 2).unwrap();
        assert!(svm.decide(&inputs).chunks(2).all(|f| (f[0] + f[1]).abs() < 1e-5));
    }

    #[test]
    fn wrong_settings_and_rows_are_errors() {
        let good = SvmConfig::default();
        let message = |config: SvmConfig| config.classify(&[0.0, 1.0], 1, &[0, 1]).unwrap_err().to_string();
        assert_eq!(message(SvmConfig { c: 0.0, ..good }), "c is 0, it must be above 0");
        assert_eq!(message(SvmConfig { epsilon: -1.0, ..good }), "epsilon is -1, it must be 0 or more");
        let radial = Kernel::Radial { gamma: f64::NAN };
        assert_eq!(message(SvmConfig { kernel: radial, ..good }), "gamma is NaN, it must be above 0");
        assert_eq!(good.classify(&[0.0], 1, &[0, 1]), Err(SvmError::Rows { inputs: 1, targets: 2 }));
        assert_eq!(good.classify(&[], 1, &[]), Err(SvmError::Rows { inputs: 0, targets: 0 }));
        assert_eq!(good.classify(&[0.0, 1.0], 1, &[1, 1]), Err(SvmError::OneClass));
        let wrong = good.regress(&[0.0, f32::NAN], 1, &[0.0, 1.0], 1);
        assert_eq!(wrong, Err(SvmError::NotFinite { what: "input", row: 1 }));
        let wrong = good.regress(&[0.0, 1.0], 1, &[f32::INFINITY, 1.0], 1);
        assert_eq!(wrong, Err(SvmError::NotFinite { what: "target", row: 0 }));
    }
}
