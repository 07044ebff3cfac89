//! Keys of JSON documents that other readers take for keys that mean something.
//!
//! Go's `encoding/json`, which most of the field reads images with, does not tell `Layers` from `layers`: of both, it
//! takes the last. A document that has such a key means one image here and another one there (the class of
//! CVE-2021-41190), so it is refused. Values of keys that mean nothing to us are not looked into.

use std::fmt;

use serde::{
    Deserialize as _, Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// The keys of an object that mean something, each with those of the objects in it.
#[derive(Clone, Copy)]
pub(crate) struct Keys(pub(crate) &'static [(&'static str, Keys)]);

/// Nothing below means anything.
pub(crate) const LEAF: Keys = Keys(&[]);

impl Keys {
    /// Checks a document.
    ///
    /// # Errors
    /// The reason, as text; also when it is no JSON.
    pub(crate) fn check(self, bytes: &[u8]) -> Result<(), String> {
        let mut json = serde_json::Deserializer::from_slice(bytes);
        self.deserialize(&mut json).and_then(|()| json.end()).map_err(|error| error.to_string())
    }
}

impl<'de> DeserializeSeed<'de> for Keys {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.0.is_empty() {
            IgnoredAny::deserialize(deserializer).map(drop)
        } else {
            deserializer.deserialize_any(self)
        }
    }
}

impl<'de> Visitor<'de> for Keys {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            let known = self.0.iter().find(|(known, _)| is_folded(known, &key));
            match known {
                Some((known, below)) if *known == key => map.next_value_seed(*below)?,
                Some((known, _)) => {
                    return Err(A::Error::custom(format_args!(
                        "the key {key:?} is {known:?} to some readers"
                    )));
                }
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    /// Each element is what the object itself would be.
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// Whether Go takes `key` for `known`, which is ASCII: case does not count, and the long s and the Kelvin sign are letters.
fn is_folded(known: &str, key: &str) -> bool {
    let fold = |letter: char| match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    known.chars().map(fold).eq(key.chars().map(fold))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: Keys = Keys(&[("layers", Keys(&[("digest", LEAF)])), ("ok", LEAF)]);

    #[test]
    fn keys_that_differ_in_case_alone_are_found_where_they_mean_something() {
        for bad in [
            r#"{"Layers":[]}"#,
            r#"{"layers":[],"LAYERS":[]}"#,
            r#"{"layer\u017f":[]}"#,
            r#"{"o\u212a":1}"#,
            r#"{"layers":[{"digest":1},{"Digest":1}]}"#,
        ] {
            assert!(KEYS.check(bad.as_bytes()).unwrap_err().contains("some readers"), "{bad}");
        }
        for good in [
            r#"{"layers":[{"digest":"x","other":{"Layers":1}}],"ok":{"OK":2},"Other":3,"other":4}"#,
            r#"{"layers":null,"ok":-1.5}"#,
            r#"{"layers":[1,-1,0.5,"x",true,null,[]]}"#,
        ] {
            KEYS.check(good.as_bytes()).unwrap();
        }
        assert!(KEYS.check(b"{} x").is_err());
    }

    #[test]
    fn what_means_nothing_may_be_as_deep_as_it_likes() {
        let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        KEYS.check(deep.as_bytes()).unwrap();
        let deep = format!(r#"{{"layers":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert!(KEYS.check(deep.as_bytes()).unwrap_err().contains("recursion"));
    }
}
