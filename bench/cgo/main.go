// cgo: Go code that calls C's malloc and free, for the bench. Usage: cgo PAIRS.
package main

// #include <stdlib.h>
import "C"

import (
	"os"
	"strconv"
)

func main() {
	pairs, err := strconv.Atoi(os.Args[1])
	if err != nil {
		os.Exit(2)
	}
	for i := 0; i < pairs; i++ {
		C.free(C.malloc(C.size_t(64 + i%64)))
	}
}
