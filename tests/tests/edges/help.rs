//! What the binary says of itself.

use mesh30k_tests::cli::Shell;

#[test]
fn every_command_shows_an_example() {
    let home = tempfile::tempdir().unwrap();
    let shell = Shell::new(home.path());
    let mut open = vec![Vec::new()];
    let (mut leaves, mut without) = (Vec::new(), Vec::new());
    while let Some(command) = open.pop() {
        let words: Vec<&str> = command.iter().map(String::as_str).chain(["--help"]).collect();
        let answer = shell.run(&words);
        assert_eq!((answer.code, answer.stderr.as_str()), (Some(0), ""), "{words:?}");
        let below = subcommands(&answer.stdout);
        if below.is_empty() {
            if !answer.stdout.contains("Example") {
                without.push(command.join(" "));
            }
            leaves.push(command.join(" "));
        }
        open.extend(below.into_iter().map(|name| [command.clone(), vec![name]].concat()));
    }
    assert!(leaves.len() >= 25, "the walk found few commands: {leaves:?}");
    for wanted in ["up", "node init", "testnet up", "event cascade", "ledger verify", "gov vote", "freeze", "task run"]
    {
        assert!(leaves.iter().any(|leaf| leaf == wanted), "`{wanted}` is not among {leaves:?}");
    }
    assert!(without.is_empty(), "without an example: {without:?}");
}

/// Names under `Commands:` in a help text, without `help` itself.
fn subcommands(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // A wrapped description is indented deeper than a name.
    let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn help_names_the_exit_codes() {
    let home = tempfile::tempdir().unwrap();
    let help = Shell::new(home.path()).run(&["--help"]).stdout;
    for code in ["0 done", "1 failed", "2 wrong usage", "3 no node reachable", "4 refused"] {
        assert!(help.contains(code), "`{code}` is not in:\n{help}");
    }
}
