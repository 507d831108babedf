// cleak leaks in C, 256 KiB ten times a second, beside a Go heap that stays as it is, until it is
// killed.
package main

/*
#include <stdlib.h>
#include <string.h>

static void *volatile last;

__attribute__((noinline)) static void
leak_session(size_t bytes)
{
	void *block = malloc(bytes);

	memset(block, 1, bytes);
	last = block;
}
*/
import "C"
import "time"

const (
	sessionBytes = 256 << 10
	pause        = 100 * time.Millisecond
	cacheBytes   = 8 << 20
)

var cache []byte

func main() {
	cache = make([]byte, cacheBytes)
	for i := range cache {
		cache[i] = 1
	}

	for {
		C.leak_session(sessionBytes)
		time.Sleep(pause)
	}
}
