// leak serves HTTP, and keeps what it should not: each request's body, in a slice. It is its own
// client, and ends after so many requests (1,500, or the first argument). Built without cgo it is
// static, as most Go services in containers are.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
)

const bodyBytes = 40 << 10

var (
	lock sync.Mutex
	seen [][]byte
)

// The line that the report is to name.
//
//go:noinline
func remember(body io.Reader) {
	copied := make([]byte, bodyBytes)
	count, _ := io.ReadFull(body, copied)
	lock.Lock()
	seen = append(seen, copied[:count])
	lock.Unlock()
}

func handle(writer http.ResponseWriter, request *http.Request) {
	remember(request.Body)
	fmt.Fprintln(writer, "ok")
}

func main() {
	requests := 1500
	if len(os.Args) > 1 {
		requests, _ = strconv.Atoi(os.Args[1])
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	go http.Serve(listener, http.HandlerFunc(handle))
	body := strings.Repeat("x", bodyBytes)
	for i := 0; i < requests; i++ {
		response, err := http.Post("http://"+listener.Addr().String(), "text/plain", strings.NewReader(body))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
	fmt.Println("served", requests, "requests, keeps", len(seen), "bodies")
}
