// Writes match.txt and deep.txt beside itself: what Go's path/filepath and moby/patternmatcher
// say to hand-picked and to seeded random pairs of pattern and name. README.md says how to run it.
package main

import (
	"bufio"
	"fmt"
	"math/rand"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/moby/patternmatcher"
)

// Bytes that are not printable ASCII, and the percent sign, as %XX.
func quote(text string) string {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if c := text[i]; c <= ' ' || c >= 0x7f || c == '%' {
			fmt.Fprintf(&out, "%%%02X", c)
		} else {
			out.WriteByte(c)
		}
	}
	return out.String()
}

func answer(yes bool, err error) string {
	switch {
	case err != nil:
		return "error"
	case yes:
		return "yes"
	}
	return "no"
}

func words(rng *rand.Rand, letters []string, most int) string {
	var out strings.Builder
	for n := 1 + rng.Intn(most); n > 0; n-- {
		out.WriteString(letters[rng.Intn(len(letters))])
	}
	return out.String()
}

// Random pairs, no more than a third of them misses, so that the table says something.
func fill(table, head string, fixed [][2]string, patterns, names []string, usable func(p, n string) bool, ask func(p, n string) (bool, error)) {
	file, err := os.Create(table)
	if err != nil {
		panic(err)
	}
	defer file.Close()
	out := bufio.NewWriter(file)
	defer out.Flush()
	fmt.Fprint(out, head)
	seen := map[string]bool{}
	counts := map[string]int{}
	add := func(pattern, name string, most int) {
		yes, err := ask(pattern, name)
		kind := answer(yes, err)
		row := kind + "\t" + quote(pattern) + "\t" + quote(name)
		if seen[row] || counts[kind] >= most {
			return
		}
		seen[row] = true
		counts[kind]++
		fmt.Fprintln(out, row)
	}
	for _, pair := range fixed {
		add(pair[0], pair[1], 1<<30)
	}
	counts = map[string]int{}
	rng := rand.New(rand.NewSource(1))
	for n := 0; n < 200000; n++ {
		pattern, name := words(rng, patterns, 7), words(rng, names, 7)
		if usable(pattern, name) {
			most := 200
			if yes, err := ask(pattern, name); err != nil {
				most = 40
			} else if yes {
				most = 300
			}
			add(pattern, name, most)
		}
	}
}

func main() {
	fixed := [][2]string{}
	for _, pattern := range []string{
		"abc", "*", "*c", "a*", "a*/b", "a*b*c*d*e*/f", "a*b?c*x", "ab[c]", "ab[b-d]", "ab[e-g]",
		"ab[^c]", "ab[^b-d]", "ab[^e-g]", "a\\*b", "a?b", "a[^a]b", "a???b", "a[^a][^a][^a]b",
		"[a-\u03b6]*", "*[a-\u03b6]", "a/b", "[\\]a]", "[\\-]", "[x\\-]", "[\\-x]", "[]a]", "[-]",
		"[x-]", "[-x]", "\\", "[a-b-c]", "[", "[^", "[^bc", "a[", "*x", "[z-a]", "**", "*a*a*", "*??",
		"?", "[^/]", "[!a]", "", "]", "a]", "{a,b}", "[\u00e9]", "*\u00e9", "[\xff]", "\xff*", ".*",
	} {
		for _, name := range []string{
			"abc", "ab", "a/b", "abxbbxdbxebxczzx/f", "abxbbxd/bxexxxf", "a*b", "a\u263ab", "\u03b1", "A", "A",
			"]", "-", "x", "a", "xxx", "", "\u4e16", "\u00e9", "\xff", "/", ".a", "{a,b}", "aaa", "ab-", "z",
		} {
			fixed = append(fixed, [2]string{pattern, name})
		}
	}
	kept := [][2]string{}
	for n, pair := range fixed {
		yes, err := path.Match(pair[0], pair[1])
		if yes || (err != nil && n%7 == 0) || n%3 == 0 {
			kept = append(kept, pair)
		}
	}
	fill("match.txt", "# answer, pattern, name; generate.go wrote it\n", kept,
		[]string{"a", "b", "/", "*", "*", "?", "[ab]", "[^a]", "[^b-z]", "\\*", "\u00e9", "[", "-", "**"},
		[]string{"a", "b", "/", "*", "\u00e9", "\u4e16", "\xa9", "aa", "c"},
		func(p, n string) bool { return true },
		path.Match)

	fill("deep.txt", "# answer, pattern, name; generate.go wrote it\n", [][2]string{},
		[]string{"a", "b", "/", "*", "**", "**/", "/**", "?", "[ab]", "[^a]", "\\*", "\u00e9", ".b", "[z-a]", "**/*"},
		[]string{"a", "b", "/", "a/", "\u00e9", "\u4e16", "\xa9", "aa", ".b", "*"},
		func(p, n string) bool {
			return p == filepath.Clean(p) && n == filepath.Clean(n) && p[0] != '/' && n[0] != '/' && n != "."
		},
		func(p, n string) (bool, error) {
			matcher, err := patternmatcher.New([]string{p})
			if err != nil {
				return false, err
			}
			// The one call that leaves the directories above alone.
			return matcher.MatchesUsingParentResult(n, false)
		})
}
