//! `route:`: what follows an attempt at an item, by rules over how it went.

mod rule;

use std::collections::{BTreeMap, BTreeSet};

use crate::expression::Expression;
use crate::id::WorkId;
use crate::plan::mapping::{Fields, Object, ValueKind, key};
use crate::plan::resolve::{CellResolver, Names};
use crate::plan::text::{DiagnosticCode, Diagnostics, Node, Span, Spanned, Yaml, shorten};
use crate::routing::{Name, RoutingDecision};

pub use rule::{RouteRule, RouteRules};

/// What conditions may look at.
const KNOWN: [&str; 9] =
    ["item", "attempt", "visit", "outcome", "exit", "text", "output", "scores", "tokens"];

/// Longest reason that a rule may give, in bytes.
const MAX_REASON_BYTES: usize = 500;

pub(super) static ROUTE: Object = Object {
    name: "route",
    what: "a rule of `route`",
    keys: &[
        key(
            "when",
            ValueKind::Text,
            "when: output.approved == true && attempt < 3",
            "The condition under which it decides, over `outcome`, `exit`, `text`, `output`, `scores`, \
            `tokens`, `attempt`, `visit` and `item`. Without one it always does.",
        ),
        key(
            "to",
            ValueKind::Either(&[ValueKind::Text, ValueKind::List(&ValueKind::Text)]),
            "to: [b]",
            "The items that go on, each `when: routed` or with `visits`. A failed attempt is the last \
            one then.",
        ),
        key(
            "then",
            ValueKind::Word(&["continue", "retry", "skip", "end", "error"]),
            "then: retry",
            "Instead of `to`: what the outcome means by itself (`continue`), another attempt, also after \
            a success (`retry`), that the item counts as skipped (`skip`), that nothing else of the run is \
            started (`end`), or that the item has failed permanently (`error`).",
        ),
        key(
            "because",
            ValueKind::Text,
            "because: the review asks for changes",
            "The reason that is recorded. Default: the condition.",
        ),
        key(
            "name",
            ValueKind::Text,
            "name: changes_wanted",
            "The name under which the rule is recorded. Default: `rule 1` and so on.",
        ),
        key(
            "priority",
            ValueKind::Integer(-1_000_000, 1_000_000),
            "priority: 10",
            "Rules with a higher priority are asked first, those of the same in their order. Default: 0.",
        ),
    ],
    later: &["parallel", "branch"],
    open: false,
};

const WORDS: [(&str, RoutingDecision); 5] = [
    ("continue", RoutingDecision::Continue),
    ("retry", RoutingDecision::Retry),
    ("skip", RoutingDecision::Skip),
    ("end", RoutingDecision::End),
    ("error", RoutingDecision::Error),
];

/// A rule as it is written.
#[derive(Debug)]
pub(super) struct RuleAst {
    name: Name,
    when: Option<Expression>,
    follows: Follows,
    because: Option<String>,
    priority: i64,
}

#[derive(Debug)]
enum Follows {
    Decision(RoutingDecision),
    Items(Vec<Spanned<String>>),
}

/// Reads the rules of an item, those that are asked first before the others.
pub(super) fn read_all(node: &Node, diagnostics: &mut Diagnostics<'_>) -> Vec<RuleAst> {
    let rules = diagnostics.list(node, "rules").unwrap_or_default();
    let mut rules: Vec<RuleAst> =
        (1..).zip(rules).filter_map(|(number, node)| read(number, node, diagnostics)).collect();
    rules.sort_by_key(|rule| std::cmp::Reverse(rule.priority));
    rules
}

fn read(number: u32, node: &Node, diagnostics: &mut Diagnostics<'_>) -> Option<RuleAst> {
    let fields = Fields::read(node, &ROUTE, diagnostics)?;
    let when = fields.get("when").map(|node| expression(node, diagnostics));
    let follows = match (fields.get("to"), fields.get("then")) {
        (Some(node), None) => Some(Follows::Items(targets(node, diagnostics))),
        (None, Some(node)) => diagnostics.choice(node, &WORDS).map(Follows::Decision),
        (Some(_), Some(node)) => {
            let message = "`then` cannot be used beside `to`";
            diagnostics.error(DiagnosticCode::Conflict, node.span, message);
            None
        }
        (None, None) => {
            let message = "a rule says what follows: `to` or `then`";
            let hint = "for instance `to: review` or `then: retry`";
            diagnostics.error(DiagnosticCode::MissingKey, node.span, message).hint(hint);
            None
        }
    };
    let because = fields.get("because").and_then(|node| {
        let text = diagnostics.text(node)?;
        if text.value.len() > MAX_REASON_BYTES {
            let message = format!("a reason has at most {MAX_REASON_BYTES} bytes");
            diagnostics.error(DiagnosticCode::TooLarge, text.span, message);
        }
        // It is told in one line.
        Some(text.value.split_whitespace().collect::<Vec<_>>().join(" "))
    });
    let named = match fields.get("name").and_then(|node| diagnostics.text(node)) {
        None => Name::new(format!("rule {number}")).ok(),
        Some(text) => match Name::new(&text.value) {
            Ok(name) => Some(name),
            Err(error) => {
                diagnostics.error(DiagnosticCode::BadId, text.span, error.to_string());
                None
            }
        },
    };
    let priority = fields
        .get("priority")
        .and_then(|node| diagnostics.integer(node, -1_000_000, 1_000_000))
        .unwrap_or_default();
    let when = match when {
        None => None,
        Some(read) => Some(read?),
    };
    Some(RuleAst { name: named?, when, follows: follows?, because, priority })
}

fn targets(node: &Node, diagnostics: &mut Diagnostics<'_>) -> Vec<Spanned<String>> {
    let Yaml::List(_) = &node.value else {
        return diagnostics.text(node).into_iter().collect();
    };
    let names = diagnostics.list(node, "items").unwrap_or_default();
    if names.is_empty() {
        let message = "`to` names no item";
        diagnostics.error(DiagnosticCode::MissingKey, node.span, message);
    }
    names.iter().filter_map(|name| diagnostics.text(name)).collect()
}

/// A condition; what is wrong with it is reported where it is.
fn expression(node: &Node, diagnostics: &mut Diagnostics<'_>) -> Option<Expression> {
    let text = diagnostics.text(node)?;
    let expression = match Expression::parse(&text.value) {
        Ok(expression) => expression,
        Err(error) => {
            let message = format!("this condition cannot be read: {error}");
            let column = error.column().saturating_sub(1);
            let at = text.value.char_indices().nth(column).map_or(text.value.len(), |(at, _)| at);
            let at = within(node, &text, at);
            diagnostics.error(DiagnosticCode::BadValue, at, message);
            return None;
        }
    };
    let mut is_known = true;
    for path in expression.paths() {
        let first = path.root();
        if KNOWN.contains(&first) {
            continue;
        }
        is_known = false;
        let message = format!("a condition cannot look at `{}`", shorten(first));
        let hint = diagnostics
            .suggestion(first, KNOWN.into_iter())
            .unwrap_or_else(|| format!("it can look at {}", KNOWN.join(", ")));
        let at = within(node, &text, path.offset());
        diagnostics.error(DiagnosticCode::BadValue, at, message).hint(hint);
    }
    is_known.then_some(expression)
}

/// Where a byte of a text is written, if it is one line without escapes; else where the text is.
fn within(node: &Node, text: &Spanned<String>, at: usize) -> Span {
    let quote = usize::from(matches!(node.value, Yaml::Quoted(_)));
    let written = text.span.end - text.span.start;
    match written == text.value.len() + 2 * quote && !text.value.contains('\n') {
        true => {
            let start = text.span.start + quote + at;
            Span::new(start, (start + 1).min(text.span.end))
        }
        false => text.span,
    }
}

/// An item as one that routes and is routed to.
pub(super) struct RoutedItem<'a> {
    name: &'a Spanned<String>,
    rules: &'a [RuleAst],
    /// Whether it starts only by a route.
    waits: bool,
    /// Whether others may route to it.
    is_target: bool,
}

impl<'a> RoutedItem<'a> {
    pub(super) fn new(
        name: &'a Spanned<String>,
        rules: &'a [RuleAst],
        waits: bool,
        is_target: bool,
    ) -> Self {
        Self { name, rules, waits, is_target }
    }

    fn id(&self) -> &'a str {
        &self.name.value
    }
}

/// Where the items of a plan route to.
#[derive(Debug, Default)]
pub(super) struct Routes {
    /// By the name of an item, the items that it may route to.
    targets: BTreeMap<String, Vec<WorkId>>,
    /// By the name of an item, the names of those that may route to it.
    sources: BTreeMap<String, BTreeSet<String>>,
}

impl Routes {
    /// Finds out who routes to whom, and reports routes that cannot be taken, and items that wait for
    /// one in vain.
    pub(super) fn resolve(
        items: &[RoutedItem<'_>],
        names: &Names<'_>,
        diagnostics: &mut Diagnostics<'_>,
    ) -> Self {
        let by_id: BTreeMap<&str, &RoutedItem<'_>> =
            items.iter().map(|item| (item.id(), item)).collect();
        let mut routes = Self::default();
        for item in items {
            for named in item.rules.iter().flat_map(RuleAst::items) {
                let members: Vec<WorkId> =
                    names.members(named, diagnostics).into_iter().cloned().collect();
                let of: BTreeSet<&str> =
                    members.iter().filter_map(|id| names.item_of(id.as_str())).collect();
                for target in of {
                    let may_be = by_id.get(target).is_none_or(|target| target.is_target);
                    if !may_be {
                        let message = format!("`{target}` does not wait to be routed to");
                        let hint = format!(
                            "add `when: routed` to `{target}`, or `visits: 2` if it may be carried out \
                             again"
                        );
                        diagnostics.error(DiagnosticCode::Conflict, named.span, message).hint(hint);
                    }
                    let sources = routes.sources.entry(target.to_owned()).or_default();
                    sources.insert(item.id().to_owned());
                }
                let targets = routes.targets.entry(item.id().to_owned()).or_default();
                targets.extend(
                    members.into_iter().filter(|id| !targets.contains(id)).collect::<Vec<_>>(),
                );
            }
        }
        routes.refuse_unreachable(items, diagnostics);
        routes
    }

    /// Reports items that wait for a route, and to which none leads from what starts by itself.
    fn refuse_unreachable(&self, items: &[RoutedItem<'_>], diagnostics: &mut Diagnostics<'_>) {
        let mut reached: BTreeSet<&str> = BTreeSet::new();
        let starts = items.iter().filter(|item| !item.waits).map(RoutedItem::id);
        let mut left: Vec<&str> = starts.collect();
        while let Some(name) = left.pop() {
            if reached.insert(name) {
                let leads = self.sources.iter().filter(|(_, sources)| sources.contains(name));
                left.extend(leads.map(|(target, _)| target.as_str()));
            }
        }
        for item in items.iter().filter(|item| !reached.contains(item.id())) {
            let message = format!("nothing routes to `{}`", shorten(item.id()));
            let hint = format!("name it in the `route` of another item: `{{ to: {} }}`", item.id());
            diagnostics.error(DiagnosticCode::MissingKey, item.name.span, message).hint(hint);
        }
    }

    /// The items that an item may route to.
    pub(super) fn targets(&self, item: &str) -> &[WorkId] {
        self.targets.get(item).map_or(&[], Vec::as_slice)
    }

    /// The names of the items that may route to an item.
    pub(super) fn sources(&self, item: &str) -> impl Iterator<Item = &str> {
        self.sources.get(item).into_iter().flatten().map(String::as_str)
    }
}

impl RuleAst {
    fn items(&self) -> &[Spanned<String>] {
        match &self.follows {
            Follows::Items(names) => names,
            Follows::Decision(_) => &[],
        }
    }

    /// The rule as it is recorded.
    pub(super) fn resolve(&self, resolver: &CellResolver<'_, '_, '_>) -> RouteRule {
        let named = self.items().iter().flat_map(|name| resolver.members_of(&name.value));
        let to: BTreeSet<WorkId> = named.cloned().collect();
        let decision = match &self.follows {
            Follows::Decision(decision) => *decision,
            Follows::Items(_) if to.len() == 1 => RoutingDecision::Branch,
            Follows::Items(_) => RoutingDecision::Parallel,
        };
        RouteRule::new(self.name.clone(), self.when.clone(), decision, to, self.because.clone())
    }
}
