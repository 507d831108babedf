//go:build !cgo && !netonly

package main

func callC() int { return 0 }
