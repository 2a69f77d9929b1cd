package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"golang.org/x/term"
)

// table is one table of figures.
type table struct {
	Title string
	Notes []string
	Head  []string
	Rows  [][]string
}

// block is what one part has found, with the command that finds it again.
type block struct {
	Name, Command string
	Tables        []table
}

// print writes a table as text.
func (t *table) print(w io.Writer) error {
	_, _ = fmt.Fprintf(w, "%s\n", t.Title)
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(tab, strings.Join(t.Head, "\t"))
	for _, r := range t.Rows {
		_, _ = fmt.Fprintln(tab, strings.Join(r, "\t"))
	}
	err := tab.Flush()
	for _, n := range t.Notes {
		_, _ = fmt.Fprintln(w, n)
	}
	_, _ = fmt.Fprintln(w)
	return err
}

// markdown is a block as it stands in a document.
func (b *block) markdown(machine string) string {
	var m strings.Builder
	fmt.Fprintf(&m, "`%s` on %s:\n", b.Command, machine)
	for _, t := range b.Tables {
		fmt.Fprintf(&m, "\n%s:\n\n", strings.TrimSuffix(t.Title, "."))
		fmt.Fprintf(&m, "| %s |\n|%s\n", strings.Join(t.Head, " | "), strings.Repeat("---|", len(t.Head)))
		for _, r := range t.Rows {
			fmt.Fprintf(&m, "| %s |\n", strings.Join(r, " | "))
		}
		for _, n := range t.Notes {
			fmt.Fprintf(&m, "\n%s\n", n)
		}
	}
	return m.String()
}

// The marks between which a document has a block.
func blockBegin(name string) string { return "<!-- made by bench: " + name + " -->\n" }

const blockEnd = "<!-- end of bench -->\n"

// replaceBlocks puts blocks in the place of those of the same names. A block for
// which the document has no place is an error.
func replaceBlocks(text string, blocks []block, machine string) (string, error) {
	for i := range blocks {
		b := &blocks[i]
		before, rest, ok := strings.Cut(text, blockBegin(b.Name))
		_, after, closed := strings.Cut(rest, blockEnd)
		if !ok || !closed {
			return "", fmt.Errorf("document: no place for %q: it needs a line %q and a line %q", b.Name,
				strings.TrimSpace(blockBegin(b.Name)), strings.TrimSpace(blockEnd))
		}
		text = before + blockBegin(b.Name) + b.markdown(machine) + blockEnd + after
	}
	return text, nil
}

func writeBlocks(path string, blocks []block, machine string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	changed, err := replaceBlocks(string(text), blocks, machine)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, []byte(changed), 0o644)
}

// progress says on the terminal what is being measured; "" wipes it away.
func (s *settings) progress(format string, args ...any) {
	if !term.IsTerminal(int(os.Stderr.Fd())) {
		return
	}
	text := fmt.Sprintf(format, args...)
	fmt.Fprintf(os.Stderr, "\r%s%s", text, strings.Repeat(" ", max(0, s.wide-utf8.RuneCountInString(text))))
	s.wide = utf8.RuneCountInString(text)
	if text == "" {
		fmt.Fprint(os.Stderr, "\r")
	}
}
