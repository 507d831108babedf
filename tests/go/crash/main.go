// crash touches memory that is not there, a few calls deep.
package main

import "C"
import "runtime/debug"

var held [][]byte

//go:noinline
func fall(depth int) {
	if depth == 0 {
		var nothing *int
		*nothing = 1
	}
	fall(depth - 1)
}

func main() {
	for i := 0; i < 8; i++ {
		held = append(held, make([]byte, 1<<20))
	}
	held = nil
	debug.FreeOSMemory()
	fall(5)
}
