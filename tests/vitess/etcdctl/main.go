// Command etcdctl stands in for etcd's own, which does not build beside Vitess. A Pod's probes need two things of it.
//
//	etcdctl endpoint health|status
package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

const endpoint = "127.0.0.1:2379"

func main() {
	if err := ask(strings.Join(os.Args[1:], " ")); err != nil {
		fmt.Fprintln(os.Stderr, "etcdctl (played):", err)
		os.Exit(1)
	}
}

func ask(command string) error {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, Logger: zap.NewNop()})
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	switch command {
	case "endpoint health":
		// As etcd's own: a read that needs a quorum.
		_, err = client.Get(ctx, "health")
	case "endpoint status":
		_, err = client.Status(ctx, endpoint)
	default:
		return fmt.Errorf("it cannot %q", command)
	}
	return err
}
