/* handoff as a program that loads no library. */
#include "tests/target/handoff.c"
