//! Running the `barelm` binary in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The program under test, quiet about progress.
pub(crate) fn barelm(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_barelm"));
    command.arg("--quiet").args(args).stdin(Stdio::null());
    command
}

/// Runs to the end and captures both streams.
pub(crate) fn run(args: &[&str]) -> Output {
    barelm(args).output().expect("the binary starts")
}

/// Runs, expects success, returns stdout.
#[track_caller]
pub(crate) fn succeed(args: &[&str]) -> Vec<u8> {
    let output = run(args);
    assert!(
        output.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// Runs, expects this exit code and one sentence on stderr that holds `words`.
#[track_caller]
pub(crate) fn refuse(args: &[&str], code: i32, words: &str) {
    let output = run(args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
    assert!(stderr.contains(words), "{args:?}: no {words:?} in {stderr}");
    assert!(!stderr.contains("panicked"), "{args:?}: {stderr}");
    let sentences = stderr
        .lines()
        .filter(|line| line.starts_with("barelm: "))
        .count();
    assert!(
        code == 2 || (sentences == 1 && stderr.lines().count() == 1),
        "{args:?}: {stderr}"
    );
}

/// A temporary folder with a little generated text in it.
pub(crate) struct Workplace {
    folder: tempfile::TempDir,
}

impl Workplace {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The path as an argument.
    pub(crate) fn arg(&self, name: &str) -> String {
        self.path(name)
            .to_str()
            .expect("temporary paths are UTF-8")
            .to_string()
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> String {
        std::fs::write(self.path(name), bytes).expect("the temporary folder is writable");
        self.arg(name)
    }

    /// Text of the synthetic corpus.
    pub(crate) fn stories(&self, bytes: &str) -> String {
        let path = self.arg("stories.txt");
        succeed(&["corpus", "generate", "--bytes", bytes, "-o", &path]);
        path
    }

    /// Names of all files below, sorted: what a failed command must not add to.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        list(self.folder.path(), &mut files);
        files.sort();
        files
    }
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            list(&path, files)
        } else {
            files.push(path)
        }
    }
}
