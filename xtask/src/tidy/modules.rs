//! The modules of a crate as its source files have them, and the names that each takes from others.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};

/// A module's path from the root of its crate, such as `plan::objects`; the root's is empty.
pub(super) type Name = String;

/// What each module takes from which others.
pub(super) type Edges = BTreeMap<Name, BTreeMap<Name, BTreeSet<String>>>;

/// The modules of a crate.
pub(super) struct Modules(BTreeMap<Name, Module>);

/// What one source file says.
#[derive(Default)]
struct Module {
    /// What `use` brings in, under which name, and from where.
    imports: BTreeMap<String, Vec<String>>,
    /// Modules all of whose names are brought in.
    globs: Vec<Vec<String>>,
    /// The paths that its own code names; re-exports are not among them.
    paths: BTreeSet<Vec<String>>,
    /// The types that it adds methods to.
    extends: BTreeSet<Vec<String>>,
    /// Modules that are there for tests only.
    tests: BTreeSet<String>,
}

/// Every source file of a crate, by the module that it is.
pub(super) fn parsed(folder: &Path) -> Result<BTreeMap<Name, syn::File>, String> {
    let mut paths = Vec::new();
    super::source::collect(folder, &["rs"], &mut paths)?;
    let parse = |path: PathBuf| {
        let below = path.strip_prefix(folder).unwrap_or(&path).with_extension("");
        let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
        let name = match parts.join("::").as_str() {
            "lib" | "main" => String::new(),
            name => name.to_owned(),
        };
        let text = fs::read_to_string(&path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let file = syn::parse_file(&text)
            .map_err(|error| format!("cannot parse {}: {error}", path.display()))?;
        Ok((name, file))
    };
    paths.into_iter().map(parse).collect()
}

impl Modules {
    /// What these source files say; those of tests are left out.
    pub(super) fn of(files: &BTreeMap<Name, syn::File>) -> Self {
        let modules = files.iter().map(|(name, file)| (name.clone(), Module::of(file)));
        Self(modules.collect()).without_tests()
    }

    fn without_tests(mut self) -> Self {
        let tests: Vec<Name> = self
            .0
            .iter()
            .flat_map(|(name, module)| module.tests.iter().map(|test| join(name, test)))
            .collect();
        self.0.retain(|name, _| {
            !tests.iter().any(|test| name == test || name.starts_with(&format!("{test}::")))
        });
        self
    }

    /// Whether a module is compiled into more than tests.
    pub(super) fn has(&self, module: &str) -> bool {
        self.0.contains_key(module)
    }

    /// The module that defines the type which a path names, and the type's name there.
    pub(super) fn type_of(&self, from: &str, path: &[String]) -> Option<(Name, String)> {
        let imported = |name: &String| self.0.get(from)?.imports.get(name)?.last();
        let named = path.last()?;
        let name = if path.len() == 1 { imported(named).unwrap_or(named) } else { named };
        match self.resolve(from, path, 0) {
            Some(module) => Some((module, name.clone())),
            // A name that was not brought in is the module's own, or of the prelude.
            None => (path.len() == 1).then(|| (from.to_owned(), name.clone())),
        }
    }

    /// What each module takes from which others.
    pub(super) fn edges(&self) -> Edges {
        let mut edges: Edges = self.0.keys().map(|name| (name.clone(), BTreeMap::new())).collect();
        for (from, module) in &self.0 {
            for path in &module.paths {
                let Some(to) = self.resolve(from, path, 0).filter(|to| to != from) else {
                    continue;
                };
                let taken = path.last().cloned().unwrap_or_default();
                if is_below(from, &to) && self.extends(from, &to, &taken) {
                    continue;
                }
                edges.entry(from.clone()).or_default().entry(to).or_default().insert(taken);
            }
        }
        edges
    }

    /// Whether a module adds methods to this type of that module.
    fn extends(&self, from: &str, to: &str, name: &str) -> bool {
        self.0.get(from).into_iter().flat_map(|module| &module.extends).any(|path| {
            path.last().is_some_and(|last| last == name)
                && self.resolve(from, path, 0).as_deref() == Some(to)
        })
    }

    /// The module in which what a path names is defined, if it is one of ours.
    fn resolve(&self, from: &str, path: &[String], depth: usize) -> Option<Name> {
        // Two modules may import all names of each other.
        if depth > 16 {
            return None;
        }
        let (mut at, mut rest) = (from.to_owned(), path);
        let mut anchored = false;
        while let Some((first, after)) = rest.split_first() {
            match first.as_str() {
                "crate" => at = String::new(),
                "self" => {}
                "super" => at = at.rsplit_once("::").map_or("", |(parent, _)| parent).to_owned(),
                _ => break,
            }
            (anchored, rest) = (true, after);
        }
        let begins_at = at.clone();
        while let Some((first, after)) = rest.split_first() {
            let below = join(&at, first);
            if !self.0.contains_key(&below) {
                break;
            }
            (at, rest, anchored) = (below, after, true);
        }
        let Some(name) = rest.first() else { return anchored.then_some(at) };
        let module = self.0.get(&at)?;
        if let Some(import) = module.imports.get(name) {
            let mut whole = import.clone();
            whole.extend_from_slice(&rest[1..]);
            // A name of another crate belongs to no module here.
            return self.resolve(&at, &whole, depth + 1);
        }
        let from_globs = module.globs.iter().find_map(|glob| {
            let target = self.resolve(&at, glob, depth + 1)?;
            let inner = self.0.get(&target)?;
            let known =
                inner.imports.contains_key(name) || self.0.contains_key(&join(&target, name));
            known.then(|| self.resolve(&target, rest, depth + 1)).flatten()
        });
        match from_globs {
            Some(found) => Some(found),
            None if anchored || at != begins_at => Some(at),
            None => None,
        }
    }
}

impl Module {
    fn of(file: &syn::File) -> Self {
        let mut module = Self::default();
        module.visit_file(file);
        module
    }

    /// Reads one `use`; `path` is what precedes the tree.
    fn import(&mut self, tree: &syn::UseTree, path: &[String], passes_on: bool) {
        let below = |ident: &syn::Ident| [path, &[ident.to_string()]].concat();
        match tree {
            syn::UseTree::Path(next) => self.import(&next.tree, &below(&next.ident), passes_on),
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(tree, path, passes_on);
                }
            }
            syn::UseTree::Glob(_) => self.globs.push(path.to_vec()),
            syn::UseTree::Name(name) => {
                let whole = if name.ident == "self" { path.to_vec() } else { below(&name.ident) };
                let known_as = whole.last().cloned().unwrap_or_default();
                self.bring_in(known_as, whole, passes_on);
            }
            syn::UseTree::Rename(name) => {
                let whole = if name.ident == "self" { path.to_vec() } else { below(&name.ident) };
                self.bring_in(name.rename.to_string(), whole, passes_on);
            }
        }
    }

    fn bring_in(&mut self, known_as: String, whole: Vec<String>, passes_on: bool) {
        if !passes_on {
            self.paths.insert(whole.clone());
        }
        self.imports.insert(known_as, whole);
    }
}

impl<'ast> Visit<'ast> for Module {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes = match item {
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Impl(item) => &item.attrs,
            syn::Item::Mod(item) => &item.attrs,
            syn::Item::Struct(item) => &item.attrs,
            syn::Item::Use(item) => &item.attrs,
            _ => return visit::visit_item(self, item),
        };
        if !attributes.iter().any(is_for_tests) {
            visit::visit_item(self, item);
        } else if let syn::Item::Mod(module) = item {
            self.tests.insert(module.ident.to_string());
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if let syn::Type::Path(extended) = &*item.self_ty {
            let path = extended.path.segments.iter().map(|segment| segment.ident.to_string());
            self.extends.insert(path.collect());
        }
        visit::visit_item_impl(self, item);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let passes_on = !matches!(item.vis, syn::Visibility::Inherited);
        self.import(&item.tree, &[], passes_on);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> =
            path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        // A single segment is a local name, or was brought in by a `use`.
        if segments.len() > 1 {
            self.paths.insert(segments);
        }
        visit::visit_path(self, path);
    }

    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {
        // `pub(in path)` names a module and takes nothing from it.
    }
}

pub(super) fn is_for_tests(attribute: &syn::Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
}

fn is_below(module: &str, other: &str) -> bool {
    other.is_empty() || module.strip_prefix(other).is_some_and(|rest| rest.starts_with("::"))
}

fn join(module: &str, name: &str) -> Name {
    if module.is_empty() { name.to_owned() } else { format!("{module}::{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges(files: &[(&str, &str)]) -> Vec<String> {
        let parse = |text| syn::parse_file(text).expect("the example is Rust");
        let files = files.iter().map(|(name, text)| ((*name).to_owned(), parse(text))).collect();
        let edges = Modules::of(&files).edges();
        let each = edges.iter().flat_map(|(from, to)| to.keys().map(move |to| (from, to)));
        each.map(|(from, to)| format!("{from} -> {to}")).collect()
    }

    #[test]
    fn a_name_is_followed_through_re_exports_to_where_it_is_defined() {
        let found = edges(&[
            ("", "mod a; mod b; pub use a::inner::Thing;"),
            ("a", "mod inner; pub(crate) use inner::Thing;"),
            ("a::inner", "pub struct Thing;"),
            ("b", "use crate::a::Thing; use crate::Thing as Same; use std::fmt;"),
        ]);
        assert_eq!(found, ["b -> a::inner"]);
    }

    #[test]
    fn a_module_that_adds_methods_to_the_type_of_its_folder_does_not_depend_on_it() {
        let found = edges(&[
            ("", "mod world;"),
            ("world", "mod turn; pub struct World(turn::Draft); pub struct Member;"),
            ("world::turn", "use super::{Member, World}; pub struct Draft; impl World {}"),
        ]);
        assert_eq!(found, ["world -> world::turn", "world::turn -> world"]);
        let found = edges(&[
            ("", "mod world;"),
            ("world", "mod turn; pub struct World(turn::Draft);"),
            ("world::turn", "use super::World; pub struct Draft; impl World {}"),
        ]);
        assert_eq!(found, ["world -> world::turn"]);
    }

    #[test]
    fn paths_in_code_count_and_tests_do_not() {
        let found = edges(&[
            ("", "mod a; mod b; fn f() { a::go(); }"),
            ("a", "pub fn go() {} #[cfg(test)] mod tests { use crate::b::B; }"),
            ("b", "use super::a; pub struct B; fn f() -> u8 { a::go(); u8::MAX }"),
        ]);
        assert_eq!(found, [" -> a", "b -> a"]);
    }
}
