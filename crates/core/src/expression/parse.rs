//! From the text of an expression to what it means.

use serde_json::Value;

use super::error::{ParseError, Problem, shown};
use super::limits::{MAX_BYTES, MAX_DEPTH};
use super::node::{Node, Operator};
use super::path::{Path, Step};
use super::token::{Token, Words};

/// Words that are never names.
const KEYWORDS: &[&str] = &["true", "false", "null", "in"];

/// What CEL keeps for itself besides; no path begins with one.
const RESERVED: &[&str] = &[
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

const OPERATORS: &[(&str, Operator)] = &[
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("<", Operator::Less),
    ("<=", Operator::LessOrEqual),
    (">", Operator::Greater),
    (">=", Operator::GreaterOrEqual),
];

const CONDITION: &str = "a condition such as `score > 3`";
const COMPARISON: &str =
    "a comparison after the path, such as `== true`; the path alone is no condition";
const NEGATED: &str = "`(`, `has(` or `!` after `!`, as in `!(done == true)`";
const LITERAL: &str = "a text in quotes, a number, `true`, `false` or `null`";

/// Reads a whole text.
pub(super) fn parse(text: &str) -> Result<Node, ParseError> {
    if text.len() > MAX_BYTES {
        let end = (0..=MAX_BYTES).rfind(|at| text.is_char_boundary(*at)).unwrap_or(0);
        return Err(ParseError::at(text, end, Problem::TooLong { bytes: text.len() }));
    }
    let mut words = Words::of(text);
    let token = words.next()?;
    let mut parser = Parser { words, token, depth: 0 };
    let node = parser.any()?;
    match parser.token {
        Token::End => Ok(node),
        _ => Err(parser.after_condition("`&&`, `||` or the end")),
    }
}

struct Parser<'t> {
    words: Words<'t>,
    token: Token,
    depth: usize,
}

impl Parser<'_> {
    fn advance(&mut self) -> Result<(), ParseError> {
        self.token = self.words.next()?;
        Ok(())
    }

    fn is(&self, symbol: &str) -> bool {
        matches!(self.token, Token::Symbol(found) if found == symbol)
    }

    fn is_word(&self, word: &str) -> bool {
        self.token == Token::Name && self.words.written() == word
    }

    fn take(&mut self, symbol: &str) -> Result<bool, ParseError> {
        let found = self.is(symbol);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect(&mut self, symbol: &str, expected: &'static str) -> Result<(), ParseError> {
        if self.take(symbol)? { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    fn found(&self) -> String {
        match self.token {
            Token::End => "the end".to_owned(),
            _ => format!("`{}`", shown(self.words.written())),
        }
    }

    fn unexpected(&self, expected: &'static str) -> ParseError {
        self.words.refuse(Problem::Unexpected { found: self.found(), expected })
    }

    fn unsupported(&self, instead: &'static str) -> ParseError {
        self.words.refuse(Problem::Unsupported { found: self.found(), instead })
    }

    /// Something follows a condition that cannot.
    fn after_condition(&self, expected: &'static str) -> ParseError {
        match self.words.written() {
            "and" => self.unsupported("write `&&`"),
            "or" => self.unsupported("write `||`"),
            _ => self.unexpected(expected),
        }
    }

    fn any(&mut self) -> Result<Node, ParseError> {
        let mut nodes = vec![self.all()?];
        while self.take("||")? {
            nodes.push(self.all()?);
        }
        Ok(single_or(nodes, Node::Any))
    }

    fn all(&mut self) -> Result<Node, ParseError> {
        let mut nodes = vec![self.condition()?];
        while self.take("&&")? {
            nodes.push(self.condition()?);
        }
        Ok(single_or(nodes, Node::All))
    }

    fn condition(&mut self) -> Result<Node, ParseError> {
        match &self.token {
            Token::Symbol("!") => self.nested(Self::negation),
            Token::Symbol("(") => self.nested(Self::group),
            Token::Literal(_) => self.literal_first(),
            Token::Name if constant(self.words.written()).is_some() => self.literal_first(),
            Token::Name => self.path_first(),
            Token::Symbol(_) | Token::End => Err(self.unexpected(CONDITION)),
        }
    }

    /// One level deeper, if that is allowed.
    fn nested(
        &mut self,
        inner: fn(&mut Self) -> Result<Node, ParseError>,
    ) -> Result<Node, ParseError> {
        if self.depth == MAX_DEPTH {
            return Err(self.words.refuse(Problem::TooDeep));
        }
        self.depth += 1;
        self.advance()?;
        let node = inner(self)?;
        self.depth -= 1;
        Ok(node)
    }

    fn group(&mut self) -> Result<Node, ParseError> {
        let node = self.any()?;
        if !self.is(")") {
            return Err(self.after_condition("`&&`, `||` or `)`"));
        }
        self.advance()?;
        Ok(node)
    }

    fn negation(&mut self) -> Result<Node, ParseError> {
        let node = if self.is("!") || self.is("(") {
            self.condition()?
        } else if self.is_word("has") {
            self.advance()?;
            self.has()?
        } else {
            // In CEL, `!a == b` means `(!a) == b`, which is not what it looks like.
            return Err(self.unexpected(NEGATED));
        };
        Ok(Node::Not(Box::new(node)))
    }

    /// What is in the parentheses after `has`.
    fn has(&mut self) -> Result<Node, ParseError> {
        self.expect("(", "`(` after `has`, as in `has(review.score)`")?;
        let path = self.path("a path, as in `has(review.score)`")?;
        self.expect(")", "`)` after the path")?;
        Ok(Node::Has(path))
    }

    fn path_first(&mut self) -> Result<Node, ParseError> {
        if self.is_word("not") && matches!(self.ahead(), Ok(Token::Name | Token::Symbol("("))) {
            return Err(self.unsupported("write `!( .. )`"));
        }
        if matches!(self.ahead(), Ok(Token::Symbol("("))) {
            if !self.is_word("has") {
                return Err(self.unsupported("the only thing that can be called is `has(path)`"));
            }
            self.advance()?;
            return self.has();
        }
        let path = self.path(CONDITION)?;
        self.comparison(path)
    }

    /// The word after the current one.
    fn ahead(&self) -> Result<Token, ParseError> {
        self.words.clone().next()
    }

    fn path(&mut self, expected: &'static str) -> Result<Path, ParseError> {
        if self.token != Token::Name {
            return Err(self.unexpected(expected));
        }
        let root = self.words.written();
        if KEYWORDS.contains(&root) || RESERVED.contains(&root) {
            return Err(self.words.refuse(Problem::Reserved { name: root.to_owned() }));
        }
        let mut path = Path::new(self.words.begin(), root);
        self.advance()?;
        loop {
            if self.take(".")? {
                path.push(self.member()?);
            } else if self.take("[")? {
                path.push(self.subscript()?);
            } else {
                return Ok(path);
            }
        }
    }

    fn member(&mut self) -> Result<Step, ParseError> {
        let name = self.words.written();
        if self.token != Token::Name || KEYWORDS.contains(&name) {
            return Err(self.unexpected("a name after the dot; `[\"..\"]` takes any text"));
        }
        self.advance()?;
        Ok(Step::Member(name.into()))
    }

    fn subscript(&mut self) -> Result<Step, ParseError> {
        let step = match &self.token {
            Token::Literal(Value::String(name)) => Some(Step::Member(name.as_str().into())),
            Token::Literal(Value::Number(number)) => {
                number.as_u64().and_then(|index| usize::try_from(index).ok()).map(Step::Index)
            }
            _ => None,
        };
        let step = step.ok_or_else(|| {
            self.unexpected("a text in quotes or the number of a member, counted from 0")
        })?;
        self.advance()?;
        self.expect("]", "`]`")?;
        Ok(step)
    }

    /// What follows a path.
    fn comparison(&mut self, path: Path) -> Result<Node, ParseError> {
        if self.is_word("in") {
            self.advance()?;
            return Ok(Node::OneOf { path, literals: self.list()? });
        }
        let operator = self.operator().ok_or_else(|| self.unexpected(COMPARISON))?;
        self.advance()?;
        let literal = self.literal()?;
        Ok(Node::Compare { path, operator, literal })
    }

    fn operator(&self) -> Option<Operator> {
        let is = |(symbol, _): &&(&str, Operator)| self.is(symbol);
        OPERATORS.iter().find(is).map(|(_, operator)| *operator)
    }

    fn literal(&mut self) -> Result<Value, ParseError> {
        let literal = match &self.token {
            Token::Literal(value) => Some(value.clone()),
            Token::Name => constant(self.words.written()),
            Token::Symbol(_) | Token::End => None,
        };
        let literal = literal.ok_or_else(|| self.unexpected(LITERAL))?;
        self.advance()?;
        Ok(literal)
    }

    fn list(&mut self) -> Result<Vec<Value>, ParseError> {
        self.expect("[", "a list of literals after `in`, such as `[1, 2]`")?;
        let mut literals = Vec::new();
        if self.take("]")? {
            return Ok(literals);
        }
        loop {
            literals.push(self.literal()?);
            if !self.take(",")? {
                self.expect("]", "`,` or `]`")?;
                return Ok(literals);
            }
        }
    }

    /// What follows a literal that stands first.
    fn literal_first(&mut self) -> Result<Node, ParseError> {
        let literal = self.literal()?;
        if self.operator().is_some() {
            return Err(self.unsupported("write the path first and the literal after it"));
        }
        if !self.is_word("in") {
            return Err(self.unexpected("`in` after a literal, as in `\"draft\" in tags`"));
        }
        self.advance()?;
        let path = self.path("a path after `in`, as in `\"draft\" in tags`")?;
        Ok(Node::Contains { path, literal })
    }
}

fn constant(word: &str) -> Option<Value> {
    match word {
        "true" => Some(Value::Bool(true)),
        "false" => Some(Value::Bool(false)),
        "null" => Some(Value::Null),
        _ => None,
    }
}

/// The only one of them, or all of them together.
fn single_or(mut nodes: Vec<Node>, together: fn(Vec<Node>) -> Node) -> Node {
    match nodes.pop() {
        Some(only) if nodes.is_empty() => only,
        last => {
            nodes.extend(last);
            together(nodes)
        }
    }
}
