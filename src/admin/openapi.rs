//! `/v1/openapi.json`: the whole admin API as OpenAPI 3.1, for generators, other programs and the test that holds the API to it.
//!
//! One file a noun beside this one, each with its paths and schemas; here they become one document.

use std::sync::LazyLock;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use serde_json::{Map, Value};

use super::api::typed;
use super::problem::Problem;

const ROOT: &str = include_str!("openapi/document.json");
const NOUNS: [&str; 13] = [
    include_str!("openapi/components.json"),
    include_str!("openapi/demo.json"),
    include_str!("openapi/drill.json"),
    include_str!("openapi/events.json"),
    include_str!("openapi/flips.json"),
    include_str!("openapi/health.json"),
    include_str!("openapi/journal.json"),
    include_str!("openapi/metrics.json"),
    include_str!("openapi/page.json"),
    include_str!("openapi/plan.json"),
    include_str!("openapi/reload.json"),
    include_str!("openapi/status.json"),
    include_str!("openapi/traffic.json"),
];

static DOCUMENT: LazyLock<Result<Bytes, serde_json::Error>> = LazyLock::new(|| {
    let document = document()?;
    Ok(format!("{document}\n").into())
});

/// The answer to `/v1/openapi.json`.
pub(super) fn openapi() -> Result<Response<Full<Bytes>>, Problem> {
    match &*DOCUMENT {
        Ok(document) => Ok(typed(StatusCode::OK, "application/json", document.clone())),
        Err(error) => Err(Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("the document can't be put together: {error}"),
        )),
    }
}

fn document() -> Result<Value, serde_json::Error> {
    let mut document: Value = serde_json::from_str(ROOT)?;
    document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    for noun in NOUNS {
        let mut noun: Value = serde_json::from_str(noun)?;
        add(&mut document["paths"], noun["paths"].take());
        let schemas = noun["components"]["schemas"].take();
        add(&mut document["components"]["schemas"], schemas);
    }
    Ok(document)
}

fn add(to: &mut Value, what: Value) {
    if let (Value::Object(to), Value::Object(what)) = (to, what) {
        let to: &mut Map<String, Value> = to;
        to.extend(what);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use http::Method;

    use super::super::endpoint::{Endpoint, INDEX};
    use super::*;

    #[test]
    fn every_endpoint_is_in_the_document_with_its_methods_and_no_other_is() {
        let document = document().unwrap();
        let paths = document["paths"].as_object().unwrap();
        for (path, operations) in paths {
            let path = path.replace("{name}", "main.js").replace(['{', '}'], "");
            let endpoint = Endpoint::find(&path).unwrap_or_else(|| panic!("{path}"));
            let told: BTreeSet<String> = operations.as_object().unwrap().keys().cloned().collect();
            let methods = endpoint.methods().iter();
            let methods = methods.filter(|method| **method != Method::HEAD);
            let taken = methods
                .map(|method| method.as_str().to_lowercase())
                .collect();
            assert_eq!(told, taken, "{path}");
            for operation in operations.as_object().unwrap().values() {
                let open = operation["security"].is_array();
                assert_eq!(open, !endpoint.needs_token(), "{path}");
            }
        }
        // The list for people is made by hand, too.
        let listed = INDEX.lines().filter_map(|line| {
            let (_, rest) = line.split_once(" /")?;
            let path = rest.split([' ', '?', ';']).next()?;
            Some(format!("/{path}"))
        });
        let listed: Vec<String> = listed
            .filter(|path| path != "/hang," && path != "/heal")
            .collect();
        assert!(listed.len() > 15, "{listed:?}");
        for path in &listed {
            assert!(paths.contains_key(path), "{path}");
        }
    }

    #[test]
    fn every_reference_leads_somewhere_and_everything_is_referred_to() {
        let document = document().unwrap();
        let mut references = BTreeSet::new();
        collect(&document, &mut references);
        assert!(references.len() > 40);
        for reference in &references {
            let place = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(place).is_some(), "{reference}");
        }
        for kind in ["schemas", "responses", "parameters", "headers"] {
            for name in document["components"][kind].as_object().unwrap().keys() {
                let reference = format!("#/components/{kind}/{name}");
                assert!(references.contains(&reference), "{reference} is unused");
            }
        }
    }

    fn collect(value: &Value, references: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                references.extend(
                    members
                        .get("$ref")
                        .and_then(Value::as_str)
                        .map(str::to_owned),
                );
                members
                    .values()
                    .for_each(|value| collect(value, references));
            }
            Value::Array(items) => items.iter().for_each(|value| collect(value, references)),
            _ => {}
        }
    }
}
