//! Conditions over JSON: a subset of CEL that cannot fail when it is evaluated, as docs/expressions.md
//! describes it.
//!
//! ```
//! use antiphon::expression::Expression;
//!
//! let accepted = Expression::parse(r#"score >= 0.8 && !("draft" in tags)"#)?;
//! let review = serde_json::json!({ "score": 0.93, "tags": ["nightly"] });
//! assert!(accepted.evaluate(&review));
//! // A comparison with something absent is false.
//! assert!(!accepted.evaluate(&serde_json::json!({ "tags": [] })));
//!
//! let error = Expression::parse("score = 0.8").unwrap_err();
//! assert_eq!(error.to_string(), "column 7: `=` is not supported; write `==` to compare");
//! # Ok::<(), antiphon::expression::ParseError>(())
//! ```

pub use antiphon_core::expression::{Expression, MAX_BYTES, MAX_DEPTH, ParseError, Path, Problem};
