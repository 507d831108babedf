// plain has no C in it.
package main

import (
	"fmt"
	"runtime/debug"
)

var held []byte

func main() {
	held = make([]byte, 8<<20)
	for at := 0; at < len(held); at += 4096 {
		held[at] = 1
	}
	held = nil
	debug.FreeOSMemory()
	done := make(chan int)
	for i := 0; i < 8; i++ {
		go func() { done <- 1 }()
	}
	for i := 0; i < 8; i++ {
		<-done
	}
	fmt.Println("ok")
}
