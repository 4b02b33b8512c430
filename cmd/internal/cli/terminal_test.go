package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// hostile has one character of each kind that steers a terminal or forges text, and
// text that must come through as it is.
const hostile = "a\x1b[2J\x07\r\n\tb\u009b31m\u007f\u0085\u2028\u2029\u202e\u2066\u200f\u061c\u200b\ufeff\U000e0041\xff\x9b é 漢字 😀 \\ \ufffd"

func TestAValueIsPrintedWithinItsLine(t *testing.T) {
	const want = `a\u001b[2J\u0007\u000d\n\tb\u009b31m\u007f\u0085\u2028\u2029\u202e\u2066\u200f\u061c\u200b\ufeff\U000e0041\xff\x9b é 漢字 😀 \ ` + "\ufffd"
	assert.Equal(t, want, Escape(hostile))
	for name, got := range map[string]string{
		"a string":   Sprintf("%s", hostile),
		"an error":   Sprintf("%v", errors.New(hostile)),
		"a Stringer": Sprintf("%s", stringer(hostile)),
	} {
		assert.Equal(t, want, got, name)
	}
	assert.Equal(t, "2 of 0x1f,   1.5\n", Sprintf("%d of %#x, %5.1f\n", 2, 31, 1.5))
	assert.Equal(t, `["a\nb"]`, Sprintf("%q", []string{"a\nb"}))
	assert.Equal(t, `map[k:a\nb]`, Sprintf("%v", map[string]string{"k": "a\nb"}))

	var b bytes.Buffer
	c := NewColumns(&b)
	c.Row("NAME", "N")
	c.Row("x\nforged\t9", 1)
	require.NoError(t, c.Flush())
	assert.Equal(t, "NAME          N\n"+`x\nforged\t9  1`+"\n", b.String())
}

type stringer string

func (s stringer) String() string { return string(s) }

func TestATerminalKeepsTextAndEscapesTheRestHoweverItIsCut(t *testing.T) {
	const want = `a\u001b[2J\u0007\u000d` + "\n\t" + `b\u009b31m\u007f\u0085\u2028\u2029\u202e\u2066\u200f\u061c\u200b\ufeff\U000e0041\xff\x9b é 漢字 😀 \ ` + "\ufffd"
	for size := 1; size <= 7; size++ {
		var b bytes.Buffer
		w := NewTerminal(&b)
		for rest := []byte(hostile); len(rest) > 0; {
			n := min(size, len(rest))
			got, err := w.Write(rest[:n])
			require.NoError(t, err)
			require.Equal(t, n, got)
			rest = rest[n:]
		}
		require.NoError(t, w.Flush())
		assert.Equal(t, want, b.String(), "%d bytes at a time", size)
	}
	var b bytes.Buffer
	w := NewTerminal(&b)
	_, err := w.Write([]byte("half \xe6\xbc"))
	require.NoError(t, err)
	require.NoError(t, w.Flush())
	assert.Equal(t, `half \xe6\xbc`, b.String())
	assert.Same(t, w, NewTerminal(w))
}

func TestDocumentsAreEscapedAndMeanTheSame(t *testing.T) {
	text := strings.ToValidUTF8(hostile, "")
	v := map[string]any{"plain": "x", text: []any{text}}
	for format, decode := range map[Format]func([]byte, any) error{
		JSON: json.Unmarshal,
		YAML: func(b []byte, v any) error { return yaml.Unmarshal(b, v) },
	} {
		var b bytes.Buffer
		require.NoError(t, Print(NewTerminal(&b), format, v, nil))
		assert.Empty(t, unsafe(b.String()), format)
		var got map[string]any
		require.NoError(t, decode(b.Bytes(), &got), format)
		assert.Equal(t, v, got, format)
	}
	var b bytes.Buffer
	require.NoError(t, Print(&b, YAML, map[string]any{"key": "a\nb"}, nil))
	assert.Equal(t, "key: |-\n  a\n  b\n", b.String(), "a document that needs no escapes stays YAML as people know it")
}

// unsafe are the characters that steer a terminal.
func unsafe(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) || r == '\n' {
			return -1
		}
		return r
	}, s)
}

func TestNoWayOutOfAProgramSteersTheTerminal(t *testing.T) {
	for name, run := range map[string]func(*cobra.Command) error{
		"a result":      func(c *cobra.Command) error { fmt.Fprint(c.OutOrStdout(), hostile); return nil },
		"a note":        func(c *cobra.Command) error { fmt.Fprint(c.ErrOrStderr(), hostile); return nil },
		"an error":      func(*cobra.Command) error { return errors.New(hostile) },
		"a usage error": func(*cobra.Command) error { return Usage("%s", hostile) },
		"a log line as text": func(c *cobra.Command) error {
			slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil)).Info("x", "k", hostile)
			return nil
		},
		"a log line as JSON": func(c *cobra.Command) error {
			slog.New(slog.NewJSONHandler(c.ErrOrStderr(), nil)).Info("x", "k", hostile)
			return nil
		},
		"a character cut in two": func(c *cobra.Command) error { _, err := c.OutOrStdout().Write([]byte("\xc2")); return err },
	} {
		var out, errs bytes.Buffer
		c := &cobra.Command{Use: "x", RunE: func(c *cobra.Command, _ []string) error { return run(c) }}
		Run(t.Context(), c, nil, &out, &errs)
		text := strings.ReplaceAll(out.String()+errs.String(), "\t", "")
		assert.NotEmpty(t, text, name)
		assert.Empty(t, unsafe(text), name)
	}
	var out, errs bytes.Buffer
	Run(t.Context(), &cobra.Command{Use: "x", Run: func(*cobra.Command, []string) {}}, []string{"--no-such-\x1b[2J"}, &out, &errs)
	assert.Equal(t, `error: unknown flag: --no-such-\u001b[2J (see x --help)`+"\n", errs.String())
}

func TestALineOfProgressIsOneLine(t *testing.T) {
	var b bytes.Buffer
	p := &Progress{w: &b}
	p.Show("item %s", "x\n\x1b[2J"+strings.Repeat("漢", 200))
	assert.Equal(t, "\r"+`item x\n\u001b[2J`+strings.Repeat("漢", 83), b.String())
}

// Programs print by Printf, Columns and Print alone: a value that is printed by fmt
// can forge lines, which no writer can tell from the lines of the program.
func TestProgramsPrintValuesEscaped(t *testing.T) {
	files := 0
	require.NoError(t, filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == "internal" {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		files++
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			if call, ok := n.(*ast.SelectorExpr); ok {
				if pkg, ok := call.X.(*ast.Ident); ok && pkg.Name == "fmt" && (strings.HasPrefix(call.Sel.Name, "Fprint") || strings.HasPrefix(call.Sel.Name, "Print")) {
					t.Errorf("%s prints with fmt.%s: use cli.Printf, cli.Columns or cli.Print", path, call.Sel.Name)
				}
			}
			return true
		})
		return nil
	}))
	assert.Greater(t, files, 20)
}

var _ io.Writer = (*Terminal)(nil)

func TestALongCellDoesNotWidenATable(t *testing.T) {
	var b strings.Builder
	c := NewColumns(&b)
	c.Row("x", strings.Repeat("é", 300_000), "reason")
	c.Row("y", "b", strings.Repeat("r", 1000))
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	if b.Len() > 3000 || !strings.Contains(b.String(), "é…") || !strings.Contains(b.String(), strings.Repeat("r", 1000)) {
		t.Errorf("%d bytes: %.600s", b.Len(), b.String())
	}
}
