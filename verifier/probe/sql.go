package probe

import (
	"context"
	"fmt"
	"strings"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/verifier/policy"
)

// The client programs are run by the container's shell, which reads user and
// password from the first two lines of its standard input and hands them on in
// the environment; the client reads the query from the rest. So none of the
// three is on a command line, in the pod or in the API server's audit log. $1 is
// the database.
//
// The rows come without a head, a frame or a footer, columns as the client
// separates them (psql |, mysql a tab, sqlite3 |).
const (
	readCredentials = `IFS= read -r user && IFS= read -r password || exit 125
`
	clientMissing = 127 // the shell's own code for a program that is not there

	postgresClient = readCredentials + `
[ -z "$user" ] || export PGUSER="$user"
[ -z "$password" ] || export PGPASSWORD="$password"
[ -z "$1" ] || export PGDATABASE="$1"
export PGCONNECT_TIMEOUT="${PGCONNECT_TIMEOUT:-10}"
exec psql -X -q -A -t -w -v ON_ERROR_STOP=1 -f -
`
	mysqlClient = readCredentials + `
[ -z "$password" ] || export MYSQL_PWD="$password"
client=mysql
command -v mysql >/dev/null 2>&1 || client=mariadb
exec "$client" ${user:+"--user=$user"} --batch --raw --skip-column-names --connect-timeout=10 "$1"
`
	sqliteClient = readCredentials + `
exec sqlite3 -batch -bail -noheader -readonly "$1"
`
)

func (r *runner) sql(ctx context.Context, s policy.SQL, q *question) (answer, error) {
	client, err := clientOf(s.Driver)
	if err != nil {
		return answer{}, err
	}
	user, err := r.value(ctx, s.Namespace, s.User)
	if err != nil {
		return answer{}, fmt.Errorf("user: %w", err)
	}
	password, err := r.value(ctx, s.Namespace, s.Password)
	if err != nil {
		return answer{}, fmt.Errorf("password: %w", err)
	}
	in, err := r.pick(ctx, s.Target, q)
	if err != nil {
		return answer{}, err
	}
	a, err := r.run(ctx, in, cluster.Command{
		Args:  []string{"sh", "-c", client, "sh", s.Database},
		Stdin: user + "\n" + password + "\n" + statement(s.Query),
	}, q)
	if err == nil && a.exitCode == clientMissing {
		return answer{}, fmt.Errorf("the container %s of pod %s/%s cannot run the client of %s: %s", in.Name, in.Namespace, in.Pod, s.Driver, excerpt(strings.TrimSpace(a.errors)))
	}
	return a, err
}

func clientOf(driver string) (string, error) {
	switch driver {
	case policy.Postgres:
		return postgresClient, nil
	case policy.MySQL:
		return mysqlClient, nil
	case policy.SQLite:
		return sqliteClient, nil
	}
	return "", fmt.Errorf("unknown driver %q", driver)
}

// statement ends the query, without which the clients do not run it.
func statement(query string) string {
	query = strings.TrimSpace(query)
	if !strings.HasSuffix(query, ";") {
		query += "\n;"
	}
	return query + "\n"
}
