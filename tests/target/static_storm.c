/* storm as a program that loads no library. */
#include "tests/target/storm.c"
