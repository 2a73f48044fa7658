//! Values as reasons show them.

use std::io::{self, Write};

use serde_json::Value;

const MAX_BYTES: usize = 80;

/// A value as JSON, cut where it is too long to be read in a sentence.
pub(super) fn shown(value: &Value) -> String {
    let mut short = Short(Vec::new());
    // The only thing that fails is to write more than is shown, and that also ends the walk
    // through a value, however large or deep it is.
    let whole = serde_json::to_writer(&mut short, value).is_ok();
    let text = match String::from_utf8(short.0) {
        Ok(text) => text,
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            String::from_utf8_lossy(&error.into_bytes()[..valid]).into_owned()
        }
    };
    if whole { text } else { text + ".." }
}

struct Short(Vec<u8>);

impl Write for Short {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = MAX_BYTES - self.0.len();
        let (taken, left) = bytes.split_at(bytes.len().min(room));
        self.0.extend_from_slice(taken);
        if left.is_empty() { Ok(taken.len()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_long_value_is_cut_between_characters() {
        assert_eq!(shown(&json!({"a": [1, "b"]})), r#"{"a":[1,"b"]}"#);
        assert_eq!(shown(&json!("é".repeat(100))), format!("\"{}..", "é".repeat(39)));
        let deep = (0..1_000).fold(json!(1), |inner, _| Value::Array(vec![inner]));
        assert_eq!(shown(&deep), "[".repeat(80) + "..");
    }
}
