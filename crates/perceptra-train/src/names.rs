//! Enumerations whose variants have names in files and messages.

/// Gives an enumeration the constant `ALL` and the method `name`, from one list; a variant that the list lacks does not compile.
macro_rules! names {
    ($type:ident: $($variant:ident = $name:literal),+ $(,)?) => {
        perceptra_nn::all_variants! { $type: $($variant),+ }

        impl $type {
            /// The name used in files and messages.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}
pub(crate) use names;
