// Command mysqladmin stands in for MySQL's own, of which Vitess needs one thing: that mysqld ends.
//
//	mysqladmin --defaults-extra-file=FILE [flags] shutdown
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"vitess.io/vitess/go/mysql"
)

func main() {
	if err := shutdown(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "mysqladmin (played):", err)
		os.Exit(1)
	}
}

func shutdown(args []string) error {
	const file = "--defaults-extra-file="
	if len(args) == 0 || !strings.HasPrefix(args[0], file) || args[len(args)-1] != "shutdown" {
		return fmt.Errorf("it can only shut down, by a file of defaults, not %q", args)
	}
	text, err := os.ReadFile(strings.TrimPrefix(args[0], file))
	if err != nil {
		return err
	}
	params := mysql.ConnParams{ConnectTimeoutMs: 30_000}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch name {
		case "user":
			params.Uname = value
		case "password":
			params.Pass = value
		case "socket":
			params.UnixSocket = value
		}
	}
	ctx := context.Background()
	connection, err := mysql.Connect(ctx, &params)
	if err != nil {
		return err
	}
	defer connection.Close()
	_, err = connection.ExecuteFetch("SHUTDOWN", 1, false)
	return err
}
