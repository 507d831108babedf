//go:build cgo

package main

import "C" // with runtime/cgo
