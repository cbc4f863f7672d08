//! Progress on stderr, and the flags that stop long work: Ctrl-C, and a corpus that shrank.
//!
//! Every long loop calls [`Progress::advance`] about ten times a second or oftener. It draws (a
//! bar on a terminal, a plain line every few seconds otherwise) and returns an error as soon as
//! the work should stop, so that unfinished files are dropped on the way out.

use crate::{Error, Result};
use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
static QUIET: AtomicBool = AtomicBool::new(false);
/// Set by the mapping's fault handler: a byte of a mapped file is no longer there.
pub(crate) static MAP_SHRANK: AtomicBool = AtomicBool::new(false);

/// Makes Ctrl-C and termination end the current work with [`Error::Interrupted`].
///
/// A second Ctrl-C ends the process at once. Called by the binary; a library user need not.
pub fn catch_interrupts() {
    let caught = ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    });
    if let Err(e) = caught {
        say(format_args!(
            "barelm: warning: Ctrl-C will not clean up: {e}"
        ));
    }
}

/// Turns progress off (`--quiet`) or on.
pub fn set_quiet(quiet: bool) {
    QUIET.store(quiet, Ordering::Relaxed);
}

/// Whether progress and notes are turned off.
pub fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Writes a line to stderr, quiet or not. One that is closed or full is no reason to stop.
pub(crate) fn say(line: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Writes a line to stderr, unless progress and notes are turned off.
pub(crate) fn note(line: impl Display) {
    if !is_quiet() {
        say(line);
    }
}

/// Fails if the work should stop.
///
/// # Errors
/// [`Error::Interrupted`], or [`Error::Data`] when a mapped corpus shrank.
pub fn check() -> Result<()> {
    if INTERRUPTED.load(Ordering::Relaxed) {
        return Err(Error::Interrupted);
    }
    check_input()
}

/// Fails if input was lost: nothing may be kept of what was made from it.
///
/// # Errors
/// [`Error::Data`] when a mapped corpus shrank.
pub(crate) fn check_input() -> Result<()> {
    if MAP_SHRANK.load(Ordering::Relaxed) {
        let message = "the file shrank while it was being read; let its writer finish, then rerun";
        return Err(Error::data("mapped input", message));
    }
    Ok(())
}

/// A line of progress for one stage.
#[derive(Debug)]
pub struct Progress {
    label: String,
    unit: &'static str,
    total: u64,
    done: AtomicU64,
    start: Instant,
    next_draw: AtomicU64,
    note: std::sync::Mutex<String>,
}

impl Progress {
    /// Starts a stage of `total` units (`"bytes"`, `"tokens"`, `"steps"`); 0 if not known.
    pub fn new(label: impl Into<String>, total: u64, unit: &'static str) -> Self {
        let (start, label) = (Instant::now(), label.into());
        let (done, next_draw) = (AtomicU64::new(0), AtomicU64::new(0));
        Self {
            label,
            unit,
            total,
            done,
            start,
            next_draw,
            note: Default::default(),
        }
    }

    /// Counts `n` more units; may be called from any thread.
    ///
    /// # Errors
    /// Those of [`check`].
    pub fn advance(&self, n: u64) -> Result<()> {
        let done = self.done.fetch_add(n, Ordering::Relaxed) + n;
        check()?;
        if is_quiet() {
            return Ok(());
        }
        let now = self.start.elapsed().as_millis() as u64;
        let due = self.next_draw.load(Ordering::Relaxed);
        let interval = if is_terminal() { 100 } else { 5000 };
        let claim = || {
            let next = now + interval;
            self.next_draw
                .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed)
        };
        if now >= due.max(interval) && claim().is_ok() {
            self.draw(done, is_terminal());
        }
        Ok(())
    }

    /// Prints a line of its own above the figures.
    pub fn line(&self, line: &str) {
        note(format_args!("{}{line}", clear()));
    }

    /// Words to show behind the figures from now on (a loss, for instance).
    pub fn note(&self, note: impl Into<String>) {
        if let Ok(mut slot) = self.note.lock() {
            *slot = note.into();
        }
    }

    /// Ends the stage with a last plain line, and returns the seconds it took.
    pub fn finish(&self) -> f64 {
        if !is_quiet() {
            self.draw(self.done.load(Ordering::Relaxed), false);
        }
        self.start.elapsed().as_secs_f64()
    }

    fn draw(&self, done: u64, bar: bool) {
        let seconds = self.start.elapsed().as_secs_f64().max(1e-9);
        let rate = done as f64 / seconds;
        let mut line = format!("{}: ", self.label);
        if self.total > 0 {
            let share = (done as f64 / self.total as f64).min(1.0);
            if bar {
                let filled = (share * 20.0) as usize;
                line += &format!("[{}{}] ", "#".repeat(filled), "-".repeat(20 - filled));
            }
            line += &format!("{:.0} %, ", share * 100.0);
        }
        line += &format!(
            "{} {}, {} {}/s",
            human(done as f64),
            self.unit,
            human(rate),
            self.unit
        );
        if self.total > done {
            line += &format!(
                ", {} left",
                clock((self.total - done) as f64 / rate.max(1e-9))
            );
        } else {
            line += &format!(", {seconds:.1} s");
        }
        if let Ok(note) = self.note.lock()
            && !note.is_empty()
        {
            line += &format!(", {note}");
        }
        let mut stderr = std::io::stderr().lock();
        // A closed stderr is no reason to stop.
        let _ = write!(stderr, "{}{line}{}", clear(), if bar { "" } else { "\n" });
    }
}

/// What takes an unfinished line away.
fn clear() -> &'static str {
    if is_terminal() { "\r\x1b[2K" } else { "" }
}

fn is_terminal() -> bool {
    static TERMINAL: OnceLock<bool> = OnceLock::new();
    *TERMINAL.get_or_init(|| std::io::stderr().is_terminal())
}

/// `1234567` as `1.23 M`.
pub fn human(x: f64) -> String {
    match x.abs() {
        a if a >= 1e9 => format!("{:.2} G", x / 1e9),
        a if a >= 1e6 => format!("{:.2} M", x / 1e6),
        a if a >= 1e4 => format!("{:.1} k", x / 1e3),
        _ => format!("{x:.0}"),
    }
}

/// Seconds as `1h02m`, `3m05s` or `12s`.
pub(crate) fn clock(seconds: f64) -> String {
    let s = Duration::from_secs_f64(seconds.clamp(0.0, 1e8)).as_secs();
    match s {
        3600.. => format!("{}h{:02}m", s / 3600, s / 60 % 60),
        60.. => format!("{}m{:02}s", s / 60, s % 60),
        _ => format!("{s}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        assert_eq!(
            (human(999.0), human(12_345.0)),
            ("999".into(), "12.3 k".into())
        );
        assert_eq!(
            (clock(59.9), clock(185.0), clock(3720.0)),
            ("59s".into(), "3m05s".into(), "1h02m".into())
        );
    }
}
