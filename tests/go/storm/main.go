// storm serves requests, each by a call into C and a block of Go's, until somebody kills it. Its
// witness (tests/target/storm.h) is the descriptor that os.Args[1] names.
package main

/*
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

static volatile uint64_t *confirmed;

static int
open_witness(int fd)
{
	confirmed = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return confirmed == MAP_FAILED;
}

#define PLACE(n) \
	__attribute__((noinline)) static void *block_##n(size_t bytes) \
	{ \
		void *block = malloc(bytes); \
		confirmed[n]++; \
		return block; \
	}
PLACE(0) PLACE(1) PLACE(2) PLACE(3) PLACE(4) PLACE(5) PLACE(6) PLACE(7)

static void
serve(int place, size_t bytes)
{
	static void *(*const blocks[])(size_t) = {block_0, block_1, block_2, block_3,
						  block_4, block_5, block_6, block_7};

	free(blocks[place](bytes));
}
*/
import "C"
import (
	"os"
	"strconv"
)

var kept [8][]byte

func worker(place int, requests chan int) {
	for request := range requests {
		C.serve(C.int(place), C.size_t(16+request%5000))
		if request%16 == 0 {
			kept[place] = make([]byte, 1+request%100000)
		}
	}
}

func main() {
	fd, err := strconv.Atoi(os.Args[len(os.Args)-1])
	if err != nil || C.open_witness(C.int(fd)) != 0 {
		os.Exit(1)
	}
	requests := make(chan int, 64)
	for place := 0; place < 8; place++ {
		go worker(place, requests)
	}
	for request := 0; ; request++ {
		requests <- request
	}
}
