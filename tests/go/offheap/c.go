//go:build cgo && !netonly

package main

/*
#include <stdlib.h>
#include <string.h>
static void *grab(size_t bytes)
{
	char *block = malloc(bytes);
	memset(block, 1, bytes);
	return block;
}
*/
import "C"
import "unsafe"

var grabbed unsafe.Pointer

const cBytes = 8 << 20

//go:noinline
func callC() int {
	grabbed = C.grab(cBytes)
	return cBytes
}
