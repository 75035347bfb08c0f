//! Lists of all variants of an enum.

/// Gives an enum the constant `ALL`, a list of its variants, for tests. If the list lacks a variant, the code does not compile.
macro_rules! all_variants {
    ($name:ident: $($variant:ident $(($($value:tt)*))? $({$($field:tt)*})?),+ $(,)?) => {
        impl $name {
            /// Every variant; the fields of variants have typical values.
            pub const ALL: &'static [Self] = &[$(Self::$variant $(($($value)*))? $({$($field)*})?),+];
        }

        const _: fn(&$name) = |value| match value {
            $($name::$variant { .. } => {})+
        };
    };
}

pub(crate) use all_variants;
