//! The JSON Schema of `cairn.toml` (draft 7, which editors know), made of the types that read it.
//!
//! In: the types and their documentation. Out: a schema in which every key is described.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::recipe::Recipe;

/// The schema of a recipe.
pub fn schema() -> Value {
    let generator = SchemaSettings::draft07().for_deserialize().into_generator();
    let mut schema = generator.into_root_schema_for::<Recipe>().to_value();
    join_lines(&mut schema);
    describe_verbs(&mut schema);
    schema
}

/// A verb's description stands at the table that holds it; editors show the one at the key.
fn describe_verbs(schema: &mut Value) {
    let verbs = schema.pointer_mut("/definitions/Verb/oneOf");
    for table in verbs.and_then(Value::as_array_mut).into_iter().flatten() {
        let description = table["description"].take();
        let verbs = table["properties"].as_object_mut();
        for (_, verb) in verbs.into_iter().flatten() {
            *verb = json!({ "allOf": [verb.take()], "description": description });
        }
        if let Some(members) = table.as_object_mut() {
            members.remove("description");
        }
    }
}

/// Documentation is wrapped for the source; editors wrap it themselves.
fn join_lines(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if name == "description" => {
                        *text = text
                            .replace("\n\n", "\0")
                            .replace('\n', " ")
                            .replace('\0', "\n\n");
                    }
                    other => join_lines(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(join_lines),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canon::Source;
    use crate::frontend::Options;
    use crate::frontend::toml::{LARGEST, plan};

    /// What of draft 7 the schema uses: whether `value` is valid, and if not, why.
    fn check(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
        let Value::Object(members) = schema else {
            panic!("a schema is an object: {schema}");
        };
        for (keyword, rule) in members {
            let fail = || Err(format!("{keyword} {rule} forbids {value}"));
            let alternatives = || {
                let rules = rule.as_array().unwrap().iter();
                rules
                    .filter(|rule| check(root, rule, value).is_ok())
                    .count()
            };
            match keyword.as_str() {
                "$schema" | "title" | "description" | "definitions" | "format" => {}
                "$ref" => {
                    let pointer = rule.as_str().unwrap().trim_start_matches('#');
                    check(root, root.pointer(pointer).unwrap(), value)?;
                }
                "allOf" => {
                    for rule in rule.as_array().unwrap() {
                        check(root, rule, value)?;
                    }
                }
                "anyOf" if alternatives() == 0 => return fail(),
                "oneOf" if alternatives() != 1 => return fail(),
                "anyOf" | "oneOf" => {}
                "type" => {
                    let is_type = match rule.as_str().unwrap() {
                        "object" => value.is_object(),
                        "array" => value.is_array(),
                        "string" => value.is_string(),
                        "boolean" => value.is_boolean(),
                        "integer" => value.is_i64(),
                        other => panic!("type {other}"),
                    };
                    if !is_type {
                        return fail();
                    }
                }
                "required" => {
                    let mut names = rule.as_array().unwrap().iter();
                    if !names.all(|name| value.get(name.as_str().unwrap()).is_some()) {
                        return fail();
                    }
                }
                "properties" | "additionalProperties" => {
                    let empty = json!({});
                    let known = members.get("properties").unwrap_or(&empty);
                    for (name, member) in value.as_object().into_iter().flatten() {
                        match (known.get(name), rule) {
                            (Some(rule), _) if keyword == "properties" => {
                                check(root, rule, member)?
                            }
                            (None, Value::Bool(false)) => return fail(),
                            (None, Value::Object(_)) if keyword != "properties" => {
                                check(root, rule, member)?;
                            }
                            _ => {}
                        }
                    }
                }
                "items" => {
                    for item in value.as_array().into_iter().flatten() {
                        check(root, rule, item)?;
                    }
                }
                "minItems" => {
                    let len = value.as_array().map(|items| items.len() as u64);
                    if len.is_some_and(|len| Some(len) < rule.as_u64()) {
                        return fail();
                    }
                }
                "minimum" if value.as_i64() < rule.as_i64() => return fail(),
                "maximum" if value.as_i64() > rule.as_i64() => return fail(),
                "minLength" if value == "" => return fail(),
                "minimum" | "maximum" | "minLength" | "pattern" => {}
                other => panic!("the schema uses `{other}`, which this test doesn't know"),
            }
        }
        Ok(())
    }

    fn validate(text: &str) -> Result<(), String> {
        let value: toml::Value = toml::from_str(text).unwrap();
        let schema = schema();
        check(&schema, &schema, &serde_json::to_value(value).unwrap())
    }

    fn problems(text: &str) -> Vec<String> {
        let source = Source::new("cairn.toml", text.into(), LARGEST).unwrap();
        let problems = plan(&source, &Options::new("amd64".parse().unwrap()));
        let problems = problems.err().unwrap_or_default();
        problems
            .into_iter()
            .map(|problem| problem.message)
            .collect()
    }

    fn recipes() -> Vec<String> {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
        let mut names = vec!["quickstart".to_owned()];
        #[expect(
            clippy::disallowed_methods,
            reason = "the order of tests doesn't matter"
        )]
        for entry in std::fs::read_dir(root.join("recipes")).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                names.push(format!("recipes/{}", entry.file_name().to_str().unwrap()));
            }
        }
        let read = |name: String| std::fs::read_to_string(root.join(name).join("cairn.toml"));
        names.into_iter().map(|name| read(name).unwrap()).collect()
    }

    #[test]
    fn every_key_is_described() {
        fn walk(path: &str, schema: &Value, count: &mut usize) {
            for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                let text = property["description"].as_str().unwrap_or_default();
                assert!(
                    text.ends_with('.') && !text.contains('\n'),
                    "{path}.{name}: {text}"
                );
                *count += 1;
            }
            let inner = schema["oneOf"].as_array().into_iter().flatten();
            for (index, member) in inner.enumerate() {
                walk(&format!("{path}[{index}]"), member, count);
            }
            for (name, definition) in schema["definitions"].as_object().into_iter().flatten() {
                walk(name, definition, count);
            }
        }
        let mut count = 0;
        walk("recipe", &schema(), &mut count);
        assert!(count > 70, "{count} keys were looked at");
    }

    #[test]
    fn recipes_of_the_tests_are_valid_and_have_plans() {
        let recipes = recipes();
        assert!(recipes.len() > 15);
        for text in recipes {
            assert_eq!(validate(&text), Ok(()), "{text}");
            assert_eq!(problems(&text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn unknown_keys_are_forbidden_by_the_schema_too() {
        let from = "from = \"scratch\"\n";
        let verbs = [
            "copy = { paths = [\"a\"], to = \"/\"",
            "copy = { paths = [\"a\"], to = \"/\", from = { stage = \"s\", zzz = 1 }",
            "file = { path = \"/a\", content = \"\"",
            "directory = { path = \"/a\"",
            "symlink = { path = \"/a\", target = \"b\"",
            "remove = { paths = [\"/a\"]",
            "unpack = { paths = [\"a\"], to = \"/\"",
            "http = { url = \"https://a/b\", sha256 = \"\", to = \"/\"",
            "git = { url = \"https://a/b\", commit = \"\", to = \"/\"",
        ];
        let stage = format!("{from}[stages.s]\n{from}");
        let mut texts: Vec<_> = verbs
            .iter()
            .map(|verb| format!("{from}[[steps]]\n{verb}, zzz = 1 }}\n[stages.s]\n{from}"))
            .collect();
        texts.extend([
            format!("zzz = 1\n{from}"),
            format!("{stage}zzz = 1"),
            format!("{from}[config]\nzzz = 1"),
            format!("{stage}[stages.s.config]\nzzz = 1"),
            format!("{from}[config.healthcheck]\ntest = [\"CMD\", \"a\"]\nzzz = 1"),
            "from = { image = \"a\", zzz = 1 }".to_owned(),
            format!("{from}[[steps]]\nzzz = 1"),
        ]);
        for text in texts {
            let said = problems(&text);
            let is_unknown = |message: &String| message.ends_with(" `zzz`");
            assert!(said.iter().any(is_unknown), "{said:?} of {text}");
            assert!(validate(&text).is_err(), "{text}");
            let without = text.replace(", zzz = 1", "").replace("zzz = 1", "");
            let is_step = text.ends_with("[[steps]]\nzzz = 1");
            assert_eq!(validate(&without).is_ok(), !is_step, "{without}");
        }
    }

    #[test]
    fn wrong_types_are_forbidden_by_the_schema_too() {
        for text in [
            "from = 1",
            "from = {}",
            "from = { image = \"a\", stage = \"b\" }",
            "format = 2\nfrom = \"scratch\"",
            "from = \"scratch\"\nsteps = {}",
            "from = \"scratch\"\nconfig.env.A = 1",
            "from = \"scratch\"\nconfig.cmd = []",
            "from = \"scratch\"\nconfig.cmd = \"a\"",
            "from = \"scratch\"\nplatforms = []",
            "from = \"scratch\"\n[[steps]]\ncopy = { paths = [\"a\"], to = \"/\" }\nremove = { paths = [\"/a\"] }",
            "steps = []",
        ] {
            assert!(!problems(text).is_empty(), "{text}");
            assert!(validate(text).is_err(), "{text}");
        }
    }
}
