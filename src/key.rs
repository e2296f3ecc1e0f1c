//! Values that name a sequence or a group: integers, strings and booleans.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// A sequence id, or one part of a group's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A truth value.
    Bool(bool),
    /// An integer of any Arrow type.
    Int(i128),
    /// A string.
    Text(Arc<str>),
}

/// The same, borrowed from a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRef<'a> {
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i128),
    /// A string.
    Text(&'a str),
}

impl KeyRef<'_> {
    /// An owned copy.
    #[must_use]
    pub fn to_key(self) -> Key {
        match self {
            Self::Bool(x) => Key::Bool(x),
            Self::Int(x) => Key::Int(x),
            Self::Text(x) => Key::Text(x.into()),
        }
    }
}

impl Key {
    /// 128 bits that stand for it in a set: 16 bytes an id, and chance collisions out of reach.
    #[must_use]
    pub fn fingerprint(&self) -> u128 {
        let half = |salt: u64| {
            let mut hasher = DefaultHasher::new();
            salt.hash(&mut hasher);
            self.hash(&mut hasher);
            u128::from(hasher.finish())
        };
        half(1) << 64 | half(2)
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bool(x) => write!(f, "{x}"),
            Self::Int(x) => write!(f, "{x}"),
            Self::Text(x) => write!(f, "{x:?}"),
        }
    }
}

/// A group: one value a `by` column, null among them.
pub type GroupKey = Vec<Option<Key>>;

/// Numbers groups in the order in which they turn up.
#[derive(Debug, Clone, Default)]
pub struct GroupTable {
    keys: Vec<GroupKey>,
    numbers: HashMap<GroupKey, u32>,
}

impl GroupTable {
    /// The number of a group, a new one if need be.
    pub fn number(&mut self, key: &GroupKey) -> u32 {
        if let Some(&number) = self.numbers.get(key) {
            return number;
        }
        let number = self.keys.len() as u32;
        self.keys.push(key.clone());
        self.numbers.insert(key.clone(), number);
        number
    }

    /// The group of a number.
    #[must_use]
    pub fn key(&self, number: u32) -> Option<&GroupKey> {
        self.keys.get(number as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_keep_their_numbers() {
        let mut table = GroupTable::default();
        let (a, b) = (vec![Some(Key::Int(1))], vec![None]);
        assert_eq!((table.number(&a), table.number(&b), table.number(&a)), (0, 1, 0));
        assert_eq!((table.key(1), table.key(2)), (Some(&b), None));
    }

    #[test]
    fn fingerprints_tell_kinds_apart() {
        let keys = [Key::Int(1), Key::Bool(true), Key::Text("1".into()), Key::Int(-1)];
        for (i, a) in keys.iter().enumerate() {
            for (j, b) in keys.iter().enumerate() {
                assert_eq!(a.fingerprint() == b.fingerprint(), i == j);
            }
        }
    }
}
