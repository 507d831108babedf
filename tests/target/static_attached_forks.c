/* attached_forks.c, linked statically. */
#include "tests/target/attached_forks.c"
