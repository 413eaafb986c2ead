// Command mysqld_exporter stands in for Prometheus's own: of its metrics it has one, mysql_up, and it ignores flags.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"regexp"

	"vitess.io/vitess/go/mysql"
)

func main() {
	source := regexp.MustCompile(`^(\w+)@unix\(([^)]+)\)/$`).FindStringSubmatch(os.Getenv("DATA_SOURCE_NAME"))
	if source == nil {
		log.Fatal("mysqld_exporter (played): DATA_SOURCE_NAME names no socket")
	}
	params := mysql.ConnParams{Uname: source[1], UnixSocket: source[2], ConnectTimeoutMs: 1_000}
	http.HandleFunc("/metrics", func(answer http.ResponseWriter, _ *http.Request) {
		up := 0
		if connection, err := mysql.Connect(context.Background(), &params); err == nil {
			connection.Close()
			up = 1
		}
		fmt.Fprintf(answer, "mysql_up %d\n", up)
	})
	log.Fatal(http.ListenAndServe(":9104", nil))
}
