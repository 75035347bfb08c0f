//! Domains: the values that a search may choose for a setting.

use perceptra_model::{RunConfig, split_list};
use toml::Value;

/// The values among which a search chooses for one setting.
///
/// | written | domain |
/// |---|---|
/// | `lr=0.1,0.01` or `choice:0.1,0.01` | one of these |
/// | `dropout=0..0.5` | a number in this range, uniform |
/// | `lr=log:1e-4..1e-1` | a number in this range, uniform on a logarithmic scale |
/// | `hidden=int:8..256` | a whole number in this range, uniform, both ends included |
/// | `hidden=log-int:8..256` | a whole number in this range, uniform on a logarithmic scale |
///
/// Among the values of a choice, a list is written `64x64` or `[64, 64]`, since commas separate the values; `none` is the empty list.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Domain {
    /// One of these values, each as a run file writes it.
    Choice(Vec<String>),
    /// A number from the first to the second, uniform.
    Uniform(f64, f64),
    /// A number from the first to the second, uniform on a logarithmic scale.
    Log(f64, f64),
    /// A whole number from the first to the second, uniform.
    Integer(i64, i64),
    /// A whole number from the first to the second, uniform on a logarithmic scale.
    LogInteger(i64, i64),
}

/// How a run file writes a whole number for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notation {
    /// A number without a decimal point, such as `8`.
    Integer,
    /// A number with a decimal point, such as `8.0`.
    Float,
    /// A list of one number, such as `[8]`.
    List,
}

impl Notation {
    /// The notation of the key with this path, such as `network.hidden`.
    pub(crate) fn of(key: &str) -> Self {
        let example = RunConfig::with_every_key().get(key).unwrap_or_default();
        let is_float = example.parse::<i64>().is_err() && example.parse::<f64>().is_ok();
        match example.starts_with('[') {
            true => Self::List,
            false if is_float => Self::Float,
            false => Self::Integer,
        }
    }
}

impl Domain {
    /// Whether values are chosen on a logarithmic scale; `None` for a list of values, which has no scale.
    pub(crate) fn is_logarithmic(&self) -> Option<bool> {
        match self {
            Self::Choice(_) => None,
            Self::Log(..) | Self::LogInteger(..) => Some(true),
            Self::Uniform(..) | Self::Integer(..) => Some(false),
        }
    }

    /// Reads a domain; the values of a choice are kept as written.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (kind, rest) = match text.split_once(':') {
            Some((kind @ ("choice" | "log" | "int" | "log-int"), rest)) => (kind, rest),
            _ if text.contains("..") => ("uniform", text),
            _ => ("choice", text),
        };
        if kind == "choice" {
            return Ok(Self::Choice(split_list(rest).into_iter().map(|value| value.trim().to_owned()).collect()));
        }
        let (low, high) = rest.split_once("..").ok_or("a range is written low..high")?;
        let number = |text: &str| {
            let x: Result<f64, _> = text.trim().parse();
            x.ok().filter(|x| x.is_finite()).ok_or_else(|| format!("`{}` is not a number", text.trim()))
        };
        let (low, high) = (number(low)?, number(high)?);
        if low > high {
            return Err(format!("{low} is above {high}"));
        }
        if kind.starts_with("log") && low <= 0.0 {
            return Err(format!("a logarithmic range begins above 0, not at {low}"));
        }
        let whole = low.fract() == 0.0 && high.fract() == 0.0 && high.abs().max(low.abs()) < 9e15;
        match kind {
            "uniform" => Ok(Self::Uniform(low, high)),
            "log" => Ok(Self::Log(low, high)),
            _ if !whole => Err("its ends must be whole numbers".to_owned()),
            "int" => Ok(Self::Integer(low as i64, high as i64)),
            _ => Ok(Self::LogInteger(low as i64, high as i64)),
        }
    }

    /// The value at a position between 0 (the start of the domain) and 1 (its end), as a run file writes it.
    pub(crate) fn at(&self, position: f64, notation: Notation) -> String {
        // Five significant digits are enough for a setting and easy to read.
        let float = |x: f64| Value::Float(format!("{x:.4e}").parse().unwrap_or(x)).to_string();
        let whole = |n: i64| match notation {
            Notation::Integer => n.to_string(),
            Notation::Float => Value::Float(n as f64).to_string(),
            Notation::List => format!("[{n}]"),
        };
        match self {
            Self::Choice(values) => values[((position * values.len() as f64) as usize).min(values.len() - 1)].clone(),
            Self::Uniform(low, high) => float(low + (high - low) * position),
            Self::Log(low, high) => float((low.ln() + (high.ln() - low.ln()) * position).exp().clamp(*low, *high)),
            Self::Integer(low, high) => whole((low + ((high - low + 1) as f64 * position) as i64).min(*high)),
            Self::LogInteger(low, high) => {
                // Each whole number n gets the interval from n − ½ to n + ½.
                let (a, b) = ((*low as f64 - 0.5).max(0.5).ln(), (*high as f64 + 0.5).ln());
                whole(((a + (b - a) * position).exp().round() as i64).clamp(*low, *high))
            }
        }
    }
}
