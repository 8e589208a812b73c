//! The language of a sender's SDK.

/// Ordinal of the SDK language in a header. Anything unknown is [`Language::OTHER`], never an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Language(pub u8);

const NAMES: [&str; 14] = [
    "JAVA", "CPP", "DOTNET", "PYTHON", "DELPHI", "ERLANG", "RUBY", "OTHER", "HTTP", "GO", "PHP",
    "OMS", "RUST", "NODE_JS",
];

impl Language {
    /// Java, also what a header without a language means.
    pub const JAVA: Self = Self(0);
    /// C++.
    pub const CPP: Self = Self(1);
    /// .NET.
    pub const DOTNET: Self = Self(2);
    /// Python.
    pub const PYTHON: Self = Self(3);
    /// Everything without a number of its own.
    pub const OTHER: Self = Self(7);
    /// Go.
    pub const GO: Self = Self(9);
    /// Rust.
    pub const RUST: Self = Self(12);
    /// Node.js.
    pub const NODE_JS: Self = Self(13);

    /// The language with this ordinal, or [`Language::OTHER`].
    pub fn from_ordinal(ordinal: i64) -> Self {
        match u8::try_from(ordinal) {
            Ok(known) if usize::from(known) < NAMES.len() => Self(known),
            _ => Self::OTHER,
        }
    }

    /// The language with this name (letter case as Java writes it), or [`Language::OTHER`].
    pub fn from_name(name: &str) -> Self {
        match NAMES.iter().position(|known| *known == name) {
            Some(ordinal) => Self(ordinal as u8),
            None => Self::OTHER,
        }
    }

    /// The name in JSON headers.
    pub fn name(self) -> &'static str {
        NAMES.get(usize::from(self.0)).copied().unwrap_or("OTHER")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ordinals_agree() {
        for ordinal in 0..14 {
            let language = Language::from_ordinal(ordinal);
            assert_eq!(Language::from_name(language.name()), language);
        }
        assert_eq!(Language::from_name("GO"), Language::GO);
        assert_eq!(Language::NODE_JS.name(), "NODE_JS");
    }

    #[test]
    fn an_unknown_language_is_other() {
        for ordinal in [-1, 14, 200, i64::MAX] {
            assert_eq!(Language::from_ordinal(ordinal), Language::OTHER);
        }
        assert_eq!(Language::from_name("COBOL"), Language::OTHER);
        assert_eq!(Language(99).name(), "OTHER");
    }
}
