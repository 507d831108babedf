//go:build cgo

package main

/*
#include <stdlib.h>
#include <string.h>

static void *blocks[1024];

static void fill(void) {
	for (int i = 0; i < 1024 && blocks[i] == NULL; i++)
		blocks[i] = memset(malloc(65000), 1, 65000);
}
*/
import "C"

// malloc has C allocate, not Go.
func malloc() {
	C.fill()
}
