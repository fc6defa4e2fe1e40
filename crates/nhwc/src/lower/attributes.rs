//! The attributes of one node. An attribute that no lowering reads is unknown to this engine, and the node unsupported.

use super::Reason;
use crate::onnx::{AttributeValue, Node};

pub struct Attributes<'a, 'm> {
    node: &'a Node<'m>,
    read: Vec<&'a str>,
}

impl<'a, 'm> Attributes<'a, 'm> {
    pub fn new(node: &'a Node<'m>) -> Result<Self, Reason> {
        let mut names: Vec<_> = node.attributes.iter().map(|attribute| attribute.name).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(format!("the attribute `{}` occurs twice", pair[0])),
            None => Ok(Self { node, read: Vec::new() }),
        }
    }

    fn find(&mut self, name: &'a str) -> Option<&'a AttributeValue<'m>> {
        self.read.push(name);
        let node = self.node;
        node.attributes.iter().find(|attribute| attribute.name == name).map(|attribute| &attribute.value)
    }

    /// The name and value of the node's attribute, if there is exactly one.
    pub fn only(&mut self) -> Option<(&'m str, AttributeValue<'m>)> {
        let [attribute] = &self.node.attributes[..] else { return None };
        self.read.push(attribute.name);
        Some((attribute.name, attribute.value.clone()))
    }

    pub fn int(&mut self, name: &'a str, default: i64) -> Result<i64, Reason> {
        match self.find(name) {
            None => Ok(default),
            Some(AttributeValue::Int(value)) => Ok(*value),
            Some(_) => Err(format!("the attribute `{name}` is not an integer")),
        }
    }

    pub fn float(&mut self, name: &'a str, default: f32) -> Result<f32, Reason> {
        match self.find(name) {
            None => Ok(default),
            Some(AttributeValue::Float(value)) => Ok(*value),
            Some(_) => Err(format!("the attribute `{name}` is not a number")),
        }
    }

    pub fn text(&mut self, name: &'a str, default: &'a str) -> Result<&'a str, Reason> {
        match self.find(name) {
            None => Ok(default),
            Some(AttributeValue::Text(value)) => {
                std::str::from_utf8(value).map_err(|_| format!("the attribute `{name}` is not UTF-8"))
            }
            Some(_) => Err(format!("the attribute `{name}` is not a text")),
        }
    }

    /// A list of `N` integers.
    pub fn ints<const N: usize>(&mut self, name: &'a str, default: [i64; N]) -> Result<[i64; N], Reason> {
        match self.find(name) {
            None => Ok(default),
            Some(AttributeValue::Ints(values)) => <[i64; N]>::try_from(&values[..])
                .map_err(|_| format!("the attribute `{name}` has {} values and not {N}", values.len())),
            Some(_) => Err(format!("the attribute `{name}` is not a list of integers")),
        }
    }

    /// Fails unless the attribute is absent or has this value.
    pub fn require(&mut self, name: &'a str, value: i64) -> Result<(), Reason> {
        match self.int(name, value)? {
            found if found == value => Ok(()),
            found => Err(format!("the attribute `{name}` is {found}; only {value} is supported")),
        }
    }

    /// Reads attributes that have no effect on a supported node.
    pub fn ignore(&mut self, names: &[&'a str]) {
        self.read.extend(names);
    }

    pub fn finish(self) -> Result<(), Reason> {
        match self.node.attributes.iter().find(|attribute| !self.read.contains(&attribute.name)) {
            Some(attribute) => Err(format!("the attribute `{}` is unknown", attribute.name)),
            None => Ok(()),
        }
    }
}
