//! Lists of all variants of an enumeration, held to its declaration by the compiler.

/// Gives an enumeration the constant `ALL`: every variant, in the order written here.
///
/// A variant that the list lacks does not compile, since the list is a `match` too; one that stands there twice is an
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
