// server answers HTTP requests, each of which allocates in Go and in C, until its input ends. Its
// first line is the port, its last one the number of requests.
package main

/*
#include <stdlib.h>
#include <string.h>

__attribute__((noinline)) static void *
session(size_t bytes)
{
	char *block = malloc(bytes);

	memset(block, 1, bytes / 2);
	return block;
}
*/
import "C"
import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"unsafe"
)

const (
	kept         = 4096
	sessionBytes = 8 << 10
)

var (
	requests uint64
	lock     sync.Mutex
	sessions [kept]unsafe.Pointer
	bodies   [kept][]byte
)

//go:noinline
func page(number uint64) []byte {
	body := make([]byte, 2048+number%4096)
	for at := range body {
		body[at] = 'a' + byte(at%26)
	}
	return body
}

func answer(writer http.ResponseWriter, _ *http.Request) {
	number := atomic.AddUint64(&requests, 1)
	body := page(number)
	block := unsafe.Pointer(C.session(C.size_t(sessionBytes + number%64<<8)))
	lock.Lock()
	old := sessions[number%kept]
	sessions[number%kept] = block
	bodies[number%kept] = body
	lock.Unlock()
	C.free(old)
	writer.Write(body)
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	go http.Serve(listener, http.HandlerFunc(answer))
	io.Copy(io.Discard, os.Stdin)
	fmt.Println(atomic.LoadUint64(&requests))
}
