// second is one more library of a C program, with a runtime of its own.
package main

import "C"

var held [][]byte

//export GrowSecond
func GrowSecond() C.int {
	for i := 0; i < 16; i++ {
		block := make([]byte, 1<<20)
		for at := 0; at < len(block); at += 4096 {
			block[at] = 1
		}
		held = append(held, block)
	}
	return C.int(len(held))
}

func main() {}
