//! The live view of a training run in the terminal: curves, numbers and keys.

use std::io::{IsTerminal, Stderr, stderr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use perceptra::train::Engine;
use perceptra::{Control, Event, Observer};
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, Event as Input, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::crossterm::{cursor, execute};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::Marker;
use ratatui::text::Line;
use ratatui::widgets::{Axis, Block, Chart, Dataset, Gauge, GraphType, Paragraph};
use ratatui::{Frame, Terminal};

use crate::signals;
use crate::tables::{number, thousands};

/// Time between two frames.
const TICK: Duration = Duration::from_millis(100);
/// Maximum number of points of a curve; beyond it, every second one is dropped.
const POINTS: usize = 4000;
/// Factor by which + and − change the learning rate.
const STEP: f64 = 1.25;

/// State of the run that the view shows, and what the user has requested by keys.
struct State {
    title: String,
    device: String,
    engine: Engine,
    epochs: usize,
    rows: usize,
    start: Instant,
    curves: Curves,
    epoch: usize,
    training: f64,
    validation: Option<f64>,
    monitored: Option<f64>,
    best: (usize, f64),
    rate: f64,
    speed: f64,
    /// Factor by which keys change the learning rate after this epoch.
    scale: f64,
    /// Product of all such factors so far.
    scaled: f64,
    stop: bool,
    message: String,
}

/// Losses by epoch, thinned to fewer than [`POINTS`] points.
#[derive(Default)]
struct Curves {
    training: Vec<(f64, f64)>,
    validation: Vec<(f64, f64)>,
    /// Number of epochs between two points.
    every: usize,
}

impl Curves {
    fn push(&mut self, epoch: usize, training: f64, validation: Option<f64>) {
        self.every = self.every.max(1);
        if !epoch.is_multiple_of(self.every) && epoch != 1 {
            return;
        }
        self.training.push((epoch as f64, training));
        self.validation.extend(validation.filter(|v| v.is_finite()).map(|v| (epoch as f64, v)));
        if self.training.len() >= POINTS {
            self.every *= 2;
            let every = self.every;
            for curve in [&mut self.training, &mut self.validation] {
                curve.retain(|(epoch, _)| *epoch == 1.0 || (*epoch as usize).is_multiple_of(every));
            }
        }
    }
}

/// The live view. It draws in a separate thread, so that keys are answered during long epochs.
pub(crate) struct Live {
    state: Arc<Mutex<State>>,
    /// Set to end the run after the current batch.
    stop: Arc<AtomicBool>,
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Live {
    /// Opens the view; `None` unless standard input and standard error are a terminal.
    pub(crate) fn open(title: &str, device: &str) -> Option<Self> {
        if !(std::io::stdin().is_terminal() && stderr().is_terminal()) {
            return None;
        }
        let mut terminal = Screen::open()?;
        let state = Arc::new(Mutex::new(State::new(title, device)));
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (shared, stopping, end) = (Arc::clone(&state), Arc::clone(&stop), Arc::clone(&done));
        let thread = std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                if signals::came().is_some_and(|came| came.load(Ordering::Relaxed)) {
                    stopping.store(true, Ordering::Relaxed);
                }
                // If the terminal is closed, the training goes on without the view.
                let drawn = terminal.0.draw(|frame| draw(frame, &lock(&shared)));
                match event::poll(TICK).and_then(|there| if there { event::read().map(Some) } else { Ok(None) }) {
                    Ok(Some(Input::Key(key))) if key.kind != KeyEventKind::Release => {
                        let control = key.modifiers.contains(KeyModifiers::CONTROL);
                        if press(&mut lock(&shared), key.code, control) {
                            if control {
                                signals::interrupt();
                            }
                            stopping.store(true, Ordering::Relaxed);
                        }
                    }
                    Ok(_) if drawn.is_ok() => {}
                    _ => std::thread::sleep(TICK),
                }
            }
        });
        Some(Self { state, stop, done, thread: Some(thread) })
    }

    /// Whether the user ended the run by a key, which is not a failure.
    pub(crate) fn asked(&self) -> bool {
        let interrupted = signals::came().is_some_and(|came| came.load(Ordering::Relaxed));
        self.stop.load(Ordering::Relaxed) && !interrupted
    }

    pub(crate) fn close(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // The screen has been restored even if the thread panicked.
            let _ = thread.join();
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.close();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The terminal, restored on drop.
struct Screen(Terminal<CrosstermBackend<Stderr>>);

impl Screen {
    fn open() -> Option<Self> {
        enable_raw_mode().ok()?;
        let screen = execute!(stderr(), EnterAlternateScreen, cursor::Hide)
            .and_then(|()| Terminal::new(CrosstermBackend::new(stderr())));
        if screen.is_err() {
            restore();
        }
        screen.ok().map(Self)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Restores the terminal; if it is closed, errors do not matter.
fn restore() {
    let _ = execute!(stderr(), LeaveAlternateScreen, cursor::Show);
    let _ = disable_raw_mode();
}

/// Handles a key and returns whether the run is to end at once.
fn press(state: &mut State, key: KeyCode, control: bool) -> bool {
    let mut scale = |factor: f64| {
        state.scale *= factor;
        state.scaled *= factor;
        state.message = format!("learning rate × {} from the next epoch", number(state.scaled));
    };
    match key {
        KeyCode::Char('c') if control => true,
        KeyCode::Char('q') => {
            state.message = "stopping after this batch; the best weights are kept".into();
            true
        }
        KeyCode::Char('s') => {
            state.stop = true;
            state.message = "stopping after this epoch; the best weights are kept".into();
            false
        }
        KeyCode::Char('+' | '=') | KeyCode::Up => {
            scale(STEP);
            false
        }
        KeyCode::Char('-') | KeyCode::Down => {
            scale(1.0 / STEP);
            false
        }
        _ => false,
    }
}

impl Observer for Live {
    fn observe(&mut self, event: &Event<'_>) -> Control {
        lock(&self.state).observe(event)
    }

    fn interrupt(&self) -> Option<&AtomicBool> {
        Some(&self.stop)
    }
}

impl State {
    fn new(title: &str, device: &str) -> Self {
        Self {
            title: title.to_owned(),
            device: device.to_owned(),
            engine: Engine::Auto,
            epochs: 0,
            rows: 0,
            start: Instant::now(),
            curves: Curves::default(),
            epoch: 0,
            training: f64::NAN,
            validation: None,
            monitored: None,
            best: (0, f64::NAN),
            rate: f64::NAN,
            speed: 0.0,
            scale: 1.0,
            scaled: 1.0,
            stop: false,
            message: String::new(),
        }
    }

    fn observe(&mut self, event: &Event<'_>) -> Control {
        match event {
            Event::Started { epochs, rows, engine, .. } => {
                (self.epochs, self.rows, self.engine, self.start) = (*epochs, *rows, *engine, Instant::now());
            }
            Event::Epoch { epoch, improved, .. } => {
                self.epoch = epoch.epoch;
                (self.training, self.validation, self.monitored) =
                    (epoch.train_loss, epoch.validation_loss, epoch.monitored);
                self.rate = epoch.learning_rate;
                self.speed = self.rows as f64 / epoch.seconds.max(1e-9);
                self.curves.push(epoch.epoch, epoch.train_loss, epoch.validation_loss);
                if *improved {
                    self.best = (epoch.epoch, epoch.value());
                }
                if self.stop {
                    return Control::Stop;
                }
                let scale = std::mem::replace(&mut self.scale, 1.0);
                if scale != 1.0 {
                    return Control::Scale(scale);
                }
            }
            Event::Checkpoint { path, error: Some(error) } => {
                self.message = format!("checkpoint {} failed: {error}", path.display());
            }
            _ => {}
        }
        Control::Continue
    }

    /// Time in seconds until the last epoch, if the run does not stop earlier.
    fn left(&self) -> Option<f64> {
        let done = self.epoch as f64;
        (self.epoch > 0).then(|| self.start.elapsed().as_secs_f64() / done * (self.epochs as f64 - done))
    }
}

fn clock(seconds: f64) -> String {
    let s = seconds.max(0.0).round() as u64;
    if s >= 3600 {
        format!("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
    } else {
        format!("{}:{:02}", s / 60, s % 60)
    }
}

fn draw(frame: &mut Frame<'_>, state: &State) {
    let area = frame.area();
    let [head, middle, gauge, keys] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(3), Constraint::Length(1), Constraint::Length(2)])
            .areas(area);
    let bold = Style::new().add_modifier(Modifier::BOLD);
    frame.render_widget(Line::styled(state.title.as_str(), bold), head);
    let facts = facts(state);
    let [curves, side] = match area.width >= 70 {
        true => Layout::horizontal([Constraint::Min(30), Constraint::Length(38)]).areas(middle),
        false => [middle, Rect::default()],
    };
    // A small terminal shows the numbers only.
    if area.width >= 70 && area.height >= 12 {
        draw_curves(frame, state, curves);
        frame.render_widget(Paragraph::new(facts).block(Block::bordered()), side);
    } else {
        frame.render_widget(Paragraph::new(facts), middle);
    }
    let share = if state.epochs > 0 { state.epoch as f64 / state.epochs as f64 } else { 0.0 };
    let left = state.left().map_or_else(String::new, |left| format!(", at most {} left", clock(left)));
    let label = format!("epoch {} of {}{left}", state.epoch, state.epochs);
    frame.render_widget(Gauge::default().ratio(share.clamp(0.0, 1.0)).label(label).gauge_style(Color::Blue), gauge);
    let help = "q stop now   s stop after this epoch   + − learning rate";
    frame.render_widget(Paragraph::new(vec![Line::raw(help), Line::raw(state.message.as_str())]), keys);
}

fn facts(state: &State) -> Vec<Line<'_>> {
    let optional = |x: Option<f64>| x.map_or_else(|| "-".to_owned(), number);
    let mut facts = vec![
        ("training loss", number(state.training)),
        ("validation loss", optional(state.validation)),
        ("best", format!("{} (epoch {})", number(state.best.1), state.best.0)),
        ("learning rate", number(state.rate)),
        ("rows/s", thousands(state.speed as u64)),
        ("rows", thousands(state.rows as u64)),
        ("device", state.device.clone()),
        ("engine", state.engine.name().to_owned()),
        ("time", clock(state.start.elapsed().as_secs_f64())),
    ];
    if let Some(monitored) = state.monitored {
        facts.insert(2, ("monitored", number(monitored)));
    }
    facts.into_iter().map(|(name, value)| Line::raw(format!("{name:<16}{value}"))).collect()
}

fn draw_curves(frame: &mut Frame<'_>, state: &State, area: Rect) {
    let curves = [&state.curves.training, &state.curves.validation];
    let values = || curves.iter().flat_map(|c| c.iter().map(|(_, v)| *v)).filter(|v| v.is_finite());
    let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    let log = low > 0.0 && high / low > 30.0;
    let scale = |v: f64| if log { v.log10() } else { v };
    let scaled = curves.map(|c| c.iter().map(|(e, v)| (*e, scale(*v))).collect::<Vec<_>>());
    let [training, validation] = &scaled;
    let set = |name, points, color| {
        Dataset::default().name(name).marker(Marker::Braille).graph_type(GraphType::Line).style(color).data(points)
    };
    let mut sets = vec![set("training", training, Color::Blue)];
    if !validation.is_empty() {
        sets.push(set("validation", validation, Color::Yellow));
    }
    let best = [(state.best.0 as f64, scale(low)), (state.best.0 as f64, scale(high))];
    if state.best.0 > 0 {
        sets.push(set("best", &best, Color::DarkGray));
    }
    let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
    let (bottom, top) = if low < high { (scale(low), scale(high)) } else { (scale(low) - 0.5, scale(low) + 0.5) };
    let label = |part: f64| {
        let v = bottom + (top - bottom) * part;
        number(if log { 10f64.powf(v) } else { v })
    };
    let last = (state.epoch as f64).max(2.0);
    let x = Axis::default().bounds([1.0, last]).labels([
        "1".to_owned(),
        format!("{}", (last / 2.0) as usize),
        last.to_string(),
    ]);
    let y = Axis::default().bounds([bottom, top]).labels([label(0.0), label(0.5), label(1.0)]);
    let title = if log { "loss by epoch, logarithmic" } else { "loss by epoch" };
    frame.render_widget(Chart::new(sets).block(Block::bordered().title(title)).x_axis(x).y_axis(y), area);
}

#[cfg(test)]
mod tests {
    use super::*;
    use perceptra::train::Epoch;
    use ratatui::backend::TestBackend;

    fn screen(state: &State, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, state)).unwrap();
        let buffer = terminal.backend().buffer();
        (0..height).map(|y| (0..width).map(|x| buffer[(x, y)].symbol()).collect()).collect()
    }

    fn run(epochs: usize) -> State {
        let mut state = State::new("penguins.csv: species", "flex (CPU)");
        let engine = Engine::Fused;
        state.observe(&Event::Started { epochs: 100, rows: 1234, steps: 10, engine, obstacle: None });
        for epoch in 1..=epochs {
            let loss = 1.0 / epoch as f64;
            let epoch = Epoch {
                epoch,
                train_loss: loss,
                validation_loss: Some(2.0 * loss),
                monitored: None,
                learning_rate: 0.001,
                seconds: 0.001,
            };
            state.observe(&Event::Epoch { epoch: &epoch, improved: true, run: None });
        }
        state
    }

    #[test]
    fn the_screen_has_curves_numbers_and_keys() {
        let screen = screen(&run(40), 100, 24);
        let text = screen.join("\n");
        for part in [
            "penguins.csv: species",
            "training loss   0.0250",
            "validation loss 0.0500",
            "best            0.0500 (epoch 40)",
            "learning rate   0.0010",
            "rows/s          1 234 000",
            "device          flex (CPU)",
            "epoch 40 of 100",
            "q stop now",
            "loss by epoch, logarithmic",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        // Curves fall: braille dots in the upper left and in the lower right, none in the upper right.
        let dots = |lines: std::ops::Range<usize>, columns: std::ops::Range<usize>| {
            let cell = |line: usize| screen[line].chars().skip(columns.start).take(columns.len()).collect::<String>();
            lines.map(cell).collect::<String>().chars().filter(|c| ('\u{2801}'..='\u{28FF}').contains(c)).count()
        };
        assert!(dots(2..8, 9..20) > 3 && dots(12..19, 36..60) > 3, "{text}");
    }

    #[test]
    fn any_size_and_any_run_can_be_drawn() {
        for (width, height) in [(1, 1), (20, 5), (70, 12), (69, 30), (300, 100)] {
            for epochs in [0, 1, 2, 100] {
                screen(&run(epochs), width, height);
            }
        }
        let mut state = run(3);
        state.curves.training.push((4.0, f64::NAN));
        screen(&state, 100, 24);
    }

    #[test]
    fn keys_scale_the_rate_and_stop_the_run() {
        let mut state = run(1);
        assert!(!press(&mut state, KeyCode::Char('+'), false));
        assert!(!press(&mut state, KeyCode::Up, false));
        assert!(!press(&mut state, KeyCode::Char('-'), false));
        let epoch = Epoch {
            epoch: 2,
            train_loss: 0.5,
            validation_loss: None,
            monitored: None,
            learning_rate: 0.001,
            seconds: 0.1,
        };
        let event = Event::Epoch { epoch: &epoch, improved: false, run: None };
        assert_eq!(state.observe(&event), Control::Scale(STEP * STEP / STEP));
        assert_eq!(state.observe(&event), Control::Continue);
        assert!(!press(&mut state, KeyCode::Char('s'), false));
        assert_eq!(state.observe(&event), Control::Stop);
        assert!(!press(&mut state, KeyCode::Char('c'), false) && press(&mut state, KeyCode::Char('c'), true));
        assert!(press(&mut state, KeyCode::Char('q'), false));
    }

    #[test]
    fn long_runs_have_bounded_curves() {
        let mut curves = Curves::default();
        for epoch in 1..=100_000 {
            curves.push(epoch, 1.0, Some(1.0));
        }
        assert!(curves.training.len() < POINTS && curves.training.len() > POINTS / 4);
        assert_eq!(curves.training[0].0, 1.0);
        assert!(curves.training.last().unwrap().0 > 99_000.0);
    }

    #[test]
    fn times_are_shown_as_a_clock() {
        assert_eq!([clock(5.2), clock(65.0), clock(3661.0)], ["0:05", "1:05", "1:01:01"]);
    }
}
