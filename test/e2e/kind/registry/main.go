// Command registry is an image registry in memory. The tests run it on a node, so
// that the node has one to pull from without a network.
package main

import (
	"fmt"
	"net/http"
	"os"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	err := http.ListenAndServe(os.Args[1], registry.New())
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
