// callback calls C, which calls Go, which calls C, which allocates: 8 times 1 MiB a way.
package main

/*
void outer_framed(void);
void outer_frameless(void);
void *inner(void);
*/
import "C"
import "fmt"

//export inGo
func inGo() {
	allocate()
}

//go:noinline
func allocate() {
	C.inner()
}

//go:noinline
func framed() {
	C.outer_framed()
}

//go:noinline
func frameless() {
	C.outer_frameless()
}

func main() {
	for i := 0; i < 8; i++ {
		framed()
		frameless()
	}
	fmt.Println("done")
}
