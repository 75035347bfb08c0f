//! Lists of all variants of an enumeration. The compiler checks that they are complete.

/// Gives an enumeration the constant `ALL`: every variant, in the order written here.
///
/// If the list lacks a variant, the code does not compile, since the list is a `match` too; a variant that is listed twice is an
/// unreachable pattern. A variant with fields is listed with values for them.
///
/// ```
/// #[derive(Debug, PartialEq)]
/// enum Shape {
///     Point,
///     Circle { radius: f64 },
///     Square(f64),
/// }
/// perceptra_nn::all_variants! { Shape: Point, Circle { radius: 1.0 }, Square(2.0) }
///
/// assert_eq!(Shape::ALL, [Shape::Point, Shape::Circle { radius: 1.0 }, Shape::Square(2.0)]);
/// ```
///
/// ```compile_fail,E0004
/// enum Coin {
///     Heads,
///     Tails,
/// }
/// perceptra_nn::all_variants! { Coin: Heads }
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! all_variants {
    ($type:ident: $($variant:ident $({ $($field:ident: $value:expr),+ $(,)? })? $(($($item:expr),+ $(,)?))?),+ $(,)?) => {
        impl $type {
            /// Every variant; one with fields has an example of their values.
            pub const ALL: &'static [Self] = &[$(Self::$variant $({ $($field: $value),+ })? $(($($item),+))?),+];
        }

        const _: fn(&$type) = |value| match value {
            $($type::$variant { .. } => (),)+
        };
    };
}

/// Gives an enumeration that has `ALL` and `name` a text form: it prints as its name and is parsed from it. With
/// `#[serde(try_from = "String", into = "String")]`, it is stored in files by its name too.
macro_rules! named {
    ($type:ident) => {
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl std::str::FromStr for $type {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                Self::ALL.iter().copied().find(|variant| variant.name() == text).ok_or_else(|| {
                    let names: Vec<String> = Self::ALL.iter().map(|variant| format!("`{variant}`")).collect();
                    format!("unknown variant `{text}`, expected one of {}", names.join(", "))
                })
            }
        }

        impl TryFrom<String> for $type {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(variant: $type) -> Self {
                variant.name().to_owned()
            }
        }
    };
}
pub(crate) use named;
