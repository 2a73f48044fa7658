//! A field that other modules may see, but not everybody, is written only in the file that declares
//! its type: there its invariants can be read in one place.
//!
//! Written means: given in a literal of the type, assigned, or borrowed to be changed, through
//! `self` or an argument whose type is spelled out. Of any other value the type is not known before
//! it is inferred, so what is written through it is not found. Tests may build what they need.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::{self, Visit};

use super::modules::{Modules, Name, is_for_tests, parsed};
use crate::workspace::Workspace;

/// A type: the module that defines it, and its name there.
type Type = (Name, String);

/// The fields of restricted visibility, by type.
type Shared = BTreeMap<Type, BTreeSet<String>>;

pub(super) fn breaches(workspace: &Workspace) -> Result<Vec<String>, String> {
    let mut breaches = Vec::new();
    for package in &workspace.packages {
        let folder = package.manifest.with_file_name("src");
        let found = written_elsewhere(&parsed(&folder)?);
        breaches.extend(found.into_iter().map(|breach| format!("{}: {breach}", package.name)));
    }
    Ok(breaches)
}

fn written_elsewhere(files: &BTreeMap<Name, syn::File>) -> Vec<String> {
    let modules = Modules::of(files);
    let mut shared = Shared::new();
    for (module, file) in files {
        Declarations { module, shared: &mut shared }.visit_file(file);
    }
    let mut found = Vec::new();
    for (module, file) in files.iter().filter(|(module, _)| modules.has(module)) {
        let mut writes = Writes {
            module,
            modules: &modules,
            shared: &shared,
            itself: None,
            function: String::new(),
            arguments: BTreeMap::new(),
            found: &mut found,
        };
        writes.visit_file(file);
    }
    found
}

struct Declarations<'a> {
    module: &'a Name,
    shared: &'a mut Shared,
}

impl<'ast> Visit<'ast> for Declarations<'_> {
    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        let restricted = |field: &&syn::Field| matches!(field.vis, syn::Visibility::Restricted(_));
        let fields = item.fields.iter().filter(restricted);
        let names: BTreeSet<String> =
            fields.filter_map(|field| Some(field.ident.as_ref()?.to_string())).collect();
        self.shared.insert((self.module.clone(), item.ident.to_string()), names);
    }
}

/// Looks for writes in one file.
struct Writes<'a> {
    module: &'a Name,
    modules: &'a Modules,
    shared: &'a Shared,
    /// The type whose methods are looked at.
    itself: Option<Type>,
    /// The function that is looked at, and its arguments.
    function: String,
    arguments: BTreeMap<String, Type>,
    found: &'a mut Vec<String>,
}

impl Writes<'_> {
    fn named(&self, path: &syn::Path) -> Option<Type> {
        if path.is_ident("Self") {
            return self.itself.clone();
        }
        let names: Vec<String> =
            path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        let within = names.len().checked_sub(2).and_then(|before| names.get(before));
        // A variant of an enum is no type.
        if within.is_some_and(|name| name.starts_with(char::is_uppercase)) {
            return None;
        }
        self.modules.type_of(self.module, &names)
    }

    fn type_of(&self, r#type: &syn::Type) -> Option<Type> {
        match r#type {
            syn::Type::Reference(reference) => self.type_of(&reference.elem),
            syn::Type::Path(path) => self.named(&path.path),
            _ => None,
        }
    }

    /// Notes a write to this field of a type, unless it is the type's own file that writes.
    fn note(&mut self, of: Option<Type>, field: &syn::Member) {
        let (Some(of), syn::Member::Named(name)) = (of, field) else { return };
        let name = name.to_string();
        if of.0 != *self.module && self.shared.get(&of).is_some_and(|names| names.contains(&name)) {
            let (module, r#type) = of;
            self.found.push(format!(
                "`{}` of {} writes `{name}` of `{module}::{type}`; make the field private, and give \
                 the type a constructor or a method that says what happens",
                self.function, self.module,
            ));
        }
    }

    /// Notes a write through this place: what it begins with decides.
    fn write(&mut self, place: &syn::Expr) {
        match place {
            syn::Expr::Field(field) => match &*field.base {
                syn::Expr::Path(base) => {
                    let of = base.path.get_ident().and_then(|ident| match ident.to_string() {
                        name if name == "self" => self.itself.clone(),
                        name => self.arguments.get(&name).cloned(),
                    });
                    self.note(of, &field.member);
                }
                base => self.write(base),
            },
            syn::Expr::Index(index) => self.write(&index.expr),
            syn::Expr::Paren(inner) => self.write(&inner.expr),
            syn::Expr::Unary(inner) => self.write(&inner.expr),
            _ => {}
        }
    }

    fn take_arguments(&mut self, signature: &syn::Signature) {
        self.function = signature.ident.to_string();
        self.arguments.clear();
        for argument in &signature.inputs {
            if let syn::FnArg::Typed(typed) = argument
                && let syn::Pat::Ident(name) = &*typed.pat
                && let Some(of) = self.type_of(&typed.ty)
            {
                self.arguments.insert(name.ident.to_string(), of);
            }
        }
    }
}

impl<'ast> Visit<'ast> for Writes<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !item.attrs.iter().any(is_for_tests) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if item.attrs.iter().any(is_for_tests) {
            return;
        }
        self.itself = self.type_of(&item.self_ty);
        visit::visit_item_impl(self, item);
        self.itself = None;
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !item.attrs.iter().any(is_for_tests) {
            self.take_arguments(&item.sig);
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !item.attrs.iter().any(is_for_tests) {
            self.take_arguments(&item.sig);
            visit::visit_impl_item_fn(self, item);
        }
    }

    /// A local may hide an argument; what it is then is not known.
    fn visit_pat_ident(&mut self, pattern: &'ast syn::PatIdent) {
        self.arguments.remove(&pattern.ident.to_string());
        visit::visit_pat_ident(self, pattern);
    }

    /// The arguments were taken before.
    fn visit_signature(&mut self, _: &'ast syn::Signature) {}

    fn visit_expr_struct(&mut self, literal: &'ast syn::ExprStruct) {
        let of = self.named(&literal.path);
        for field in &literal.fields {
            self.note(of.clone(), &field.member);
        }
        visit::visit_expr_struct(self, literal);
    }

    fn visit_expr_assign(&mut self, assignment: &'ast syn::ExprAssign) {
        self.write(&assignment.left);
        visit::visit_expr_assign(self, assignment);
    }

    fn visit_expr_binary(&mut self, binary: &'ast syn::ExprBinary) {
        if is_assigning(&binary.op) {
            self.write(&binary.left);
        }
        visit::visit_expr_binary(self, binary);
    }

    fn visit_expr_reference(&mut self, reference: &'ast syn::ExprReference) {
        if reference.mutability.is_some() {
            self.write(&reference.expr);
        }
        visit::visit_expr_reference(self, reference);
    }
}

fn is_assigning(op: &syn::BinOp) -> bool {
    use syn::BinOp;
    matches!(
        op,
        BinOp::AddAssign(_)
            | BinOp::SubAssign(_)
            | BinOp::MulAssign(_)
            | BinOp::DivAssign(_)
            | BinOp::RemAssign(_)
            | BinOp::BitXorAssign(_)
            | BinOp::BitAndAssign(_)
            | BinOp::BitOrAssign(_)
            | BinOp::ShlAssign(_)
            | BinOp::ShrAssign(_)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let parse = |text| syn::parse_file(text).expect("the example is Rust");
        let files = files.iter().map(|(name, text)| ((*name).to_owned(), parse(text))).collect();
        let breaches = written_elsewhere(&files);
        breaches.iter().map(|breach| breach.split(';').next().unwrap_or("").to_owned()).collect()
    }

    const DOOR: &str = "pub struct Door { pub(super) open: bool, key: u8, pub name: u8 }
        impl Door { fn of() -> Self { let mut door = Self { open: true }; door.open = false; door } }";

    #[test]
    fn literals_assignments_and_borrows_of_shared_fields_are_found_in_other_files() {
        let other = "use super::door::Door as Gate;
            fn made() -> Gate { Gate { open: true, name: 1 } }
            fn closed(door: &mut Gate) { door.open = false; door.open |= true; look(&mut door.open) }
            impl Gate { fn shut(&mut self) { self.open = false; Self { open: true, ..x } } }";
        let found = found(&[("", "mod door; mod other;"), ("door", DOOR), ("other", other)]);
        assert_eq!(
            found,
            [
                "`made` of other writes `open` of `door::Door`",
                "`closed` of other writes `open` of `door::Door`",
                "`closed` of other writes `open` of `door::Door`",
                "`closed` of other writes `open` of `door::Door`",
                "`shut` of other writes `open` of `door::Door`",
                "`shut` of other writes `open` of `door::Door`",
            ]
        );
    }

    #[test]
    fn reads_other_types_variants_and_tests_are_left_alone() {
        let other = "use super::door::Door; struct Own { open: bool } enum E { Door { open: bool } }
            fn read(door: &Door) -> bool { let Door { open, .. } = door; door.name = 2; *open && door.open }
            fn other() { let door = Own { open: true }; E::Door { open: true }; door.open = false }
            fn hidden(door: &mut Door) { for door in own() { door.open = true } }
            #[cfg(test)] mod tests { fn f(door: &mut super::Door) { door.open = false } }";
        let files = [("", "mod door; mod other;"), ("door", DOOR), ("other", other)];
        assert_eq!(found(&files), Vec::<String>::new());
    }
}
