//! The language of expressions: by its page, by a table of errors, and against a model.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use antiphon_core::expression::{Expression, MAX_BYTES, MAX_DEPTH, Problem};
use proptest::prelude::*;
use serde_json::{Value, json};

const PAGE: &str = include_str!("../../../docs/expressions.md");

/// The cells of a table of the page, without backticks around them.
fn rows(head: &str) -> Vec<Vec<String>> {
    let (_, table) = PAGE.split_once(head).unwrap();
    let (_, table) = table.split_once("---|\n").unwrap();
    let cell = |cell: &str| {
        let text = cell.trim().replace('\u{0}', "|");
        let quoted = text.strip_prefix('`').and_then(|text| text.strip_suffix('`'));
        quoted.filter(|text| !text.contains('`')).map_or_else(|| text.clone(), str::to_owned)
    };
    table
        .lines()
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.replace(r"\|", "\u{0}"))
        .map(|line| line.trim_matches('|').split('|').map(cell).collect())
        .collect()
}

fn value_of_the_page() -> Value {
    let (_, text) = PAGE.split_once("```json\n").unwrap();
    serde_json::from_str(text.split_once("```").unwrap().0).unwrap()
}

fn evaluate(text: &str, over: &Value) -> bool {
    Expression::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).evaluate(over)
}

/// Where the text is refused, and what is said.
fn refused(text: &str) -> (usize, String) {
    match Expression::parse(text) {
        Ok(_) => panic!("{text:?} is an expression"),
        Err(error) => (error.offset(), error.to_string()),
    }
}

#[test]
fn every_example_of_the_page_is_what_it_says() {
    let value = value_of_the_page();
    let rows = rows("| expression | is | because |");
    assert_eq!(rows.len(), 25);
    for row in rows {
        assert_eq!(evaluate(&row[0], &value).to_string(), row[1], "{}", row[0]);
    }
}

#[test]
fn what_the_page_refuses_is_refused_with_these_words() {
    let rows = rows("| text | error |");
    assert_eq!(rows.len(), 11);
    for row in rows {
        assert_eq!(refused(&row[0]).1, row[1], "{}", row[0]);
    }
}

#[test]
fn values_that_are_no_objects_have_nothing_to_compare() {
    for value in [json!(null), json!(1), json!("a"), json!(["a"])] {
        assert!(!evaluate("a == 1 || a != 1 || has(a) || 'a' in a || a in ['a', 1]", &value));
        assert!(evaluate("!has(a)", &value));
    }
}

#[test]
fn membership_is_of_lists_and_names_only() {
    let value = json!({"list": [1, "a", null, [2]], "object": {"a": 1, "1": 2}, "text": "abc"});
    let table = [
        ("1.0 in list", true),
        ("null in list", true),
        ("2 in list", false),
        ("'a' in object", true),
        ("1 in object", false),
        ("'b' in text", false),
        ("text in []", false),
        ("text in [1, null, 'abc']", true),
        ("list in [1, 'a']", false),
    ];
    for (text, expected) in table {
        assert_eq!(evaluate(text, &value), expected, "{text}");
    }
}

#[test]
fn literals_are_read_as_they_are_written() {
    let table = [
        ("v == -9223372036854775808", json!(i64::MIN)),
        ("v == 18446744073709551615u", json!(u64::MAX)),
        ("v == 007", json!(7)),
        ("v == .5", json!(0.5)),
        ("v == -1.25e-2", json!(-0.0125)),
        ("v == 1E3", json!(1000)),
        (r#"v == "a\\\"\'\n\r\t\u00e9""#, json!("a\\\"'\n\r\té")),
        (r#"v == 'say "hé"'"#, json!("say \"hé\"")),
        (r#"v == """#, json!("")),
        ("v == \ttrue\r\n\x0c", json!(true)),
    ];
    for (text, value) in table {
        assert!(evaluate(text, &json!({ "v": value })), "{text}");
    }
}

#[test]
fn errors_say_what_is_there_and_what_may_be() {
    let table = [
        ("", 0, "column 1: expected a condition such as `score > 3`, found the end"),
        ("a == 1 b", 7, "column 8: expected `&&`, `||` or the end, found `b`"),
        ("a == 1 == true", 7, "column 8: expected `&&`, `||` or the end, found `==`"),
        ("a == 1 &&", 9, "column 10: expected a condition such as `score > 3`, found the end"),
        ("a & b", 2, "column 3: `&` is not supported; write `&&`"),
        (
            "a == 1 ? b : c",
            7,
            "column 8: `?` is not supported; combine conditions with `&&` and `||`",
        ),
        ("not done == 1", 0, "column 1: `not` is not supported; write `!( .. )`"),
        ("!has", 4, "column 5: expected `(` after `has`, as in `has(review.score)`, found the end"),
        (
            "!has == 1",
            5,
            "column 6: expected `(` after `has`, as in `has(review.score)`, found `==`",
        ),
        ("has(a", 5, "column 6: expected `)` after the path, found the end"),
        ("has(1)", 4, "column 5: expected a path, as in `has(review.score)`, found `1`"),
        (
            "a in b",
            5,
            "column 6: expected a list of literals after `in`, such as `[1, 2]`, found `b`",
        ),
        (
            "a in [1, ]",
            9,
            "column 10: expected a text in quotes, a number, `true`, `false` or `null`, found `]`",
        ),
        ("a in [1 2]", 8, "column 9: expected `,` or `]`, found `2`"),
        (
            "'a' == 'a'",
            4,
            "column 5: `==` is not supported; write the path first and the literal after it",
        ),
        (
            "true",
            4,
            "column 5: expected `in` after a literal, as in `\"draft\" in tags`, found the end",
        ),
        ("1 in 2", 5, "column 6: expected a path after `in`, as in `\"draft\" in tags`, found `2`"),
        (
            "a. == 1",
            3,
            "column 4: expected a name after the dot; `[\"..\"]` takes any text, found `==`",
        ),
        (
            "a.in == 1",
            2,
            "column 3: expected a name after the dot; `[\"..\"]` takes any text, found `in`",
        ),
        (
            "a[-1] == 1",
            2,
            "column 3: expected a text in quotes or the number of a member, counted from 0, found `-1`",
        ),
        ("a[0 == 1", 4, "column 5: expected `]`, found `==`"),
        (
            r"a == 'b\q'",
            7,
            r#"column 8: `\q` is not an escape; use one of \\, \", \', \n, \r, \t, or \u and four hexadecimal digits"#,
        ),
        (
            r"a == '\ud800'",
            6,
            r#"column 7: `\ud800` is not an escape; use one of \\, \", \', \n, \r, \t, or \u and four hexadecimal digits"#,
        ),
        (
            "a ==\n  'é' && é",
            15,
            "line 2, column 10: expected a path, a literal or an operator, found `é`",
        ),
        ("a == 'b\nc'", 5, "column 6: the text that begins here is not closed; add ' at its end"),
        (
            "a == 1 '\u{1b}[2Jlong \u{202e}text that would fill the line of a terminal'",
            7,
            "column 8: expected `&&`, `||` or the end, found `'\\u{1b}[2Jlong \\u{202e}text that would fill the line..`",
        ),
        (
            r"a == '\",
            6,
            r#"column 7: `\` is not an escape; use one of \\, \", \', \n, \r, \t, or \u and four hexadecimal digits"#,
        ),
        ("a == 1\u{0}", 6, "column 7: expected a path, a literal or an operator, found `\\0`"),
    ];
    for (text, offset, said) in table {
        assert_eq!(refused(text), (offset, said.to_owned()), "{text:?}");
    }
}

#[test]
fn a_number_that_nothing_can_hold_is_refused_whole() {
    for number in ["1.", "0x1F", "1e999", "9223372036854775808", "-1u"] {
        let said = format!(
            "column 6: `{number}` is not a number; write a decimal integer of 64 bits, with `u` \
             after it if it is above 9223372036854775807, or a decimal fraction"
        );
        assert_eq!(refused(&format!("a == {number}")), (5, said));
    }
}

#[test]
fn an_expression_has_at_most_a_kibibyte() {
    let longest = format!("a == '{}'", "b".repeat(MAX_BYTES - 7));
    assert_eq!((longest.len(), Expression::parse(&longest).is_ok()), (MAX_BYTES, true));
    let longer = format!("a == '{}é'", "b".repeat(MAX_BYTES - 7));
    let said = "column 1024: the expression has 1026 bytes; shorten it to at most 1024".to_owned();
    assert_eq!(refused(&longer), (MAX_BYTES - 1, said));
}

#[test]
fn parentheses_and_negations_are_at_most_sixteen_deep() {
    let said = "parentheses and `!` are nested more than 16 deep; simplify the expression";
    for (open, close) in [("(", ")"), ("!", "")] {
        let nested = |depth| format!("{}has(a){}", open.repeat(depth), close.repeat(depth));
        assert!(Expression::parse(&nested(MAX_DEPTH)).is_ok());
        let error = Expression::parse(&nested(MAX_DEPTH + 1)).unwrap_err();
        assert_eq!((error.offset(), error.problem()), (MAX_DEPTH, &Problem::TooDeep));
        assert_eq!(error.problem().to_string(), said);
        assert!(Expression::parse(&open.repeat(MAX_BYTES)).is_err());
    }
    // One after the other, they are no deeper than one.
    let wide = vec!["!(a==1)"; 100].join("&&");
    assert!(Expression::parse(&wide).is_ok());
}

#[test]
fn the_paths_are_told_with_their_places() {
    let text = r#"a.b == 1 && (!has(c["d-e"][0]) || "x" in f || g in [1])"#;
    let expression = Expression::parse(text).unwrap();
    let paths: Vec<_> = expression
        .paths()
        .into_iter()
        .map(|path| (path.offset(), path.root().to_owned(), path.to_string()))
        .collect();
    let expected = [(0, "a", "a.b"), (18, "c", r#"c["d-e"][0]"#), (41, "f", "f"), (46, "g", "g")];
    assert_eq!(paths, expected.map(|(at, root, path)| (at, root.to_owned(), path.to_owned())));
}

#[test]
fn it_is_stored_as_it_was_written() {
    let text = "a==1  ||  (b == 2)";
    let expression: Expression = serde_json::from_value(json!(text)).unwrap();
    assert_eq!(serde_json::to_value(&expression).unwrap(), json!(text));
    assert_eq!((expression.as_str(), expression.to_string()), (text, text.to_owned()));
    let error = serde_json::from_value::<Expression>(json!("a=1")).unwrap_err();
    assert_eq!(error.to_string(), "column 2: `=` is not supported; write `==` to compare");
}

/// A condition as the page describes it, to hold the real one against.
#[derive(Debug, Clone)]
enum Model {
    Any(Vec<Self>),
    All(Vec<Self>),
    Not(Box<Self>),
    Has(Vec<&'static str>),
    Compare(Vec<&'static str>, &'static str, Value),
    OneOf(Vec<&'static str>, Vec<Value>),
    Contains(Value, Vec<&'static str>),
}

fn find<'v>(path: &[&str], over: &'v Value) -> Option<&'v Value> {
    over.pointer(&path.iter().map(|name| format!("/{name}")).collect::<String>())
}

impl Model {
    fn holds(&self, over: &Value) -> bool {
        match self {
            Self::Any(models) => models.iter().any(|model| model.holds(over)),
            Self::All(models) => models.iter().all(|model| model.holds(over)),
            Self::Not(model) => !model.holds(over),
            Self::Has(path) => find(path, over).is_some(),
            Self::Compare(path, operator, literal) => match (find(path, over), *operator) {
                (None, _) => false,
                (Some(value), "==") => value == literal,
                (Some(value), "!=") => value != literal,
                (Some(Value::String(value)), _) => literal
                    .as_str()
                    .is_some_and(|literal| in_order(operator, value.as_str().cmp(literal))),
                (Some(value), _) => match (value.as_i64(), literal.as_i64()) {
                    (Some(value), Some(literal)) => in_order(operator, value.cmp(&literal)),
                    _ => false,
                },
            },
            Self::OneOf(path, literals) => {
                find(path, over).is_some_and(|value| literals.contains(value))
            }
            Self::Contains(literal, path) => match find(path, over) {
                Some(Value::Array(members)) => members.contains(literal),
                Some(Value::Object(members)) => {
                    literal.as_str().is_some_and(|name| members.contains_key(name))
                }
                _ => false,
            },
        }
    }

    /// Its text, with parentheses only where they are needed.
    fn text(&self) -> String {
        let joined = |models: &[Self], operator: &str, inner: fn(&Self) -> String| {
            models.iter().map(inner).collect::<Vec<_>>().join(operator)
        };
        match self {
            Self::Any(models) => joined(models, "||", Self::text),
            Self::All(models) => joined(models, " && ", |model| match model {
                Self::Any(_) => format!("({})", model.text()),
                _ => model.text(),
            }),
            Self::Not(model) => match **model {
                Self::Not(_) | Self::Has(_) => format!("!{}", model.text()),
                _ => format!("! ( {} )", model.text()),
            },
            Self::Has(path) => format!("has({})", path.join(".")),
            Self::Compare(path, operator, literal) => {
                format!("{} {operator}{literal}", path.join("."))
            }
            Self::OneOf(path, literals) => format!("{} in {}", path.join("."), json!(literals)),
            Self::Contains(literal, path) => format!("{literal} in {}", path.join(".")),
        }
    }
}

fn in_order(operator: &str, order: std::cmp::Ordering) -> bool {
    match operator {
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        _ => order.is_ge(),
    }
}

fn literal() -> impl Strategy<Value = Value> {
    prop_oneof![
        (-2..3_i64).prop_map(|number| json!(number)),
        prop::sample::select(vec![json!("a"), json!("b\"'\\"), json!(null)]),
    ]
}

fn path() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "_c"]), 1..3)
}

fn model() -> impl Strategy<Value = Model> {
    let operator = prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
    let leaf = prop_oneof![
        path().prop_map(Model::Has),
        (path(), operator, literal())
            .prop_map(|(path, operator, literal)| Model::Compare(path, operator, literal)),
        (path(), prop::collection::vec(literal(), 0..3))
            .prop_map(|(path, literals)| Model::OneOf(path, literals)),
        (literal(), path()).prop_map(|(literal, path)| Model::Contains(literal, path)),
    ];
    leaf.prop_recursive(4, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(Model::Any),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Model::All),
            inner.prop_map(|model| Model::Not(Box::new(model))),
        ]
    })
}

fn value() -> impl Strategy<Value = Value> {
    literal().prop_recursive(3, 16, 3, |inner| {
        let name = prop::sample::select(vec!["a", "b", "_c"]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(|members| json!(members)),
            prop::collection::btree_map(name, inner, 0..4).prop_map(|members| json!(members)),
        ]
    })
}

/// Pieces of expressions in any order: nearer to the grammar than any characters.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "has",
        "in",
        "null",
        ".",
        "[",
        "]",
        "(",
        ")",
        "!",
        "&&",
        "||",
        "==",
        "<=",
        "1",
        "-2.5",
        "18446744073709551615u",
        "'x'",
        "\"é\"",
        ",",
        " ",
        "\n",
        "\\",
        "'",
        "u",
        "e",
        "=",
        "not",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn whatever_the_text_it_is_an_expression_or_refused_at_a_place_in_it(
        text in prop_oneof![any::<String>(), pieces(), "[ -~]{0,1200}"],
        value in value(),
    ) {
        match Expression::parse(&text) {
            Ok(expression) => {
                let evaluated = expression.evaluate(&value);
                let again = Expression::parse(&expression.to_string());
                prop_assert_eq!(again.as_ref(), Ok(&expression));
                prop_assert_eq!(again.unwrap().evaluate(&value), evaluated);
            }
            Err(error) => {
                prop_assert!(text.is_char_boundary(error.offset()), "{error}");
                prop_assert!(error.line() >= 1 && error.column() >= 1, "{error}");
            }
        }
    }

    #[test]
    fn an_expression_means_what_its_page_says(model in model(), value in value()) {
        let text = model.text();
        prop_assume!(text.len() <= MAX_BYTES);
        let expression = Expression::parse(&text);
        prop_assert!(expression.is_ok(), "{text}: {expression:?}");
        prop_assert_eq!(expression.unwrap().evaluate(&value), model.holds(&value), "{}", text);
    }
}
