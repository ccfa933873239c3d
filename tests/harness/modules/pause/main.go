// pause holds a pod's namespaces open until it is told to end.
package main

import (
	"context"
	"os/signal"
	"syscall"
)

func main() {
	ended, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	<-ended.Done()
}
