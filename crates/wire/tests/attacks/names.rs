//! W9: names of topics and groups.

use tern_wire::names::{self, NameError};

#[test]
fn names_with_anything_but_the_allowed_characters_are_refused() {
    for name in [
        "../x",
        "a/b",
        "a.b",
        "%2e%2e/",
        "a\0",
        "a b",
        "名",
        "a\n",
        "é",
        "a\\b",
        "a:b",
        "a*",
        "a\u{200b}",
    ] {
        assert!(
            matches!(names::check_topic(name), Err(NameError::Character { .. })),
            "{name:?}"
        );
        assert!(
            matches!(names::check_group(name), Err(NameError::Character { .. })),
            "{name:?}"
        );
    }
    for name in ["T", "TopicTest", "%RETRY%g", "a|b", "A_b-9", "%2e"] {
        assert_eq!(names::check_topic(name), Ok(()), "{name:?}");
        assert_eq!(names::check_group(name), Ok(()), "{name:?}");
    }
    assert_eq!(
        names::check_topic(""),
        Err(NameError::Empty { kind: "topic" })
    );
    assert_eq!(
        names::check_group(""),
        Err(NameError::Empty { kind: "group" })
    );
}

#[test]
fn names_beyond_their_limits_are_refused() {
    let long = |length: usize| "x".repeat(length);
    assert_eq!(names::check_topic(&long(127)), Ok(()));
    let refused = NameError::TooLong {
        kind: "topic",
        have: 128,
        limit: 127,
    };
    assert_eq!(names::check_topic(&long(128)), Err(refused));
    for prefix in ["%RETRY%", "%DLQ%"] {
        assert_eq!(
            names::check_topic(&format!("{prefix}{}", long(255 - prefix.len()))),
            Ok(())
        );
        assert!(names::check_topic(&format!("{prefix}{}", long(256 - prefix.len()))).is_err());
    }
    assert_eq!(names::check_group(&long(120)), Ok(()));
    assert!(names::check_group(&long(121)).is_err());
    assert_eq!(names::check_group_from(&long(255), 409), Ok(()));
    assert!(names::check_group_from(&long(256), 409).is_err());
    assert!(names::check_group_from(&long(121), 413).is_err());
}
