//! `[[zone]]`, `[[zone.backend]]`, `[[zone.dependency]]`: the zones and their components.

use std::num::NonZeroU32;
use std::sync::Arc;

use crate::config::raw::{Item, Section};
use crate::config::{Address, Backend, Check, CheckKind, Dependency, Zone};
use crate::zone::ComponentKey;

use super::address::{ADDRESS, BACKEND, Scheme};
use super::check;
use super::pool::Pools;
use super::values::{COMPONENT_NAME, NAME};

/// A zone while it is compared with the others.
pub(super) struct Draft<'a> {
    pub(super) section: Section<'a>,
    /// What to call it in a message.
    pub(super) label: String,
    pub(super) zone: Zone,
    /// Whether the pool of each of its backends is known.
    pub(super) complete: bool,
}

/// `[[zone]]`. Pools that backends name come to be in `pools`; `check` gives dependencies their timing.
pub(super) fn zones<'a>(root: &Section<'a>, pools: &mut Pools<'a>, check: &Check) -> Vec<Zone> {
    let Some(sections) = root.sections("zone") else {
        return Vec::new();
    };
    if sections.is_empty() {
        root.miss(
            "zone",
            "there is no zone",
            "add [[zone]] with name = \"fz-1\" and backend = [{ address = \"127.0.0.1:9001\" }]",
        );
    }
    let mut drafts: Vec<Draft<'a>> = Vec::new();
    for section in sections {
        let item = section.required("name", "add name = \"fz-1\"");
        let name = item.as_ref().and_then(|item| item.read(&NAME));
        let taken = |name: &String| drafts.iter().any(|draft| *draft.zone.name == **name);
        if let (Some(item), true) = (&item, name.as_ref().is_some_and(taken)) {
            item.refuse("the name of another zone", "names of zones must differ");
        }
        let label = match &item {
            Some(item) => format!("zone {:?}", item.raw()),
            None => section.key().to_owned(),
        };
        drafts.push(draft(
            section,
            label,
            name.unwrap_or_default().into(),
            pools,
            check,
        ));
    }
    pools.compare(&drafts);
    drafts.into_iter().map(|draft| draft.zone).collect()
}

fn draft<'a>(
    section: Section<'a>,
    label: String,
    name: Arc<str>,
    pools: &mut Pools<'_>,
    check: &Check,
) -> Draft<'a> {
    let mut names = Names {
        zone: Arc::clone(&name),
        taken: Vec::new(),
    };
    let backend_sections = section.sections("backend");
    if backend_sections.as_ref().is_some_and(Vec::is_empty) {
        section.miss(
            "backend",
            "the zone has no backends",
            "add backend = [{ address = \"127.0.0.1:9001\" }]",
        );
    }
    let backend_sections = backend_sections.unwrap_or_default();
    let backends: Vec<Backend> = backend_sections
        .iter()
        .filter_map(|section| backend(section, &mut names, pools))
        .collect();
    let dependencies = section
        .sections("dependency")
        .unwrap_or_default()
        .iter()
        .filter_map(|section| dependency(section, &mut names, check))
        .collect();
    Draft {
        complete: !backends.is_empty() && backends.len() == backend_sections.len(),
        zone: Zone {
            name,
            backends,
            dependencies,
        },
        label,
        section,
    }
}

/// `None` only if its pool is unknown. Other problems don't make it count less towards what its pool demands.
fn backend(section: &Section<'_>, names: &mut Names, pools: &mut Pools<'_>) -> Option<Backend> {
    let weight = section.number("weight", 1..=1000);
    let max_in_flight = section.number::<u32>("max_in_flight", 0..=i64::from(u32::MAX));
    let address_item = section.required("address", "add address = \"127.0.0.1:9001\"");
    let found = address_item.as_ref().and_then(|item| item.read(&BACKEND));
    let (scheme, address) = found.unzip();
    let key = names.key(section, address.as_ref().zip(address_item.as_ref()));
    let pool = pools.of_backend(section.item("pool").as_ref())?;
    let address = address.unwrap_or_else(Address::unknown);
    let protocol = pools.protocol(pool, section, scheme.unwrap_or(Scheme::Http), &address);
    if let (true, Some(item)) = (protocol.may_share() && pools.send_proxy(pool), address_item) {
        item.report(
            "send_proxy needs a connection for each client, and in HTTP/2 they share one",
            "leave h2 out of the pool's alpn, write no h2c://, or do without send_proxy",
        );
    }
    Some(Backend {
        key,
        pool,
        check: pools.check(pool, &protocol),
        protocol,
        address,
        weight: weight.unwrap_or(1),
        max_in_flight: max_in_flight.and_then(NonZeroU32::new),
    })
}

fn dependency(section: &Section<'_>, names: &mut Names, base: &Check) -> Option<Dependency> {
    // Only the timing is inherited: what is asked of a backend makes no sense for a database.
    let base = Check {
        kind: CheckKind::Tcp,
        ..base.clone()
    };
    let required = section.boolean("required").unwrap_or(true);
    let mut check_section = section.section("check");
    if !check_section.present() {
        section.miss(
            "check",
            "check is missing",
            "add check = { kind = \"tcp\", address = \"127.0.0.1:5432\" }",
        );
        names.key(section, None);
        return None;
    }
    let kind = check_section.required("kind", "add kind = \"tcp\" or kind = \"http\"");
    let address_item = check_section.required("address", "add address = \"127.0.0.1:5432\"");
    let address = address_item.as_ref().and_then(|item| item.read(&ADDRESS));
    let key = names.key(section, address.as_ref().zip(address_item.as_ref()));
    let check = check::overlay(&mut check_section, &base);
    kind?;
    Some(Dependency {
        key,
        address: address?,
        required,
        check: Arc::new(check),
    })
}

/// The names of a zone's components: backends and dependencies share one name space.
struct Names {
    zone: Arc<str>,
    taken: Vec<String>,
}

impl Names {
    /// The key of the component of `section`, whose name defaults to its address.
    fn key(
        &mut self,
        section: &Section<'_>,
        address: Option<(&Address, &Item<'_>)>,
    ) -> ComponentKey {
        let named = section.item("name");
        let name = match (&named, address) {
            (Some(item), _) => item.read(&COMPONENT_NAME).map(|name| (name, item)),
            (None, address) => address.map(|(address, item)| (address.to_string(), item)),
        };
        if let Some((name, item)) = &name
            && self.taken.contains(name)
        {
            let hint = match named {
                Some(_) => "names of components must differ within a zone",
                None => "give it a name of its own: name = \"…\"",
            };
            item.refuse("the name of another component of this zone", hint);
        }
        let name = name.map(|(name, _)| name);
        self.taken.extend(name.clone());
        ComponentKey {
            zone: Arc::clone(&self.zone),
            name: name.unwrap_or_default().into(),
        }
    }
}
