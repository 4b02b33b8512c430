package rig

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// databases are the Debian packages of DatabasesImage.
const databases = "postgresql-15,mariadb-server,sqlite3"

// bulk is what a database does without in a test.
var bulk = []string{
	"usr/share/doc/*", "usr/share/man/*", "usr/share/locale/*", "var/cache/apt/*", "var/lib/apt/lists/*", "var/lib/mysql/*", "var/lib/postgresql/*",
	"usr/lib/x86_64-linux-gnu/libLLVM*", "usr/lib/postgresql/*/lib/llvmjit*", "usr/lib/postgresql/*/lib/bitcode",
}

// DatabasesImage puts a Debian with PostgreSQL, MariaDB and SQLite, servers and
// clients, into the host's engine, without any registry, and returns name. The
// first call on a machine makes it with debootstrap, as root, and takes a minute
// or two.
func DatabasesImage(t testing.TB, name string) string {
	t.Helper()
	sum := sha256.Sum256([]byte(databases + strings.Join(bulk, " ")))
	cache := filepath.Join(repoRoot(t), ".cache", fmt.Sprintf("databases-%x.tar", sum[:6]))
	if _, err := os.Stat(cache); err != nil {
		makeDatabases(t, cache)
	}
	archive, err := os.Open(cache)
	require.NoError(t, err)
	defer archive.Close()
	load := exec.Command("docker", "import", "-", name)
	load.Stdin = archive
	out, err := load.CombinedOutput()
	require.NoError(t, err, "docker import: %s", strings.TrimSpace(string(out)))
	return name
}

func makeDatabases(t testing.TB, archive string) {
	t.Helper()
	root := filepath.Join(t.TempDir(), "root")
	// In namespaces of its own, so that no mount and no process is left.
	debian := exec.Command("unshare", "--mount", "--pid", "--fork", "--kill-child", "debootstrap", "--variant=minbase", "--include="+databases, "bookworm", root)
	if out, err := debian.CombinedOutput(); err != nil {
		t.Fatalf("debootstrap (apt-get install debootstrap; it needs root): %v: %s", err, out)
	}
	require.NoError(t, os.MkdirAll(filepath.Dir(archive), 0o755))
	half := archive + ".part"
	args := []string{"-C", root, "--numeric-owner", "--wildcards-match-slash"}
	for _, b := range bulk {
		args = append(args, "--exclude=./"+b)
	}
	out, err := exec.Command("tar", append(args, "-cf", half, ".")...).CombinedOutput()
	require.NoError(t, err, string(out))
	require.NoError(t, os.Rename(half, archive))
}
