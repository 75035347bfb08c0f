//! Lists of all variants of an enum.

/// Gives an enum its `ALL`. A variant that the list lacks does not compile.
macro_rules! all_variants {
    ($name:ident: $($variant:ident $(($($value:tt)*))? $({$($field:tt)*})?),+ $(,)?) => {
        impl $name {
            /// Every variant, with typical values of what it carries.
            pub const ALL: &'static [Self] = &[$(Self::$variant $(($($value)*))? $({$($field)*})?),+];
        }

        const _: fn(&$name) = |value| match value {
            $($name::$variant { .. } => {})+
        };
    };
}

pub(crate) use all_variants;
