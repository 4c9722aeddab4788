//! What `top` shows and what it is about to do. Pure: keys, news, answers and the time come in, what has to be done goes out.

use std::time::Instant;

use serde_json::Value;

use super::dialog::{About, Dialog, Stage, Step};
use super::errand::{Answer, Errand, Supposition};
use super::key::Press;
use super::link::News;
use super::order::Order;
use super::picture::{Picture, list};

/// See the module's promise.
#[derive(Debug)]
pub(super) struct State {
    /// Where firedoor is.
    pub(super) address: String,
    pub(super) picture: Picture,
    pub(super) cursor: Cursor,
    pub(super) panel: Panel,
    /// A word about the last key or order, until the next key.
    pub(super) notice: Option<String>,
    /// An order that was given and isn't done yet.
    pub(super) busy: bool,
}

/// What lies over the picture.
#[derive(Debug)]
pub(super) enum Panel {
    Nothing,
    Help,
    /// Of the selected component or zone.
    Detail,
    Dialog(Dialog),
}

/// What is selected: a zone, or one of its components.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) zone: usize,
    pub(super) component: Option<usize>,
}

/// What has to be done.
#[derive(Debug, PartialEq)]
pub(super) enum Effect {
    Quit,
    /// Replaces the errand under way, if there is one.
    Run(Errand),
}

impl State {
    pub(super) fn new(address: String, journal: Vec<Value>) -> Self {
        let mut picture = Picture::default();
        for entry in journal {
            picture.enter(entry);
        }
        Self {
            address,
            picture,
            cursor: Cursor::default(),
            panel: Panel::Nothing,
            notice: None,
            busy: false,
        }
    }

    pub(super) fn hear(&mut self, news: News, now: Instant) {
        self.picture.hear(news, now);
        // A reload may have taken away what was selected.
        self.cursor = self.bounded(self.cursor);
    }

    pub(super) fn answered(&mut self, answer: Answer, now: Instant) {
        match answer {
            Answer::Looked(looked) => {
                if let Ok(sight) = &looked {
                    self.picture.see(sight.status.clone(), now);
                }
                if let Panel::Dialog(dialog) = &mut self.panel {
                    dialog.looked(looked);
                }
            }
            Answer::Ordered(done) => {
                self.busy = false;
                match &mut self.panel {
                    Panel::Dialog(dialog) if dialog.stage == Stage::UnderWay => {
                        dialog.ordered(done)
                    }
                    _ => {
                        self.notice = Some(match done {
                            Ok(said) => format!("Done: {said}"),
                            Err(why) => format!("Not done: {why}"),
                        });
                    }
                }
            }
        }
    }

    pub(super) fn press(&mut self, press: Press) -> Option<Effect> {
        self.notice = None;
        match &mut self.panel {
            Panel::Dialog(dialog) => {
                let step = dialog.press(press, &self.picture.status);
                match step {
                    Step::Stay => None,
                    Step::Close => {
                        if self.busy {
                            self.notice = Some(
                                "The order is under way; its result will stand here.".to_owned(),
                            );
                        }
                        self.panel = Panel::Nothing;
                        None
                    }
                    Step::Run(errand) => {
                        self.busy = matches!(errand, Errand::Order { .. });
                        Some(Effect::Run(errand))
                    }
                }
            }
            Panel::Help | Panel::Detail if closes(press) => {
                self.panel = Panel::Nothing;
                None
            }
            Panel::Help => None,
            Panel::Nothing | Panel::Detail => self.command(press),
        }
    }

    /// Text from the clipboard: it can be a reason, and never a key that gives an order.
    pub(super) fn paste(&mut self, text: &str) {
        if let Panel::Dialog(dialog) = &mut self.panel {
            dialog.paste(text);
        }
    }

    fn command(&mut self, press: Press) -> Option<Effect> {
        match press {
            Press::Interrupt | Press::Character('q') => return Some(Effect::Quit),
            Press::Up | Press::Character('k') => self.step(false),
            Press::Down | Press::Character('j') => self.step(true),
            Press::Left | Press::Character('h') => self.leap(false),
            Press::Right | Press::Character('l') => self.leap(true),
            Press::Character('?') => self.panel = Panel::Help,
            Press::Enter => self.panel = Panel::Detail,
            Press::Character('x') => return self.suppose(),
            Press::Character(character) => {
                let order = self.order(character)?;
                return self.open(About::Order(order));
            }
            _ => {}
        }
        None
    }

    /// The order that a key stands for, of what is selected.
    fn order(&mut self, key: char) -> Option<Order> {
        let zone = self.zone()?["name"].as_str()?.to_owned();
        Some(match key {
            'a' => Order::Activate { zone },
            'f' => {
                let preferred = self.picture.zones().first()?;
                let to = preferred["name"].as_str()?.to_owned();
                Order::Failback { to }
            }
            'R' => Order::Reload,
            'D' if self.picture.status["drill"].is_object() => Order::EndDrill,
            'D' => {
                let how = format!("To begin one: firedoor drill --zone {zone} --for 10m");
                self.notice = Some(how);
                return None;
            }
            'p' => match self.picture.status["pinned"].as_str() {
                Some(pinned) => Order::Unpin {
                    zone: pinned.to_owned(),
                },
                None => Order::Pin { zone },
            },
            'd' | 'm' | 'r' => {
                let Some(component) = self.component() else {
                    self.notice = Some("Select a component first, with the arrow keys.".to_owned());
                    return None;
                };
                Order::Put {
                    zone,
                    name: component["name"].as_str()?.to_owned(),
                    state: match key {
                        'd' => "drain",
                        'm' => "maintenance",
                        _ => "ready",
                    },
                }
            }
            _ => return None,
        })
    }

    /// What if the selected component fails, or comes up again where it has failed?
    fn suppose(&mut self) -> Option<Effect> {
        let zone = self.zone()?;
        let name = zone["name"].as_str()?;
        let (name, is_down) = match self.component() {
            Some(component) => (
                format!("{name}:{}", component["name"].as_str()?),
                component["status"] == "down",
            ),
            None => (name.to_owned(), zone["verdict"] == "failed"),
        };
        let mut supposition = Supposition::default();
        let words = if is_down {
            supposition.up.push(name.clone());
            format!("What if {name} comes up again?")
        } else {
            supposition.down.push(name.clone());
            format!("What if {name} fails?")
        };
        self.open(About::WhatIf(supposition, words))
    }

    fn open(&mut self, about: About) -> Option<Effect> {
        if self.busy {
            self.notice = Some("An order is under way: wait for its result.".to_owned());
            return None;
        }
        let (dialog, errand) = Dialog::open(about, &self.picture.status);
        self.panel = Panel::Dialog(dialog);
        Some(Effect::Run(errand))
    }

    /// The selected zone.
    pub(super) fn zone(&self) -> Option<&Value> {
        self.picture.zones().get(self.cursor.zone)
    }

    /// The selected component.
    pub(super) fn component(&self) -> Option<&Value> {
        list(&self.zone()?["components"]).get(self.cursor.component?)
    }

    /// Up or down: through a zone, and on into the next one.
    fn step(&mut self, down: bool) {
        let Cursor { zone, component } = self.cursor;
        let next = match (down, component) {
            (true, component) => {
                let next = component.map_or(0, |at| at + 1);
                if next < self.size(zone) {
                    Cursor {
                        zone,
                        component: Some(next),
                    }
                } else if zone + 1 < self.picture.zones().len() {
                    Cursor {
                        zone: zone + 1,
                        component: None,
                    }
                } else {
                    return;
                }
            }
            (false, Some(at)) => Cursor {
                zone,
                component: at.checked_sub(1),
            },
            (false, None) => {
                let Some(zone) = zone.checked_sub(1) else {
                    return;
                };
                Cursor {
                    zone,
                    component: self.size(zone).checked_sub(1),
                }
            }
        };
        self.cursor = next;
    }

    /// To the same place of the zone beside.
    fn leap(&mut self, right: bool) {
        let zone = if right {
            Some(self.cursor.zone + 1)
        } else {
            self.cursor.zone.checked_sub(1)
        };
        if let Some(zone) = zone.filter(|zone| *zone < self.picture.zones().len()) {
            self.cursor = self.bounded(Cursor {
                zone,
                ..self.cursor
            });
        }
    }

    fn bounded(&self, cursor: Cursor) -> Cursor {
        let zone = cursor
            .zone
            .min(self.picture.zones().len().saturating_sub(1));
        let last = self.size(zone).checked_sub(1);
        let component = cursor.component.and_then(|at| Some(at.min(last?)));
        Cursor { zone, component }
    }

    /// How many components a zone has.
    fn size(&self, zone: usize) -> usize {
        let zone = self.picture.zones().get(zone);
        zone.map_or(0, |zone| list(&zone["components"]).len())
    }
}

fn closes(press: Press) -> bool {
    matches!(
        press,
        Press::Escape | Press::Enter | Press::Interrupt | Press::Character('q' | '?')
    )
}
