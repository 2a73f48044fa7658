//! All values at once: an automaton in the manner of Aho and Corasick (1975), which looks at each byte
//! once, however many values there are and however alike they begin.

use std::collections::VecDeque;

/// Texts to look for.
#[derive(Debug)]
pub(super) struct Patterns {
    nodes: Vec<Node>,
    /// For short texts, where a stream is most of the time: what comes of each byte.
    rows: Vec<[u32; 256]>,
}

/// Longest text with a row of its own.
const MAX_ROW_DEPTH: u32 = 2;

/// A text that patterns begin with.
#[derive(Debug, Clone, Copy)]
struct Node {
    byte: u8,
    depth: u32,
    /// The first of its children, and the next one of its parent.
    child: Option<u32>,
    sibling: Option<u32>,
    /// The longest shorter one of these texts that this one ends with.
    fallback: u32,
    row: Option<u32>,
    /// The longest pattern that this text ends with.
    ends: Option<Hit>,
    /// The first pattern that begins with this text.
    pattern: u32,
}

/// A pattern that was found, or of which the beginning was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) pattern: u32,
    /// How many bytes of it there are.
    pub(super) length: u32,
}

/// How far a stream has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(u32);

impl Place {
    /// Where no pattern has begun.
    pub(super) const START: Self = Self(0);
}

impl Patterns {
    /// Texts with the numbers by which they are found.
    pub(super) fn new(texts: impl IntoIterator<Item = (u32, Vec<u8>)>) -> Self {
        let root = Node {
            byte: 0,
            depth: 0,
            child: None,
            sibling: None,
            fallback: 0,
            row: Some(0),
            ends: None,
            pattern: 0,
        };
        let mut this = Self { nodes: vec![root], rows: vec![[0; 256]] };
        for (pattern, text) in texts {
            let mut at = 0;
            for &byte in &text {
                at = this.child(at, byte).unwrap_or_else(|| this.grow(at, byte, pattern));
            }
            let node = &mut this.nodes[at as usize];
            if node.depth > 0 && node.ends.is_none() {
                node.ends = Some(Hit { pattern, length: node.depth });
            }
        }
        this.link();
        this
    }

    /// Whether there is nothing to look for.
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.len() == 1
    }

    /// Whether a pattern begins with a byte.
    pub(super) fn begin_with(&self, byte: u8) -> bool {
        self.rows[0][usize::from(byte)] != 0
    }

    /// Where a stream comes with one more byte.
    pub(super) fn next(&self, Place(mut at): Place, byte: u8) -> Place {
        loop {
            let node = &self.nodes[at as usize];
            if let Some(row) = node.row {
                return Place(self.rows[row as usize][usize::from(byte)]);
            }
            if let Some(child) = self.child(at, byte) {
                return Place(child);
            }
            at = node.fallback;
        }
    }

    /// The longest pattern that ends here.
    pub(super) fn found(&self, Place(at): Place) -> Option<Hit> {
        self.nodes[at as usize].ends
    }

    /// The longest beginning of a pattern that ends here.
    pub(super) fn begun(&self, Place(at): Place) -> Option<Hit> {
        let node = &self.nodes[at as usize];
        (at != 0).then_some(Hit { pattern: node.pattern, length: node.depth })
    }

    fn child(&self, parent: u32, byte: u8) -> Option<u32> {
        let mut next = self.nodes[parent as usize].child;
        while let Some(child) = next {
            let node = &self.nodes[child as usize];
            if node.byte == byte {
                return Some(child);
            }
            next = node.sibling;
        }
        None
    }

    fn grow(&mut self, parent: u32, byte: u8, pattern: u32) -> u32 {
        // All values together fit in memory, and so many bytes do not.
        let child = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        let above = &mut self.nodes[parent as usize];
        let (depth, sibling) = (above.depth + 1, above.child.replace(child));
        self.nodes.push(Node {
            byte,
            depth,
            child: None,
            sibling,
            fallback: 0,
            row: None,
            ends: None,
            pattern,
        });
        child
    }

    /// Finds where each text falls back to: those of shorter texts are needed for it.
    fn link(&mut self) {
        let mut queue = VecDeque::from([0]);
        while let Some(parent) = queue.pop_front() {
            let Node { depth, fallback: above, mut child, .. } = self.nodes[parent as usize];
            // What no child continues goes on as after the shorter text, of which the row is done.
            let mut row = match self.nodes[above as usize].row {
                Some(row) => self.rows[row as usize],
                None => [0; 256],
            };
            while let Some(at) = child {
                let byte = self.nodes[at as usize].byte;
                let Place(fallback) = match depth {
                    0 => Place::START,
                    _ => self.next(Place(above), byte),
                };
                let ends = self.nodes[fallback as usize].ends;
                let node = &mut self.nodes[at as usize];
                node.fallback = fallback;
                node.ends = node.ends.or(ends);
                child = node.sibling;
                row[usize::from(byte)] = at;
                queue.push_back(at);
            }
            if depth == 0 {
                self.rows[0] = row;
            } else if depth <= MAX_ROW_DEPTH {
                self.nodes[parent as usize].row = u32::try_from(self.rows.len()).ok();
                self.rows.push(row);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_found_is_what_a_comparison_at_every_place_finds(
            texts in prop::collection::vec("[ab]{1,6}", 0..6),
            stream in "[abc]{0,40}",
        ) {
            let patterns =
                Patterns::new((0..).zip(texts.iter().map(|text| text.clone().into_bytes())));
            let mut place = Place::START;
            for end in 1..=stream.len() {
                place = patterns.next(place, stream.as_bytes()[end - 1]);
                let so_far = &stream[..end];
                let longest = texts.iter().filter(|text| so_far.ends_with(text.as_str()));
                let longest = longest.map(|text| text.len() as u32).max();
                prop_assert_eq!(patterns.found(place).map(|hit| hit.length), longest);
                let begun = (1..=end).rev().find(|length| {
                    texts.iter().any(|text| text.starts_with(&so_far[end - length..]))
                });
                prop_assert_eq!(patterns.begun(place).map(|hit| hit.length as usize), begun);
            }
        }
    }
}
