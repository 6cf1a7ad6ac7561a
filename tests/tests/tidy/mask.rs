//! Rust source with comments and literals blanked, so that a scanner of braces and words is not misled by them.

/// The source with the content of comments, strings and character literals replaced by spaces; lines stay where they are.
pub(crate) fn mask(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_end(bytes, at);
        for byte in &mut out[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.max(at + 1);
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Where the comment or literal that starts at `at` ends; `at` itself if none does.
fn literal_end(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let in_word = at > 0 && is_word(bytes[at - 1]);
    match rest {
        [b'/', b'/', ..] => at + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => at + block_comment(rest),
        [b'"', ..] => at + quoted(rest),
        [b'r', b'"' | b'#', ..] if !in_word => at + raw_string(rest),
        [b'b', b'r', b'"' | b'#', ..] if !in_word => at + 1 + raw_string(&rest[1..]),
        [b'\'', ..] => at + character(rest),
        _ => at,
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn block_comment(rest: &[u8]) -> usize {
    let mut depth = 0usize;
    let mut at = 0;
    while at + 1 < rest.len() {
        match &rest[at..at + 2] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn quoted(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

fn raw_string(rest: &[u8]) -> usize {
    let hashes = rest[1..].iter().take_while(|byte| **byte == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return 0; // a raw identifier
    }
    let mut close = vec![b'"'];
    close.resize(1 + hashes, b'#');
    let body = 2 + hashes;
    rest[body..]
        .windows(close.len())
        .position(|window| window == close)
        .map_or(rest.len(), |at| body + at + close.len())
}

/// A character literal, or nothing for a lifetime.
fn character(rest: &[u8]) -> usize {
    if rest.get(1) == Some(&b'\\') {
        return rest.iter().skip(3).position(|byte| *byte == b'\'').map_or(rest.len(), |at| at + 4);
    }
    rest.iter().take(6).skip(2).position(|byte| *byte == b'\'').map_or(0, |at| match at {
        0 => 3,
        _ if rest[1].is_ascii() => 0,
        more => more + 3,
    })
}

#[test]
fn literals_and_comments_are_blanked() {
    for literal in [
        "// {",
        "/* { /* } */ { */",
        "\"{\\\"{\"",
        "r\"{\"",
        "r#\"{\"{\"#",
        "br#\"{\"#",
        "'{'",
        "b'{'",
        "'\\''",
        "'\\u{7b}'",
        "'é'",
    ] {
        let masked = mask(&format!("fn a<'x>(y: &'x str) {{ {literal}\n }} // end"));
        assert_eq!(masked.matches(['{', '}']).count(), 2, "{literal}: {masked}");
        assert_eq!(masked.lines().count(), 2, "{literal}");
        assert!(masked.contains("<'x>(y: &'x str)"), "{literal}: {masked}");
    }
}
