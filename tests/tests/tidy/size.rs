//! How long files and functions may be.

use crate::mask::mask;
use crate::tree::Tree;

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;

/// Source files of more than 500 lines.
pub(crate) fn files(tree: &Tree) -> Vec<String> {
    tree.ending(".rs")
        .filter(|(_, text)| text.lines().count() > FILE_LINES_MAX)
        .map(|(path, text)| format!("{path}: {} lines, at most {FILE_LINES_MAX}", text.lines().count()))
        .collect()
}

/// Functions of more than 70 lines, from the line of `fn` to the closing brace.
pub(crate) fn functions(tree: &Tree) -> Vec<String> {
    let mut breaches = Vec::new();
    for (path, text) in tree.ending(".rs") {
        for (name, line, lines) in bodies(&mask(text)) {
            if lines > FUNCTION_LINES_MAX {
                breaches.push(format!("{path}:{line}: fn {name} has {lines} lines, at most {FUNCTION_LINES_MAX}"));
            }
        }
    }
    breaches
}

/// Name, first line and number of lines of every function that has a body.
fn bodies(masked: &str) -> Vec<(&str, usize, usize)> {
    let mut found = Vec::new();
    for (at, _) in masked.match_indices("fn ") {
        if masked[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_') {
            continue;
        }
        let rest = &masked[at + 3..];
        let name_end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        if let Some(end) = body_end(&masked[at..]) {
            let line = masked[..at].matches('\n').count() + 1;
            found.push((&rest[..name_end], line, masked[at..at + end].matches('\n').count() + 1));
        }
    }
    found
}

/// Where the body of the function that starts here ends; none for a declaration.
fn body_end(function: &str) -> Option<usize> {
    let (mut braces, mut brackets) = (0usize, 0usize);
    for (at, c) in function.char_indices() {
        match c {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets = brackets.saturating_sub(1),
            ';' if braces == 0 && brackets == 0 => return None,
            '{' => braces += 1,
            '}' if braces <= 1 => return (braces == 1).then_some(at),
            '}' => braces -= 1,
            _ => {}
        }
    }
    None
}

#[test]
fn a_long_file_is_found() {
    crate::finds(files, &[("a/src/lib.rs", &"\n".repeat(501))], "501 lines");
    crate::passes(files, &[("a/src/lib.rs", &"\n".repeat(500))]);
}

#[test]
fn a_long_function_is_found() {
    let function = |lines: usize| {
        format!("trait A {{ fn short(x: [u8; 3]); }}\nfn long<F: Fn(u8)>() {{{}}}\n", "\n".repeat(lines - 1))
    };
    crate::finds(functions, &[("a.rs", &function(71))], "a.rs:2: fn long has 71 lines");
    crate::passes(functions, &[("a.rs", &function(70))]);
    crate::passes(functions, &[("a.rs", "const F: fn (u8) = g;\nfn a() {}\nfn b() {}")]);
}
