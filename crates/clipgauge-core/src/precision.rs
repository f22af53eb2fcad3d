//! What linear layers are computed in.

use std::fmt;

macro_rules! precisions {
    ($($(#[$attribute:meta])* $variant:ident = $name:literal, $help:literal;)*) => {
        /// What the linear layers of a model are computed in. All else is f32 in each.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
        #[non_exhaustive]
        pub enum Precision {
            $($(#[$attribute])* $variant,)*
        }

        impl Precision {
            /// Every precision, the default first.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name on a command line.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// What it is, in a line.
            pub fn help(self) -> &'static str {
                match self { $(Self::$variant => $help),* }
            }
        }
    };
}

precisions! {
    /// 32-bit floating point: the reference's numbers, to within rounding.
    #[default]
    F32 = "f32", "exact: the reference's scores to within rounding";
    /// 8-bit whole numbers, weights scaled for each output and activations for each token: a quarter of the memory for
    /// weights, about twice as fast where the processor has AVX2, and scores that differ a little.
    Int8 = "int8", "smaller, and about twice as fast with AVX2: scores differ a little";
}

impl fmt::Display for Precision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
