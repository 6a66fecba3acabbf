//! The JSON Schema of `cairn.toml` (draft 7, which editors know), made of the types that read it.
//!
//! In: the types and their documentation. Out: a schema in which every key is described.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::recipe::Recipe;

/// The schema of a recipe.
pub fn schema() -> Value {
    let generator = SchemaSettings::draft07().for_deserialize().into_generator();
    let mut schema = generator.into_root_schema_for::<Recipe>().to_value();
    join_lines(&mut schema);
    schema
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
