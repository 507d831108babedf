//go:build !cgo

package main

func malloc() {}
