//! Which modules a script imports, so that a page can have the browser load all of them at once. Without that, the
//! browser would find the imports of a module only after it has received that module.

use std::collections::{BTreeMap, BTreeSet};

/// The names of the modules that each script imports itself.
pub struct ModuleImports(BTreeMap<String, BTreeSet<String>>);

impl ModuleImports {
    /// Reads the scripts among these files.
    pub fn read<'f>(files: impl Iterator<Item = (&'f str, &'f [u8])>) -> Self {
        let scripts = files.filter(|(name, _)| name.ends_with(".js"));
        let imports = scripts.map(|(name, script)| {
            (name.to_owned(), static_imports(&String::from_utf8_lossy(script)).map(str::to_owned).collect())
        });
        Self(imports.collect())
    }

    /// All modules that a script imports, itself or through other modules, in alphabetical order.
    pub fn all<'s>(&'s self, script: &'s str) -> BTreeSet<&'s str> {
        let mut all = BTreeSet::new();
        let mut next = vec![script];
        while let Some(name) = next.pop() {
            let imports = self.0.get(name).into_iter().flatten();
            next.extend(imports.map(String::as_str).filter(|name| all.insert(*name)));
        }
        all
    }
}

/// The files `NAME` in a script's imports from `"./NAME"`. `import("./NAME")` is loaded later, and so is not one.
fn static_imports(script: &str) -> impl Iterator<Item = &str> {
    script.match_indices("\"./").filter_map(|(at, quote)| {
        let before = script.get(..at)?.trim_end();
        let name = script.get(at + quote.len()..)?.split('"').next()?;
        (before.ends_with("from") || before.ends_with("import")).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_imports_of_imports_are_found_once_each() {
        let files = [
            (
                "app.js",
                "import { a } from \"./a.js\";\nimport {\n  b,\n} from \"./b.js\";\nimport \"./c.js\";",
            ),
            ("a.js", "import { b } from \"./b.js\";\nnew Worker(new URL(\"./worker.js\", import.meta.url));"),
            (
                "b.js",
                "import { a } from \"./a.js\";\nexport * from \"./d.js\";\nawait import(\"./late.js\");",
            ),
            ("c.js", ""),
            ("notes.txt", "import \"./x.js\""),
        ];
        let imports = ModuleImports::read(files.into_iter().map(|(name, text)| (name, text.as_bytes())));
        assert_eq!(imports.all("app.js"), BTreeSet::from(["a.js", "b.js", "c.js", "d.js"]));
        assert_eq!(imports.all("c.js"), BTreeSet::new());
        assert_eq!(imports.all("none.js"), BTreeSet::new());
    }
}
