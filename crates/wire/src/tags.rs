//! Tags: their codes in a consume queue, and the expression that filters by them.

use smallvec::SmallVec;

/// Java's `String.hashCode`: over UTF-16 units, wrapping at 32 bits.
pub fn java_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0_i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    })
}

/// The code of a tag in a consume queue; 0 for no tag.
pub fn tags_code(tag: &str) -> i64 {
    i64::from(java_hash(tag))
}

/// A filter expression that names no tag where it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the expression has no tag between its bars")]
pub struct SubscriptionError;

/// Which messages of a topic a consumer wants.
///
/// A broker decides by the code alone, so that messages with another tag of the same code reach the consumer, which
/// compares the tag itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subscription {
    /// `*`, or no expression.
    All,
    /// Tags joined by `||`.
    Tags(Tags),
}

/// The tags of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tags {
    names: Vec<String>,
    codes: SmallVec<[i64; 4]>,
}

impl Subscription {
    /// Reads an expression such as `TagA || TagB`.
    ///
    /// # Errors
    /// [`SubscriptionError`] for one that consists of bars only.
    pub fn parse(expression: &str) -> Result<Self, SubscriptionError> {
        if expression.is_empty() || expression == "*" {
            return Ok(Self::All);
        }
        if expression.split("||").all(str::is_empty) {
            return Err(SubscriptionError);
        }
        let names = expression
            .split("||")
            .map(str::trim)
            .filter(|tag| !tag.is_empty());
        let names: Vec<String> = names.map(str::to_owned).collect();
        let codes = names.iter().map(|tag| tags_code(tag)).collect();
        Ok(Self::Tags(Tags { names, codes }))
    }

    /// May a message with this code in the consume queue be wanted?
    pub fn matches(&self, code: i64) -> bool {
        match self {
            Self::All => true,
            Self::Tags(tags) => tags.codes.contains(&code),
        }
    }

    /// Is a message with this tag wanted?
    pub fn matches_tag(&self, tag: Option<&str>) -> bool {
        match self {
            Self::All => true,
            Self::Tags(tags) => tag.is_some_and(|tag| tags.names.iter().any(|name| name == tag)),
        }
    }
}

impl Tags {
    /// The tags.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Their codes, in the same order.
    pub fn codes(&self) -> &[i64] {
        &self.codes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tag_codes_are_java_hashes() {
        for (tag, code) in [
            ("TagA", 2_598_919),
            ("TagB", 2_598_920),
            ("", 0),
            ("中文", 646_394),
            ("TagWithAVeryLongName", -1_243_878_914),
            ("😀", 1_772_899),
        ] {
            assert_eq!(tags_code(tag), code, "{tag}");
        }
    }

    #[test]
    fn a_star_or_nothing_wants_everything() {
        for all in ["*", ""] {
            let subscription = Subscription::parse(all).unwrap();
            assert!(subscription.matches(0) && subscription.matches(42));
            assert!(subscription.matches_tag(None) && subscription.matches_tag(Some("x")));
        }
    }

    #[test]
    fn tags_are_joined_by_bars_and_blanks_do_not_count() {
        let subscription = Subscription::parse(" TagA||  TagB || ").unwrap();
        let Subscription::Tags(tags) = &subscription else {
            panic!("{subscription:?}")
        };
        assert_eq!(tags.names(), ["TagA", "TagB"]);
        assert_eq!(tags.codes(), [2_598_919, 2_598_920]);
        assert!(subscription.matches(2_598_920) && !subscription.matches(0));
        assert!(subscription.matches_tag(Some("TagA")));
        assert!(!subscription.matches_tag(Some("TagC")) && !subscription.matches_tag(None));
    }

    #[test]
    fn another_tag_of_the_same_code_passes_the_broker_and_not_the_consumer() {
        assert_eq!(tags_code("Aa"), tags_code("BB"));
        let subscription = Subscription::parse("Aa").unwrap();
        assert!(subscription.matches(tags_code("BB")));
        assert!(!subscription.matches_tag(Some("BB")));
    }

    #[test]
    fn an_expression_of_bars_is_refused_and_one_of_blanks_wants_nothing() {
        assert_eq!(Subscription::parse("||"), Err(SubscriptionError));
        assert_eq!(Subscription::parse("||||"), Err(SubscriptionError));
        assert!(!Subscription::parse(" || ").unwrap().matches(0));
    }
}
