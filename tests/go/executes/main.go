// executes runs a program: executes WAY PROGRAM [ARGUMENT...]. WAY is "exec", in its own place, or
// "fork", as a child, whose status it ends with. An exec that fails comes first. Prints its error,
// and the number of the process that executes.
package main

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
)

func init() {
	runtime.LockOSThread() // the main thread
}

func main() {
	_, err := syscall.ForkExec("/nonexistent/program", nil, &syscall.ProcAttr{})
	fmt.Println(syscall.Exec("/nonexistent/program", nil, nil), err)
	if os.Args[1] == "exec" {
		fmt.Println(os.Getpid())
		fmt.Println(syscall.Exec(os.Args[2], os.Args[2:], os.Environ()))
		os.Exit(1)
	}
	pid, err := syscall.ForkExec(os.Args[2], os.Args[2:],
		&syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, 1, 2}})
	fmt.Println(pid)
	if err != nil {
		os.Exit(2)
	}
	var status syscall.WaitStatus
	syscall.Wait4(pid, &status, 0, nil)
	os.Exit(status.ExitStatus())
}
