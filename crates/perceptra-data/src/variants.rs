//! Lists of the variants of enumerations.

/// Gives an enumeration without fields its list of variants and the name of each: the only place where they stand. It does not compile
/// with a variant left out.
macro_rules! named_variants {
    ($Type:ident { $($Variant:ident = $name:literal),+ $(,)? }) => {
        impl $Type {
            /// Every variant.
            pub const ALL: &[Self] = &[$(Self::$Variant),+];

            const NAMES: &[&str] = &[$($name),+];

            /// The name in files and messages.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$Variant => $name),+
                }
            }
        }

        impl std::fmt::Display for $Type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl serde::Serialize for $Type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl<'de> serde::Deserialize<'de> for $Type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = String::deserialize(deserializer)?;
                let known = Self::ALL.iter().find(|variant| variant.name() == name);
                known.copied().ok_or_else(|| serde::de::Error::unknown_variant(&name, Self::NAMES))
            }
        }
    };
}

/// Gives an enumeration a list of its variants, without which it does not compile.
macro_rules! all_variants {
    ($Type:ident: $($Variant:ident),+ $(,)?) => {
        impl $Type {
            /// Every variant.
            pub(crate) const ALL: &[Self] = {
                // A variant that is left out does not compile.
                const fn listed(variant: $Type) -> $Type {
                    match variant {
                        $($Type::$Variant => variant),+
                    }
                }
                &[$(listed(Self::$Variant)),+]
            };
        }
    };
}

pub(crate) use {all_variants, named_variants};
