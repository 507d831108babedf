//go:build netonly

package main

import _ "net" // runtime/cgo by the resolver alone

func callC() int { return 0 }
