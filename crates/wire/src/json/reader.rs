//! Reads a header.

use std::borrow::Cow;

use crate::fields::Fields;
use crate::text::readable;
use crate::{Command, FrameError, FrameLimits, HeaderEncoding, Language};

/// Decodes a JSON header. The body of the result is empty.
pub(crate) fn decode(header: &[u8], limits: &FrameLimits) -> Result<Command, FrameError> {
    let text = readable(header);
    let mut reader = JsonReader {
        text: &text,
        at: 0,
        limits,
    };
    let mut command = Command::blank(HeaderEncoding::Json);
    let mut seen = SeenKeys::default();
    reader.object(1, |reader, key| {
        reader.member(&key.text()?, &mut command, &mut seen)
    })?;
    reader.end()?;
    if !seen.has(SeenKeys::CODE) {
        return Err(reader.problem("no code"));
    }
    Ok(command)
}

/// Which keys of the header were met: a second one would have no single meaning.
#[derive(Default)]
struct SeenKeys(u8);

impl SeenKeys {
    const CODE: u8 = 1;
    const LANGUAGE: u8 = 2;
    const VERSION: u8 = 4;
    const OPAQUE: u8 = 8;
    const FLAG: u8 = 16;
    const REMARK: u8 = 32;
    const FIELDS: u8 = 64;

    fn has(&self, key: u8) -> bool {
        self.0 & key != 0
    }

    fn note(&mut self, key: u8, at: usize) -> Result<(), FrameError> {
        if self.has(key) {
            return Err(FrameError::DuplicateKey { at });
        }
        self.0 |= key;
        Ok(())
    }
}

struct JsonReader<'a> {
    text: &'a str,
    at: usize,
    limits: &'a FrameLimits,
}

/// What stands between two quotes, as written.
#[derive(Clone, Copy)]
struct Quoted<'a> {
    raw: &'a str,
    escaped: bool,
    at: usize,
}

enum Scalar<'a> {
    Text(Quoted<'a>),
    /// A number, `true` or `false`.
    Literal(&'a str),
    Null,
}

impl<'a> JsonReader<'a> {
    fn member(
        &mut self,
        key: &str,
        command: &mut Command,
        seen: &mut SeenKeys,
    ) -> Result<(), FrameError> {
        let at = self.at;
        match key {
            "code" => {
                seen.note(SeenKeys::CODE, at)?;
                command.code = self.int32()?;
            }
            "language" => {
                seen.note(SeenKeys::LANGUAGE, at)?;
                command.language = self.language()?;
            }
            "version" => {
                seen.note(SeenKeys::VERSION, at)?;
                // No version is an error, so one beyond 32 bits becomes the nearest that fits.
                command.version =
                    self.integer()?
                        .clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32;
            }
            "opaque" => {
                seen.note(SeenKeys::OPAQUE, at)?;
                command.opaque = self.int32()?;
            }
            "flag" => {
                seen.note(SeenKeys::FLAG, at)?;
                command.flag = self.int32()?;
            }
            "remark" => {
                seen.note(SeenKeys::REMARK, at)?;
                command.remark = self.remark()?;
            }
            "extFields" => {
                seen.note(SeenKeys::FIELDS, at)?;
                self.ext_fields(&mut command.fields)?;
            }
            _ => self.skip(1)?,
        }
        Ok(())
    }

    /// Reads `{…}`, giving each key to `member`, which reads the value. `depth` is that of the object.
    fn object(
        &mut self,
        depth: usize,
        mut member: impl FnMut(&mut Self, Quoted<'a>) -> Result<(), FrameError>,
    ) -> Result<(), FrameError> {
        if depth > self.limits.max_depth {
            return Err(FrameError::TooDeep {
                limit: self.limits.max_depth,
            });
        }
        self.expect(b'{', "an object should start here")?;
        if self.take(b'}') {
            return Ok(());
        }
        let mut count = 0;
        loop {
            count += 1;
            if count > self.limits.max_fields {
                return Err(FrameError::TooManyFields {
                    limit: self.limits.max_fields,
                });
            }
            self.expect(b'"', "a key should start here")?;
            let key = self.quoted()?;
            self.expect(b':', "a colon should follow the key")?;
            member(self, key)?;
            if self.take(b'}') {
                return Ok(());
            }
            self.expect(b',', "a comma or the end of the object should follow")?;
        }
    }

    /// Reads the fields: texts, and numbers and booleans as their text. `null` counts as absent.
    fn ext_fields(&mut self, fields: &mut Fields) -> Result<(), FrameError> {
        if self.take_word("null") {
            return Ok(());
        }
        // Nothing grows when it is unescaped, so that what is left of the header is room enough.
        *fields = Fields::with_capacity(self.text.len() - self.at);
        self.object(2, |reader, key| {
            let at = key.at;
            let buffer = fields.text_mut();
            let key_start = buffer.len();
            key.unescape_into(buffer)?;
            let key_end = buffer.len();
            match reader.scalar()? {
                Scalar::Text(text) => text.unescape_into(buffer)?,
                Scalar::Literal(text) => buffer.push_str(text),
                Scalar::Null => {
                    buffer.truncate(key_start);
                    return Ok(());
                }
            }
            let end = buffer.len();
            if key_end == key_start {
                return Err(FrameError::Json {
                    at,
                    problem: "a field without a name",
                });
            }
            fields
                .add(key_start..key_end, key_end..end)
                .map_err(|_| FrameError::DuplicateKey { at })
        })
    }

    fn language(&mut self) -> Result<Language, FrameError> {
        match self.scalar()? {
            Scalar::Text(name) => Ok(Language::from_name(&name.text()?)),
            Scalar::Literal(number) => Ok(number
                .parse()
                .map_or(Language::OTHER, Language::from_ordinal)),
            Scalar::Null => Ok(Language::JAVA),
        }
    }

    /// An empty remark is none: the binary form cannot tell the two apart either.
    fn remark(&mut self) -> Result<Option<String>, FrameError> {
        let text = match self.scalar()? {
            Scalar::Text(text) => text.text()?.into_owned(),
            Scalar::Literal(text) => text.to_owned(),
            Scalar::Null => String::new(),
        };
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    fn int32(&mut self) -> Result<i32, FrameError> {
        let at = self.at;
        i32::try_from(self.integer()?).map_err(|_| FrameError::Json {
            at,
            problem: "an integer beyond 32 bits",
        })
    }

    /// An integer, also in quotes; beyond 64 bits the nearest that fits, `null` is 0.
    fn integer(&mut self) -> Result<i64, FrameError> {
        let at = self.at;
        let text = match self.scalar()? {
            Scalar::Text(text) => text.raw,
            Scalar::Literal(text) => text,
            Scalar::Null => return Ok(0),
        };
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(FrameError::Json {
                at,
                problem: "an integer should stand here",
            });
        }
        let limit = if text.len() == digits.len() {
            i64::MAX
        } else {
            i64::MIN
        };
        Ok(text.parse().unwrap_or(limit))
    }

    #[inline]
    fn scalar(&mut self) -> Result<Scalar<'a>, FrameError> {
        if self.take(b'"') {
            return self.quoted().map(Scalar::Text);
        }
        match self.peek() {
            Some(b'-' | b'0'..=b'9') => self.number().map(Scalar::Literal),
            Some(b't') if self.take_word("true") => Ok(Scalar::Literal("true")),
            Some(b'f') if self.take_word("false") => Ok(Scalar::Literal("false")),
            Some(b'n') if self.take_word("null") => Ok(Scalar::Null),
            _ => Err(self.problem("a text, a number or a boolean should stand here")),
        }
    }

    /// Passes over a value of an unknown key. `depth` is that of the object or array it stands in.
    fn skip(&mut self, depth: usize) -> Result<(), FrameError> {
        self.blank();
        match self.peek() {
            Some(b'{') => self.object(depth + 1, |reader, _| reader.skip(depth + 1)),
            Some(b'[') => self.skip_array(depth + 1),
            _ => self.scalar().map(|_| ()),
        }
    }

    fn skip_array(&mut self, depth: usize) -> Result<(), FrameError> {
        if depth > self.limits.max_depth {
            return Err(FrameError::TooDeep {
                limit: self.limits.max_depth,
            });
        }
        self.expect(b'[', "an array should start here")?;
        if self.take(b']') {
            return Ok(());
        }
        loop {
            self.skip(depth)?;
            if self.take(b']') {
                return Ok(());
            }
            self.expect(b',', "a comma or the end of the array should follow")?;
        }
    }

    /// The rest of a string whose opening quote was taken.
    #[inline]
    fn quoted(&mut self) -> Result<Quoted<'a>, FrameError> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let mut escaped = false;
        loop {
            match bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.at += 2;
                }
                Some(_) => self.at += 1,
                None => {
                    return Err(FrameError::Json {
                        at: start,
                        problem: "a string without an end",
                    });
                }
            }
        }
        let raw = &self.text[start..self.at];
        self.at += 1;
        Ok(Quoted {
            raw,
            escaped,
            at: start,
        })
    }

    fn number(&mut self) -> Result<&'a str, FrameError> {
        let start = self.at;
        self.take_byte(b'-');
        if !self.take_byte(b'0') {
            self.digits()?;
        }
        if self.take_byte(b'.') {
            self.digits()?;
        }
        if self.take_byte(b'e') || self.take_byte(b'E') {
            let _sign = self.take_byte(b'+') || self.take_byte(b'-');
            self.digits()?;
        }
        Ok(&self.text[start..self.at])
    }

    fn digits(&mut self) -> Result<(), FrameError> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start {
            Err(self.problem("a digit should stand here"))
        } else {
            Ok(())
        }
    }

    fn end(&mut self) -> Result<(), FrameError> {
        self.blank();
        if self.at == self.text.len() {
            Ok(())
        } else {
            Err(self.problem("text after the end of the header"))
        }
    }

    #[inline]
    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn take_byte(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    /// Takes `byte` if it comes next, after white space.
    #[inline]
    fn take(&mut self, byte: u8) -> bool {
        self.blank();
        self.take_byte(byte)
    }

    fn take_word(&mut self, word: &str) -> bool {
        self.blank();
        let there = self.text.as_bytes()[self.at..].starts_with(word.as_bytes());
        if there {
            self.at += word.len();
        }
        there
    }

    #[inline]
    fn expect(&mut self, byte: u8, problem: &'static str) -> Result<(), FrameError> {
        if self.take(byte) {
            Ok(())
        } else {
            Err(self.problem(problem))
        }
    }

    fn problem(&self, problem: &'static str) -> FrameError {
        FrameError::Json {
            at: self.at,
            problem,
        }
    }
}

impl<'a> Quoted<'a> {
    fn text(self) -> Result<Cow<'a, str>, FrameError> {
        if !self.escaped {
            return Ok(Cow::Borrowed(self.raw));
        }
        let mut text = String::with_capacity(self.raw.len());
        self.unescape_into(&mut text)?;
        Ok(Cow::Owned(text))
    }

    #[inline]
    fn unescape_into(self, out: &mut String) -> Result<(), FrameError> {
        let mut rest = self.raw;
        if self.escaped {
            while let Some(at) = rest.find('\\') {
                out.push_str(&rest[..at]);
                let (character, used) =
                    escape(&rest.as_bytes()[at + 1..]).ok_or(FrameError::Json {
                        at: self.at,
                        problem: "a string with a bad escape",
                    })?;
                out.push(character);
                rest = &rest[at + 1 + used..];
            }
        }
        out.push_str(rest);
        Ok(())
    }
}

/// What an escape means, and how many bytes after the backslash it takes; all of them are ASCII.
fn escape(after: &[u8]) -> Option<(char, usize)> {
    let character = match after.first()? {
        b'u' => return unicode_escape(after),
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        _ => return None,
    };
    Some((character, 1))
}

/// `uXXXX`, or two of them that make one character. Half a pair becomes U+FFFD, as it does in Java's own UTF-8.
fn unicode_escape(after: &[u8]) -> Option<(char, usize)> {
    let unit = hex(after.get(1..5)?)?;
    if let Some(character) = char::from_u32(unit) {
        return Some((character, 5));
    }
    let low = match after.get(5..11) {
        Some([b'\\', b'u', digits @ ..]) => hex(digits),
        _ => None,
    };
    match low {
        Some(low) if unit < 0xdc00 && (0xdc00..0xe000).contains(&low) => {
            let character = char::from_u32(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00))?;
            Some((character, 11))
        }
        _ => Some((char::REPLACEMENT_CHARACTER, 5)),
    }
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, digit| {
        Some(value << 4 | char::from(*digit).to_digit(16)?)
    })
}
