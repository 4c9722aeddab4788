//! `[[pool]]`, and the pools that exist only because a backend names them.

use std::sync::Arc;
use std::time::Duration;

use crate::config::raw::{Form, Item, Refusal, Section, closest};
use crate::config::{Address, Check, MinHealthy, Pool, Protocol, Sticky, TlsClient};

use super::address::Scheme;
use super::values::{DURATION, NAME, PERCENT};
use super::zone::Draft;
use super::{check, page, tls};
use crate::introduction::Version;

/// The pool of everything that names none.
const DEFAULT: &str = "default";

/// What a cookie may be called: a token (RFC 6265 4.1.1, RFC 9110 5.6.2).
const COOKIE: Form<String> = Form {
    noun: "a cookie name",
    example: "\"FIREDOOR\"",
    parse: |text| {
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if text.is_empty() || text.len() > 64 {
            return Err(Refusal::malformed("1 to 64 characters are needed"));
        }
        if !text.bytes().all(is_token) {
            return Err(Refusal::malformed(
                "only letters, digits and !#$%&'*+-.^_`|~ are possible",
            ));
        }
        Ok(text.to_owned())
    },
};

/// Browsers count in seconds.
const SECOND: Duration = Duration::from_secs(1);

/// All pools found so far, in the order in which the file first names them.
pub(super) struct Pools<'a> {
    check: Arc<Check>,
    found: Vec<Found<'a>>,
}

struct Found<'a> {
    pool: Pool,
    /// As the file has it.
    shown: String,
    min_healthy: Option<Item<'a>>,
    /// `tls`, as the file has it.
    terms: Option<Item<'a>>,
    /// For backends with `https://`. Outer `None`: not needed so far; inner: there is a problem.
    tls: Option<Option<TlsClient>>,
    /// The pool's check, for such backends, and for those with `h2c://`.
    secured: Option<Arc<Check>>,
    multiplexed: Option<Arc<Check>>,
}

impl<'a> Pools<'a> {
    /// `[[pool]]`. `check` is how backends are checked where a pool doesn't say otherwise.
    pub(super) fn read(root: &Section<'a>, check: Arc<Check>) -> Self {
        let mut pools = Self {
            check,
            found: Vec::new(),
        };
        for section in root.sections("pool").unwrap_or_default() {
            pools.define(&section);
        }
        pools
    }

    fn define(&mut self, section: &Section<'a>) {
        let sticky = sticky_of(&section.section("sticky"));
        let slow_start = section.read("slow_start", &DURATION);
        let versions = [("v1", Version::First), ("v2", Version::Second)];
        let send_proxy = section.choice("send_proxy", &versions, &[]);
        let error_pages = page::error_pages(section);
        let min_healthy = section.item("min_healthy");
        let terms = section.item("tls");
        let tls = terms
            .clone()
            .map(|terms| tls::backends(&terms.into_section()?));
        let mut check_section = section.section("check");
        let mut check = if check_section.present() {
            Arc::new(check::overlay(&mut check_section, &self.check))
        } else {
            Arc::clone(&self.check)
        };
        if send_proxy.is_some() {
            Arc::make_mut(&mut check).send_proxy = send_proxy;
        }
        let name_item = section.required("name", "add name = \"…\"");
        let Some((item, name)) =
            name_item.and_then(|item| item.read(&NAME).map(|name| (item, name)))
        else {
            return;
        };
        if self.position(&name).is_some() {
            item.refuse("the name of another pool", "names of pools must differ");
            return;
        }
        let parsed = min_healthy.as_ref().and_then(min_healthy_of);
        self.found.push(Found {
            pool: Pool {
                name: name.into(),
                min_healthy: parsed.unwrap_or(MinHealthy::Percent(100.0)),
                check,
                sticky,
                slow_start: slow_start.unwrap_or_default(),
                send_proxy,
                error_pages,
            },
            shown: item.raw().to_owned(),
            min_healthy,
            terms,
            tls,
            secured: None,
            multiplexed: None,
        });
    }

    /// The pool that a backend names (or, with `None`, doesn't name), which exists from now on.
    pub(super) fn of_backend(&mut self, item: Option<&Item<'_>>) -> Option<usize> {
        let (name, shown) = match item {
            Some(item) => (item.read(&NAME)?, item.raw()),
            None => (DEFAULT.to_owned(), DEFAULT),
        };
        if let Some(index) = self.position(&name) {
            return Some(index);
        }
        self.found.push(Found {
            pool: Pool {
                name: name.into(),
                min_healthy: MinHealthy::Percent(100.0),
                check: Arc::clone(&self.check),
                sticky: None,
                slow_start: Duration::ZERO,
                send_proxy: None,
                error_pages: Vec::new(),
            },
            shown: shown.to_owned(),
            min_healthy: None,
            terms: None,
            tls: None,
            secured: None,
            multiplexed: None,
        });
        Some(self.found.len() - 1)
    }

    /// What is spoken with the backend of `section`, which is of the pool at `index`.
    pub(super) fn protocol(
        &mut self,
        index: usize,
        section: &Section<'_>,
        scheme: Scheme,
        address: &Address,
    ) -> Protocol {
        let found = &mut self.found[index];
        match scheme {
            Scheme::Http => return Protocol::Http,
            Scheme::H2c => return Protocol::H2c,
            Scheme::Https => {}
        }
        let client = found.tls.get_or_insert_with(|| tls::system(section));
        // After a problem nobody gets to see what stands in here.
        let Some(client) = client else {
            return Protocol::Http;
        };
        let name = client.terms().server_name.clone();
        let Some(name) = name.or_else(|| address.server_name()) else {
            section.report(
                "no certificate can be for this host",
                "say in the pool whom it is for: tls = { server_name = \"app.example\" }",
            );
            return Protocol::Http;
        };
        Protocol::Https(client.clone(), name)
    }

    /// How a backend is checked that is spoken to in `protocol`; `None`: as its pool says.
    pub(super) fn check(&mut self, index: usize, protocol: &Protocol) -> Option<Arc<Check>> {
        let found = &mut self.found[index];
        let (known, protocol) = match protocol {
            Protocol::Http => return None,
            Protocol::H2c => (&mut found.multiplexed, protocol),
            Protocol::Https(..) => (&mut found.secured, protocol),
        };
        let check = || Arc::new(found.pool.check.over(protocol));
        Some(Arc::clone(known.get_or_insert_with(check)))
    }

    /// Whether connections to backends of `pool` are each in the name of a client.
    pub(super) fn send_proxy(&self, pool: usize) -> bool {
        self.found[pool].pool.send_proxy.is_some()
    }

    /// The pool that a route names. It must exist by now: a route alone has no backends to send to.
    pub(super) fn of_route(&self, item: &Item<'_>) -> Option<usize> {
        let name = item.read(&NAME)?;
        let index = self.position(&name);
        if index.is_none() {
            let names = || self.found.iter().map(|found| &*found.shown);
            let hint = match closest(&name, names()) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("pools here: {}", names().collect::<Vec<_>>().join(", ")),
            };
            item.refuse("not a pool of any backend", &hint);
        }
        index
    }

    /// Whether backends belong to pools, but none to the one that gets everything when there are no routes.
    pub(super) fn default_missing(&self) -> bool {
        !self.found.is_empty() && self.position(DEFAULT).is_none()
    }

    /// Compares what each pool demands with the backends that each zone has of it.
    pub(super) fn compare(&self, drafts: &[Draft<'_>]) {
        for (index, found) in self.found.iter().enumerate() {
            let mut backends = drafts.iter().flat_map(|draft| &draft.zone.backends);
            if let (Some(terms), Some(Some(_))) = (&found.terms, &found.tls)
                && !backends.any(|b| {
                    b.pool == index
                        && (b.protocol.tls().is_some() || b.address == Address::unknown())
                })
            {
                terms.report(
                    "tls does nothing: no backend of this pool is spoken to over TLS",
                    "write their addresses with a scheme: \"https://10.1.0.11:8443\"",
                );
            }
            for draft in drafts.iter().filter(|draft| draft.complete) {
                let backends = &draft.zone.backends;
                match backends
                    .iter()
                    .filter(|backend| backend.pool == index)
                    .count()
                {
                    0 => found.report_absence(draft),
                    has => found.report_shortage(draft, has),
                }
            }
        }
    }

    /// All of them, in the order of their indices.
    pub(super) fn into_vec(self) -> Vec<Pool> {
        self.found.into_iter().map(|found| found.pool).collect()
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.found
            .iter()
            .position(|found| &*found.pool.name == name)
    }
}

impl Found<'_> {
    fn report_absence(&self, draft: &Draft<'_>) {
        draft.section.miss(
            "backend",
            &format!("{} has no backend of pool {:?}", draft.label, self.shown),
            &format!(
                "each zone must be able to take over: add a backend with pool = {:?}",
                self.shown
            ),
        );
    }

    fn report_shortage(&self, draft: &Draft<'_>, has: usize) {
        if let (Some(item), MinHealthy::Count(demanded)) =
            (&self.min_healthy, self.pool.min_healthy)
            && demanded > has
        {
            item.refuse(
                &format!("more backends of this pool than {} has", draft.label),
                &format!("{has} at most, or \"100%\" for all of them"),
            );
        }
    }
}

fn min_healthy_of(item: &Item<'_>) -> Option<MinHealthy> {
    let (demanded, nothing) = if item.is_number() {
        let count = item.number(0..=1_000_000)?;
        (MinHealthy::Count(count), count == 0)
    } else {
        let percent = item.read(&PERCENT)?;
        (MinHealthy::Percent(percent), percent == 0.0)
    };
    if nothing {
        item.refuse(
            "no minimum: a zone would count as serving with none of these backends up",
            "at least one is needed: 1, or a percentage, which is rounded up",
        );
    }
    Some(demanded)
}

/// `sticky = { … }`; `None` if there is none.
fn sticky_of(section: &Section<'_>) -> Option<Sticky> {
    if !section.present() {
        return None;
    }
    let ttl = section.read_within("ttl", &DURATION, SECOND..=Duration::MAX, "a second or more");
    let cookie = section.required("cookie", "add cookie = \"FIREDOOR\"")?;
    Some(Sticky {
        cookie: cookie.read(&COOKIE)?.into(),
        ttl,
    })
}
