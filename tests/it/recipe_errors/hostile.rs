//! Recipes that nobody writes by hand: limits, and texts by chance.

use std::time::{Duration, Instant};

use cairn::canon::Source;
use cairn::frontend::{Options, toml};
use cairn::ui::diagnostic;
use proptest::prelude::*;

use super::errors;

#[test]
fn recipes_over_a_mebibyte_are_refused() {
    let mut recipe = "from = \"scratch\"\n#".to_owned();
    recipe.push_str(&"x".repeat(toml::LARGEST - recipe.len()));
    assert_eq!(errors(&recipe), "no error");
    recipe.push('x');
    let text = errors(&recipe);
    assert!(text.starts_with("error: `cairn.toml` has 1048577 bytes, and 1048576 is the most\n"));
}

#[test]
fn steps_and_stages_have_limits() {
    let steps = |count: usize| {
        let step = |n| format!("[[steps]]\nsymlink = {{ path = \"/{n}\", target = \"a\" }}\n");
        let steps: String = (0..count).map(step).collect();
        errors(&format!("from = \"scratch\"\n{steps}"))
    };
    assert_eq!(steps(10_000), "no error");
    assert!(steps(10_001).starts_with("error: a recipe has at most 10000 steps\n"));
    let stages = |count: usize| {
        let stage = |n| format!("[stages.s{n}]\nfrom = {{ stage = \"s{}\" }}\n", n + 1);
        let stages: String = (0..count - 1).map(stage).collect();
        let last = format!("[stages.s{}]\nfrom = \"scratch\"\n", count - 1);
        errors(&format!("from = {{ stage = \"s0\" }}\n{stages}{last}"))
    };
    assert_eq!(stages(256), "no error");
    assert!(stages(257).starts_with("error: a recipe has at most 256 stages\n"));
}

#[test]
fn deep_nesting_is_one_error() {
    for recipe in [
        format!("from = {}", "[".repeat(500_000)),
        format!("from = {}", "{a=".repeat(300_000)),
        format!("[{}]", vec!["a"; 400_000].join(".")),
        format!("{} = 1", vec!["a"; 400_000].join(".")),
    ] {
        let text = errors(&recipe);
        assert_eq!(text.matches("error: ").count(), 1, "{}", &recipe[..20]);
    }
}

/// The time in which even the worst recipe of the largest size has to be through, in a build
/// without optimisation on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn the_worst_recipes_take_no_forever() {
    let fill = |begin: &str, piece: &dyn Fn(usize) -> String| {
        let mut recipe = begin.to_owned();
        for n in 0.. {
            let piece = piece(n);
            if recipe.len() + piece.len() > toml::LARGEST {
                return recipe;
            }
            recipe.push_str(&piece);
        }
        unreachable!("the loop ends when the recipe is full")
    };
    for recipe in [
        fill("", &|n| format!("k{n} = 1\n")),
        fill("steps = [", &|_| "{},".to_owned()) + "]",
        fill("config.env = { ", &|n| format!("\"={n}\" = \"\",")) + "}",
        fill("platforms = [", &|n| format!("\"a{n}\",")) + "]",
        fill("from = \"scratch\"\n", &|n| {
            format!("[stages.s{n}]\nfrom = {{ stage = \"s{}\" }}\n", n / 2)
        }),
    ] {
        let start = Instant::now();
        assert!(errors(&recipe).starts_with("error: "));
        let taken = start.elapsed();
        assert!(taken < PATIENCE, "{taken:?} for {}", &recipe[..60]);
    }
}

/// Reads and draws; a panic is the only failure, besides places outside of the text.
fn survive(recipe: &str) {
    let Ok(source) = Source::new("cairn.toml", recipe.into(), toml::LARGEST) else {
        return;
    };
    let options = Options::new("linux/amd64".parse().unwrap());
    if let Err(problems) = toml::plan(&source, &options) {
        assert!(!problems.is_empty());
        for problem in &problems {
            let spans = problem
                .span
                .iter()
                .chain(problem.others.iter().map(|(span, _)| span));
            for span in spans {
                assert!(recipe.get(span.clone()).is_some(), "{span:?} of {recipe:?}");
            }
        }
        diagnostic::problems(&problems, &source, true);
    }
}

const RECIPES: [&str; 5] = [
    include_str!("../../../testdata/recipes/config/cairn.toml"),
    include_str!("../../../testdata/recipes/stages/cairn.toml"),
    include_str!("../../../testdata/recipes/base/cairn.toml"),
    include_str!("../../../testdata/recipes/inherit/cairn.toml"),
    include_str!("../../../testdata/recipes/unpack/cairn.toml"),
];

const PIECES: [&str; 20] = [
    "\"",
    "=",
    "[",
    "]",
    "{",
    "}",
    ".",
    ",",
    "\n",
    "\\",
    "'''",
    "ä",
    "\u{0}",
    "\u{9b}",
    "\u{feff}",
    "from",
    "[[steps]]\n",
    "[stages.make]\n",
    "-9223372036854775809",
    "{ stage = \"more\" }",
];

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        survive(&text);
    }

    #[test]
    fn no_mutation_of_a_recipe_makes_it_panic(
        which in 0..RECIPES.len(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..30usize, 0..PIECES.len()), 1..6),
    ) {
        let mut recipe: Vec<char> = RECIPES[which].chars().collect();
        for (at, cut, piece) in edits {
            let at = at.index(recipe.len() + 1);
            let end = (at + cut).min(recipe.len());
            recipe.splice(at..end, PIECES[piece].chars());
        }
        survive(&recipe.into_iter().collect::<String>());
    }

    #[test]
    fn lines_of_recipes_in_any_order_make_no_panic(
        picks in prop::collection::vec((0..RECIPES.len(), any::<prop::sample::Index>()), 0..40),
    ) {
        let mut recipe = String::new();
        for (which, line) in picks {
            let lines: Vec<_> = RECIPES[which].lines().collect();
            recipe.push_str(lines[line.index(lines.len())]);
            recipe.push('\n');
        }
        survive(&recipe);
    }
}
