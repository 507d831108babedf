// service allocates in C, half of it touched, and in Go, which it gives back: see its output.
package main

/*
#include <stdlib.h>
#include <string.h>

__attribute__((noinline, optimize("no-omit-frame-pointer"))) static void *
grab_framed(size_t bytes)
{
	char *block = malloc(bytes);

	memset(block, 1, bytes / 2);
	return block;
}

__attribute__((noinline, optimize("omit-frame-pointer"))) static void *
grab_frameless(size_t bytes)
{
	char *block = malloc(bytes);

	memset(block, 1, bytes / 2);
	return block;
}
*/
import "C"
import (
	"fmt"
	"runtime"
	"runtime/debug"
)

const (
	blocks     = 16
	blockBytes = 2 << 20
	goBytes    = 32 << 20
)

var held [][]byte

//go:noinline
func worker() {
	for i := 0; i < blocks; i++ {
		C.grab_framed(blockBytes)
		C.grab_frameless(blockBytes)
	}
}

//go:noinline
func hold() {
	for i := 0; i < goBytes>>20; i++ {
		block := make([]byte, 1<<20)
		for at := 0; at < len(block); at += 4096 {
			block[at] = 1
		}
		held = append(held, block)
	}
}

func main() {
	done := make(chan bool)
	go func() {
		worker()
		done <- true
	}()
	<-done
	hold()
	held = nil
	runtime.GC()
	debug.FreeOSMemory()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	fmt.Printf("{\"heap_released\": %d, \"heap_sys\": %d}\n", stats.HeapReleased, stats.HeapSys)
}
