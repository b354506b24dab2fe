//! The terminal while the demo draws on it: taken on creation, given back when dropped, whatever happens between.

use std::io::{self, Stdout, stdout};
use std::time::Duration;

use crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use crossterm::execute;
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;

use super::model::ViewModel;
use super::view::View;

/// A terminal that is drawn on.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    view: View,
}

impl Screen {
    /// Takes the terminal.
    pub fn take() -> io::Result<Self> {
        // A panic's message must not vanish with the alternate screen.
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            before(panic);
        }));
        enable_raw_mode()?;
        let entered = execute!(stdout(), EnterAlternateScreen, crossterm::cursor::Hide);
        // Made before anything can fail, so that dropping it gives back what was taken.
        let screen = Terminal::new(CrosstermBackend::new(stdout()))
            .map(|terminal| Self { terminal, view: View::new(true_colour()) });
        if entered.is_err() || screen.is_err() {
            give_back();
        }
        entered?;
        screen
    }

    /// Draws a frame.
    pub fn draw(&mut self, model: &ViewModel) -> io::Result<()> {
        self.terminal.draw(|frame| self.view.draw(model, frame.buffer_mut()))?;
        Ok(())
    }

    /// Waits up to `wait` for a key. Whether it asks to quit.
    pub fn quit_pressed(&mut self, wait: Duration) -> io::Result<bool> {
        Ok(self.pressed(wait)? == Some('q'))
    }

    /// Waits up to `wait` for a key. Its letter, in lower case; `q` for all that asks to quit.
    pub fn pressed(&mut self, wait: Duration) -> io::Result<Option<char>> {
        if !event::poll(wait)? {
            return Ok(None);
        }
        let Event::Key(key) = event::read()? else { return Ok(None) };
        let letter = match key.code {
            KeyCode::Esc => Some('q'),
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Some('q'),
            KeyCode::Char(letter) => Some(letter.to_ascii_lowercase()),
            _ => None,
        };
        Ok(letter.filter(|_| key.kind == KeyEventKind::Press))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn give_back() {
    // Nothing better can be done with a terminal that does not take its own back.
    let _ = execute!(stdout(), LeaveAlternateScreen, crossterm::cursor::Show);
    let _ = disable_raw_mode();
}

/// Terminals say so in COLORTERM.
fn true_colour() -> bool {
    std::env::var("COLORTERM").is_ok_and(|value| value == "truecolor" || value == "24bit")
}
