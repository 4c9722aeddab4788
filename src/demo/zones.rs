//! The demo's two zones: two app servers and a database each.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;

use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tracing::error;

use super::app::App;
use super::component::Component;
use super::control;
use super::database::Database;
use super::guide::Guide;
use super::stage::Stage;

const NAMES: [&str; 2] = ["fz-1", "fz-2"];

/// All components, bound.
pub(super) struct Zones(Vec<Zone>);

struct Zone {
    name: &'static str,
    apps: Vec<Arc<Component>>,
    database: Arc<Component>,
}

impl Zones {
    pub(super) fn bind() -> io::Result<Self> {
        let bind = |zone: &str, name: &str| Component::bind(format!("{zone}:{name}"));
        NAMES
            .into_iter()
            .map(|name| {
                Ok(Zone {
                    name,
                    apps: vec![bind(name, "app-1")?, bind(name, "app-2")?],
                    database: bind(name, "database")?,
                })
            })
            .collect::<io::Result<_>>()
            .map(Self)
    }

    /// The `[[zone]]` tables.
    pub(super) fn configuration(&self) -> String {
        self.0.iter().map(Zone::configuration).collect()
    }

    /// All components, to break and heal.
    pub(super) fn stage(&self) -> Stage {
        let all = |zone: &Zone| {
            let apps = zone.apps.iter();
            apps.chain([&zone.database]).cloned().collect::<Vec<_>>()
        };
        Stage::new(self.0.iter().flat_map(all))
    }

    /// Starts everything on a thread of its own, until the guard is dropped. Returns once the components listen: firedoor's
    /// first probes would otherwise find nobody.
    pub(super) fn start(
        self,
        control: TcpListener,
        stage: Stage,
        guide: Guide,
    ) -> io::Result<Running> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (started, starting) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("demo".into())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = self.run(control, stage, guide, started) => {}
                        _ = stopped => {}
                    }
                });
            })?;
        starting
            .recv()
            .map_err(|_| io::Error::other("the demo's thread ended"))?;
        Ok(Running {
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    async fn run(
        self,
        control: TcpListener,
        stage: Stage,
        guide: Guide,
        started: mpsc::Sender<()>,
    ) {
        let mut parts = JoinSet::new();
        for zone in self.0 {
            zone.start(&mut parts);
        }
        parts.spawn(control::serve(control, stage));
        parts.spawn(guide.show());
        // Every part has been polled once, so every listener is there.
        tokio::task::yield_now().await;
        started.send(()).ok();
        while let Some(ended) = parts.join_next().await {
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(problem)) => error!("a part of the demo ended: {problem}"),
                Err(panic) => error!("a part of the demo ended: {panic}"),
            }
        }
    }
}

/// The zones' thread; ends when this is dropped.
pub(super) struct Running {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!("the demo's zones ended badly");
        }
    }
}

impl Zone {
    fn configuration(&self) -> String {
        let backends: String = self
            .apps
            .iter()
            .map(|app| {
                format!(
                    "\n[[zone.backend]]\nname = \"{}\"\naddress = \"{}\"\n",
                    short(app),
                    app.address
                )
            })
            .collect();
        format!(
            "\n[[zone]]\nname = \"{}\"\n{backends}\
             \n[[zone.dependency]]\nname = \"{}\"\ncheck = {{ kind = \"tcp\", address = \"{}\" }}\n",
            self.name,
            short(&self.database),
            self.database.address
        )
    }

    fn start(self, parts: &mut JoinSet<io::Result<()>>) {
        for component in self.apps {
            let app = Arc::new(App::new(Arc::clone(&component), Arc::clone(&self.database)));
            parts.spawn(component.run(move |stream| Arc::clone(&app).serve(stream)));
        }
        let (component, database) = (self.database, Arc::new(Database::default()));
        let of = Arc::clone(&component);
        parts.spawn(
            component.run(move |stream| Arc::clone(&database).serve(Arc::clone(&of), stream)),
        );
    }
}

/// A component's name within its zone.
fn short(component: &Component) -> &str {
    component
        .name
        .split_once(':')
        .map_or(&component.name, |(_, name)| name)
}
