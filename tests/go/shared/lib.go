// shared is a C program's library: its heap grows in calls from C.
package main

import "C"
import "runtime/debug"

var held [][]byte

//export Grow
func Grow() C.int {
	for i := 0; i < 16; i++ {
		block := make([]byte, 1<<20)
		for at := 0; at < len(block); at += 4096 {
			block[at] = 1
		}
		held = append(held, block)
	}
	count := len(held)
	held = nil
	debug.FreeOSMemory()
	return C.int(count)
}

func main() {}
