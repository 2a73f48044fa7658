//! Lists of stored JSON that have a limit: one that is longer is refused where it passes the limit,
//! not after it was read whole.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Reads a list of at most `MAX` members.
pub(crate) fn list<'de, const MAX: usize, L, D>(deserializer: D) -> Result<L, D::Error>
where
    L: IntoIterator<Item: Deserialize<'de>> + FromIterator<L::Item>,
    D: Deserializer<'de>,
{
    let members = deserializer.deserialize_seq(Bounded::<MAX, Vec<L::Item>>(PhantomData))?;
    Ok(members.into_iter().collect())
}

/// Reads names with their values, at most `MAX` of them.
pub(crate) fn map<'de, const MAX: usize, K, V, D>(
    deserializer: D,
) -> Result<BTreeMap<K, V>, D::Error>
where
    K: Deserialize<'de> + Ord,
    V: Deserialize<'de>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_map(Bounded::<MAX, BTreeMap<K, V>>(PhantomData))
}

struct Bounded<const MAX: usize, T>(PhantomData<T>);

impl<'de, const MAX: usize, T: Deserialize<'de>> Visitor<'de> for Bounded<MAX, Vec<T>> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MAX} members")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut members: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(member) = members.next_element()? {
            if list.len() == MAX {
                return Err(A::Error::custom(format_args!("the list has more than {MAX} members")));
            }
            list.push(member);
        }
        Ok(list)
    }
}

impl<'de, const MAX: usize, K, V> Visitor<'de> for Bounded<MAX, BTreeMap<K, V>>
where
    K: Deserialize<'de> + Ord,
    V: Deserialize<'de>,
{
    type Value = BTreeMap<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {MAX} names with their values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((name, value)) = members.next_entry()? {
            if map.len() == MAX {
                return Err(A::Error::custom(format_args!("there are more than {MAX} names")));
            }
            map.insert(name, value);
        }
        Ok(map)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Holds {
        #[serde(default, deserialize_with = "super::list::<2, _, _>")]
        list: Vec<u8>,
        #[serde(default, deserialize_with = "super::map::<1, _, _, _>")]
        map: std::collections::BTreeMap<String, u8>,
    }

    #[test]
    fn what_passes_its_limit_is_refused_there_whatever_follows() {
        let read = |text: &str| {
            serde_json::from_str::<Holds>(text)
                .map(|holds| (holds.list, holds.map.len()))
                .map_err(|error| error.to_string())
        };
        assert_eq!(read(r#"{"list":[1,2],"map":{"a":1}}"#), Ok((vec![1, 2], 1)));
        assert_eq!(
            [
                // What follows is not even JSON: it must never be read.
                read(r#"{"list":[1,2,3,no"#).unwrap_err(),
                read(r#"{"map":{"a":1,"b":2,no"#).unwrap_err(),
            ],
            [
                "the list has more than 2 members at line 1 column 15",
                "there are more than 1 names at line 1 column 19",
            ]
        );
    }
}
