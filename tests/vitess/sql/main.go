// Command sql is a MySQL client for tests: it reads statements, one a line, and answers each by one line of JSON.
//
//	sql HOST PORT USER PASSWORD DATABASE
//
// An answer has either rows (each value as text, or null) or an error. After an error it connects anew.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"vitess.io/vitess/go/mysql"
)

const (
	// A server that does not answer by then has failed.
	patience = 5 * time.Second
	mostRows = 100_000
)

type answer struct {
	Rows  [][]*string `json:"rows"`
	Error string      `json:"error,omitempty"`
}

func main() {
	if len(os.Args) != 6 {
		fmt.Fprintln(os.Stderr, "usage: sql HOST PORT USER PASSWORD DATABASE")
		os.Exit(2)
	}
	port, err := strconv.Atoi(os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	params := mysql.ConnParams{
		Host: os.Args[1], Port: port, Uname: os.Args[3], Pass: os.Args[4], DbName: os.Args[5],
		ConnectTimeoutMs: uint64(patience.Milliseconds()),
	}
	answers := json.NewEncoder(os.Stdout)
	statements := bufio.NewScanner(os.Stdin)
	var connection *mysql.Conn
	for statements.Scan() {
		var said answer
		said.Rows, err = ask(&connection, &params, statements.Text())
		if err != nil {
			said.Error = err.Error()
			if connection != nil {
				connection.Close()
				connection = nil
			}
		}
		if err := answers.Encode(said); err != nil {
			os.Exit(1)
		}
	}
}

func ask(connection **mysql.Conn, params *mysql.ConnParams, statement string) ([][]*string, error) {
	if *connection == nil {
		made, err := mysql.Connect(context.Background(), params)
		if err != nil {
			return nil, err
		}
		*connection = made
	}
	// Its reads have no deadline of their own.
	late := time.AfterFunc(patience, (*connection).Close)
	defer late.Stop()
	result, err := (*connection).ExecuteFetch(statement, mostRows, false)
	if err != nil {
		return nil, err
	}
	rows := make([][]*string, 0, len(result.Rows))
	for _, row := range result.Rows {
		values := make([]*string, 0, len(row))
		for _, value := range row {
			if value.IsNull() {
				values = append(values, nil)
				continue
			}
			text := value.ToString()
			values = append(values, &text)
		}
		rows = append(rows, values)
	}
	return rows, nil
}
