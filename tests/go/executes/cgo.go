//go:build cgo

// With cgo the program is a dynamic one, which has the C library.
package main

import "C"
