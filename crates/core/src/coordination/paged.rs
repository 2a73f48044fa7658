//! A list whose members may leave it: positions stay what they were, and whole pages of holes take
//! no memory.

use std::ops::{Index, IndexMut};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Members of one page.
const PAGE: usize = 256;

/// Values by position. A position is given once, so it also says what is older.
#[derive(Debug, Clone)]
pub(super) struct Paged<T> {
    pages: Vec<Vec<Option<T>>>,
    given: u32,
    present: u32,
}

impl<T> Default for Paged<T> {
    fn default() -> Self {
        Self { pages: Vec::new(), given: 0, present: 0 }
    }
}

impl<T> Paged<T> {
    /// Adds a value and returns its position.
    ///
    /// # Panics
    /// After 2^32 positions: more than memory takes.
    pub(super) fn push(&mut self, value: T) -> u32 {
        let position = self.given;
        if (position as usize).is_multiple_of(PAGE) {
            self.pages.push(Vec::new());
        }
        let page = self.pages.last_mut().expect("BUG: the page of the next position was just made");
        page.push(Some(value));
        self.given = position.checked_add(1).expect("BUG: items are counted in 32 bits");
        self.present += 1;
        position
    }

    /// Takes a value out; its position stays empty.
    pub(super) fn remove(&mut self, position: u32) -> Option<T> {
        let last = self.given.saturating_sub(1) as usize / PAGE;
        let at = position as usize / PAGE;
        let page = self.pages.get_mut(at)?;
        let value = page.get_mut(position as usize % PAGE)?.take()?;
        self.present -= 1;
        // The last page still grows.
        if at != last && page.iter().all(Option::is_none) {
            *page = Vec::new();
        }
        Some(value)
    }

    pub(super) fn get(&self, position: u32) -> Option<&T> {
        self.pages.get(position as usize / PAGE)?.get(position as usize % PAGE)?.as_ref()
    }

    /// The position that the next value gets.
    pub(super) fn given(&self) -> u32 {
        self.given
    }

    /// Values that are there.
    pub(super) fn len(&self) -> usize {
        self.present as usize
    }

    /// What is there, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let pages = (0..).step_by(PAGE).zip(&self.pages);
        pages
            .flat_map(|(first, page)| (first..).zip(page))
            .filter_map(|(position, value)| Some((position, value.as_ref()?)))
    }
}

impl<T> Index<u32> for Paged<T> {
    type Output = T;
    fn index(&self, position: u32) -> &T {
        self.get(position)
            .expect("BUG: only what has its outcome leaves memory, and nothing refers to it then")
    }
}

impl<T> IndexMut<u32> for Paged<T> {
    fn index_mut(&mut self, position: u32) -> &mut T {
        let slot = self
            .pages
            .get_mut(position as usize / PAGE)
            .and_then(|page| page.get_mut(position as usize % PAGE));
        slot.and_then(Option::as_mut)
            .expect("BUG: only what has its outcome leaves memory, and nothing refers to it then")
    }
}

/// How many positions were given, then what is there.
#[derive(Serialize, Deserialize)]
struct Stored<V> {
    given: u32,
    there: V,
}

impl<T: Serialize> Serialize for Paged<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let there: Vec<(u32, &T)> = self.iter().collect();
        Stored { given: self.given, there }.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Paged<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Stored { given, there } = Stored::<Vec<(u32, T)>>::deserialize(deserializer)?;
        let mut paged = Self::default();
        for (position, value) in there {
            if position < paged.given || position >= given {
                return Err(D::Error::custom(format!(
                    "position {position} is out of order or beyond {given}"
                )));
            }
            paged.skip_to(position);
            paged.push(value);
        }
        paged.skip_to(given);
        Ok(paged)
    }
}

impl<T> Paged<T> {
    /// Leaves holes up to a position.
    pub(super) fn skip_to(&mut self, position: u32) {
        while self.given < position {
            let (page, within) = (self.given as usize / PAGE, self.given as usize % PAGE);
            let ends = (position as usize).min((page + 1) * PAGE);
            if within == 0 {
                self.pages.push(Vec::new());
            }
            // A page that is passed whole stays without memory, as it is when its members leave one
            // by one.
            if ends < (page + 1) * PAGE || within > 0 {
                self.pages[page].resize_with(within + ends - self.given as usize, || None);
            }
            self.given = u32::try_from(ends).unwrap_or(position);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_keeps_the_positions_of_the_others_also_when_stored() {
        let mut paged = Paged::default();
        for value in 0..1000_u32 {
            assert_eq!(paged.push(value), value);
        }
        for position in (0..700).filter(|position| position % 300 != 7) {
            assert_eq!(paged.remove(position), Some(position));
            assert_eq!(paged.remove(position), None);
        }
        let expected: Vec<u32> = [7, 307, 607].into_iter().chain(700..1000).collect();
        let there = |paged: &Paged<u32>| -> Vec<Option<u32>> {
            paged.iter().map(|(position, value)| (position == *value).then_some(*value)).collect()
        };
        assert_eq!(there(&paged), expected.iter().copied().map(Some).collect::<Vec<_>>());
        let stored = serde_json::to_string(&paged).unwrap();
        let mut restored: Paged<u32> = serde_json::from_str(&stored).unwrap();
        assert_eq!(there(&restored), there(&paged));
        assert_eq!((restored.len(), restored.push(1000), restored[307]), (303, 1000, 307));
    }

    #[test]
    fn a_page_that_everything_has_left_takes_no_memory() {
        let mut paged = Paged::default();
        for value in 0..(3 * PAGE) {
            paged.push(value);
        }
        for position in 0..512 {
            paged.remove(position);
        }
        let restored: Paged<usize> =
            serde_json::from_str(&serde_json::to_string(&paged).unwrap()).unwrap();
        let capacities = |paged: &Paged<usize>| {
            paged.pages.iter().map(|page| page.capacity() > 0).collect::<Vec<_>>()
        };
        assert_eq!(
            (capacities(&paged), capacities(&restored)),
            (vec![false, false, true], vec![false, false, true])
        );
    }

    #[test]
    fn stored_positions_out_of_order_or_beyond_the_end_are_refused() {
        for forged in [
            r#"{"given":2,"there":[[1,0],[0,0]]}"#,
            r#"{"given":1,"there":[[1,0]]}"#,
            r#"{"given":1,"there":[[0,0],[0,0]]}"#,
        ] {
            assert!(serde_json::from_str::<Paged<u32>>(forged).is_err(), "{forged}");
        }
    }
}
