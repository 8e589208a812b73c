//! How a space of codes is declared.

/// Declares the constants of one space of codes and the way back from a code to its name.
macro_rules! codes {
    ($($name:ident = $code:literal, $doc:literal;)*) => {
        $(#[doc = $doc] pub const $name: i32 = $code;)*

        /// Every code with its name, as RocketMQ spells it.
        pub const ALL: &[(&str, i32)] = &[$((stringify!($name), $code)),*];

        /// The name of a code, as RocketMQ spells it.
        pub fn name(code: i32) -> Option<&'static str> {
            match code {
                $($code => Some(stringify!($name)),)*
                _ => None,
            }
        }
    };
}
pub(crate) use codes;
